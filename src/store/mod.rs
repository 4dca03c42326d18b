//! What is remembered from one transaction to the next, as narrow operations of the domain.
//!
//! Every operation is atomic and bounded. Failure: [`StoreError`] costs memory, never mail; whoever gets
//! one has nothing to do about it, because it was counted and logged already.

pub mod embedded;
mod ledger;
pub mod memory;
mod metrics;
mod record;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

pub use embedded::EmbeddedStore;
pub use memory::MemoryStore;
pub use metrics::Metrics;
pub use record::AUTHOR_DOMAINS;

use crate::clock::Clock;

use crate::facts::{AuthResult, DmarcPolicy, DmarcRecord};

/// Where things are remembered, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file; `None`: memory alone, until the process ends.
    pub path: Option<PathBuf>,
    /// Hops; beyond that those that forward least are forgotten.
    pub hops: usize,
    /// Distinct rows of DMARC reports, over all domains and days; beyond that they are left out.
    pub report_rows: usize,
    /// What was not seen again for that long is forgotten.
    pub retention: Duration,
}

/// Why nothing was remembered, or recalled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too many operations wait already.
    #[error("the store is busy")]
    Busy,
    /// The medium failed us.
    #[error("{0}")]
    Unavailable(String),
}

/// One message, as evidence for or against a hop being an honest forwarder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The hop: the organizational domain of its confirmed client name, or its network (v4 /24, v6 /64).
    pub hop: Arc<str>,
    /// The author domain.
    pub author_domain: Arc<str>,
    /// What was seen.
    pub kind: SightingKind,
    /// When.
    pub at: SystemTime,
}

/// What a message through a hop shows about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SightingKind {
    /// SPF does not pass for the hop, an aligned DKIM signature of the author domain survived.
    Forwarded,
    /// SPF does not pass, and a signature of the author domain is there but broken: changed on the way, or forged.
    Broken,
    /// Nothing authenticates the author domain, and its DMARC policy asks for suspicion or refusal.
    Unauthenticated,
    /// SPF passes: the hop sends this mail in its own right.
    Direct,
}

/// What is remembered of one hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopRecord {
    /// The hop, as in [`Sighting::hop`].
    pub hop: Arc<str>,
    /// Messages by kind, in the order of [`SightingKind`].
    pub counts: [u64; 4],
    /// Different author domains whose signatures survived, counted up to a bound.
    pub author_domains: Vec<Arc<str>>,
    /// First and last sighting.
    pub first: SystemTime,
    /// See `first`.
    pub last: SystemTime,
}

/// One message as DMARC aggregate reports count it (RFC 9990).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DmarcObservation {
    /// The policy record that applied; its domain is the one reported to.
    pub record: DmarcRecord,
    /// The client.
    pub source: IpAddr,
    /// The author domain.
    pub header_from: Arc<str>,
    /// The reverse-path's domain; empty for the null reverse-path.
    pub envelope_from: Arc<str>,
    /// What was done on behalf of DMARC.
    pub disposition: DmarcPolicy,
    /// Why less was done than asked for: a type of RFC 9990 and words.
    pub overridden: Option<(&'static str, String)>,
    /// Aligned SPF passed.
    pub spf_aligned: bool,
    /// Aligned DKIM passed.
    pub dkim_aligned: bool,
    /// The SPF check: domain, whether it was the HELO name's, result.
    pub spf: (Arc<str>, bool, AuthResult),
    /// Each DKIM signature: domain, selector, result.
    pub dkim: Vec<(Arc<str>, String, AuthResult)>,
    /// When.
    pub at: SystemTime,
}

/// What one domain is to be told about one period.
#[derive(Clone, Debug, PartialEq)]
pub struct DmarcBatch {
    /// Names the batch for [`Store::dmarc_done`].
    pub id: u64,
    /// The domain of the policy record.
    pub domain: Arc<str>,
    /// The record as last seen.
    pub record: DmarcRecord,
    /// Begin and end of the period.
    pub begin: SystemTime,
    /// See `begin`.
    pub end: SystemTime,
    /// Distinct rows with how many messages each stands for.
    pub rows: Vec<(DmarcObservation, u64)>,
    /// Messages that the bound on rows left out.
    pub left_out: u64,
}

/// What is remembered.
pub trait Store: Send + Sync + 'static {
    /// Counts a message through a hop.
    fn sighted(&self, sighting: Sighting) -> BoxFuture<'_, Result<(), StoreError>>;

    /// All hops, those with most forwarded messages first.
    fn hops(&self) -> BoxFuture<'_, Result<Vec<HopRecord>, StoreError>>;

    /// Counts a message for the report of the domain whose policy applied.
    fn dmarc_observed(&self, observation: DmarcObservation) -> BoxFuture<'_, Result<(), StoreError>>;

    /// What was observed in periods that ended before `now`, and is not done.
    fn dmarc_due(&self, now: SystemTime) -> BoxFuture<'_, Result<Vec<DmarcBatch>, StoreError>>;

    /// Forgets a batch: it was reported, or nobody wants it. Once it returns, a crash does not bring it back.
    fn dmarc_done(&self, id: u64) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Waits until everything so far is as safe as it will be.
    fn flush(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { path: None, hops: 50_000, report_rows: 100_000, retention: Duration::from_secs(90 * record::DAY) }
    }
}

/// The store of these settings; blocks for a moment. A file that cannot be opened is a warning, and memory
/// takes its place: mail matters more than what we know of it.
pub fn open(settings: &Settings, clock: Arc<dyn Clock>, metrics: Metrics) -> Arc<dyn Store> {
    metrics.durable.set(0);
    if let Some(path) = &settings.path {
        match EmbeddedStore::open(path, settings, clock.clone(), metrics.clone()) {
            Ok(store) => {
                metrics.durable.set(1);
                return Arc::new(store);
            }
            Err(why) => tracing::warn!(%why, "no store: what is remembered is lost at the next restart"),
        }
    }
    Arc::new(MemoryStore::new(settings, clock, metrics))
}

#[cfg(test)]
mod battery;
