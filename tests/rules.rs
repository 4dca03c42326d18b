//! The shipped rules and the shipped checks speak of the same symbols.

use std::collections::BTreeSet;

use gatepost::checks::dnsbl::CodePattern;
use gatepost::checks::rules::Rule;
use gatepost::checks::rules::mutate::{self, Samples};
use gatepost::config::{content, rules};
use toml::{Table, Value};

fn file(text: &str) -> Table {
    text.parse().expect("TOML")
}

fn tables<'a>(file: &'a Table, key: &str) -> impl Iterator<Item = &'a Table> {
    file.get(key).and_then(Value::as_array).expect(key).iter().map(|entry| entry.as_table().expect(key))
}

fn words<'a>(table: &'a Table, key: &str) -> Vec<&'a str> {
    let list = table.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|word| word.as_str().expect(key)).collect()
}

/// Every symbol that checks and lists can emit, lists that are off included, and those that are made of others.
fn emitted() -> BTreeSet<String> {
    let rules = rules::compiled_in(&rules::Ports::silent()).unwrap_or_else(|problems| panic!("{problems}"));
    let lists = file(include_str!("../rules/lists.toml"));
    let of_lists = tables(&lists, "dnsbl").flat_map(|list| codes(list).map(|(_, symbol)| symbol.to_owned()));
    let composites = rules.weights.composites().iter().map(|composite| composite.symbol.to_string());
    rules.registry.symbols().keys().map(ToString::to_string).chain(of_lists).chain(composites).collect()
}

fn codes(list: &Table) -> impl Iterator<Item = (&str, &str)> {
    let codes = list.get("codes").and_then(Value::as_table).expect("codes");
    codes.iter().map(|(code, symbol)| (code.as_str(), symbol.as_str().expect("a symbol")))
}

#[test]
fn every_symbol_has_a_weight_and_every_weight_a_symbol() {
    let weights = file(include_str!("../rules/weights.toml"));
    let weighed = weights.get("weights").and_then(Value::as_table).expect("weights").keys().cloned();
    assert_eq!(weighed.collect::<BTreeSet<_>>(), emitted());
}

#[test]
fn groups_and_clauses_name_symbols_that_exist() {
    let (weights, policy) = (file(include_str!("../rules/weights.toml")), file(include_str!("../rules/policy.toml")));
    let outgoing = file(include_str!("../rules/outgoing.toml"));
    let groups = tables(&weights, "group").flat_map(|group| words(group, "symbols"));
    let parts = |clause| ["all_of", "any_of", "none_of"].map(|part| words(clause, part)).concat();
    let clauses = tables(&policy, "clause").chain(tables(&outgoing, "clause")).flat_map(parts);
    let known = emitted();
    for symbol in groups.chain(clauses) {
        assert!(known.contains(symbol), "{symbol}");
    }
}

#[test]
fn the_codes_of_the_lists_are_patterns_and_errors_are_not_among_them() {
    let lists = file(include_str!("../rules/lists.toml"));
    for list in tables(&lists, "dnsbl") {
        // Bits of a mask may be set in an error, too; whether a code is an error is asked before its bits are.
        for (code, symbol) in codes(list).filter(|(code, _)| !code.starts_with("mask:")) {
            let pattern: CodePattern = code.parse().unwrap_or_else(|why| panic!("{why}"));
            for error in [[127, 0, 0, 1], [127, 0, 0, 255], [127, 255, 255, 254]] {
                assert!(!pattern.matches(error.into()), "{code} = {symbol}");
            }
        }
    }
}

#[test]
fn only_what_is_certain_refuses_in_a_fresh_installation() {
    let policy = file(include_str!("../rules/policy.toml"));
    for clause in tables(&policy, "clause") {
        let by_score = clause.contains_key("at_least");
        let shadow = clause.get("shadow").and_then(Value::as_bool).unwrap_or_default();
        // Who must come again is not refused.
        let defers = clause.get("verdict").and_then(Value::as_str) == Some("defer");
        assert!(by_score == shadow || defers, "{clause}");
    }
}

/// Changes to shipped rules that change nothing about which messages they find: `SYMBOL: change`, and why behind ` # `.
fn equivalent_mutants() -> BTreeSet<&'static str> {
    let lines = include_str!("equivalent-mutants.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(" # ").next().unwrap_or_default().trim()).filter(|line| !line.is_empty()).collect()
}

#[test]
fn no_mistake_in_a_shipped_rule_goes_unnoticed_by_its_own_messages() {
    let content = content::load(None).unwrap_or_else(|problems| panic!("{problems}"));
    let rules: Vec<_> = content.samples().collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let survivors: BTreeSet<String> = std::thread::scope(|scope| {
        let chunks: Vec<_> = rules.chunks(rules.len().div_ceil(threads).max(1)).collect();
        let of = |chunk: &[(&Rule, Samples)]| -> Vec<String> {
            let survivors = |(rule, samples): &(&Rule, Samples)| {
                let survivors = mutate::survivors(rule, samples).into_iter();
                survivors.map(|what| format!("{}: {what}", rule.symbol)).collect::<Vec<_>>()
            };
            chunk.iter().flat_map(survivors).collect()
        };
        let running: Vec<_> = chunks.into_iter().map(|chunk| scope.spawn(move || of(chunk))).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    let equivalent = equivalent_mutants();
    let unnoticed: Vec<_> = survivors.iter().filter(|one| !equivalent.contains(one.as_str())).collect();
    assert!(unnoticed.is_empty(), "{} go unnoticed: {unnoticed:#?}", unnoticed.len());
    let noticed: Vec<_> = equivalent.iter().filter(|one| !survivors.contains(**one)).collect();
    assert!(noticed.is_empty(), "listed as equivalent, yet noticed: {noticed:#?}");
}

#[test]
fn every_shipped_rule_shows_what_it_finds_and_what_not() {
    let content = content::load(None).unwrap_or_else(|problems| panic!("{problems}"));
    for tested in content.test() {
        assert!(tested.failures.is_empty(), "{:?}", tested.failures);
        assert!(tested.messages.0 > 0 && tested.messages.1 > 0, "{} lacks hits or misses", tested.symbol);
    }
}
