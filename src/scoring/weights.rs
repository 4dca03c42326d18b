//! Symbol -> score, checked against the catalogue; groups with caps; composites; shadow symbols.
//!
//! What leaves the builder is consistent: every symbol that is weighed, grouped or read exists, no
//! symbol is in two groups, and no composite depends on itself.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::composite::{Composite, in_order};
use super::score::Score;
use super::symbol::Symbol;

/// What each symbol weighs. A known symbol without a weight weighs nothing.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    known: BTreeMap<Symbol, Weighed>,
    /// The same by [`Symbol::index`].
    table: Vec<Weighed>,
    groups: Vec<Group>,
    /// Each after those that it reads.
    composites: Vec<Composite>,
    has_shadow: bool,
}

/// Symbols that together count no more than a cap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name, in traces.
    pub name: Arc<str>,
    /// Its members; a symbol is in one group at most.
    pub symbols: Vec<Symbol>,
    /// The sum of its members stays between minus this and plus this.
    pub cap: Score,
}

/// What is known about one symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weighed {
    /// At full strength.
    pub weight: Score,
    /// Counts in shadow only.
    pub shadow: bool,
    /// Index of its group.
    pub group: Option<usize>,
}

/// Collects what the files say; `build` checks it.
#[derive(Clone, Debug, Default)]
pub struct WeightsBuilder {
    weights: Vec<(Symbol, Score)>,
    shadow: Vec<Symbol>,
    groups: Vec<Group>,
    composites: Vec<Composite>,
}

/// Where a symbol was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Among the weights.
    Weight,
    /// Among the shadow symbols.
    Shadow,
    /// In the group of that name.
    Group(Arc<str>),
    /// In the condition of that composite.
    Composite(Symbol),
}

/// Why a set of weights cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeightsProblem {
    /// No check emits it, no composite defines it.
    #[error("no check emits `{symbol}` ({place})")]
    Unknown {
        /// The symbol.
        symbol: Symbol,
        /// Where it was named.
        place: Place,
    },
    /// Two weights for one symbol.
    #[error("`{0}` has two weights")]
    TwoWeights(Symbol),
    /// Two groups of one name.
    #[error("two groups are named `{0}`")]
    TwoGroups(Arc<str>),
    /// One symbol in two groups.
    #[error("`{symbol}` is in the groups `{first}` and `{second}`")]
    InTwoGroups {
        /// The symbol.
        symbol: Symbol,
        /// Who has it.
        first: Arc<str>,
        /// Who wants it too.
        second: Arc<str>,
    },
    /// A composite has the name of another symbol.
    #[error("the composite `{0}` has the name of another symbol")]
    Taken(Symbol),
    /// A composite without a condition.
    #[error("the composite `{0}` has no condition")]
    Empty(Symbol),
    /// A composite wants more symbols than it lists.
    #[error("the composite `{0}` asks for more symbols than it lists")]
    TooMany(Symbol),
    /// A composite counts a symbol twice.
    #[error("the composite `{composite}` counts `{symbol}` twice")]
    Twice {
        /// The composite.
        composite: Symbol,
        /// The symbol.
        symbol: Symbol,
    },
    /// Composites that depend on themselves.
    #[error("these composites depend on themselves: {}", .0.iter().map(Symbol::as_str).collect::<Vec<_>>().join(", "))]
    Cycle(Vec<Symbol>),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Weight => f.write_str("weights"),
            Self::Shadow => f.write_str("shadow"),
            Self::Group(name) => write!(f, "group `{name}`"),
            Self::Composite(symbol) => write!(f, "composite `{symbol}`"),
        }
    }
}

impl Weights {
    /// Begins an empty set.
    pub fn builder() -> WeightsBuilder {
        WeightsBuilder::default()
    }

    /// What is known about `symbol`; nothing weighs nothing.
    pub fn of(&self, symbol: &Symbol) -> Weighed {
        self.table.get(symbol.index()).copied().unwrap_or_default()
    }

    /// True if a check can emit it or a composite defines it.
    pub fn knows(&self, symbol: &Symbol) -> bool {
        self.known.contains_key(symbol)
    }

    /// The same with another weight for one known symbol.
    pub fn reweighed(&self, symbol: &Symbol, weight: Score) -> Option<Self> {
        let mut other = self.clone();
        other.known.get_mut(symbol)?.weight = weight;
        other.table.get_mut(symbol.index())?.weight = weight;
        Some(other)
    }

