//! What is remembered from one transaction to the next, as narrow operations of the domain.
//!
//! A trait for each thing that is remembered, so that whoever needs one is given no more; each home has all.
//! Every operation is atomic and bounded. Failure: [`StoreError`] costs memory, never mail; whoever gets
//! one has nothing to do about it, because it was counted and logged already.

mod blocks;
mod buckets;
mod campaigns;
mod classifier;
mod crowds;
mod deliveries;
mod earned;
pub mod embedded;
mod greylist;
mod ledger;
pub mod memory;
mod metrics;
mod rates;
mod record;
pub mod redis;
mod reputation;
mod triplets;
mod upkeep;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

pub use blocks::{Block, Blocked, Blocks, MOST_BLOCKS, NotBlockable};
pub use campaigns::{Campaign, CampaignId, CampaignSighting, Campaigns, Fingerprint, Learned};
pub use classifier::{Lesson, LessonId, Taught, TaughtCount, Teachings, Weighed};
pub use deliveries::{Deliveries, DeliveryKey};
pub use embedded::{EmbeddedStore, OpenError};
pub use greylist::{Greylist, Holder, Secret, TripletEvent, TripletKey, TripletRecord, WantedTriplets};
pub use memory::MemoryStore;
pub use metrics::Metrics;
pub use rates::{Allowance, RateKey, Rates, Taken, Taking};
pub use record::AUTHOR_DOMAINS;
pub use redis::{RedisSettings, RedisStore};
pub use reputation::{Fading, ReputationRecord, Reputations, Reputed};

pub use upkeep::{Compacted, Info, TableInfo, Upkeep};

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::facts::{AuthResult, DmarcRecord};

/// After a day has ended its reports wait for transactions that began on it.
pub const REPORT_GRACE: Duration = Duration::from_secs(30 * 60);
/// Reports are kept so long at least, whatever [`Settings::retention`] says, so that they can be delivered.
pub const REPORTS_KEPT_AT_LEAST: Duration = Duration::from_secs(4 * record::DAY);
/// How long whoever has claimed a batch has it alone.
pub const LEASE: Duration = Duration::from_secs(3600);

/// Attempts at a file that another process has open: one that is about to end, or looks at it for a moment.
const IN_USE_TRIES: u32 = 50;
/// Between two of them.
const IN_USE_PAUSE: Duration = Duration::from_millis(100);

/// Where things are remembered, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file; `None`: memory alone, until the process ends.
    pub path: Option<PathBuf>,
    /// Redis instead of a file.
    pub redis: Option<RedisSettings>,
    /// Hops; beyond that those that forward least are forgotten.
    pub hops: usize,
    /// Distinct rows of DMARC reports, over all domains and days; beyond that they are left out.
    pub report_rows: usize,
    /// Triplets of greylisting, and holders that pass; beyond that those of the most crowded network go first.
    pub triplets: usize,
    /// Buckets of rates; beyond that the fullest are forgotten.
    pub buckets: usize,
    /// Reputations; beyond that those with the least evidence go first, of newcomers those of the most crowded network.
    pub reputations: usize,
    /// Campaigns that are counted; beyond that those of one network go first, see `campaigns::cards`.
    pub campaigns: usize,
    /// Digests of messages that campaigns are found by; [`BYTES_PER_ENTRY`](crate::similarity::BYTES_PER_ENTRY)
    /// of memory each, taken as they come.
    pub digests: usize,
    /// What belongs to a campaign is forgotten when nothing like it was seen for this long.
    pub campaign_window: Duration,
    /// Messages that the classifier can unlearn; of older ones what they have taught remains. 100 octets of memory each.
    pub lessons: usize,
    /// Deliveries that clients do not know of; beyond that the oldest are forgotten.
    pub deliveries: usize,
    /// What was not seen again for that long is forgotten; how long triplets are kept, greylisting says.
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

/// Which hops are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedHops {
    /// Only those that have forwarded something.
    pub forwarding: bool,
    /// So many at most.
    pub most: usize,
}

/// One message as DMARC aggregate reports count it (RFC 9990).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DmarcObservation {
    /// The policy record that applied; its domain is the one reported to.
    pub record: DmarcRecord,
    /// What the report will say; equal rows of a day are counted together.
    pub row: DmarcRow,
    /// When.
    pub at: SystemTime,
}

/// What a report says of messages that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DmarcRow {
    /// The client.
    pub source: IpAddr,
    /// The author domain.
    pub header_from: Arc<str>,
    /// The reverse-path's domain; empty for the null reverse-path.
    pub envelope_from: Arc<str>,
    /// What was done on behalf of DMARC.
    pub disposition: Disposition,
    /// Why it was not what the policy asks for.
    pub overridden: Option<Override>,
    /// Aligned SPF passed.
    pub spf_aligned: bool,
    /// Aligned DKIM passed.
    pub dkim_aligned: bool,
    /// The SPF check: domain and result.
    pub spf: (Arc<str>, AuthResult),
    /// Each DKIM signature: domain, selector, result.
    pub dkim: Vec<(Arc<str>, String, AuthResult)>,
}

