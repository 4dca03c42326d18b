//! lists.toml: what is meant.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::super::check;
use super::super::problem::Report;
use super::super::raw::rules as written;
use super::super::source::{element, join};
use crate::checks::{Registry, RegistryError, dnsbl};
use crate::scoring::Symbol;

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
        if report.document.has(&join(&at, "zone")) {
            report.take(&join(&at, "zone"), check::zone(&list.zone));
        }
        let of = subject(list.of);
        let (families, names) = forms(list, of, &at, report);
        let settings = dnsbl::Settings {
            zone: list.zone.trim_end_matches('.').to_ascii_lowercase(),
            of,
            ipv4: families.contains(&written::Family::Ipv4),
            ipv6: families.contains(&written::Family::Ipv6),
            names,
            questions: usize::try_from(list.questions).unwrap_or(usize::MAX),
            deadline: std::time::Duration::from_millis(list.deadline_ms),
            codes: codes(list, &at, report),
            errors: errors(list, &at, report),
            shadow: list.shadow,
            ..dnsbl::Settings::new(&list.name, "")
        };
        lists.push(List { at, enabled: list.enabled, settings });
    }
    lists
}

/// Families and forms of names, each where it makes sense.
fn forms(
    list: &written::Dnsbl,
    of: dnsbl::Subject,
    at: &str,
    report: &mut Report<'_>,
) -> (Vec<written::Family>, dnsbl::Names) {
    let form = of.form();
    if list.families.is_some() && form != dnsbl::Form::Address {
        report.error(&join(at, "families"), format!("has no meaning where `of` is \"{}\", no address", of.as_str()));
    }
    if list.names.is_some() && form != dnsbl::Form::Name {
        report.error(&join(at, "names"), format!("has no meaning where `of` is \"{}\", no name", of.as_str()));
    }
    let families = list.families.clone().unwrap_or_else(|| vec![written::Family::Ipv4]);
    if families.is_empty() {
        report.error(&join(at, "families"), "a list without addresses: write \"ipv4\", \"ipv6\" or both");
    }
    let names = match list.names {
        None | Some(written::Names::Both) => dnsbl::Names::Both,
        Some(written::Names::Host) => dnsbl::Names::Host,
        Some(written::Names::Registered) => dnsbl::Names::Registered,
    };
    (families, names)
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

/// Names that no list is asked about: those of the file, and our own.
pub(super) fn skipped(file: &written::ListsFile, own_names: &[String], report: &mut Report<'_>) -> dnsbl::Skipped {
    for (index, name) in file.skip.iter().enumerate() {
        if dnsbl::question::normal_name(name).is_none() {
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
