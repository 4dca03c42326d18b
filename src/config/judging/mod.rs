//! The rule files as one value: checks, weights and policy, with every symbol known.

mod bulk;
mod classifier;
pub(super) mod content;
mod deception;
pub(super) mod greylist;
mod invariants;
mod lists;
mod policies;
mod policy;
mod rates;
pub(super) mod reputation;
mod senders;
mod spamassassin;
mod traps;
mod trust;
mod unjudged;
mod weights;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::problem::{Problems, Report, nearest};
use super::rules::Ports;
use super::source::element;
use super::{Rules, raw};
use crate::checks::client_name::{ClientNames, MAX_NAMES};
use crate::checks::site::Site;
use crate::checks::traps::TrapRecipients;
use crate::checks::{self, Registry, dmarc_reports, dnsbl, forwarders, helo, protocol, rdns};
use crate::pipeline::Ruleset;
use crate::scoring::{Score, Symbol};
use crate::store::Blocks;

/// Symbols by name: those of checks that run, of lists that are off, and composites.
struct Catalogue(BTreeSet<Symbol>);

/// Makes a rule set of the files; `own_names` are names that no client may greet with.
pub(super) fn build(
    rules: &Rules,
    enabled: bool,
    own_names: &[String],
    site: &Arc<Site>,
    ports: &Ports,
    problems: &mut Problems,
) -> Option<Ruleset> {
    let authenticator = senders::authenticator(rules, ports);
    let report = &mut Report { document: &rules.lists.1, problems };
    let lists = lists::lists(&rules.lists.0, report);
    let shared = dnsbl::Shared {
        dns: ports.dns.clone(),
        client_names: ClientNames::new(MAX_NAMES, ports.dns.clone()),
        authenticator: authenticator.clone(),
        lists: ports.lists.clone(),
        skipped: Arc::new(lists::skipped(&rules.lists.0, own_names, report)),
    };
    let mut registry = registry(own_names, ports, report);
    lists::add(&lists, &shared, &mut registry, report);
    senders::add(rules, site, &shared, &mut registry, problems);
    let report = &mut Report { document: &rules.greylist.1, problems };
    let senders = greylist::add(&rules.greylist.0, site, (&shared, ports), &mut registry, report);
    let report = &mut Report { document: &rules.rates.1, problems };
    let rates = rates::rates(&rules.rates.0, report);
    rates::add(&rates, site, ports, &mut registry, report);
    let (answers, unused) = rates::answers(&rates);
    reputation::add(rules, site, (&shared, ports), &mut registry, problems);
    let report = &mut Report { document: &rules.traps.1, problems };
    let traps = traps::traps(&rules.traps.0, site, report);
    let report = &mut Report { document: &rules.bulk.1, problems };
    bulk::add(&rules.bulk.0, &senders, site, (&shared, ports), &mut registry, report);
    let report = &mut Report { document: &rules.classifier.1, problems };
    classifier::add(&rules.classifier.0, ports, &mut registry, report);
    deception::add(&rules.deception.0, &mut registry, &mut Report { document: &rules.deception.1, problems });
    content::add(&rules.content, &shared, &mut registry, problems);
    let mut known: BTreeSet<Symbol> = registry.symbols().keys().cloned().collect();
    known.extend(lists.iter().flat_map(|list| list.settings.codes.iter().map(|(_, symbol)| symbol.clone())));
    known.extend(unused);
    known.extend(rules.content.symbols.iter().cloned());
    let report = &mut Report { document: &rules.spamassassin.1, problems };
    let written = (&rules.imported, &rules.spamassassin.0.spamassassin, &rules.weights.0.weights);
    let imported = spamassassin::add(written, &shared, &known, &mut registry, report);
    known.extend(imported.iter().map(|(symbol, _)| symbol.clone()));
    let emitted = known.clone();
    known.extend(answers.iter().map(|composite| composite.symbol.clone()));
    known.extend(rules.weights.0.composite.iter().filter_map(|composite| Symbol::new(&composite.symbol).ok()));
    let catalogue = Catalogue(known);
    let report = &mut Report { document: &rules.weights.1, problems };
    let shadow = lists::shadow(&lists).chain(rates.iter().filter(|rate| rate.shadow).map(|rate| rate.symbol().clone()));
    let shadow = shadow.chain(content::shadow(&rules.content.set)).collect();
    let weights = weights::weights(&rules.weights.0, shadow, (answers, &imported), &catalogue, &emitted, report);
    let policy = policy::policy(&rules.policy.0, &catalogue, &mut Report { document: &rules.policy.1, problems });
    let policies = policies::policies(&rules.policy.0, &policy, &mut Report { document: &rules.policy.1, problems });
    let report = &mut Report { document: &rules.outgoing.1, problems };
    let outgoing = policy::policy(&rules.outgoing.0, &catalogue, report);
    policies::none(&rules.outgoing.0, report);
    let weights = weights?;
    let report = &mut Report { document: &rules.lists.1, problems };
    lists::warn_of_unconfirmed(&lists, &weights, &policy, report);
    if !problems.has_errors() {
        for (policy, file) in [(&policy, &rules.policy.1), (&outgoing, &rules.outgoing.1)] {
            for problem in policy.problems(&weights) {
                Report { document: file, problems }.error("", problem.to_string());
            }
            unjudged::warn_of_exceptions(policy, &mut Report { document: file, problems });
        }
        let off = lists::off(&lists, &shared);
        let checks = registry.checks().chain(off.iter().map(|(stage, spec)| (*stage, spec)));
        let observed = registry.observed().iter().map(|(stage, spec)| (*stage, spec));
        let emitted = crate::policy::invariant::Catalogue::new(checks, observed);
        let report = &mut Report { document: &rules.policy.1, problems };
        invariants::prove(&rules.policy.0, &policy, &weights, &emitted, &catalogue, report);
        invariants::prove_others(&rules.policy.0, (&policy, &policies), &weights, &emitted, &catalogue, report);
        let leaving = registry.for_outgoing();
        let emitted = crate::policy::invariant::Catalogue::new(leaving.checks(), []);
        let report = &mut Report { document: &rules.outgoing.1, problems };
        invariants::prove(&rules.outgoing.0, &outgoing, &weights, &emitted, &catalogue, report);
    }
    let unjudged = || unjudged::rules(&rules.version, ports, (&policy, &policies), &outgoing);
    let of_all = unjudged();
    if !enabled {
        let nothing = || Ruleset { version: rules.version.clone(), ..Ruleset::empty() };
        return Some(unjudged().unwrap_or_else(nothing).with_unjudged(of_all));
    }
    let ruleset = Ruleset::new(rules.version.clone(), registry, Arc::new(weights), policy);
    let ruleset = ruleset.with_traps(traps).with_policies(policies).with_looks(rules.looks.clone());
    Some(ruleset.with_outgoing(outgoing).with_unjudged(of_all))
}

