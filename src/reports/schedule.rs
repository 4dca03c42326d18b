//! Once an hour: what is due, one report after another.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::destination::{self, Consent};
use super::message::Report;
use super::metrics::Fortune;
use super::{Delivered, Delivery, Metrics, Parcel, Settings};
use crate::clock::Clock;
use crate::dns::Lookup;
use crate::smtp::Mailbox;
use crate::store::{DmarcBatch, REPORTS_KEPT_AT_LEAST, Reports};

/// Between two looks at what is due.
const LOOK: Duration = Duration::from_secs(3600);
/// Before the first: a proxy that restarts all the time has more urgent troubles.
const SETTLE: Duration = Duration::from_secs(60);
/// A batch that could not be delivered for so long is dropped.
const KEPT: Duration = Duration::from_secs(3 * 86_400);
const _: () = assert!(KEPT.as_secs() < REPORTS_KEPT_AT_LEAST.as_secs(), "the store must not forget earlier");
/// Addresses of one policy that are written to; RFC 9990 asks for two at least.
const DESTINATIONS: usize = 5;

/// Sends what is due.
pub struct Schedule {
    /// How.
    pub settings: Settings,
    /// Where batches are.
    pub store: Arc<dyn Reports>,
    /// Who asks destinations for their consent.
    pub dns: Arc<dyn Lookup>,
    /// The way out.
    pub delivery: Box<dyn Delivery>,
    /// What day it is.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Metrics,
}

impl Schedule {
    /// Works until `stop`. A report that is under way then is sent again under the same name, once its claim
    /// has run out.
    pub async fn run(self, stop: CancellationToken) {
        let mut look = interval_at(Instant::now() + SETTLE, LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let work = async {
            loop {
                look.tick().await;
                self.round().await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
    }

    async fn round(&self) {
        // A failure was counted and logged by the store; the next hour may know better.
        let Ok(due) = self.store.dmarc_due(self.clock.now()).await else { return };
        for id in due {
            let Ok(Some(batch)) = self.store.dmarc_claim(id, self.clock.now()).await else { continue };
            let batch = Arc::new(batch);
            let _ = match self.is_done(&batch).await {
                true => self.store.dmarc_done(id).await,
                false => self.store.dmarc_put_back(id).await,
            };
        }
    }

    /// True if there is nothing left to do about a batch.
    async fn is_done(&self, batch: &Arc<DmarcBatch>) -> bool {
        if batch.rows.is_empty() {
            self.metrics.count(Fortune::Empty);
            info!(domain = %batch.domain, left_out = batch.left_out, "reports.empty");
            return true;
        }
        // Even one that is late is tried once: whoever was away for days comes back with all of them.
        if self.has_reached_all(batch).await {
            return true;
        }
        let is_late = self.clock.now().duration_since(batch.end).is_ok_and(|age| age > KEPT);
        if is_late {
            self.metrics.count(Fortune::Expired);
            warn!(domain = %batch.domain, "reports.expired");
        }
        is_late
    }

    /// Writes to every address that still waits; true if none does afterwards.
    async fn has_reached_all(&self, batch: &Arc<DmarcBatch>) -> bool {
        let rua = batch.record.rua.get(..DESTINATIONS).unwrap_or(&batch.record.rua);
        let is_repeated =
            |at: usize| rua.iter().take(at).any(|(earlier, _)| rua.get(at).is_some_and(|(it, _)| it == earlier));
        let is_settled = |address: &str| batch.settled.iter().any(|settled| **settled == *address);
        let destinations = rua.iter().enumerate().filter(|(at, _)| !is_repeated(*at));
        let open: Vec<_> = destinations.filter(|(_, (address, _))| !is_settled(address)).collect();
        if open.is_empty() {
            return true;
        }
        let Some(report) = self.written(batch).await else { return false };
        let mut done = true;
        for (at, (address, limit)) in open {
            let (fortune, why) = self.send(&batch.domain, &report, at, address, *limit).await;
            self.metrics.count(fortune);
            let result = fortune.label();
            info!(domain = %report.domain, id = %report.id, to = ?address, result, why, "reports.report");
            if fortune == Fortune::Deferred {
                done = false;
            } else {
                // At once, so that no restart writes to it again. A failure was counted by the store.
                let _ = self.store.dmarc_settled(batch.id, address.as_str().into()).await;
            }
        }
        done
    }

    /// Compressing a large report takes longer than a task may keep its thread.
    async fn written(&self, batch: &Arc<DmarcBatch>) -> Option<Report> {
        let (batch, settings) = (Arc::clone(batch), self.settings.clone());
        match tokio::task::spawn_blocking(move || Report::new(&batch, &settings)).await {
            Ok(Ok(report)) => Some(report),
            Ok(Err(why)) => {
                error!(%why, "a report could not be written");
                None
            }
            Err(_panic) => {
                error!("writing a report ended by a mistake in this program");
                None
            }
        }
    }

    async fn send(
        &self,
        policy_domain: &str,
        report: &Report,
        at: usize,
        address: &str,
        limit: Option<u64>,
    ) -> (Fortune, String) {
        let Some(to) = destination::mailbox(address) else { return (Fortune::Unusable, String::new()) };
        // The size that counts is that of the compressed document (RFC 7489 6.2).
        if limit.is_some_and(|limit| report.attachment.len() as u64 > limit) {
            return (Fortune::TooLarge, format!("{} octets", report.attachment.len()));
        }
        let to = match destination::consent(&*self.dns, policy_domain, &to.domain().to_ascii_lower()).await {
            Consent::Given => to,
            Consent::Instead(other) => other,
            Consent::Refused => return (Fortune::Unwanted, String::new()),
            Consent::Unknown => return (Fortune::Deferred, "no answer from DNS".to_owned()),
        };
        match self.delivery.deliver(self.parcel(report, at, to)).await {
            Delivered::Taken => (Fortune::Sent, String::new()),
            Delivered::Refused(why) => (Fortune::Refused, why),
            Delivered::Later(why) => (Fortune::Deferred, why),
        }
    }

    fn parcel(&self, report: &Report, at: usize, to: Mailbox) -> Parcel {
        // Long domains make names that no file can have; the identifier alone will do.
        let stem = if report.stem.len() <= 200 { &report.stem } else { &report.id };
        Parcel {
            from: self.settings.email.clone(),
            file_name: format!("{stem}.{}.eml", at + 1),
            message: report.message(&self.settings, &to, self.clock.now()),
            to,
        }
    }
}

#[cfg(test)]
mod tests;
