//! The triplets of every home, in memory: the truth, of which a file is a copy.
//!
//! Promises: look-ups wait for nothing but a short lock. Triplets are bounded, and who comes with many gives
//! up their own. Those that wait and those that have earned something are kept apart: the former never
//! displace the latter, and always have a quarter of the room. Within each kind the most crowded network gives
//! first (see [`Holder::crowd`]), of its triplets one of the oldest; what operators let pass gives last.
//! A clock that leaps is not believed for an hour: nothing expires meanwhile.
//!
//! Failure: none.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::crowds::Crowds;
use super::greylist::{Holder, SECRET, Secret, TripletEvent, TripletKey, TripletRecord, WantedTriplets};
use super::record::time;
use crate::clock::doubt::{Doubt, LEAP};
use crate::clock::seconds;

/// Entries that one step of forgetting looks at, in each shelf.
const SWEPT_AT_ONCE: usize = 32;
/// Entries among which the oldest gives.
const SAMPLED: usize = 64;
/// Entries that are listed under one lock.
const LISTED_AT_ONCE: usize = 4096;
/// Clocks of two processes, or of one before and after it was set, may differ by so much.
const SKEW: u64 = 60;
/// A holder earns one credit in this time, so that a few messages in a row earn no pass.
pub(super) const CREDIT_INTERVAL: u64 = 3600;

/// An entry, as compact as it can be: in seconds since 1970, good until 2106.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    first: u32,
    last: u32,
    until: u32,
    attempts: u16,
    deliveries: u16,
    by_hand: bool,
}

/// Octets of an entry as it is written down.
pub(super) const ENTRY: usize = 17;
/// Octets of a key as it is written down.
pub(super) const KEY: usize = 24;

/// What has changed: the entry now, or that there is none.
pub(super) type Change = (TripletKey, Option<Entry>);

/// The triplets of one home, and what their keys are made with.
pub(super) struct Triplets {
    secret: Secret,
    table: Mutex<Table>,
}

/// How many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) waiting: usize,
    pub(super) confirmed: usize,
    /// Displaced since this was last asked.
    pub(super) displaced: u64,
}

/// Both kinds under one bound.
pub(super) struct Table {
    bound: usize,
    waiting: Shelf,
    confirmed: Shelf,
    displaced: u64,
    doubt: Doubt,
}

#[derive(Default)]
struct Shelf {
    entries: BTreeMap<TripletKey, Entry>,
    /// How many entries each crowd has, by its first holder.
    crowds: Crowds,
    /// Where the last step of forgetting ended.
    swept: Option<TripletKey>,
}

// === impl Entry ===

impl Entry {
    fn new(at: u64, until: u64) -> Self {
        let at = short(at);
        Self { first: at, last: at, until: short(until), attempts: 0, deliveries: 0, by_hand: false }
    }

    fn is_confirmed(&self) -> bool {
        self.by_hand || self.deliveries > 0
    }

    pub(super) fn record(&self) -> TripletRecord {
        TripletRecord {
            first: time(self.first.into()),
            last: time(self.last.into()),
            until: time(self.until.into()),
            attempts: self.attempts.into(),
            deliveries: self.deliveries.into(),
            by_hand: self.by_hand,
        }
    }

    pub(super) fn encode(&self) -> [u8; ENTRY] {
        let mut octets = [0; ENTRY];
        let fields = [&self.first.to_le_bytes()[..], &self.last.to_le_bytes(), &self.until.to_le_bytes()];
        let counts = [&self.attempts.to_le_bytes()[..], &self.deliveries.to_le_bytes(), &[u8::from(self.by_hand)]];
        let all = fields.into_iter().chain(counts).flatten();
        octets.iter_mut().zip(all).for_each(|(place, octet)| *place = *octet);
        octets
    }

    pub(super) fn decode(octets: &[u8; ENTRY]) -> Self {
        let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, e0, e1, by_hand] = *octets;
        Self {
            first: u32::from_le_bytes([a0, a1, a2, a3]),
            last: u32::from_le_bytes([b0, b1, b2, b3]),
            until: u32::from_le_bytes([c0, c1, c2, c3]),
            attempts: u16::from_le_bytes([d0, d1]),
            deliveries: u16::from_le_bytes([e0, e1]),
            by_hand: by_hand != 0,
        }
    }
}

impl TripletKey {
    pub(super) fn encode(&self) -> [u8; KEY] {
        let mut octets = [0; KEY];
        let [high, low] = self.digest;
        let all = [self.holder.0, high, low].map(u64::to_be_bytes);
        octets.iter_mut().zip(all.as_flattened()).for_each(|(place, octet)| *place = *octet);
        octets
    }

    pub(super) fn decode(octets: &[u8; KEY]) -> Self {
        let mut parts = octets.chunks_exact(8).map(|part| part.try_into().map_or(0, u64::from_be_bytes));
        let mut part = || parts.next().unwrap_or(0);
        Self { holder: Holder(part()), digest: [part(), part()] }
    }
}

