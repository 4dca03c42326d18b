//! The book-keeping of both homes: what is counted where, what is forgotten when there is too much.
//!
//! Promises: bounds hold at all times, and nobody can use up another's share: hops that forward
//! nothing displace only their like, a domain has a share of the rows of reports, and a source one of
//! the domain's. Where rows are short all the same, the longest report gives.
//!
//! Failure: the medium's alone. After one the ledger may know better than the medium: [`Ledger::load`] again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::record::{DAY, Hop, LONGEST_NAME, Report, RowKey, time};
use super::{DmarcBatch, DmarcObservation, HopRecord, Settings, Sighting};

/// One part in this many of all rows is a domain's share of a day, and of that a source's.
const SHARE: usize = 10;
/// A report shorter than this gives nothing away.
const SHORT: usize = 16;
/// When hops are too many, one in this many goes, so that the search is worth it.
const HOPS_FREED: usize = 16;
/// Nobody waits for a report about longer ago.
const REPORT_DAYS: u64 = 14;
/// Between two looks for what has grown old.
const EXPIRY_INTERVAL: u64 = 3600;

/// Where hops, reports and rows are kept, for reading.
pub(super) trait Readable {
    /// How it fails.
    type Error;
    fn hop(&self, name: &str) -> Result<Option<Hop>, Self::Error>;
    fn hop_count(&self) -> Result<usize, Self::Error>;
    fn hops(&self) -> Result<Vec<(Arc<str>, Hop)>, Self::Error>;
    fn reports(&self) -> Result<Vec<(u64, Report)>, Self::Error>;
    fn row(&self, key: &RowKey) -> Result<Option<u64>, Self::Error>;
    fn rows(&self, report: u64) -> Result<Vec<(RowKey, u64)>, Self::Error>;
    fn rows_of_network(&self, report: u64, network: u128) -> Result<usize, Self::Error>;
}

/// The same, for changing.
pub(super) trait Medium: Readable {
    fn put_hop(&mut self, name: &str, hop: &Hop) -> Result<(), Self::Error>;
    fn drop_hop(&mut self, name: &str) -> Result<(), Self::Error>;
    fn put_report(&mut self, id: u64, report: &Report) -> Result<(), Self::Error>;
    /// Forgets it and its rows.
    fn drop_report(&mut self, id: u64) -> Result<(), Self::Error>;
    fn put_row(&mut self, key: &RowKey, messages: u64) -> Result<(), Self::Error>;
    fn drop_row(&mut self, key: &RowKey) -> Result<(), Self::Error>;
}

/// What became of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    Yes,
    /// A bound was reached.
    LeftOut,
}

/// How full everything is; what is in it the medium knows.
pub(super) struct Ledger {
    bounds: Bounds,
    reports: BTreeMap<u64, Known>,
    ids: HashMap<(u64, Arc<str>), u64>,
    rows: usize,
    next_id: u64,
    /// The day on which nobody had rows to give away any more.
    saturated: Option<u64>,
    expired_at: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    hops: usize,
    rows: usize,
    retention: Duration,
}

/// A report and how many rows it has.
struct Known {
    report: Report,
    rows: usize,
}

// === impl Bounds ===

impl From<&Settings> for Bounds {
    fn from(settings: &Settings) -> Self {
        Self { hops: settings.hops.max(1), rows: settings.report_rows.max(1), retention: settings.retention }
    }
}

impl Bounds {
    fn hop_has_expired(&self, hop: &Hop, now: u64) -> bool {
        hop.last().saturating_add(self.retention.as_secs()) < now
    }

    fn report_has_expired(&self, report: &Report, now: u64) -> bool {
        let kept = self.retention.as_secs().min(REPORT_DAYS * DAY);
        report.end().saturating_add(kept) < now
    }

    fn rows_of_domain(&self) -> usize {
        (self.rows / SHARE).max(1)
    }

    fn rows_of_source(&self) -> usize {
        (self.rows_of_domain() / SHARE).max(1)
    }

