//! Key records (RFC 6376 3.6.1), and what a key says of a signature.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::tags::{Tags, items, squeeze};
use super::{Proof, Unsound};
use crate::checks::auth::mail_auth::{KeyKind, PublicKey, decode_base64};
use crate::dns::{Lookup, LookupError};
use crate::facts::AuthResult;

/// Questions on their way at one time, for one message.
const AT_ONCE: usize = 8;
/// Records at one name that are tried; there should be one (RFC 6376 3.6.2.2).
const MAX_RECORDS: usize = 4;
/// Below and above that nobody verifies RSA signatures (RFC 8301 3.2; the library's own bounds).
const RSA_BITS: std::ops::RangeInclusive<u32> = 1024..=8192;

/// A key record, understood.
#[derive(Debug)]
pub struct KeyRecord {
    key: PublicKey,
    /// `t=s`: `i=` must have the very domain of `d=`.
    exact_domain: bool,
    /// `t=y`.
    testing: bool,
    /// `h=` lets SHA-256 be.
    sha256: bool,
    /// `s=` lets mail be.
    mail: bool,
}

/// What is at the name of a key.
#[derive(Debug)]
pub enum KeyAnswer {
    /// Records, each understood or not; never none.
    Records(Vec<Result<KeyRecord, Unsound>>),
    /// No record.
    Missing,
    /// The name is none.
    NotAName,
    /// Could not be found out.
    Unknown(LookupError),
}

/// The keys of a message by name.
#[derive(Debug, Default)]
pub struct Keys(BTreeMap<String, KeyAnswer>);

/// What became of one signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opinion {
    /// How it ended: `Pass`, `Fail`, `Policy`, `TempError` or `PermError`.
    pub result: AuthResult,
    /// Why it did not pass.
    pub reason: String,
    /// Bits of the key, if it is an RSA key.
    pub key_bits: Option<u32>,
    /// The domain is testing.
    pub testing: bool,
}

impl Keys {
    /// Asks for each name once, a few at a time.
    pub async fn fetch(dns: &Arc<dyn Lookup>, names: impl IntoIterator<Item = String>) -> Self {
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let questions = names.into_iter().map(|name| async move {
            let answer = dns.txt(&name).await.map(|answer| answer.records);
            (name, KeyAnswer::read(answer))
        });
        Self(stream::iter(questions).buffer_unordered(AT_ONCE).collect().await)
    }

    /// Holds a signature over `input` against its key. `subdomain` says that `i=` names a subdomain of `d=`.
    pub fn verify(&self, proof: &Proof, input: &[u8], subdomain: bool, min_rsa_bits: u32) -> Opinion {
        match self.0.get(&proof.key_name()) {
            Some(KeyAnswer::Records(records)) => {
                let opinions = records.iter().map(|record| match record {
                    Ok(record) => record.verify(proof, input, subdomain, min_rsa_bits),
                    Err(why) => Opinion::new(AuthResult::PermError, why.to_string()),
                });
                // Of several records, any that fits will do (RFC 6376 6.1.2).
                let best = opinions.min_by_key(|opinion| match opinion.result {
                    AuthResult::Pass => 0,
                    AuthResult::Policy => 1,
                    AuthResult::Fail => 2,
                    _ => 3,
                });
                best.unwrap_or_else(|| Opinion::new(AuthResult::PermError, "no key"))
            }
            Some(KeyAnswer::Missing) => Opinion::new(AuthResult::PermError, "no key"),
            Some(KeyAnswer::NotAName) => Opinion::new(AuthResult::PermError, "the key's name is none"),
            Some(KeyAnswer::Unknown(why)) => Opinion::new(AuthResult::TempError, format!("DNS: {why}")),
            None => Opinion::new(AuthResult::TempError, "the key was not asked for"),
        }
    }
}

