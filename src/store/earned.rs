//! The reputations of every home, in memory: the truth, of which a file is a copy.
//!
//! Promises: look-ups wait for nothing but a short lock. Records are bounded, and those with the least evidence give
//! first. Newcomers and the established are kept apart: the former never displace the latter, and always have a
//! quarter of the room; among them the most crowded neighbourhood gives, of it the one with the least evidence.
//! So a sender of many networks displaces its own, and nobody who is well known. What has faded to
//! nothing is forgotten in steps. A clock that leaps is not believed for an hour: nothing is forgotten meanwhile.
//!
//! Failure: none.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::crowds::Crowds;
use super::record::{LONGEST_NAME, time};
use super::reputation::{Fading, ReputationRecord, Reputed};
use crate::clock::doubt::{DOUBT, Doubt};
use crate::clock::seconds;

/// More evidence than that makes a sender established.
const ESTABLISHED: f64 = 3.0;
/// Less evidence than that is none.
const FADED: f64 = 0.05;
/// Records that one step of forgetting looks at, in each shelf.
const SWEPT_AT_ONCE: usize = 32;
/// Records among which the one with the least evidence gives, where no neighbourhood is crowded.
const SAMPLED: usize = 64;
/// Records that are listed under one lock.
const LISTED_AT_ONCE: usize = 4096;
/// Octets of the longest key: a domain and a network.
pub(super) const LONGEST_KEY: usize = LONGEST_NAME + 1 + 64;
/// Steps of [`Rank`] in which evidence doubles.
const DOUBLING: f64 = 4096.0;

/// A record, as compact as it can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Earned {
    good: f32,
    bad: f32,
    /// In seconds since 1970, good until 2106.
    first: u32,
    last: u32,
}

/// Octets of a record as it is written down.
pub(super) const EARNED: usize = 16;

/// What has changed: the record now, or that there is none.
pub(super) type EarnedChange = (Arc<str>, Option<Earned>);

/// The order of evidence, which time does not change: all fade alike, so who has more today has more tomorrow.
type Rank = i64;
/// Where a record stands on its shelf: neighbourhood, rank, key.
type Place = (u64, Rank, Arc<str>);

/// The records of one home.
pub(super) struct Reputables(Mutex<EarnedTable>);

/// How many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EarnedCount {
    pub(super) newcomers: usize,
    pub(super) established: usize,
    /// Displaced since this was last asked.
    pub(super) displaced: u64,
}

/// Both kinds under one bound.
pub(super) struct EarnedTable {
    bound: usize,
    records: HashMap<Arc<str>, Kept>,
    newcomers: Shelf,
    established: Shelf,
    hasher: RandomState,
    displaced: u64,
    doubt: Doubt,
}

#[derive(Clone, Copy)]
struct Kept {
    earned: Earned,
    rank: Rank,
    established: bool,
}

#[derive(Default)]
struct Shelf {
    places: BTreeSet<Place>,
    /// How many records each neighbourhood has.
    crowds: Crowds,
    /// Where the last step of forgetting ended.
    swept: Option<Place>,
}

// === impl Reputed ===

impl Reputed {
    /// In one string: a network has a slash, a domain none, and a space stands between both.
    pub(super) fn key(&self) -> Arc<str> {
        match self {
            Self::Network(name) | Self::Domain(name) => name.clone(),
            Self::Pair(domain, network) => format!("{domain} {network}").into(),
        }
    }

    pub(super) fn of_key(key: &Arc<str>) -> Self {
        match key.split_once(' ') {
            Some((domain, network)) => Self::Pair(domain.into(), network.into()),
            None if key.contains('/') => Self::Network(key.clone()),
            None => Self::Domain(key.clone()),
        }
    }
}

// === impl Earned ===

impl Earned {
    fn evidence(&self) -> f64 {
        f64::from(self.good) + f64::from(self.bad)
    }

    /// What is left of it at `now`.
    fn faded(self, fading: Fading, now: u64) -> Self {
        let past = now.saturating_sub(self.last.into()) as f64;
        let left = (-past / half_life(fading)).exp2();
        let fade = |evidence: f32| (f64::from(evidence) * left) as f32;
        Self { good: fade(self.good), bad: fade(self.bad), ..self }
    }

    fn rank(&self, fading: Fading) -> Rank {
        let evidence = self.evidence().max(f64::from(f32::MIN_POSITIVE)).log2();
        ((evidence + f64::from(self.last) / half_life(fading)) * DOUBLING).round() as Rank
    }

    fn record(&self) -> ReputationRecord {
        ReputationRecord {
            good: self.good.into(),
            bad: self.bad.into(),
            first: time(self.first.into()),
            last: time(self.last.into()),
        }
    }

    pub(super) fn encode(&self) -> [u8; EARNED] {
        let mut octets = [0; EARNED];
        let evidence = [self.good, self.bad].map(f32::to_le_bytes);
        let times = [self.first, self.last].map(u32::to_le_bytes);
        let all = evidence.as_flattened().iter().chain(times.as_flattened());
        octets.iter_mut().zip(all).for_each(|(place, octet)| *place = *octet);
        octets
    }

