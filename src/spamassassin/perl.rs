//! Regular expressions as Perl has them, written for our engine.
//!
//! A file of rules is octets: each is held here as the character of that number, and what is written is about octets.

use std::fmt::Write;

/// An expression between its delimiters, and the letters behind: `/x/i`, `m{x}i`.
pub(super) fn delimited(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let rest = text.strip_prefix('m').filter(|rest| rest.starts_with(|c: char| !c.is_alphanumeric())).unwrap_or(text);
    let open = rest.chars().next().filter(|c| c.is_ascii_punctuation())?;
    if rest.len() == text.len() && open != '/' {
        return None;
    }
    let close = match open {
        '{' => '}',
        '(' => ')',
        '[' => ']',
        '<' => '>',
        open => open,
    };
    let end = rest.rfind(close).filter(|end| *end > 0)?;
    let flags = &rest[end + 1..];
    flags.chars().all(|c| c.is_ascii_lowercase()).then(|| (&rest[1..end], flags))
}

/// The expression for our engine, about octets. An error says what is not understood.
pub(super) fn translated(body: &str, flags: &str) -> Result<String, String> {
    let groups = body.matches('(').count() - body.matches("\\(").count().min(body.matches('(').count());
    let mut translation = Translation {
        chars: body.chars().collect(),
        at: 0,
        out: String::with_capacity(body.len() + 16),
        ignores_space: flags.contains('x'),
        is_multiline: flags.contains('m'),
        groups,
    };
    let kept: String = flags.chars().filter(|c| matches!(c, 'i' | 'm' | 's')).collect();
    if !kept.is_empty() {
        let _ = write!(translation.out, "(?{kept})");
    }
    translation.run()?;
    Ok(translation.out)
}

struct Translation {
    chars: Vec<char>,
    at: usize,
    out: String,
    ignores_space: bool,
    is_multiline: bool,
    groups: usize,
}

/// One member of a class, or something that a class can hold.
enum Member {
    One(u8),
    Several(String),
}

impl Translation {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn run(&mut self) -> Result<(), String> {
        while let Some(c) = self.peek(0) {
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                '{' => self.brace(),
                '$' if !self.is_multiline => self.put("(?:\\n?\\z)", 1),
                '#' if self.ignores_space => {
                    while self.peek(0).is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                c if self.ignores_space && c.is_ascii_whitespace() => self.at += 1,
                '}' | ']' => {
                    self.out.push('\\');
                    self.copy();
                }
                c if c.is_ascii() => self.copy(),
                c => {
                    self.octet(c as u32 as u8);
                    self.at += 1;
                }
            }
        }
        Ok(())
    }

    fn copy(&mut self) {
        self.out.extend(self.peek(0));
        self.at += 1;
    }

    fn put(&mut self, text: &str, used: usize) {
        self.out.push_str(text);
        self.at += used;
    }

    fn octet(&mut self, octet: u8) {
        match octet {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => self.out.push(octet as char),
            octet => {
                let _ = write!(self.out, "\\x{octet:02x}");
            }
        }
    }

    /// `{1,2}`, or a brace.
    fn brace(&mut self) {
        let inside: String = self.chars[self.at + 1..].iter().take_while(|c| **c != '}').take(12).collect();
        let closes = self.peek(inside.len() + 1) == Some('}');
        let is_count = inside.chars().all(|c| c.is_ascii_digit() || c == ',')
            && inside.chars().any(|c| c.is_ascii_digit())
            && inside.matches(',').count() <= 1;
        if !closes || !is_count {
            return self.put("\\{", 1);
        }
        let zero = if inside.starts_with(',') { "0" } else { "" };
        self.put(&format!("{{{zero}{inside}}}"), inside.len() + 2);
    }

