//! xtext (RFC 3461 4): one word in which any octet can stand, as `+` and two hexadecimal digits where it must.

/// `text` as xtext: what could end an attribute or the line is written in digits. At most `most` octets of it.
pub fn encode(text: &str, most: usize) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes().take(most) {
        if matches!(byte, b'!'..=b'~') && !matches!(byte, b'+' | b'=') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "+{byte:02X}");
        }
    }
    out
}

/// What an xtext says, as Postfix reads it: digits in any case. Nothing that is empty, no UTF-8 or a control character.
pub fn decode(text: &str) -> Option<String> {
    let mut octets = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(octet) = octets.next() {
        decoded.push(match octet {
            b'+' => hex(octets.next()?)? << 4 | hex(octets.next()?)?,
            other => other,
        });
    }
    String::from_utf8(decoded).ok().filter(|text| !text.is_empty() && !text.contains(char::is_control))
}

/// The octets that an xtext stands for, or `None` if it is none to the letter: digits in upper case, and any other
/// printable octet but `=`.
pub fn len(value: &str) -> Option<usize> {
    let mut octets = value.bytes();
    let is_hex = |octet: Option<u8>| octet.is_some_and(|octet| matches!(octet, b'0'..=b'9' | b'A'..=b'F'));
    let mut len = 0;
    while let Some(octet) = octets.next() {
        let fits = match octet {
            b'+' => is_hex(octets.next()) && is_hex(octets.next()),
            other => (b'!'..=b'~').contains(&other) && other != b'=',
        };
        if !fits {
            return None;
        }
        len += 1;
    }
    (len > 0).then_some(len)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        for (plain, written) in [("a.example", "a.example"), ("a+b=c d", "a+2Bb+3Dc+20d"), ("j\u{fc}", "j+C3+BC")] {
            assert_eq!(encode(plain, 255), written);
            assert_eq!((decode(written).as_deref(), len(written)), (Some(plain), Some(plain.len())));
        }
        assert_eq!(encode("abc", 2), "ab");
        for (text, decoded, octets) in [
            ("", None, None),
            ("a+2b", Some("a+"), None),
            ("a+2", None, None),
            ("a=b", Some("a=b"), None),
            ("+0D", None, Some(1)),
            ("+FF", None, Some(1)),
        ] {
            assert_eq!((decode(text).as_deref(), len(text)), (decoded, octets), "{text}");
        }
    }
}
