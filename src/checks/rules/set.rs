//! All rules of a rule set, compiled: whatever their number, each target is read once for all of them.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::condition::{Condition, EnvelopePart, Matcher, Rule, Target};
use super::map::Map;
use super::view::View;
use crate::pattern::{Budget, Builder, Expression, PatternError, Patterns};
use crate::scoring::{Finding, Symbol};

/// Matches of one expression in one text that are counted at most.
const MOST: u64 = 10_000;
/// Letters of what was found that evidence shows.
const EXCERPT: usize = 40;
/// Conditions that evidence shows.
const SHOWN: usize = 3;

/// Rules that are judged together.
#[derive(Default)]
pub struct Set {
    rules: Vec<Compiled>,
    /// One for each condition of each rule.
    slots: Vec<Counting>,
    /// One for each target.
    buckets: Vec<Bucket>,
}

struct Compiled {
    rule: Rule,
    is_of_envelope: bool,
    /// The slot of its first condition; the others follow.
    first: usize,
}

/// What is counted for a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counting {
    /// Every match.
    Matches,
    /// Values with a match.
    Values,
    /// Patterns with a match.
    Distinct,
}

/// All that looks at one target.
struct Bucket {
    target: Target,
    patterns: Patterns,
    /// Whose each pattern is.
    owners: Vec<Vec<usize>>,
    plain: Vec<(usize, Plain)>,
    /// Rules of the envelope look here, rules of messages do.
    phases: [bool; 2],
}

/// What is asked of each value without patterns.
enum Plain {
    Anything,
    Equals(Vec<String>),
    Map(Arc<Map>),
    SameAs(Target),
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

/// What was counted for one message.
pub struct State {
    counts: Vec<u64>,
    /// What was found first, or the beginning of it.
    firsts: Vec<Option<Box<[u8]>>>,
    /// The value in which a slot found something last, so that it counts once.
    last: Vec<u32>,
}

/// Collects what looks at one target.
#[derive(Default)]
struct Collected {
    builder: Builder,
    known: HashMap<Expression, usize>,
    owners: Vec<Vec<usize>>,
    plain: Vec<(usize, Plain)>,
    phases: [bool; 2],
}

impl Set {
    /// Compiles rules, whose symbols differ.
    ///
    /// # Errors
    /// Every expression that has no meaning.
    pub fn compile(rules: Vec<Rule>) -> Result<Self, Vec<Fault>> {
        let mut targets: BTreeMap<Target, Collected> = BTreeMap::new();
        let (mut slots, mut compiled, mut faults) = (Vec::new(), Vec::with_capacity(rules.len()), Vec::new());
        for (index, rule) in rules.into_iter().enumerate() {
            let (first, is_of_envelope) = (slots.len(), rule.is_of_envelope());
            for (at, condition) in rule.conditions().enumerate() {
                let collected = targets.entry(condition.target.clone()).or_default();
                collected.phases[usize::from(!is_of_envelope)] = true;
                let add = collected.add(condition, slots.len());
                faults.extend(add.into_iter().map(|(item, reason)| Fault { rule: index, condition: at, item, reason }));
                slots.push(counting(condition));
            }
            compiled.push(Compiled { rule, is_of_envelope, first });
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let buckets = targets.into_iter().map(|(target, collected)| Bucket {
            target,
            patterns: collected.builder.build(),
            owners: collected.owners,
            plain: collected.plain,
            phases: collected.phases,
        });
        Ok(Self { rules: compiled, slots, buckets: buckets.collect() })
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
        self.buckets.iter().any(|bucket| bucket.target == Target::Envelope(EnvelopePart::ClientName))
    }

    /// Octets of memory that the patterns take, about.
    pub fn octets(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.patterns.octets()).sum()
    }

    /// How many different targets are read; each is read once for a message.
    pub fn targets(&self) -> usize {
        self.buckets.len()
    }

    /// Nothing counted yet.
    pub fn begin(&self) -> State {
        let slots = self.slots.len();
        State { counts: vec![0; slots], firsts: vec![None; slots], last: vec![u32::MAX; slots] }
    }

