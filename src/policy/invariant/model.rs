//! One question as numbers: is there a way to find things such that these conditions hold, and those do not?

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::super::{Clause, Condition};
use super::bounds::ALL_CHOICES;
use super::{Catalogue, Invariant};
use crate::facts::Stage;
use crate::scoring::{Spec, Symbol, Weights};

/// A question.
pub(super) struct Model<'a> {
    pub(super) symbols: Vec<Entry<'a>>,
    pub(super) atoms: Vec<Atom>,
    /// Atoms of which one at most is there.
    pub(super) classes: Vec<Vec<usize>>,
    /// Each after those that it reads.
    pub(super) composites: Vec<(usize, Literals)>,
    /// Caps of the groups.
    pub(super) caps: Vec<i64>,
    /// From where one looks: all that is seen up to that stage. In order, without repetitions.
    pub(super) lenses: Vec<Stage>,
    /// What must hold.
    pub(super) wanted: Vec<Test>,
    /// What must not hold.
    pub(super) unwanted: Vec<Test>,
    /// At most so many counted symbols.
    pub(super) limit: Option<usize>,
    /// Choices of findings that may still be tried out.
    pub(super) choices_left: Cell<usize>,
}

/// A symbol.
pub(super) struct Entry<'a> {
    pub(super) symbol: &'a Symbol,
    /// In hundredths of a point.
    pub(super) weight: i64,
    pub(super) group: Option<usize>,
    /// The ways in which it can be found.
    pub(super) atoms: Vec<usize>,
    /// The composite that it is.
    pub(super) composite: Option<usize>,
    /// Whether it is there is asked by something; otherwise only its weight matters.
    pub(super) is_read: bool,
    /// The limit is about it.
    pub(super) is_counted: bool,
    /// It may be that it does not count.
    pub(super) is_shadow: bool,
}

/// One way to find a symbol.
#[derive(Clone, Copy, Debug)]
pub(super) struct Atom {
    pub(super) symbol: usize,
    /// The stage from which on it is seen.
    pub(super) from: Stage,
    pub(super) class: Option<usize>,
    pub(super) origin: Origin,
    /// It cannot be: the promise does not speak of such mail.
    pub(super) is_out: bool,
}

/// Who found it, by the index in its list of the catalogue.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// A check; of the Rcpt stage: about the recipient in question.
    Check(usize),
    /// A check of the Rcpt stage, about another recipient, for all.
    Another(usize),
    /// The session itself.
    Observed(usize),
}

/// What is asked of symbols.
#[derive(Clone, Debug, Default)]
pub(super) struct Literals {
    pub(super) all: Vec<usize>,
    pub(super) any: Vec<usize>,
    pub(super) none: Vec<usize>,
    pub(super) count: Option<(usize, Vec<usize>)>,
}

/// A condition as seen through a lens.
#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) lens: usize,
    pub(super) literals: Literals,
    pub(super) at_least: Option<i64>,
    pub(super) below: Option<i64>,
}

/// Symbols by name.
struct Numbers<'a> {
    by_symbol: BTreeMap<&'a Symbol, usize>,
}

