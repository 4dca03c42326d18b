//! How lists of mail addresses hide them: one form for each mailbox, and the label that stands for it.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use super::question::normal_name;

/// How a list of mail addresses hides them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-1, hexadecimal.
    Sha1Hex,
    /// SHA-1, base32 (RFC 4648 6) without padding.
    Sha1Base32,
    /// SHA-256, base32 without padding. In hexadecimal it would be longer than a label can be.
    Sha256Base32,
}

/// An address in the one form that stands for all that lead to the same mailbox,
/// as the makers of these lists define it: lower case, without a tag; Gmail also ignores dots and answers
/// to two domains.
pub(super) fn canonical(address: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@')?;
    let mut domain = normal_name(domain)?;
    let local = local.to_lowercase();
    // What begins with `+` is no tag.
    let mut local =
        local.split_once('+').map(|(name, _)| name).filter(|name| !name.is_empty()).unwrap_or(&local).to_owned();
    if domain == "googlemail.com" {
        domain = "gmail.com".to_owned();
    }
    if domain == "gmail.com" {
        local.retain(|character| character != '.');
    }
    (!local.is_empty()).then(|| format!("{local}@{domain}"))
}

impl Digest {
    /// What may stand in logs and replies for the mail address `text`: whose it is, is nobody's business there.
    /// The beginning of its label, by which who knows it finds it again, and its domain.
    pub(super) fn shown(self, text: &str) -> String {
        let (label, domain) = (self.of(text), text.rsplit_once('@').map_or("", |(_, domain)| domain));
        format!("{}... at {domain}", label.get(..8).unwrap_or_default())
    }

    /// The label that stands for `text`.
    pub fn of(self, text: &str) -> String {
        let algorithm = match self {
            Self::Sha1Hex | Self::Sha1Base32 => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256Base32 => &SHA256,
        };
        let digest = digest(algorithm, text.as_bytes());
        match self {
            Self::Sha1Hex => digest.as_ref().iter().map(|octet| format!("{octet:02x}")).collect(),
            Self::Sha1Base32 | Self::Sha256Base32 => base32(digest.as_ref()),
        }
    }
}

/// Base32 (RFC 4648 6), without padding, in lower case like every name that we ask for.
fn base32(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut out = String::with_capacity(octets.len().div_ceil(5) * 8);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for &octet in octets {
        bits = (bits << 8) | u32::from(octet);
        held += 8;
        while held >= 5 {
            held -= 5;
            out.push(char::from(ALPHABET[(bits >> held & 31) as usize]));
        }
    }
    if held > 0 {
        out.push(char::from(ALPHABET[(bits << (5 - held) & 31) as usize]));
    }
    out
}

#[cfg(test)]
mod tests;
