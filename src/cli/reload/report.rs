//! What a reload has come to, for people.

use std::fmt::Write;

use crate::cli::{columns, minute};
use crate::config::Mistake;
use crate::pipeline::canary::{Figures, Sums};
use crate::server::reload::{Ended, Loaded, Outcome, Standing, Status};

pub(super) fn refused(reason: &str, problems: &[Mistake], flips: &str) -> String {
    let mut text = String::new();
    for problem in problems {
        let _ = writeln!(text, "{problem}");
    }
    if !flips.is_empty() {
        let _ = writeln!(text, "\n{flips}");
    }
    let _ = write!(text, "refused, nothing has changed: {reason}");
    text
}

pub(super) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied(loaded) => applied(loaded),
        Outcome::OnTrial(standing) => standing_text(standing),
        Outcome::Ended(ended) => ended_text(ended),
        Outcome::Refused { reason, problems } => refused(reason, problems, ""),
    }
}

pub(super) fn status(status: &Status) -> String {
    let mut text = match &status.canary {
        Some(standing) => standing_text(standing),
        None => format!("rules {} judge everybody\n", status.rules),
    };
    if let Some(last) = &status.last {
        let _ = write!(text, "last trial: {}", ended_text(last));
    }
    text
}

fn applied(loaded: &Loaded) -> String {
    let before = if loaded.rules_changed { "" } else { ", as before" };
    let mut text = format!("loaded: rules {} judge everybody{before}\n", loaded.rules);
    for (what, keys) in [("changed", &loaded.changed), ("changes at a restart only", &loaded.restart)] {
        if !keys.is_empty() {
            let _ = writeln!(text, "{what}: {}", keys.join(", "));
        }
    }
    text
}

fn standing_text(standing: &Standing) -> String {
    let Standing { rules, against, share_percent, until, promote, .. } = standing;
    let then = if *promote { "then they judge everybody" } else { "then until somebody ends it" };
    let mut text = format!(
        "on trial: rules {rules} judge {share_percent} % of the clients until {} UTC, {then}; rules {against} all others\n",
        minute(*until)
    );
    if !standing.beside.is_empty() {
        let _ = writeln!(text, "no part of it, and not in force: {}", standing.beside.join(", "));
    }
    text + &figures_text(&standing.figures)
}

fn ended_text(ended: &Ended) -> String {
    let Ended { rules, ending, why, at, figures } = ended;
    let ending = ending.as_str().replace('_', " ");
    format!("rules {rules} {ending} at {} UTC: {why}\n", minute(*at)) + &figures_text(figures)
}

fn figures_text(figures: &Figures) -> String {
    let head = ["", "TRANSACTIONS", "FORWARDED", "DEFERRED", "REJECTED", "MEAN SCORE"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (name, sums) in [("canary", &figures.canary), ("others", &figures.control)] {
        let Sums { transactions, forwards, defers, rejects, mean_score } = sums;
        let score = mean_score.map_or_else(|| "-".to_owned(), |score| format!("{score:.2}"));
        let counts = [transactions, forwards, defers, rejects].map(ToString::to_string);
        rows.push([name.to_owned()].into_iter().chain(counts).chain([score]).collect());
    }
    let pairs = &figures.pairs;
    // Not the mean of all others: their messages are heard until the verdict is certain, and no longer.
    let score = figures.mean_score_otherwise.map(|score| format!("; their mean score by those: {score:.2}"));
    columns(&rows)
        + &format!(
            "of the canary's, the other rules would have decided otherwise: {} newly rejected, {} newly deferred, \
             {} no longer rejected; {} unsure{}\n",
            pairs.newly_rejected,
            pairs.newly_deferred,
            pairs.no_longer_rejected,
            pairs.unsure,
            score.unwrap_or_default()
        )
}
