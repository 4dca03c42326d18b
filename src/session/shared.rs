//! What all sessions share, built once by the server.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use lru::LruCache;
use tokio::time::Instant;

use super::splits::Splits;
use super::spool::Spool;
use super::{Metrics, Partial, Settings};
use crate::backend::{Pool, Pools};
use crate::clock::Clock;
use crate::pipeline::Ruleset;
use crate::pipeline::canary::{Arm, Canary};
use crate::records::Recorder;
use crate::store::Deliveries;

/// What all sessions share.
pub struct Shared {
    /// Settings; swapped at reload, read at the beginning of a session.
    pub settings: ArcSwap<Settings>,
    /// What judges; swapped at reload, read at each MAIL.
    pub ruleset: ArcSwap<Ruleset>,
    /// New rules that judge some clients, if there are any on trial.
    pub canary: ArcSwapOption<Canary>,
    /// The rule set of clients that nothing is asked about, where nobody can be blocked.
    pub unjudged: Arc<Ruleset>,
    /// The backends; swapped at reload, read at each MAIL.
    pub pools: ArcSwap<Pools>,
    /// Where messages stay while they are judged.
    pub spool: Arc<Spool>,
    /// What is counted.
    pub metrics: Metrics,
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// Clients whose TLS handshake failed a while ago (DECISIONS 30).
    pub tls_failures: Recent<IpAddr>,
    /// Clients from whose addresses somebody has authenticated lately.
    pub logins: Recent<IpAddr>,
    /// Envelopes that must be split at RCPT when they come again (DECISIONS 2).
    pub splits: Splits,
    /// Messages that some recipients have and others have not (DECISIONS 26).
    pub partial: Partial,
    /// Sessions whose replies are held back.
    pub tarpit: Tarpit,
    /// Where records go, once somebody has said so.
    recorder: OnceLock<Recorder>,
}

/// A bounded set whose members are forgotten after a while.
pub struct Recent<K: Hash + Eq> {
    seen: Mutex<LruCache<K, Instant>>,
    lifetime: Duration,
}

impl<K: Hash + Eq> Recent<K> {
    /// Holds at most `capacity` members, each for `lifetime`.
    pub fn new(capacity: NonZeroUsize, lifetime: Duration) -> Self {
        Self { seen: Mutex::new(LruCache::new(capacity)), lifetime }
    }

    /// Remembers `key`.
    pub fn insert(&self, key: K) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).put(key, Instant::now() + self.lifetime);
    }

    /// True if `key` was remembered a short while ago.
    pub fn contains(&self, key: &K) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_empty() {
            return false;
        }
        match seen.get(key) {
            Some(until) if *until > Instant::now() => true,
            Some(_) => {
                seen.pop(key);
                false
            }
            None => false,
        }
    }
}

/// Counts those who wait on purpose, so that waiting cannot use up all sessions.
#[derive(Debug, Default)]
pub struct Tarpit(AtomicUsize);

/// One place in the [`Tarpit`]; given back when dropped.
pub struct Stuck<'a>(&'a AtomicUsize);

impl Tarpit {
    /// A place, if fewer than `most` are taken.
    pub fn enter(&self, most: usize) -> Option<Stuck<'_>> {
        let room = |taken: usize| (taken < most).then_some(taken + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok().map(|_| Stuck(&self.0))
    }
}

impl Drop for Stuck<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many clients with failed handshakes, clients that have authenticated, recipients of split envelopes, and of
/// messages that others have, are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(16 * 1024).expect("not zero");

impl Shared {
    /// Puts it together.
    pub fn new(
        settings: Settings,
        ruleset: Arc<Ruleset>,
        pool: Arc<Pool>,
        spool: Arc<Spool>,
        metrics: Metrics,
        clock: Arc<dyn Clock>,
        deliveries: Arc<dyn Deliveries>,
    ) -> Arc<Self> {
        Arc::new(Self {
            settings: ArcSwap::from_pointee(settings),
            ruleset: ArcSwap::new(ruleset),
            canary: ArcSwapOption::empty(),
            unjudged: Arc::new(Ruleset::empty()),
            pools: ArcSwap::from_pointee(Pools::new(pool)),
            spool,
            metrics,
            clock,
            tls_failures: Recent::new(REMEMBERED, Duration::from_secs(3600)),
            logins: Recent::new(REMEMBERED, Duration::from_secs(12 * 3600)),
            splits: Splits::new(REMEMBERED, Duration::from_secs(4 * 3600)),
            partial: Partial::new(REMEMBERED, Duration::from_secs(24 * 3600), deliveries),
            tarpit: Tarpit::default(),
            recorder: OnceLock::new(),
        })
    }

    /// From now on everything is recorded there; it stays with the first that is named.
    pub fn record_with(&self, recorder: Recorder) {
        // Whoever starts a proxy starts one recorder.
        let _ = self.recorder.set(recorder);
    }

    /// Where records go; `None`: nowhere.
    pub fn recorder(&self) -> Option<&Recorder> {
        self.recorder.get()
    }

    /// What judges a client that is judged.
    pub fn rules_of(&self, client: IpAddr) -> Arc<Ruleset> {
        let canary = self.canary.load();
        let on_trial = canary.as_ref().and_then(|canary| canary.judges(client));
        on_trial.cloned().unwrap_or_else(|| self.ruleset.load_full())
    }

    /// The trial that wants to know what `ruleset` decided, and on which side it stands.
    pub(super) fn on_trial(&self, ruleset: &Arc<Ruleset>) -> Option<(Arc<Canary>, Arm)> {
        let canary = self.canary.load();
        let canary = canary.as_ref()?;
        Some((canary.clone(), canary.arm(ruleset)?))
    }

    /// True if anybody wants to know what becomes of transactions.
    pub(super) fn is_recorded(&self) -> bool {
        self.recorder().is_some() || self.canary.load().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tarpit_has_so_many_places_and_gets_them_back() {
        let tarpit = Tarpit::default();
        let held = [tarpit.enter(2), tarpit.enter(2)];
        assert!(held.iter().all(Option::is_some) && tarpit.enter(2).is_none() && tarpit.enter(0).is_none());
        drop(held);
        assert!(tarpit.enter(1).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_seen_is_forgotten_after_a_while() {
        let recent = Recent::new(NonZeroUsize::new(2).expect("two"), Duration::from_secs(60));
        recent.insert(1);
        recent.insert(2);
        assert!(recent.contains(&1) && recent.contains(&2) && !recent.contains(&3));
        recent.insert(3);
        assert!(!recent.contains(&1), "the bound pushes the oldest out");
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(!recent.contains(&2) && !recent.contains(&3));
    }
}
