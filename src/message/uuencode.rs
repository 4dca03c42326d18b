//! Files within a text, encoded as mail did it before MIME (POSIX uuencode): `begin 644 name`, lines, `end`.

use memchr::memmem;

/// Octets of a name.
const MAX_NAME: usize = 255;

/// A file that begins.
pub(super) struct Begun<'t> {
    pub(super) name: &'t str,
    /// Behind its first line.
    rest: &'t str,
}

/// The next file in a text.
pub(super) fn find(text: &str) -> Option<Begun<'_>> {
    let mut at = 0;
    while let Some(found) = memmem::find(text.as_bytes().get(at..)?, b"begin ") {
        let start = at + found;
        at = start + "begin ".len();
        let begins_line = start == 0 || matches!(text.as_bytes().get(start - 1), Some(b'\n' | b'\r'));
        if !begins_line {
            continue;
        }
        let Some((line, rest)) = text.get(at..)?.split_once('\n') else { continue };
        let Some((mode, name)) = line.trim_end().split_once(' ') else { continue };
        let is_mode = matches!(mode.len(), 3 | 4) && mode.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
        if is_mode && !name.trim().is_empty() && name.len() <= MAX_NAME {
            return Some(Begun { name: name.trim(), rest });
        }
    }
    None
}

/// The file that octets are if they begin like one.
pub(super) fn whole(octets: &[u8], limit: usize) -> Option<Vec<u8>> {
    let octets = octets.trim_ascii_start();
    if !octets.starts_with(b"begin ") {
        return None;
    }
    let text = String::from_utf8_lossy(octets);
    find(&text).map(|begun| begun.decoded(limit).0).filter(|decoded| !decoded.is_empty())
}

impl<'t> Begun<'t> {
    /// The octets of the file, up to `limit`, and what stands behind it.
    pub(super) fn decoded(&self, limit: usize) -> (Vec<u8>, &'t str) {
        let mut out = Vec::new();
        let mut rest = self.rest;
        while let Some((line, after)) = rest.split_once('\n').or((!rest.is_empty()).then_some((rest, ""))) {
            let line = line.trim_end_matches('\r').as_bytes();
            // Blanks at the end of a line are lost on the way: an empty one is the end.
            let length = line.first().copied().map_or(0, value);
            let is_data = line.iter().all(|octet| matches!(octet, b' '..=b'`')) && line.len() <= 90;
            if !is_data || length == 0 || out.len() >= limit {
                break;
            }
            rest = after;
            let mut decoded = Vec::with_capacity(length + 2);
            for group in line.get(1..).unwrap_or_default().chunks(4) {
                let bits = (0..4).fold(0, |bits, at| (bits << 6) | group.get(at).map_or(0, |octet| value(*octet)));
                decoded.extend([(bits >> 16) as u8, (bits >> 8) as u8, bits as u8]);
            }
            decoded.resize(length, 0);
            out.append(&mut decoded);
        }
        out.truncate(limit);
        (out, rest)
    }
}

/// What a character stands for.
fn value(octet: u8) -> usize {
    usize::from(octet.wrapping_sub(b' ') & 63)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn files_are_found_within_a_text() {
        for (text, expected) in [
            ("hello\nbegin 644 a.txt\n#0V%T\n`\nend\nbye", Some(("a.txt", "Cat", "`\nend\nbye"))),
            ("begin 0755 a b.exe\r\n#0V%T\r\n \r\nend", Some(("a b.exe", "Cat", " \r\nend"))),
            ("begin 644 a.txt\n", Some(("a.txt", "", ""))),
            ("we begin 644 a.txt\n#0V%T", None),
            ("begin with a.txt\n#0V%T", None),
            ("", None),
        ] {
            let found = find(text).map(|begun| {
                let (octets, rest) = begun.decoded(100);
                (begun.name, String::from_utf8(octets).expect("text"), rest)
            });
            assert_eq!(found.as_ref().map(|(name, octets, rest)| (*name, &**octets, *rest)), expected, "{text}");
        }
        assert_eq!(whole(b"\nbegin 644 a\n#0V%T\n", 2), Some(b"Ca".to_vec()));
        assert_eq!(whole(b"MZ", 2), None);
    }

    proptest! {
        #[test]
        fn any_text_is_searched(text in "(begin 644 a\n|[ -`]{0,20}\n|\\PC){0,20}") {
            find(&text).map(|begun| begun.decoded(1000).0.len());
        }
    }
}
