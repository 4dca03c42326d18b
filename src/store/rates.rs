//! How often somebody does something, as operations of the domain.
//!
//! A bucket holds so many units and fills up again steadily; whoever takes from an empty one has to wait.
//! It is kept as one moment, the one at which it will be full again (the generic cell rate algorithm), so that
//! all homes say the same. Buckets live for minutes or hours; no home keeps them over a restart but one that several
//! processes share.

use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use super::{Secret, StoreError};

/// Names a bucket: the limit that it belongs to, and a digest of whom it limits, made by who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RateKey {
    /// Which limit: stable over restarts and the same in all processes, such as a hash of its name.
    pub limit: u32,
    /// Whom it is about.
    pub whom: u64,
}

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Units that may come at once.
    pub units: u32,
    /// In this time an empty bucket is full again.
    pub per: Duration,
}

/// What is taken from a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taking {
    /// The bucket.
    pub key: RateKey,
    /// How much it allows.
    pub allowance: Allowance,
    /// Units to take; 0 only looks.
    pub units: u32,
    /// Take even what is not there, so that who goes on waits longer; up to one allowance of debt.
    pub into_debt: bool,
}

/// What became of a taking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// It was there; of a taking that only looks, that at least one unit is.
    pub is_within: bool,
    /// When so much is there; zero if it was. More than the bucket holds is never there: then, when it would be
    /// if it could be filled further.
    pub wait: Duration,
    /// Units that are left.
    pub left: u32,
}

/// One bucket: when it will be full again, in microseconds since 1970. One that is full need not be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bucket(pub(super) u64);

/// Buckets.
pub trait Rates: Send + Sync + 'static {
    /// Takes from each of these buckets, whether or not the others have enough; in one round trip.
    fn rates_take(&self, takings: Vec<Taking>, at: SystemTime) -> BoxFuture<'_, Result<Vec<Taken>, StoreError>>;
}

// === impl RateKey ===

impl RateKey {
    /// The bucket that the limit called `limit` has for `whom`. Who does not know the secret cannot find two names
    /// that share one.
    pub fn new(secret: &Secret, limit: &str, whom: &str) -> Self {
        let [whom, _] = secret.digest(&["rate", whom]);
        Self { limit: Self::limit(limit), whom }
    }

