//! What DKIM (RFC 6376) and ARC (RFC 8617) have in common: fields that sign a message, and how one is
//! held against the message and the key in DNS.
//!
//! Reading, canonical forms and judging are our own, cryptography is mail-auth's. All questions to DNS
//! are known before the first is asked: there is no other way from here to the network.

pub mod canonical;
pub mod field;
pub mod hashes;
pub mod key;
pub mod section;
#[cfg(test)]
pub mod signer;
pub mod source;
pub mod tags;

pub use canonical::Form;
pub use field::{Coverage, Proof};
pub use hashes::BodyHash;
pub use key::{Keys, Opinion};
pub use section::Section;
pub use source::{PANICKED, Source, Stopped};
pub use tags::Tags;

/// Why a field or a record cannot be used; ours, short, but it may quote a stranger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsound(String);

impl Unsound {
    /// With this reason.
    pub fn new(reason: impl AsRef<str>) -> Self {
        Self(reason.as_ref().chars().take(120).collect())
    }
}

impl From<Unsound> for String {
    fn from(why: Unsound) -> Self {
        why.0
    }
}
