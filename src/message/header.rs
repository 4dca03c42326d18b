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
