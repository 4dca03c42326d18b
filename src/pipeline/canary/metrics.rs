//! What is counted of trials, over all of them.

use prometheus::{Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

use super::{Arm, Share};
use crate::pipeline::metrics::{SCORES, VERDICTS};
use crate::verdict::Verdict;

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The new rules judge everybody.
    Promoted,
    /// They differed more than they may: the old ones judge everybody.
    RolledBack,
    /// The time was over, and too little had come to conclude anything: the old ones judge everybody.
    Undecided,
    /// Somebody ended it: the old ones judge everybody.
    Aborted,
    /// A whole configuration was loaded meanwhile.
    Replaced,
}

/// The metric families of trials.
#[derive(Clone, Debug)]
pub struct Metrics {
    share: Gauge,
    transactions: IntCounterVec,
    pairs: IntCounterVec,
    scores: HistogramVec,
    endings: IntCounterVec,
    failures: IntCounter,
}

const ENDINGS: [Ending; 5] =
    [Ending::Promoted, Ending::RolledBack, Ending::Undecided, Ending::Aborted, Ending::Replaced];

/// Of what nobody knows what the old rules would have come to.
const UNSURE: &str = "unsure";

/// The old rules, on messages of the canary.
const OTHERWISE: &str = "otherwise";

impl Ending {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled_back",
            Self::Undecided => "undecided",
            Self::Aborted => "aborted",
            Self::Replaced => "replaced",
        }
    }
}

impl Metrics {
    /// Makes the families and registers them.
    ///
    /// # Errors
    /// Never in practice: names are constants.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntCounterVec> {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone()))?;
            Ok(family)
        };
        let share = Gauge::new(
            "gatepost_canary_share_ratio",
            "How many of the clients are judged by rules on trial, from 0 to 1; 0 without a trial.",
        )?;
        registry.register(Box::new(share.clone()))?;
        let scores = HistogramOpts::new(
            "gatepost_canary_message_score",
            "Scores of messages during trials of rules, in points, by arm; `otherwise` is what the old rules give the \
             messages of `canary`. Compare these two: messages of `canary` are heard by every check, those of `control` \
             until the verdict is certain.",
        );
        let scores = HistogramVec::new(scores.buckets(SCORES.to_vec()), &["arm"])?;
        registry.register(Box::new(scores.clone()))?;
        let failures = IntCounter::new(
            "gatepost_canary_failures_total",
            "Transactions that a trial of rules did not count, by a mistake in this program. Their mail went its way.",
        )?;
        registry.register(Box::new(failures.clone()))?;
        let metrics = Self {
            share,
            scores,
            failures,
            transactions: counter(
                "gatepost_canary_transactions_total",
                "Transactions decided during trials of rules: by the new ones (`canary`) and by the old ones (`control`).",
                &["arm", "verdict"],
            )?,
            pairs: counter(
                "gatepost_canary_pairs_total",
                "Transactions decided by rules on trial, by their verdict, and by that of the rules in force.",
                &["verdict", "otherwise"],
            )?,
            endings: counter("gatepost_canaries_total", "Trials of rules that have ended, by how.", &["outcome"])?,
        };
        metrics.show_all();
        Ok(metrics)
    }

    fn show_all(&self) {
        self.scores.with_label_values(&[OTHERWISE]);
        for arm in [Arm::Canary, Arm::Control] {
            self.scores.with_label_values(&[arm.as_str()]);
            for verdict in VERDICTS {
                self.transactions.with_label_values(&[arm.as_str(), verdict.as_str()]);
            }
        }
        for verdict in VERDICTS {
            for otherwise in VERDICTS.map(Verdict::as_str).into_iter().chain([UNSURE]) {
                self.pairs.with_label_values(&[verdict.as_str(), otherwise]);
            }
        }
        for ending in ENDINGS {
            self.endings.with_label_values(&[ending.as_str()]);
        }
    }

    pub(super) fn begins(&self, share: Share) {
        self.share.set(share.get());
    }

    pub(super) fn ends(&self, ending: Ending) {
        self.share.set(0.0);
        self.endings.with_label_values(&[ending.as_str()]).inc();
    }

    pub(super) fn fails(&self) {
        self.failures.inc();
    }

    #[cfg(test)]
    pub(super) fn failures(&self) -> u64 {
        self.failures.get()
    }

    /// Counts a transaction; `otherwise`, of the canary's arm, is what the old rules come to, if that is known.
    pub(super) fn count(&self, arm: Arm, verdict: Verdict, score: Option<i32>, otherwise: Option<Option<Verdict>>) {
        self.transactions.with_label_values(&[arm.as_str(), verdict.as_str()]).inc();
        if let Some(score) = score {
            self.scores.with_label_values(&[arm.as_str()]).observe(f64::from(score) / 100.0);
        }
        if let Some(otherwise) = otherwise {
            let otherwise = otherwise.map_or(UNSURE, Verdict::as_str);
            self.pairs.with_label_values(&[verdict.as_str(), otherwise]).inc();
        }
    }

    /// Counts what the old rules give a message of the canary, in hundredths.
    pub(super) fn score_otherwise(&self, score: i32) {
        self.scores.with_label_values(&[OTHERWISE]).observe(f64::from(score) / 100.0);
    }
}
