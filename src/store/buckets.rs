//! Buckets in memory, which every home has: the table of one process. They are not kept over a restart.
//!
//! Promises: no more than the bound. A bucket that is full again costs nothing: it is forgotten in steps. When there
//! are too many all the same, the fullest of a few gives, which loses least; so a flood of addresses that each did
//! a little displaces its own buckets, and hardly ever one that is nearly empty, whose holder has to wait.
//!
//! Failure: none.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::rates::{Bucket, RateKey, Taken, Taking, micros};

/// Buckets that one taking looks at, whether they are full again.
const SWEPT_AT_ONCE: usize = 4;
/// Buckets among which the fullest gives.
const SAMPLED: usize = 16;

/// The buckets of one home.
pub(super) struct Buckets(Mutex<Table>);

/// How many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) buckets: usize,
    /// Displaced since this was last asked.
    pub(super) displaced: u64,
}

pub(super) struct Table {
    bound: usize,
    /// In no order that matters, so that some can be looked at without going through all.
    kept: Vec<Kept>,
    places: HashMap<RateKey, u32>,
    /// Where the next look begins.
    at: usize,
    displaced: u64,
}

#[derive(Clone, Copy)]
struct Kept {
    key: RateKey,
    bucket: Bucket,
    /// In which time it fills, in milliseconds.
    span: u32,
}

// === impl Buckets ===

impl Buckets {
    /// None yet.
    pub(super) fn new(bound: usize) -> Self {
        let bound = bound.clamp(1, u32::MAX as usize);
        Self(Mutex::new(Table { bound, kept: Vec::new(), places: HashMap::new(), at: 0, displaced: 0 }))
    }

    /// Takes from each.
    pub(super) fn take(&self, takings: &[Taking], at: SystemTime) -> (Vec<Taken>, Count) {
        let (now, mut table) = (micros(at), self.lock());
        let taken = takings.iter().map(|taking| table.take(taking, now)).collect();
        (taken, table.count())
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Table ===

impl Table {
    fn take(&mut self, taking: &Taking, now: u64) -> Taken {
        let place = self.places.get(&taking.key).and_then(|place| usize::try_from(*place).ok());
        let known = place.and_then(|place| self.kept.get(place)).map(|kept| kept.bucket).unwrap_or_default();
        let (bucket, taken) = known.take(taking, now);
        if taking.units == 0 {
            return taken;
        }
        let span = u32::try_from(taking.allowance.span() / 1000).unwrap_or(u32::MAX).max(1);
        let kept = Kept { key: taking.key, bucket, span };
        match place.and_then(|place| self.kept.get_mut(place)) {
            Some(known) => *known = kept,
            // Nothing was taken: absent is full.
            None if bucket.lacks(now) == 0 => {}
            None => self.insert(kept, now),
        }
        self.sweep(now);
        taken
    }

    fn insert(&mut self, kept: Kept, now: u64) {
        if self.kept.len() >= self.bound {
            self.displace(now);
        }
        if let Ok(place) = u32::try_from(self.kept.len()) {
            self.places.insert(kept.key, place);
            self.kept.push(kept);
        }
    }

    /// Forgets the fullest of some that lie far from each other.
    fn displace(&mut self, now: u64) {
        let len = self.kept.len();
        let stride = len.div_ceil(SAMPLED).max(1);
        self.at = self.at.wrapping_add(1);
        let sample = (0..SAMPLED).map(|step| (self.at + step * stride) % len);
        let Some(victim) = sample.min_by_key(|place| self.kept.get(*place).map(|kept| kept.lacking(now))) else {
            return;
        };
        self.displaced += u64::from(self.kept.get(victim).is_some_and(|kept| kept.bucket.lacks(now) > 0));
        self.remove(victim);
    }

    /// Forgets those among the next few that are full again.
    fn sweep(&mut self, now: u64) {
        for _ in 0..SWEPT_AT_ONCE {
            if self.at >= self.kept.len() {
                self.at = 0;
            }
            match self.kept.get(self.at) {
                None => return,
                Some(kept) if kept.bucket.lacks(now) == 0 => self.remove(self.at),
                Some(_) => self.at += 1,
            }
        }
    }

    fn remove(&mut self, place: usize) {
        let gone = self.kept.swap_remove(place);
        self.places.remove(&gone.key);
        if let (Some(moved), Ok(place)) = (self.kept.get(place), u32::try_from(place)) {
            self.places.insert(moved.key, place);
        }
    }

    fn count(&mut self) -> Count {
        Count { buckets: self.kept.len(), displaced: std::mem::take(&mut self.displaced) }
    }
}

// === impl Kept ===

impl Kept {
    /// How empty it is, in thousandths of an allowance.
    fn lacking(&self, now: u64) -> u64 {
        self.bucket.lacks(now) / u64::from(self.span)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::store::Allowance;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_790_000_000 + seconds)
    }

    fn taking(whom: u64, units: u32) -> Taking {
        let allowance = Allowance { units: 20, per: Duration::from_secs(600) };
        Taking { key: RateKey { limit: 1, whom }, allowance, units, into_debt: false }
    }

    #[test]
    fn a_flood_of_addresses_displaces_its_own_buckets() {
        let buckets = Buckets::new(1000);
        for whom in 0..200 {
            buckets.take(&[taking(whom, 18)], at(0));
        }
        let mut displaced = 0;
        for whom in 1000..21_000 {
            displaced += buckets.take(&[taking(whom, 1)], at(1)).1.displaced;
        }
        let (taken, count) = buckets.take(&(0..200).map(|whom| taking(whom, 0)).collect::<Vec<_>>(), at(1));
        assert!(taken.iter().all(|taken| taken.left == 2), "{taken:?}");
        assert_eq!((count.buckets, displaced), (1000, 20_200 - 1000));
    }

    #[test]
    fn full_buckets_are_forgotten_and_looking_keeps_nothing() {
        let buckets = Buckets::new(1000);
        for whom in 0..500 {
            buckets.take(&[taking(whom, 1)], at(0));
        }
        assert_eq!(buckets.take(&[taking(9999, 0)], at(1)).1, Count { buckets: 500, displaced: 0 });
        for whom in 1000..1200 {
            buckets.take(&[taking(whom, 1)], at(31));
        }
        assert_eq!(buckets.take(&[taking(9999, 0)], at(31)).1, Count { buckets: 200, displaced: 0 });
        assert_eq!(buckets.take(&[taking(1100, 0)], at(31)).0[0].left, 19);
    }
}