    /// Every known symbol, composites included, in order.
    pub fn symbols(&self) -> impl Iterator<Item = (&Symbol, Weighed)> {
        self.known.iter().map(|(symbol, weighed)| (symbol, *weighed))
    }

    /// One more than the greatest [`Symbol::index`] of a known symbol.
    pub(super) fn width(&self) -> usize {
        self.table.len()
    }

    /// All groups; [`Weighed::group`] counts in them.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// All composites, each after those that it reads.
    pub fn composites(&self) -> &[Composite] {
        &self.composites
    }

    /// True if any symbol counts in shadow only.
    pub fn has_shadow(&self) -> bool {
        self.has_shadow
    }
}

impl WeightsBuilder {
    /// Gives `symbol` a weight.
    pub fn weight(mut self, symbol: Symbol, weight: Score) -> Self {
        self.weights.push((symbol, weight));
        self
    }

    /// Lets `symbol` count in shadow only.
    pub fn shadow(mut self, symbol: Symbol) -> Self {
        self.shadow.push(symbol);
        self
    }

    /// Adds a group.
    pub fn group(mut self, group: Group) -> Self {
        self.groups.push(group);
        self
    }

    /// Defines a symbol over others.
    pub fn composite(mut self, composite: Composite) -> Self {
        self.composites.push(composite);
        self
    }

    /// Checks everything against the symbols that checks can emit; reports all problems at once.
    pub fn build<S: Borrow<Symbol>>(
        self,
        catalogue: impl IntoIterator<Item = S>,
    ) -> Result<Weights, Vec<WeightsProblem>> {
        let mut problems = Vec::new();
        let mut known: BTreeMap<Symbol, Weighed> =
            catalogue.into_iter().map(|symbol| (symbol.borrow().clone(), Weighed::default())).collect();
        for composite in &self.composites {
            if known.insert(composite.symbol.clone(), Weighed::default()).is_some() {
                problems.push(WeightsProblem::Taken(composite.symbol.clone()));
            }
        }
        check_composites(&self.composites, &known, &mut problems);
        weigh(self.weights, &mut known, &mut problems);
        for symbol in &self.shadow {
            match known.get_mut(symbol) {
                Some(weighed) => weighed.shadow = true,
                None => problems.push(unknown(symbol, Place::Shadow)),
            }
        }
        assign_groups(&self.groups, &mut known, &mut problems);
        let composites = in_order(self.composites).unwrap_or_else(|circle| {
            problems.push(WeightsProblem::Cycle(circle));
            Vec::new()
        });
        if problems.is_empty() {
            let table = by_index(&known);
            Ok(Weights { known, table, groups: self.groups, composites, has_shadow: !self.shadow.is_empty() })
        } else {
            Err(problems)
        }
    }
}

fn by_index(known: &BTreeMap<Symbol, Weighed>) -> Vec<Weighed> {
    let mut table = vec![Weighed::default(); known.keys().map(|symbol| symbol.index() + 1).max().unwrap_or_default()];
    for (symbol, weighed) in known {
        if let Some(entry) = table.get_mut(symbol.index()) {
            *entry = *weighed;
        }
    }
    table
}

fn unknown(symbol: &Symbol, place: Place) -> WeightsProblem {
    WeightsProblem::Unknown { symbol: symbol.clone(), place }
}

fn check_composites(composites: &[Composite], known: &BTreeMap<Symbol, Weighed>, problems: &mut Vec<WeightsProblem>) {
    for composite in composites {
        let name = &composite.symbol;
        if composite.is_empty() {
            problems.push(WeightsProblem::Empty(name.clone()));
        }
        if composite.at_least.as_ref().is_some_and(|(wanted, symbols)| *wanted > symbols.len()) {
            problems.push(WeightsProblem::TooMany(name.clone()));
        }
        if let Some((_, symbols)) = &composite.at_least {
            let mut seen = BTreeSet::new();
            let again = symbols.iter().filter(|symbol| !seen.insert(*symbol));
            problems
                .extend(again.map(|symbol| WeightsProblem::Twice { composite: name.clone(), symbol: symbol.clone() }));
        }
        let strangers = composite.reads().filter(|symbol| !known.contains_key(*symbol));
        problems.extend(strangers.map(|symbol| unknown(symbol, Place::Composite(name.clone()))));
    }
}

