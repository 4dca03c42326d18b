//! New rules that judge some clients while the old ones judge all others, and what comes of it.
//!
//! Which rules a client is judged by follows from its address, so that it always meets the same ones: a mail that is
//! deferred and comes again is judged alike. Other rules try other clients.
//!
//! Two comparisons go side by side. The arms: how often the new rules reject and defer their share of the clients, and
//! how often the old ones do the others. The pairs: every transaction that the new rules decided is decided again, by
//! what was recorded of it and the old rules. Pairs know nothing of what clients happen to send; arms know what new
//! checks find and the old rules never looked for.

mod drift;
mod ledger;
mod metrics;

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::error;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

pub use drift::{Bounds, Drift};
pub use ledger::{Arm, Figures, Pairs, Sums};
pub use metrics::{Ending, Metrics};

use super::Ruleset;
use super::replay::{Ready, Replay, Replayed};
use crate::records::Record;
use crate::verdict::Verdict;
use ledger::Ledger;

/// How many clients the new rules judge, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

/// How new rules are tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// How many clients they judge.
    pub share: Share,
    /// How long.
    pub lasts: Duration,
    /// Once the time is over they judge everybody, without being told to.
    pub promotes: bool,
    /// How far they may differ from the old ones.
    pub bounds: Bounds,
}

/// A trial under way.
pub struct Canary {
    candidate: Arc<Ruleset>,
    incumbent: Arc<Ruleset>,
    terms: Terms,
    seed: u64,
    /// The old rules, ready for what the new ones recorded: of mail that comes, and of mail that leaves.
    incoming: Ready,
    outgoing: Option<Ready>,
    /// Files of rules that say otherwise what is looked for: of that, the same transactions can tell nothing.
    looks: Vec<String>,
    ledger: Mutex<Ledger>,
    metrics: Metrics,
}

impl Share {
    /// So many percent: more than 0, and half of all clients at most.
    ///
    /// # Errors
    /// Another number.
    pub fn percent(percent: f64) -> Result<Self, String> {
        match percent > 0.0 && percent <= 50.0 {
            true => Ok(Self(percent / 100.0)),
            false => Err(format!("{percent} is no share of clients: write more than 0 and at most 50 percent")),
        }
    }

    /// From 0 to 1.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Whether what has this hash is within it.
    fn takes(self, hash: u64) -> bool {
        // 53 bits are what an f64 holds exactly.
        ((hash >> 11) as f64) < self.0 * (1u64 << 53) as f64
    }
}

impl Terms {
    /// A time in seconds: a week at most, as it can be configured.
    ///
    /// # Errors
    /// Another number.
    pub fn lasting(seconds: u64) -> Result<Duration, String> {
        match (1..=7 * 24 * 3600).contains(&seconds) {
            true => Ok(Duration::from_secs(seconds)),
            false => Err(format!("a trial does not last {seconds} seconds: write 1 second to 7 days")),
        }
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self { share: Share(0.05), lasts: Duration::from_secs(1800), promotes: true, bounds: Bounds::default() }
    }
}

impl Canary {
    /// A trial of `candidate` against `incumbent`, which judges all others.
    ///
    /// # Errors
    /// A mistake in this program: what one of them wrote down cannot be read.
    pub fn new(
        candidate: Arc<Ruleset>,
        incumbent: Arc<Ruleset>,
        terms: Terms,
        metrics: Metrics,
    ) -> Result<Self, String> {
        let ready = |old: &Arc<Ruleset>, new: &Ruleset| Replay::by_rules(old.clone()).ready(&new.to_book());
        let leaving = candidate.outgoing.as_ref();
        let outgoing = leaving.map(|new| ready(incumbent.outgoing.as_ref().unwrap_or(&incumbent), new)).transpose()?;
        let seed = xxh3_64(candidate.version.as_bytes());
        let incoming = ready(&incumbent, &candidate)?;
        let looks = Replay::by_rules(incumbent.clone()).looks_otherwise(&candidate.to_book());
        metrics.begins(terms.share);
        // What was not heard might have mattered to the old rules.
        candidate.hear_all(true);
        let ledger = Mutex::default();
        Ok(Self { candidate, incumbent, terms, seed, incoming, outgoing, looks, ledger, metrics })
    }

    /// The new rules.
    pub fn candidate(&self) -> &Arc<Ruleset> {
        &self.candidate
    }

    /// The old rules.
    pub fn incumbent(&self) -> &Arc<Ruleset> {
        &self.incumbent
    }

    /// How they are tried.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The new rules, if they judge this client.
    pub fn judges(&self, client: IpAddr) -> Option<&Arc<Ruleset>> {
        self.terms.share.takes(hash(client, self.seed)).then_some(&self.candidate)
    }

