//! What is counted about connections before they become sessions.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

use super::accept::AcceptTrouble;
use super::gate::Refused;
use super::proxy_protocol::ReadError;

/// Counters of all listeners.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Sessions that hold a permit of the gate.
    pub sessions: IntGauge,
    accepted: IntCounterVec,
    accept_errors: IntCounterVec,
    refused: IntCounterVec,
    proxy_headers: IntCounterVec,
}

/// What became of the PROXY header of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderOutcome {
    /// It named a client.
    Client,
    /// It was a health check.
    Local,
    /// The connection came from outside `proxy_networks`.
    Untrusted,
    /// There was none, or it could not be read.
    Failed(&'static str),
}

impl Metrics {
    /// Registers the families.
    ///
    /// # Errors
    /// If the registry already holds one of them.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str, label: &str, values: &[&str]| {
            let family = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(family.clone()))?;
            for value in values {
                family.with_label_values(&[*value]);
            }
            prometheus::Result::Ok(family)
        };
        let sessions = IntGauge::new("gatepost_sessions", "Sessions open now.")?;
        registry.register(Box::new(sessions.clone()))?;
        Ok(Self {
            sessions,
            accepted: counter("gatepost_connections_total", "Connections accepted, by listener.", "listener", &[])?,
            accept_errors: counter(
                "gatepost_accept_errors_total",
                "Failures of accept(2), by kind.",
                "kind",
                &AcceptTrouble::ALL.map(AcceptTrouble::label),
            )?,
            refused: counter(
                "gatepost_connections_refused_total",
                "Connections turned away before a session began, by the limit that was reached.",
                "limit",
                &Refused::ALL.map(Refused::label),
            )?,
            proxy_headers: counter(
                "gatepost_proxy_headers_total",
                "Connections to listeners that demand a PROXY header, by what became of the header.",
                "outcome",
                &[&["client", "local", "untrusted"][..], &ReadError::LABELS].concat(),
            )?,
        })
    }

    /// Makes the listener visible before its first connection.
    pub fn add_listener(&self, listener: &str) {
        self.accepted.with_label_values(&[listener]);
    }

    /// A connection was accepted.
    pub fn accepted(&self, listener: &str) {
        self.accepted.with_label_values(&[listener]).inc();
    }

    /// accept(2) failed.
    pub fn accept_failed(&self, trouble: AcceptTrouble) {
        self.accept_errors.with_label_values(&[trouble.label()]).inc();
    }

    /// The gate turned a connection away.
    pub fn refused(&self, why: Refused) {
        self.refused.with_label_values(&[why.label()]).inc();
    }

    /// A PROXY header was read, or not.
    pub fn proxy_header(&self, outcome: HeaderOutcome) {
        self.proxy_headers.with_label_values(&[outcome.label()]).inc();
    }
}

impl HeaderOutcome {
    fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Local => "local",
            Self::Untrusted => "untrusted",
            Self::Failed(label) => label,
        }
    }
}