    /// What cannot have been written counts as nothing.
    pub(super) fn decode(octets: &[u8; EARNED]) -> Self {
        let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3] = *octets;
        let evidence = |octets| {
            let evidence = f32::from_le_bytes(octets);
            if evidence.is_finite() { evidence.max(0.0) } else { 0.0 }
        };
        Self {
            good: evidence([a0, a1, a2, a3]),
            bad: evidence([b0, b1, b2, b3]),
            first: u32::from_le_bytes([c0, c1, c2, c3]),
            last: u32::from_le_bytes([d0, d1, d2, d3]),
        }
    }
}

// === impl Reputables ===

impl Reputables {
    /// With `known`, which a file has told. Until a record changes, it stands among others as if the half-life
    /// were `fading`'s.
    pub(super) fn new(
        bound: usize,
        known: impl IntoIterator<Item = (Arc<str>, Earned)>,
        fading: Fading,
        now: SystemTime,
    ) -> Self {
        let mut table = EarnedTable::new(bound, seconds(now));
        known.into_iter().for_each(|(key, earned)| table.put(&key, Some(earned), fading));
        Self(Mutex::new(table))
    }

    /// The table, for as long as one thing takes.
    pub(super) fn lock(&self) -> MutexGuard<'_, EarnedTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those with the most evidence, in that order; others have their turn in between.
    pub(super) async fn list(&self, most: usize, fading: Fading, at: SystemTime) -> Vec<(Reputed, ReputationRecord)> {
        let mut foremost: BinaryHeap<Reverse<(Rank, Arc<str>)>> = BinaryHeap::new();
        for established in [true, false] {
            let mut from = None;
            loop {
                let some = self.lock().some(established, from);
                for (_, rank, key) in &some {
                    foremost.push(Reverse((*rank, key.clone())));
                    if foremost.len() > most {
                        foremost.pop();
                    }
                }
                let is_last = some.len() < LISTED_AT_ONCE;
                from = some.into_iter().next_back();
                if is_last {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let keys: Vec<Arc<str>> = foremost.into_sorted_vec().into_iter().map(|Reverse((_, key))| key).collect();
        let mut listed = Vec::new();
        for some in keys.chunks(LISTED_AT_ONCE) {
            listed.extend(self.lock().tell(some, fading, at));
            tokio::task::yield_now().await;
        }
        listed
    }
}

// === impl EarnedTable ===

impl EarnedTable {
    fn new(bound: usize, now: u64) -> Self {
        Self {
            bound: bound.max(4),
            records: HashMap::new(),
            newcomers: Shelf::default(),
            established: Shelf::default(),
            hasher: RandomState::new(),
            displaced: 0,
            doubt: Doubt::new(now),
        }
    }

    /// What is known of each.
    pub(super) fn look(&self, whose: &[Reputed], fading: Fading, at: SystemTime) -> Vec<Option<ReputationRecord>> {
        whose.iter().map(|one| self.get(&one.key(), fading, at)).collect()
    }

    /// Adds evidence, forgets a little of what has faded, and tells what has changed by all that.
    pub(super) fn note(
        &mut self,
        whose: &[Reputed],
        [good, bad]: [f64; 2],
        fading: Fading,
        at: SystemTime,
    ) -> Vec<EarnedChange> {
        let now = seconds(at);
        self.doubt.mind(now);
        let [good, bad] = [good, bad].map(|evidence| if evidence > 0.0 { evidence.min(1.0) as f32 } else { 0.0 });
        let mut changes = Vec::new();
        for key in whose.iter().map(Reputed::key).filter(|key| key.len() <= LONGEST_KEY) {
            let at = u32::try_from(now).unwrap_or(u32::MAX);
            let known = self.records.get(&key).map(|kept| kept.earned.faded(fading, now));
            let known = known.unwrap_or(Earned { good: 0.0, bad: 0.0, first: at, last: at });
            // A clock that had gone wrong may have seen it later than now.
            let last = if is_ahead(&known, now) { at } else { known.last.max(at) };
            let earned = Earned { good: known.good + good, bad: known.bad + bad, last, ..known };
            if earned.evidence() > 0.0 {
                self.put(&key, Some(earned), fading);
                changes.push((key, Some(earned)));
            }
        }
        if !self.doubt.is_doubted(now) {
            self.forget_faded(fading, now, &mut changes);
        }
        self.make_room(&mut changes);
        changes
    }

    /// Forgets these; those that were there.
    pub(super) fn reset(&mut self, whose: &[Reputed]) -> Vec<EarnedChange> {
        whose.iter().map(Reputed::key).filter(|key| self.take(key)).map(|key| (key, None)).collect()
    }

    pub(super) fn count(&mut self) -> EarnedCount {
        let (newcomers, established) = (self.newcomers.places.len(), self.established.places.len());
        EarnedCount { newcomers, established, displaced: std::mem::take(&mut self.displaced) }
    }

    /// Takes away what is more than the bound.
    pub(super) fn make_room(&mut self, changes: &mut Vec<EarnedChange>) {
        while self.records.len() > self.bound {
            let is_full = self.established.places.len() > self.bound / 4 * 3;
            let shelf = if is_full { &self.established } else { &self.newcomers };
            let Some(victim) = shelf.victim() else { return };
            self.take(&victim);
            self.displaced += 1;
            changes.push((victim, None));
        }
    }

    fn tell(&self, keys: &[Arc<str>], fading: Fading, at: SystemTime) -> Vec<(Reputed, ReputationRecord)> {
        let records = keys.iter().map(|key| Some((Reputed::of_key(key), self.get(key, fading, at)?)));
        records.flatten().collect()
    }

    fn get(&self, key: &Arc<str>, fading: Fading, at: SystemTime) -> Option<ReputationRecord> {
        let earned = self.records.get(key)?.earned.faded(fading, seconds(at));
        (earned.evidence() >= FADED).then(|| earned.record())
    }

    fn put(&mut self, key: &Arc<str>, earned: Option<Earned>, fading: Fading) {
        self.take(key);
        let Some(earned) = earned else { return };
        let kept = Kept { earned, rank: earned.rank(fading), established: earned.evidence() > ESTABLISHED };
        self.records.insert(key.clone(), kept);
        let place = self.place(key, kept);
        self.shelf(kept).insert(place);
    }

    /// True if it was there.
    fn take(&mut self, key: &Arc<str>) -> bool {
        let Some(kept) = self.records.remove(key) else { return false };
        let place = self.place(key, kept);
        self.shelf(kept).remove(&place);
        true
    }

    fn place(&self, key: &Arc<str>, kept: Kept) -> Place {
        // The established are one neighbourhood: the least of all of them gives.
        let crowd = if kept.established { 0 } else { self.hasher.hash_one(neighbourhood(key)) };
        (crowd, kept.rank, key.clone())
    }

    fn shelf(&mut self, kept: Kept) -> &mut Shelf {
        if kept.established { &mut self.established } else { &mut self.newcomers }
    }

    fn forget_faded(&mut self, fading: Fading, now: u64, changes: &mut Vec<EarnedChange>) {
        let swept = [self.newcomers.sweep(), self.established.sweep()].concat();
        for (_, _, key) in swept {
            let is_over = |earned: &Earned| earned.faded(fading, now).evidence() < FADED || is_ahead(earned, now);
            if self.records.get(&key).is_some_and(|kept| is_over(&kept.earned)) {
                self.take(&key);
                changes.push((key, None));
            }
        }
    }

    /// Places of one kind behind `from`.
    fn some(&self, established: bool, from: Option<Place>) -> Vec<Place> {
        let shelf = if established { &self.established } else { &self.newcomers };
        let from = from.map_or(Bound::Unbounded, Bound::Excluded);
        shelf.places.range((from, Bound::Unbounded)).take(LISTED_AT_ONCE).cloned().collect()
    }
}

// === impl Shelf ===

impl Shelf {
    fn insert(&mut self, place: Place) {
        let crowd = place.0;
        if self.places.insert(place) {
            self.crowds.change(crowd, 1);
        }
    }

    fn remove(&mut self, place: &Place) {
        if self.places.remove(place) {
            self.crowds.change(place.0, -1);
        }
    }

    /// Who gives when room is short.
    fn victim(&self) -> Option<Arc<str>> {
        if let Some(crowd) = self.crowds.largest() {
            let first = (crowd, Rank::MIN, Arc::default());
            return self.places.range(first..).next().map(|(_, _, key)| key.clone());
        }
        let from = self.swept.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.places.range((from, Bound::Unbounded));
        let sample = behind.chain(&self.places).take(SAMPLED);
        sample.min_by_key(|(_, rank, _)| *rank).map(|(_, _, key)| key.clone())
    }

    /// The next few.
    fn sweep(&mut self) -> Vec<Place> {
        let from = self.swept.take().map_or(Bound::Unbounded, Bound::Excluded);
        let next: Vec<_> = self.places.range((from, Bound::Unbounded)).take(SWEPT_AT_ONCE).cloned().collect();
        self.swept = next.last().filter(|_| next.len() == SWEPT_AT_ONCE).cloned();
        next
    }
}

/// Who is counted together when room is short: of networks an IPv4 /16 and an IPv6 /32 (which a provider has), of
/// domains and their pairs the domain.
pub(super) fn neighbourhood(key: &str) -> (&str, u32) {
    let name = key.split(' ').next().unwrap_or(key);
    let address = name.split_once('/').and_then(|(address, _)| address.parse::<IpAddr>().ok());
    match address {
        Some(IpAddr::V4(v4)) => ("4", v4.to_bits() >> 16),
        Some(IpAddr::V6(v6)) => ("6", u32::try_from(v6.to_bits() >> 96).unwrap_or(0)),
        None => (name, 0),
    }
}

/// True if it was seen later than can be.
fn is_ahead(earned: &Earned, now: u64) -> bool {
    u64::from(earned.last) > now.saturating_add(DOUBT)
}

fn half_life(fading: Fading) -> f64 {
    fading.half_life.as_secs_f64().max(1.0)
}

#[cfg(test)]
mod tests;
