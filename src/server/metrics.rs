//! What is counted about the server itself.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::clock::{self, Clock, SystemClock};

/// Counters of the server.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    pub(super) reloads_applied: IntCounter,
    pub(super) reloads_refused: IntCounter,
    pub(super) certificates_renewed: IntCounter,
    pub(super) certificates_failed: IntCounter,
    pub(super) certificate_expiry: IntGaugeVec,
    pub(super) panics: IntCounter,
    loaded_at: IntGauge,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let outcomes = |name: &str, help: &str| {
            let family = IntCounterVec::new(Opts::new(name, help), &["outcome"])?;
            registry.register(Box::new(family.clone()))?;
            prometheus::Result::Ok(family)
        };
        let reloads = outcomes("gatepost_reloads_total", "Reloads of the configuration, by outcome.")?;
        let certificates = outcomes(
            "gatepost_certificate_reloads_total",
            "New certificates found and taken, and files found unusable, by outcome.",
        )?;
        let certificate_expiry = IntGaugeVec::new(
            Opts::new(
                "gatepost_certificate_expiry_timestamp_seconds",
                "When the certificate in use ends to be valid, in seconds since 1970, by listener and file.",
            ),
            &["listener", "certificate"],
        )?;
        registry.register(Box::new(certificate_expiry.clone()))?;
        let panics =
            IntCounter::new("gatepost_session_panics_total", "Sessions that ended by a mistake in this program.")?;
        registry.register(Box::new(panics.clone()))?;
        let loaded_at = IntGauge::new(
            "gatepost_configuration_loaded_timestamp_seconds",
            "When the configuration in force was read, since 1970.",
        )?;
        registry.register(Box::new(loaded_at.clone()))?;
        let metrics = Self {
            reloads_applied: reloads.with_label_values(&["applied"]),
            reloads_refused: reloads.with_label_values(&["refused"]),
            certificates_renewed: certificates.with_label_values(&["renewed"]),
            certificates_failed: certificates.with_label_values(&["failed"]),
            certificate_expiry,
            panics,
            loaded_at,
        };
        metrics.loaded();
        Ok(metrics)
    }

    /// What was read is in force from now on.
    pub(super) fn loaded(&self) {
        self.loaded_at.set(i64::try_from(clock::seconds(SystemClock.now())).unwrap_or(i64::MAX));
    }
}
