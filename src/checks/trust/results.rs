//! Reading results of authentication that somebody else wrote (RFC 8601 2.2), as ARC chains carry them.
//!
//! A result that is not written as it should be is skipped whole, nothing is guessed.

/// One method's result with its properties, names in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Such as `dkim`.
    pub method: String,
    /// Such as `pass`.
    pub result: String,
    /// `ptype.property` and value.
    pub properties: Vec<(String, String)>,
}

/// Results that are read of one text; further ones are ignored.
const MOST: usize = 100;

/// The results of a text, the authserv-id before the first `;` left aside.
pub fn read(text: &str) -> Vec<Found> {
    let words = words(text);
    let parts = words.split(|word| *word == Word::Semicolon).skip(1);
    parts.filter_map(found).take(MOST).collect()
}

/// True if a text says that mail of `domain` was genuine: DMARC passed, or a signature of that domain did.
pub fn author_passed(text: &str, domain: &str) -> bool {
    let about = |found: &Found, property: &str| {
        let mut values = found.properties.iter().filter(|(name, _)| name == property).map(|(_, value)| value);
        values.any(|value| value.trim_start_matches('@').eq_ignore_ascii_case(domain))
    };
    read(text).iter().filter(|found| found.result == "pass").any(|found| match found.method.as_str() {
        "dmarc" => about(found, "header.from"),
        "dkim" => about(found, "header.d") || about(found, "header.i"),
        _ => false,
    })
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    /// With whether white space, a comment or a `;` stands before it.
    Text(String, bool),
    Equals,
    Semicolon,
    /// A quoted string or a comment without an end: what it would have said, nobody knows.
    Unfinished,
}

/// Words, `=` and `;`; comments left out, quoted strings undone.
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let (mut word, mut spaced) = (String::new(), true);
    let (mut quoted, mut depth) = (false, 0_usize);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if quoted || depth > 0 => {
                let escaped = characters.next();
                if quoted {
                    word.extend(escaped);
                }
            }
            '"' if depth == 0 => quoted = !quoted,
            _ if quoted => word.push(character),
            '(' => {
                end(&mut word, &mut spaced, &mut words);
                (depth, spaced) = (depth + 1, true);
            }
            ')' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            '=' | ';' => {
                end(&mut word, &mut spaced, &mut words);
                spaced = character == ';';
                words.push(if character == '=' { Word::Equals } else { Word::Semicolon });
            }
            _ if character.is_whitespace() => {
                end(&mut word, &mut spaced, &mut words);
                spaced = true;
            }
            _ => word.push(character),
        }
    }
    end(&mut word, &mut spaced, &mut words);
    if quoted || depth > 0 {
        words.push(Word::Unfinished);
    }
    words
}

fn end(word: &mut String, spaced: &mut bool, words: &mut Vec<Word>) {
    if !word.is_empty() {
        words.push(Word::Text(std::mem::take(word), std::mem::take(spaced)));
    }
}

/// `method [/version] = result`, then `ptype.property = value` pairs, and nothing else: what does not read
/// so was written by somebody who could not write, or to be misread.
fn found(words: &[Word]) -> Option<Found> {
    let (pairs, rest) = words.as_chunks::<3>();
    let pair = |three: &[Word; 3]| match three {
        [Word::Text(name, true), Word::Equals, Word::Text(value, _)] => {
            Some((name.to_ascii_lowercase(), value.clone()))
        }
        _ => None,
    };
    let mut pairs = pairs.iter().map(pair).collect::<Option<Vec<_>>>().filter(|_| rest.is_empty())?.into_iter();
    let (method, result) = pairs.next()?;
    let method = method.split('/').next().unwrap_or_default().to_owned();
    Some(Found { method, result: result.to_ascii_lowercase(), properties: pairs.collect() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn results_are_read_as_they_are_written() {
        let text = "mx.example.net 1; (a; comment=x) spf=pass (ok (really)) smtp.mailfrom=\"a b\"@example.org;\r\n\t\
                    DKIM/1 = Pass reason=\"good; key=2\" header.d=example.org header.i=@example.org; none; dmarc=";
        let found = read(text);
        let shown: Vec<_> = found.iter().map(|found| (found.method.as_str(), found.result.as_str())).collect();
        assert_eq!(shown, [("spf", "pass"), ("dkim", "pass")]);
        assert_eq!(found[0].properties, [("smtp.mailfrom".to_owned(), "a b@example.org".to_owned())]);
        assert_eq!(found[1].properties[0], ("reason".to_owned(), "good; key=2".to_owned()));
        assert!(read("mx.example.net; none").is_empty());
        assert!(read("spf=pass").is_empty(), "without an authserv-id there are no results");
    }

    #[test]
    fn an_author_passed_by_dmarc_or_by_its_own_signature() {
        for (text, passed) in [
            ("a; dmarc=pass header.from=example.org", true),
            ("a; dmarc=pass (p=reject) header.from=EXAMPLE.org", true),
            ("a; dmarc=fail header.from=example.org", false),
            ("a; dmarc=pass header.from=example.net", false),
            ("a; dmarc=fail reason=\"dmarc=pass header.from=example.org\"", false),
            ("a; dmarc=fail (dmarc=pass header.from=example.org)", false),
            ("a; dkim=pass header.d=example.org", true),
            ("a; dkim=pass header.i=@example.org", true),
            ("a; dkim=pass header.d=sub.example.org", false),
            ("a; spf=pass smtp.mailfrom=example.org", false),
            ("a; dkim=pass header.i=x=header.d=example.org=@evil.example", false),
            ("a; dkim=pass header.i=x header.d=example.org=@evil.example", false),
            ("a; dkim=pass header.i=\"x\"header.d=example.org", false),
            ("a; dkim=pass (good)header.d=example.org", true),
            ("a; dkim=pass good header.d=example.org", false),
            ("a; dkim = pass header.d = example.org", true),
            ("a; dkim=fail; dkim=pass header.d=example.org", true),
            ("a; dkim=pass header.d=example.org (no end", false),
            ("a; dkim=pass header.d=example.org header.i=\"no end", false),
            ("a; dkim=pass header.d=example.org; spf=pass (no end", true),
            ("", false),
        ] {
            assert_eq!(author_passed(text, "example.org"), passed, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text: String) {
            prop_assert!(read(&text).len() <= MOST);
        }
    }
}
