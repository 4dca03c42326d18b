//! Tag lists (RFC 6376 3.2), the notation of signature fields and of key records.
//!
//! Strict where the grammar is: a list with a tag twice, an empty place between two semicolons or a tag
//! without `=` is no list at all. Values may hold UTF-8 (RFC 8616).

use std::ops::Range;

use super::Unsound;

/// Octets of a list that is read at all; a hundred times what a signature needs.
const MAX_OCTETS: usize = 64 * 1024;
/// Tags of a list; there are some twenty.
const MAX_TAGS: usize = 100;

/// A tag list, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tags<'a> {
    text: &'a str,
    tags: Vec<(&'a str, Range<usize>)>,
}

impl<'a> Tags<'a> {
    /// Reads a list.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(octets: &'a [u8]) -> Result<Self, Unsound> {
        if octets.len() > MAX_OCTETS {
            return Err(Unsound::new("it is too long"));
        }
        let text = std::str::from_utf8(octets).map_err(|_| Unsound::new("it is not UTF-8"))?;
        let mut tags: Vec<(&str, Range<usize>)> = Vec::new();
        let mut at = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let (spec, behind, last) = match rest.split_once(';') {
                Some((spec, behind)) => (spec, behind, false),
                None => (rest, "", true),
            };
            if last && trim(spec).is_empty() && !tags.is_empty() {
                break;
            }
            let (name, value) = spec.split_once('=').ok_or_else(|| Unsound::new("a tag has no `=`"))?;
            let start = at + name.len() + 1;
            let name = trim(name);
            if !is_tag_name(name) {
                return Err(Unsound::new("a tag has no name"));
            }
            if !is_value(value) {
                return Err(Unsound::new(format!("`{name}=` holds control characters")));
            }
            if tags.len() == MAX_TAGS {
                return Err(Unsound::new("it has too many tags"));
            }
            tags.push((name, start..start + value.len()));
            at += spec.len() + 1;
            rest = behind;
        }
        let mut names: Vec<&str> = tags.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        if let Some([name, _]) = names.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(Unsound::new(format!("`{name}=` is there twice")));
        }
        Ok(Self { text, tags })
    }

    /// The value of a tag, white space around it taken off; `None` without the tag. Names are compared
    /// with regard to case.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.text.get(self.place(name)?).map(trim)
    }

    /// As [`Tags::get`].
    ///
    /// # Errors
    /// The tag is missing.
    pub fn need(&self, name: &str) -> Result<&'a str, Unsound> {
        self.get(name).ok_or_else(|| Unsound::new(format!("`{name}=` is missing")))
    }

    /// Where in the list the value of a tag stands, with all white space around it.
    pub fn place(&self, name: &str) -> Option<Range<usize>> {
        self.tags.iter().find(|(known, _)| *known == name).map(|(_, place)| place.clone())
    }

    /// The value of a tag that is a number of at most `digits` digits.
    ///
    /// # Errors
    /// It is none.
    pub fn number(&self, name: &str, digits: usize) -> Result<Option<u64>, Unsound> {
        let Some(value) = self.get(name) else { return Ok(None) };
        if value.is_empty() || value.len() > digits || !value.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Unsound::new(format!("`{name}=` is no number")));
        }
        // More digits than a u64 holds are allowed in `l=`: they mean "more than any message has".
        Ok(Some(value.parse().unwrap_or(u64::MAX)))
    }
}

/// The items of a colon-separated value.
pub fn items(value: &str) -> impl Iterator<Item = &str> {
    value.split(':').map(trim)
}

/// Without the white space around it.
pub fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Without any white space.
pub fn squeeze(text: &str) -> String {
    text.chars().filter(|c| !is_space(*c)).collect()
}

/// White space, folding included.
pub fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_tag_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_')
}

fn is_value(value: &str) -> bool {
    value.chars().all(|c| is_space(c) || !c.is_control())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tag_list_is_what_the_grammar_says() {
        let long = "x".repeat(100);
        for (text, expected) in [
            ("a=1", &[("a", "1")][..]),
            ("a=1;", &[("a", "1")]),
            ("a=1; \r\n ", &[("a", "1")]),
            (" a = 1 ;\r\n\tb_2=\t2 3\r\n 4 ", &[("a", "1"), ("b_2", "2 3\r\n 4")]),
            ("a=;b=", &[("a", ""), ("b", "")]),
            ("a=b=c==", &[("a", "b=c==")]),
            ("a=1;A=2", &[("a", "1"), ("A", "2")]),
            ("d=b\u{fc}cher.example", &[("d", "b\u{fc}cher.example")]),
            (&format!("{long}=1"), &[(&long, "1")]),
            ("", &[]),
        ] {
            let tags = Tags::parse(text.as_bytes()).unwrap_or_else(|why| panic!("{text:?}: {why}"));
            let found: Vec<_> = tags.tags.iter().map(|(name, _)| (*name, tags.get(name).unwrap())).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_tag_list_is_refused_whole() {
        for text in [
            &b"a=1;;b=2"[..],
            b";a=1",
            b"a=1;;",
            b";",
            b" ",
            b"a",
            b"a=1;b",
            b"=1",
            b"1a=1",
            b"_a=1",
            b"a b=1",
            b"a-b=1",
            b"a=1;a=1",
            b"a=1;b=2;a=3",
            b"a=\x00",
            b"a=\x7f",
            b"a=\xff",
            b"a=\x0b",
        ] {
            assert!(Tags::parse(text).is_err(), "{:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_list_has_an_end() {
        let list = |tags: usize| (0..tags).map(|number| format!("t{number}=1;")).collect::<String>();
        assert!(Tags::parse(list(MAX_TAGS).as_bytes()).is_ok());
        assert!(Tags::parse(list(MAX_TAGS + 1).as_bytes()).is_err());
        let long = |octets: usize| format!("a={}", "x".repeat(octets - 2));
        assert!(Tags::parse(long(MAX_OCTETS).as_bytes()).is_ok());
        assert!(Tags::parse(long(MAX_OCTETS + 1).as_bytes()).is_err());
    }

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        for (text, expected) in [
            ("t=0", Ok(Some(0))),
            ("t=012", Ok(Some(12))),
            ("t= 12 ", Ok(Some(12))),
            ("t=99999999999999999999", Ok(Some(u64::MAX))),
            ("x=1", Ok(None)),
            ("t=", Err(())),
            ("t=1 2", Err(())),
            ("t=-1", Err(())),
            ("t=1.5", Err(())),
            ("t=999999999999999999999", Err(())),
        ] {
            let found = Tags::parse(text.as_bytes()).unwrap().number("t", 20);
            assert_eq!(found.map_err(|_| ()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_a_list_or_none(octets in proptest::collection::vec(
            prop_oneof![Just(b';'), Just(b'='), Just(b' '), Just(b'a'), Just(b'b'), any::<u8>()], 0..60)) {
            if let Ok(tags) = Tags::parse(&octets) {
                for (name, place) in &tags.tags {
                    prop_assert_eq!(tags.text.get(place.clone()).map(trim), tags.get(name));
                    prop_assert_eq!(octets.get(place.start - 1), Some(&b'='));
                }
            }
        }
    }
}