    /// Reads one target, by its place among [`targets`](Self::targets), unless nothing of `phase` looks at it.
    pub fn look(&self, place: usize, phase: Phase, view: &View<'_>, budget: &mut Budget, state: &mut State) {
        if let Some(bucket) = self.buckets.get(place).filter(|bucket| bucket.phases[phase as usize]) {
            bucket.look(&self.slots, view, budget, state);
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
        let of = self.rules.iter().filter(|compiled| compiled.is_of_envelope == (phase == Phase::Envelope));
        let found = of.filter(|compiled| compiled.is_found(state));
        found.map(|compiled| Finding::new(compiled.rule.symbol.clone(), compiled.evidence(state))).collect()
    }

    /// Judges by one rule alone: `Ok` with the evidence if it is found, `Err` with those of its conditions that
    /// keep it from being found.
    ///
    /// # Errors
    /// See above.
    pub fn judge_one(&self, index: usize, view: &View<'_>) -> Result<String, Vec<usize>> {
        let Some(compiled) = self.rules.get(index) else { return Err(Vec::new()) };
        let (mut state, mut budget) = (self.begin(), Budget::default());
        let targets: BTreeSet<&Target> = compiled.rule.conditions().map(|condition| &condition.target).collect();
        for bucket in self.buckets.iter().filter(|bucket| targets.contains(&bucket.target)) {
            bucket.look(&self.slots, view, &mut budget, &mut state);
        }
        if compiled.is_found(&state) { Ok(compiled.evidence(&state)) } else { Err(compiled.obstacles(&state)) }
    }
}

fn counting(condition: &Condition) -> Counting {
    match &condition.matcher {
        Matcher::Phrases(_) => Counting::Distinct,
        _ if condition.target.is_text() => Counting::Matches,
        _ => Counting::Values,
    }
}

impl Collected {
    /// Adds what a condition looks for; what has no meaning comes back.
    fn add(&mut self, condition: &Condition, slot: usize) -> Vec<(Option<usize>, PatternError)> {
        let most = if condition.target.is_text() { condition.enough().min(MOST) } else { 1 };
        let regex = |text: &str| Expression::regex(text).up_to(usize::try_from(most).unwrap_or(usize::MAX));
        let mut faults = Vec::new();
        match &condition.matcher {
            Matcher::Anything => self.plain.push((slot, Plain::Anything)),
            Matcher::Equals(values) => {
                let values = values.iter().map(|value| value.to_lowercase()).collect();
                self.plain.push((slot, Plain::Equals(values)));
            }
            Matcher::SameAs(other) => self.plain.push((slot, Plain::SameAs((**other).clone()))),
            Matcher::Regex(text) => faults.extend(self.pattern(regex(text), slot).err().map(|why| (None, why))),
            Matcher::Phrases(phrases) => {
                for (index, phrase) in phrases.iter().enumerate() {
                    let added = self.pattern(Expression::phrase(phrase), slot);
                    faults.extend(added.err().map(|why| (Some(index), why)));
                }
            }
            Matcher::Map(map) => {
                for pattern in map.patterns() {
                    faults.extend(self.pattern(regex(pattern), slot).err().map(|why| (None, why)));
                }
                self.plain.push((slot, Plain::Map(map.clone())));
            }
        }
        faults
    }

    /// What several look for is looked for once.
    fn pattern(&mut self, expression: Expression, slot: usize) -> Result<(), PatternError> {
        let place = match self.known.get(&expression) {
            Some(place) => *place,
            None => {
                let place = self.builder.add(&expression)?.index();
                self.known.insert(expression, place);
                self.owners.resize(self.owners.len().max(place + 1), Vec::new());
                place
            }
        };
        if let Some(owners) = self.owners.get_mut(place).filter(|owners| !owners.contains(&slot)) {
            owners.push(slot);
        }
        Ok(())
    }
}

impl Bucket {
    fn look(&self, slots: &[Counting], view: &View<'_>, budget: &mut Budget, state: &mut State) {
        if let Target::Structure(fact) = self.target {
            let number = fact.of(view);
            for (slot, _) in &self.plain {
                state.set(*slot, number);
            }
            return;
        }
        let others = self.others(view);
        let mut seen = vec![false; self.owners.len()];
        let mut index = 0;
        view.read(&self.target, &mut |value, plain| {
            // Most is spelt as it is read; the other spelling adds what only it shows.
            let before = plain.map(|_| state.counts.clone());
            let mut reading = Reading { bucket: self, slots, index, others: &others, seen: &mut seen };
            reading.read(value, budget, state);
            if let (Some(plain), Some(before)) = (plain, before) {
                let written = state.begin_again(slots, before);
                reading.read(plain.as_bytes(), budget, state);
                state.keep_more(&written);
            }
            index += 1;
        });
    }

    /// What is asked without patterns.
    fn ask(&self, value: &[u8], index: u32, others: &[HashSet<String>], state: &mut State) {
        if self.plain.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(value);
        // Most ask about short values; a whole text is not copied for those that only ask whether it is there.
        let lower = OnceCell::new();
        let lower = || lower.get_or_init(|| text.to_lowercase());
        let mut others = others.iter();
        for (slot, plain) in &self.plain {
            let fits = match plain {
                Plain::Anything => !text.is_empty() || matches!(self.target, Target::Header { .. }),
                Plain::Equals(values) => values.contains(lower()),
                Plain::Map(map) => map.contains(&text),
                Plain::SameAs(_) => others.next().is_some_and(|others| !text.is_empty() && others.contains(lower())),
            };
            if fits {
                state.count(*slot, Counting::Values, index, || value);
            }
        }
    }

