//! What we count about backends.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result};

use super::BackendError;

/// Families of this module.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Connections opened, by outcome.
    pub connections: IntCounterVec,
    /// Leases served by an idle connection.
    pub reused: IntCounter,
    /// Failures, by kind.
    pub failures: IntCounterVec,
    /// Leases held.
    pub busy: IntGauge,
    /// Exchanges of AUTH in flight.
    pub exchanges: IntGauge,
    /// Idle connections, by member.
    pub idle: IntGaugeVec,
    /// 1 if a member is up.
    pub up: IntGaugeVec,
    /// Replies after the final dot, by class.
    pub final_replies: IntCounterVec,
    /// From the last octet of a message to the backend's reply.
    pub end_of_data: Histogram,
}

impl Metrics {
    /// Registers the families.
    pub fn register(registry: &Registry) -> Result<Self> {
        let metrics = Self {
            connections: IntCounterVec::new(
                Opts::new("gatepost_backend_connections_total", "Connections to backends, by outcome of opening them."),
                &["outcome"],
            )?,
            reused: IntCounter::new(
                "gatepost_backend_reused_connections_total",
                "Transactions that were served by an idle connection.",
            )?,
            failures: IntCounterVec::new(
                Opts::new("gatepost_backend_failures_total", "Failures of backends, by kind."),
                &["kind"],
            )?,
            busy: IntGauge::new("gatepost_backend_busy_connections", "Backend connections in use by a session.")?,
            exchanges: IntGauge::new(
                "gatepost_auth_exchanges",
                "Exchanges of AUTH in flight: connections held for clients that have proved nothing yet.",
            )?,
            idle: IntGaugeVec::new(
                Opts::new("gatepost_backend_idle_connections", "Backend connections kept for reuse, by member."),
                &["member"],
            )?,
            up: IntGaugeVec::new(
                Opts::new("gatepost_backend_up", "1 if the last attempt to speak to a member went well."),
                &["member"],
            )?,
            final_replies: IntCounterVec::new(
                Opts::new(
                    "gatepost_backend_final_replies_total",
                    "Backends' replies after the final dot, by class; `unknown` if none came: such a message may be stored.",
                ),
                &["class"],
            )?,
            end_of_data: Histogram::with_opts(
                HistogramOpts::new(
                    "gatepost_backend_end_of_data_seconds",
                    "From handing a message over to the backend's final reply.",
                )
                .buckets(vec![0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 30.0, 60.0, 300.0]),
            )?,
        };
        registry.register(Box::new(metrics.connections.clone()))?;
        registry.register(Box::new(metrics.reused.clone()))?;
        registry.register(Box::new(metrics.failures.clone()))?;
        registry.register(Box::new(metrics.busy.clone()))?;
        registry.register(Box::new(metrics.exchanges.clone()))?;
        registry.register(Box::new(metrics.idle.clone()))?;
        registry.register(Box::new(metrics.up.clone()))?;
        registry.register(Box::new(metrics.final_replies.clone()))?;
        registry.register(Box::new(metrics.end_of_data.clone()))?;
        for kind in BackendError::LABELS {
            metrics.failures.with_label_values(&[kind]);
            metrics.connections.with_label_values(&[kind]);
        }
        metrics.connections.with_label_values(&["ok"]);
        for class in ["2xx", "4xx", "5xx", "none", "unknown"] {
            metrics.final_replies.with_label_values(&[class]);
        }
        Ok(metrics)
    }
}
