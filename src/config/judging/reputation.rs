//! reputation.toml: what is meant.

use std::sync::Arc;
use std::time::Duration;

use super::super::Rules;
use super::super::problem::{Problems, Report};
use super::super::rules::Ports;
use super::score;
use crate::checks::reputation::{self, AfterMessage, Refusals, Settings};
use crate::checks::site::Site;
use crate::checks::{Registry, dnsbl};
use crate::scoring::Score;
use crate::store::Fading;
use crate::units::DomainSet;

/// More doubt than that, and nobody ever has a reputation.
const MOST_DOUBT: f64 = 1000.0;

/// Adds both checks.
pub(super) fn add(
    rules: &Rules,
    site: &Arc<Site>,
    (shared, ports): (&dnsbl::Shared, &Ports),
    registry: &mut Registry,
    problems: &mut Problems,
) {
    let settings = Arc::new(settings(rules, problems));
    let report = &mut Report { document: &rules.reputation.1, problems };
    let asked = reputation::Ports {
        store: ports.store.clone().map(|store| store as Arc<dyn crate::store::Reputations>),
        authenticator: shared.authenticator.clone(),
        site: site.clone(),
    };
    report.take("", registry.add(AfterMessage::new(settings.clone(), asked.clone())));
    report.take("", registry.add(Refusals::new(settings, asked)));
}

/// What is written, as Settings. The domains that many senders share are those of greylisting.
pub(in crate::config) fn settings(rules: &Rules, problems: &mut Problems) -> Settings {
    let (file, document) = &rules.reputation;
    let report = &mut Report { document, problems };
    if !(0.0..=MOST_DOUBT).contains(&file.prior.0) {
        report.error("prior", format!("must lie between 0 and {MOST_DOUBT}"));
    }
    let mut shared = DomainSet::default();
    for domain in &rules.greylist.0.shared_domains {
        // What is wrong with one was said where it is written.
        let _ = shared.insert(domain);
    }
    Settings {
        fading: Fading { half_life: Duration::from_secs(file.half_life_days * 86_400) },
        minimum: file.minimum as f64,
        prior: file.prior.0,
        good_below: score(file.good_below, "good_below", report).unwrap_or(Score::ZERO),
        shared,
    }
}
