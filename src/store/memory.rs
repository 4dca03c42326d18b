//! Remembers until the process ends, within bounds. The home without a path, and the reference for the other.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::future::{self, BoxFuture};

use super::ledger::{Bounds, Counted, Ledger, Medium, Readable};
use super::metrics::{Metrics, Operation, Outcome};
use super::record::{Hop, Report, RowKey, seconds};
use super::{DmarcBatch, DmarcObservation, HopRecord, Settings, Sighting, Store, StoreError};
use crate::clock::Clock;

/// Remembers in memory alone.
pub struct MemoryStore {
    bounds: Bounds,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    inner: Mutex<Inner>,
}

struct Inner {
    ledger: Ledger,
    shelves: Shelves,
}

#[derive(Default)]
struct Shelves {
    hops: HashMap<Arc<str>, Hop>,
    reports: BTreeMap<u64, Report>,
    rows: BTreeMap<RowKey, u64>,
}

impl MemoryStore {
    /// Remembers nothing yet.
    pub fn new(settings: &Settings, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        let (bounds, shelves) = (Bounds::from(settings), Shelves::default());
        let ledger = sure(Ledger::load(bounds, &shelves, seconds(clock.now())));
        Self { bounds, clock, metrics, inner: Mutex::new(Inner { ledger, shelves }) }
    }

    /// Does one thing under the lock, which is never held across an await.
    fn with<T>(&self, operation: Operation, act: impl FnOnce(&mut Ledger, &mut Shelves) -> (T, Outcome)) -> T {
        let now = seconds(self.clock.now());
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { ledger, shelves } = &mut *inner;
        sure(ledger.expire(shelves, now));
        let (done, outcome) = act(ledger, shelves);
        self.metrics.count(operation, outcome);
        done
    }
}

impl Store for MemoryStore {
    fn sighted(&self, sighting: Sighting) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with(Operation::Sighted, |ledger, shelves| (sure(ledger.sighted(shelves, &sighting)), Outcome::Ok));
        Box::pin(future::ready(Ok(())))
    }

    fn hops(&self) -> BoxFuture<'_, Result<Vec<HopRecord>, StoreError>> {
        let now = seconds(self.clock.now());
        let hops = self.with(Operation::Hops, |_, shelves| (sure(self.bounds.hops(shelves, now)), Outcome::Ok));
        Box::pin(future::ready(Ok(hops)))
    }

    fn dmarc_observed(&self, observation: DmarcObservation) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with(Operation::DmarcObserved, |ledger, shelves| match sure(ledger.observed(shelves, &observation)) {
            Counted::Yes => ((), Outcome::Ok),
            Counted::LeftOut => ((), Outcome::LeftOut),
        });
        Box::pin(future::ready(Ok(())))
    }

    fn dmarc_due(&self, now: SystemTime) -> BoxFuture<'_, Result<Vec<DmarcBatch>, StoreError>> {
        let now = seconds(now);
        let due = self.with(Operation::DmarcDue, |_, shelves| (sure(self.bounds.due(shelves, now)), Outcome::Ok));
        Box::pin(future::ready(Ok(due)))
    }

    fn dmarc_done(&self, id: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with(Operation::DmarcDone, |ledger, shelves| (sure(ledger.done(shelves, id)), Outcome::Ok));
        Box::pin(future::ready(Ok(())))
    }
}

impl Readable for Shelves {
    type Error = Infallible;

    fn hop(&self, name: &str) -> Result<Option<Hop>, Infallible> {
        Ok(self.hops.get(name).cloned())
    }

    fn hop_count(&self) -> Result<usize, Infallible> {
        Ok(self.hops.len())
    }

    fn hops(&self) -> Result<Vec<(Arc<str>, Hop)>, Infallible> {
        Ok(self.hops.iter().map(|(name, hop)| (name.clone(), hop.clone())).collect())
    }

    fn reports(&self) -> Result<Vec<(u64, Report)>, Infallible> {
        Ok(self.reports.iter().map(|(id, report)| (*id, report.clone())).collect())
    }

    fn row(&self, key: &RowKey) -> Result<Option<u64>, Infallible> {
        Ok(self.rows.get(key).copied())
    }

    fn rows(&self, report: u64) -> Result<Vec<(RowKey, u64)>, Infallible> {
        let rows = self.rows.range(first_row(report, 0)..);
        let rows = rows.take_while(|(key, _)| key.report == report);
        Ok(rows.map(|(key, messages)| (key.clone(), *messages)).collect())
    }

    fn rows_of_network(&self, report: u64, network: u128) -> Result<usize, Infallible> {
        let rows = self.rows.range(first_row(report, network)..);
        Ok(rows.take_while(|(key, _)| key.report == report && key.network == network).count())
    }
}

impl Medium for Shelves {
    fn put_hop(&mut self, name: &str, hop: &Hop) -> Result<(), Infallible> {
        self.hops.insert(name.into(), hop.clone());
        Ok(())
    }

    fn drop_hop(&mut self, name: &str) -> Result<(), Infallible> {
        self.hops.remove(name);
        Ok(())
    }

    fn put_report(&mut self, id: u64, report: &Report) -> Result<(), Infallible> {
        self.reports.insert(id, report.clone());
        Ok(())
    }

    fn drop_report(&mut self, id: u64) -> Result<(), Infallible> {
        self.reports.remove(&id);
        for (key, _) in sure(self.rows(id)) {
            self.rows.remove(&key);
        }
        Ok(())
    }

    fn put_row(&mut self, key: &RowKey, messages: u64) -> Result<(), Infallible> {
        self.rows.insert(key.clone(), messages);
        Ok(())
    }

    fn drop_row(&mut self, key: &RowKey) -> Result<(), Infallible> {
        self.rows.remove(key);
        Ok(())
    }
}

fn first_row(report: u64, network: u128) -> RowKey {
    RowKey { report, network, row: Vec::new() }
}

fn sure<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}
