//! lists.toml: what is meant.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use super::super::check;
use super::super::problem::Report;
use super::super::raw::rules as written;
use super::super::source::{element, join};
use crate::checks::{Registry, RegistryError, dnsbl};
use crate::facts::Stage;
use crate::policy::{Clause, Policy};
use crate::scoring::{Score, Spec, Symbol, Weights};
use crate::verdict::Verdict;

/// What stands for the key in a zone.
const KEY: &str = "{key}";

/// One list as written, with where.
pub(super) struct List {
    pub(super) at: String,
    pub(super) enabled: bool,
    pub(super) settings: dnsbl::Settings,
}

pub(super) fn lists(file: &written::ListsFile, report: &mut Report<'_>) -> Vec<List> {
    let mut names = BTreeSet::new();
    let mut lists = Vec::new();
    for (index, list) in file.dnsbl.iter().enumerate() {
        let at = element("dnsbl", index);
        let name_fits = !list.name.is_empty()
            && list.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if report.document.has(&join(&at, "name")) {
            if !name_fits {
                report.error(&join(&at, "name"), "must be a word of lower-case letters, digits, - and _");
            } else if !names.insert(list.name.as_str()) {
                report.error(&join(&at, "name"), format!("another list is called `{}` already", list.name));
            }
        }
        let (zone, shown) = zone(list, &at, report);
        let of = subject(list.of);
        let (families, names) = forms(list, of, &at, report);
        // Ten links are soon written, and cost nobody anything.
        let by_default = if of == dnsbl::Subject::Url { 30 } else { 10 };
        let settings = dnsbl::Settings {
            zone,
            shown,
            of,
            ipv4: families.contains(&written::Family::Ipv4),
            ipv6: families.contains(&written::Family::Ipv6),
            names,
            digest: digest(list, of, &at, report),
            questions: list.questions.map_or(by_default, |most| usize::try_from(most).unwrap_or(usize::MAX)),
            deadline: std::time::Duration::from_millis(list.deadline_ms),
            codes: codes(list, &at, report),
            errors: errors(list, &at, report),
            points: points(list, of.form(), &at, report),
            shadow: list.shadow,
            ..dnsbl::Settings::new(&list.name, "")
        };
        lists.push(List { at, enabled: list.enabled, settings });
    }
    lists
}

/// The zone, and how it is shown: without the key, which is nobody's business.
fn zone(list: &written::Dnsbl, at: &str, report: &mut Report<'_>) -> (String, String) {
    let wants_key = list.zone.contains(KEY);
    match &list.key {
        Some(_) if !wants_key => report.error(&join(at, "key"), "has no place: write {key} in `zone` where it stands"),
        None if wants_key && list.enabled => {
            report.error(&join(at, "zone"), "needs the `key` that its makers gave you")
        }
        _ => {}
    }
    let zone = list.zone.replace(KEY, list.key.as_deref().unwrap_or("key"));
    if report.document.has(&join(at, "zone")) {
        let written = report.take(&join(at, "zone"), check::zone(&list.zone.replace(KEY, "key")));
        if written.is_some() && check::zone(&zone).is_err() {
            report.error(&join(at, "key"), "cannot stand in the name of a zone");
        }
    }
    let shown = list.zone.replace(&format!("{KEY}."), "");
    let plain = |zone: &str| zone.trim_end_matches('.').to_ascii_lowercase();
    (plain(&zone), plain(&shown))
}

