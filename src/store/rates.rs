//! How often somebody does something, as operations of the domain.
//!
//! A bucket holds so many units and fills up again steadily; whoever takes from an empty one has to wait.
//! It is kept as one moment, the one at which it will be full again (the generic cell rate algorithm), so that
//! all homes say the same. Buckets live for minutes or hours; no home keeps them over a restart but one that several
//! processes share.

use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use super::StoreError;

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
    /// It was there.
    pub is_within: bool,
    /// When so much is there; zero if it was.
    pub wait: Duration,
    /// Units that are left.
    pub left: u32,
}

/// Buckets.
pub trait Rates: Send + Sync + 'static {
    /// Takes from each of these buckets, whether or not the others have enough; in one round trip.
    fn rates_take(&self, takings: Vec<Taking>, at: SystemTime) -> BoxFuture<'_, Result<Vec<Taken>, StoreError>>;
}
