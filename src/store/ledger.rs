//! The book-keeping of both homes: what is counted where, what is forgotten when there is too much.
//!
//! Promises: bounds hold at all times, and nobody can use up another's share: hops that forward
//! nothing displace only their like, a domain has a share of the rows of reports, and a source one of
//! the domain's. Where rows are short all the same, the longest report gives. No report goes unsaid. A clock
//! that leaps is not believed at once: nothing is forgotten until it has said the same for a while.
//!
//! Failure: the medium's alone. After one the ledger may know better than the medium: [`Ledger::load`] again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::record::{DAY, Hop, LONGEST_NAME, Report, RowKey, time};
use super::{DmarcBatch, DmarcObservation, HopRecord, REPORTS_KEPT_AT_LEAST, Settings, Sighting, WantedHops};

/// One part in this many of all rows is a domain's share of a day, and of that a source's.
const SHARE: usize = 10;
/// A report shorter than this gives nothing away.
pub(super) const SHORT: usize = 16;
/// When hops are too many, one in this many goes, so that the search is worth it.
pub(super) const HOPS_FREED: usize = 16;
/// Nobody waits for a report about longer ago.
const REPORT_DAYS: u64 = 14;
/// Between two looks for what has grown old.
const EXPIRY_INTERVAL: u64 = 3600;
/// A clock that has gone further since the last look must say so twice.
const LEAP: u64 = 6 * 3600;
/// Hops that one step of forgetting looks at, so that nobody waits for more than one step.
pub(super) const SWEPT_AT_ONCE: usize = 512;
/// Octets of a row that counts as one; a longer one counts as several. So the bound on rows is one on octets.
pub(super) const ROW_OCTETS: usize = 512;

/// A hop and its name.
pub(super) type NamedHop = (Arc<str>, Arc<Hop>);

/// Where hops, reports and rows are kept, for reading.
pub(super) trait Readable {
    /// How it fails.
    type Error;
    fn hop(&self, name: &str) -> Result<Option<Hop>, Self::Error>;
    fn hop_count(&self) -> Result<usize, Self::Error>;
    fn hops(&self) -> Result<Vec<NamedHop>, Self::Error>;
    /// Some of the hops that were not seen since `time`.
    fn hops_unseen_since(&self, time: u64, most: usize) -> Result<Vec<Arc<str>>, Self::Error>;
    /// The hops that are worth least.
    fn worst_hops(&self, most: usize) -> Result<Vec<Arc<str>>, Self::Error>;
    fn report(&self, id: u64) -> Result<Option<Report>, Self::Error>;
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

/// Why a report was forgotten that nobody had fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It was too old.
    Expired,
    /// Rows were short, and it was about a day long past.
    Displaced,
}

/// A report that was forgotten although nobody had fetched it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) why: Loss,
    pub(super) domain: Arc<str>,
    /// The UTC day, counted from 1970.
    pub(super) day: u64,
}

/// A report and its rows as they are kept; [`Kept::batch`] takes longer than one should hold a lock.
pub(super) struct Kept {
    id: u64,
    report: Report,
    rows: Vec<(RowKey, u64)>,
}

/// How full everything is; what is in it the medium knows.
pub(super) struct Ledger {
    bounds: Bounds,
    reports: BTreeMap<u64, Known>,
    /// Of reports that are not closed, by day and domain.
    ids: HashMap<(u64, Arc<str>), u64>,
    rows: usize,
    next_id: u64,
    /// The day on which nobody had rows to give away any more.
    saturated: Option<u64>,
    /// When it is looked for what has grown old.
    looks: Looks,
    /// What is old at this time is being forgotten, step by step.
    sweeping: Option<u64>,
    lost: Vec<Lost>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) hops: usize,
    pub(super) rows: usize,
    pub(super) retention: Duration,
}

/// When it is time to look for what has grown old, by a clock that can be believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    looked_at: u64,
    /// The clock had leapt then.
    is_doubted: bool,
}

/// A report and how many rows it counts as.
struct Known {
    report: Report,
    rows: usize,
}

// === impl Kept ===

impl Kept {
    pub(super) fn new(id: u64, report: Report, rows: Vec<(RowKey, u64)>) -> Self {
        Self { id, report, rows }
    }

    pub(super) fn read<M: Readable>(medium: &M, id: u64) -> Result<Option<Self>, M::Error> {
        let Some(report) = medium.report(id)? else { return Ok(None) };
        Ok(Some(Self { id, report, rows: medium.rows(id)? }))
    }