/// Families and forms of names, each where it makes sense.
fn forms(
    list: &written::Dnsbl,
    of: dnsbl::Subject,
    at: &str,
    report: &mut Report<'_>,
) -> (Vec<written::Family>, dnsbl::Names) {
    let form = of.form();
    let may_be_addresses = form == dnsbl::Form::Address || of == dnsbl::Subject::Url;
    if list.families.is_some() && !may_be_addresses {
        report.error(&join(at, "families"), format!("has no meaning where `of` is \"{}\", no address", of.as_str()));
    }
    if list.names.is_some() && form != dnsbl::Form::Name {
        report.error(&join(at, "names"), format!("has no meaning where `of` is \"{}\", no name", of.as_str()));
    }
    let by_default = if of == dnsbl::Subject::Url { Vec::new() } else { vec![written::Family::Ipv4] };
    let families = list.families.clone().unwrap_or(by_default);
    if families.is_empty() && form == dnsbl::Form::Address {
        report.error(&join(at, "families"), "a list without addresses: write \"ipv4\", \"ipv6\" or both");
    }
    let names = match list.names {
        // Most lists of links list what was registered.
        None if of == dnsbl::Subject::Url => dnsbl::Names::Registered,
        None | Some(written::Names::Both) => dnsbl::Names::Both,
        Some(written::Names::Host) => dnsbl::Names::Host,
        Some(written::Names::Registered) => dnsbl::Names::Registered,
    };
    (families, names)
}

/// How addresses are hidden, where that makes sense.
fn digest(list: &written::Dnsbl, of: dnsbl::Subject, at: &str, report: &mut Report<'_>) -> dnsbl::Digest {
    if list.digest.is_some() && of.form() != dnsbl::Form::Digest {
        report.error(&join(at, "digest"), format!("has no meaning where `of` is \"{}\"", of.as_str()));
    }
    match list.digest {
        None | Some(written::Digest::Sha1Hex) => dnsbl::Digest::Sha1Hex,
        Some(written::Digest::Sha1Base32) => dnsbl::Digest::Sha1Base32,
        Some(written::Digest::Sha256Base32) => dnsbl::Digest::Sha256Base32,
    }
}

/// Symbols of lists that count in shadow only.
pub(super) fn shadow(lists: &[List]) -> impl Iterator<Item = Symbol> {
    let shadow = lists.iter().filter(|list| list.settings.shadow);
    shadow.flat_map(|list| list.settings.codes.iter().map(|(_, symbol)| symbol.clone()))
}

/// Registers the checks of the lists that are asked.
pub(super) fn add(lists: &[List], shared: &dnsbl::Shared, registry: &mut Registry, report: &mut Report<'_>) {
    for list in lists.iter().filter(|list| list.enabled) {
        match dnsbl::add(registry, list.settings.clone(), shared) {
            // Two lists of one name were reported where they are read.
            Ok(()) | Err(RegistryError::Name(_)) => {}
            Err(taken @ RegistryError::Symbol { .. }) => report.error(&join(&list.at, "codes"), taken.to_string()),
        }
    }
}

/// What the lists that are not asked could say: an invariant is to hold on the day when they are asked, too.
pub(super) fn off(lists: &[List], shared: &dnsbl::Shared) -> Vec<(Stage, Spec)> {
    // Apart, so that nobody tests their health.
    let shared = dnsbl::Shared { lists: Arc::default(), ..shared.clone() };
    let mut apart = Registry::default();
    for list in lists.iter().filter(|list| !list.enabled) {
        // Two that share a symbol are the same to a proof.
        let _ = dnsbl::add(&mut apart, list.settings.clone(), &shared);
    }
    apart.checks().map(|(stage, spec)| (stage, spec.clone())).collect()
}

/// Says which lists can refuse mail though their listings cannot be confirmed: without a name that must not be
/// listed nobody notices at once that a list has begun to list everything.
pub(super) fn warn_of_unconfirmed(lists: &[List], weights: &Weights, policy: &Policy, report: &mut Report<'_>) {
    let refuses = |symbol: &Symbol| {
        let named = |clause: &Clause| {
            let mut symbols = clause.when.all_of.iter().chain(&clause.when.any_of);
            clause.verdict != Verdict::Forward && symbols.any(|named| named == symbol)
        };
        weights.of(symbol).weight > Score::ZERO || policy.clauses.iter().any(named)
    };
    for list in lists.iter().filter(|list| list.enabled && !list.settings.shadow) {
        let confirmed = !dnsbl::points::plan(&list.settings).not_listed.is_empty();
        if !confirmed && list.settings.codes.iter().any(|(_, symbol)| refuses(symbol)) {
            report.warning(
                &list.at,
                "can refuse mail, and has no test point that must not be listed: if it begins to list everything, \
                 nobody notices. Name one in `test_not_listed`",
            );
        }
    }
}

