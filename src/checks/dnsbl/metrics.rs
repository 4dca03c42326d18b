//! What is counted about lists. Label values are names of lists and words of ours.

use std::collections::BTreeMap;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use super::health::{Alert, Answered, Reason};

const RESULTS: [&str; 4] = ["listed", "not_listed", "error", "no_answer"];

/// The metric families of lists.
#[derive(Clone, Debug)]
pub struct Metrics {
    up: IntGaugeVec,
    suspensions: IntCounterVec,
    answers: IntCounterVec,
    duration: HistogramVec,
    alerts: IntGaugeVec,
}

/// The counters of one list.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) up: IntGauge,
    pub(super) duration: Histogram,
    suspensions: BTreeMap<&'static str, IntCounter>,
    answers: BTreeMap<&'static str, IntCounter>,
    alerts: BTreeMap<&'static str, IntGauge>,
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
            up: gauge("gatepost_list_up", "1: the list is asked; 0: it is suspended.", &["list"]),
            suspensions: counter("gatepost_list_suspensions_total", "Suspensions of lists.", &["list", "reason"]),
            answers: counter(
                "gatepost_list_answers_total",
                "Questions to lists about clients and messages, by what came back.",
                &["list", "result"],
            ),
            duration: HistogramVec::new(duration.buckets(buckets), &["list"]).expect(constant),
            alerts: gauge("gatepost_list_alert", "1: the list fires constantly, or is slow.", &["list", "alert"]),
        }
    }

    /// Makes them visible.
    ///
    /// # Errors
    /// They are registered already.
    pub fn register(&self, registry: &prometheus::Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.up.clone()))?;
        registry.register(Box::new(self.suspensions.clone()))?;
        registry.register(Box::new(self.answers.clone()))?;
        registry.register(Box::new(self.duration.clone()))?;
        registry.register(Box::new(self.alerts.clone()))
    }

    pub(super) fn meter(&self, list: &str) -> Meter {
        let reasons = Reason::ALL.map(Reason::label);
        let alerts = Alert::ALL.map(Alert::label);
        Meter {
            up: self.up.with_label_values(&[list]),
            duration: self.duration.with_label_values(&[list]),
            suspensions: reasons.map(|reason| (reason, self.suspensions.with_label_values(&[list, reason]))).into(),
            answers: RESULTS.map(|result| (result, self.answers.with_label_values(&[list, result]))).into(),
            alerts: alerts.map(|alert| (alert, self.alerts.with_label_values(&[list, alert]))).into(),
        }
    }

    /// Takes the state of a list that is asked no more out of sight; what was counted stays.
    pub(super) fn forget(&self, list: &str) {
        // An error says that it was never there.
        let _ = self.up.remove_label_values(&[list]);
        for alert in Alert::ALL.map(Alert::label) {
            let _ = self.alerts.remove_label_values(&[list, alert]);
        }
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

    pub(super) fn set_alert(&self, alert: Alert, on: bool) {
        if let Some(gauge) = self.alerts.get(alert.label()) {
            gauge.set(i64::from(on));
        }
    }
}