    /// What stands behind an opening parenthesis.
    fn group(&mut self) -> Result<(), String> {
        if self.peek(1) != Some('?') {
            self.copy();
            return Ok(());
        }
        if self.peek(2) == Some('#') {
            while self.peek(0).is_some_and(|c| c != ')') {
                self.at += 1;
            }
            self.at += 1;
            return Ok(());
        }
        if matches!(self.peek(2), Some('{' | '?')) {
            return Err("it runs code".to_owned());
        }
        let letters: String =
            self.chars[self.at + 2..].iter().take_while(|c| c.is_ascii_lowercase() || matches!(c, '-' | '^')).collect();
        let end = self.peek(2 + letters.len());
        if !matches!(end, Some(')' | ':')) || letters.starts_with('P') {
            self.put("(?", 2);
            return Ok(());
        }
        let (on, off) = letters.split_once('-').unwrap_or((&letters, ""));
        if on.contains('x') {
            self.ignores_space = true;
        } else if off.contains('x') || on.contains('^') {
            self.ignores_space = false;
        }
        self.is_multiline |= on.contains('m');
        let known = |letters: &str| letters.chars().filter(|c| matches!(c, 'i' | 'm' | 's')).collect::<String>();
        let (kept, mut dropped) = (known(on), known(off));
        if on.contains('^') {
            dropped = "ims".chars().filter(|c| !kept.contains(*c)).collect();
        }
        let minus = if dropped.is_empty() { String::new() } else { format!("-{dropped}") };
        let used = 3 + letters.len();
        match end {
            Some(')') if kept.is_empty() && minus.is_empty() => self.at += used,
            Some(end) => self.put(&format!("(?{kept}{minus}{end}"), used),
            None => return Err("it ends within a group".to_owned()),
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let Some(next) = self.peek(1) else { return Err("it ends with a backslash".to_owned()) };
        match next {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' | 'b' | 'B' | 'A' | 'z' | 'K' | 'k' => {
                self.put(&format!("\\{next}"), 2);
            }
            'Z' => self.put("(?:\\n?\\z)", 2),
            'G' => self.put("\\A", 2),
            'h' => self.put("[\\t\\x20]", 2),
            'H' => self.put("[^\\t\\x20]", 2),
            'v' => self.put("[\\n\\x0b\\x0c\\r]", 2),
            'R' => self.put("(?:\\r\\n|[\\n\\x0b\\x0c\\r])", 2),
            'N' => self.put("[^\\n]", 2),
            'X' | 'C' => self.put("(?s:.)", 2),
            'p' | 'P' => return Err("classes of Unicode are not known of octets".to_owned()),
            'Q' => self.quoted(),
            'E' => self.at += 2,
            'g' => {
                let is_braced = self.peek(2) == Some('{');
                let from = self.at + 2 + usize::from(is_braced);
                let digits = self.chars.get(from..).unwrap_or_default();
                let number: String = digits.iter().take_while(|c| c.is_ascii_digit()).collect();
                let is_closed = !is_braced || digits.get(number.len()) == Some(&'}');
                if number.is_empty() || !is_closed {
                    return Err("a reference that is not understood".to_owned());
                }
                self.put(&format!("(?:\\{number})"), 2 + number.len() + if is_braced { 2 } else { 0 });
            }
            '1'..='9' if !self.is_octal() => {
                let digits: String = self.chars[self.at + 1..].iter().take_while(|c| c.is_ascii_digit()).collect();
                self.put(&format!("(?:\\{digits})"), 1 + digits.len());
            }
            _ => {
                for octet in self.single()? {
                    self.octet(octet);
                }
            }
        }
        Ok(())
    }

    fn quoted(&mut self) {
        self.at += 2;
        while let Some(c) = self.peek(0) {
            if c == '\\' && self.peek(1) == Some('E') {
                self.at += 2;
                return;
            }
            self.octet(c as u32 as u8);
            self.at += 1;
        }
    }

    /// Whether the digits that stand here are no reference.
    fn is_octal(&self) -> bool {
        let digits: String = self.chars[self.at + 1..].iter().take_while(|c| c.is_ascii_digit()).take(3).collect();
        let number: usize = digits.parse().unwrap_or_default();
        digits.len() >= 2 && number > self.groups && digits.starts_with(|c: char| c < '8')
    }

