//! weights.toml: what is meant.

use std::collections::{BTreeMap, BTreeSet};

use super::super::problem::Report;
use super::super::raw::rules as written;
use super::super::source::{element, join};
use super::{Catalogue, score};
use crate::scoring::{Composite, Group, Score, Symbol, Weights};

pub(super) fn weights(
    file: &written::WeightsFile,
    shadow: BTreeSet<Symbol>,
    (made, imported): (Vec<Composite>, &[(Symbol, Score)]),
    catalogue: &Catalogue,
    emitted: &BTreeSet<Symbol>,
    report: &mut Report<'_>,
) -> Option<Weights> {
    let mut builder = Weights::builder();
    for (name, points) in &file.weights {
        let key = join("weights", name);
        let symbol = catalogue.find(name, &key, report);
        if let (Some(symbol), Some(score)) = (symbol, score(*points, &key, report)) {
            builder = builder.weight(symbol, score);
        }
    }
    for (symbol, score) in imported.iter().filter(|(symbol, _)| !file.weights.contains_key(symbol.as_str())) {
        builder = builder.weight(symbol.clone(), *score);
    }
    for symbol in shadow {
        builder = builder.shadow(symbol);
    }
    for composite in made {
        builder = builder.composite(composite);
    }
    for group in groups(&file.group, catalogue, report) {
        builder = builder.group(group);
    }
    for (index, composite) in file.composite.iter().enumerate() {
        let at = element("composite", index);
        if let Some(composite) = self::composite(composite, &at, catalogue, report) {
            builder = builder.composite(composite);
        }
    }
    let built = builder.build(emitted);
    // What is wrong with one key was reported with its place; this is what only the whole shows.
    let already = report.problems.has_errors();
    built
        .map_err(|problems| {
            problems.iter().filter(|_| !already).for_each(|problem| report.error("", problem.to_string()));
        })
        .ok()
}

fn groups(written: &[written::Group], catalogue: &Catalogue, report: &mut Report<'_>) -> Vec<Group> {
    let mut names = BTreeSet::new();
    let mut owners: BTreeMap<Symbol, &str> = BTreeMap::new();
    let mut groups = Vec::new();
    for (index, group) in written.iter().enumerate() {
        let at = element("group", index);
        if report.document.has(&join(&at, "name")) && !names.insert(&group.name) {
            report.error(&join(&at, "name"), format!("another group is called `{}` already", group.name));
        }
        if group.cap.0 < 0.0 {
            report.error(&join(&at, "cap"), "must not be negative");
        }
        let symbols = catalogue.find_all(&group.symbols, &join(&at, "symbols"), report);
        for symbol in &symbols {
            if let Some(first) = owners.insert(symbol.clone(), &group.name) {
                let reason = format!("`{symbol}` is in the group `{first}` already");
                report.error(&join(&at, "symbols"), reason);
            }
        }
        let cap = score(group.cap, &join(&at, "cap"), report).unwrap_or_default();
        groups.push(Group { name: group.name.as_str().into(), symbols, cap });
    }
    groups
}

fn composite(
    written: &written::Composite,
    at: &str,
    catalogue: &Catalogue,
    report: &mut Report<'_>,
) -> Option<Composite> {
    let mut find = |name: &str, symbols: &[String]| catalogue.find_all(symbols, &join(at, name), report);
    let (all_of, any_of) = (find("all_of", &written.all_of), find("any_of", &written.any_of));
    let (none_of, of) = (find("none_of", &written.none_of), find("of", &written.of));
    let lists = [("all_of", &written.all_of), ("any_of", &written.any_of), ("none_of", &written.none_of)];
    for (name, symbols) in lists.into_iter().chain([("of", &written.of)]) {
        for (index, symbol) in symbols.iter().enumerate().filter(|(index, symbol)| symbols[..*index].contains(symbol)) {
            report.error(&element(&join(at, name), index), format!("`{symbol}` stands in this list already"));
        }
    }
    if written.count.is_none() && !written.of.is_empty() {
        report.error(&join(at, "of"), "needs a `count`: how many of them must be found");
    }
    if !report.document.has(&join(at, "symbol")) {
        return None;
    }
    let symbol = report.take(&join(at, "symbol"), Symbol::new(&written.symbol))?;
    let at_least = written.count.map(|count| (usize::try_from(count).unwrap_or(usize::MAX), of));
    Some(Composite { symbol, all_of, any_of, none_of, at_least })
}