fn weigh(weights: Vec<(Symbol, Score)>, known: &mut BTreeMap<Symbol, Weighed>, problems: &mut Vec<WeightsProblem>) {
    let mut weighed = BTreeSet::new();
    for (symbol, weight) in weights {
        if !weighed.insert(symbol.clone()) {
            problems.push(WeightsProblem::TwoWeights(symbol));
        } else if let Some(entry) = known.get_mut(&symbol) {
            entry.weight = weight;
        } else {
            problems.push(unknown(&symbol, Place::Weight));
        }
    }
}

fn assign_groups(groups: &[Group], known: &mut BTreeMap<Symbol, Weighed>, problems: &mut Vec<WeightsProblem>) {
    for (index, group) in groups.iter().enumerate() {
        if groups.iter().take(index).any(|other| other.name == group.name) {
            problems.push(WeightsProblem::TwoGroups(group.name.clone()));
        }
        for symbol in &group.symbols {
            let Some(entry) = known.get_mut(symbol) else {
                problems.push(unknown(symbol, Place::Group(group.name.clone())));
                continue;
            };
            match entry.group.and_then(|first| groups.get(first)) {
                Some(first) if first.name != group.name => problems.push(WeightsProblem::InTwoGroups {
                    symbol: symbol.clone(),
                    first: first.name.clone(),
                    second: group.name.clone(),
                }),
                _ => entry.group = Some(index),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(name: &'static str) -> Symbol {
        Symbol::known(name)
    }

    fn composite(name: &'static str, all_of: &[&'static str]) -> Composite {
        Composite { all_of: all_of.iter().map(|name| symbol(name)).collect(), ..Composite::named(symbol(name)) }
    }

    fn group(name: &str, symbols: &[&'static str]) -> Group {
        let symbols = symbols.iter().map(|name| symbol(name)).collect();
        Group { name: name.into(), symbols, cap: Score::hundredths(100) }
    }

    fn problems(builder: WeightsBuilder) -> Vec<WeightsProblem> {
        builder.build([symbol("A"), symbol("B")]).err().unwrap_or_default()
    }

    #[test]
    fn every_mistake_is_named() {
        let new = Weights::builder;
        let unknown = |place| WeightsProblem::Unknown { symbol: symbol("X"), place };
        let table = [
            (new().weight(symbol("X"), Score::ZERO), unknown(Place::Weight)),
            (new().shadow(symbol("X")), unknown(Place::Shadow)),
            (new().group(group("g", &["A", "X"])), unknown(Place::Group("g".into()))),
            (new().composite(composite("C", &["X"])), unknown(Place::Composite(symbol("C")))),
            (
                new().weight(symbol("A"), Score::ZERO).weight(symbol("A"), Score::ZERO),
                WeightsProblem::TwoWeights(symbol("A")),
            ),
            (
                new().composite(Composite {
                    at_least: Some((2, vec![symbol("A"), symbol("B"), symbol("A")])),
                    ..Composite::named(symbol("C"))
                }),
                WeightsProblem::Twice { composite: symbol("C"), symbol: symbol("A") },
            ),
            (new().group(group("g", &["A"])).group(group("g", &["B"])), WeightsProblem::TwoGroups("g".into())),
            (
                new().group(group("g", &["A"])).group(group("h", &["A"])),
                WeightsProblem::InTwoGroups { symbol: symbol("A"), first: "g".into(), second: "h".into() },
            ),
            (new().composite(composite("A", &["B"])), WeightsProblem::Taken(symbol("A"))),
            (new().composite(composite("C", &[])), WeightsProblem::Empty(symbol("C"))),
            (
                new().composite(Composite { at_least: Some((3, vec![symbol("A")])), ..composite("C", &[]) }),
                WeightsProblem::TooMany(symbol("C")),
            ),
            (
                new().composite(composite("C", &["D"])).composite(composite("D", &["A", "C"])),
                WeightsProblem::Cycle(vec![symbol("C"), symbol("D")]),
            ),
        ];
        for (builder, expected) in table {
            assert_eq!(problems(builder), [expected]);
        }
    }

    #[test]
    fn known_symbols_without_a_weight_weigh_nothing() {
        let built = Weights::builder().composite(composite("D", &["C"])).composite(composite("C", &["A"]));
        let weights = built.build([symbol("A")]).expect("no mistakes");
        assert!(weights.knows(&symbol("A")) && weights.knows(&symbol("D")) && !weights.knows(&symbol("X")));
        assert_eq!(weights.of(&symbol("A")), Weighed::default());
        assert_eq!(weights.composites().first().map(|first| &first.symbol), Some(&symbol("C")), "in order of need");
    }
}
