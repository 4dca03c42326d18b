//! All rules of a rule set, compiled: whatever their number, each target is read once for all of them, and once more
//! for what keeps a rule from being found.
//!
//! What costs little is looked at first. What only rules ask that cannot be found any more is not looked for at all.

use std::collections::BTreeMap;

use super::bucket::{Bucket, Collected};
use super::condition::{Condition, EnvelopePart, Rule, Target};
use super::found::{Counting, Found};
use super::view::View;
use crate::pattern::{Budget, PatternError};
use crate::scoring::{Finding, Symbol, Tri};

/// Conditions that evidence shows.
const SHOWN: usize = 3;

/// Rules that are judged together.
#[derive(Default)]
pub struct Set {
    rules: Vec<Compiled>,
    /// One for each condition of each rule.
    slots: Vec<Slot>,
    /// What is counted for each of them.
    countings: Vec<Counting>,
    /// One for each target, in the order in which they are read; exceptions apart, behind the others.
    buckets: Vec<Bucket>,
}

struct Compiled {
    rule: Rule,
    is_of_envelope: bool,
    /// The slot of its first condition; the others follow.
    first: usize,
}

/// A condition.
struct Slot {
    /// Whose it is.
    rule: usize,
    /// Which of that rule it is.
    at: usize,
    role: Role,
}

/// In which list of its rule a condition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    All,
    Any,
    None,
}

/// When rules are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// MAIL was said: those that need no message.
    Envelope,
    /// The message is here: all others.
    Message,
}

/// A condition that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The rule, by its place.
    pub rule: usize,
    /// Its condition, counted through `all`, `any` and `none`.
    pub condition: usize,
    /// Of phrases, which.
    pub item: Option<usize>,
    /// What is wrong.
    pub reason: PatternError,
}

/// What was found out about one message.
pub struct State {
    found: Found,
    open: Vec<Open>,
}

/// What is still open about a rule.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// It cannot be found any more.
    is_lost: bool,
    /// One of its conditions of `any` holds.
    has_any: bool,
    /// Those of them that were not looked at yet.
    any_left: u32,
}

impl Set {
    /// Compiles rules, whose symbols differ.
    ///
    /// # Errors
    /// Every expression that has no meaning.
    pub fn compile(rules: Vec<Rule>) -> Result<Self, Vec<Fault>> {
        let mut targets: BTreeMap<(bool, u8, Target), Collected> = BTreeMap::new();
        let (mut slots, mut countings, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        let mut compiled = Vec::with_capacity(rules.len());
        for (index, rule) in rules.into_iter().enumerate() {
            let (first, is_of_envelope) = (slots.len(), rule.is_of_envelope());
            for (at, condition) in rule.conditions().enumerate() {
                let role = Role::of(&rule, at);
                let place = (role == Role::None, condition.target.cost(), condition.target.clone());
                let collected = targets.entry(place).or_default();
                let add = collected.add(condition, slots.len());
                faults.extend(add.into_iter().map(|(item, reason)| Fault { rule: index, condition: at, item, reason }));
                countings.push(Counting::of(condition));
                slots.push(Slot { rule: index, at, role });
            }
            compiled.push(Compiled { rule, is_of_envelope, first });
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let buckets = targets.into_iter().map(|((_, _, target), collected)| collected.build(target)).collect();
        Ok(Self { rules: compiled, slots, countings, buckets })
    }

    /// The rules, in order.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.rules.iter().map(|compiled| &compiled.rule)
    }

    /// One of them.
    pub fn rule(&self, index: usize) -> Option<&Rule> {
        self.rules.get(index).map(|compiled| &compiled.rule)
    }

    /// The symbols of the rules of a phase.
    pub fn symbols(&self, phase: Phase) -> impl Iterator<Item = &Symbol> {
        let of = self.rules.iter().filter(move |compiled| compiled.is_of_envelope == (phase == Phase::Envelope));
        of.map(|compiled| &compiled.rule.symbol)
    }

    /// True if a rule asks for the client's name.
    pub fn needs_client_name(&self) -> bool {
        self.buckets.iter().any(|bucket| *bucket.target() == Target::Envelope(EnvelopePart::ClientName))
    }

    /// Octets of memory that the patterns take, about.
    pub fn octets(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.octets()).sum()
    }

    /// How many targets are read for a message, at most: each of them once for what is looked for, and once for what
    /// keeps rules from being found.
    pub fn targets(&self) -> usize {
        self.buckets.len()
    }

    /// Nothing counted yet.
    pub fn begin(&self) -> State {
        let found = Found::nothing(self.slots.len());
        let open = |compiled: &Compiled| Open {
            is_lost: false,
            has_any: false,
            any_left: u32::try_from(compiled.rule.any.len()).unwrap_or(u32::MAX),
        };
        State { found, open: self.rules.iter().map(open).collect() }
    }

    /// Reads one target, by its place among [`targets`](Self::targets), unless nothing of `phase` looks at it that can
    /// still be found. They are read in their order.
    pub fn look(&self, place: usize, phase: Phase, view: &View<'_>, budget: &mut Budget, state: &mut State) {
        let Some(bucket) = self.buckets.get(place) else { return };
        let State { found, open } = state;
        let is_wanted = |slot: usize| {
            self.slots.get(slot).is_some_and(|slot| {
                let is_of_phase =
                    self.rules.get(slot.rule).is_some_and(|rule| rule.is_of_envelope == (phase == Phase::Envelope));
                is_of_phase && open.get(slot.rule).is_some_and(|open| !open.is_lost)
            })
        };
        if bucket.slots().iter().any(|slot| is_wanted(*slot)) {
            bucket.look(&self.countings, view, budget, &is_wanted, found);
            self.settle(bucket, state);
        }
    }

