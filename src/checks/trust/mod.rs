//! Whom the operator knows (`rules/trust.toml`): forwarders, mailing lists, ARC sealers; senders to let
//! pass, and senders to refuse.
//!
//! Everyone forges the allowlisted bank (DECISIONS 37): an entry that names senders holds only with
//! evidence beside it, unless it says that it needs none. Three checks, one per stage at which something
//! is known: [`Clients`], [`Senders`], [`Authors`].

mod author;
mod client;
pub mod results;
mod sender;

use std::sync::Arc;

pub use author::Authors;
pub use client::Clients;
pub use sender::Senders;

use crate::facts::{ClientFacts, ClientName};
use crate::units::{CidrSet, DomainSet};

/// Everybody whom the operator knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Hosts that forward mail of others to us.
    pub forwarders: Vec<Clientele>,
    /// Mailing lists.
    pub lists: Vec<List>,
    /// `d=` of ARC seals that are believed.
    pub sealers: DomainSet,
    /// Senders to let pass.
    pub allowed: Vec<Entry>,
    /// Senders to refuse.
    pub denied: Vec<Entry>,
}

/// Clients by name and network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clientele {
    /// Confirmed client names.
    pub names: DomainSet,
    /// Networks.
    pub networks: CidrSet,
    /// Why, in the operator's words; shown as evidence.
    pub reason: Arc<str>,
}

/// One mailing list or a family of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// List-Id identifiers (RFC 2919), as domains.
    pub ids: DomainSet,
    /// Domains whose DKIM signature the lists' mail carries.
    pub signers: DomainSet,
    /// Clients that they send from.
    pub clients: Clientele,
}

/// Senders, and the evidence that they are who they say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Addresses in lower case.
    pub addresses: Vec<Arc<str>>,
    /// Domains.
    pub domains: DomainSet,
    /// Clients: the evidence if senders are named, else all that the entry is about.
    pub clients: Clientele,
    /// Holds without evidence.
    pub unauthenticated: bool,
}

/// What is known of the client when an entry is looked at.
#[derive(Clone, Debug)]
struct Caller<'a> {
    facts: &'a ClientFacts,
    name: Option<Arc<str>>,
}

impl Clientele {
    /// True if it names nobody.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.networks.is_empty()
    }

    fn holds(&self, caller: &Caller<'_>) -> bool {
        self.networks.contains(caller.facts.addr)
            || caller.name.as_deref().is_some_and(|name| self.names.contains(name))
    }
}

impl Entry {
    /// True if it is about clients alone.
    pub fn is_about_clients(&self) -> bool {
        self.addresses.is_empty() && self.domains.is_empty()
    }

    fn names(&self, address: &str, domain: &str) -> bool {
        self.domains.contains(domain) || self.names_address(address)
    }

    /// Of an address whose local part has no quotes and whose domain is in A-labels.
    fn names_address(&self, address: &str) -> bool {
        self.addresses.iter().any(|known| *known.to_lowercase() == *address.to_lowercase())
    }
}

impl<'a> Caller<'a> {
    fn new(facts: &'a ClientFacts, name: Option<ClientName>) -> Self {
        let name = match name {
            Some(ClientName::Confirmed(name)) => Some(name),
            _ => None,
        };
        Self { facts, name }
    }

    fn shown(&self) -> String {
        self.name.as_ref().map_or_else(|| self.facts.addr.to_string(), |name| name.to_string())
    }
}

#[cfg(test)]
mod tests;