    pub(super) fn batch(self) -> DmarcBatch {
        let Self { id, report, rows: kept } = self;
        let (mut rows, mut left_out) = (Vec::with_capacity(kept.len()), report.left_out);
        for (key, messages) in kept {
            match key.observed() {
                Some(row) => rows.push((row, messages)),
                None => left_out = left_out.saturating_add(messages),
            }
        }
        let (begin, end) = (time(report.day * DAY), time(report.end()));
        let Report { domain, record, settled, .. } = report;
        DmarcBatch { id, domain, record, begin, end, rows, left_out, settled }
    }
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

    /// So has one about a day that is yet to come: a clock had gone wrong.
    fn report_has_expired(&self, report: &Report, now: u64) -> bool {
        report.end().saturating_add(self.reports_kept()) < now || report.day > now / DAY + 1
    }

    /// Seconds after the end of its day for which a report is kept.
    pub(super) fn reports_kept(&self) -> u64 {
        self.retention.as_secs().clamp(REPORTS_KEPT_AT_LEAST.as_secs(), REPORT_DAYS * DAY)
    }

    pub(super) fn rows_of_domain(&self) -> usize {
        (self.rows / SHARE).max(1)
    }

    pub(super) fn rows_of_source(&self) -> usize {
        (self.rows_of_domain() / SHARE).max(1)
    }

    /// Of `hops` those that are wanted and have not expired, those with most forwarded messages first.
    pub(super) fn list(&self, mut hops: Vec<NamedHop>, wanted: WantedHops, now: u64) -> Vec<HopRecord> {
        hops.retain(|(_, hop)| !self.hop_has_expired(hop, now) && (!wanted.forwarding || hop.forwarded() > 0));
        hops.sort_by(|(a, one), (b, other)| one.rank().cmp(&other.rank()).then_with(|| a.cmp(b)));
        hops.truncate(wanted.most);
        hops.into_iter().map(|(name, hop)| hop.record(name)).collect()
    }

    /// Of `reports` those that may be claimed, oldest first.
    pub(super) fn due<'r>(&self, reports: impl Iterator<Item = (u64, &'r Report)>, now: u64) -> Vec<u64> {
        let is_due = |report: &Report| report.is_due(now) && !self.report_has_expired(report, now);
        let mut due: Vec<_> =
            reports.filter(|(_, report)| is_due(report)).map(|(id, report)| (report.day, id)).collect();
        due.sort_unstable();
        due.into_iter().map(|(_, id)| id).collect()
    }
}

// === impl Looks ===

impl Looks {
    pub(super) fn new(now: u64) -> Self {
        Self { looked_at: now, is_doubted: false }
    }

