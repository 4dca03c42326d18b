//! Greylisting: who is new must come again (`docs/greylist.md`).
//!
//! Two checks observe how we stand with a sender: [`AtRcpt`] for one recipient, and [`AfterMessage`] for all that
//! are left. What follows from their symbols, and for whom, the policy says; no delay is decided here. What
//! is remembered is written once the fate of the transaction is known.
//!
//! A triplet is held by the sender's network, or, if SPF or DKIM authenticate it, by the domain that does: a
//! pool that comes again from another address is the same sender. A domain whose SPF lets everybody pass
//! authenticates nobody, and a domain that many senders share is nobody's.
//!
//! Failure: a store that cannot be asked delays nobody, and is said as the outcome of the check.

mod check;
mod judge;
mod key;

use std::collections::HashSet;
use std::time::Duration;

pub use check::{AfterMessage, AtRcpt, Ports};
pub use judge::{Standing, judge};
pub use key::{Origin, Sender, keys_of, recipient_key, sender_key};

use crate::smtp::{Domain, ForwardPath};
use crate::units::{CidrSet, DomainSet};

/// What an administrator can set about it (`rules/greylist.toml`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Who comes again sooner is too early.
    pub delay: Duration,
    /// Who comes again later is new; counted from the first attempt.
    pub window: Duration,
    /// So many good deliveries let a sender pass whatever it sends to whomever.
    pub pass_after: u32,
    /// What was earned lasts so long after the last delivery.
    pub lifetime: Duration,
    /// Bits of an IPv4 address that make a network.
    pub ipv4_prefix: u8,
    /// The same of IPv6; 64 at most.
    pub ipv6_prefix: u8,
    /// Domains that many senders share: they neither hold triplets nor pass.
    pub shared: DomainSet,
    /// Who is never delayed.
    pub exempt: Exemptions,
}

/// Who is never delayed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exemptions {
    /// Domains that authenticate the sender.
    pub domains: DomainSet,
    /// Confirmed names of clients.
    pub client_names: DomainSet,
    /// Networks of clients, such as those of one's own backup MX.
    pub networks: CidrSet,
    /// Recipients who want their mail at once.
    pub recipients: Recipients,
    /// Whom our users have written to: may answer at once, if its domain authenticates it.
    pub correspondents: bool,
}

/// Recipients by address and by domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients {
    /// Addresses as [`recipient_key`] writes them.
    pub addresses: HashSet<String>,
    /// Domains.
    pub domains: DomainSet,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(180),
            window: Duration::from_secs(48 * 3600),
            pass_after: 5,
            lifetime: Duration::from_secs(36 * 86_400),
            ipv4_prefix: 24,
            ipv6_prefix: 64,
            shared: DomainSet::default(),
            exempt: Exemptions::default(),
        }
    }
}

impl Recipients {
    /// True if it names `path`.
    pub fn contains(&self, path: &ForwardPath) -> bool {
        let of_domain = || match path.mailbox().map(|mailbox| mailbox.domain()) {
            Some(name @ Domain::Name(_)) => self.domains.contains(&name.to_ascii_lower()),
            _ => false,
        };
        self.addresses.contains(&recipient_key(path)) || of_domain()
    }
}