fn registry(own_names: &[String], ports: &Ports, report: &mut Report<'_>) -> Registry {
    let dns = &ports.dns;
    let mut registry = Registry::default();
    // What is built in cannot collide with itself, which tests of the checks show; a list can with anything.
    for (stage, spec) in protocol::specs() {
        report.take("", registry.add_observed(stage, spec));
    }
    let helo_settings = helo::Settings { own_names: own_names.to_vec(), ..helo::Settings::default() };
    report.take("", registry.add(helo::Helo::new(helo_settings, dns.clone())));
    report.take("", registry.add(rdns::Rdns::new(rdns::Settings::default(), dns.clone())));
    report.take("", registry.add(checks::content::Content::new(checks::content::Settings::default())));
    report.take("", registry.add(TrapRecipients::new()));
    let blocks = ports.store.clone().map(|store| store as Arc<dyn Blocks>);
    report.take("", registry.add(checks::blocked::ByHand::new(blocks)));
    if let Some(store) = &ports.store {
        report.take("", registry.add(forwarders::Forwarders::new(store.clone())));
        if ports.dmarc_reports {
            report.take("", registry.add(dmarc_reports::DmarcReports::new(store.clone())));
        }
    }
    registry
}

fn score(points: raw::Real, key: &str, report: &mut Report<'_>) -> Option<Score> {
    report.take(key, Score::from_points(points.0))
}

impl Catalogue {
    fn find(&self, name: &str, key: &str, report: &mut Report<'_>) -> Option<Symbol> {
        let found = self.0.get(name).cloned();
        if found.is_none() {
            let near = nearest(name, self.0.iter().map(Symbol::as_str));
            report.error_near(key, format!("no check emits `{name}`, and no composite defines it"), near);
        }
        found
    }

    fn find_all(&self, names: &[String], key: &str, report: &mut Report<'_>) -> Vec<Symbol> {
        let names = names.iter().enumerate();
        names.filter_map(|(index, name)| self.find(name, &element(key, index), report)).collect()
    }
}
