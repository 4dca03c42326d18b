//! All rules of a rule set, compiled: whatever their number, each target is read once for all of them, and once more
//! for what keeps a rule from being found.
//!
//! What costs little is looked at first. What only rules ask that cannot be found any more is not looked for at all.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::condition::{Condition, EnvelopePart, Matcher, Rule, Target};
use super::map::Map;
use super::view::View;
use crate::pattern::{Budget, Builder, Expression, PatternError, PatternId, Patterns};
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
    slots: Vec<Slot>,
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
    counting: Counting,
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
    /// All conditions about it.
    slots: Vec<usize>,
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

/// What was counted.
struct Found {
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
    slots: Vec<usize>,
}

impl Set {
    /// Compiles rules, whose symbols differ.
    ///
    /// # Errors
    /// Every expression that has no meaning.
    pub fn compile(rules: Vec<Rule>) -> Result<Self, Vec<Fault>> {
        let mut targets: BTreeMap<(bool, u8, Target), Collected> = BTreeMap::new();
        let (mut slots, mut compiled, mut faults) = (Vec::new(), Vec::with_capacity(rules.len()), Vec::new());
        for (index, rule) in rules.into_iter().enumerate() {
            let (first, is_of_envelope) = (slots.len(), rule.is_of_envelope());
            for (at, condition) in rule.conditions().enumerate() {
                let role = Role::of(&rule, at);
                let place = (role == Role::None, condition.target.cost(), condition.target.clone());
                let collected = targets.entry(place).or_default();
                collected.slots.push(slots.len());
                let add = collected.add(condition, slots.len());
                faults.extend(add.into_iter().map(|(item, reason)| Fault { rule: index, condition: at, item, reason }));
                slots.push(Slot { counting: counting(condition), rule: index, at, role });
            }
            compiled.push(Compiled { rule, is_of_envelope, first });
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let buckets = targets.into_iter().map(|((_, _, target), collected)| Bucket {
            target,
            patterns: collected.builder.build(),
            owners: collected.owners,
            plain: collected.plain,
            slots: collected.slots,
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

    /// How many targets are read for a message, at most: each of them once for what is looked for, and once for what
    /// keeps rules from being found.
    pub fn targets(&self) -> usize {
        self.buckets.len()
    }

    /// Nothing counted yet.
    pub fn begin(&self) -> State {
        let slots = self.slots.len();
        let found = Found { counts: vec![0; slots], firsts: vec![None; slots], last: vec![u32::MAX; slots] };
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
        if bucket.slots.iter().any(|slot| is_wanted(*slot)) {
            bucket.look(&self.slots, view, budget, &is_wanted, found);
            self.settle(bucket, state);
        }
    }

    /// Which rules cannot be found any more, now that a target was read.
    fn settle(&self, bucket: &Bucket, state: &mut State) {
        for (number, slot) in bucket.slots.iter().filter_map(|number| Some((*number, self.slots.get(*number)?))) {
            let Some((compiled, open)) = self.rules.get(slot.rule).zip(state.open.get_mut(slot.rule)) else { continue };
            if open.is_lost {
                continue;
            }
            let holds = compiled.condition(slot.at).is_some_and(|condition| condition.holds(state.found.count(number)));
            match slot.role {
                Role::All => open.is_lost = !holds,
                Role::None => open.is_lost = holds,
                Role::Any => {
                    open.has_any |= holds;
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
        for bucket in self.buckets.iter().filter(|bucket| bucket.slots.iter().any(|slot| is_wanted(*slot))) {
            bucket.look(&self.slots, view, &mut budget, &is_wanted, &mut found);
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
    /// Reads the target for those conditions that are wanted.
    fn look(
        &self,
        slots: &[Slot],
        view: &View<'_>,
        budget: &mut Budget,
        is_wanted: &dyn Fn(usize) -> bool,
        found: &mut Found,
    ) {
        if let Target::Structure(fact) = self.target {
            let number = fact.of(view);
            for (slot, _) in &self.plain {
                found.set(*slot, number);
            }
            return;
        }
        let plain: Vec<Asked<'_>> = self
            .plain
            .iter()
            .filter(|(slot, _)| is_wanted(*slot))
            .map(|(slot, plain)| Asked::of(*slot, plain, view))
            .collect();
        let mut seen = vec![false; self.owners.len()];
        let mut index = 0;
        view.read(&self.target, &mut |value, spelt| {
            // Most is spelt as it is read; the other spelling adds what only it shows.
            let before = spelt.map(|_| found.counts.clone());
            let mut reading = Reading { bucket: self, slots, index, plain: &plain, is_wanted, seen: &mut seen };
            reading.read(value, budget, found);
            if let (Some(spelt), Some(before)) = (spelt, before) {
                let written = found.begin_again(slots, before);
                reading.read(spelt.as_bytes(), budget, found);
                found.keep_more(&written);
            }
            index += 1;
        });
    }

    /// What is asked without patterns.
    fn ask(&self, value: &[u8], index: u32, plain: &[Asked<'_>], found: &mut Found) {
        if plain.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(value);
        // Most ask about short values; a whole text is not copied for those that only ask whether it is there.
        let lower = OnceCell::new();
        let lower = || lower.get_or_init(|| text.to_lowercase());
        for asked in plain {
            let fits = match asked.plain {
                Plain::Anything => !text.is_empty() || matches!(self.target, Target::Header { .. }),
                Plain::Equals(values) => values.contains(lower()),
                Plain::Map(map) => map.contains(&text),
                Plain::SameAs(_) => !text.is_empty() && asked.others.contains(lower()),
            };
            if fits {
                found.count_one(asked.slot, Counting::Values, index, || value);
            }
        }
    }
}

/// What a condition asks of each value without patterns.
struct Asked<'p> {
    slot: usize,
    plain: &'p Plain,
    /// The values of the target that this one is compared with, in lower case.
    others: HashSet<String>,
}

impl<'p> Asked<'p> {
    fn of(slot: usize, plain: &'p Plain, view: &View<'_>) -> Self {
        let mut others = HashSet::new();
        if let Plain::SameAs(target) = plain {
            view.read(target, &mut |value, _| {
                others.insert(String::from_utf8_lossy(value).to_lowercase());
            });
        }
        Self { slot, plain, others }
    }
}

/// One value, or one spelling of it, read for all that look at it.
struct Reading<'b> {
    bucket: &'b Bucket,
    slots: &'b [Slot],
    /// Which value.
    index: u32,
    plain: &'b [Asked<'b>],
    /// Which conditions can still make a difference.
    is_wanted: &'b dyn Fn(usize) -> bool,
    /// The patterns that were found in any value.
    seen: &'b mut [bool],
}

impl Reading<'_> {
    fn read(&mut self, value: &[u8], budget: &mut Budget, found: &mut Found) {
        let bucket = self.bucket;
        let owners = |pattern: PatternId| bucket.owners.get(pattern.index()).into_iter().flatten();
        let asks = |pattern: PatternId| owners(pattern).any(|slot| (self.is_wanted)(*slot));
        let (slots, index, seen) = (self.slots, self.index, &mut *self.seen);
        bucket.patterns.matches_where(value, budget, &asks, &mut |pattern, range| {
            let is_new = seen.get_mut(pattern.index()).is_some_and(|seen| !std::mem::replace(seen, true));
            for &slot in owners(pattern) {
                let counting = slots.get(slot).map_or(Counting::Values, |slot| slot.counting);
                if counting != Counting::Distinct || is_new {
                    found.count_one(slot, counting, index, || value.get(range.clone()).unwrap_or_default());
                }
            }
        });
        bucket.ask(value, index, self.plain, found);
    }
}

impl Found {
    /// Takes back the matches that were counted since, to count those of another spelling of the same text; says what
    /// was counted. What counts once in a value or a message counts once in both.
    fn begin_again(&mut self, slots: &[Slot], before: Vec<u64>) -> Vec<u64> {
        let written = self.counts.clone();
        for ((count, before), slot) in self.counts.iter_mut().zip(before).zip(slots) {
            if slot.counting == Counting::Matches {
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

    fn count(&self, slot: usize) -> u64 {
        self.counts.get(slot).copied().unwrap_or(0)
    }

    fn set(&mut self, slot: usize, number: u64) {
        if let (Some(count), Some(first)) = (self.counts.get_mut(slot), self.firsts.get_mut(slot)) {
            *count = number;
            *first = Some(number.to_string().into_bytes().into());
        }
    }

    fn count_one<'v>(&mut self, slot: usize, counting: Counting, index: u32, what: impl FnOnce() -> &'v [u8]) {
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
    /// One of its conditions, in the order of [`Rule::conditions`].
    fn condition(&self, at: usize) -> Option<&Condition> {
        let Rule { all, any, none, .. } = &self.rule;
        let of_any = || any.get(at.checked_sub(all.len())?);
        all.get(at).or_else(of_any).or_else(|| none.get(at.checked_sub(all.len() + any.len())?))
    }

    fn holds(&self, found: &Found, at: usize) -> bool {
        self.condition(at).is_some_and(|condition| condition.holds(found.count(self.first + at)))
    }

    fn is_found(&self, found: &Found) -> bool {
        self.rule.is_found(|at| self.holds(found, at))
    }

    /// The conditions that are in the way of being found.
    fn obstacles(&self, found: &Found) -> Vec<usize> {
        let (all, any) = (self.rule.all.len(), self.rule.any.len());
        let has_any = any == 0 || (all..all + any).any(|at| self.holds(found, at));
        let is_obstacle = |at: usize| match at {
            at if at < all => !self.holds(found, at),
            at if at < all + any => !has_any,
            at => self.holds(found, at),
        };
        (0..all + any + self.rule.none.len()).filter(|at| is_obstacle(*at)).collect()
    }

    /// Which conditions matched, and what they found.
    fn evidence(&self, found: &Found) -> String {
        let wanted = self.rule.all.iter().chain(&self.rule.any).enumerate();
        let held = wanted.filter(|(at, condition)| !condition.negated && self.holds(found, *at));
        let shown = held.filter_map(|(at, condition)| {
            let first = excerpt(found.firsts.get(self.first + at)?.as_ref()?);
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