/// What was done with a message on behalf of DMARC. Nothing is ever put aside here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// It passed, so there was nothing to do.
    Pass,
    /// Nothing.
    None,
    /// Refused.
    Reject,
}

/// Why something else was done than the policy asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Override {
    /// DMARC is one finding among several, and all of them together were not enough.
    JudgedAsAWhole,
    /// The policy wants it put aside; it was refused.
    NeverPutAside,
    /// The policy is being tried out (`t=y`).
    Testing,
}

/// What one domain is to be told about one period.
#[derive(Clone, Debug, PartialEq)]
pub struct DmarcBatch {
    /// Names the batch for [`Reports`].
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
    pub rows: Vec<(DmarcRow, u64)>,
    /// Messages that bounds left out.
    pub left_out: u64,
    /// Addresses of the record that need nothing more, see [`Reports::dmarc_settled`].
    pub settled: Vec<Arc<str>>,
}

/// Evidence about hops that forward mail.
pub trait Forwarders: Send + Sync + 'static {
    /// Counts a message through a hop.
    fn sighted(&self, sighting: Sighting) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Hops, those with most forwarded messages first. What was sighted in the last moments may be missing.
    fn hops(&self, wanted: WantedHops) -> BoxFuture<'_, Result<Vec<HopRecord>, StoreError>>;
}

/// What DMARC reports will say.
///
/// A batch is collected, then claimed, which closes it: what arrives afterwards goes into another batch of
/// the same domain and day. Several processes may share one home: only one of them gets a claim at a time.
pub trait Reports: Send + Sync + 'static {
    /// Counts a message for the report of the domain whose policy applied.
    fn dmarc_observed(&self, observation: DmarcObservation) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The batches of days that ended [`REPORT_GRACE`] before `now`, which nobody has claimed, oldest first.
    fn dmarc_due(&self, now: SystemTime) -> BoxFuture<'_, Result<Vec<u64>, StoreError>>;

    /// A batch that is due, closed, and for [`LEASE`] the caller's alone; `None` if it is not to be had.
    fn dmarc_claim(&self, id: u64, now: SystemTime) -> BoxFuture<'_, Result<Option<DmarcBatch>, StoreError>>;

    /// Notes that `address` has the report, or never will.
    fn dmarc_settled(&self, id: u64, address: Arc<str>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Ends a claim: the batch is due again.
    fn dmarc_put_back(&self, id: u64) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Forgets a batch: it was reported, or nobody wants it. Once it returns, a crash does not bring it back.
    fn dmarc_done(&self, id: u64) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// A home of all that is remembered.
pub trait Store:
    Blocks + Deliveries + Forwarders + Reports + Greylist + Campaigns + Rates + Reputations + Teachings + Upkeep
{
    /// Waits until everything so far is as safe as it will be, and can be read.
    fn flush(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl WantedHops {
    /// All that are known.
    pub const ALL: Self = Self { forwarding: false, most: usize::MAX };
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: None,
            redis: None,
            hops: 50_000,
            report_rows: 100_000,
            triplets: 500_000,
            buckets: 500_000,
            reputations: 200_000,
            campaigns: 100_000,
            digests: 250_000,
            lessons: 100_000,
            deliveries: 100_000,
            campaign_window: Duration::from_secs(3 * record::DAY),
            retention: Duration::from_secs(90 * record::DAY),
        }
    }
}

/// The store of these settings; blocks for a moment, for some seconds if another process has the file, or for two
/// if Redis is not there, which may come later. A file
/// that cannot be opened is a warning, and memory takes its place: mail matters more than what we know of it.
pub fn open(settings: &Settings, clock: Arc<dyn Clock>, metrics: Metrics) -> Arc<dyn Store> {
    open_between(settings, clock, metrics, &mut || std::thread::sleep(IN_USE_PAUSE))
}

/// The same, with `pause` between attempts at a file that is in use.
fn open_between(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    pause: &mut dyn FnMut(),
) -> Arc<dyn Store> {
    metrics.durable.set(0);
    if let Some(redis) = &settings.redis {
        match RedisStore::open(redis, settings, clock.clone(), metrics.clone()) {
            Ok(store) => {
                metrics.durable.set(1);
                return Arc::new(store);
            }
            Err(why) => {
                tracing::warn!(%why, "no store: what is remembered is lost at the next restart");
                return Arc::new(MemoryStore::new(settings, clock, metrics));
            }
        }
    }
    let Some(path) = &settings.path else { return Arc::new(MemoryStore::new(settings, clock, metrics)) };
    let mut tries = 1;
    let why = loop {
        match EmbeddedStore::open(path, settings, clock.clone(), metrics.clone()) {
            Ok(store) => {
                metrics.durable.set(1);
                return Arc::new(store);
            }
            Err(OpenError::InUse(_)) if tries < IN_USE_TRIES => {
                tries += 1;
                pause();
            }
            Err(why) => break why,
        }
    };
    tracing::warn!(%why, "no store: what is remembered is lost at the next restart");
    Arc::new(MemoryStore::new(settings, clock, metrics))
}

#[cfg(test)]
mod battery;
