//! What is counted about name lookups.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::LookupError;
use super::question::{Kind, Response};

/// Counters of one resolver. Children are kept, so that counting costs no search by label.
#[derive(Debug)]
pub struct Metrics {
    queries: IntCounterVec,
    by_kind: [[IntCounter; OUTCOMES.len()]; Kind::ALL.len()],
    cache: IntCounterVec,
    /// Answered from memory.
    pub(super) hit: IntCounter,
    /// Had to be asked.
    pub(super) miss: IntCounter,
    /// Waited for the answer to somebody else's question.
    pub(super) joined: IntCounter,
    /// Answered from memory although the answer had expired.
    pub(super) stale: IntCounter,
    /// Not asked: asking failed a moment ago, or too many questions are on their way.
    pub(super) failed: IntCounter,
    /// Answers with more records than are kept.
    pub(super) cut: IntCounter,
    /// How long the network took.
    pub(super) duration: Histogram,
    /// Questions on their way.
    pub(super) in_flight: IntGauge,
    servers_up: IntGaugeVec,
    servers_queries: IntCounterVec,
}

/// Counters of one server.
#[derive(Debug)]
pub(super) struct ServerMetrics {
    /// 1, or 0 while it is put aside.
    pub(super) up: IntGauge,
    queries: [IntCounter; SERVER_OUTCOMES.len()],
}

const SERVER_OUTCOMES: [&str; 4] = ["answer", "timeout", "server_failure", "unreachable"];

const OUTCOMES: [&str; 8] =
    ["records", "no_records", "nxdomain", "timeout", "server_failure", "unreachable", "not_a_name", "overloaded"];

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let vec = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels).expect("names and labels are constants")
        };
        let queries =
            vec("gatepost_dns_queries_total", "Questions put to DNS servers, by what came back.", &["type", "outcome"]);
        let cache = vec("gatepost_dns_cache_total", "Questions of checks, by who answered.", &["outcome"]);
        let buckets = vec![0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
        let duration = HistogramOpts::new(
            "gatepost_dns_query_duration_seconds",
            "Time from a question to its answer, attempts included.",
        );
        Self {
            by_kind: Kind::ALL.map(|kind| OUTCOMES.map(|outcome| queries.with_label_values(&[kind.label(), outcome]))),
            queries,
            hit: cache.with_label_values(&["hit"]),
            miss: cache.with_label_values(&["miss"]),
            joined: cache.with_label_values(&["joined"]),
            stale: cache.with_label_values(&["stale"]),
            failed: cache.with_label_values(&["failed"]),
            cache,
            cut: IntCounter::new("gatepost_dns_cut_total", "Answers with more records than are kept.")
                .expect("the name is a constant"),
            duration: Histogram::with_opts(duration.buckets(buckets)).expect("names and buckets are constants"),
            in_flight: IntGauge::new("gatepost_dns_in_flight", "Questions on their way.")
                .expect("the name is a constant"),
            servers_up: IntGaugeVec::new(
                Opts::new("gatepost_dns_server_up", "1 while a DNS server is asked first, 0 while it is put aside."),
                &["server"],
            )
            .expect("the name is a constant"),
            servers_queries: vec(
                "gatepost_dns_server_queries_total",
                "Attempts at each DNS server, by what came back.",
                &["server", "outcome"],
            ),
        }
    }

    /// The counters of one server, which is taken to be up.
    pub(super) fn server(&self, label: &str) -> ServerMetrics {
        let up = self.servers_up.with_label_values(&[label]);
        up.set(1);
        let queries = SERVER_OUTCOMES.map(|outcome| self.servers_queries.with_label_values(&[label, outcome]));
        ServerMetrics { up, queries }
    }

    /// Makes them visible.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.queries.clone()))?;
        registry.register(Box::new(self.cache.clone()))?;
        registry.register(Box::new(self.cut.clone()))?;
        registry.register(Box::new(self.duration.clone()))?;
        registry.register(Box::new(self.servers_up.clone()))?;
        registry.register(Box::new(self.servers_queries.clone()))?;
        registry.register(Box::new(self.in_flight.clone()))
    }

    pub(super) fn count(&self, kind: Kind, reply: &Result<Response, LookupError>) {
        let outcome = match reply {
            Ok(response) if !response.exists => "nxdomain",
            Ok(response) if response.records.is_empty() => "no_records",
            Ok(_) => "records",
            Err(why) => why.label(),
        };
        let row = Kind::ALL.iter().position(|other| *other == kind);
        let column = OUTCOMES.iter().position(|other| *other == outcome);
        if let Some(counter) = row.zip(column).and_then(|(row, column)| self.by_kind.get(row)?.get(column)) {
            counter.inc();
        }
    }
}

impl ServerMetrics {
    /// Counts one attempt. What was never sent is not counted.
    pub(super) fn count(&self, reply: &Result<Response, LookupError>) {
        let outcome = reply.as_ref().map_or_else(|why| why.label(), |_| "answer");
        let column = SERVER_OUTCOMES.iter().position(|other| *other == outcome);
        if let Some(counter) = column.and_then(|column| self.queries.get(column)) {
            counter.inc();
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_counter_of_its_own() {
        for error in [
            LookupError::Timeout,
            LookupError::ServerFailure,
            LookupError::Unreachable,
            LookupError::NotAName,
            LookupError::Overloaded,
        ] {
            let metrics = Metrics::new();
            metrics.count(Kind::Txt, &Err(error));
            assert_eq!(metrics.queries.with_label_values(&["txt", error.label()]).get(), 1, "{error}");
        }
    }
}