impl<'a> Model<'a> {
    /// Can `clause` win, with none of `before` holding, for mail that `invariant` speaks of?
    pub(super) fn new<'b>(
        invariant: &'b Invariant,
        clause: &'b Clause,
        before: impl Iterator<Item = &'b Clause>,
        weights: &'a Weights,
        catalogue: &Catalogue,
    ) -> Self {
        let before: Vec<&Clause> = before.collect();
        let lenses = lenses(clause, &before);
        let (mut symbols, numbers) = entries(weights);
        let literals = |when: &Condition| Literals {
            all: numbers.of(&when.all_of),
            any: numbers.of(&when.any_of),
            none: numbers.of(&when.none_of),
            count: None,
        };
        let test = |when: &Condition, stage: Option<Stage>| Test {
            lens: lens_of(&lenses, stage),
            literals: literals(when),
            at_least: when.at_least.map(|score| score.get().into()),
            below: when.below.map(|score| score.get().into()),
        };
        let wanted = vec![test(&invariant.given, None), test(&clause.when, clause.stage)];
        let unwanted: Vec<Test> = before.iter().map(|clause| test(&clause.when, clause.stage)).collect();
        let composites: Vec<(usize, Literals)> = weights
            .composites()
            .iter()
            .filter_map(|composite| {
                let counted = composite.at_least.as_ref().map(|(wanted, of)| (*wanted, numbers.of(of)));
                let literals = Literals {
                    all: numbers.of(&composite.all_of),
                    any: numbers.of(&composite.any_of),
                    none: numbers.of(&composite.none_of),
                    count: counted,
                };
                Some((*numbers.by_symbol.get(&composite.symbol)?, literals))
            })
            .collect();
        mark(&mut symbols, &composites, wanted.iter().chain(&unwanted));
        let limited = invariant.findings.is_some() || invariant.findings_of.is_some();
        for entry in symbols.iter_mut().filter(|entry| entry.composite.is_none()) {
            entry.is_counted = limited && entry.weight > 0;
        }
        let mut model = Self {
            symbols,
            atoms: Vec::new(),
            classes: Vec::new(),
            composites,
            caps: weights.groups().iter().map(|group| i64::from(group.cap.get()).abs()).collect(),
            lenses,
            wanted,
            unwanted,
            limit: invariant.findings,
            choices_left: Cell::new(ALL_CHOICES),
        };
        model.add_atoms(&numbers, catalogue, invariant.findings_of);
        model
    }

    fn add_atoms(&mut self, numbers: &Numbers<'_>, catalogue: &Catalogue, only_of: Option<Stage>) {
        for (index, (stage, spec)) in catalogue.observed.iter().enumerate() {
            let out = only_of.is_some_and(|only| only != *stage);
            // Later sightings differ only if some lens misses them.
            let later =
                self.lenses.iter().filter(|lens| *lens < &Stage::Message && *lens >= stage).map(|lens| next(*lens));
            let times: BTreeSet<Stage> = later.chain([*stage]).collect();
            for from in times {
                self.add_spec(numbers, spec, (from, out), None, Origin::Observed(index));
            }
        }
        for (index, (stage, spec)) in catalogue.checks.iter().enumerate() {
            let out = only_of.is_some_and(|only| only != *stage);
            let class = spec.exclusive.then(|| {
                self.classes.push(Vec::new());
                self.classes.len() - 1
            });
            self.add_spec(numbers, spec, (*stage, out), class, Origin::Check(index));
            if *stage == Stage::Rcpt {
                self.add_spec(numbers, spec, (Stage::Message, out), None, Origin::Another(index));
            }
        }
    }

    fn add_spec(
        &mut self,
        numbers: &Numbers<'_>,
        spec: &Spec,
        (from, out): (Stage, bool),
        class: Option<usize>,
        origin: Origin,
    ) {
        for symbol in numbers.of(&spec.emits) {
            let Some(entry) = self.symbols.get_mut(symbol) else { continue };
            if entry.weight == 0 && !entry.is_read {
                continue;
            }
            let atom = self.atoms.len();
            entry.atoms.push(atom);
            let is_out = out && entry.is_counted;
            self.atoms.push(Atom { symbol, from, class, origin, is_out });
            if let Some(class) = class.and_then(|class| self.classes.get_mut(class)) {
                class.push(atom);
            }
        }
    }
}

fn next(stage: Stage) -> Stage {
    match stage {
        Stage::Connect => Stage::Helo,
        Stage::Helo => Stage::Mail,
        Stage::Mail => Stage::Rcpt,
        Stage::Rcpt | Stage::Message => Stage::Message,
    }
}

fn entries(weights: &Weights) -> (Vec<Entry<'_>>, Numbers<'_>) {
    let mut by_symbol = BTreeMap::new();
    let mut symbols = Vec::new();
    for (symbol, weighed) in weights.symbols() {
        by_symbol.insert(symbol, symbols.len());
        symbols.push(Entry {
            symbol,
            weight: weighed.weight.get().into(),
            group: weighed.group,
            atoms: Vec::new(),
            composite: None,
            is_read: false,
            is_counted: false,
            is_shadow: weighed.shadow,
        });
    }
    for (index, composite) in weights.composites().iter().enumerate() {
        if let Some(entry) = by_symbol.get(&composite.symbol).and_then(|number| symbols.get_mut(*number)) {
            entry.composite = Some(index);
        }
    }
    (symbols, Numbers { by_symbol })
}

/// The whole, and whatever the clauses see of it.
fn lenses(clause: &Clause, before: &[&Clause]) -> Vec<Stage> {
    let stages = before.iter().chain([&clause]).map(|clause| clause.stage.unwrap_or(Stage::Message));
    let lenses: BTreeSet<Stage> = stages.chain([Stage::Message]).collect();
    lenses.into_iter().collect()
}

fn lens_of(lenses: &[Stage], stage: Option<Stage>) -> usize {
    let stage = stage.unwrap_or(Stage::Message);
    lenses.iter().position(|lens| *lens == stage).unwrap_or(lenses.len() - 1)
}

/// Notes which symbols are asked for: by a test, by a composite that is, or by one that weighs.
fn mark<'t>(symbols: &mut [Entry<'_>], composites: &[(usize, Literals)], tests: impl Iterator<Item = &'t Test>) {
    let mut read: BTreeSet<usize> = tests.flat_map(|test| test.literals.reads()).collect();
    for (symbol, literals) in composites.iter().rev() {
        if read.contains(symbol) || symbols.get(*symbol).is_some_and(|entry| entry.weight != 0) {
            read.extend(literals.reads());
        }
    }
    for (index, entry) in symbols.iter_mut().enumerate() {
        entry.is_read = read.contains(&index);
    }
}

impl Numbers<'_> {
    fn of(&self, symbols: &[Symbol]) -> Vec<usize> {
        symbols.iter().filter_map(|symbol| self.by_symbol.get(symbol).copied()).collect()
    }
}

impl Literals {
    pub(super) fn reads(&self) -> impl Iterator<Item = usize> {
        let counted = self.count.iter().flat_map(|(_, of)| of);
        self.all.iter().chain(&self.any).chain(&self.none).chain(counted).copied()
    }
}