    /// What stands for a limit of that name.
    pub fn limit(name: &str) -> u32 {
        let [a, b, c, d, ..] = xxhash_rust::xxh3::xxh3_64(name.as_bytes()).to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

// === impl Allowance ===

impl Allowance {
    /// How long the bucket takes to get so many units, in microseconds; rounded up, so that rounding gives nothing
    /// away.
    pub(super) fn cost(&self, units: u32) -> u64 {
        let cost = (u128::from(units) * u128::from(self.span())).div_ceil(u128::from(self.units.max(1)));
        u64::try_from(cost).unwrap_or(u64::MAX)
    }

    /// Units that a bucket has which lacks so many microseconds.
    pub(super) fn left(&self, lacks: u64) -> u32 {
        let left = u128::from(self.span().saturating_sub(lacks)) * u128::from(self.units) / u128::from(self.span());
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// How long an empty bucket takes to be full, in microseconds.
    pub(super) fn span(&self) -> u64 {
        u64::try_from(self.per.as_micros()).unwrap_or(u64::MAX).max(1)
    }
}

// === impl Bucket ===

impl Bucket {
    /// What lacks until it is full at `now`, in microseconds.
    pub(super) fn lacks(self, now: u64) -> u64 {
        self.0.saturating_sub(now)
    }

    /// Takes from it, at `now` in microseconds since 1970.
    pub(super) fn take(self, taking: &Taking, now: u64) -> (Self, Taken) {
        let Taking { allowance, units, into_debt, .. } = taking;
        let span = allowance.span();
        // No more debt than one allowance, whatever the limit or the clock was before.
        let lacks = self.lacks(now).min(span.saturating_mul(2));
        let wanted = lacks.saturating_add(allowance.cost((*units).max(1)));
        let is_within = wanted <= span;
        let lacks = match (units, is_within) {
            (0, _) => lacks,
            (_, true) => wanted,
            (_, false) if *into_debt => wanted.min(span.saturating_mul(2)),
            (_, false) => lacks,
        };
        let wait = Duration::from_micros(wanted.saturating_sub(span));
        (Self(now.saturating_add(lacks)), Taken { is_within, wait, left: allowance.left(lacks) })
    }
}

/// A moment as buckets know it.
pub(super) fn micros(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_790_000_000_000_000;

    fn taking(units: u32, per: u64, take: u32, into_debt: bool) -> Taking {
        let allowance = Allowance { units, per: Duration::from_secs(per) };
        Taking { key: RateKey { limit: 1, whom: 2 }, allowance, units: take, into_debt }
    }

    #[test]
    fn a_bucket_empties_at_once_and_fills_steadily() {
        let second = 1_000_000;
        let mut bucket = Bucket::default();
        for (at, units, into_debt, is_within, wait, left) in [
            (0, 0, false, true, 0, 10),
            (0, 4, false, true, 0, 6),
            (0, 6, false, true, 0, 0),
            (0, 0, false, false, 6, 0),
            (0, 1, false, false, 6, 0),
            (3, 1, false, false, 3, 0),
            (6, 1, false, true, 0, 0),
            (12, 0, false, true, 0, 1),
            (12, 3, false, false, 12, 1),
            (12, 3, true, false, 12, 0),
            (12, 1, false, false, 18, 0),
            // The debt is bounded: two minutes until it is full.
            (12, 1000, true, false, 6012, 0),
            (12, 0, false, false, 66, 0),
            (78, 0, false, true, 0, 1),
            (132, 0, false, true, 0, 10),
            (9999, 10, false, true, 0, 0),
        ] {
            let (after, taken) = bucket.take(&taking(10, 60, units, into_debt), NOW + at * second);
            assert_eq!(taken, Taken { is_within, wait: Duration::from_secs(wait), left }, "{units} at {at}");
            bucket = after;
        }
    }

    #[test]
    fn a_clock_that_goes_back_keeps_nobody_waiting_longer_than_a_debt() {
        let (bucket, _) = Bucket::default().take(&taking(10, 60, 10, false), NOW);
        let (_, taken) = bucket.take(&taking(10, 60, 0, false), NOW - 1_000_000_000_000);
        assert_eq!(taken, Taken { is_within: false, wait: Duration::from_secs(66), left: 0 });
    }

    #[test]
    fn the_key_of_a_limit_is_the_same_everywhere_and_of_no_other() {
        let secret = Secret::new(&[7; 32]);
        let key = RateKey::new(&secret, "client-errors", "192.0.2.1");
        assert_eq!(key, RateKey::new(&Secret::new(&[7; 32]), "client-errors", "192.0.2.1"));
        assert_ne!(key.whom, RateKey::new(&secret, "client-errors", "192.0.2.2").whom);
        assert_ne!(key.limit, RateKey::new(&secret, "client-bytes", "192.0.2.1").limit);
    }

    proptest! {
        /// Between any two moments no more is given than a full bucket, and what flowed into it meanwhile.
        #[test]
        fn never_more_than_was_allowed(
            units in 1u32..2000,
            per in 1u64..100_000,
            steps in proptest::collection::vec((0u64..20_000_000, 0u32..300), 1..60),
        ) {
            let (mut bucket, mut now, mut given) = (Bucket::default(), NOW, Vec::new());
            for (pause, wanted) in steps {
                now += pause;
                let (after, taken) = bucket.take(&taking(units, per, wanted, false), now);
                prop_assert!(taken.left <= units);
                if taken.is_within && wanted > 0 {
                    given.push((now, u128::from(wanted)));
                }
                bucket = after;
            }
            for (index, (from, _)) in given.iter().enumerate() {
                let mut sum = 0;
                for (until, got) in given.iter().skip(index) {
                    sum += got;
                    let flowed = u128::from(until - from) * u128::from(units);
                    prop_assert!(sum * u128::from(per) * 1_000_000 <= u128::from(units) * u128::from(per) * 1_000_000 + flowed);
                }
            }
        }

        /// Who waits as long as was said gets what was asked for, if the bucket can hold it.
        #[test]
        fn what_was_said_is_true(
            units in 1u32..2000, per in 1u64..100_000, lacks in 0u64..300_000_000_000, wanted in 1u32..2000,
        ) {
            let wanted = wanted.min(units);
            let (after, taken) = Bucket(NOW + lacks).take(&taking(units, per, wanted, false), NOW);
            if !taken.is_within {
                let then = NOW + taken.wait.as_micros() as u64;
                prop_assert!(after.take(&taking(units, per, wanted, false), then).1.is_within);
            }
        }
    }
}
