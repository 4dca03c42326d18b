//! What a message shows its reader, as things that lists are asked about: hosts of links, their addresses,
//! and digests of mail addresses.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::join_all;

use super::digest::{Digest, canonical};
use super::question::{Skipped, fair_choice};
use super::source::{Source, addresses, first_error_unless_any};
use super::subject::Thing;
use super::{Settings, Shared};
use crate::checks::auth::Authenticator;
use crate::checks::links::links;
use crate::dns::Lookup;
use crate::facts::{self, MessageFacts};
use crate::scoring::CheckError;
use crate::smtp::{Domain, ForwardPath, Mailbox};

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

    const IS_SHOWN: bool = true;

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

    const IS_SHOWN: bool = true;

    async fn things(&self, facts: &MessageFacts) -> Result<Vec<Thing>, CheckError> {
        let hosts = links(facts).await.hosts.iter().filter(|host| !self.skipped.contains(host));
        let mut hosts: Vec<&Arc<str>> = hosts.collect();
        fair_choice(&mut hosts, self.most);
        let things = hosts.iter().map(|host| async {
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

    const IS_SHOWN: bool = true;

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
        let thing =
            |address: String| Thing::Digest { label: self.digest.of(&address), shown: self.digest.shown(&address) };
        Ok(asked.map(thing).collect())
    }
}

fn written(mailbox: &Mailbox) -> Option<String> {
    match mailbox.domain() {
        Domain::Name(domain) => Some(format!("{}@{domain}", mailbox.unquoted_local())),
        Domain::Literal(..) => None,
    }
}

#[cfg(test)]
mod tests;
