//! Lenient iteration over header fields; the border between header section and body.

/// Offset of the first body octet: behind the first empty line; the whole length if there is none.
/// The body also begins at a first line that cannot be a field nor a continuation (RFC 5322 2.1).
pub fn body_offset(_octets: &[u8]) -> usize {
    todo!()
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

/// Iterator over the fields of a header section.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    section: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Over a header section.
    pub fn new(section: &'a [u8]) -> Self {
        Self { section }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;
    fn next(&mut self) -> Option<Field<'a>> {
        let _ = self.section;
        todo!()
    }
}
