//! Digests of the last hours or days, found again by likeness without a look at each of them.
//!
//! A digest is filed under forty keys, each made of two neighbouring key bins: two texts that share half of
//! their rare words share ten keys on average, unrelated texts hardly ever one. What a key leads to is
//! compared with [`Digest::similarity`]; nothing else decides.
//!
//! The first entry of a cluster is its founder: what is like a later one, but hardly like the founder, is of
//! another cluster. Otherwise a text between two others would make one of all three.
//!
//! Memory is bounded and taken once: [`BYTES_PER_ENTRY`] for each entry that the limits allow. Nothing is
//! ever taken out of the tables. An entry that has left the window or lost its place is recognised when
//! a key leads to it, so expiry costs nothing and there is no moment at which much expires at once.
//!
//! Pure: time is passed in, and the same calls give the same answers.

use std::cmp::Reverse;
use std::time::Duration;

use super::digest::{Digest, KEY_BINS};

/// Keys filed together: one look into memory.
const BUCKET: usize = 16;
/// Places of a bucket that one key may fill: a text that everybody sends does not push out its neighbours.
const MAX_SAME_KEY: usize = 12;
/// Keys per bucket, on average, once the index is full.
const LOAD: usize = 12;
/// Entries that are compared with one digest: those with the most keys in common.
const MAX_COMPARED: usize = 96;
/// From here on two messages are the same to the index: the second one refreshes the entry of the first.
const SAME: f32 = 95.0;
/// Entries of one cluster alike to a message: one more would not help to find the next.
const MAX_VARIANTS: usize = 16;
/// Percent that what is like an entry has in common with the founder of its cluster, at least.
const KIN: f32 = 45.0;
/// Keys that lead to an entry, at least, or it is filed again when it is found or spared.
const ENOUGH_KEYS: usize = KEY_BINS / 2;
/// Entries that may be spared, because others were found by them, before one has to go.
const MAX_SPARED: usize = 64;
/// Most entries of one index: what numbers in the table can tell apart, a few bits of the key left.
pub const MAX_ENTRIES: usize = (1 << 27) - 1;
/// Memory of one entry, its keys included.
pub const BYTES_PER_ENTRY: usize = size_of::<Entry>() + KEY_BINS * BUCKET * size_of::<u32>() / LOAD;

/// How much is remembered, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Entries, at most [`MAX_ENTRIES`].
    pub entries: usize,
    /// An entry is forgotten when nothing like it was seen for this long,
    pub window: Duration,
    /// to this precision.
    pub step: Duration,
}

/// What a digest was found by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// The cluster of the entry, as it was given to [`Index::record`].
    pub cluster: u64,
    /// How alike the texts are, in percent.
    pub similarity: f32,
}

/// What became of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It has an entry of its own.
    Added,
    /// An entry that is almost equal, or enough that are alike, stood there already: one was refreshed.
    Refreshed,
    /// There is no text to find it by.
    Empty,
}

/// What a search found; good for [`Index::record_found`] until something else is recorded.
#[derive(Clone, Debug, Default)]
pub struct Found(Vec<(Match, usize)>);

/// An entry, to be kept elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The digest.
    pub digest: Digest,
    /// Its cluster.
    pub cluster: u64,
    /// When it was last seen, to the precision of the index; counts from the same moment as all times.
    pub seen: Duration,
}

/// Entries that gave their places to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// They had left the window.
    pub expired: u64,
    /// They had not.
    pub displaced: u64,
}

struct Entry {
    digest: Digest,
    cluster: u64,
    /// The place of the first entry of the cluster, if that is still there; otherwise this one stands in for it.
    founder: u32,
    /// Step in which it was last seen.
    seen: u32,
    /// Times that it was found, up to a bound: it goes that much later.
    found: u8,
}

/// Digests by likeness.
pub struct Index {
    entries: Vec<Entry>,
    /// Buckets of [`BUCKET`] places, newest first: the number of an entry plus one, and above it bits of the key.
    places: Vec<u32>,
    buckets: usize,
    entry_bits: u32,
    capacity: usize,
    window: u32,
    step: Duration,
    /// The entry that may have to go next.
    hand: usize,
    /// Entries that hold nothing yet.
    vacant: usize,
    gone: Gone,
}