    /// All hops that have not expired, those with most forwarded messages first.
    pub(super) fn hops<M: Readable>(&self, medium: &M, now: u64) -> Result<Vec<HopRecord>, M::Error> {
        let hops = medium.hops()?.into_iter().filter(|(_, hop)| !self.hop_has_expired(hop, now));
        let mut records: Vec<HopRecord> = hops.map(|(name, hop)| hop.record(name)).collect();
        records.sort_by(|a, b| b.counts.cmp(&a.counts).then_with(|| a.hop.cmp(&b.hop)));
        Ok(records)
    }

    /// The reports whose day is over, oldest first.
    pub(super) fn due<M: Readable>(&self, medium: &M, now: u64) -> Result<Vec<DmarcBatch>, M::Error> {
        let mut batches = Vec::new();
        for (id, report) in medium.reports()? {
            if report.end() > now || self.report_has_expired(&report, now) {
                continue;
            }
            let rows = medium.rows(id)?;
            let rows = rows.iter().filter_map(|(key, messages)| Some((key.observation(&report)?, *messages))).collect();
            batches.push(DmarcBatch {
                id,
                begin: time(report.day * DAY),
                end: time(report.end()),
                domain: report.domain,
                record: report.record,
                rows,
                left_out: report.left_out,
            });
        }
        batches.sort_by_key(|batch| (batch.begin, batch.id));
        Ok(batches)
    }
}

// === impl Ledger ===

impl Ledger {
    /// Looks through what is there.
    pub(super) fn load<M: Readable>(bounds: Bounds, medium: &M, now: u64) -> Result<Self, M::Error> {
        let mut ledger = Self {
            bounds,
            reports: BTreeMap::new(),
            ids: HashMap::new(),
            rows: 0,
            // Ids of a run differ from those of the one before, whatever has been forgotten.
            next_id: now << 20,
            saturated: None,
            expired_at: 0,
        };
        for (id, report) in medium.reports()? {
            let rows = medium.rows(id)?.len();
            ledger.add(id, report, rows);
        }
        Ok(ledger)
    }

    /// Counts a message through a hop.
    pub(super) fn sighted<M: Medium>(&mut self, medium: &mut M, sighting: &Sighting) -> Result<(), M::Error> {
        if sighting.hop.len() > LONGEST_NAME || sighting.author_domain.len() > LONGEST_NAME {
            return Ok(());
        }
        let mut hop = match medium.hop(&sighting.hop)? {
            Some(hop) => hop,
            None => {
                if medium.hop_count()? >= self.bounds.hops {
                    self.free_hops(medium)?;
                }
                Hop::new(sighting.at)
            }
        };
        hop.count(sighting);
        medium.put_hop(&sighting.hop, &hop)
    }

    /// Counts a message for a report.
    pub(super) fn observed<M: Medium>(
        &mut self,
        medium: &mut M,
        observation: &DmarcObservation,
    ) -> Result<Counted, M::Error> {
        let Some(report) = Report::new(observation) else { return Ok(Counted::LeftOut) };
        let day = report.day;
        let id = match self.ids.get(&(day, report.domain.clone())) {
            Some(id) => *id,
            None => {
                if !self.has_room(medium, day)? {
                    return Ok(Counted::LeftOut);
                }
                let id = self.next_id;
                medium.put_report(id, &report)?;
                self.add(id, report, 0);
                id
            }
        };
        self.learn_record(medium, id, observation)?;
        if let Some(key) = RowKey::new(id, observation) {
            if let Some(messages) = medium.row(&key)? {
                medium.put_row(&key, messages.saturating_add(1))?;
                return Ok(Counted::Yes);
            }
            let domain_has_room = self.reports.get(&id).is_some_and(|known| known.rows < self.bounds.rows_of_domain());
            let source_has_room = medium.rows_of_network(id, key.network)? < self.bounds.rows_of_source();
            if domain_has_room && source_has_room && self.has_room(medium, day)? {
                medium.put_row(&key, 1)?;
                self.rows += 1;
                self.reports.entry(id).and_modify(|known| known.rows += 1);
                return Ok(Counted::Yes);
            }
        }
        self.leave_out(medium, id, 1)?;
        Ok(Counted::LeftOut)
    }

    /// Forgets a report.
    pub(super) fn done<M: Medium>(&mut self, medium: &mut M, id: u64) -> Result<(), M::Error> {
        let Some(known) = self.reports.remove(&id) else { return Ok(()) };
        self.ids.remove(&(known.report.day, known.report.domain));
        self.rows = self.rows.saturating_sub(known.rows);
        self.saturated = None;
        medium.drop_report(id)
    }

