//! What is counted about the store, and what is said of its troubles.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{
    Histogram, IntCounter, IntGauge, Registry, register_histogram_vec_with_registry,
    register_int_counter_vec_with_registry, register_int_counter_with_registry, register_int_gauge_vec_with_registry,
    register_int_gauge_with_registry,
};
use tokio::time::Instant;

use super::buckets;
use super::campaigns::local::Counts;
use super::classifier::TaughtCount;
use super::earned::EarnedCount;
use super::ledger::Lost;
use super::record::{DAY, time};
use super::triplets::Count;

/// Between two lines in the log about troubles.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// What the store is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Sighted,
    Hops,
    DmarcObserved,
    DmarcDue,
    DmarcClaim,
    DmarcSettled,
    DmarcPutBack,
    DmarcDone,
    GreylistLook,
    GreylistNote,
    GreylistList,
    RatesTake,
    ReputationLook,
    ReputationNote,
    ReputationList,
    ReputationReset,
    CampaignLook,
    CampaignNote,
    CampaignLearn,
    CampaignTop,
    CampaignShow,
    ClassifierWeigh,
    ClassifierLearn,
    ClassifierUnlearn,
    DeliveredLook,
    DeliveredNote,
    DeliveredDrop,
    Block,
    Unblock,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    LeftOut,
    /// It is not there, or somebody else has it.
    Absent,
    Busy,
    Failed,
}

const OPERATIONS: [&str; 29] = [
    "sighted",
    "hops",
    "dmarc_observed",
    "dmarc_due",
    "dmarc_claim",
    "dmarc_settled",
    "dmarc_put_back",
    "dmarc_done",
    "greylist_look",
    "greylist_note",
    "greylist_list",
    "rates_take",
    "reputation_look",
    "reputation_note",
    "reputation_list",
    "reputation_reset",
    "campaign_look",
    "campaign_note",
    "campaign_learn",
    "campaign_top",
    "campaign_show",
    "classifier_weigh",
    "classifier_learn",
    "classifier_unlearn",
    "delivered_look",
    "delivered_note",
    "delivered_drop",
    "block",
    "unblock",
];
const OUTCOMES: [&str; 5] = ["ok", "left_out", "absent", "busy", "failed"];
const LOSSES: [&str; 2] = ["expired", "displaced"];

/// Counters of the store.
#[derive(Clone, Debug)]
pub struct Metrics {
    operations: [[IntCounter; OUTCOMES.len()]; OPERATIONS.len()],
    losses: [IntCounter; LOSSES.len()],
    /// Operations that wait for the writer.
    pub(super) queue: IntGauge,
    /// How long a commit took.
    pub(super) commits: Histogram,
    /// How long a read took.
    pub(super) reads: Histogram,
    /// 1 if what is remembered outlives the process.
    pub(super) durable: IntGauge,
    /// Triplets that wait, and those that have earned something.
    triplets: [IntGauge; 2],
    displaced: IntCounter,
    /// Buckets of rates that are not full.
    buckets: IntGauge,
    displaced_buckets: IntCounter,
    /// Reputations of newcomers, and of the established.
    reputations: [IntGauge; 2],
    displaced_reputations: IntCounter,
    /// Cards, digests and attachments.
    campaigns: [IntGauge; 3],
    /// Cards, and what they are found by: expired, then displaced.
    forgotten: [[IntCounter; LOSSES.len()]; 2],
    /// Messages that the classifier has learned: ham, spam.
    taught: [IntGauge; 2],
    /// Its cells in use, and messages that it can unlearn.
    taught_size: [IntGauge; 2],
    /// Deliveries that clients do not know of.
    deliveries: IntGauge,
    /// Held while the counters of what was forgotten catch up with their totals.
    catching_up: Arc<Mutex<()>>,
    complaints: Arc<Mutex<Complaints>>,
    /// Of the way to Redis.
    pub(super) redis: super::redis::LinkMetrics,
}

