//! spamassassin.toml: what is meant.

use std::collections::{BTreeMap, BTreeSet};

use super::super::problem::Report;
use super::super::raw::Real;
use super::super::raw::rules::SpamAssassin as Written;
use super::super::spamassassin::Imported;
use crate::checks::spamassassin::{SpamAssassin, UNFINISHED};
use crate::checks::{Registry, dnsbl};
use crate::scoring::{Score, Symbol};

/// Names that a warning lists; the report of the import has all.
const NAMED: usize = 10;

/// Adds the check, and says what each of its symbols weighs by the files. Names that others have are theirs.
pub(super) fn add(
    (imported, written, weights): (&Imported, &Written, &BTreeMap<String, Real>),
    shared: &dnsbl::Shared,
    known: &BTreeSet<Symbol>,
    registry: &mut Registry,
    report: &mut Report<'_>,
) -> Vec<(Symbol, Score)> {
    let rules = imported.set.symbols();
    let symbols = rules.filter_map(|(name, score, _)| {
        let is_free = |symbol: &Symbol| !known.contains(symbol) && symbol.as_str() != UNFINISHED;
        let symbol = Symbol::new(name).ok().filter(is_free)?;
        Some((symbol, Score::from_points(score).ok()?))
    });
    let mut symbols: Vec<(Symbol, Score)> = symbols.collect();
    if symbols.is_empty() {
        return symbols;
    }
    clamp(&mut symbols, written, weights, report);
    let names = symbols.iter().map(|(symbol, _)| symbol.clone()).collect();
    let check = SpamAssassin::new(imported.set.clone(), names, shared.client_names.clone());
    report.take("spamassassin.files", registry.add(check));
    // What the check says of the rules themselves is no rule of theirs.
    symbols.push((Symbol::known(UNFINISHED), Score::ZERO));
    symbols
}

/// No rule of others weighs more than one rule may here: otherwise their files would not load beside the promises.
fn clamp(
    symbols: &mut [(Symbol, Score)],
    written: &Written,
    weights: &BTreeMap<String, Real>,
    report: &mut Report<'_>,
) {
    let Some(highest) = super::score(written.highest, "spamassassin.highest", report) else { return };
    if highest <= Score::ZERO {
        return report.error("spamassassin.highest", "must be above zero");
    }
    let heavy = symbols.iter_mut().filter(|(symbol, score)| *score > highest && !weights.contains_key(symbol.as_str()));
    let mut clamped = Vec::new();
    for (symbol, score) in heavy {
        clamped.push(format!("{symbol} ({score})"));
        *score = highest;
    }
    if clamped.is_empty() {
        return;
    }
    let more = clamped.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    clamped.truncate(NAMED);
    let names = clamped.join(", ");
    let reason = format!("{names}{more} weigh {highest} here, which is `highest`; weights.toml may say otherwise");
    report.warning("spamassassin.files", reason);
}
