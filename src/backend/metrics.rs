//! What we count about backends.

use prometheus::{
    Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, Result, register_histogram_with_registry,
    register_int_counter_vec_with_registry, register_int_counter_with_registry, register_int_gauge_vec_with_registry,
    register_int_gauge_with_registry,
};

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
            connections: register_int_counter_vec_with_registry!(
                "gatepost_backend_connections_total",
                "Connections to backends, by outcome of opening them.",
                &["outcome"],
                registry
            )?,
            reused: register_int_counter_with_registry!(
                "gatepost_backend_reused_connections_total",
                "Transactions that were served by an idle connection.",
                registry
            )?,
            failures: register_int_counter_vec_with_registry!(
                "gatepost_backend_failures_total",
                "Failures of backends, by kind.",
                &["kind"],
                registry
            )?,
            busy: register_int_gauge_with_registry!(
                "gatepost_backend_busy_connections",
                "Backend connections in use by a session.",
                registry
            )?,
            exchanges: register_int_gauge_with_registry!(
                "gatepost_auth_exchanges",
                "Exchanges of AUTH in flight: connections held for clients that have proved nothing yet.",
                registry
            )?,
            idle: register_int_gauge_vec_with_registry!(
                "gatepost_backend_idle_connections",
                "Backend connections kept for reuse, by member.",
                &["member"],
                registry
            )?,
            up: register_int_gauge_vec_with_registry!(
                "gatepost_backend_up",
                "1 if the last attempt to speak to a member went well.",
                &["member"],
                registry
            )?,
            final_replies: register_int_counter_vec_with_registry!(
                "gatepost_backend_final_replies_total",
                "Backends' replies after the final dot, by class; `unknown` if none came: such a message may be stored.",
                &["class"],
                registry
            )?,
            end_of_data: register_histogram_with_registry!(
                "gatepost_backend_end_of_data_seconds",
                "From handing a message over to the backend's final reply.",
                vec![0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 30.0, 60.0, 300.0],
                registry
            )?,
        };
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
