//! Where in a session the things are found that lists are asked about: one source per [`Subject`].
//!
//! [`add`] is the one place that knows which source belongs to which subject. A new one is a type here,
//! or in a file beside, and an arm there.
//!
//! [`Subject`]: super::Subject

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::join_all;

use super::message::{EmailHashes, UrlAddresses, Urls};
use super::question::{Skipped, normal_name};
use super::subject::{Subject, Thing};
use super::{Dnsbl, Lists, Settings};
use crate::checks::auth::Authenticator;
use crate::checks::client_name::ClientNames;
use crate::checks::{Facts, Registry, RegistryError};
use crate::dns::{Lookup, LookupError};
use crate::facts::{ClientFacts, ClientName, HeloFacts, MailFacts, MessageFacts};
use crate::scoring::CheckError;
use crate::smtp::Domain;
use crate::units::registered_domain;

/// Finds what a list is asked about.
pub trait Source: Send + Sync + 'static {
    /// Where it looks; this is the stage of the check.
    type Facts: Facts;

    /// True for what a message shows its reader, whoever sends it; other things tell who sends it.
    const IS_SHOWN: bool = false;

    /// What there is to ask about; nothing if these facts show nothing of the kind.
    ///
    /// # Errors
    /// It could not be found out.
    fn things(&self, facts: &Self::Facts) -> impl Future<Output = Result<Vec<Thing>, CheckError>> + Send;
}

/// What the checks of all lists share.
#[derive(Clone)]
pub struct Shared {
    /// Where names are looked up.
    pub dns: Arc<dyn Lookup>,
    /// Finds client names.
    pub client_names: ClientNames,
    /// Knows authors and signatures.
    pub authenticator: Arc<Authenticator>,
    /// Names that no list is asked about.
    pub skipped: Arc<Skipped>,
    /// The health of lists.
    pub lists: Arc<Lists>,
}

/// Registers the check of one list.
///
/// # Errors
/// Its name or one of its symbols is taken.
pub fn add(registry: &mut Registry, settings: Settings, shared: &Shared) -> Result<(), RegistryError> {
    let authenticator = || Arc::clone(&shared.authenticator);
    match settings.of {
        Subject::Client => registry.add(Dnsbl::new(settings, Client, shared)),
        Subject::Helo => registry.add(Dnsbl::new(settings, Helo, shared)),
        Subject::ClientName => registry.add(Dnsbl::new(settings, NameOfClient(shared.client_names.clone()), shared)),
        Subject::Sender => registry.add(Dnsbl::new(settings, Sender, shared)),
        Subject::Author => registry.add(Dnsbl::new(settings, Author(authenticator()), shared)),
        Subject::Dkim => registry.add(Dnsbl::new(settings, Dkim(authenticator()), shared)),
        Subject::NameServer => {
            let servers = NameServers::new(&settings, shared);
            registry.add(Dnsbl::new(settings, servers, shared))
        }
        Subject::NameServerAddress => {
            let servers = NameServerAddresses(NameServers::new(&settings, shared));
            registry.add(Dnsbl::new(settings, servers, shared))
        }
        Subject::Url => registry.add(Dnsbl::new(settings, Urls, shared)),
        Subject::UrlAddress => {
            let addresses = UrlAddresses::new(&settings, shared);
            registry.add(Dnsbl::new(settings, addresses, shared))
        }
        Subject::EmailHash => {
            let hashes = EmailHashes::new(&settings, shared);
            registry.add(Dnsbl::new(settings, hashes, shared))
        }
    }
}

/// See [`Subject::Client`].
pub struct Client;

/// See [`Subject::Helo`].
pub struct Helo;

/// See [`Subject::ClientName`].
pub struct NameOfClient(ClientNames);

/// See [`Subject::Sender`].
pub struct Sender;

/// See [`Subject::Author`].
pub struct Author(Arc<Authenticator>);

/// See [`Subject::Dkim`].
pub struct Dkim(Arc<Authenticator>);

/// See [`Subject::NameServer`].
pub struct NameServers {
    authenticator: Arc<Authenticator>,
    dns: Arc<dyn Lookup>,
    skipped: Arc<Skipped>,
    /// Domains, and name servers of them all, that are looked at.
    most: usize,
    ipv4: bool,
    ipv6: bool,
}

/// See [`Subject::NameServerAddress`].
pub struct NameServerAddresses(NameServers);

impl Source for Client {
    type Facts = ClientFacts;

    async fn things(&self, facts: &ClientFacts) -> Result<Vec<Thing>, CheckError> {
        Ok(vec![Thing::Address(facts.addr)])
    }
}

impl Source for Helo {
    type Facts = HeloFacts;

    async fn things(&self, facts: &HeloFacts) -> Result<Vec<Thing>, CheckError> {
        Ok(vec![Thing::Name(facts.name.as_str().into())])
    }
}

impl Source for NameOfClient {
    type Facts = ClientFacts;