/// So that a full disk fills no log.
#[derive(Debug, Default)]
struct Complaints {
    last: Option<Instant>,
    unsaid: u64,
}

impl Metrics {
    /// Makes them, visible at zero.
    ///
    /// # Errors
    /// If they are registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| register_int_counter_with_registry!(name, help, registry);
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register_int_counter_vec_with_registry!(name, help, labels, registry)
        };
        let gauge = |name: &str, help: &str| register_int_gauge_with_registry!(name, help, registry);
        let gauges =
            |name: &str, help: &str, label: &str| register_int_gauge_vec_with_registry!(name, help, &[label], registry);
        let operations = counters(
            "gatepost_store_operations_total",
            "What the store was asked to do, by what became of it.",
            &["operation", "result"],
        )?;
        let durations = register_histogram_vec_with_registry!(
            "gatepost_store_duration_seconds",
            "Time that commits and reads of the store took.",
            &["operation"],
            vec![0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0],
            registry
        )?;
        let losses = counters(
            "gatepost_store_lost_reports_total",
            "DMARC reports that were forgotten unfetched, by why.",
            &["reason"],
        )?;
        let triplets =
            gauges("gatepost_store_triplets", "Triplets of greylisting, and holders that pass, by state.", "state")?;
        let reputations = gauges(
            "gatepost_store_reputations",
            "Reputations of networks, domains and their pairs, by state.",
            "state",
        )?;
        let campaigns = gauges(
            "gatepost_store_campaigns",
            "Campaigns that are counted, and what they are found by, by kind.",
            "kind",
        )?;
        let forgotten = counters(
            "gatepost_store_forgotten_campaigns_total",
            "Campaigns, and what they were found by, that were forgotten, by kind and why.",
            &["kind", "reason"],
        )?;
        let taught = gauges(
            "gatepost_store_taught_messages",
            "Messages that the classifier has learned, by what they are.",
            "kind",
        )?;
        let taught_size =
            gauges("gatepost_store_taught", "Cells of the classifier in use, and messages that it can unlearn.", "of")?;
        Ok(Self {
            operations: OPERATIONS
                .map(|operation| OUTCOMES.map(|outcome| operations.with_label_values(&[operation, outcome]))),
            losses: LOSSES.map(|reason| losses.with_label_values(&[reason])),
            queue: gauge("gatepost_store_queue", "Operations that wait to be written.")?,
            commits: durations.with_label_values(&["commit"]),
            reads: durations.with_label_values(&["read"]),
            durable: gauge("gatepost_store_durable", "1 if what is remembered outlives the process, 0 if not.")?,
            triplets: ["waiting", "confirmed"].map(|state| triplets.with_label_values(&[state])),
            displaced: counter(
                "gatepost_store_displaced_triplets_total",
                "Triplets that were forgotten early because there were too many.",
            )?,
            buckets: gauge("gatepost_store_buckets", "Buckets of rates that are in use: not full.")?,
            displaced_buckets: counter(
                "gatepost_store_displaced_buckets_total",
                "Buckets of rates that were forgotten before they were full, because there were too many.",
            )?,
            reputations: ["newcomer", "established"].map(|state| reputations.with_label_values(&[state])),
            displaced_reputations: counter(
                "gatepost_store_displaced_reputations_total",
                "Reputations that were forgotten early because there were too many.",
            )?,
            campaigns: ["campaign", "digest", "attachment"].map(|kind| campaigns.with_label_values(&[kind])),
            forgotten: ["campaign", "fingerprint"]
                .map(|kind| LOSSES.map(|reason| forgotten.with_label_values(&[kind, reason]))),
            taught: ["ham", "spam"].map(|kind| taught.with_label_values(&[kind])),
            taught_size: ["cells", "lessons"].map(|of| taught_size.with_label_values(&[of])),
            deliveries: gauge(
                "gatepost_store_deliveries",
                "Recipients who have a message that their client was told to send again, because others do not have it.",
            )?,
            catching_up: Arc::default(),
            complaints: Arc::default(),
            redis: super::redis::LinkMetrics::register(registry)?,
        })
    }

    pub(super) fn count(&self, operation: Operation, outcome: Outcome) {
        let counters = self.operations.get(operation as usize).and_then(|row| row.get(outcome as usize));
        counters.expect("as many labels as variants").inc();
    }

    /// Shows how many triplets there are.
    pub(super) fn show(&self, count: Count) {
        let shown = [count.waiting, count.confirmed].map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        self.triplets.iter().zip(shown).for_each(|(gauge, number)| gauge.set(number));
        self.displaced.inc_by(count.displaced);
    }

    /// Counts triplets that were forgotten early.
    pub(super) fn displace(&self, number: u64) {
        self.displaced.inc_by(number);
    }

    /// Shows how many buckets there are.
    pub(super) fn show_buckets(&self, count: buckets::Count) {
        self.buckets.set(i64::try_from(count.buckets).unwrap_or(i64::MAX));
        self.displaced_buckets.inc_by(count.displaced);
    }

    /// Shows how many reputations there are.
    pub(super) fn show_reputations(&self, count: EarnedCount) {
        let shown = [count.newcomers, count.established].map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        self.reputations.iter().zip(shown).for_each(|(gauge, number)| gauge.set(number));
        self.displaced_reputations.inc_by(count.displaced);
    }

    /// Shows how many campaigns there are, and what had to go so far.
    pub(super) fn show_campaigns(&self, (clusters, cards): Counts) {
        let shown = [cards.cards, clusters.digests, clusters.attachments];
        let shown = shown.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        self.campaigns.iter().zip(shown).for_each(|(gauge, number)| gauge.set(number));
        let totals = [[cards.expired, cards.displaced], [clusters.gone.expired, clusters.gone.displaced]];
        let _alone = self.catching_up.lock().unwrap_or_else(PoisonError::into_inner);
        for (counter, total) in self.forgotten.as_flattened().iter().zip(totals.as_flattened()) {
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }

    /// Shows how many deliveries are remembered.
    pub(super) fn show_deliveries(&self, number: usize) {
        self.deliveries.set(i64::try_from(number).unwrap_or(i64::MAX));
    }

    /// Shows how much the classifier was taught.
    pub(super) fn show_taught(&self, count: TaughtCount) {
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let taught = [count.ham, count.spam].map(|messages| i64::try_from(messages).unwrap_or(i64::MAX));
        self.taught.iter().zip(taught).for_each(|(gauge, messages)| gauge.set(messages));
        let sizes = [count.cells, count.lessons].map(number);
        self.taught_size.iter().zip(sizes).for_each(|(gauge, size)| gauge.set(size));
    }

    /// Counts reputations that were forgotten early.
    pub(super) fn displace_reputations(&self, number: u64) {
        self.displaced_reputations.inc_by(number);
    }

    /// Counts and logs reports that nobody will ever get.
    pub(super) fn mourn(&self, lost: &[Lost]) {
        for Lost { why, domain, day } in lost {
            self.losses.get(*why as usize).expect("as many labels as variants").inc();
            let reason = LOSSES.get(*why as usize).copied().unwrap_or_default();
            let begin = time(day.saturating_mul(DAY));
            let day = jiff::Timestamp::try_from(begin).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            tracing::warn!(%domain, %day, reason, "store.report_lost");
        }
    }

    #[cfg(test)]
    pub(super) fn lost(&self) -> [u64; LOSSES.len()] {
        self.losses.each_ref().map(IntCounter::get)
    }

    /// Logs a trouble, unless one was logged a moment ago.
    pub(super) fn complain(&self, why: &str) {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if complaints.last.is_some_and(|last| last.elapsed() < COMPLAINT_INTERVAL) {
            complaints.unsaid += 1;
            return;
        }
        tracing::warn!(why, unsaid = complaints.unsaid, "the store fails: something is not remembered; mail goes on");
        *complaints = Complaints { last: Some(Instant::now()), unsaid: 0 };
    }
}