// === impl Triplets ===

impl Triplets {
    /// With `known`, which a file has told.
    pub(super) fn new(
        bound: usize,
        secret: &[u8; SECRET],
        known: impl IntoIterator<Item = (TripletKey, Entry)>,
        now: SystemTime,
    ) -> Self {
        let mut table = Table::new(bound, seconds(now));
        for (key, entry) in known {
            table.shelf(&entry).insert(key, entry);
        }
        Self { secret: Secret::new(secret), table: Mutex::new(table) }
    }

    pub(super) fn secret(&self) -> Secret {
        self.secret.clone()
    }

    /// The table, for as long as one thing takes.
    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that are wanted, the latest first; others have their turn in between.
    pub(super) async fn list(&self, wanted: WantedTriplets, at: SystemTime) -> Vec<(TripletKey, TripletRecord)> {
        let now = seconds(at);
        let mut latest: BinaryHeap<Reverse<(u32, TripletKey)>> = BinaryHeap::new();
        let mut found: HashMap<TripletKey, Entry> = HashMap::new();
        let kinds = if wanted.waiting { &[false][..] } else { &[false, true] };
        for confirmed in kinds {
            let mut from = None;
            loop {
                let some = self.lock().some(*confirmed, from);
                for (key, entry) in some.iter().filter(|(_, entry)| u64::from(entry.until) >= now) {
                    latest.push(Reverse((entry.last, *key)));
                    found.insert(*key, *entry);
                    if latest.len() > wanted.most
                        && let Some(Reverse((_, oldest))) = latest.pop()
                    {
                        found.remove(&oldest);
                    }
                }
                from = some.last().map(|(key, _)| *key);
                if some.len() < LISTED_AT_ONCE {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let keys = latest.into_sorted_vec().into_iter().map(|Reverse((_, key))| key);
        keys.filter_map(|key| Some((key, found.get(&key)?.record()))).collect()
    }
}

// === impl Table ===

impl Table {
    fn new(bound: usize, now: u64) -> Self {
        let (waiting, confirmed) = (Shelf::default(), Shelf::default());
        Self { bound: bound.max(4), waiting, confirmed, displaced: 0, doubt: Doubt::new(now) }
    }

    /// What is known of each.
    pub(super) fn look(&mut self, keys: &[TripletKey], at: SystemTime) -> Vec<Option<TripletRecord>> {
        let now = seconds(at);
        self.doubt.mind(now);
        let alive = |entry: &Entry| self.is_alive(entry, now);
        keys.iter().map(|key| self.get(key).filter(alive).map(|entry| entry.record())).collect()
    }

    /// Notes what happened, forgets a little of what is old, and tells what has changed by all that.
    pub(super) fn note(&mut self, events: &[(TripletKey, TripletEvent)], at: SystemTime) -> Vec<Change> {
        let now = seconds(at);
        self.doubt.mind(now);
        let mut changes = Vec::new();
        for (key, event) in events {
            let known = self.get(key);
            let alive = known.filter(|entry| self.is_alive(entry, now));
            let entry = apply(alive, *event, now);
            if entry != known {
                self.put(*key, entry);
                changes.push((*key, entry));
            }
        }
        if !self.doubt.is_doubted(now) {
            for old in [self.waiting.sweep(now), self.confirmed.sweep(now)].concat() {
                self.put(old, None);
                changes.push((old, None));
            }
        }
        self.make_room(&mut changes);
        changes
    }

    pub(super) fn count(&mut self) -> Count {
        let (waiting, confirmed) = (self.waiting.entries.len(), self.confirmed.entries.len());
        Count { waiting, confirmed, displaced: std::mem::take(&mut self.displaced) }
    }

    /// Takes away what is more than the bound.
    pub(super) fn make_room(&mut self, changes: &mut Vec<Change>) {
        while self.waiting.entries.len() + self.confirmed.entries.len() > self.bound {
            let is_full = self.confirmed.entries.len() > self.bound / 4 * 3;
            let shelf = if is_full { &self.confirmed } else { &self.waiting };
            let Some(victim) = shelf.victim() else { return };
            self.put(victim, None);
            self.displaced += 1;
            changes.push((victim, None));
        }
    }

    fn get(&self, key: &TripletKey) -> Option<Entry> {
        self.waiting.entries.get(key).or_else(|| self.confirmed.entries.get(key)).copied()
    }

    fn put(&mut self, key: TripletKey, entry: Option<Entry>) {
        self.waiting.remove(&key);
        self.confirmed.remove(&key);
        if let Some(entry) = entry {
            self.shelf(&entry).insert(key, entry);
        }
    }

    fn shelf(&mut self, entry: &Entry) -> &mut Shelf {
        if entry.is_confirmed() { &mut self.confirmed } else { &mut self.waiting }
    }

    fn is_alive(&self, entry: &Entry, now: u64) -> bool {
        u64::from(entry.until) >= now || self.doubt.is_doubted(now)
    }

    /// Entries of one kind behind `from`.
    fn some(&self, confirmed: bool, from: Option<TripletKey>) -> Vec<(TripletKey, Entry)> {
        let shelf = if confirmed { &self.confirmed } else { &self.waiting };
        let from = from.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = shelf.entries.range((from, Bound::Unbounded)).take(LISTED_AT_ONCE);
        entries.map(|(key, entry)| (*key, *entry)).collect()
    }
}

// === impl Shelf ===

impl Shelf {
    fn insert(&mut self, key: TripletKey, entry: Entry) {
        if self.entries.insert(key, entry).is_none() {
            self.crowd(key, 1);
        }
    }

    fn remove(&mut self, key: &TripletKey) {
        if self.entries.remove(key).is_some() {
            self.crowd(*key, -1);
        }
    }

    fn crowd(&mut self, key: TripletKey, change: i32) {
        self.crowds.change(*key.holder.crowd().start(), change);
    }

    /// Who gives when room is short.
    fn victim(&self) -> Option<TripletKey> {
        let of_crowd = self.crowds.largest().map(|crowd| {
            let crowd = Holder(crowd).crowd();
            let first = TripletKey { holder: Holder(*crowd.start()), digest: [0; 2] };
            let last = TripletKey { holder: Holder(*crowd.end()), digest: [u64::MAX; 2] };
            (Bound::Included(first), Bound::Included(last))
        });
        let anybody = (self.swept.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let oldest = |range| {
            let sample = self.entries.range::<TripletKey, _>(range).take(SAMPLED);
            sample.min_by_key(|(_, entry)| (entry.by_hand, entry.last)).map(|(key, _)| *key)
        };
        oldest(of_crowd.unwrap_or(anybody)).or_else(|| oldest((Bound::Unbounded, Bound::Unbounded)))
    }

    /// The old ones among the next few.
    fn sweep(&mut self, now: u64) -> Vec<TripletKey> {
        let from = self.swept.map_or(Bound::Unbounded, Bound::Excluded);
        let next: Vec<_> = self.entries.range((from, Bound::Unbounded)).take(SWEPT_AT_ONCE).collect();
        let swept = next.last().map(|(key, _)| **key).filter(|_| next.len() == SWEPT_AT_ONCE);
        let old = next.iter().filter(|(_, entry)| u64::from(entry.until) < now).map(|(key, _)| **key).collect();
        self.swept = swept;
        old
    }
}

/// What an entry becomes.
fn apply(known: Option<Entry>, event: TripletEvent, now: u64) -> Option<Entry> {
    let end = |keep: std::time::Duration| now.saturating_add(keep.as_secs());
    // Seen by a clock that had gone wrong, it would wait until then.
    let known = known.filter(|entry| entry.is_confirmed() || u64::from(entry.first) <= now.saturating_add(SKEW));
    match event {
        TripletEvent::Attempt(keep) => {
            // One that is too old, and not forgotten yet, must not keep who comes again new for ever.
            let in_time = |entry: &Entry| entry.is_confirmed() || u64::from(entry.first) + keep.as_secs() >= now;
            let mut entry = known.filter(in_time).unwrap_or_else(|| Entry::new(now, end(keep)));
            entry.attempts = entry.attempts.saturating_add(1);
            Some(Entry { last: short(now), ..entry })
        }
        TripletEvent::Delivery(_) if known.is_none() => None,
        TripletEvent::Delivery(keep) | TripletEvent::Credit(keep) => {
            let mut entry = known.unwrap_or_else(|| Entry::new(now, end(keep)));
            // What a clock that was years ahead has written would never end.
            let is_ahead = u64::from(entry.last) > now.saturating_add(LEAP);
            let until = if is_ahead { short(end(keep)) } else { entry.until.max(short(end(keep))) };
            let since = now.saturating_sub(u64::from(entry.last));
            let is_too_soon =
                matches!(event, TripletEvent::Credit(_)) && entry.deliveries > 0 && since < CREDIT_INTERVAL;
            if is_too_soon && !is_ahead {
                return Some(Entry { until, ..entry });
            }
            entry.deliveries = entry.deliveries.saturating_add(1);
            Some(Entry { last: short(now), until, ..entry })
        }
        TripletEvent::Spam => known.filter(|entry| entry.by_hand).map(|entry| Entry { deliveries: 0, ..entry }),
        TripletEvent::Pass(keep) => {
            let entry = known.unwrap_or_else(|| Entry::new(now, end(keep)));
            Some(Entry { last: short(now), until: short(end(keep)), by_hand: true, ..entry })
        }
        TripletEvent::Drop => None,
    }
}

fn short(seconds: u64) -> u32 {
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
