//! The one thread that writes: it drains the queue and commits what has come together.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::blocks::BlockChange;
use super::super::campaigns::local::Change as CampaignChange;
use super::super::classifier::table::Change as TaughtChange;
use super::super::deliveries;
use super::super::earned::EarnedChange;
use super::super::ledger::{Bounds, Counted, Ledger};
use super::super::metrics::{Metrics, Operation, Outcome};
use super::super::record::Report;
use super::super::triplets::Change;
use super::super::{DmarcObservation, Sighting, StoreError};
use super::file::File;
use super::tables::ForWriting;
use crate::clock::{Clock, seconds};

/// The longest that an operation waits for others to be committed with.
const GATHER: Duration = Duration::from_millis(50);
/// The most that are committed together.
const TOGETHER: usize = 1000;
/// Between two attempts to open a file again that has failed.
const REOPEN_INTERVAL: Duration = Duration::from_secs(10);

/// What is to be written.
pub(super) enum Work {
    Sighted(Sighting),
    Observed(Box<DmarcObservation>),
    /// By when.
    Claim(u64, u64),
    Settled(u64, Arc<str>),
    PutBack(u64),
    Done(u64),
    /// What has become of triplets.
    Triplets(Vec<Change>),
    /// What has become of reputations, and what did that.
    Reputations(Vec<EarnedChange>, Operation),
    /// What has become of campaigns, and what that is counted as.
    Campaigns(Vec<CampaignChange>, Option<Operation>),
    /// What the classifier was taught.
    Taught(Vec<TaughtChange>, Operation),
    /// What has become of deliveries, and what did that.
    Delivered(Vec<deliveries::Change>, Operation),
    /// Who is blocked, and who no longer.
    Blocks(Vec<BlockChange>, Operation),
    /// Nothing: everything before it, now.
    Flush,
}

/// Work, and who waits until it is on disk.
pub(super) struct Order {
    pub(super) work: Work,
    pub(super) committed: Option<oneshot::Sender<Result<Outcome, StoreError>>>,
}

pub(super) struct Writer {
    pub(super) file: Arc<File>,
    pub(super) bounds: Bounds,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Metrics,
    /// `None`: to be made from the file.
    pub(super) ledger: Option<Ledger>,
    /// When it failed, and was perhaps opened again.
    pub(super) failed_at: Option<Instant>,
}

