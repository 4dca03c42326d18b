//! DMARC reports in Redis: all in one slot, because they share one bound.
//!
//! What was observed while Redis was gone is in local memory and becomes reports of its own; which home a
//! report is in, its number says.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;

use super::RedisStore;
use super::failure::Failure;
use super::script::scripts;
use crate::clock::seconds;
use crate::store::ledger::{Kept, Loss, Lost, ROW_OCTETS, SHORT, SWEPT_AT_ONCE, surplus};
use crate::store::metrics::{Operation, Outcome};
use crate::store::record::{DAY, LARGEST, MOST_SETTLED, Report, RowKey};
use crate::store::{DmarcBatch, DmarcObservation, LEASE, REPORT_GRACE, Reports, StoreError};

scripts! {
    NOTE = "reports_common.lua" "reports_note.lua";
    DUE = "reports_common.lua" "reports_due.lua";
    CLAIM = "reports_common.lua" "reports_claim.lua";
    END = "reports_common.lua" "reports_end.lua";
    SWEEP = "reports_common.lua" "reports_sweep.lua";
}

/// Set in the number of a report that is in Redis. Those of memory begin with the time, and stay below.
const SHARED: u64 = 1 << 62;
/// Looking through all reports may take so much longer than other operations.
const PATIENCE: u32 = 10;

impl RedisStore {
    fn reports_base(&self) -> String {
        format!("{}{{reports}}:", self.link.prefix())
    }

    async fn observe(&self, report: &Report, observation: &DmarcObservation) -> Result<bool, Failure> {
        let key = RowKey::new(0, &observation.row);
        let row = key.map(|key| [format!("{:032x}", key.network).as_bytes(), &key.row].concat()).unwrap_or_default();
        let call = NOTE
            .at(self.reports_base())
            .arg(report.day)
            .arg(&*report.domain)
            .arg(report.encode())
            .arg(surplus(report))
            .arg(row)
            .arg(self.bounds.rows)
            .arg(self.bounds.rows_of_domain())
            .arg(self.bounds.rows_of_source())
            .arg(SHORT)
            .arg(ROW_OCTETS)
            .arg(self.bounds.reports_kept().saturating_add(2 * DAY));
        let answer: Vec<String> = self.link.ask_one(call).await?;
        self.mourn(answer.get(1..).unwrap_or_default());
        Ok(answer.first().is_some_and(|counted| counted == "1"))
    }

    fn mourn(&self, words: &[String]) {
        let lost = words.chunks_exact(3).filter_map(|three| {
            let [why, domain, day] = three else { return None };
            let why = if why == "expired" { Loss::Expired } else { Loss::Displaced };
            Some(Lost { why, domain: domain.as_str().into(), day: day.parse().ok()? })
        });
        self.metrics.mourn(&lost.collect::<Vec<_>>());
    }

    async fn due(&self, now: u64) -> Result<Vec<u64>, Failure> {
        let call = DUE.at(self.reports_base()).arg(last_day(now)).arg(now).arg(LEASE.as_secs());
        let answers: Vec<Vec<u64>> = self.link.ask_within(&[call], self.deadline * PATIENCE).await?;
        let due = answers.concat();
        let mut due: Vec<(u64, u64)> =
            due.chunks_exact(2).filter_map(|pair| Some((*pair.get(1)?, *pair.first()?))).collect();
        due.retain(|(day, _)| *day >= self.first_day(now));
        due.sort_unstable();
        Ok(due.into_iter().map(|(_, id)| id | SHARED).collect())
    }

    /// Reports of earlier days have expired.
    fn first_day(&self, now: u64) -> u64 {
        (now.saturating_sub(self.bounds.reports_kept())).div_ceil(DAY).saturating_sub(1)
    }

    async fn claim(&self, id: u64, now: u64) -> Result<Option<DmarcBatch>, Failure> {
        let call = CLAIM.at(self.reports_base()).arg(id & !SHARED).arg(last_day(now)).arg(now).arg(LEASE.as_secs());
        let answers: Vec<Vec<Vec<Vec<u8>>>> = self.link.ask_within(&[call], self.deadline * PATIENCE).await?;
        let answer = answers.into_iter().next().unwrap_or_default();
        let [known, settled, rows] = &answer[..] else { return Ok(None) };
        let [blob, left_out] = &known[..] else { return Ok(None) };
        let mut report = Report::decode(blob).ok_or(Failure::UNREADABLE)?;
        report.left_out = number(left_out).unwrap_or(0);
        report.settled = settled.iter().map(|address| String::from_utf8_lossy(address).into()).collect();
        report.settled.sort();
        let row = |pair: &[Vec<u8>]| {
            let [key, messages] = pair else { return None };
            let (network, row) = key.split_at_checked(32)?;
            let network = u128::from_str_radix(std::str::from_utf8(network).ok()?, 16).ok()?;
            Some((RowKey { report: id, network, row: row.into() }, number(messages)?))
        };
        let mut rows: Vec<(RowKey, u64)> = rows.chunks_exact(2).filter_map(row).collect();
        rows.sort();
        Ok(Some(Kept::new(id, report, rows).batch()))
    }

