//! Reputation: what senders have earned with the mail that they sent before (`docs/reputation.md`).
//!
//! A record is kept of each client network, of each domain that authenticates mail, and of their pairs. One check
//! weighs a message by them and learns from what became of it; another learns of clients that were refused
//! before they could send one. What this check itself adds to a score never counts when it learns: it is told what
//! would have become of the message without it ([`Fate::others`](super::Fate)).
//!
//! Failure: a store that cannot be asked says nothing about anybody, and that is the outcome of the check.

mod check;
mod judge;

pub use check::{AfterMessage, Ports, Refusals, network_of};
pub use judge::{Leaning, Lesson, Standing, judge, lesson};

use crate::scoring::Score;
use crate::store::Fading;
use crate::units::DomainSet;

/// What an administrator can set about it (`rules/reputation.toml`).
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How fast the past fades.
    pub fading: Fading,
    /// Messages, faded, before anything is said.
    pub minimum: f64,
    /// Messages of doubt: so many wanted and so many unwanted ones that were never seen are added to each sum.
    pub prior: f64,
    /// Forwarded mail with a lower score is wanted mail; between this and the tag nothing is learned.
    pub good_below: Score,
    /// Domains that many senders share: they have no reputation.
    pub shared: DomainSet,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            fading: Fading::default(),
            minimum: 5.0,
            prior: 2.0,
            good_below: Score::hundredths(200),
            shared: DomainSet::default(),
        }
    }
}
