//! Addresses of the envelope (RFC 5321 4.1.2, 4.1.3; RFC 6531 3.3): parsed once, printed as they came.

use std::fmt;
use std::net::IpAddr;

/// The right half of a mailbox.
#[derive(Clone, Debug)]
pub enum Domain {
    /// A host name, spelled as it came. Compared without regard to case, A-labels equal to U-labels.
    Name(String),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Literal(IpAddr, String),
}

/// `local-part@domain`. Quotes and case of the local part are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    local: String,
    domain: Domain,
}

/// The argument of MAIL FROM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReversePath {
    /// `<>`: a delivery report; must be accepted (RFC 5321 4.5.5).
    Null,
    /// Somebody.
    Mailbox(Mailbox),
}

/// The argument of one RCPT TO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardPath {
    /// `<postmaster>` without a domain, spelled as it came (RFC 5321 4.5.1).
    Postmaster(String),
    /// Somebody.
    Mailbox(Mailbox),
}

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not `<...>` or not closed.
    #[error("the address must stand in angle brackets")]
    Brackets,
    /// No `@`, or nothing on one side of it.
    #[error("an address needs a local part and a domain")]
    Incomplete,
    /// An octet that cannot stand in a local part.
    #[error("malformed local part")]
    LocalPart,
    /// Not a domain name nor an address literal.
    #[error("malformed domain")]
    Domain,
    /// RFC 5321 4.5.3.1: local part 64, domain 255, path 256 octets.
    #[error("address too long")]
    TooLong,
    /// Octets above 127 without SMTPUTF8, or no UTF-8 at all.
    #[error("non-ASCII address without SMTPUTF8")]
    NotAscii,
}

impl Mailbox {
    /// The local part as written, quotes included.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The local part with quoting undone: `"a\ b"` is `a b`.
    pub fn unquoted_local(&self) -> String {
        todo!()
    }

    /// True if it has octets above 127, so that it needs SMTPUTF8.
    pub fn needs_smtputf8(&self) -> bool {
        todo!()
    }
}

impl Domain {
    /// Lower-case ASCII form (A-labels) without a trailing dot, for comparing and for DNS; literals as `[...]`.
    pub fn to_ascii_lower(&self) -> String {
        todo!()
    }
}

impl PartialEq for Domain {
    fn eq(&self, _other: &Self) -> bool {
        todo!()
    }
}

impl Eq for Domain {}

impl fmt::Display for Domain {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl ReversePath {
    /// True for `<>`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl fmt::Display for ReversePath {
    /// Without angle brackets; the null reverse-path is the empty string.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Mailbox(mailbox) => mailbox.fmt(f),
        }
    }
}

impl fmt::Display for ForwardPath {
    /// Without angle brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster(text) => f.write_str(text),
            Self::Mailbox(mailbox) => mailbox.fmt(f),
        }
    }
}
