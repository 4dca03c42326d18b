//! What is counted about the way to Redis.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::failure::{KINDS, Kind};

/// Counters of the link.
#[derive(Clone, Debug)]
pub(in crate::store) struct Metrics {
    /// 1 while Redis answers and takes what is written.
    pub(super) up: IntGauge,
    failures: [IntCounter; KINDS.len()],
    /// Operations that memory did instead.
    pub(super) fallbacks: IntCounter,
    /// How long answers took.
    pub(super) durations: Histogram,
}

impl Metrics {
    /// Makes them, visible at zero.
    ///
    /// # Errors
    /// If they are registered already.
    pub(in crate::store) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let up = IntGauge::new("gatepost_store_redis_up", "1 if Redis answers and can be written to, 0 if not.")?;
        let failures = IntCounterVec::new(
            Opts::new("gatepost_store_redis_failures_total", "Operations and probes that Redis failed, by how."),
            &["kind"],
        )?;
        let fallbacks = IntCounter::new(
            "gatepost_store_redis_fallbacks_total",
            "Operations that local memory did because Redis did not.",
        )?;
        let buckets = vec![0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];
        let options = HistogramOpts::new("gatepost_store_redis_duration_seconds", "Time that Redis took to answer.");
        let durations = Histogram::with_opts(options.buckets(buckets))?;
        registry.register(Box::new(up.clone()))?;
        registry.register(Box::new(failures.clone()))?;
        registry.register(Box::new(fallbacks.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        let failures = KINDS.map(|kind| failures.with_label_values(&[kind]));
        Ok(Self { up, failures, fallbacks, durations })
    }

    pub(super) fn fail(&self, kind: Kind) {
        self.failures.get(kind as usize).expect("as many labels as variants").inc();
    }

    #[cfg(test)]
    pub(super) fn failed(&self, kind: Kind) -> u64 {
        self.failures.get(kind as usize).expect("as many labels as variants").get()
    }
}