/// Names that no list is asked about: those of the file, and our own.
pub(super) fn skipped(file: &written::ListsFile, own_names: &[String], report: &mut Report<'_>) -> dnsbl::Skipped {
    for (index, name) in file.skip.iter().enumerate() {
        if dnsbl::question::normal_name(name.trim_start_matches('.')).is_none() {
            report.error(&element("skip", index), format!("`{name}` is no domain name"));
        }
    }
    dnsbl::Skipped::new(file.skip.iter().chain(own_names).map(String::as_str))
}

fn subject(written: written::Subject) -> dnsbl::Subject {
    match written {
        written::Subject::Client => dnsbl::Subject::Client,
        written::Subject::Helo => dnsbl::Subject::Helo,
        written::Subject::ClientName => dnsbl::Subject::ClientName,
        written::Subject::Sender => dnsbl::Subject::Sender,
        written::Subject::Author => dnsbl::Subject::Author,
        written::Subject::Dkim => dnsbl::Subject::Dkim,
        written::Subject::NameServer => dnsbl::Subject::NameServer,
        written::Subject::NameServerAddress => dnsbl::Subject::NameServerAddress,
        written::Subject::Url => dnsbl::Subject::Url,
        written::Subject::UrlAddress => dnsbl::Subject::UrlAddress,
        written::Subject::EmailHash => dnsbl::Subject::EmailHash,
    }
}

fn points(list: &written::Dnsbl, form: dnsbl::Form, at: &str, report: &mut Report<'_>) -> dnsbl::Points {
    let test = match list.test {
        None | Some(written::Test::Both) => dnsbl::Test::Both,
        Some(written::Test::Positive) => dnsbl::Test::Positive,
        Some(written::Test::Negative) => dnsbl::Test::Negative,
        Some(written::Test::None) => dnsbl::Test::None,
    };
    if form == dnsbl::Form::Digest && list.test.is_some_and(|test| test != written::Test::None) {
        report.error(&join(at, "test"), "RFC 5782 has no test points for digests: write them in `test_listed`");
    }
    let mut parse = |key: &str, written: &[String]| {
        let points = written.iter().enumerate();
        let one = |(index, point): (usize, &String)| {
            report.take(&element(&join(at, key), index), dnsbl::points::parse(point, form))
        };
        points.filter_map(one).collect()
    };
    dnsbl::Points {
        test,
        listed: parse("test_listed", &list.test_listed),
        not_listed: parse("test_not_listed", &list.test_not_listed),
        interval: std::time::Duration::from_secs(list.test_interval_seconds),
    }
}

fn errors(list: &written::Dnsbl, at: &str, report: &mut Report<'_>) -> Vec<dnsbl::CodePattern> {
    let table = join(at, "errors");
    let patterns = list.errors.iter().enumerate();
    patterns.filter_map(|(index, code)| report.take(&element(&table, index), code.parse())).collect()
}

fn codes(list: &written::Dnsbl, at: &str, report: &mut Report<'_>) -> Vec<(dnsbl::CodePattern, Symbol)> {
    let table = join(at, "codes");
    if list.codes.is_empty() && report.document.has(&table) {
        report.error(&table, "no return code means anything: write \"127.0.0.2\" = \"SYMBOL\"");
    }
    let pairs = list.codes.iter().filter_map(|(code, symbol)| {
        let key = join(&table, code);
        let pattern = report.take(&key, dnsbl::CodePattern::from_str(code));
        let symbol = report.take(&key, Symbol::new(symbol));
        pattern.zip(symbol)
    });
    pairs.collect()
}
