//! Remembers in one file, which survives the process however it ends.
//!
//! Promises: nobody waits for the disk to write but who claims a report or is done with one, who notes a delivery, and the
//! operator who blocks somebody or takes that back.
//! Sightings and observations are queued and committed together, within 50 ms: that much a killed process
//! forgets. Reading waits for no commit: it sees what was on disk when it began, which a moment ago was all.
//! Whoever must read what was just written flushes first.
//!
//! Rates are not in it: buckets live for minutes or hours.
//!
//! Failure: a full queue is [`StoreError::Busy`]. A disk that fails costs what was to be written; the
//! file is opened again from time to time until that succeeds. All of it is counted, and logged sparingly.

mod blocks;
mod classifier;
mod deliveries;
mod file;
mod load;
mod reputation;
mod tables;
mod upkeep;
mod writer;

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::{self, BoxFuture};
use tokio::sync::oneshot;
use tokio::time::Instant;

pub use file::OpenError;
pub use upkeep::ArchiveError;

use super::blocks::BlockTable;
use super::buckets::Buckets;
use super::campaigns::local::{Change as CampaignChange, LocalCampaigns};
use super::classifier::table::Teachbook;
use super::deliveries::Delivered;
use super::earned::Reputables;
use super::ledger::{Bounds, Kept, Readable};
use super::metrics::{Metrics, Operation, Outcome};
use super::triplets::Triplets;
use super::{
    Campaign, CampaignId, CampaignSighting, Campaigns, Compacted, DmarcBatch, DmarcObservation, Fading, Fingerprint,
    Forwarders, Greylist, HopRecord, Info, Learned, Rates, Reports, Secret, Settings, Sighting, Store, StoreError,
    Taken, Taking, TripletEvent, TripletKey, TripletRecord, Upkeep, WantedHops, WantedTriplets,
};
use crate::clock::{Clock, seconds};
use file::File;
use load::Loading;
use tables::ForReading;
use writer::{Order, Work, Writer};

/// Operations that wait for the writer; beyond that they are forgotten.
const QUEUE: usize = 8192;
/// Changes of triplets or reputations in one operation, where there are many.
const CHANGES_AT_ONCE: usize = 1024;
/// How long the end waits for the last commit. A disk that takes longer is not worth waiting for.
const LAST_COMMIT: Duration = Duration::from_secs(3);

/// Remembers in a file.
pub struct EmbeddedStore {
    bounds: Bounds,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    file: Option<Arc<File>>,
    orders: Option<SyncSender<Order>>,
    triplets: Triplets,
    buckets: Buckets,
    reputables: Reputables,
    campaigns: Arc<LocalCampaigns>,
    teachbook: Teachbook,
    delivered: Delivered,
    blocked: BlockTable,
    loading: Option<Loading>,
    /// Ends when the writer has.
    writing: Mutex<Receiver<()>>,
}

impl EmbeddedStore {
    /// Opens the file at `path`, which is made if there is none; blocks for a moment.
    ///
    /// # Errors
    /// If another process has it open, or it cannot be used.
    pub fn open(path: &Path, settings: &Settings, clock: Arc<dyn Clock>, metrics: Metrics) -> Result<Self, OpenError> {
        Self::over(File::open(path)?, settings, clock, metrics)
    }

