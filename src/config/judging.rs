//! The rule files as one value: checks, weights and policy, with every symbol known.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

use super::problem::{Problems, Report, nearest};
use super::raw::rules as written;
use super::source::{element, join};
use super::{Rules, check, raw};
use crate::checks::{Registry, RegistryError, content, dnsbl, helo, protocol, rdns};
use crate::dns::Lookup;
use crate::facts::Stage;
use crate::pipeline::Ruleset;
use crate::policy::{Clause, Condition, Policy};
use crate::scoring::{Composite, Group, Score, Symbol, Weights};
use crate::verdict::Verdict;

/// Symbols by name: those of checks that run, of lists that are off, and composites.
struct Catalogue(BTreeSet<Symbol>);

/// Makes a rule set of the files; `own_names` are names that no client may greet with.
pub(super) fn build(
    rules: &Rules,
    enabled: bool,
    own_names: &[String],
    dns: &Arc<dyn Lookup>,
    problems: &mut Problems,
) -> Option<Ruleset> {
    let lists = lists(&rules.lists.0, &mut Report { document: &rules.lists.1, problems });
    let registry = registry(&lists, own_names, dns, &mut Report { document: &rules.lists.1, problems });
    let mut known: BTreeSet<Symbol> = registry.symbols().keys().cloned().collect();
    known.extend(lists.iter().flat_map(|list| list.settings.codes.iter().map(|(_, symbol)| symbol.clone())));
    let emitted = known.clone();
    known.extend(rules.weights.0.composite.iter().filter_map(|composite| Symbol::new(&composite.symbol).ok()));
    let catalogue = Catalogue(known);
    let report = &mut Report { document: &rules.weights.1, problems };
    let weights = weights(&rules.weights.0, &lists, &catalogue, &emitted, report);
    let policy = policy(&rules.policy.0, &catalogue, &mut Report { document: &rules.policy.1, problems });
    let weights = weights?;
    if !problems.has_errors() {
        for problem in policy.problems(&weights) {
            Report { document: &rules.policy.1, problems }.error("", problem.to_string());
        }
    }
    if !enabled {
        return Some(Ruleset { version: rules.version.clone(), ..Ruleset::empty() });
    }
    Some(Ruleset::new(rules.version.clone(), registry, Arc::new(weights), policy))
}

struct List {
    at: String,
    enabled: bool,
    settings: dnsbl::Settings,
}

fn lists(file: &written::ListsFile, report: &mut Report<'_>) -> Vec<List> {
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

fn registry(lists: &[List], own_names: &[String], dns: &Arc<dyn Lookup>, report: &mut Report<'_>) -> Registry {
    let mut registry = Registry::default();
    // What is built in cannot collide with itself, which tests of the checks show; a list can with anything.
    for (stage, spec) in protocol::specs() {
        report.take("", registry.add_observed(stage, spec));
    }
    let helo_settings = helo::Settings { own_names: own_names.to_vec(), ..helo::Settings::default() };
    report.take("", registry.add(helo::Helo::new(helo_settings, dns.clone())));
    report.take("", registry.add(rdns::Rdns::new(rdns::Settings::default(), dns.clone())));
    report.take("", registry.add(content::Content::new(content::Settings::default())));
    for list in lists.iter().filter(|list| list.enabled) {
        let claimed = registry.add(dnsbl::Dnsbl::new(list.settings.clone(), dns.clone()));
        match claimed {
            // Two lists of one name were reported where they are read.
            Ok(()) | Err(RegistryError::Name(_)) => {}
            Err(taken @ RegistryError::Symbol { .. }) => report.error(&join(&list.at, "codes"), taken.to_string()),
        }
    }
    registry
}

fn weights(
    file: &written::WeightsFile,
    lists: &[List],
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
    for list in lists.iter().filter(|list| list.settings.shadow) {
        for symbol in list.settings.codes.iter().map(|(_, symbol)| symbol.clone()).collect::<BTreeSet<_>>() {
            builder = builder.shadow(symbol);
        }
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

fn score(points: raw::Real, key: &str, report: &mut Report<'_>) -> Option<Score> {
    report.take(key, Score::from_points(points.0))
}

fn policy(file: &written::PolicyFile, catalogue: &Catalogue, report: &mut Report<'_>) -> Policy {
    let mut names = BTreeSet::new();
    let mut clauses = Vec::new();
    for (index, clause) in file.clause.iter().enumerate() {
        let at = element("clause", index);
        if report.document.has(&join(&at, "name")) && !names.insert(&clause.name) {
            report.error(&join(&at, "name"), format!("another clause is called `{}` already", clause.name));
        }
        clauses.push(self::clause(clause, &at, catalogue, report));
    }
    Policy { clauses, tag: file.tag.and_then(|tag| score(tag, "tag", report)) }
}

fn clause(written: &written::Clause, at: &str, catalogue: &Catalogue, report: &mut Report<'_>) -> Clause {
    let mut limit = |name: &str, points: Option<raw::Real>| points.and_then(|p| score(p, &join(at, name), report));
    let (at_least, below) = (limit("at_least", written.at_least), limit("below", written.below));
    if let (Some(low), Some(high)) = (at_least, below)
        && low >= high
    {
        report.error(&join(at, "at_least"), format!("is not less than `below` ({high}): this never holds"));
    }
    let mut find = |name: &str, symbols: &[String]| catalogue.find_all(symbols, &join(at, name), report);
    let when = Condition {
        all_of: find("all_of", &written.all_of),
        any_of: find("any_of", &written.any_of),
        none_of: find("none_of", &written.none_of),
        at_least,
        below,
    };
    let symbols = written.all_of.len() + written.any_of.len() + written.none_of.len();
    if symbols == 0 && written.at_least.is_none() && written.below.is_none() && !written.shadow {
        report.warning(at, "has no condition: it holds for all mail, and no clause after it is ever reached");
    }
    if let Some(text) = &written.text {
        let fits = (1..=200).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b));
        if !fits {
            report.error(&join(at, "text"), "must be one line of at most 200 printable ASCII characters");
        }
        if written.verdict == written::Verdict::Forward {
            report.warning(&join(at, "text"), "is never said: the reply to forwarded mail is the backend's");
        }
    }
    Clause {
        name: written.name.as_str().into(),
        stage: written.stage.map(stage),
        when,
        verdict: match written.verdict {
            written::Verdict::Reject => Verdict::Reject,
            written::Verdict::Defer => Verdict::Defer,
            written::Verdict::Forward => Verdict::Forward,
        },
        text: written.text.as_deref().map(Into::into),
        shadow: written.shadow,
        binds_exempt: written.binds_exempt,
    }
}

fn stage(written: written::Stage) -> Stage {
    match written {
        written::Stage::Connect => Stage::Connect,
        written::Stage::Helo => Stage::Helo,
        written::Stage::Mail => Stage::Mail,
        written::Stage::Rcpt => Stage::Rcpt,
        written::Stage::Message => Stage::Message,
    }
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
