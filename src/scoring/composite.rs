//! Composites: symbols defined over other symbols (DECISIONS 8, 21).

use std::collections::{BTreeMap, BTreeSet};

use super::symbol::Symbol;
use super::tri::Tri;

/// A symbol that counts as found when its condition holds. All parts that are given must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composite {
    /// Its name; what it weighs stands with the other weights.
    pub symbol: Symbol,
    /// Every one of these was found.
    pub all_of: Vec<Symbol>,
    /// At least one of these was found (no condition if empty).
    pub any_of: Vec<Symbol>,
    /// None of these was found.
    pub none_of: Vec<Symbol>,
    /// At least so many of these were found.
    pub at_least: Option<(usize, Vec<Symbol>)>,
}

impl Composite {
    /// A composite without any condition yet; it does not pass the builder like this.
    pub fn named(symbol: Symbol) -> Self {
        Self { symbol, all_of: Vec::new(), any_of: Vec::new(), none_of: Vec::new(), at_least: None }
    }

    /// Every symbol that the condition reads.
    pub fn reads(&self) -> impl Iterator<Item = &Symbol> {
        self.asks_for().chain(&self.none_of)
    }

    /// The symbols whose presence makes it hold.
    pub fn asks_for(&self) -> impl Iterator<Item = &Symbol> {
        let counted = self.at_least.iter().flat_map(|(_, symbols)| symbols);
        self.all_of.iter().chain(&self.any_of).chain(counted)
    }

    /// Whether it holds, given whether each symbol was found.
    pub fn holds(&self, found: impl Fn(&Symbol) -> Tri) -> Tri {
        let listed = Tri::of_lists(
            self.all_of.iter().map(&found),
            self.any_of.iter().map(&found),
            self.none_of.iter().map(&found),
        );
        let counted = |(wanted, symbols): &(usize, Vec<Symbol>)| Tri::at_least(*wanted, symbols.iter().map(&found));
        listed.min(self.at_least.as_ref().map_or(Tri::Yes, counted))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reads().next().is_none()
    }
}

/// Orders composites so that each stands after those that it reads; `Err` names those in a circle.
pub(super) fn in_order(composites: Vec<Composite>) -> Result<Vec<Composite>, Vec<Symbol>> {
    let mut waiting: BTreeMap<Symbol, Composite> =
        composites.into_iter().map(|composite| (composite.symbol.clone(), composite)).collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let blocked: BTreeSet<Symbol> = waiting.keys().cloned().collect();
        let (held_up, ready): (BTreeMap<_, _>, BTreeMap<_, _>) =
            waiting.into_iter().partition(|(_, composite)| composite.reads().any(|symbol| blocked.contains(symbol)));
        if ready.is_empty() {
            return Err(held_up.into_keys().collect());
        }
        ordered.extend(ready.into_values());
        waiting = held_up;
    }
    Ok(ordered)
}
