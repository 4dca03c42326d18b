//! First tests of the message itself: the test string for spam filters, and missing header fields.

/// Which tests are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Look for the GTUBE test string.
    pub gtube: bool,
    /// Look for header fields that are missing or repeated (RFC 5322 3.6).
    pub fields: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { gtube: true, fields: true }
    }
}