impl KeyAnswer {
    fn read(answer: Result<Arc<[Arc<str>]>, LookupError>) -> Self {
        match answer {
            Ok(records) if records.is_empty() => Self::Missing,
            Ok(records) => {
                Self::Records(records.iter().take(MAX_RECORDS).map(|record| KeyRecord::read(record)).collect())
            }
            Err(LookupError::NotAName) => Self::NotAName,
            Err(why) => Self::Unknown(why),
        }
    }
}

impl KeyRecord {
    /// Reads a record. Tags that we do not know mean nothing, `g=` of RFC 4871 among them.
    ///
    /// # Errors
    /// It holds no key that can be used.
    pub fn read(text: &str) -> Result<Self, Unsound> {
        let tags = Tags::parse(text.as_bytes()).map_err(|why| Unsound::new(format!("broken key record: {why}")))?;
        if tags.get("v").is_some_and(|version| version != "DKIM1") {
            return Err(Unsound::new("the record is no DKIM key"));
        }
        let has = |name: &str, wanted: &[&str]| {
            let listed = |list| items(list).any(|item| wanted.iter().any(|word| item.eq_ignore_ascii_case(word)));
            tags.get(name).map(listed)
        };
        let kind = match tags.get("k") {
            None => KeyKind::Rsa,
            Some(kind) if kind.eq_ignore_ascii_case("rsa") => KeyKind::Rsa,
            Some(kind) if kind.eq_ignore_ascii_case("ed25519") => KeyKind::Ed25519,
            Some(_) => return Err(Unsound::new("the key is of a kind unknown to us")),
        };
        let key = squeeze(tags.get("p").ok_or_else(|| Unsound::new("the key record has no `p=`"))?);
        if key.is_empty() {
            return Err(Unsound::new("the key is revoked"));
        }
        let key = decode_base64(&key).and_then(|_| PublicKey::new(kind, &key));
        Ok(Self {
            key: key.ok_or_else(|| Unsound::new("the key record holds no key"))?,
            exact_domain: has("t", &["s"]).unwrap_or(false),
            testing: has("t", &["y"]).unwrap_or(false),
            sha256: has("h", &["sha256"]).unwrap_or(true),
            mail: has("s", &["*", "email"]).unwrap_or(true),
        })
    }

    fn verify(&self, proof: &Proof, input: &[u8], subdomain: bool, min_rsa_bits: u32) -> Opinion {
        let (result, reason) = self.judge(proof, input, subdomain, min_rsa_bits);
        Opinion { result, reason: reason.into(), key_bits: self.key.rsa_bits(), testing: self.testing }
    }

    fn judge(&self, proof: &Proof, input: &[u8], subdomain: bool, min_rsa_bits: u32) -> (AuthResult, &'static str) {
        if proof.algorithm.kind() != self.key.kind() {
            return (AuthResult::PermError, "the key is of another kind than the signature");
        }
        if !self.mail {
            return (AuthResult::PermError, "the key is not for mail");
        }
        if !self.sha256 {
            return (AuthResult::PermError, "the key is not for SHA-256");
        }
        if self.exact_domain && subdomain {
            return (AuthResult::PermError, "the key is not for subdomains");
        }
        match self.key.rsa_bits() {
            Some(bits) if bits < *RSA_BITS.start() => return (AuthResult::Policy, "the key is too short"),
            Some(bits) if bits > *RSA_BITS.end() => return (AuthResult::Policy, "the key is too long"),
            _ => {}
        }
        if !self.key.verifies(input, &proof.signature) {
            return (AuthResult::Fail, "the signature does not verify");
        }
        match self.key.rsa_bits() {
            Some(bits) if bits < min_rsa_bits => (AuthResult::Policy, "the key is too short"),
            _ => (AuthResult::Pass, ""),
        }
    }
}

impl Opinion {
    /// An opinion that needed no key.
    pub fn new(result: AuthResult, reason: impl Into<String>) -> Self {
        Self { result, reason: reason.into(), key_bits: None, testing: false }
    }
}