    async fn things(&self, facts: &ClientFacts) -> Result<Vec<Thing>, CheckError> {
        match self.0.of(facts).await.map_err(|why| CheckError::Dns(why.to_string()))? {
            Some(ClientName::Confirmed(name)) => Ok(vec![Thing::Name(name)]),
            // A name that does not lead back is anybody's.
            Some(ClientName::Unconfirmed(_) | ClientName::None) | None => Ok(Vec::new()),
        }
    }
}

impl Source for Sender {
    type Facts = MailFacts;

    async fn things(&self, facts: &MailFacts) -> Result<Vec<Thing>, CheckError> {
        Ok(sender_domain(facts).map(|domain| Thing::Name(domain.into())).into_iter().collect())
    }
}

impl Source for Author {
    type Facts = MessageFacts;

    async fn things(&self, facts: &MessageFacts) -> Result<Vec<Thing>, CheckError> {
        Ok(self.0.author(facts).await.domains().iter().cloned().map(Thing::Name).collect())
    }
}

impl Source for Dkim {
    type Facts = MessageFacts;

    async fn things(&self, facts: &MessageFacts) -> Result<Vec<Thing>, CheckError> {
        Ok(self.0.dkim(facts).await.passed().map(|signature| Thing::Name(signature.domain.clone())).collect())
    }
}

impl Source for NameServers {
    type Facts = MessageFacts;

    async fn things(&self, facts: &MessageFacts) -> Result<Vec<Thing>, CheckError> {
        Ok(self.names(facts).await?.into_iter().map(Thing::Name).collect())
    }
}

impl Source for NameServerAddresses {
    type Facts = MessageFacts;

    async fn things(&self, facts: &MessageFacts) -> Result<Vec<Thing>, CheckError> {
        let names = self.0.names(facts).await?;
        let found = join_all(names.iter().map(|name| addresses(&*self.0.dns, name, self.0.ipv4, self.0.ipv6))).await;
        first_error_unless_any(found)
    }
}

impl NameServers {
    fn new(settings: &Settings, shared: &Shared) -> Self {
        Self {
            authenticator: Arc::clone(&shared.authenticator),
            dns: Arc::clone(&shared.dns),
            skipped: Arc::clone(&shared.skipped),
            most: settings.questions,
            ipv4: settings.ipv4,
            ipv6: settings.ipv6,
        }
    }

    /// The name servers of the registered domains of sender and author.
    async fn names(&self, facts: &MessageFacts) -> Result<Vec<Arc<str>>, CheckError> {
        let author = self.authenticator.author(facts).await;
        let written = sender_domain(&facts.mail).into_iter().chain(author.domains().iter().map(|domain| &**domain));
        let domains: BTreeSet<String> = written
            .filter_map(normal_name)
            .filter(|name| !self.skipped.contains(name))
            .filter_map(|name| registered_domain(&name).map(str::to_owned))
            .take(self.most)
            .collect();
        let servers = join_all(domains.iter().map(|domain| async {
            Ok(self.dns.ns(domain).await.map_err(|why| CheckError::Dns(why.to_string()))?.records.to_vec())
        }));
        let mut names: Vec<Arc<str>> = Vec::new();
        for name in first_error_unless_any(servers.await)? {
            if names.len() < self.most && !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// The addresses of a name, of the families that a list has.
pub(super) async fn addresses(dns: &dyn Lookup, name: &str, ipv4: bool, ipv6: bool) -> Result<Vec<Thing>, CheckError> {
    let v4 = async {
        let found = if ipv4 { dns.a(name).await?.records.to_vec() } else { Vec::new() };
        Ok(found.into_iter().map(|addr| Thing::Address(addr.into())).collect())
    };
    let v6 = async {
        let found = if ipv6 { dns.aaaa(name).await?.records.to_vec() } else { Vec::new() };
        Ok(found.into_iter().map(|addr| Thing::Address(addr.into())).collect())
    };
    let (v4, v6) = tokio::join!(v4, v6);
    first_error_unless_any(vec![v4, v6]).map_err(|why: LookupError| CheckError::Dns(why.to_string()))
}

/// All that was found, one of each by turns, so that nobody's many keep out what others have; an error only if
/// there is nothing but errors.
pub(super) fn first_error_unless_any<T, E>(found: Vec<Result<Vec<T>, E>>) -> Result<Vec<T>, E> {
    let (mut rows, mut error) = (Vec::new(), None);
    for one in found {
        match one {
            Ok(things) => rows.push(things.into_iter()),
            Err(why) => error = error.or(Some(why)),
        }
    }
    let mut all = Vec::new();
    while !rows.is_empty() {
        rows.retain_mut(|row| {
            let next = row.next();
            let more = next.is_some();
            all.extend(next);
            more
        });
    }
    match error {
        Some(why) if all.is_empty() => Err(why),
        _ => Ok(all),
    }
}

fn sender_domain(facts: &MailFacts) -> Option<&str> {
    match facts.reverse_path.mailbox()?.domain() {
        Domain::Name(name) => Some(name),
        Domain::Literal(..) => None,
    }
}

#[cfg(test)]
mod tests;
