//! An expression without what the linear engine refuses: it matches at least where the original does.
//!
//! Only the literals that each match must contain are taken from it, so that it may match much more.

/// The expression without what only a backtracking engine knows, unchanged if it has none of it: look-around, back-references,
/// atomic groups and possessive quantifiers. None where that cannot be done by reading it once.
pub(super) fn relaxed(text: &str) -> Option<String> {
    let chars: Vec<char> = text.chars().collect();
    if ignores_space(text) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let mut quantified = false;
    while let Some(&c) = chars.get(at) {
        let rest = &chars[at..];
        let was_quantified = std::mem::replace(&mut quantified, false);
        match c {
            '\\' => at += escape(rest, &mut out)?,
            '[' => {
                let length = class(rest)?;
                out.extend(&rest[..length]);
                at += length;
            }
            '(' if starts(rest, "(?=") || starts(rest, "(?!") || starts(rest, "(?<=") || starts(rest, "(?<!") => {
                at += group(rest)?;
                out.push_str("(?:)");
            }
            '(' if starts(rest, "(?(") || starts(rest, "(*") || starts(rest, "(?R") || starts(rest, "(?&") => {
                return None;
            }
            '(' if starts(rest, "(?>") || starts(rest, "(?|") => {
                out.push_str("(?:");
                at += 3;
            }
            '(' if starts(rest, "(?#") => at += rest.iter().position(|c| *c == ')')? + 1,
            '+' if was_quantified => at += 1,
            '*' | '+' | '?' => {
                out.push(c);
                at += 1;
                quantified = !was_quantified;
            }
            '{' if repetition(rest).is_some() => {
                let length = repetition(rest)?;
                out.extend(&rest[..length]);
                at += length;
                quantified = true;
            }
            _ => {
                out.push(c);
                at += 1;
            }
        }
    }
    Some(out)
}

/// Whether white space and comments are no part of it, so that parentheses may mean nothing.
fn ignores_space(text: &str) -> bool {
    text.match_indices("(?")
        .any(|(at, _)| text[at + 2..].chars().take_while(|c| c.is_ascii_alphabetic() || *c == '-').any(|c| c == 'x'))
}

/// The length of `{1,2}`, if one begins here.
fn repetition(rest: &[char]) -> Option<usize> {
    let length = rest.iter().position(|c| *c == '}')? + 1;
    let inside = &rest[1..length - 1];
    let is_one = inside.iter().all(|c| c.is_ascii_digit() || *c == ',') && inside.iter().any(char::is_ascii_digit);
    is_one.then_some(length)
}

fn starts(rest: &[char], with: &str) -> bool {
    with.chars().enumerate().all(|(at, c)| rest.get(at) == Some(&c))
}

/// Writes what an escape may match, and says how long it is.
fn escape(rest: &[char], out: &mut String) -> Option<usize> {
    let next = *rest.get(1)?;
    match next {
        '1'..='9' | 'k' | 'g' => {
            out.push_str("(?s:.*)");
            let braced = rest.get(2).filter(|c| matches!(c, '{' | '<' | '\''));
            let close = braced.map(|open| match open {
                '{' => '}',
                '<' => '>',
                _ => '\'',
            });
            match close {
                Some(close) if next == 'k' || next == 'g' => Some(rest.iter().position(|c| *c == close)?.max(3) + 1),
                _ => Some(2 + rest[2..].iter().take_while(|c| c.is_ascii_digit()).count()),
            }
        }
        'K' | 'G' | 'Z' => {
            out.push_str("(?:)");
            Some(2)
        }
        // To the other engine this is a digit of base 16, and not white space as in Perl.
        'h' | 'H' => {
            out.push_str(if next == 'h' { "[0-9A-Fa-f]" } else { "[^0-9A-Fa-f]" });
            Some(2)
        }
        // Ends of lines, of Unicode too: whatever is nothing that is printed in ASCII.
        'R' => {
            out.push_str(r"(?:\r\n|[^\x20-\x7E])");
            Some(2)
        }
        _ => {
            let braced = matches!(next, 'x' | 'u' | 'U' | 'p' | 'P') && rest.get(2) == Some(&'{');
            let length = if braced { rest.iter().position(|c| *c == '}')? + 1 } else { 2 };
            out.extend(&rest[..length]);
            Some(length)
        }
    }
}

/// The length of the class that begins here.
fn class(rest: &[char]) -> Option<usize> {
    let mut at = 1 + usize::from(rest.get(1) == Some(&'^'));
    // A bracket that closes at once is a member.
    at += usize::from(rest.get(at) == Some(&']'));
    let mut depth = 1;
    while depth > 0 {
        match rest.get(at)? {
            '\\' => at += 1,
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    Some(at)
}

/// The length of the group that begins here.
fn group(rest: &[char]) -> Option<usize> {
    let (mut at, mut depth) = (1, 1);
    while depth > 0 {
        match rest.get(at)? {
            '\\' => at += 1,
            '[' => at += class(&rest[at..])? - 1,
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    Some(at)
}
