//! policy.toml: what is judged otherwise for some recipients.

use std::collections::BTreeSet;

use super::super::problem::{Report, nearest};
use super::super::raw::rules as written;
use super::super::source::{element, join};
use super::score;
use crate::facts::Stage;
use crate::pipeline::Policies;
use crate::policy::{Clause, Policy};

/// Metrics name policies, so there must not be too many; nor need there be: recipients are not counted.
const MOST: usize = 100;
const LONGEST_NAME: usize = 40;

/// The site's policy, changed for some.
pub(super) fn policies(file: &written::PolicyFile, site: &Policy, report: &mut Report<'_>) -> Policies {
    let mut policies = Policies::default();
    let mut names = BTreeSet::new();
    if file.policy.len() > MOST {
        report.error("policy", format!("are more than {MOST}: recipients who are judged alike can share one"));
    }
    for (index, written) in file.policy.iter().take(MOST).enumerate() {
        let at = element("policy", index);
        name(written, &at, &mut names, report);
        let policy = changed(written, &at, site, report);
        if policy == *site {
            report.warning(&at, "changes nothing: those recipients are judged like all others");
        }
        let number = policies.add(&written.name, policy);
        if written.recipients.is_empty() && report.document.has(&join(&at, "recipients")) {
            report.error(&join(&at, "recipients"), "is empty: nobody would be judged by it");
        }
        for (index, pattern) in written.recipients.iter().enumerate() {
            let assigned = policies.assign(pattern, number);
            report.take(&element(&join(&at, "recipients"), index), assigned);
        }
    }
    policies
}

/// Mail that leaves is judged alike, whoever it is for: they are not our users.
pub(super) fn none(file: &written::PolicyFile, report: &mut Report<'_>) {
    if !file.policy.is_empty() {
        report.error("policy", "has no meaning here: recipients of mail that leaves are others' users");
    }
}

fn name<'w>(written: &'w written::Policy, at: &str, names: &mut BTreeSet<&'w str>, report: &mut Report<'_>) {
    let (name, at) = (written.name.as_str(), join(at, "name"));
    if !report.document.has(&at) {
        return;
    }
    let fits = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-' || octet == b'_';
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(fits) {
        report.error(&at, format!("must be a word of at most {LONGEST_NAME} small letters, digits, `-` and `_`"));
    } else if name == Policies::SITE {
        report.error(&at, format!("`{name}` is what everybody else has"));
    } else if !names.insert(name) {
        report.error(&at, format!("another policy is called `{name}` already"));
    }
}

fn changed(written: &written::Policy, at: &str, site: &Policy, report: &mut Report<'_>) -> Policy {
    let mut policy = site.clone();
    if let Some(tag) = written.tag {
        policy.tag = score(tag, &join(at, "tag"), report);
    }
    let mut names = BTreeSet::new();
    for (index, change) in written.clause.iter().enumerate() {
        let at = element(&join(at, "clause"), index);
        let key = join(&at, "name");
        let Some(place) = site.clauses.iter().position(|clause| *clause.name == *change.name) else {
            let near = nearest(&change.name, site.clauses.iter().map(|clause| &*clause.name));
            report.error_near(&key, format!("no clause is called `{}`", change.name), near);
            continue;
        };
        if !names.insert(&change.name) {
            report.error(&key, format!("`{}` stands here twice", change.name));
        }
        if let Some(clause) = policy.clauses.iter_mut().find(|clause| *clause.name == *change.name) {
            change_clause(change, &at, clause, report);
        }
        if change.off && site.clauses.get(place).and_then(|clause| clause.stage).is_some_and(|at| at < Stage::Rcpt) {
            report.warning(
                &key,
                "acts before the recipients are known: as some are spared, the others are answered at RCPT",
            );
        }
    }
    let off = |clause: &Clause| written.clause.iter().any(|change| change.off && *change.name == *clause.name);
    policy.clauses.retain(|clause| !off(clause));
    policy
}

fn change_clause(change: &written::ClauseChange, at: &str, clause: &mut Clause, report: &mut Report<'_>) {
    if change.off && (change.shadow.is_some() || change.at_least.is_some() || change.below.is_some()) {
        report.error(&join(at, "off"), "leaves nothing to change: write it alone");
    }
    if let Some(shadow) = change.shadow {
        clause.shadow = shadow;
    }
    // Invariants tell clauses that look at the score from others; that is no matter of a recipient.
    for (key, points, limit) in
        [("at_least", change.at_least, &mut clause.when.at_least), ("below", change.below, &mut clause.when.below)]
    {
        let Some(points) = points else { continue };
        if limit.is_none() {
            report.error(&join(at, key), format!("the clause `{}` has no `{key}` that could be another", change.name));
        } else if let Some(points) = score(points, &join(at, key), report) {
            *limit = Some(points);
        }
    }
    if let (Some(low), Some(high)) = (clause.when.at_least, clause.when.below)
        && low >= high
    {
        report.error(at, format!("`at_least` ({low}) is not less than `below` ({high}): this never holds"));
    }
}