    /// The values of the targets that this one is compared with, in the order of the comparisons.
    fn others(&self, view: &View<'_>) -> Vec<HashSet<String>> {
        let targets = self.plain.iter().filter_map(|(_, plain)| match plain {
            Plain::SameAs(target) => Some(target),
            _ => None,
        });
        let values = |target: &Target| {
            let mut values = HashSet::new();
            view.read(target, &mut |value, _| {
                values.insert(String::from_utf8_lossy(value).to_lowercase());
            });
            values
        };
        targets.map(values).collect()
    }
}

/// One value, or one spelling of it, read for all that look at it.
struct Reading<'b> {
    bucket: &'b Bucket,
    slots: &'b [Counting],
    /// Which value.
    index: u32,
    others: &'b [HashSet<String>],
    /// The patterns that were found in any value.
    seen: &'b mut [bool],
}

impl Reading<'_> {
    fn read(&mut self, value: &[u8], budget: &mut Budget, state: &mut State) {
        let bucket = self.bucket;
        bucket.patterns.matches(value, budget, &mut |pattern, range| {
            let is_new = self.seen.get_mut(pattern.index()).is_some_and(|seen| !std::mem::replace(seen, true));
            for &slot in bucket.owners.get(pattern.index()).into_iter().flatten() {
                let counting = self.slots.get(slot).copied().unwrap_or(Counting::Values);
                if counting != Counting::Distinct || is_new {
                    state.count(slot, counting, self.index, || value.get(range.clone()).unwrap_or_default());
                }
            }
        });
        bucket.ask(value, self.index, self.others, state);
    }
}

impl State {
    /// Takes back the matches that were counted since, to count those of another spelling of the same text; says what
    /// was counted. What counts once in a value or a message counts once in both.
    fn begin_again(&mut self, slots: &[Counting], before: Vec<u64>) -> Vec<u64> {
        let written = self.counts.clone();
        for ((count, before), counting) in self.counts.iter_mut().zip(before).zip(slots) {
            if *counting == Counting::Matches {
                *count = before;
            }
        }
        written
    }

    /// Of two spellings the one counts in which more was found.
    fn keep_more(&mut self, written: &[u64]) {
        for (count, written) in self.counts.iter_mut().zip(written) {
            *count = (*count).max(*written);
        }
    }

    fn set(&mut self, slot: usize, number: u64) {
        if let (Some(count), Some(first)) = (self.counts.get_mut(slot), self.firsts.get_mut(slot)) {
            *count = number;
            *first = Some(number.to_string().into_bytes().into());
        }
    }

    fn count<'v>(&mut self, slot: usize, counting: Counting, index: u32, what: impl FnOnce() -> &'v [u8]) {
        let (Some(count), Some(last), Some(first)) =
            (self.counts.get_mut(slot), self.last.get_mut(slot), self.firsts.get_mut(slot))
        else {
            return;
        };
        if counting == Counting::Values && *last == index {
            return;
        }
        *last = index;
        *count += 1;
        first.get_or_insert_with(|| {
            let octets = what();
            octets.get(..EXCERPT * 4).unwrap_or(octets).into()
        });
    }
}

impl Compiled {
    fn holds(&self, state: &State, at: usize) -> bool {
        let count = state.counts.get(self.first + at).copied().unwrap_or(0);
        self.rule.conditions().nth(at).is_some_and(|condition| condition.holds(count))
    }

    fn is_found(&self, state: &State) -> bool {
        self.rule.is_found(|at| self.holds(state, at))
    }

    /// The conditions that are in the way of being found.
    fn obstacles(&self, state: &State) -> Vec<usize> {
        let (all, any) = (self.rule.all.len(), self.rule.any.len());
        let has_any = any == 0 || (all..all + any).any(|at| self.holds(state, at));
        let is_obstacle = |at: usize| match at {
            at if at < all => !self.holds(state, at),
            at if at < all + any => !has_any,
            at => self.holds(state, at),
        };
        (0..all + any + self.rule.none.len()).filter(|at| is_obstacle(*at)).collect()
    }

    /// Which conditions matched, and what they found.
    fn evidence(&self, state: &State) -> String {
        let wanted = self.rule.all.iter().chain(&self.rule.any).enumerate();
        let held = wanted.filter(|(at, condition)| !condition.negated && self.holds(state, *at));
        let shown = held.filter_map(|(at, condition)| {
            let first = excerpt(state.firsts.get(self.first + at)?.as_ref()?);
            let count = state.counts.get(self.first + at).copied().unwrap_or(0);
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

/// A short part of what was found, without anything that a terminal or a log would obey.
fn excerpt(octets: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(octets);
    let mut letters = text.trim().chars();
    let mut shown: String = letters.by_ref().take(EXCERPT).flat_map(char::escape_debug).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown.into()
}

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Set({} rules, {} targets)", self.rules.len(), self.buckets.len())
    }
}
