//! Remembers until the process ends, within bounds. The home without a path, and the reference for the other.

mod blocks;
mod classifier;
mod deliveries;
mod reputation;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::future::{self, BoxFuture};

use super::blocks::BlockTable;
use super::buckets::Buckets;
use super::campaigns::local::LocalCampaigns;
use super::classifier::table::Teachbook;
use super::deliveries::Delivered;
use super::earned::Reputables;
use super::ledger::{Bounds, Counted, Kept, Ledger, Medium, NamedHop, Readable};
use super::metrics::{Metrics, Operation, Outcome};
use super::record::{Hop, Report, RowKey};
use super::triplets::Triplets;
use super::{
    Campaign, CampaignId, CampaignSighting, Campaigns, DmarcBatch, DmarcObservation, Fading, Fingerprint, Forwarders,
    Greylist, HopRecord, Info, Learned, Rates, Reports, Secret, Settings, Sighting, Store, StoreError, TableInfo,
    Taken, Taking, TripletEvent, TripletKey, TripletRecord, Upkeep, WantedHops, WantedTriplets,
};
use crate::clock::{Clock, seconds};

/// Remembers in memory alone.
pub struct MemoryStore {
    bounds: Bounds,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    inner: Mutex<Inner>,
    triplets: Triplets,
    buckets: Buckets,
    reputables: Reputables,
    campaigns: LocalCampaigns,
    teachbook: Teachbook,
    delivered: Delivered,
    blocked: BlockTable,
}

struct Inner {
    ledger: Ledger,
    shelves: Shelves,
}

#[derive(Default)]
struct Shelves {
    hops: HashMap<Arc<str>, Arc<Hop>>,
    /// By when they were last seen, and by what they are worth, so that nobody has to go through all.
    by_last: BTreeSet<(u64, Arc<str>)>,
    by_worth: BTreeSet<((u32, u64), Arc<str>)>,
    reports: BTreeMap<u64, Report>,
    rows: BTreeMap<RowKey, u64>,
}

impl MemoryStore {
    /// Remembers nothing yet.
    pub fn new(settings: &Settings, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        let (bounds, shelves) = (Bounds::from(settings), Shelves::default());
        let ledger = sure(Ledger::load(bounds, &shelves, seconds(clock.now())));
        let triplets = Triplets::new(settings.triplets, &Secret::random(), [], clock.now());
        let buckets = Buckets::new(settings.buckets);
        let reputables = Reputables::new(settings.reputations, [], Fading::default(), clock.now());
        let campaigns = LocalCampaigns::new(rand::random(), settings, [], clock.now());
        let teachbook = Teachbook::new(settings.lessons, []);
        let inner = Mutex::new(Inner { ledger, shelves });
        let blocked = BlockTable::default();
        let delivered = Delivered::new(settings.deliveries, Vec::new());
        Self { bounds, clock, metrics, inner, triplets, buckets, reputables, campaigns, teachbook, delivered, blocked }
    }

    /// Does one thing under the lock, which is never held across an await.
    fn with<T>(&self, operation: Operation, act: impl FnOnce(&mut Ledger, &mut Shelves) -> (T, Outcome)) -> T {
        let now = seconds(self.clock.now());
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { ledger, shelves } = &mut *inner;
        sure(ledger.expire(shelves, now));
        let (done, outcome) = act(ledger, shelves);
        let lost = ledger.take_lost();
        drop(inner);
        self.metrics.count(operation, outcome);
        self.metrics.mourn(&lost);
        done
    }
}

impl Forwarders for MemoryStore {
    fn sighted(&self, sighting: Sighting) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with(Operation::Sighted, |ledger, shelves| (sure(ledger.sighted(shelves, &sighting)), Outcome::Ok));
        Box::pin(future::ready(Ok(())))
    }

    fn hops(&self, wanted: WantedHops) -> BoxFuture<'_, Result<Vec<HopRecord>, StoreError>> {
        let now = seconds(self.clock.now());
        let hops = self.with(Operation::Hops, |_, shelves| (sure(Readable::hops(shelves)), Outcome::Ok));
        Box::pin(future::ready(Ok(self.bounds.list(hops, wanted, now))))
    }
}