    fn over(file: File, settings: &Settings, clock: Arc<dyn Clock>, metrics: Metrics) -> Result<Self, OpenError> {
        let known = file.known()?;
        let triplets = Triplets::new(settings.triplets, &known.greylist_secret, known.triplets, clock.now());
        let reputables = Reputables::new(settings.reputations, known.reputations, Fading::default(), clock.now());
        let campaigns = LocalCampaigns::new(known.campaign_key, settings, known.cards, clock.now());
        let teachbook = Teachbook::new(settings.lessons, known.taught);
        let delivered = Delivered::new(settings.deliveries, known.delivered);
        let blocked = BlockTable::new(known.blocks);
        // Before anything is noted: what is on file keeps its places.
        campaigns.clusters().reserve(known.places);
        let (file, bounds, campaigns) = (Arc::new(file), Bounds::from(settings), Arc::new(campaigns));
        let (orders, ordered) = sync_channel(QUEUE);
        let (is_writing, writing) = channel();
        let writer = Writer {
            file: file.clone(),
            bounds,
            clock: clock.clone(),
            metrics: metrics.clone(),
            ledger: None,
            failed_at: None,
        };
        let run = move || {
            let _until_the_end = is_writing;
            writer.run(&ordered);
        };
        let spawned = std::thread::Builder::new().name("gatepost-store".to_owned()).spawn(run);
        spawned
            .map_err(|why| OpenError::Unusable { path: Path::new("its thread").to_owned(), why: why.to_string() })?;
        let loading = Loading::begin(file.clone(), campaigns.clone(), orders.clone(), metrics.clone());
        let loading = loading
            .map_err(|why| OpenError::Unusable { path: Path::new("its thread").to_owned(), why: why.to_string() })?;
        let (file, orders, loading, writing) = (Some(file), Some(orders), Some(loading), Mutex::new(writing));
        let buckets = Buckets::new(settings.buckets);
        let store = Self {
            bounds,
            clock,
            metrics,
            file,
            orders,
            triplets,
            buckets,
            reputables,
            campaigns,
            teachbook,
            delivered,
            blocked,
            loading,
            writing,
        };
        store.shrink_to_bounds();
        Ok(store)
    }

    /// The bound may be another than the last time.
    fn shrink_to_bounds(&self) {
        let (mut table, mut changes) = (self.triplets.lock(), Vec::new());
        table.make_room(&mut changes);
        self.metrics.show(table.count());
        drop(table);
        let gone: Vec<_> = self.campaigns.cards().make_room().into_iter().map(CampaignChange::NoCard).collect();
        for some in gone.chunks(CHANGES_AT_ONCE) {
            let _ = self.order(Order { work: Work::Campaigns(some.to_vec(), None), committed: None });
        }
        self.metrics.show_campaigns(self.campaigns.counts());
        for some in changes.chunks(CHANGES_AT_ONCE) {
            // What could not be queued is in the file until the next start, which does this again.
            let _ = self.order(Order { work: Work::Triplets(some.to_vec()), committed: None });
        }
        self.metrics.show_taught(self.teachbook.count_all(&self.teachbook.lock()));
        let gone = self.delivered.make_room();
        for some in gone.chunks(CHANGES_AT_ONCE) {
            let _ =
                self.order(Order { work: Work::Delivered(some.to_vec(), Operation::DeliveredDrop), committed: None });
        }
        self.metrics.show_deliveries(self.delivered.count());
        let (mut table, mut changes) = (self.reputables.lock(), Vec::new());
        table.make_room(&mut changes);
        self.metrics.show_reputations(table.count());
        drop(table);
        let _ = self.write_reputations(changes, Operation::ReputationNote);
    }

    /// Writes down what has changed of campaigns; `operation` counts once, with the card.
    fn keep_campaigns(&self, changes: Vec<CampaignChange>, operation: Operation) -> Result<(), StoreError> {
        let has_card = changes.iter().any(|change| matches!(change, CampaignChange::Card(..)));
        self.order(Order { work: Work::Campaigns(changes, has_card.then_some(operation)), committed: None })
    }

    /// Waits until what was remembered of campaigns has been loaded, which goes on in the background.
    pub async fn loaded(&self) {
        if let Some(loading) = &self.loading {
            loading.ended().await;
        }
    }

