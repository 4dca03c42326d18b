//! The smallest change by which a decision would have been another.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::recorded::points;
use crate::pipeline::Prepared;
use crate::records::{Record, Rulebook};
use crate::scoring::{Part, Symbol};
use crate::verdict::Verdict;

/// Weights that are tried, of the heaviest symbols.
const TRIED_WEIGHTS: usize = 5;
/// Symbols that are taken away together, at most.
const MOST_TOGETHER: usize = 12;

/// What would have changed a decision.
#[derive(Debug, Default, Serialize)]
pub(super) struct Flips {
    /// Without one of these alone.
    pub(super) without: Vec<Without>,
    /// Where no single one does: without all of these.
    pub(super) together: Vec<String>,
    /// Then the verdict.
    pub(super) together_verdict: Option<Verdict>,
    /// One weight, moved no further than needed, the least move first.
    pub(super) weights: Vec<OtherWeight>,
}

/// A symbol that made the difference.
#[derive(Debug, Serialize)]
pub(super) struct Without {
    symbol: String,
    /// What it added, in hundredths.
    adds: i32,
    /// What the verdict would have been.
    verdict: Verdict,
    /// Nothing that was not heard could have changed that.
    certain: bool,
}

/// A weight that would have made the difference, in hundredths.
#[derive(Debug, Serialize)]
pub(super) struct OtherWeight {
    symbol: String,
    from: i32,
    to: i32,
    verdict: Verdict,
}

/// Looks for them.
pub(super) fn flips(prepared: &Prepared<'_>, book: &Rulebook, record: &Record) -> Flips {
    let Some((verdict, _)) = prepared.decide(record).verdict() else { return Flips::default() };
    let mut found: Vec<&str> = record.all_symbols().collect();
    found.sort_unstable();
    found.dedup();
    let adds = contributions(prepared, record);
    let mut flips = Flips::default();
    for symbol in &found {
        if let Some((other, certain)) =
            prepared.decide_without(record, &[symbol]).verdict().filter(|(other, _)| *other != verdict)
        {
            let adds = adds.get(*symbol).copied().unwrap_or_default();
            flips.without.push(Without { symbol: (*symbol).to_owned(), adds, verdict: other, certain });
        }
    }
    flips.without.sort_by_key(|one| one.adds.abs());
    if flips.without.is_empty() && verdict != Verdict::Forward {
        (flips.together, flips.together_verdict) = together(prepared, record, verdict, &found, &adds);
    }
    flips.weights = weights(prepared, book, record, verdict, &adds);
    flips
}

/// What each symbol adds, in hundredths: for whom it adds most, those included who were refused before the message, and
/// of whom the sum of the transaction knows nothing.
fn contributions(prepared: &Prepared<'_>, record: &Record) -> HashMap<String, i32> {
    let mut adds: HashMap<String, i32> = record.judgement.symbols.iter().cloned().collect();
    for refusal in &record.judgement.refusals {
        for part in prepared.parts(&refusal.lines, refusal.decision.recipient).1 {
            if let Part::Finding(symbol, score) | Part::Composite(symbol, score) = part {
                let known = adds.entry(symbol.to_string()).or_default();
                *known = score.get().max(*known);
            }
        }
    }
    adds
}

/// What the clause that decides asks for, then the heaviest, one after another until the verdict is another; then those
/// of them left out that are not needed. With each that is taken away another clause may decide.
fn together(
    prepared: &Prepared<'_>,
    record: &Record,
    verdict: Verdict,
    found: &[&str],
    adds: &HashMap<String, i32>,
) -> (Vec<String>, Option<Verdict>) {
    let other = |taken: &[&str]| prepared.decide_without(record, taken).verdict().map(|(verdict, _)| verdict);
    let adds = |symbol: &str| adds.get(symbol).copied().unwrap_or_default();
    let mut tried: Vec<&str> = Vec::new();
    loop {
        let again = prepared.decide_without(record, &tried);
        if again.verdict().map(|(verdict, _)| verdict) != Some(verdict) {
            break;
        }
        let strictest = again.decisions.iter().map(|again| &again.decided).filter(|known| known.verdict == verdict);
        let asked: Vec<&str> = strictest.flat_map(|decided| prepared.asked_for(decided)).map(Symbol::as_str).collect();
        let left = found.iter().copied().filter(|symbol| !tried.contains(symbol));
        let left = left.filter(|symbol| adds(symbol) > 0 || asked.contains(symbol));
        let next = left.max_by_key(|symbol| (asked.contains(symbol), adds(symbol)));
        match next.filter(|_| tried.len() < MOST_TOGETHER) {
            Some(symbol) => tried.push(symbol),
            None => return (Vec::new(), None),
        }
    }
    let mut at = 0;
    while at < tried.len() {
        let mut fewer = tried.clone();
        fewer.remove(at);
        if other(&fewer) == Some(verdict) { at += 1 } else { tried = fewer }
    }
    let verdict = other(&tried);
    (tried.into_iter().map(str::to_owned).collect(), verdict)
}

/// For the heaviest symbols the nearest weight with another verdict: by halving, because a decision on a score changes
/// once as one weight falls to nothing.
fn weights(
    prepared: &Prepared<'_>,
    book: &Rulebook,
    record: &Record,
    verdict: Verdict,
    adds: &HashMap<String, i32>,
) -> Vec<OtherWeight> {
    let mut heavy: Vec<(&String, i32)> = adds.iter().map(|(symbol, score)| (symbol, *score)).collect();
    heavy.retain(|(_, score)| *score > 0);
    heavy.sort_by_key(|(symbol, score)| (-score, *symbol));
    heavy.truncate(TRIED_WEIGHTS);
    let mut other_weights: Vec<OtherWeight> = heavy
        .into_iter()
        .filter_map(|(symbol, _)| {
            let from = prepared.weight(symbol, 100).0.get();
            let verdict_at = |weight: i32| {
                let replay = prepared.reweighed(symbol, weight)?;
                let (verdict, _) = replay.prepare(book).ok()?.decide(record).verdict()?;
                Some(verdict)
            };
            let (mut same, mut differs) = (from, 0);
            let mut to_verdict = verdict_at(0).filter(|other| *other != verdict)?;
            while same - differs > 1 {
                let middle = differs + (same - differs) / 2;
                match verdict_at(middle)? {
                    other if other == verdict => same = middle,
                    other => (differs, to_verdict) = (middle, other),
                }
            }
            Some(OtherWeight { symbol: symbol.clone(), from, to: differs, verdict: to_verdict })
        })
        .collect();
    other_weights.sort_by_key(|other| other.from - other.to);
    other_weights
}

impl Flips {
    /// For people.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        if !self.without.is_empty() {
            text.push_str("\nwhat made the difference:\n");
        }
        for one in &self.without {
            let unsure = if one.certain { "" } else { ", as far as it is known: some checks were not heard" };
            let _ = writeln!(text, "  without {} ({}): {}{unsure}", one.symbol, points(one.adds), one.verdict);
        }
        if let Some(verdict) = self.together_verdict {
            let _ = writeln!(
                text,
                "\nno single finding made the difference; without {}: {verdict}",
                self.together.join(" and ")
            );
        }
        if let Some(other) = self.weights.first() {
            let (from, to) = (points(other.from), points(other.to));
            let _ =
                writeln!(text, "smallest change of a weight: {} from {from} to {to}: {}", other.symbol, other.verdict);
        }
        text
    }
}