impl Reports for MemoryStore {
    fn dmarc_observed(&self, observation: DmarcObservation) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with(Operation::DmarcObserved, |ledger, shelves| match sure(ledger.observed(shelves, &observation)) {
            Counted::Yes => ((), Outcome::Ok),
            Counted::LeftOut => ((), Outcome::LeftOut),
        });
        Box::pin(future::ready(Ok(())))
    }

    fn dmarc_due(&self, now: SystemTime) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        let due = self.with(Operation::DmarcDue, |ledger, _| (ledger.due(seconds(now)), Outcome::Ok));
        Box::pin(future::ready(Ok(due)))
    }

    fn dmarc_claim(&self, id: u64, now: SystemTime) -> BoxFuture<'_, Result<Option<DmarcBatch>, StoreError>> {
        let kept =
            self.with(Operation::DmarcClaim, |ledger, shelves| match sure(ledger.claim(shelves, id, seconds(now))) {
                true => (sure(Kept::read(shelves, id)), Outcome::Ok),
                false => (None, Outcome::Absent),
            });
        Box::pin(future::ready(Ok(kept.map(Kept::batch))))
    }

    fn dmarc_settled(&self, id: u64, address: Arc<str>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with(Operation::DmarcSettled, |ledger, shelves| {
            (sure(ledger.note(shelves, id, |report| report.settle(address))), Outcome::Ok)
        });
        Box::pin(future::ready(Ok(())))
    }

    fn dmarc_put_back(&self, id: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with(Operation::DmarcPutBack, |ledger, shelves| {
            (sure(ledger.note(shelves, id, Report::put_back)), Outcome::Ok)
        });
        Box::pin(future::ready(Ok(())))
    }

    fn dmarc_done(&self, id: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with(Operation::DmarcDone, |ledger, shelves| (sure(ledger.done(shelves, id)), Outcome::Ok));
        Box::pin(future::ready(Ok(())))
    }
}

impl Greylist for MemoryStore {
    fn greylist_secret(&self) -> Secret {
        self.triplets.secret()
    }

    fn greylist_look<'a>(
        &'a self,
        keys: &'a [TripletKey],
        at: SystemTime,
    ) -> BoxFuture<'a, Result<Vec<Option<TripletRecord>>, StoreError>> {
        self.metrics.count(Operation::GreylistLook, Outcome::Ok);
        Box::pin(future::ready(Ok(self.triplets.lock().look(keys, at))))
    }

    fn greylist_note(
        &self,
        events: Vec<(TripletKey, TripletEvent)>,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut table = self.triplets.lock();
        table.note(&events, at);
        let count = table.count();
        drop(table);
        self.metrics.show(count);
        self.metrics.count(Operation::GreylistNote, Outcome::Ok);
        Box::pin(future::ready(Ok(())))
    }

    fn greylist_list(
        &self,
        wanted: WantedTriplets,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<Vec<(TripletKey, TripletRecord)>, StoreError>> {
        self.metrics.count(Operation::GreylistList, Outcome::Ok);
        Box::pin(async move { Ok(self.triplets.list(wanted, at).await) })
    }
}

impl Rates for MemoryStore {
    fn rates_take(&self, takings: Vec<Taking>, at: SystemTime) -> BoxFuture<'_, Result<Vec<Taken>, StoreError>> {
        let (taken, count) = self.buckets.take(&takings, at);
        self.metrics.show_buckets(count);
        self.metrics.count(Operation::RatesTake, Outcome::Ok);
        Box::pin(future::ready(Ok(taken)))
    }
}

impl Campaigns for MemoryStore {
    fn campaign_key(&self) -> u64 {
        self.campaigns.key()
    }

    fn campaign_look<'a>(
        &'a self,
        fingerprint: &'a Fingerprint,
        at: SystemTime,
    ) -> BoxFuture<'a, Result<Option<Campaign>, StoreError>> {
        self.metrics.count(Operation::CampaignLook, Outcome::Ok);
        Box::pin(future::ready(Ok(self.campaigns.look(fingerprint, at))))
    }

    fn campaign_note(&self, sighting: CampaignSighting, at: SystemTime) -> BoxFuture<'_, Result<(), StoreError>> {
        let noted = self.campaigns.note(&sighting, at, None);
        self.metrics.count(Operation::CampaignNote, Outcome::Ok);
        self.metrics.show_campaigns(self.campaigns.counts());
        Box::pin(future::ready(noted))
    }

    fn campaign_learn(
        &self,
        fingerprint: Fingerprint,
        learned: Learned,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<CampaignId, StoreError>> {
        let learned = self.campaigns.learn(&fingerprint, learned, at, None);
        self.metrics.count(Operation::CampaignLearn, Outcome::Ok);
        self.metrics.show_campaigns(self.campaigns.counts());
        Box::pin(future::ready(learned))
    }

    fn campaign_top(&self, most: usize, at: SystemTime) -> BoxFuture<'_, Result<Vec<Campaign>, StoreError>> {
        self.metrics.count(Operation::CampaignTop, Outcome::Ok);
        Box::pin(future::ready(Ok(self.campaigns.top(most, at))))
    }

    fn campaign_show(&self, id: CampaignId, at: SystemTime) -> BoxFuture<'_, Result<Option<Campaign>, StoreError>> {
        self.metrics.count(Operation::CampaignShow, Outcome::Ok);
        Box::pin(future::ready(Ok(self.campaigns.show(id, at))))
    }
}

