//! How new rules are tried.

use std::time::Duration;

use super::super::problem::Report;
use super::super::raw;
use crate::pipeline::canary::{Bounds, Share, Terms};

pub(super) fn terms(written: &raw::Canary, report: &mut Report<'_>) -> Terms {
    let usual = Terms::default();
    let share = Share::percent(written.share_percent.0);
    let bound = |percent: raw::Real, key: &str, usual: f64, report: &mut Report<'_>| {
        let key = format!("reload.canary.{key}");
        report.take(&key, Bounds::percent(percent.0)).unwrap_or(usual)
    };
    let bounds = Bounds {
        min_transactions: written.min_transactions,
        more_rejects: bound(written.more_rejects_percent, "more_rejects_percent", usual.bounds.more_rejects, report),
        more_defers: bound(written.more_defers_percent, "more_defers_percent", usual.bounds.more_defers, report),
        fewer_rejects: bound(
            written.fewer_rejects_percent,
            "fewer_rejects_percent",
            usual.bounds.fewer_rejects,
            report,
        ),
    };
    Terms {
        share: report.take("reload.canary.share_percent", share).unwrap_or(usual.share),
        lasts: Duration::from_secs(written.minutes.saturating_mul(60)),
        promotes: written.promote,
        bounds,
    }
}