    fn order(&self, order: Order) -> Result<(), StoreError> {
        let operation = order.work.operation();
        let Some(orders) = &self.orders else { return Err(gone()) };
        // First, or the writer could count it out before it was counted in.
        self.metrics.queue.inc();
        let refused = match orders.try_send(order) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(_)) => (Outcome::Busy, StoreError::Busy),
            Err(TrySendError::Disconnected(_)) => (Outcome::Failed, gone()),
        };
        self.metrics.queue.dec();
        let (outcome, error) = refused;
        if let Some(operation) = operation {
            self.metrics.count(operation, outcome);
        }
        self.metrics.complain(&error.to_string());
        Err(error)
    }

    fn queue(&self, work: Work) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(future::ready(self.order(Order { work, committed: None })))
    }

    async fn commit(&self, work: Work) -> Result<Outcome, StoreError> {
        let (committed, done) = oneshot::channel();
        self.order(Order { work, committed: Some(committed) })?;
        done.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn read<T: Send + 'static>(
        &self,
        operation: Operation,
        act: impl FnOnce(&ForReading) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let read = self.read_uncounted(act).await;
        match &read {
            Ok(_) => self.metrics.count(operation, Outcome::Ok),
            Err(StoreError::Busy) => self.metrics.count(operation, Outcome::Busy),
            Err(StoreError::Unavailable(why)) => {
                self.metrics.count(operation, Outcome::Failed);
                self.metrics.complain(why);
            }
        }
        read
    }

    async fn read_uncounted<T: Send + 'static>(
        &self,
        act: impl FnOnce(&ForReading) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let read = self.with_file(|file| file.read(act)).await;
        self.metrics.reads.observe(began.elapsed().as_secs_f64());
        read
    }

    /// Does what may take a while.
    async fn with_file<T: Send + 'static>(
        &self,
        act: impl FnOnce(&File) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some(file) = self.file.clone() else { return Err(gone()) };
        match tokio::task::spawn_blocking(move || act(&file)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(why)) => Err(StoreError::Unavailable(why.to_string())),
            Err(_panic) => Err(StoreError::Unavailable("reading ended by a mistake in this program".to_owned())),
        }
    }
}

impl Forwarders for EmbeddedStore {
    fn sighted(&self, sighting: Sighting) -> BoxFuture<'_, Result<(), StoreError>> {
        self.queue(Work::Sighted(sighting))
    }

    fn hops(&self, wanted: WantedHops) -> BoxFuture<'_, Result<Vec<HopRecord>, StoreError>> {
        let (bounds, now) = (self.bounds, seconds(self.clock.now()));
        Box::pin(self.read(Operation::Hops, move |tables| Ok(bounds.list(tables.hops()?, wanted, now))))
    }
}

impl Reports for EmbeddedStore {
    fn dmarc_observed(&self, observation: DmarcObservation) -> BoxFuture<'_, Result<(), StoreError>> {
        self.queue(Work::Observed(Box::new(observation)))
    }

    fn dmarc_due(&self, now: SystemTime) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        let (bounds, now) = (self.bounds, seconds(now));
        Box::pin(self.read(Operation::DmarcDue, move |tables| {
            let reports = tables.reports()?;
            Ok(bounds.due(reports.iter().map(|(id, report)| (*id, report)), now))
        }))
    }

    fn dmarc_claim(&self, id: u64, now: SystemTime) -> BoxFuture<'_, Result<Option<DmarcBatch>, StoreError>> {
        Box::pin(async move {
            if self.commit(Work::Claim(id, seconds(now))).await? != Outcome::Ok {
                return Ok(None);
            }
            self.read_uncounted(move |tables| Ok(Kept::read(tables, id)?.map(Kept::batch))).await
        })
    }

    fn dmarc_settled(&self, id: u64, address: Arc<str>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.commit(Work::Settled(id, address)).await.map(drop) })
    }

    fn dmarc_put_back(&self, id: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.commit(Work::PutBack(id)).await.map(drop) })
    }

    fn dmarc_done(&self, id: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.commit(Work::Done(id)).await.map(drop) })
    }
}