impl Upkeep for MemoryStore {
    fn info(&self) -> BoxFuture<'_, Result<Info, StoreError>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Shelves { hops, reports, rows, .. } = &inner.shelves;
        let mut tables = vec![
            TableInfo::in_memory("hops", hops.len()),
            TableInfo::in_memory("dmarc_reports", reports.len()),
            TableInfo::in_memory("dmarc_rows", rows.len()),
        ];
        drop(inner);
        tables.push(TableInfo::in_memory("rates", self.buckets.len()));
        let triplets = self.triplets.lock().count();
        tables.push(TableInfo::in_memory("greylist", triplets.waiting + triplets.confirmed));
        let reputations = self.reputables.lock().count();
        tables.push(TableInfo::in_memory("reputation", reputations.newcomers + reputations.established));
        // Counting takes what was displaced since the last time: it must not be lost.
        self.metrics.show(triplets);
        self.metrics.show_reputations(reputations);
        let (clusters, cards) = self.campaigns.counts();
        tables.push(TableInfo::in_memory("campaigns", cards.cards));
        tables.push(TableInfo::in_memory("digests", clusters.digests));
        tables.push(TableInfo::in_memory("attachments", clusters.attachments));
        let taught = self.teachbook.count_all(&self.teachbook.lock());
        tables.push(TableInfo::in_memory("classifier_cells", taught.cells));
        tables.push(TableInfo::in_memory("classifier_lessons", taught.lessons));
        tables.push(TableInfo::in_memory("deliveries", self.delivered.count()));
        tables.push(TableInfo::in_memory("blocks", self.blocked.len()));
        Box::pin(future::ready(Ok(Info { home: "memory".to_owned(), tables, ..Info::default() })))
    }
}

impl Store for MemoryStore {}

impl Readable for Shelves {
    type Error = Infallible;

    fn hop(&self, name: &str) -> Result<Option<Hop>, Infallible> {
        Ok(self.hops.get(name).map(|hop| Hop::clone(hop)))
    }

    fn hop_count(&self) -> Result<usize, Infallible> {
        Ok(self.hops.len())
    }

    fn hops(&self) -> Result<Vec<NamedHop>, Infallible> {
        Ok(self.hops.iter().map(|(name, hop)| (name.clone(), hop.clone())).collect())
    }

    fn hops_unseen_since(&self, time: u64, most: usize) -> Result<Vec<Arc<str>>, Infallible> {
        let unseen = self.by_last.iter().take_while(|(last, _)| *last < time);
        Ok(unseen.take(most).map(|(_, name)| name.clone()).collect())
    }

    fn worst_hops(&self, most: usize) -> Result<Vec<Arc<str>>, Infallible> {
        Ok(self.by_worth.iter().take(most).map(|(_, name)| name.clone()).collect())
    }

    fn report(&self, id: u64) -> Result<Option<Report>, Infallible> {
        Ok(self.reports.get(&id).cloned())
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
        sure(self.drop_hop(name));
        let name: Arc<str> = name.into();
        self.by_last.insert((hop.last(), name.clone()));
        self.by_worth.insert((hop.worth(), name.clone()));
        self.hops.insert(name, Arc::new(hop.clone()));
        Ok(())
    }

    fn drop_hop(&mut self, name: &str) -> Result<(), Infallible> {
        if let Some((name, hop)) = self.hops.remove_entry(name) {
            self.by_last.remove(&(hop.last(), name.clone()));
            self.by_worth.remove(&(hop.worth(), name));
        }
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
    RowKey { report, network, row: Arc::default() }
}

fn sure<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}