impl Found {
    /// What was found, the most alike first.
    pub fn matches(&self) -> impl Iterator<Item = Match> {
        self.0.iter().map(|(found, _)| *found)
    }
}

impl Index {
    /// An empty index.
    pub fn new(limits: Limits) -> Self {
        let capacity = limits.entries.clamp(1, MAX_ENTRIES);
        let buckets = (capacity * KEY_BINS).div_ceil(LOAD);
        let step = limits.step.max(Duration::from_secs(1));
        Self {
            // The system gives memory when it is written to.
            entries: Vec::with_capacity(capacity),
            places: vec![0; buckets * BUCKET],
            buckets,
            entry_bits: usize::BITS - capacity.leading_zeros(),
            capacity,
            window: u32::try_from(limits.window.as_secs().div_ceil(step.as_secs())).unwrap_or(u32::MAX),
            step,
            hand: 0,
            vacant: 0,
            gone: Gone::default(),
        }
    }

    /// Entries, those included that have left the window.
    pub fn len(&self) -> usize {
        self.entries.len() - self.vacant
    }

    /// True if nothing was recorded yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries that gave their places to others since the beginning.
    pub fn gone(&self) -> Gone {
        self.gone
    }

    /// The entry that is most alike, if one is alike enough. `now` counts from any fixed moment.
    pub fn nearest(&self, digest: &Digest, now: Duration) -> Option<Match> {
        self.matches(digest, now).into_iter().next()
    }

    /// All entries that were found to be alike, the most alike first.
    pub fn matches(&self, digest: &Digest, now: Duration) -> Vec<Match> {
        self.search(digest, now).matches().collect()
    }

    /// The same, for who will record the digest.
    pub fn search(&self, digest: &Digest, now: Duration) -> Found {
        let alike = self.alike(digest, self.step_of(now)).into_iter();
        Found(alike.map(|(similarity, at)| (Match { cluster: self.entries[at].cluster, similarity }, at)).collect())
    }

    /// Remembers a digest as one of `cluster`, which is what [`Index::nearest`] said or a new number.
    pub fn record(&mut self, digest: &Digest, cluster: u64, now: Duration) -> Recorded {
        self.record_found(digest, cluster, &self.search(digest, now), now).0
    }

    /// The same, without searching again; and the place of the entry if it is another one than before.
    pub fn record_found(
        &mut self,
        digest: &Digest,
        cluster: u64,
        found: &Found,
        now: Duration,
    ) -> (Recorded, Option<usize>) {
        if digest.is_empty() {
            return (Recorded::Empty, None);
        }
        let step = self.step_of(now);
        let mut alike = found.0.iter().filter(|(found, _)| found.cluster == cluster);
        let nearest = alike.next().copied();
        let nearest = nearest.filter(|(_, at)| self.entries.get(*at).is_some_and(|entry| entry.cluster == cluster));
        let before = nearest.map_or(step, |(_, at)| self.entries[at].seen);
        let founder = nearest.map(|(_, at)| self.founder_of(at).unwrap_or(at));
        if let Some(founder) = founder {
            // The founder is there as long as its cluster grows.
            self.refile(founder);
            let entry = &mut self.entries[founder];
            (entry.found, entry.seen) = (entry.found.saturating_add(1), entry.seen.max(step));
        }
        if let Some((Match { similarity, .. }, at)) = nearest {
            self.refile(at);
            let is_same = similarity >= SAME || alike.count() + 1 >= MAX_VARIANTS;
            let entry = &mut self.entries[at];
            if founder != Some(at) {
                entry.found = entry.found.saturating_add(1);
            }
            if is_same {
                let is_other = before < step;
                entry.seen = entry.seen.max(step);
                return (Recorded::Refreshed, is_other.then_some(at));
            }
        }
        let at = self.free(step);
        let founder = founder.filter(|founder| *founder != at).unwrap_or(at) as u32;
        self.put(at, Entry { digest: *digest, cluster, founder, seen: step, found: 0 });
        (Recorded::Added, Some(at))
    }

