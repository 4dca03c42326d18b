//! Lenient iteration over header fields; the border between header section and body.

use memchr::memchr;

/// Offset of the first body octet: behind the first empty line; the whole length if there is none.
/// The body also begins at a first line that cannot be a field nor a continuation (RFC 5322 2.1).
pub fn body_offset(octets: &[u8]) -> usize {
    let end = Fields::new(octets).last().map_or(0, |field| field.end);
    match octets.get(end..).unwrap_or_default() {
        [b'\r', b'\n', ..] => end + 2,
        [b'\n', ..] => end + 1,
        _ => end,
    }
}

/// One header field as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name before the colon, white space before the colon taken off.
    pub name: &'a [u8],
    /// What follows the colon, folding included, the final CRLF not.
    pub value: &'a [u8],
    /// Offset of the first octet of the field.
    pub start: usize,
    /// Offset behind its CRLF.
    pub end: usize,
}

impl Field<'_> {
    /// True if this is the field `name`, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Iterator over the fields of a header section.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    section: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// Over a header section, or a whole message: nothing is read beyond the header section.
    pub fn new(section: &'a [u8]) -> Self {
        Self { section, at: 0 }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    /// The one place that knows what a field is: a line with a name before a colon, and the lines behind
    /// it that begin with white space. Any other line ends the header section.
    fn next(&mut self) -> Option<Field<'a>> {
        let start = self.at;
        let rest = self.section.get(start..)?;
        let mut length = line_length(rest);
        let (name, value_start) = name_of(rest.get(..length)?)?;
        while let Some(b' ' | b'\t') = rest.get(length) {
            length += line_length(rest.get(length..)?);
        }
        self.at = start + length;
        let value = rest.get(value_start..length).unwrap_or_default();
        let value = value.strip_suffix(b"\n").unwrap_or(value);
        let value = value.strip_suffix(b"\r").unwrap_or(value);
        Some(Field { name, value, start, end: self.at })
    }
}

/// Octets of the first line, its end included.
fn line_length(octets: &[u8]) -> usize {
    memchr(b'\n', octets).map_or(octets.len(), |at| at + 1)
}

/// The field name of a line, and the offset behind its colon. Printable ASCII makes a name (RFC 5322 2.2);
/// white space between name and colon is obsolete and still seen (RFC 5322 4.5).
fn name_of(line: &[u8]) -> Option<(&[u8], usize)> {
    let colon = memchr(b':', line)?;
    let name = line.get(..colon)?;
    let end = name.iter().rposition(|&octet| !matches!(octet, b' ' | b'\t'))? + 1;
    let name = name.get(..end)?;
    name.iter().all(u8::is_ascii_graphic).then_some((name, colon + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(section: &[u8]) -> Vec<&str> {
        Fields::new(section).map(|field| std::str::from_utf8(field.name).unwrap()).collect()
    }

    #[test]
    fn the_header_section_ends_at_an_empty_line_or_at_what_is_no_field() {
        let cases: [(&[u8], &[&str], &[u8]); 17] = [
            (b"", &[], b""),
            (b"\r\nbody", &[], b"body"),
            (b"\nbody", &[], b"body"),
            (b"A: b\r\n\r\nbody", &["A"], b"body"),
            (b"A: b\n\nbody", &["A"], b"body"),
            (b"A: b\r\n", &["A"], b""),
            (b"A: b", &["A"], b""),
            (b"A: b\r\nC:\r\n\tfolded\r\n more\r\n\r\nD: e\r\n", &["A", "C"], b"D: e\r\n"),
            (b"A : b\r\nC\t:d\r\n\r\n", &["A", "C"], b""),
            (b"A: b\r\n \r\n\r\nbody", &["A"], b"body"),
            (b"A: \xff\r\n\r\nbody", &["A"], b"body"),
            (b"A: b\r\njunk\r\nC: d\r\n\r\n", &["A"], b"junk\r\nC: d\r\n\r\n"),
            (b"A: b\r\nC D: e\r\n\r\n", &["A"], b"C D: e\r\n\r\n"),
            (
                b"From user@example.org Mon Jan 1 00:00:00 2024\r\nA: b\r\n",
                &[],
                b"From user@example.org Mon Jan 1 00:00:00 2024\r\nA: b\r\n",
            ),
            (b" A: b\r\n\r\n", &[], b" A: b\r\n\r\n"),
            (b": b\r\n\r\n", &[], b": b\r\n\r\n"),
            (b"\xc3\xa4: b\r\n", &[], b"\xc3\xa4: b\r\n"),
        ];
        for (octets, expected, body) in cases {
            assert_eq!(names(octets), expected, "{:?}", String::from_utf8_lossy(octets));
            assert_eq!(&octets[body_offset(octets)..], body);
        }
    }

    #[test]
    fn a_field_knows_its_value_and_place() {
        let fields: Vec<_> = Fields::new(b"Subject : a\r\n b\r\nX:\r\n\r\n").collect();
        assert_eq!(fields[0], Field { name: b"Subject", value: b" a\r\n b", start: 0, end: 17 });
        assert_eq!(fields[1], Field { name: b"X", value: b"", start: 17, end: 21 });
        assert!(fields[0].is("SUBJECT") && !fields[0].is("Subjec"));
    }

    proptest! {
        #[test]
        fn fields_lie_side_by_side_up_to_the_border(octets in proptest::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), Just(b' '), Just(b'a'), any::<u8>()], 0..80)) {
            let mut end = 0;
            for field in Fields::new(&octets) {
                prop_assert_eq!(field.start, end);
                prop_assert!(field.end > field.start);
                end = field.end;
            }
            let border = body_offset(&octets);
            prop_assert!((end..=end + 2).contains(&border) && border <= octets.len());
        }
    }
}