    /// An escape that stands for octets.
    fn single(&mut self) -> Result<Vec<u8>, String> {
        let next = self.peek(1).ok_or("it ends with a backslash")?;
        let (octets, used) = match next {
            'n' => (vec![b'\n'], 2),
            'r' => (vec![b'\r'], 2),
            't' => (vec![b'\t'], 2),
            'f' => (vec![0x0c], 2),
            'e' => (vec![0x1b], 2),
            'a' => (vec![0x07], 2),
            'c' => (vec![self.peek(2).map_or(0, |c| (c.to_ascii_uppercase() as u8) ^ 0x40)], 3),
            '0'..='7' => {
                let digits: String =
                    self.chars[self.at + 1..].iter().take_while(|c| ('0'..='7').contains(*c)).take(3).collect();
                (vec![u32::from_str_radix(&digits, 8).unwrap_or_default() as u8], 1 + digits.len())
            }
            'x' if self.peek(2) == Some('{') => {
                let digits: String = self.chars[self.at + 3..].iter().take_while(|c| **c != '}').take(8).collect();
                let number = u32::from_str_radix(digits.trim(), 16).map_err(|_| "a number that is none")?;
                let octets = match u8::try_from(number) {
                    Ok(octet) => vec![octet],
                    Err(_) => char::from_u32(number).ok_or("a character that is none")?.to_string().into_bytes(),
                };
                (octets, 4 + digits.len())
            }
            'x' => {
                let digits: String =
                    self.chars[self.at + 2..].iter().take_while(|c| c.is_ascii_hexdigit()).take(2).collect();
                (vec![u8::from_str_radix(&digits, 16).unwrap_or_default()], 2 + digits.len())
            }
            c => (vec![c as u32 as u8], 2),
        };
        self.at += used;
        Ok(octets)
    }

    fn class(&mut self) -> Result<(), String> {
        self.copy();
        if self.peek(0) == Some('^') {
            self.copy();
        }
        let mut is_first = true;
        loop {
            let c = self.peek(0).ok_or("a class without an end")?;
            if c == ']' && !is_first {
                self.copy();
                return Ok(());
            }
            is_first = false;
            let from = self.member()?;
            let is_range = self.peek(0) == Some('-') && self.peek(1).is_some_and(|c| c != ']');
            let Member::One(low) = from else {
                self.put_member(from);
                continue;
            };
            if !is_range {
                self.octet(low);
                continue;
            }
            self.at += 1;
            match self.member()? {
                Member::One(high) if high < low => return Err("a range that is none".to_owned()),
                Member::One(high) => {
                    self.octet(low);
                    self.out.push('-');
                    self.octet(high);
                }
                several => {
                    self.octet(low);
                    self.octet(b'-');
                    self.put_member(several);
                }
            }
        }
    }

    fn put_member(&mut self, member: Member) {
        match member {
            Member::One(octet) => self.octet(octet),
            Member::Several(text) => self.out.push_str(&text),
        }
    }

    fn member(&mut self) -> Result<Member, String> {
        let c = self.peek(0).ok_or("a class without an end")?;
        if c == '[' && self.peek(1) == Some(':') {
            let name: String = self.chars[self.at..].iter().take_while(|c| **c != ']').take(14).collect();
            if name.ends_with(':') {
                self.at += name.len() + 1;
                return Ok(Member::Several(format!("{name}]")));
            }
        }
        if c != '\\' {
            self.at += 1;
            return Ok(Member::One(c as u32 as u8));
        }
        let next = self.peek(1).ok_or("it ends with a backslash")?;
        let several = match next {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' => format!("\\{next}"),
            'h' => "\\t\\x20".to_owned(),
            'v' | 'R' => "\\n\\x0b\\x0c\\r".to_owned(),
            'p' | 'P' => return Err("classes of Unicode are not known of octets".to_owned()),
            'b' => {
                self.at += 2;
                return Ok(Member::One(0x08));
            }
            _ => {
                let octets = self.single()?;
                return match octets[..] {
                    [octet] => Ok(Member::One(octet)),
                    // One character of several octets: any of them, as Perl would have it in octets.
                    _ => Ok(Member::Several(octets.iter().map(|octet| format!("\\x{octet:02x}")).collect())),
                };
            }
        };
        self.at += 2;
        Ok(Member::Several(several))
    }
}