    /// What has a place.
    pub fn kept(&self, at: usize) -> Option<Kept> {
        let entry = self.entries.get(at).filter(|entry| !entry.digest.is_empty())?;
        let seen = Duration::from_secs(u64::from(entry.seen) * self.step.as_secs());
        Some(Kept { digest: entry.digest, cluster: entry.cluster, seen })
    }

    /// Keeps the first places free for [`Index::restore`], as far as there are so many.
    pub fn reserve(&mut self, places: usize) {
        let places = places.min(self.capacity);
        while self.entries.len() < places {
            self.entries.push(Entry { digest: Digest::NOTHING, cluster: 0, founder: 0, seen: 0, found: 0 });
            self.vacant += 1;
        }
    }

    /// Puts an entry back into the place that it had. False if there is no such place, or another has it.
    pub fn restore(&mut self, at: usize, kept: &Kept) -> bool {
        let is_free = self.entries.get(at).is_some_and(|entry| entry.digest.is_empty());
        if !is_free || kept.digest.is_empty() {
            return false;
        }
        let seen = self.step_of(kept.seen);
        let founder = at as u32;
        self.put(at, Entry { digest: kept.digest, cluster: kept.cluster, founder, seen, found: 0 });
        // Where the oldest is, others have to go first.
        if self.entries.get(self.hand).is_none_or(|next| next.digest.is_empty() || next.seen > seen) {
            self.hand = at;
        }
        true
    }

    fn put(&mut self, at: usize, entry: Entry) {
        let digest = entry.digest;
        match self.entries.get_mut(at) {
            Some(old) => {
                self.vacant -= usize::from(old.digest.is_empty());
                *old = entry;
            }
            None => self.entries.push(entry),
        }
        for key in keys(&digest) {
            self.file(key, at);
        }
    }

    /// The founder of an entry's cluster, if it is another one and still there.
    fn founder_of(&self, at: usize) -> Option<usize> {
        let entry = self.entries.get(at)?;
        let place = entry.founder as usize;
        let founder = self.entries.get(place).filter(|_| place != at)?;
        (founder.cluster == entry.cluster && founder.founder == entry.founder).then_some(place)
    }

    /// True if what is like an entry is of its cluster.
    fn is_kin(&self, digest: &Digest, at: usize) -> bool {
        self.founder_of(at).is_none_or(|founder| digest.similarity(&self.entries[founder].digest) >= KIN)
    }

    /// Files an entry again if too few of its keys still lead to it: others have come since.
    fn refile(&mut self, at: usize) {
        let Some(digest) = self.entries.get(at).map(|entry| entry.digest) else { return };
        let leads = |key| {
            let (bucket, tag) = self.place(key);
            self.places[bucket..bucket + BUCKET].contains(&(tag << self.entry_bits | (at as u32 + 1)))
        };
        if keys(&digest).filter(|key| leads(*key)).count() < ENOUGH_KEYS {
            keys(&digest).for_each(|key| self.file(key, at));
        }
    }

    fn step_of(&self, now: Duration) -> u32 {
        u32::try_from(now.as_secs() / self.step.as_secs()).unwrap_or(u32::MAX)
    }

    fn is_past(&self, entry: &Entry, step: u32) -> bool {
        step.saturating_sub(entry.seen) > self.window
    }

    /// Entries that are alike, by similarity.
    fn alike(&self, digest: &Digest, step: u32) -> Vec<(f32, usize)> {
        if digest.is_empty() {
            return Vec::new();
        }
        let mut alike: Vec<(f32, usize)> = self
            .candidates(digest)
            .into_iter()
            .filter_map(|at| {
                let entry = self.entries.get(at).filter(|entry| !self.is_past(entry, step))?;
                let similarity = digest.alike(&entry.digest)?;
                self.is_kin(digest, at).then_some((similarity, at))
            })
            .collect();
        // Of equals the one that was seen last comes first.
        let seen = |at: &usize| (self.entries[*at].seen, *at);
        alike.sort_by(|(ours, a), (theirs, b)| theirs.total_cmp(ours).then(seen(b).cmp(&seen(a))));
        alike
    }

