//! What is kept of a hop and of a report, apart from where it is kept.
//!
//! The forms of this file are those on disk: whoever changes them gives their tables a new version.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{
    Disposition, DmarcObservation, DmarcRow, HopRecord, LEASE, Override, REPORT_GRACE, Sighting, SightingKind,
};
use crate::clock::seconds;
use crate::facts::{AuthResult, DmarcPolicy, DmarcRecord};

/// Author domains that are told apart for one hop.
pub const AUTHOR_DOMAINS: usize = 64;
/// Octets of the longest name that is kept; no domain name is longer.
pub(super) const LONGEST_NAME: usize = 255;
/// Octets of the largest row, and of the largest policy record: what is in them strangers have written.
pub(super) const LARGEST: usize = 4096;
/// Seconds of a day.
pub(super) const DAY: u64 = 86_400;

const RESULTS: [AuthResult; 8] = [
    AuthResult::None,
    AuthResult::Pass,
    AuthResult::Fail,
    AuthResult::SoftFail,
    AuthResult::Neutral,
    AuthResult::Policy,
    AuthResult::TempError,
    AuthResult::PermError,
];
const POLICIES: [DmarcPolicy; 3] = [DmarcPolicy::None, DmarcPolicy::Quarantine, DmarcPolicy::Reject];
/// Addresses of one report that are kept as settled; nobody is written to at more.
pub(super) const MOST_SETTLED: usize = 16;

/// One hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hop {
    counts: [u64; 4],
    domains: Vec<Arc<str>>,
    first: u64,
    last: u64,
}

/// What one domain will be told about one day, but for the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// The UTC day, counted from 1970.
    pub(super) day: u64,
    pub(super) domain: Arc<str>,
    pub(super) record: DmarcRecord,
    pub(super) left_out: u64,
    /// It was claimed once, and nothing is added any more.
    pub(super) is_closed: bool,
    /// Until when somebody has claimed it.
    claimed_until: u64,
    pub(super) settled: Vec<Arc<str>>,
}

/// Names a row: the report, the network of the source, and the row itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowKey {
    pub(super) report: u64,
    pub(super) network: u128,
    pub(super) row: Arc<[u8]>,
}

#[derive(Serialize, Deserialize)]
struct StoredReport {
    day: u64,
    domain: Arc<str>,
    record: StoredRecord,
    left_out: u64,
    is_closed: bool,
    claimed_until: u64,
    settled: Vec<Arc<str>>,
}

#[derive(Serialize, Deserialize)]
struct StoredRecord {
    domain: Arc<str>,
    policies: [usize; 3],
    strict_dkim: bool,
    strict_spf: bool,
    testing: bool,
    rua: Vec<(String, Option<u64>)>,
    failure_options: String,
}

#[derive(Serialize, Deserialize)]
struct StoredRow {
    source: IpAddr,
    header_from: Arc<str>,
    envelope_from: Arc<str>,
    disposition: Disposition,
    overridden: Option<Override>,
    aligned: (bool, bool),
    spf: (Arc<str>, usize),
    dkim: Vec<(Arc<str>, String, usize)>,
}

pub(super) fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH)
}

// === impl Hop ===

impl Hop {
    pub(super) fn new(at: SystemTime) -> Self {
        Self { counts: [0; 4], domains: Vec::new(), first: seconds(at), last: seconds(at) }
    }

    pub(super) fn count(&mut self, sighting: &Sighting) {
        let [forwarded, broken, unauthenticated, direct] = &mut self.counts;
        let count = match sighting.kind {
            SightingKind::Forwarded => forwarded,
            SightingKind::Broken => broken,
            SightingKind::Unauthenticated => unauthenticated,
            SightingKind::Direct => direct,
        };
        *count = count.saturating_add(1);
        self.first = self.first.min(seconds(sighting.at));
        self.last = self.last.max(seconds(sighting.at));
        let is_new = || !self.domains.contains(&sighting.author_domain);
        if sighting.kind == SightingKind::Forwarded && self.domains.len() < AUTHOR_DOMAINS && is_new() {
            self.domains.push(sighting.author_domain.clone());
        }
    }

    pub(super) fn forwarded(&self) -> u64 {
        let [forwarded, ..] = self.counts;
        forwarded
    }

