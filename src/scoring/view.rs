//! What one question can see of a scorecard: which symbols were found, may still be, and what they sum up to.
//!
//! All bounds are sound: whatever open lines will report, the score lies within them. They are not
//! always tight (composites and members of one group are treated as independent of each other).

use std::sync::Arc;

use super::card::{Line, LineState, Scope, Scorecard};
use super::score::{Score, Span};
use super::symbol::Symbol;
use super::tri::Tri;
use super::weights::{Weighed, Weights};
use crate::facts::Stage;
use crate::units::Percent;

/// Which part of a scorecard a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lens {
    /// For whom.
    pub scope: Scope,
    /// Lines of later stages are out of sight. Up to Rcpt, so are findings of the Rcpt stage that
    /// concern the whole transaction: they act after the final dot (DECISIONS 19).
    pub up_to: Option<Stage>,
    /// Shadow symbols count too.
    pub shadow: bool,
    /// A symbol that counts though it is in shadow, by [`Symbol::index`].
    pub lifted: Option<usize>,
    /// Open lines count as if they had found nothing.
    pub closed_only: bool,
    /// A check whose lines are out of sight, by [`CheckName::index`](super::CheckName::index).
    pub without: Option<usize>,
}

/// What a lens shows.
#[derive(Debug)]
pub struct View<'a> {
    weights: &'a Weights,
    /// By [`Symbol::index`].
    seen: Vec<Seen>,
    span: Span,
}

/// One symbol, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// The greatest strength found; a symbol counts once, however many lines found it.
    found: Option<Percent>,
    /// An open line may find it yet.
    open: bool,
    /// It is a composite.
    composite: bool,
}

/// One summand of a score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A symbol that a check found, at its strength.
    Finding(Symbol, Score),
    /// A composite that holds.
    Composite(Symbol, Score),
    /// What the cap of a group took away or gave back.
    Cap(Arc<str>, Score),
}

/// Sums by group (the last one is for symbols without a group), wide enough never to overflow.
struct Ledger<'a> {
    weights: &'a Weights,
    sums: Vec<(i64, i64)>,
}

impl Lens {
    /// Everything about `scope` that is enforced.
    pub fn new(scope: Scope) -> Self {
        Self { scope, up_to: None, shadow: false, lifted: None, closed_only: false, without: None }
    }

    /// The same, of `stage` and earlier.
    pub fn up_to(self, stage: Option<Stage>) -> Self {
        Self { up_to: stage, ..self }
    }

    /// The same, with shadow symbols if `shadow`.
    pub fn shadow(self, shadow: bool) -> Self {
        Self { shadow, ..self }
    }

    /// The same, with one symbol out of the shadow.
    pub fn lifted(self, symbol: Option<usize>) -> Self {
        Self { lifted: symbol, ..self }
    }

    /// True if a symbol counts.
    pub(super) fn counts(self, symbol: &Symbol, weighed: Weighed) -> bool {
        self.shadow || !weighed.shadow || self.lifted == Some(symbol.index())
    }

    /// The same, as if nothing more would come.
    pub fn closed_only(self) -> Self {
        Self { closed_only: true, ..self }
    }

    /// The same, but for the lines of one check.
    pub fn without(self, check: Option<usize>) -> Self {
        Self { without: check, ..self }
    }

    /// True while transaction findings of the Rcpt stage are not to act yet.
    fn before_the_dot(self) -> bool {
        self.up_to.is_some_and(|stage| stage <= Stage::Rcpt)
    }

    /// True if a line of `scope` can be seen at all.
    pub(super) fn sees_line(self, scope: Scope, line: &Line) -> bool {
        if self.up_to.is_some_and(|stage| line.stage > stage) || self.without == Some(line.spec.name.index()) {
            return false;
        }
        let observed = matches!(line.state, LineState::Observed(_));
        observed || line.stage != Stage::Rcpt || scope == self.scope || !self.before_the_dot()
    }

    /// True if a finding of a line of `scope` concerns us.
    pub(super) fn sees_finding(self, scope: Scope, stage: Stage, transaction: bool) -> bool {
        if self.up_to.is_some_and(|limit| stage > limit) {
            return false;
        }
        match scope {
            Scope::Transaction => true,
            Scope::Recipient(_) if transaction => !self.before_the_dot(),
            own => own == self.scope,
        }
    }
}

