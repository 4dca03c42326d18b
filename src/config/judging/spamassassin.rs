//! spamassassin.toml: what is meant.

use std::collections::BTreeSet;

use super::super::problem::Report;
use super::super::spamassassin::Imported;
use crate::checks::spamassassin::SpamAssassin;
use crate::checks::{Registry, dnsbl};
use crate::scoring::{Score, Symbol};

/// Adds the check, and says what each of its symbols weighs by the files. Names that others have are theirs.
pub(super) fn add(
    imported: &Imported,
    shared: &dnsbl::Shared,
    known: &BTreeSet<Symbol>,
    registry: &mut Registry,
    report: &mut Report<'_>,
) -> Vec<(Symbol, Score)> {
    let rules = imported.set.symbols();
    let symbols = rules.filter_map(|(name, score, _)| {
        let symbol = Symbol::new(name).ok().filter(|symbol| !known.contains(symbol))?;
        Some((symbol, Score::from_points(score).ok()?))
    });
    let symbols: Vec<(Symbol, Score)> = symbols.collect();
    if symbols.is_empty() {
        return symbols;
    }
    let names = symbols.iter().map(|(symbol, _)| symbol.clone()).collect();
    let check = SpamAssassin::new(imported.set.clone(), names, shared.client_names.clone());
    report.take("spamassassin.files", registry.add(check));
    symbols
}