    async fn end(&self, id: u64, what: &str, address: &str) -> Result<(), Failure> {
        let call = END.at(self.reports_base()).arg(id & !SHARED).arg(what).arg(address).arg(MOST_SETTLED);
        self.link.ask_one::<u8>(call).await.map(drop)
    }

    /// Whoever is done with a report must know if that was not noted: it will be claimed again.
    async fn end_or_say(&self, operation: Operation, id: u64, what: &str, address: &str) -> Result<(), StoreError> {
        match self.end(id, what, address).await {
            Ok(()) => {
                self.metrics.count(operation, Outcome::Ok);
                Ok(())
            }
            Err(why) => {
                self.metrics.count(operation, Outcome::Failed);
                Err(StoreError::Unavailable(why.to_string()))
            }
        }
    }

    /// Forgets reports that have expired, and says so.
    pub(super) async fn sweep_reports(&self, now: u64) -> Result<(), Failure> {
        let (first, last) = (self.first_day(now), now / DAY + 1);
        let call = SWEEP.at(self.reports_base()).arg(first).arg(last).arg(SWEPT_AT_ONCE);
        let lost: Vec<String> = self.link.ask_one(call).await?;
        self.mourn(&lost);
        Ok(())
    }
}

impl Reports for RedisStore {
    fn dmarc_observed(&self, observation: DmarcObservation) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let Some(report) = Report::new(&observation) else {
                self.metrics.count(Operation::DmarcObserved, Outcome::LeftOut);
                return Ok(());
            };
            match self.observe(&report, &observation).await {
                Ok(is_counted) => {
                    let outcome = if is_counted { Outcome::Ok } else { Outcome::LeftOut };
                    self.metrics.count(Operation::DmarcObserved, outcome);
                    self.forget_what_is_old().await;
                    Ok(())
                }
                Err(why) => {
                    self.detour(&why);
                    self.local.dmarc_observed(observation).await
                }
            }
        })
    }

    fn dmarc_due(&self, now: SystemTime) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        Box::pin(async move {
            let shared = self.try_shared(Operation::DmarcDue, self.due(seconds(now))).await;
            let mut due = shared.unwrap_or_default();
            if self.has_local() {
                due.extend(self.local.dmarc_due(now).await?);
            }
            Ok(due)
        })
    }

    fn dmarc_claim(&self, id: u64, now: SystemTime) -> BoxFuture<'_, Result<Option<DmarcBatch>, StoreError>> {
        if id & SHARED == 0 {
            return self.local.dmarc_claim(id, now);
        }
        Box::pin(async move {
            let claimed = self.claim(id, seconds(now)).await;
            self.metrics.count(
                Operation::DmarcClaim,
                match &claimed {
                    Ok(Some(_)) => Outcome::Ok,
                    Ok(None) => Outcome::Absent,
                    Err(_) => Outcome::Failed,
                },
            );
            claimed.map_err(|why| StoreError::Unavailable(why.to_string()))
        })
    }

    fn dmarc_settled(&self, id: u64, address: Arc<str>) -> BoxFuture<'_, Result<(), StoreError>> {
        match id & SHARED {
            0 => self.local.dmarc_settled(id, address),
            _ if address.len() > LARGEST => Box::pin(std::future::ready(Ok(()))),
            _ => Box::pin(async move { self.end_or_say(Operation::DmarcSettled, id, "settled", &address).await }),
        }
    }

    fn dmarc_put_back(&self, id: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        match id & SHARED {
            0 => self.local.dmarc_put_back(id),
            _ => Box::pin(self.end_or_say(Operation::DmarcPutBack, id, "put_back", "")),
        }
    }

    fn dmarc_done(&self, id: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        match id & SHARED {
            0 => self.local.dmarc_done(id),
            _ => Box::pin(self.end_or_say(Operation::DmarcDone, id, "done", "")),
        }
    }
}

/// The last day whose reports may be claimed.
fn last_day(now: u64) -> i64 {
    i64::try_from(now.saturating_sub(REPORT_GRACE.as_secs()) / DAY).unwrap_or(i64::MAX) - 1
}

fn number(octets: &[u8]) -> Option<u64> {
    std::str::from_utf8(octets).ok()?.parse().ok()
}