impl<'a> View<'a> {
    pub(super) fn new(card: &'a Scorecard, lens: Lens) -> Self {
        let weights = card.weights();
        let seen = vec![Seen::default(); weights.width()];
        let mut view = Self { weights, seen, span: Span::default() };
        let mut ledger = Ledger::new(weights);
        let mut lines = card.lines().filter(|(scope, line)| lens.sees_line(*scope, line)).peekable();
        while let Some((scope, line)) = lines.next() {
            // Lines of one check stand side by side; together they own its symbols.
            let mut open = view.take_line(lens, scope, line);
            while let Some((scope, more)) = lines.next_if(|(_, next)| next.spec.name == line.spec.name) {
                open += view.take_line(lens, scope, more);
            }
            view.add_up(line, open, &mut ledger);
        }
        for composite in weights.composites() {
            let holds = composite.holds(|symbol| view.has(symbol));
            let weighed = weights.of(&composite.symbol);
            if holds != Tri::No && lens.counts(&composite.symbol, weighed) {
                let seen = view.entry(&composite.symbol);
                seen.found = (holds == Tri::Yes).then_some(Percent::FULL);
                seen.open = holds == Tri::Maybe;
                seen.composite = true;
                let bounds = seen.bounds(weighed);
                ledger.add(weighed, bounds);
            }
        }
        view.span = ledger.total();
        view
    }

    /// Whether `symbol` was found.
    pub fn has(&self, symbol: &Symbol) -> Tri {
        match self.seen.get(symbol.index()) {
            Some(Seen { found: Some(_), .. }) => Tri::Yes,
            Some(Seen { open: true, .. }) => Tri::Maybe,
            _ => Tri::No,
        }
    }

    /// The scores still possible.
    pub fn score(&self) -> Span {
        self.span
    }

    /// Every symbol that was found and counts, composites included, at its greatest strength.
    pub fn found(&self) -> impl Iterator<Item = (&Symbol, Percent)> {
        self.weights.symbols().filter_map(|(symbol, _)| Some((symbol, self.seen.get(symbol.index())?.found?)))
    }

    /// The summands of what was found; they add up to the score if nothing is open.
    pub fn parts(&self) -> Vec<Part> {
        let mut ledger = Ledger::new(self.weights);
        let mut parts = Vec::new();
        for (symbol, weighed) in self.weights.symbols() {
            let Some(Seen { found: Some(strength), composite, .. }) = self.seen.get(symbol.index()).copied() else {
                continue;
            };
            let score = weighed.weight.scaled(strength);
            ledger.add(weighed, (score.get().into(), score.get().into()));
            let symbol = symbol.clone();
            parts.push(if composite { Part::Composite(symbol, score) } else { Part::Finding(symbol, score) });
        }
        parts.extend(ledger.adjustments());
        parts
    }

    /// What `symbol` adds as far as it was found, its group's cap aside.
    pub fn contribution(&self, symbol: &Symbol) -> Score {
        let found = self.seen.get(symbol.index()).and_then(|seen| seen.found);
        found.map_or(Score::ZERO, |strength| self.weights.of(symbol).weight.scaled(strength))
    }

    /// Notes what one line has found or may find; returns how many open lines it stands for.
    fn take_line(&mut self, lens: Lens, scope: Scope, line: &'a Line) -> usize {
        if line.is_open() && !lens.closed_only {
            for symbol in line.spec.emits.iter() {
                if lens.counts(symbol, self.weights.of(symbol)) {
                    self.entry(symbol).open = true;
                }
            }
            // A recipient to come may be many recipients.
            return if line.stage == Stage::Rcpt && scope == Scope::Transaction { 2 } else { 1 };
        }
        for (stage, finding) in line.findings() {
            let weighed = self.weights.of(&finding.symbol);
            if lens.sees_finding(scope, stage, finding.transaction) && lens.counts(&finding.symbol, weighed) {
                let entry = self.entry(&finding.symbol);
                entry.found = entry.found.max(Some(finding.strength));
            }
        }
        0
    }

