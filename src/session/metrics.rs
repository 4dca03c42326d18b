//! What we count about sessions. Children that every message touches are kept.

use prometheus::{
    Histogram, IntCounter, IntCounterVec, Registry, Result, register_histogram_with_registry,
    register_int_counter_vec_with_registry, register_int_counter_with_registry,
};

use super::refusal;
use crate::facts::Violation;
use crate::smtp::Reply;

/// Families of this module.
#[derive(Clone)]
pub struct Metrics {
    /// Sessions so far.
    pub sessions_total: IntCounter,
    /// How sessions ended.
    pub endings: IntCounterVec,
    /// Transactions by their end: forwarded, rejected, deferred, abandoned.
    pub transactions: IntCounterVec,
    /// Our replies by code.
    pub replies: IntCounterVec,
    /// Recipients: accepted, or refused by whom.
    pub recipients: IntCounterVec,
    /// Protocol violations by kind and response.
    pub violations: IntCounterVec,
    /// Replies that the policy wanted held back, by whether there was room for it.
    pub tarpit: IntCounterVec,
    /// Limits that bit.
    pub limits: IntCounterVec,
    /// Exchanges of AUTH by outcome.
    pub auth: IntCounterVec,
    /// TLS handshakes by outcome.
    pub tls: IntCounterVec,
    /// What sender authentication found, by method and result.
    pub authentications: IntCounterVec,
    /// Octets of forwarded messages.
    pub message_bytes: Histogram,
    /// How long checks kept the client waiting at RCPT.
    pub rcpt_wait_seconds: Histogram,
    /// From end of data to our verdict.
    pub verdict_seconds: Histogram,
    /// Messages that the backend took while the client was not there to hear it: it may send them again.
    pub unheard: IntCounter,
    /// Messages that the backend may have taken, its reply lost: the client was told 4xx.
    pub unknown: IntCounter,
    /// Clients turned away because the pool of their listener is configured no more.
    pub lost_pools: IntCounter,
    /// [`Metrics::transactions`] for `forwarded`.
    pub forwarded: IntCounter,
    /// [`Metrics::recipients`] for `accepted`.
    pub accepted: IntCounter,
}

/// Values of the label `end` of transactions.
const TRANSACTION_ENDS: [&str; 9] = [
    "forwarded",
    "rejected",
    "deferred",
    "rejected_by_backend",
    "deferred_by_backend",
    "deferred_backend_failure",
    "delivered_in_part",
    "unknown_outcome",
    "abandoned",
];

impl Metrics {
    /// Registers the families.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub fn register(registry: &Registry) -> Result<Self> {
        let counter = |name: &str, help: &str, label: &str| -> Result<IntCounterVec> {
            register_int_counter_vec_with_registry!(name, help, &[label], registry)
        };
        let transactions = counter("gatepost_transactions_total", "Transactions, by their end.", "end")?;
        let recipients = counter("gatepost_recipients_total", "Recipients: accepted, or refused by whom.", "outcome")?;
        let metrics = Self {
            sessions_total: register_int_counter_with_registry!(
                "gatepost_sessions_total",
                "Sessions so far.",
                registry
            )?,
            endings: counter("gatepost_session_ends_total", "Sessions, by how they ended.", "end")?,
            replies: counter("gatepost_refusals_total", "Refusing replies to clients, by code.", "code")?,
            violations: register_int_counter_vec_with_registry!(
                "gatepost_protocol_violations_total",
                "Protocol violations, by kind and response.",
                &["violation", "response"],
                registry
            )?,
            tarpit: counter(
                "gatepost_tarpit_delays_total",
                "Replies that were to be held back: held, or not because too many were.",
                "outcome",
            )?,
            limits: counter("gatepost_limits_total", "Limits of sessions that were reached.", "limit")?,
            tls: counter("gatepost_tls_handshakes_total", "TLS handshakes with clients, by outcome.", "outcome")?,
            auth: counter(
                "gatepost_auth_total",
                "Exchanges of AUTH, by outcome; refused is by the backend.",
                "outcome",
            )?,
            authentications: register_int_counter_vec_with_registry!(
                "gatepost_authentication_results_total",
                "What sender authentication found of messages; of several signatures the best result.",
                &["method", "result"],
                registry
            )?,
            message_bytes: register_histogram_with_registry!(
                "gatepost_message_bytes",
                "Sizes of messages received.",
                prometheus::exponential_buckets(1024.0, 4.0, 10)?,
                registry
            )?,
            rcpt_wait_seconds: register_histogram_with_registry!(
                "gatepost_rcpt_wait_seconds",
                "How long checks kept a client waiting at one RCPT.",
                vec![0.0001, 0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0],
                registry
            )?,
            verdict_seconds: register_histogram_with_registry!(
                "gatepost_verdict_seconds",
                "From the end of data to our own verdict.",
                vec![0.0001, 0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0],
                registry
            )?,
            unheard: register_int_counter_with_registry!(
                "gatepost_unheard_acceptances_total",
                "Messages that the backend took while the client was gone before it could hear so: it may send them again.",
                registry
            )?,
            unknown: register_int_counter_with_registry!(
                "gatepost_unknown_outcomes_total",
                "Messages handed over whose final reply never came: the client was told 4xx, the backend may have stored them.",
                registry
            )?,
            lost_pools: register_int_counter_with_registry!(
                "gatepost_lost_pools_total",
                "MAIL and AUTH refused for now, because a reload has removed the pool of backends that their listener names.",
                registry
            )?,
            forwarded: transactions.with_label_values(&["forwarded"]),
            accepted: recipients.with_label_values(&["accepted"]),
            transactions,
            recipients,
        };
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// A counter is seen at 0 before it is seen at 1.
    fn begin_at_zero(&self) {
        let begin = |family: &IntCounterVec, labels: &[&str]| {
            for label in labels {
                family.with_label_values(&[*label]);
            }
        };
        begin(&self.endings, &["quit", "closed", "timed_out", "refused", "drained"]);
        begin(&self.transactions, &TRANSACTION_ENDS);
        begin(
            &self.recipients,
            &[
                "accepted",
                "relaying_denied",
                "split",
                "too_many",
                "syntax",
                "rejected",
                "deferred",
                "backend",
                "trap",
                "unknown",
            ],
        );
        begin(&self.limits, &refusal::LIMITS.map(|(label, _)| label));
        begin(&self.tarpit, &["held", "full"]);
        begin(&self.auth, &["ok", "refused", "cancelled", "broken", "restrained", "unavailable", "busy", "abandoned"]);
        begin(&self.tls, &["ok", "timed_out", "failed"]);
        for method in ["iprev", "spf", "dkim", "arc", "dmarc"] {
            self.authentications.with_label_values(&[method, "pass"]);
            self.authentications.with_label_values(&[method, "fail"]);
        }
        for (_, reply) in refusal::ALL.iter().filter(|(_, reply)| reply.class() >= 4) {
            self.replies.with_label_values(&[&reply.code().to_string()]);
        }
        for violation in Violation::ALL {
            for response in ["ignore", "score", "refuse"] {
                self.violations.with_label_values(&[violation.label(), response]);
            }
        }
    }

    /// Counts a refusing reply to a client, and the limit that it tells of.
    pub fn count_refusal(&self, reply: &Reply) {
        self.replies.with_label_values(&[&reply.code().to_string()]).inc();
        if let Some((limit, _)) = refusal::LIMITS.iter().find(|(_, told)| told == reply) {
            self.limits.with_label_values(&[limit]).inc();
        }
    }
}