impl Greylist for EmbeddedStore {
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
        let changes = table.note(&events, at);
        let count = table.count();
        // Under the lock, so that the file hears of changes in their order; queueing never waits.
        let ordered = match changes.is_empty() {
            true => {
                self.metrics.count(Operation::GreylistNote, Outcome::Ok);
                Ok(())
            }
            false => self.order(Order { work: Work::Triplets(changes), committed: None }),
        };
        drop(table);
        self.metrics.show(count);
        Box::pin(future::ready(ordered))
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

impl Rates for EmbeddedStore {
    fn rates_take(&self, takings: Vec<Taking>, at: SystemTime) -> BoxFuture<'_, Result<Vec<Taken>, StoreError>> {
        let (taken, count) = self.buckets.take(&takings, at);
        self.metrics.show_buckets(count);
        self.metrics.count(Operation::RatesTake, Outcome::Ok);
        Box::pin(future::ready(Ok(taken)))
    }
}

impl Campaigns for EmbeddedStore {
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
        let keeper = |changes| self.keep_campaigns(changes, Operation::CampaignNote);
        let noted = self.campaigns.note(&sighting, at, Some(&keeper));
        self.metrics.show_campaigns(self.campaigns.counts());
        Box::pin(future::ready(noted))
    }

    fn campaign_learn(
        &self,
        fingerprint: Fingerprint,
        learned: Learned,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<CampaignId, StoreError>> {
        let keeper = |changes| self.keep_campaigns(changes, Operation::CampaignLearn);
        let learned = self.campaigns.learn(&fingerprint, learned, at, Some(&keeper));
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

impl Upkeep for EmbeddedStore {
    fn info(&self) -> BoxFuture<'_, Result<Info, StoreError>> {
        Box::pin(self.with_file(File::info))
    }
}

impl Store for EmbeddedStore {
    fn flush(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.commit(Work::Flush).await.map(drop) })
    }
}

/// The hops in a file that no process has open, for a look from outside; blocks, and writes nothing.
///
/// # Errors
/// If a process has it open, or it cannot be read.
pub fn hops_in(
    path: &Path,
    settings: &Settings,
    wanted: WantedHops,
    now: SystemTime,
) -> Result<Vec<HopRecord>, OpenError> {
    let hops = file::look(path, |tables| tables.hops())?;
    Ok(Bounds::from(settings).list(hops, wanted, seconds(now)))
}

/// How full a file is that no process has open; blocks, and writes nothing.
///
/// # Errors
/// If a process has it open, or it cannot be read.
pub fn info_of(path: &Path) -> Result<Info, OpenError> {
    file::info_at(path)
}

/// Makes a file as small as it can be that no process has open; blocks. What waits for the file would be
/// forgotten meanwhile, so no proxy does it while it runs.
///
/// # Errors
/// If there is none, a process has it open, or it cannot be used.
pub fn compact(path: &Path) -> Result<Compacted, ArchiveError> {
    let before = std::fs::metadata(path)?.len();
    File::open(path)?.compact()?;
    Ok(Compacted { before, after: std::fs::metadata(path)?.len() })
}

/// Writes all of a file that no process has open, as lines of text: how many entries; blocks.
///
/// # Errors
/// If a process has it open, it cannot be read, or the text cannot be written.
pub fn export(path: &Path, out: &mut dyn Write) -> Result<u64, ArchiveError> {
    file::export_at(path, out)?
}

/// Fills a file that no process has open with what was exported, or leaves it as it is: how many entries; blocks.
/// If it is to `replace`, what is in the file is forgotten.
///
/// # Errors
/// If a process has it open, it cannot be used, or the text is not what was exported.
pub fn import(path: &Path, text: &mut dyn BufRead, replace: bool) -> Result<u64, ArchiveError> {
    File::open(path)?.import(text, replace)
}

fn gone() -> StoreError {
    StoreError::Unavailable("its writer has ended".to_owned())
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.loading = None;
        self.orders = None;
        self.file = None;
        // Nothing is ever said: the end of the channel is the end of the writer, and of its hold on the file.
        let writing = self.writing.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = writing.recv_timeout(LAST_COMMIT);
    }
}

#[cfg(test)]
mod tests;