    /// How [`HopRecord`]s are ordered, the first first.
    pub(super) fn rank(&self) -> std::cmp::Reverse<[u64; 4]> {
        std::cmp::Reverse(self.counts)
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Who goes first when there are too many: those that forward least (by powers of two, so that a
    /// beginner has a chance), of these the ones not seen for longest. Noise displaces noise.
    pub(super) fn worth(&self) -> (u32, u64) {
        (u64::BITS - self.forwarded().leading_zeros(), self.last)
    }

    pub(super) fn record(&self, hop: Arc<str>) -> HopRecord {
        HopRecord {
            hop,
            counts: self.counts,
            author_domains: self.domains.clone(),
            first: time(self.first),
            last: time(self.last),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and strings")
    }

    pub(super) fn decode(octets: &[u8]) -> Option<Self> {
        serde_json::from_slice(octets).ok()
    }
}

// === impl Report ===

impl Report {
    /// `None` if its record is beyond all measure; that domain has nobody but itself to thank.
    pub(super) fn new(observation: &DmarcObservation) -> Option<Self> {
        let record = observation.record.clone();
        let report = Self {
            day: seconds(observation.at) / DAY,
            domain: record.domain.clone(),
            record,
            left_out: 0,
            is_closed: false,
            claimed_until: 0,
            settled: Vec::new(),
        };
        (report.domain.len() <= LONGEST_NAME && report.encode().len() <= LARGEST).then_some(report)
    }

    /// The first second after its day.
    pub(super) fn end(&self) -> u64 {
        (self.day + 1).saturating_mul(DAY)
    }

    /// True if it may be claimed. A claim that lasts longer than any was made by a clock that went wrong.
    pub(super) fn is_due(&self, now: u64) -> bool {
        let is_claimed = now < self.claimed_until && self.claimed_until <= now.saturating_add(LEASE.as_secs());
        self.end().saturating_add(REPORT_GRACE.as_secs()) <= now && !is_claimed
    }

    pub(super) fn claim(&mut self, now: u64) {
        self.is_closed = true;
        self.claimed_until = now.saturating_add(LEASE.as_secs());
    }

    pub(super) fn put_back(&mut self) {
        self.claimed_until = 0;
    }

    pub(super) fn settle(&mut self, address: Arc<str>) {
        if self.settled.len() < MOST_SETTLED && address.len() <= LARGEST && !self.settled.contains(&address) {
            self.settled.push(address);
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let stored = StoredReport {
            day: self.day,
            domain: self.domain.clone(),
            record: StoredRecord::from(&self.record),
            left_out: self.left_out,
            is_closed: self.is_closed,
            claimed_until: self.claimed_until,
            settled: self.settled.clone(),
        };
        serde_json::to_vec(&stored).expect("numbers and strings")
    }

    pub(super) fn decode(octets: &[u8]) -> Option<Self> {
        let stored: StoredReport = serde_json::from_slice(octets).ok()?;
        Some(Self {
            day: stored.day,
            domain: stored.domain,
            record: stored.record.meant()?,
            left_out: stored.left_out,
            is_closed: stored.is_closed,
            claimed_until: stored.claimed_until,
            settled: stored.settled,
        })
    }
}

// === impl RowKey ===

impl RowKey {
    /// `None` if the row is too large.
    pub(super) fn new(report: u64, row: &DmarcRow) -> Option<Self> {
        let word = |result: AuthResult| position(&RESULTS, &result);
        let (spf_domain, spf_result) = &row.spf;
        let signatures = row.dkim.iter().map(|(domain, name, end)| (domain.clone(), name.clone(), word(*end)));
        let stored = StoredRow {
            source: row.source,
            header_from: row.header_from.clone(),
            envelope_from: row.envelope_from.clone(),
            disposition: row.disposition,
            overridden: row.overridden,
            aligned: (row.spf_aligned, row.dkim_aligned),
            spf: (spf_domain.clone(), word(*spf_result)),
            dkim: signatures.collect(),
        };
        let octets = serde_json::to_vec(&stored).expect("numbers and strings");
        (octets.len() <= LARGEST).then(|| Self { report, network: network(row.source), row: octets.into() })
    }

    /// The row as it was observed; `None` if it cannot be read.
    pub(super) fn observed(&self) -> Option<DmarcRow> {
        let stored: StoredRow = serde_json::from_slice(&self.row).ok()?;
        let (spf_domain, spf_result) = stored.spf;
        let dkim = stored.dkim.into_iter().map(|(domain, name, end)| Some((domain, name, *RESULTS.get(end)?)));
        Some(DmarcRow {
            source: stored.source,
            header_from: stored.header_from,
            envelope_from: stored.envelope_from,
            disposition: stored.disposition,
            overridden: stored.overridden,
            spf_aligned: stored.aligned.0,
            dkim_aligned: stored.aligned.1,
            spf: (spf_domain, *RESULTS.get(spf_result)?),
            dkim: dkim.collect::<Option<_>>()?,
        })
    }
}

// === impl StoredRecord ===

impl From<&DmarcRecord> for StoredRecord {
    fn from(record: &DmarcRecord) -> Self {
        let policies = [record.policy, record.subdomain_policy, record.nonexistent_policy];
        Self {
            domain: record.domain.clone(),
            policies: policies.map(|policy| position(&POLICIES, &policy)),
            strict_dkim: record.strict_dkim,
            strict_spf: record.strict_spf,
            testing: record.testing,
            rua: record.rua.clone(),
            failure_options: record.failure_options.clone(),
        }
    }
}

impl StoredRecord {
    fn meant(self) -> Option<DmarcRecord> {
        let [policy, subdomain_policy, nonexistent_policy] = self.policies.map(|at| POLICIES.get(at).copied());
        Some(DmarcRecord {
            domain: self.domain,
            policy: policy?,
            subdomain_policy: subdomain_policy?,
            nonexistent_policy: nonexistent_policy?,
            strict_dkim: self.strict_dkim,
            strict_spf: self.strict_spf,
            testing: self.testing,
            rua: self.rua,
            failure_options: self.failure_options,
        })
    }
}

fn position<T: PartialEq>(all: &[T], one: &T) -> usize {
    all.iter().position(|known| known == one).unwrap_or(0)
}

/// One IPv4 address, or the /64 of an IPv6 address: what one source has to itself.
fn network(source: IpAddr) -> u128 {
    match source.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
    }
}
