//! All that we use of mail-auth for DKIM and ARC: digests, keys, and whether a signature is right.
//!
//! Its own walk through a message is not used. It takes the last of two tags of one name and does without
//! `v=` and `a=`, takes `l=0` for no `l=`, ignores `h=` and `s=` of a key, lets rsa-sha1 pass, counts fields
//! in time that grows with the square of their number, reports no ARC at all where only
//! ARC-Message-Signature is missing, has an own opinion of where the header section ends, and would ask DNS
//! itself for what is not in its caches. Nothing here can.

use mail_auth::common::crypto::{self, HashContext as _, HashImpl as _, Sha256};
use mail_auth::common::headers::Writer as _;
use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::common::verify::DomainKey;
use mail_parser::decoders::base64::base64_decode;

/// How a field was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Known by name only: no such signature is ever verified (RFC 8301 3.1).
    RsaSha1,
    /// RFC 6376.
    RsaSha256,
    /// RFC 8463.
    Ed25519Sha256,
}

/// What sort of key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RFC 8017, PKCS #1 v1.5.
    Rsa,
    /// RFC 8032.
    Ed25519,
}

/// A key to hold signatures against.
pub struct PublicKey {
    kind: KeyKind,
    bits: Option<u32>,
    key: DomainKey,
}

/// A SHA-256 digest on its way.
pub struct Digest(<Sha256 as crypto::HashImpl>::Context);

impl Algorithm {
    /// By its name in `a=`.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::RsaSha256, Self::Ed25519Sha256, Self::RsaSha1];
        all.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(name))
    }

    /// Its name in `a=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RsaSha1 => "rsa-sha1",
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
        }
    }

    /// What sort of key it needs.
    pub fn kind(self) -> KeyKind {
        match self {
            Self::RsaSha1 | Self::RsaSha256 => KeyKind::Rsa,
            Self::Ed25519Sha256 => KeyKind::Ed25519,
        }
    }
}

impl PublicKey {
    /// From `p=` of a key record, without white space; `None` if it is no key of this kind.
    pub fn new(kind: KeyKind, base64: &str) -> Option<Self> {
        let name = match kind {
            KeyKind::Rsa => "rsa",
            KeyKind::Ed25519 => "ed25519",
        };
        let key = DomainKey::parse(format!("v=DKIM1; k={name}; p={base64}").as_bytes()).ok()?;
        let bits = match kind {
            KeyKind::Rsa => Some(u32::try_from(key.p.public_key_bits()).ok().filter(|bits| *bits > 0)?),
            // Without the wrapping of X.509 (RFC 8463 4.2); mail-auth takes any length.
            KeyKind::Ed25519 => decode_base64(base64).filter(|key| key.len() == 32).map(|_| None)?,
        };
        Some(Self { kind, bits, key })
    }

    /// What sort of key it is.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Bits of the modulus, in whole octets, if it is an RSA key.
    pub fn rsa_bits(&self) -> Option<u32> {
        self.bits
    }

    /// True if `signature`, made with SHA-256, is this key's over `input`.
    pub fn verifies(&self, input: &[u8], signature: &[u8]) -> bool {
        let algorithm = match self.kind {
            KeyKind::Rsa => crypto::Algorithm::RsaSha256,
            KeyKind::Ed25519 => crypto::Algorithm::Ed25519Sha256,
        };
        self.key.p.verify_bytes(input, signature, algorithm).is_ok()
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicKey").field("kind", &self.kind).field("bits", &self.bits).finish_non_exhaustive()
    }
}

impl Digest {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self(Sha256::hasher())
    }

    /// Of more.
    pub fn update(&mut self, octets: &[u8]) {
        self.0.write(octets);
    }

    /// The digest.
    pub fn finish(self) -> Vec<u8> {
        self.0.complete().as_ref().to_vec()
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

/// Base64 without white space; `None` if it is none. Missing padding is forgiven, mail-auth's decoder
/// would forgive everything else too.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let data = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let plain = data.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/'));
    (plain && data.len() % 4 != 1).then(|| base64_decode(data.as_bytes())).flatten()
}
