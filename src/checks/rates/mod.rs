//! Rates: who does something too often (`docs/rates.md`).
//!
//! A limit says how much of something somebody may do in a time. Three checks look whether somebody is over one, each
//! at the stage where whom it limits is known: [`AtConnect`], [`AtMail`], [`AtRcpt`]. What follows the policy
//! says. Looking takes nothing. What was done is taken from the buckets once it is certain: connections, errors and
//! unknown recipients as they happen ([`Witness`](crate::checks::Witness)), because a harvester may never finish a
//! transaction; the rest at the end of a transaction, and only if it does not come again.
//!
//! Our own machines have no limits at the edge. Where mail leaves, limits of their own hold
//! ([`Limit::outgoing`]), and failed authentications are counted; those are looked at before the next attempt, in the
//! middle of a dialogue and not by a check ([`Witness::restrains`](crate::checks::Witness::restrains)).
//!
//! Failure: a store that cannot be asked limits nobody, and is said as the outcome of the check.

mod check;
mod judge;
mod ledger;

use std::sync::Arc;

pub use check::{AtConnect, AtMail, AtRcpt};
pub use judge::judge;
pub use ledger::{Ledger, Ports};

use crate::facts::Stage;
use crate::scoring::Symbol;
use crate::store::Allowance;
use crate::units::{CidrSet, DomainSet};

/// One limit (`rules/rates.toml`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name; buckets are known by it.
    pub name: Arc<str>,
    /// What is found of whoever is over it.
    pub symbol: Symbol,
    /// Whom it limits.
    pub per: Subject,
    /// What it counts.
    pub of: Unit,
    /// How much is allowed; of octets, in KiB.
    pub allowance: Allowance,
    /// What is to follow.
    pub then: Answer,
    /// It holds for mail that leaves, and for nothing else.
    pub outgoing: bool,
    /// It is seen and counted, and decides nothing.
    pub shadow: bool,
    /// Clients that it does not limit.
    pub exempt_networks: CidrSet,
    /// Names, domains, and domains of addresses that it does not limit.
    pub exempt_domains: DomainSet,
}

/// Whom a limit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The client: an IPv4 address, or an IPv6 /64, which is what one customer gets.
    Client,
    /// Its network: an IPv4 /24, or an IPv6 /48.
    Network,
    /// The HELO name.
    Helo,
    /// The registered domain of the reverse-path.
    SenderDomain,
    /// The reverse-path.
    Sender,
    /// The forward-path.
    Recipient,
    /// The user who has authenticated, or is said to want to.
    User,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Connections that were not turned away.
    Connections,
    /// Transactions that do not come again.
    Transactions,
    /// Recipients of such transactions.
    Recipients,
    /// Recipients that the backend does not know.
    UnknownRecipients,
    /// Commands that were refused because they are wrong.
    Errors,
    /// Octets of messages, in KiB, of transactions that do not come again.
    Bytes,
    /// Authentications that the backend refused.
    AuthFailures,
}

/// What is to follow for whoever is over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Come again later.
    Defer,
    /// Replies take longer.
    Tarpit,
    /// What the symbol weighs.
    Score,
}

impl Limit {
    /// Where it is looked at: as soon as it is known whom it is about, and what was done so far.
    pub fn stage(&self) -> Stage {
        match (self.per, self.of) {
            (_, Unit::Connections) => Stage::Connect,
            (Subject::Recipient, _) | (_, Unit::Recipients | Unit::UnknownRecipients) => Stage::Rcpt,
            _ => Stage::Mail,
        }
    }

    /// True if what it counts can be counted for whom it is about: it must be known by then.
    pub fn makes_sense(&self) -> bool {
        match self.of {
            Unit::Connections => matches!(self.per, Subject::Client | Subject::Network),
            Unit::Errors => matches!(self.per, Subject::Client | Subject::Network | Subject::Helo),
            Unit::AuthFailures => matches!(self.per, Subject::Client | Subject::Network | Subject::User),
            // Of one recipient each transaction has one.
            Unit::Recipients | Unit::UnknownRecipients => self.per != Subject::Recipient,
            Unit::Transactions | Unit::Bytes => true,
        }
    }
}
