//! classifier.toml: what is meant.

use super::super::problem::Report;
use super::super::raw::rules as written;
use super::super::rules;
use crate::checks::Registry;
use crate::checks::classifier::{Classifier, Settings};
use crate::classifier::Settings as Voice;

/// Adds the check.
pub(super) fn add(
    file: &written::ClassifierFile,
    ports: &rules::Ports,
    registry: &mut Registry,
    report: &mut Report<'_>,
) {
    let store = ports.taught().cloned().map(|store| store as std::sync::Arc<dyn crate::store::Teachings>);
    let settings = settings(file, report);
    report.take("", registry.add(Classifier::new(settings, store)));
}

fn settings(file: &written::ClassifierFile, report: &mut Report<'_>) -> Settings {
    if file.familiar_percent <= file.unfamiliar_percent {
        let reason = format!("is not more than unfamiliar_percent ({})", file.unfamiliar_percent);
        report.error("familiar_percent", reason);
    }
    let share = |percent: u64| percent as f64 / 100.0;
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Settings {
        voice: Voice {
            minimum: number(file.minimum),
            half: number(file.growth),
            familiar: (share(file.unfamiliar_percent), share(file.familiar_percent)),
            caution: file.caution as f64,
            ..Voice::default()
        },
        learns_from_traps: file.learn_from_traps,
    }
}
