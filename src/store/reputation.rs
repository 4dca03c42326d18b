//! What senders have earned so far, as operations of the domain.
//!
//! A record is two sums of evidence, for wanted and for unwanted mail, each of which fades exponentially: after
//! [`Fading::half_life`] a message counts half. What weight follows from it is `checks::reputation`'s business.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use super::StoreError;

/// Whose reputation it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reputed {
    /// A client network, as an operator would write it (v4 /24, v6 /64).
    Network(Arc<str>),
    /// A domain that authenticates.
    Domain(Arc<str>),
    /// Mail of that domain from that network.
    Pair(Arc<str>, Arc<str>),
}

/// How fast the past fades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fading {
    /// After this time a message counts half.
    pub half_life: Duration,
}

impl Default for Fading {
    fn default() -> Self {
        Self { half_life: Duration::from_secs(14 * 86_400) }
    }
}

/// What is remembered, faded to the moment that was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReputationRecord {
    /// Evidence of wanted mail; a message is 1 at most.
    pub good: f64,
    /// Evidence of unwanted mail.
    pub bad: f64,
    /// The first message and the last one.
    pub first: SystemTime,
    /// See `first`.
    pub last: SystemTime,
}

/// Reputations.
///
/// Each operation is atomic, and one round trip however many it is about.
pub trait Reputations: Send + Sync + 'static {
    /// What is remembered of each, in their order.
    fn reputation_look<'a>(
        &'a self,
        whose: &'a [Reputed],
        fading: Fading,
        at: SystemTime,
    ) -> BoxFuture<'a, Result<Vec<Option<ReputationRecord>>, StoreError>>;

    /// Adds evidence to each: `good` and `bad` are 0 to 1.
    fn reputation_note(
        &self,
        whose: Vec<Reputed>,
        good: f64,
        bad: f64,
        fading: Fading,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Those with the most evidence, at most so many.
    fn reputation_list(
        &self,
        most: usize,
        fading: Fading,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<Vec<(Reputed, ReputationRecord)>, StoreError>>;

    /// Forgets; how many were there.
    fn reputation_reset(&self, whose: Vec<Reputed>) -> BoxFuture<'_, Result<usize, StoreError>>;
}
