//! Transfer encodings undone the way lenient mail programs do it: what is broken is skipped, not refused.

/// Content-Transfer-Encoding (RFC 2045 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// 7bit, 8bit, binary, and whatever nobody knows.
    Identity,
    QuotedPrintable,
    Base64,
}

impl Encoding {
    /// Reads the value of the field.
    pub(super) fn of(value: &[u8]) -> Self {
        let value = String::from_utf8_lossy(value.get(..200).unwrap_or(value)).to_ascii_lowercase();
        let word = |word: &str| value.split([' ', '\t', '\r', '\n', ';', '"', '(', ')']).any(|other| other == word);
        if word("base64") {
            Self::Base64
        } else if word("quoted-printable") {
            Self::QuotedPrintable
        } else {
            Self::Identity
        }
    }
}

/// What an octet stands for in base64; what is no digit is beyond them.
const VALUES: [u8; 256] = {
    let mut values = [FOREIGN; 256];
    let mut octet = 0;
    while octet < 256 {
        values[octet] = match octet as u8 {
            digit @ b'A'..=b'Z' => digit - b'A',
            digit @ b'a'..=b'z' => digit - b'a' + 26,
            digit @ b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => PADDING,
            b' ' | b'\t' | b'\n' | b'\x0c' | b'\r' => BLANK,
            _ => FOREIGN,
        };
        octet += 1;
    }
    values
};
const PADDING: u8 = 64;
const BLANK: u8 = 65;
const FOREIGN: u8 = 66;

/// What base64 hides, up to `limit` octets; both alphabets (RFC 4648 4 and 5). Octets outside them are
/// skipped; padding ends a run, and another may follow.
pub(crate) fn base64(octets: &[u8], limit: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(limit.min(octets.len() / 4 * 3 + 3));
    let (mut bits, mut held) = (0_u32, 0_u32);
    for &octet in octets {
        let value = VALUES[usize::from(octet)];
        if value >= PADDING {
            if value == PADDING {
                held = 0;
            }
            continue;
        }
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            if out.len() >= limit {
                break;
            }
            out.push((bits >> held) as u8);
        }
    }
    out
}

/// True if more than line ends and a stray character lie outside the alphabet: another program may show
/// such text as it stands.
pub(super) fn is_broken_base64(octets: &[u8]) -> bool {
    octets.iter().any(|octet| VALUES[usize::from(*octet)] == FOREIGN)
}

/// True if the last run of base64 ends within an octet.
pub(super) fn is_cut_base64(octets: &[u8]) -> bool {
    let is_value = |octet: &&u8| VALUES[usize::from(**octet)] < PADDING;
    let end = octets.trim_ascii_end();
    let run = end.iter().rev().skip_while(|octet| **octet == b'=').take_while(|octet| **octet != b'=');
    let padding = end.iter().rev().take_while(|octet| **octet == b'=').count();
    match run.filter(is_value).count() % 4 {
        0 => false,
        1 => true,
        // Without padding some programs drop it all, and others do not care.
        _ => padding == 0,
    }
}

/// Quoted-printable undone, up to `limit` octets; `=` before what is no hexadecimal number stands for itself.
pub(crate) fn quoted_printable(octets: &[u8], limit: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(limit.min(octets.len()));
    let mut rest = octets;
    while let (Some((&octet, after)), true) = (rest.split_first(), out.len() < limit) {
        if octet != b'=' {
            let end = memchr::memchr(b'=', rest).unwrap_or(rest.len()).min(limit - out.len());
            let (plain, after) = rest.split_at(end);
            out.extend_from_slice(plain);
            rest = after;
            continue;
        }
        rest = after;
        // White space behind a soft line break was added on the way (RFC 2045 6.7 (3)).
        let blanks = after.iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
        match (after, after.get(blanks..).unwrap_or_default()) {
            (_, [b'\r', b'\n', next @ ..] | [b'\n', next @ ..]) => rest = next,
            ([high, low, next @ ..], _) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = next;
                }
                _ => out.push(b'='),
            },
            _ => out.push(b'='),
        }
    }
    out
}

/// Percent encoding undone (RFC 3986 2.1).
pub(super) fn percent(text: &str) -> String {
    String::from_utf8_lossy(&percent_octets(text)).into_owned()
}

/// The octets that are percent-encoded in `text`.
pub(super) fn percent_octets(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match (octet, after) {
            (b'%', [high, low, next @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                out.push(hex(*high).unwrap_or_default() << 4 | hex(*low).unwrap_or_default());
                rest = next;
            }
            _ => out.push(octet),
        }
    }
    out
}

fn hex(octet: u8) -> Option<u8> {
    char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_far_as_it_can_be() {
        for (text, limit, octets) in [
            ("aGVsbG8=", 99, "hello"),
            ("aGVs\r\nbG8", 99, "hello"),
            ("aGVsbG8=aGVsbG8=", 99, "hellohello"),
            ("aG*Vs#bG8", 99, "hello"),
            ("aGVsbG8=", 3, "hel"),
            ("", 9, ""),
            ("=", 9, ""),
            ("a", 9, ""),
        ] {
            assert_eq!(String::from_utf8_lossy(&base64(text.as_bytes(), limit)), octets, "{text}");
        }
        assert!(is_broken_base64(b"aGVs http://") && !is_broken_base64(b"aGVs\r\nbG8="));
        for (text, is_cut) in
            [("aGVs\r\nbG8=\r\n", false), ("aGVs", false), ("", false), ("aGVsb", true), ("aGVsbG8", true)]
        {
            assert_eq!(is_cut_base64(text.as_bytes()), is_cut, "{text}");
        }
    }

    #[test]
    fn quoted_printable_is_read_as_far_as_it_can_be() {
        for (text, limit, octets) in [
            ("a=3Db", 99, "a=b"),
            ("a=3db", 99, "a=b"),
            ("ab=\r\ncd", 99, "abcd"),
            ("ab= \t\ncd", 99, "abcd"),
            ("a=zz=", 99, "a=zz="),
            ("a=4", 99, "a=4"),
            ("abcdef", 3, "abc"),
        ] {
            assert_eq!(String::from_utf8_lossy(&quoted_printable(text.as_bytes(), limit)), octets, "{text}");
        }
    }

    #[test]
    fn percent_encoding_is_undone_where_it_is_one() {
        for (text, plain) in [("a%20b", "a b"), ("100%", "100%"), ("%zz%4", "%zz%4"), ("%2", "%2"), ("%ff", "\u{fffd}")]
        {
            assert_eq!(percent(text), plain);
        }
    }

    #[test]
    fn the_field_may_say_more_than_the_word() {
        for (value, encoding) in [
            (" base64", Encoding::Base64),
            (" BASE64 (really)", Encoding::Base64),
            ("\r\n\tQuoted-Printable;", Encoding::QuotedPrintable),
            ("7bit", Encoding::Identity),
            ("x-base64", Encoding::Identity),
        ] {
            assert_eq!(Encoding::of(value.as_bytes()), encoding, "{value}");
        }
    }
}
