//! lists.toml: what is meant.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::super::check;
use super::super::problem::Report;
use super::super::raw::rules as written;
use super::super::source::{element, join};
use crate::checks::dnsbl;
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
        if list.families.is_empty() {
            report.error(&join(&at, "families"), "a list without addresses: write \"ipv4\", \"ipv6\" or both");
        }
        let codes = codes(list, &at, report);
        let settings = dnsbl::Settings {
            name: list.name.clone(),
            zone: list.zone.trim_end_matches('.').to_ascii_lowercase(),
            ipv4: list.families.contains(&written::Family::Ipv4),
            ipv6: list.families.contains(&written::Family::Ipv6),
            deadline: std::time::Duration::from_millis(list.deadline_ms),
            codes,
            shadow: list.shadow,
        };
        lists.push(List { at, enabled: list.enabled, settings });
    }
    lists
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
