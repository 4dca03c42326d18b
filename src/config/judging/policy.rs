//! policy.toml: what is meant.

use std::collections::BTreeSet;

use super::super::problem::Report;
use super::super::raw;
use super::super::raw::rules as written;
use super::super::source::{element, join};
use super::{Catalogue, score};
use crate::facts::Stage;
use crate::policy::{Clause, Condition, Policy};
use crate::verdict::Verdict;

pub(super) fn policy(file: &written::PolicyFile, catalogue: &Catalogue, report: &mut Report<'_>) -> Policy {
    let mut names = BTreeSet::new();
    let mut clauses = Vec::new();
    for (index, clause) in file.clause.iter().enumerate() {
        let at = element("clause", index);
        if report.document.has(&join(&at, "name")) && !names.insert(&clause.name) {
            report.error(&join(&at, "name"), format!("another clause is called `{}` already", clause.name));
        }
        clauses.push(self::clause(clause, &at, catalogue, report));
    }
    let tag_on = catalogue.find_all(&file.tag_on, "tag_on", report);
    let tarpit_on = catalogue.find_all(&file.tarpit_on, "tarpit_on", report);
    Policy { clauses, tag: file.tag.and_then(|tag| score(tag, "tag", report)), tag_on, tarpit_on }
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
        verdict: verdict(written.verdict),
        text: written.text.as_deref().map(Into::into),
        status: written
            .status
            .as_deref()
            .and_then(|status| report.take(&join(at, "status"), self::status(status, written.verdict))),
        shadow: written.shadow,
        binds_exempt: written.binds_exempt,
    }
}

/// Subject and detail of an enhanced status code whose class fits the verdict.
fn status(written: &str, verdict: written::Verdict) -> Result<(u16, u16), String> {
    let class = match verdict {
        written::Verdict::Reject => "5",
        written::Verdict::Defer => "4",
        written::Verdict::Forward => return Err("is never said: the reply to forwarded mail is the backend's".into()),
    };
    let parts: Vec<&str> = written.split('.').collect();
    let number = |text: &str| text.parse::<u16>().ok().filter(|number| *number < 1000);
    match parts[..] {
        [own, subject, detail] if own == class => number(subject).zip(number(detail)),
        _ => None,
    }
    .ok_or_else(|| format!("`{written}` is no enhanced status code of that verdict, such as {class}.7.26"))
}

pub(super) fn verdict(written: written::Verdict) -> Verdict {
    match written {
        written::Verdict::Reject => Verdict::Reject,
        written::Verdict::Defer => Verdict::Defer,
        written::Verdict::Forward => Verdict::Forward,
    }
}

pub(super) fn stage(written: written::Stage) -> Stage {
    match written {
        written::Stage::Connect => Stage::Connect,
        written::Stage::Helo => Stage::Helo,
        written::Stage::Mail => Stage::Mail,
        written::Stage::Rcpt => Stage::Rcpt,
        written::Stage::Message => Stage::Message,
    }
}