    fn entry(&mut self, symbol: &'a Symbol) -> &mut Seen {
        let index = symbol.index();
        if index >= self.seen.len() {
            self.seen.resize(index + 1, Seen::default());
        }
        self.seen.get_mut(index).expect("there is room for it")
    }

    /// Adds the symbols of one check, `open` of whose lines have not reported.
    fn add_up(&self, line: &Line, open: usize, ledger: &mut Ledger<'_>) {
        let one_at_most = line.spec.exclusive && open == 1;
        let seen = line.spec.emits.iter().filter_map(|symbol| {
            let seen = self.seen.get(symbol.index())?;
            Some((self.weights.of(symbol), *seen))
        });
        if !one_at_most {
            seen.for_each(|(weighed, seen)| ledger.add(weighed, seen.bounds(weighed)));
            return;
        }
        // By group, what the one symbol to come could change at most.
        let mut changes: Vec<(usize, (i64, i64))> = Vec::new();
        for (weighed, seen) in seen {
            let known = seen.known(weighed);
            ledger.add(weighed, (known, known));
            let (low, high) = seen.bounds(weighed);
            let change = (low - known, high - known);
            let slot = ledger.slot(weighed);
            match changes.iter_mut().find(|(other, _)| *other == slot) {
                Some((_, all)) => *all = (all.0.min(change.0), all.1.max(change.1)),
                None => changes.push((slot, (change.0.min(0), change.1.max(0)))),
            }
        }
        for (slot, bounds) in changes {
            ledger.add_at(slot, bounds);
        }
    }
}

impl Seen {
    /// What it adds for sure.
    fn known(self, weighed: Weighed) -> i64 {
        self.found.map_or(0, |strength| weighed.weight.scaled(strength).get().into())
    }

    /// The least and the most that it can add: the weight grows or falls steadily with the strength.
    fn bounds(self, weighed: Weighed) -> (i64, i64) {
        let known = self.known(weighed);
        let full = if self.open { i64::from(weighed.weight.get()) } else { known };
        (known.min(full), known.max(full))
    }
}

impl<'a> Ledger<'a> {
    fn new(weights: &'a Weights) -> Self {
        Self { weights, sums: vec![(0, 0); weights.groups().len() + 1] }
    }

    fn slot(&self, weighed: Weighed) -> usize {
        weighed.group.unwrap_or(self.weights.groups().len())
    }

    fn add(&mut self, weighed: Weighed, bounds: (i64, i64)) {
        self.add_at(self.slot(weighed), bounds);
    }

    fn add_at(&mut self, slot: usize, (low, high): (i64, i64)) {
        if let Some(sum) = self.sums.get_mut(slot) {
            *sum = (sum.0 + low, sum.1 + high);
        }
    }

    fn clamped(&self, slot: usize, sum: i64) -> i64 {
        match self.weights.groups().get(slot) {
            Some(group) => {
                let cap = i64::from(group.cap.get()).abs();
                sum.clamp(-cap, cap)
            }
            None => sum,
        }
    }

    fn total(&self) -> Span {
        let clamped = self.sums.iter().enumerate().map(|(slot, (low, high))| {
            let (low, high) = (self.clamped(slot, *low), self.clamped(slot, *high));
            (low, high)
        });
        let (low, high) = clamped.fold((0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
        Span { low: narrow(low), high: narrow(high) }
    }

    fn adjustments(&self) -> Vec<Part> {
        let groups = self.weights.groups().iter().zip(&self.sums).enumerate();
        let adjusted = groups.map(|(slot, (group, (sum, _)))| (group, self.clamped(slot, *sum) - sum));
        adjusted
            .filter(|(_, change)| *change != 0)
            .map(|(group, change)| Part::Cap(group.name.clone(), narrow(change)))
            .collect()
    }
}

impl Part {
    /// What it adds.
    pub fn score(&self) -> Score {
        match self {
            Self::Finding(_, score) | Self::Composite(_, score) | Self::Cap(_, score) => *score,
        }
    }
}

fn narrow(value: i64) -> Score {
    let bound = i64::from(i32::MAX);
    Score::hundredths(i32::try_from(value.clamp(-bound, bound)).unwrap_or(i32::MAX))
}
