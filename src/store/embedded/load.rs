//! Takes back, in the background, what a file says of campaigns: until that is done they are found less often.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;

use tokio::sync::watch;

use super::file::File;
use super::writer::{Order, Work};
use crate::store::campaigns::clusters::Change;
use crate::store::campaigns::local::{self, LocalCampaigns};
use crate::store::metrics::Metrics;

/// Entries that are read within one transaction.
const READ_AT_ONCE: usize = 8192;
/// Entries that are restored while others wait: about a millisecond.
const RESTORED_AT_ONCE: usize = 128;

/// A thread that loads, and ends with this.
pub(super) struct Loading {
    is_unwanted: Arc<AtomicBool>,
    has_ended: watch::Receiver<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Loading {
    pub(super) fn begin(
        file: Arc<File>,
        campaigns: Arc<LocalCampaigns>,
        orders: SyncSender<Order>,
        metrics: Metrics,
    ) -> std::io::Result<Self> {
        let (ended, has_ended) = watch::channel(false);
        let is_unwanted = Arc::new(AtomicBool::new(false));
        let stop = is_unwanted.clone();
        let load = move || {
            let load = || load(&file, &campaigns, &orders, &stop, &metrics);
            match catch_unwind(AssertUnwindSafe(load)) {
                Ok(Ok(())) => {}
                Ok(Err(why)) => metrics.complain(&format!("campaigns cannot be read: {why}")),
                Err(_panic) => metrics.complain("campaigns cannot be read: its file is damaged"),
            }
            metrics.show_campaigns(campaigns.counts());
            // Nobody may be left to hear of it.
            let _ = ended.send(true);
        };
        let thread = Some(std::thread::Builder::new().name("gatepost-load".to_owned()).spawn(load)?);
        Ok(Self { is_unwanted, has_ended, thread })
    }

    /// Waits until all is loaded, or cannot be.
    pub(super) async fn ended(&self) {
        // An error is an end, too.
        let _ = self.has_ended.clone().wait_for(|ended| *ended).await;
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        self.is_unwanted.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn load(
    file: &File,
    campaigns: &LocalCampaigns,
    orders: &SyncSender<Order>,
    stop: &AtomicBool,
    metrics: &Metrics,
) -> Result<(), redb::Error> {
    let mut from = Some((0, 0));
    while let Some((place, hash)) = from {
        let (some, next) = file.clusters(place, hash, READ_AT_ONCE)?;
        from = next;
        let mut unwanted = Vec::new();
        for few in some.chunks(RESTORED_AT_ONCE) {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let mut clusters = campaigns.clusters();
            unwanted.extend(few.iter().filter(|change| !clusters.restore(change)).map(|change| match change {
                Change::Digest(place, _) | Change::NoDigest(place) => Change::NoDigest(*place),
                Change::Attachment(hash, _) | Change::NoAttachment(hash) => Change::NoAttachment(*hash),
            }));
        }
        let unwanted: Vec<_> = unwanted.into_iter().map(local::Change::Cluster).collect();
        if !unwanted.is_empty() {
            metrics.queue.inc();
            // The writer outlives this thread unless it has failed.
            if orders.send(Order { work: Work::Campaigns(unwanted, None), committed: None }).is_err() {
                metrics.queue.dec();
            }
        }
    }
    Ok(())
}