    /// Forgets what has grown old, from time to time.
    pub(super) fn expire<M: Medium>(&mut self, medium: &mut M, now: u64) -> Result<(), M::Error> {
        if now < self.expired_at.saturating_add(EXPIRY_INTERVAL) {
            return Ok(());
        }
        self.expired_at = now;
        for (name, _) in medium.hops()?.iter().filter(|(_, hop)| self.bounds.hop_has_expired(hop, now)) {
            medium.drop_hop(name)?;
        }
        let old = |known: &Known| self.bounds.report_has_expired(&known.report, now);
        let old: Vec<u64> = self.reports.iter().filter(|(_, known)| old(known)).map(|(id, _)| *id).collect();
        old.into_iter().try_for_each(|id| self.done(medium, id))
    }

    fn add(&mut self, id: u64, report: Report, rows: usize) {
        self.next_id = self.next_id.max(id + 1);
        self.rows += rows;
        self.ids.insert((report.day, report.domain.clone()), id);
        self.reports.insert(id, Known { report, rows });
    }

    fn learn_record<M: Medium>(
        &mut self,
        medium: &mut M,
        id: u64,
        observation: &DmarcObservation,
    ) -> Result<(), M::Error> {
        match self.reports.get_mut(&id) {
            Some(known) if known.report.record != observation.record => {
                known.report.record = observation.record.clone();
                medium.put_report(id, &known.report)
            }
            _ => Ok(()),
        }
    }

    fn leave_out<M: Medium>(&mut self, medium: &mut M, id: u64, messages: u64) -> Result<(), M::Error> {
        let Some(known) = self.reports.get_mut(&id) else { return Ok(()) };
        known.report.left_out = known.report.left_out.saturating_add(messages);
        medium.put_report(id, &known.report)
    }

    fn free_hops<M: Medium>(&mut self, medium: &mut M) -> Result<(), M::Error> {
        let mut hops = medium.hops()?;
        hops.sort_by_key(|(_, hop)| hop.worth());
        let surplus = hops.len() + 1 - self.bounds.hops.min(hops.len());
        let freed = surplus.max(self.bounds.hops / HOPS_FREED);
        hops.iter().take(freed).try_for_each(|(name, _)| medium.drop_hop(name))
    }

    /// True if one more row may be kept; makes room where that is fair.
    fn has_room<M: Medium>(&mut self, medium: &mut M, day: u64) -> Result<bool, M::Error> {
        // A report without rows yet counts as one, or reports themselves would have no bound.
        if self.rows.max(self.reports.len()) < self.bounds.rows {
            return Ok(true);
        }
        if self.saturated == Some(day) {
            return Ok(false);
        }
        // What was not fetched on the day after it ended is probably not wanted.
        let stale = self.reports.iter().filter(|(_, known)| known.report.day + 1 < day);
        if let Some(id) = stale.min_by_key(|(_, known)| known.report.day).map(|(id, _)| *id) {
            self.done(medium, id)?;
            return Ok(true);
        }
        let longest = self.reports.iter().max_by_key(|(_, known)| known.rows).map(|(id, known)| (*id, known.rows));
        match longest.filter(|(_, rows)| *rows >= SHORT) {
            Some((id, rows)) => {
                self.shorten(medium, id, rows / 4)?;
                Ok(true)
            }
            None => {
                self.saturated = Some(day);
                Ok(false)
            }
        }
    }

    /// Takes the rows away that stand for the fewest messages.
    fn shorten<M: Medium>(&mut self, medium: &mut M, id: u64, by: usize) -> Result<(), M::Error> {
        let mut rows = medium.rows(id)?;
        rows.sort_by_key(|(_, messages)| *messages);
        rows.truncate(by);
        let mut messages: u64 = 0;
        for (key, own) in &rows {
            medium.drop_row(key)?;
            messages = messages.saturating_add(*own);
        }
        self.rows = self.rows.saturating_sub(rows.len());
        self.reports.entry(id).and_modify(|known| known.rows = known.rows.saturating_sub(rows.len()));
        self.leave_out(medium, id, messages)
    }
}