impl Writer {
    /// Writes until nobody can order any more, and everything is written.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        while let Some(together) = self.gather(orders) {
            let began = Instant::now();
            let written = self.write(&together);
            self.metrics.commits.observe(began.elapsed().as_secs_f64());
            self.report(together, written);
        }
    }

    fn gather(&self, orders: &Receiver<Order>) -> Option<Vec<Order>> {
        let first = orders.recv().ok()?;
        self.metrics.queue.dec();
        let until = Instant::now() + GATHER;
        let mut is_awaited = first.committed.is_some();
        let mut together = vec![first];
        while together.len() < TOGETHER {
            let patience = if is_awaited { Duration::ZERO } else { until.saturating_duration_since(Instant::now()) };
            match orders.recv_timeout(patience) {
                Ok(order) => {
                    self.metrics.queue.dec();
                    is_awaited |= order.committed.is_some();
                    together.push(order);
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        Some(together)
    }

    /// The outcome of each, all on disk; or why nothing is.
    pub(super) fn write(&mut self, together: &[Order]) -> Result<Vec<Outcome>, String> {
        self.mend()?;
        let now = seconds(self.clock.now());
        let (file, bounds, known) = (&self.file, self.bounds, &mut self.ledger);
        // Without the file's word that all went well the ledger may be ahead of it: it is taken out, and lost.
        let ledger = known.take();
        let write = || {
            file.write(|tables| {
                let mut ledger = match ledger {
                    Some(ledger) => ledger,
                    None => Ledger::load(bounds, tables, now)?,
                };
                ledger.expire(tables, now)?;
                let outcomes = together.iter().map(|order| carry_out(&order.work, &mut ledger, tables));
                Ok((outcomes.collect::<Result<Vec<_>, _>>()?, ledger))
            })
        };
        // Damaged pages make the library panic; the next attempt finds it opened anew.
        let why = match catch_unwind(AssertUnwindSafe(write)) {
            Ok(Ok((outcomes, ledger))) => {
                self.metrics.mourn(&self.ledger.insert(ledger).take_lost());
                return Ok(outcomes);
            }
            Ok(Err(why)) => why.to_string(),
            Err(_panic) => "its file is damaged".to_owned(),
        };
        self.failed_at.get_or_insert_with(Instant::now);
        Err(why)
    }

    /// Opens a file again that has failed: the library refuses it from then on.
    fn mend(&mut self) -> Result<(), String> {
        let Some(failed_at) = self.failed_at else { return Ok(()) };
        if failed_at.elapsed() < REOPEN_INTERVAL {
            return Err("its file failed a moment ago".to_owned());
        }
        self.failed_at = Some(Instant::now());
        self.file.reopen().map_err(|why| why.to_string())?;
        self.failed_at = None;
        tracing::info!("the store's file was opened again after a failure");
        Ok(())
    }

    fn report(&self, together: Vec<Order>, written: Result<Vec<Outcome>, String>) {
        let (outcomes, failure) = match written {
            Ok(outcomes) => (outcomes, None),
            Err(why) => {
                self.metrics.complain(&why);
                (vec![Outcome::Failed; together.len()], Some(StoreError::Unavailable(why)))
            }
        };
        for (order, outcome) in together.into_iter().zip(outcomes) {
            if let Some(operation) = order.work.operation() {
                self.metrics.count(operation, outcome);
            }
            if let Some(committed) = order.committed {
                // Who has stopped waiting does not want to know.
                let _ = committed.send(failure.clone().map_or(Ok(outcome), Err));
            }
        }
    }
}

impl Work {
    /// What it is counted as.
    pub(super) fn operation(&self) -> Option<Operation> {
        match self {
            Self::Sighted(_) => Some(Operation::Sighted),
            Self::Observed(_) => Some(Operation::DmarcObserved),
            Self::Claim(..) => Some(Operation::DmarcClaim),
            Self::Settled(..) => Some(Operation::DmarcSettled),
            Self::PutBack(_) => Some(Operation::DmarcPutBack),
            Self::Done(_) => Some(Operation::DmarcDone),
            Self::Triplets(_) => Some(Operation::GreylistNote),
            Self::Reputations(_, operation) => Some(*operation),
            Self::Campaigns(_, operation) => *operation,
            Self::Taught(_, operation) | Self::Delivered(_, operation) | Self::Blocks(_, operation) => Some(*operation),
            Self::Flush => None,
        }
    }
}

fn carry_out(work: &Work, ledger: &mut Ledger, tables: &mut ForWriting<'_>) -> Result<Outcome, redb::Error> {
    match work {
        Work::Sighted(sighting) => ledger.sighted(tables, sighting)?,
        Work::Observed(observation) => {
            if ledger.observed(tables, observation)? == Counted::LeftOut {
                return Ok(Outcome::LeftOut);
            }
        }
        Work::Claim(id, now) => {
            if !ledger.claim(tables, *id, *now)? {
                return Ok(Outcome::Absent);
            }
        }
        Work::Settled(id, address) => ledger.note(tables, *id, |report| report.settle(address.clone()))?,
        Work::PutBack(id) => ledger.note(tables, *id, Report::put_back)?,
        Work::Done(id) => ledger.done(tables, *id)?,
        Work::Triplets(changes) => tables.change_triplets(changes)?,
        Work::Reputations(changes, _) => tables.change_reputations(changes)?,
        Work::Campaigns(changes, _) => tables.change_campaigns(changes)?,
        Work::Taught(changes, _) => tables.change_taught(changes)?,
        Work::Delivered(changes, _) => tables.change_deliveries(changes)?,
        Work::Blocks(changes, _) => {
            if !tables.change_blocks(changes)? {
                return Ok(Outcome::Absent);
            }
        }
        Work::Flush => {}
    }
    Ok(Outcome::Ok)
}