    /// Which rules cannot be found any more, now that a target was read.
    fn settle(&self, bucket: &Bucket, state: &mut State) {
        for slot in bucket.slots().iter().filter_map(|number| self.slots.get(*number)) {
            let Some((compiled, open)) = self.rules.get(slot.rule).zip(state.open.get_mut(slot.rule)) else { continue };
            if open.is_lost {
                continue;
            }
            // What cannot be told, as an expression was stopped, is not told later either.
            match (slot.role, compiled.holds(&state.found, slot.at)) {
                (Role::All, holds) => open.is_lost = holds != Tri::Yes,
                (Role::None, holds) => open.is_lost = holds != Tri::No,
                (Role::Any, holds) => {
                    open.has_any |= holds == Tri::Yes;
                    open.any_left = open.any_left.saturating_sub(1);
                    open.is_lost = !open.has_any && open.any_left == 0;
                }
            }
        }
    }

    /// Judges a message by all rules of a phase.
    pub fn judge(&self, phase: Phase, view: &View<'_>, budget: &mut Budget) -> Vec<Finding> {
        let mut state = self.begin();
        for place in 0..self.buckets.len() {
            self.look(place, phase, view, budget, &mut state);
        }
        self.findings(phase, &state)
    }

    /// What was found, once all targets were read.
    pub fn findings(&self, phase: Phase, state: &State) -> Vec<Finding> {
        let rules = self.rules.iter().zip(&state.open);
        let of = rules.filter(|(compiled, open)| {
            !open.is_lost && compiled.is_of_envelope == (phase == Phase::Envelope) && compiled.is_found(&state.found)
        });
        of.map(|(compiled, _)| Finding::new(compiled.rule.symbol.clone(), compiled.evidence(&state.found))).collect()
    }

    /// Judges by one rule alone: `Ok` with the evidence if it is found, `Err` with those of its conditions that
    /// keep it from being found.
    ///
    /// # Errors
    /// See above.
    pub fn judge_one(&self, index: usize, view: &View<'_>) -> Result<String, Vec<usize>> {
        let Some(compiled) = self.rules.get(index) else { return Err(Vec::new()) };
        let (State { mut found, .. }, mut budget) = (self.begin(), Budget::default());
        let is_wanted = |slot: usize| self.slots.get(slot).is_some_and(|slot| slot.rule == index);
        for bucket in self.buckets.iter().filter(|bucket| bucket.slots().iter().any(|slot| is_wanted(*slot))) {
            bucket.look(&self.countings, view, &mut budget, &is_wanted, &mut found);
        }
        if compiled.is_found(&found) { Ok(compiled.evidence(&found)) } else { Err(compiled.obstacles(&found)) }
    }
}

impl Role {
    /// Of the condition of a rule with this number.
    fn of(rule: &Rule, at: usize) -> Self {
        match at.checked_sub(rule.all.len()) {
            None => Self::All,
            Some(behind) if behind < rule.any.len() => Self::Any,
            Some(_) => Self::None,
        }
    }
}

impl Compiled {
    /// One of its conditions, in the order of [`Rule::conditions`].
    fn condition(&self, at: usize) -> Option<&Condition> {
        let Rule { all, any, none, .. } = &self.rule;
        let of_any = || any.get(at.checked_sub(all.len())?);
        all.get(at).or_else(of_any).or_else(|| none.get(at.checked_sub(all.len() + any.len())?))
    }

    fn holds(&self, found: &Found, at: usize) -> Tri {
        self.condition(at).map_or(Tri::No, |condition| found.holds(self.first + at, condition))
    }

    /// Where that cannot be told, it is not.
    fn is_found(&self, found: &Found) -> bool {
        self.rule.is_found(|at| self.holds(found, at)) == Tri::Yes
    }

    /// The conditions that are in the way of being found.
    fn obstacles(&self, found: &Found) -> Vec<usize> {
        let (all, any) = (self.rule.all.len(), self.rule.any.len());
        let has_any = any == 0 || (all..all + any).any(|at| self.holds(found, at) == Tri::Yes);
        let is_obstacle = |at: usize| match at {
            at if at < all => self.holds(found, at) != Tri::Yes,
            at if at < all + any => !has_any,
            at => self.holds(found, at) != Tri::No,
        };
        (0..all + any + self.rule.none.len()).filter(|at| is_obstacle(*at)).collect()
    }

    /// Which conditions matched, and what they found.
    fn evidence(&self, found: &Found) -> String {
        let wanted = self.rule.all.iter().chain(&self.rule.any).enumerate();
        let held = wanted.filter(|(at, condition)| !condition.negated && self.holds(found, *at) == Tri::Yes);
        let shown = held.filter_map(|(at, condition)| {
            let first = found.excerpt(self.first + at)?;
            let count = found.count(self.first + at);
            Some(match &condition.target {
                Target::Structure(fact) => format!("{fact} {first}"),
                target if count > 1 => format!("{target} ({count}): \"{first}\""),
                target => format!("{target}: \"{first}\""),
            })
        });
        let mut parts: Vec<String> = shown.take(SHOWN).collect();
        if parts.is_empty() {
            parts.push(self.rule.description.clone());
        }
        parts.join("; ")
    }
}

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Set({} rules, {} targets)", self.rules.len(), self.buckets.len())
    }
}
