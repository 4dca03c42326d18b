//! EHLO keywords: what the backends offer, and what of it we can offer too (RFC 5321 4.1.1.1, 2.2).

use super::reply::Reply;

/// The extensions that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extension {
    /// RFC 2920.
    Pipelining,
    /// RFC 1870.
    Size,
    /// RFC 6152.
    EightBitMime,
    /// RFC 6531.
    SmtpUtf8,
    /// RFC 3030.
    Chunking,
    /// RFC 3030.
    BinaryMime,
    /// RFC 3461.
    Dsn,
    /// RFC 2034.
    EnhancedStatusCodes,
    /// RFC 3207.
    StartTls,
    /// Postfix.
    Xclient,
    /// Postfix.
    Xforward,
}

/// A set of extensions with their arguments, as a server offered them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    bits: u16,
    /// SIZE: `Some(0)` is "offered without a limit".
    size: Option<u64>,
    /// Attribute names behind XCLIENT and XFORWARD, upper case.
    xclient: Vec<String>,
    xforward: Vec<String>,
}

impl Extensions {
    /// Reads an EHLO reply.
    pub fn from_reply(_reply: &Reply) -> Self {
        todo!()
    }

    /// True if offered.
    pub fn has(&self, _extension: Extension) -> bool {
        todo!()
    }

    /// Adds one.
    pub fn insert(&mut self, _extension: Extension) {
        todo!()
    }

    /// The message size limit in octets, if one was given and is not 0.
    pub fn size_limit(&self) -> Option<u64> {
        self.size.filter(|&limit| limit > 0)
    }

    /// Attribute names that XCLIENT takes.
    pub fn xclient_attributes(&self) -> &[String] {
        &self.xclient
    }

    /// Attribute names that XFORWARD takes.
    pub fn xforward_attributes(&self) -> &[String] {
        &self.xforward
    }

    /// What both offer; the larger of the size limits (DECISIONS 3), none if one has none.
    pub fn intersection(&self, _other: &Self) -> Self {
        todo!()
    }
}
