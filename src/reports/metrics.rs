//! What is counted about reports.

use prometheus::{IntCounterVec, Opts, Registry};

/// What became of a report to one address, or of a batch that went to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fortune {
    /// Delivered.
    Sent,
    /// Nobody wants it there: refused for good.
    Refused,
    /// To be tried again.
    Deferred,
    /// The destination has not agreed to receive it.
    Unwanted,
    /// Larger than the destination allows.
    TooLarge,
    /// Nothing that mail can be sent to.
    Unusable,
    /// A batch that could not be delivered in time.
    Expired,
    /// A batch that says nothing: bounds left all of it out.
    Empty,
}

/// Counters of reports.
#[derive(Clone, Debug)]
pub struct Metrics {
    reports: IntCounterVec,
}

impl Fortune {
    const ALL: [Self; 8] = [
        Self::Sent,
        Self::Refused,
        Self::Deferred,
        Self::Unwanted,
        Self::TooLarge,
        Self::Unusable,
        Self::Expired,
        Self::Empty,
    ];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Deferred => "deferred",
            Self::Unwanted => "unwanted",
            Self::TooLarge => "too_large",
            Self::Unusable => "unusable",
            Self::Expired => "expired",
            Self::Empty => "empty",
        }
    }
}

impl Metrics {
    /// Makes them, visible at zero.
    ///
    /// # Errors
    /// If they are registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let reports = IntCounterVec::new(
            Opts::new("gatepost_dmarc_reports_total", "DMARC aggregate reports, by what became of them."),
            &["result"],
        )?;
        for fortune in Fortune::ALL {
            reports.with_label_values(&[fortune.label()]);
        }
        registry.register(Box::new(reports.clone()))?;
        Ok(Self { reports })
    }

    pub(super) fn count(&self, fortune: Fortune) {
        self.reports.with_label_values(&[fortune.label()]).inc();
    }

    #[cfg(test)]
    pub(super) fn counted(&self, fortune: Fortune) -> u64 {
        self.reports.with_label_values(&[fortune.label()]).get()
    }
}