    /// Entries with keys in common, each once: the most keys first where there are too many.
    fn candidates(&self, digest: &Digest) -> Vec<usize> {
        let mut leads: Vec<u32> = Vec::with_capacity(KEY_BINS * BUCKET);
        let entry_mask = (1 << self.entry_bits) - 1;
        for key in keys(digest) {
            let (bucket, tag) = self.place(key);
            let places = &self.places[bucket..bucket + BUCKET];
            let same = places.iter().filter(|place| **place != 0 && **place >> self.entry_bits == tag);
            leads.extend(same.map(|place| place & entry_mask));
        }
        leads.sort_unstable();
        let mut candidates: Vec<(Reverse<usize>, usize)> =
            leads.chunk_by(|a, b| a == b).map(|same| (Reverse(same.len()), same[0] as usize - 1)).collect();
        if candidates.len() > MAX_COMPARED {
            candidates.select_nth_unstable(MAX_COMPARED);
            candidates.truncate(MAX_COMPARED);
        }
        candidates.into_iter().map(|(_, at)| at).collect()
    }

    /// Where a key is filed, and the bits that tell it from its neighbours.
    fn place(&self, key: u64) -> (usize, u32) {
        let bucket = ((u128::from(key) * self.buckets as u128) >> 64) as usize;
        let tag = (key as u32) >> self.entry_bits;
        (bucket * BUCKET, tag)
    }

    /// Files an entry under a key, before all that stood there.
    fn file(&mut self, key: u64, at: usize) {
        let (bucket, tag) = self.place(key);
        let entry_bits = self.entry_bits;
        let places = &mut self.places[bucket..bucket + BUCKET];
        let new = tag << entry_bits | (at as u32 + 1);
        let has_tag = |place: &u32| *place != 0 && *place >> entry_bits == tag;
        let there = places.iter().position(|place| *place == new);
        let free = there.or_else(|| places.iter().position(|place| *place == 0));
        let is_crowded = there.is_none() && places.iter().filter(|place| has_tag(place)).count() >= MAX_SAME_KEY;
        let goes = match (free, is_crowded) {
            (_, true) => places.iter().rposition(has_tag).unwrap_or(BUCKET - 1),
            (Some(free), false) => free,
            (None, false) => BUCKET - 1,
        };
        places.copy_within(..goes, 1);
        places[0] = new;
    }

    /// Where the next entry goes: an unused place, then the first that has left the window or by which nothing
    /// was found of late. So a flood of texts that nobody else sends pushes out itself.
    fn free(&mut self, step: u32) -> usize {
        if self.entries.len() < self.capacity {
            return self.entries.len();
        }
        // If all have to be spared the one by which least was found goes.
        let mut at = self.hand;
        for scanned in 0..MAX_SPARED.min(self.capacity) {
            let here = (self.hand + scanned) % self.capacity;
            let entry = &self.entries[here];
            if entry.found == 0 || self.is_past(entry, step) {
                at = here;
                break;
            }
            if entry.found < self.entries[at].found {
                at = here;
            }
        }
        // Up to there all are spared, once.
        let mut spared = self.hand;
        while spared != at {
            self.entries[spared].found /= 2;
            self.refile(spared);
            spared = (spared + 1) % self.capacity;
        }
        self.hand = (at + 1) % self.capacity;
        let entry = &self.entries[at];
        match self.is_past(entry, step) {
            _ if entry.digest.is_empty() => {}
            true => self.gone.expired += 1,
            false => self.gone.displaced += 1,
        }
        at
    }
}

/// The keys of a digest: each pair of neighbouring bins, and which pair it is.
fn keys(digest: &Digest) -> impl Iterator<Item = u64> {
    let bins = digest.key_bins();
    (0..KEY_BINS).map(move |at| {
        let pair = u64::from(bins[at]) << 12 | u64::from(bins[(at + 1) % KEY_BINS]);
        let key = ((at as u64) << 24 | pair).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let key = (key ^ (key >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        key ^ (key >> 32)
    })
}
