//! policy.toml: what must never come of it, proven.

use std::collections::BTreeSet;

use super::super::problem::{Report, nearest};
use super::super::raw::rules as written;
use super::super::source::{element, join};
use super::Catalogue;
use super::policy::{stage, verdict};
use crate::pipeline::Policies;
use crate::policy::invariant::{self, Invariant, Proof};
use crate::policy::{Condition, Policy};
use crate::scoring::Weights;
use crate::verdict::Verdict;

/// Proves each invariant; one that does not hold is an error, with findings that break it.
pub(super) fn prove(
    file: &written::PolicyFile,
    policy: &Policy,
    weights: &Weights,
    emitted: &invariant::Catalogue,
    catalogue: &Catalogue,
    report: &mut Report<'_>,
) {
    let mut names = BTreeSet::new();
    for (index, written) in file.invariant.iter().enumerate() {
        let at = element("invariant", index);
        if report.document.has(&join(&at, "name")) && !names.insert(&written.name) {
            report.error(&join(&at, "name"), format!("another invariant is called `{}` already", written.name));
        }
        let invariant = invariant(written, &at, policy, catalogue, report);
        if report.problems.has_errors() {
            continue;
        }
        if !policy.clauses.iter().any(|clause| invariant.is_about(clause)) {
            report.warning(&at, "is about no clause: it says nothing");
        }
        match invariant.prove(policy, weights, emitted) {
            Proof::Proven => {}
            Proof::Violated(example) => report.error(&at, format!("`{}` does not hold: {example}", written.name)),
            Proof::Undecided(clause) => report.error(
                &at,
                format!(
                    "`{}` could not be proven: too much can lead to clause `{clause}`. Name what it speaks of in \
                     `none_of` of that clause, or in a clause before it",
                    written.name
                ),
            ),
        }
    }
}

/// Proves each for the policies of some recipients, too, as far as their clauses are not those of others.
pub(super) fn prove_others(
    file: &written::PolicyFile,
    (site, others): (&Policy, &Policies),
    weights: &Weights,
    emitted: &invariant::Catalogue,
    catalogue: &Catalogue,
    report: &mut Report<'_>,
) {
    let mut proven = vec![&site.clauses];
    for (number, (name, policy)) in others.iter().enumerate() {
        if report.problems.has_errors() {
            return;
        }
        if proven.contains(&&policy.clauses) {
            continue;
        }
        proven.push(&policy.clauses);
        for (index, written) in file.invariant.iter().enumerate() {
            let promised = &written.name;
            let invariant = invariant(written, &element("invariant", index), site, catalogue, report);
            let broken = match invariant.prove(policy, weights, emitted) {
                Proof::Proven => continue,
                Proof::Violated(example) => format!("`{promised}` does not hold for `{name}`: {example}"),
                Proof::Undecided(clause) => {
                    format!("`{promised}` could not be proven for `{name}`: too much can lead to clause `{clause}`")
                }
            };
            report.error(&element("policy", number), broken);
        }
    }
}

fn invariant(
    written: &written::Invariant,
    at: &str,
    policy: &Policy,
    catalogue: &Catalogue,
    report: &mut Report<'_>,
) -> Invariant {
    if written.never.is_empty() {
        report.error(&join(at, "never"), "promises nothing: write \"reject\", \"defer\" or both");
    }
    for (index, never) in written.never.iter().enumerate() {
        if verdict(*never) == Verdict::Forward {
            let reason = "mail for which no clause holds is forwarded: that it never is cannot be promised. Write the \
                          clause that refuses it, or \"reject\" and \"defer\" here";
            report.error(&element(&join(at, "never"), index), reason);
        }
    }
    for (index, name) in written.except.iter().enumerate() {
        if !policy.clauses.iter().any(|clause| *clause.name == **name) {
            let near = nearest(name, policy.clauses.iter().map(|clause| &*clause.name));
            report.error_near(&element(&join(at, "except"), index), format!("no clause is called `{name}`"), near);
        }
    }
    let mut find = |name: &str, symbols: &[String]| catalogue.find_all(symbols, &join(at, name), report);
    let given = Condition {
        all_of: find("all_of", &written.all_of),
        any_of: find("any_of", &written.any_of),
        none_of: find("none_of", &written.none_of),
        at_least: None,
        below: None,
    };
    Invariant {
        name: written.name.as_str().into(),
        given,
        findings: written.findings.map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
        findings_of: written.findings_of.map(stage),
        never: written.never.iter().copied().map(verdict).collect(),
        by_score: written.by_score,
        stage: written.stage.map(stage),
        except: written.except.iter().map(|name| name.as_str().into()).collect(),
    }
}
