//! What is counted about local zones. Their names come from the configuration.

use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::dns::LookupError;
use crate::dns::question::Response;

/// Counters of all local zones.
#[derive(Clone, Debug)]
pub struct Metrics {
    entries: IntGaugeVec,
    bytes: IntGaugeVec,
    reloads: IntCounterVec,
    queries: IntCounterVec,
}

/// Counters of one zone, kept, so that counting costs no search by label.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    records: IntCounter,
    no_records: IntCounter,
    nxdomain: IntCounter,
    server_failure: IntCounter,
}

const RELOADS: [&str; 2] = ["applied", "refused"];
const QUERIES: [&str; 4] = ["records", "no_records", "nxdomain", "server_failure"];

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let gauge = |name, help| IntGaugeVec::new(Opts::new(name, help), &["zone"]).expect("names are constants");
        let counter =
            |name, help| IntCounterVec::new(Opts::new(name, help), &["zone", "result"]).expect("names are constants");
        Self {
            entries: gauge("gatepost_dns_zone_entries", "Entries of a local zone."),
            bytes: gauge("gatepost_dns_zone_bytes", "Memory of a local zone."),
            reloads: counter(
                "gatepost_dns_zone_reloads_total",
                "Readings of the files of a local zone, by what became of them.",
            ),
            queries: counter("gatepost_dns_zone_queries_total", "Questions answered from a local zone, by the answer."),
        }
    }

    /// Makes them visible.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.entries.clone()))?;
        registry.register(Box::new(self.bytes.clone()))?;
        registry.register(Box::new(self.reloads.clone()))?;
        registry.register(Box::new(self.queries.clone()))
    }

    pub(super) fn zone(&self, name: &str) -> Counters {
        let [records, no_records, nxdomain, server_failure] =
            QUERIES.map(|result| self.queries.with_label_values(&[name, result]));
        for result in RELOADS {
            self.reloads.with_label_values(&[name, result]);
        }
        Counters { records, no_records, nxdomain, server_failure }
    }

    pub(super) fn reloaded(&self, name: &str, applied: bool) {
        let [yes, no] = RELOADS;
        self.reloads.with_label_values(&[name, if applied { yes } else { no }]).inc();
    }

    pub(super) fn set_size(&self, name: &str, entries: usize, bytes: usize) {
        let gauge = |number| i64::try_from(number).unwrap_or(i64::MAX);
        self.entries.with_label_values(&[name]).set(gauge(entries));
        self.bytes.with_label_values(&[name]).set(gauge(bytes));
    }

    /// A zone that is no longer configured.
    pub(super) fn forget(&self, name: &str) {
        // Whoever is not known need not be forgotten.
        let _ = (self.entries.remove_label_values(&[name]), self.bytes.remove_label_values(&[name]));
        for result in RELOADS {
            let _ = self.reloads.remove_label_values(&[name, result]);
        }
        for result in QUERIES {
            let _ = self.queries.remove_label_values(&[name, result]);
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Counters {
    pub(super) fn count(&self, answer: &Result<Response, LookupError>) {
        match answer {
            Ok(response) if !response.exists => self.nxdomain.inc(),
            Ok(response) if response.records.is_empty() => self.no_records.inc(),
            Ok(_) => self.records.inc(),
            Err(_) => self.server_failure.inc(),
        }
    }
}