    /// True once an interval has passed by a clock that can be believed.
    pub(super) fn are_due(&mut self, now: u64) -> bool {
        let went_back = now < self.looked_at;
        if !went_back && now < self.looked_at.saturating_add(EXPIRY_INTERVAL) {
            return false;
        }
        let has_leapt = now > self.looked_at.saturating_add(LEAP);
        self.is_doubted = has_leapt && !self.is_doubted;
        self.looked_at = now;
        !went_back && !self.is_doubted
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
            looks: Looks::new(now),
            sweeping: None,
            lost: Vec::new(),
        };
        for (id, report) in medium.reports()? {
            let rows: usize = medium.rows(id)?.iter().map(|(key, _)| units(key)).sum();
            let surplus = surplus(&report);
            ledger.add(id, report, surplus + rows);
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
                let surplus = surplus(&report);
                self.add(id, report, surplus);
                id
            }
        };
        self.learn_record(medium, id, observation)?;
        if let Some(key) = RowKey::new(id, &observation.row) {
            if let Some(messages) = medium.row(&key)? {
                medium.put_row(&key, messages.saturating_add(1))?;
                return Ok(Counted::Yes);
            }
            let domain_has_room = self.reports.get(&id).is_some_and(|known| known.rows < self.bounds.rows_of_domain());
            let source_has_room = medium.rows_of_network(id, key.network)? < self.bounds.rows_of_source();
            if domain_has_room && source_has_room && self.has_room(medium, day)? {
                medium.put_row(&key, 1)?;
                self.rows += units(&key);
                self.reports.entry(id).and_modify(|known| known.rows += units(&key));
                return Ok(Counted::Yes);
            }
        }
        self.leave_out(medium, id, 1)?;
        Ok(Counted::LeftOut)
    }

    /// The reports that may be claimed.
    pub(super) fn due(&self, now: u64) -> Vec<u64> {
        self.bounds.due(self.reports.iter().map(|(id, known)| (*id, &known.report)), now)
    }

    /// Closes a report for whoever asks; false if it is not to be had.
    pub(super) fn claim<M: Medium>(&mut self, medium: &mut M, id: u64, now: u64) -> Result<bool, M::Error> {
        let Some(known) = self.reports.get_mut(&id).filter(|known| known.report.is_due(now)) else { return Ok(false) };
        known.report.claim(now);
        let key = (known.report.day, known.report.domain.clone());
        if self.ids.get(&key) == Some(&id) {
            self.ids.remove(&key);
        }
        medium.put_report(id, &known.report)?;
        Ok(true)
    }

    /// Changes what is kept of a report, if it is there.
    pub(super) fn note<M: Medium>(
        &mut self,
        medium: &mut M,
        id: u64,
        change: impl FnOnce(&mut Report),
    ) -> Result<(), M::Error> {
        let Some(known) = self.reports.get_mut(&id) else { return Ok(()) };
        change(&mut known.report);
        medium.put_report(id, &known.report)
    }

    /// Forgets a report.
    pub(super) fn done<M: Medium>(&mut self, medium: &mut M, id: u64) -> Result<(), M::Error> {
        let Some(known) = self.reports.remove(&id) else { return Ok(()) };
        let key = (known.report.day, known.report.domain);
        if self.ids.get(&key) == Some(&id) {
            self.ids.remove(&key);
        }
        self.rows = self.rows.saturating_sub(known.rows);
        self.saturated = None;
        medium.drop_report(id)
    }

    /// The reports that were forgotten unfetched since this was last asked.
    pub(super) fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }

    /// Forgets what has grown old, from time to time, a little at a time.
    pub(super) fn expire<M: Medium>(&mut self, medium: &mut M, now: u64) -> Result<(), M::Error> {
        if self.sweeping.is_none() && self.looks.are_due(now) {
            self.sweeping = Some(now);
        }
        let Some(at) = self.sweeping else { return Ok(()) };
        let old = |known: &Known| self.bounds.report_has_expired(&known.report, at);
        if let Some(id) = self.reports.iter().find(|(_, known)| old(known)).map(|(id, _)| *id) {
            return self.lose(medium, id, Loss::Expired);
        }
        let since = at.saturating_sub(self.bounds.retention.as_secs());
        let unseen = medium.hops_unseen_since(since, SWEPT_AT_ONCE)?;
        if unseen.len() < SWEPT_AT_ONCE {
            self.sweeping = None;
        }
        unseen.iter().try_for_each(|name| medium.drop_hop(name))
    }

    fn lose<M: Medium>(&mut self, medium: &mut M, id: u64, why: Loss) -> Result<(), M::Error> {
        if let Some(Known { report, .. }) = self.reports.get(&id) {
            self.lost.push(Lost { why, domain: report.domain.clone(), day: report.day });
        }
        self.done(medium, id)
    }

    fn add(&mut self, id: u64, report: Report, rows: usize) {
        self.next_id = self.next_id.max(id + 1);
        self.rows += rows;
        if !report.is_closed {
            self.ids.insert((report.day, report.domain.clone()), id);
        }
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
        self.note(medium, id, |report| report.left_out = report.left_out.saturating_add(messages))
    }

    fn free_hops<M: Medium>(&mut self, medium: &mut M) -> Result<(), M::Error> {
        let surplus = (medium.hop_count()? + 1).saturating_sub(self.bounds.hops);
        let worst = medium.worst_hops(surplus.max(self.bounds.hops / HOPS_FREED))?;
        worst.iter().try_for_each(|name| medium.drop_hop(name))
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
        let stale = self.reports.iter().filter(|(_, known)| known.report.day + 1 < day || known.report.day > day + 1);
        if let Some(id) = stale.min_by_key(|(_, known)| known.report.day).map(|(id, _)| *id) {
            self.lose(medium, id, Loss::Displaced)?;
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
        let (mut messages, mut freed) = (0_u64, 0);
        for (key, own) in &rows {
            if freed >= by {
                break;
            }
            medium.drop_row(key)?;
            messages = messages.saturating_add(*own);
            freed += units(key);
        }
        self.rows = self.rows.saturating_sub(freed);
        self.reports.entry(id).and_modify(|known| known.rows = known.rows.saturating_sub(freed));
        self.leave_out(medium, id, messages)
    }
}

/// How many rows a report counts as beside its own: those with a long record some.
pub(super) fn surplus(report: &Report) -> usize {
    (report.encode().len() / ROW_OCTETS).saturating_sub(1)
}

/// How many rows a row counts as.
fn units(key: &RowKey) -> usize {
    key.row.len().div_ceil(ROW_OCTETS).max(1)
}
