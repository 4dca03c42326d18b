//! What is counted about lists. Label values are names of lists and words of ours.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts};

use super::health::{Answered, Reason};
use super::lists::{Monitored, lock};

const RESULTS: [&str; 4] = ["listed", "not_listed", "error", "no_answer"];

/// The metric families of lists.
#[derive(Clone, Debug)]
pub struct Metrics {
    state: State,
    suspensions: IntCounterVec,
    answers: IntCounterVec,
    duration: HistogramVec,
    left_out: IntCounterVec,
}

/// How the lists are, asked whenever somebody looks: of several with one name, the one that came last. What
/// a rule set that was refused, or one that only an old session still holds, knew of a list is seen by nobody.
#[derive(Clone, Debug)]
struct State {
    known: Arc<Known>,
    up: IntGaugeVec,
    alerts: IntGaugeVec,
}

/// The lists that somebody asks, in the order in which they came.
pub(super) type Known = Mutex<Vec<Weak<Monitored>>>;

/// The counters of one list.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) duration: Histogram,
    pub(super) left_out: IntCounter,
    suspensions: BTreeMap<&'static str, IntCounter>,
    answers: BTreeMap<&'static str, IntCounter>,
}

impl Metrics {
    /// All at zero, seen by nobody.
    pub fn new() -> Self {
        let constant = "names and labels are constants";
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels).expect(constant)
        };
        let gauge =
            |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels).expect(constant);
        let buckets = vec![0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
        let duration =
            HistogramOpts::new("gatepost_list_answer_duration_seconds", "Time until a list answered, memory aside.");
        Self {
            state: State {
                known: Arc::default(),
                up: gauge("gatepost_list_up", "1: the list is asked; 0: it is suspended.", &["list"]),
                alerts: gauge(
                    "gatepost_list_alert",
                    "1: the list fires constantly, is slow, or loses questions.",
                    &["list", "alert"],
                ),
            },
            suspensions: counter("gatepost_list_suspensions_total", "Suspensions of lists.", &["list", "reason"]),
            answers: counter(
                "gatepost_list_answers_total",
                "Questions to lists about clients and messages, by what came back.",
                &["list", "result"],
            ),
            left_out: counter(
                "gatepost_list_questions_left_out_total",
                "Questions to lists that a client or a message gave reason for, beyond those that are asked.",
                &["list"],
            ),
            duration: HistogramVec::new(duration.buckets(buckets), &["list"]).expect(constant),
        }
    }

    /// Makes them visible.
    ///
    /// # Errors
    /// They are registered already.
    pub fn register(&self, registry: &prometheus::Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.state.clone()))?;
        registry.register(Box::new(self.suspensions.clone()))?;
        registry.register(Box::new(self.answers.clone()))?;
        registry.register(Box::new(self.left_out.clone()))?;
        registry.register(Box::new(self.duration.clone()))
    }

    pub(super) fn meter(&self, list: &str) -> Meter {
        let reasons = Reason::ALL.map(Reason::label);
        Meter {
            left_out: self.left_out.with_label_values(&[list]),
            duration: self.duration.with_label_values(&[list]),
            suspensions: reasons.map(|reason| (reason, self.suspensions.with_label_values(&[list, reason]))).into(),
            answers: RESULTS.map(|result| (result, self.answers.with_label_values(&[list, result]))).into(),
        }
    }

    /// The lists whose state is shown.
    pub(super) fn known(&self) -> &Known {
        &self.state.known
    }
}

impl Collector for State {
    fn desc(&self) -> Vec<&Desc> {
        [self.up.desc(), self.alerts.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Held to the end: two who look at one time fill the gauges one after the other.
        let known = lock(&self.known);
        self.up.reset();
        self.alerts.reset();
        for list in known.iter().filter_map(Weak::upgrade) {
            let (name, (up, alerts)) = (list.plan().name.as_str(), list.state());
            self.up.with_label_values(&[name]).set(up.into());
            for (alert, raised) in alerts {
                self.alerts.with_label_values(&[name, alert.label()]).set(raised.into());
            }
        }
        [self.up.collect(), self.alerts.collect()].concat()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Meter {
    pub(super) fn count_answer(&self, answer: Answered) {
        if let Some(counter) = self.answers.get(answer.label()) {
            counter.inc();
        }
    }

    pub(super) fn count_suspension(&self, reason: Reason) {
        if let Some(counter) = self.suspensions.get(reason.label()) {
            counter.inc();
        }
    }
}