    /// On which side a transaction stands that was judged by `ruleset`; `None`: on neither.
    pub fn arm(&self, ruleset: &Arc<Ruleset>) -> Option<Arm> {
        let is = |one: &Arc<Ruleset>| {
            let outgoing = one.outgoing.as_ref();
            Arc::ptr_eq(one, ruleset) || outgoing.is_some_and(|outgoing| Arc::ptr_eq(outgoing, ruleset))
        };
        if is(&self.candidate) { Some(Arm::Canary) } else { is(&self.incumbent).then_some(Arm::Control) }
    }

    /// Counts a transaction. One that was never decided (the client went away) says nothing.
    pub fn count(&self, arm: Arm, record: &Record) {
        self.guarded(|| self.take(arm, record));
    }

    /// A mistake in this program costs a count, and no session: the client has yet to hear that its mail was accepted.
    fn guarded(&self, count: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(count)).is_err() {
            self.metrics.fails();
            error!("a mistake in this program: a transaction of a trial is not counted");
        }
    }

    fn take(&self, arm: Arm, record: &Record) {
        let Some(verdict) = record.decisions().map(|decided| decided.verdict).max() else { return };
        let judgement = &record.judgement;
        let score = (!judgement.decisions.is_empty()).then_some(judgement.score);
        let otherwise = (arm == Arm::Canary).then(|| self.otherwise(record));
        // Not the seed that chose the arm: each arm has clients of all groups.
        let group = hash(record.client.addr, !self.seed);
        let otherwise = otherwise.as_ref();
        let score_otherwise = otherwise.and_then(|replayed| replayed.score);
        let otherwise = otherwise.map(certain);
        self.metrics.count(arm, verdict, score, otherwise);
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.count(arm, verdict, score, group);
        if let Some(otherwise) = otherwise {
            ledger.pair(verdict, otherwise);
        }
        if let Some(score) = score_otherwise {
            self.metrics.score_otherwise(score);
            ledger.score_otherwise(score);
        }
    }

    /// What the old rules come to.
    fn otherwise(&self, record: &Record) -> Replayed {
        let ready = self.outgoing.as_ref().filter(|_| record.judgement.outgoing).unwrap_or(&self.incoming);
        ready.decide(record)
    }

    /// What was counted so far.
    pub fn figures(&self) -> Figures {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).figures()
    }

    /// How the new rules certainly differ more than they may. Looks only where enough has been counted since the last
    /// look: who looks all the time sees chance as certainty.
    pub fn drift(&self) -> Option<Drift> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.is_due(self.terms.bounds.min_transactions).then(|| drift::of(&ledger, &self.terms.bounds)).flatten()
    }

    /// The same, whenever the last look was, if there is enough to be seen.
    fn final_drift(&self) -> Option<Drift> {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let is_enough = ledger.figures().canary.transactions >= self.terms.bounds.min_transactions;
        is_enough.then(|| drift::of(&ledger, &self.terms.bounds)).flatten()
    }

    /// How it ends at this moment, if it does, and why. `is_over`: its time is.
    pub fn ending(&self, is_over: bool) -> Option<(Ending, String)> {
        let drift = if is_over { self.final_drift() } else { self.drift() };
        if let Some(drift) = drift {
            return Some((Ending::RolledBack, drift.to_string()));
        }
        if !is_over {
            return None;
        }
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let (decided, bounds) = (ledger.figures().canary.transactions, &self.terms.bounds);
        let least = bounds.min_transactions;
        if decided < least {
            let why = format!("{decided} transactions came, and {least} are needed: try a larger share, or for longer");
            return Some((Ending::Undecided, why));
        }
        Some(match drift::unseen(&ledger, bounds, &self.looks) {
            Some(unseen) => (Ending::Undecided, unseen.to_string()),
            None => (Ending::Promoted, format!("nothing drifted in {decided} transactions")),
        })
    }

    /// The trial is over.
    pub fn ends(&self, ending: Ending) {
        self.candidate.hear_all(false);
        self.metrics.ends(ending);
    }
}

/// The verdict; `None` where they might have heard something that was not asked any more.
fn certain(replayed: &Replayed) -> Option<Verdict> {
    replayed.verdict().filter(|(_, is_certain)| *is_certain).map(|(verdict, _)| verdict)
}

/// A client by what it cannot change at will: of an IPv6 address its network.
fn hash(client: IpAddr, seed: u64) -> u64 {
    match client.to_canonical() {
        IpAddr::V4(address) => xxh3_64_with_seed(&address.octets(), seed),
        IpAddr::V6(address) => xxh3_64_with_seed(address.octets().get(..8).unwrap_or_default(), seed),
    }
}

#[cfg(test)]
mod tests;
