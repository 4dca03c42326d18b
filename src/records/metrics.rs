//! What is counted about records.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Seconds that it takes to write what has come together.
const BUCKETS: &[f64] = &[0.000_1, 0.000_5, 0.002, 0.01, 0.05, 0.25, 1.0, 5.0];

/// The metric families of this module.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) written: IntCounter,
    pub(super) dropped: IntCounter,
    pub(super) failed: IntCounter,
    pub(super) waiting: IntGauge,
    pub(super) waiting_bytes: IntGauge,
    pub(super) bytes: IntGauge,
    pub(super) segments: IntGauge,
    pub(super) oldest: IntGauge,
    pub(super) removed: IntCounter,
    pub(super) seconds: Histogram,
}

impl Metrics {
    /// Makes the families and registers them.
    ///
    /// # Errors
    /// They are registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let outcomes = IntCounterVec::new(
            Opts::new(
                "gatepost_records_total",
                "Decision records by what became of them: written, dropped because too many waited, failed to be written to the directory, or as a line of JSON.",
            ),
            &["result"],
        )?;
        registry.register(Box::new(outcomes.clone()))?;
        let gauge = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let removed = IntCounter::new("gatepost_records_segments_removed_total", "Segments removed for age or size.")?;
        registry.register(Box::new(removed.clone()))?;
        let seconds =
            HistogramOpts::new("gatepost_records_write_seconds", "How long it took to write what had come together.");
        let seconds = Histogram::with_opts(seconds.buckets(BUCKETS.to_vec()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self {
            written: outcomes.with_label_values(&["written"]),
            dropped: outcomes.with_label_values(&["dropped"]),
            failed: outcomes.with_label_values(&["failed"]),
            waiting: gauge("gatepost_records_waiting", "Decision records that wait to be written.")?,
            waiting_bytes: gauge(
                "gatepost_records_waiting_bytes",
                "About so many octets of memory have decision records that wait to be written.",
            )?,
            bytes: gauge("gatepost_records_bytes", "Octets of all segments of decision records.")?,
            segments: gauge("gatepost_records_segments", "Segments of decision records.")?,
            oldest: gauge(
                "gatepost_records_oldest_timestamp_seconds",
                "When the oldest segment was begun, since 1970.",
            )?,
            removed,
            seconds,
        })
    }
}
