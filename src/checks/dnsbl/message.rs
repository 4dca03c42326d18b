//! What a message shows its reader, as things that lists are asked about: hosts of links, their addresses,
//! and digests of mail addresses.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use futures_util::future::join_all;

use super::question::{Skipped, normal_name};
use super::source::{Source, addresses, first_error_unless_any};
use super::subject::Thing;
use super::{Settings, Shared};
use crate::checks::auth::Authenticator;
use crate::checks::links::links;
use crate::dns::Lookup;
use crate::facts::{self, MessageFacts};
use crate::scoring::CheckError;
use crate::smtp::{Domain, ForwardPath, Mailbox};

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

/// See [`Subject::Url`](super::Subject::Url).
pub struct Urls;

/// See [`Subject::UrlAddress`](super::Subject::UrlAddress).
pub struct UrlAddresses {
    dns: Arc<dyn Lookup>,
    skipped: Arc<Skipped>,
    /// Hosts that are looked up.
    most: usize,
    ipv4: bool,
    ipv6: bool,
}

/// See [`Subject::EmailHash`](super::Subject::EmailHash).
pub struct EmailHashes {
    authenticator: Arc<Authenticator>,
    digest: Digest,
}

impl Source for Urls {
    type Facts = MessageFacts;

    async fn things(&self, facts: &MessageFacts) -> Result<Vec<Thing>, CheckError> {
        let thing = |host: &Arc<str>| match host.parse::<IpAddr>() {
            Ok(address) => Thing::Address(address),
            Err(_) => Thing::Name(Arc::clone(host)),
        };
        Ok(links(facts).await.hosts.iter().map(thing).collect())
    }
}

impl UrlAddresses {
    /// For the list of `settings`.
    pub fn new(settings: &Settings, shared: &Shared) -> Self {
        Self {
            dns: Arc::clone(&shared.dns),
            skipped: Arc::clone(&shared.skipped),
            most: settings.questions,
            ipv4: settings.ipv4,
            ipv6: settings.ipv6,
        }
    }
}

impl Source for UrlAddresses {
    type Facts = MessageFacts;

    async fn things(&self, facts: &MessageFacts) -> Result<Vec<Thing>, CheckError> {
        let hosts = links(facts).await.hosts.iter().filter(|host| !self.skipped.contains(host)).take(self.most);
        let things = hosts.map(|host| async {
            match host.parse::<IpAddr>() {
                Ok(address) => Ok(vec![Thing::Address(address)]),
                Err(_) => addresses(&*self.dns, host, self.ipv4, self.ipv6).await,
            }
        });
        first_error_unless_any(join_all(things).await)
    }
}

impl EmailHashes {
    /// For the list of `settings`.
    pub fn new(settings: &Settings, shared: &Shared) -> Self {
        Self { authenticator: Arc::clone(&shared.authenticator), digest: settings.digest }
    }
}

impl Source for EmailHashes {
    type Facts = MessageFacts;

    /// Of the reverse-path, the author, and whom the reader is to write to; the reader's own is none of
    /// them. Domains that are too big to be listed are not skipped: their mailboxes are what is listed.
    async fn things(&self, facts: &MessageFacts) -> Result<Vec<Thing>, CheckError> {
        let sender = facts.mail.reverse_path.mailbox().and_then(written);
        let author = match self.authenticator.author(facts).await {
            facts::Author::One { address, .. } => Some(address.clone()),
            _ => None,
        };
        let shown = links(facts).await.addresses.iter().map(|address| address.to_string());
        let recipients = facts.recipients.iter().filter_map(ForwardPath::mailbox).filter_map(written);
        let readers: Vec<String> = recipients.filter_map(|address| canonical(&address)).collect();
        let addresses = sender.into_iter().chain(author).chain(shown).filter_map(|address| canonical(&address));
        let asked = addresses.filter(|address| !readers.contains(address));
        Ok(asked.map(|shown| Thing::Digest { label: self.digest.of(&shown), shown }).collect())
    }
}

fn written(mailbox: &Mailbox) -> Option<String> {
    match mailbox.domain() {
        Domain::Name(domain) => Some(format!("{}@{domain}", mailbox.unquoted_local())),
        Domain::Literal(..) => None,
    }
}

/// An address in the one form that stands for all that lead to the same mailbox,
/// as the makers of these lists define it: lower case, without a tag; Gmail also ignores dots and answers
/// to two domains.
fn canonical(address: &str) -> Option<String> {
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
