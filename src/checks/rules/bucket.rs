//! All that rules look for in one target: it is read once for all of them.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::condition::{Condition, Matcher, Target};
use super::found::{Counting, Found};
use super::map::Map;
use super::view::View;
use crate::pattern::{Budget, Builder, Expression, PatternError, PatternId, Patterns};

/// Matches of one expression in one text that are counted at most.
const MOST: u64 = 10_000;

/// All that looks at one target.
pub(super) struct Bucket {
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

/// Collects what looks at one target.
#[derive(Default)]
pub(super) struct Collected {
    builder: Builder,
    known: HashMap<Expression, usize>,
    owners: Vec<Vec<usize>>,
    plain: Vec<(usize, Plain)>,
    slots: Vec<usize>,
}

impl Collected {
    /// Adds what a condition looks for; what has no meaning comes back.
    pub(super) fn add(&mut self, condition: &Condition, slot: usize) -> Vec<(Option<usize>, PatternError)> {
        self.slots.push(slot);
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
                // A whole text is no domain, no address and no word.
                if !condition.target.is_text() {
                    self.plain.push((slot, Plain::Map(map.clone())));
                }
            }
        }
        faults
    }

    /// All of it, for that target.
    pub(super) fn build(self, target: Target) -> Bucket {
        let Self { builder, owners, plain, slots, .. } = self;
        Bucket { target, patterns: builder.build(), owners, plain, slots }
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
    /// What it is about.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// All conditions about it.
    pub(super) fn slots(&self) -> &[usize] {
        &self.slots
    }

    /// Octets of memory of its patterns, about.
    pub(super) fn octets(&self) -> usize {
        self.patterns.octets()
    }

    /// Reads the target for those conditions that are wanted.
    pub(super) fn look(
        &self,
        countings: &[Counting],
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
            let before = spelt.map(|_| found.counts());
            let mut reading = Reading { bucket: self, countings, index, plain: &plain, is_wanted, seen: &mut seen };
            reading.read(value, budget, found);
            if let (Some(spelt), Some(before)) = (spelt, before) {
                let written = found.begin_again(countings, before);
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
    countings: &'b [Counting],
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
        let (countings, index, seen) = (self.countings, self.index, &mut *self.seen);
        let stopped = bucket.patterns.matches_where(value, budget, &asks, &mut |pattern, range| {
            let is_new = seen.get_mut(pattern.index()).is_some_and(|seen| !std::mem::replace(seen, true));
            for &slot in owners(pattern) {
                let counting = countings.get(slot).copied().unwrap_or(Counting::Values);
                if counting != Counting::Distinct || is_new {
                    found.count_one(slot, counting, index, || value.get(range.clone()).unwrap_or_default());
                }
            }
        });
        stopped.into_iter().flat_map(owners).for_each(|slot| found.stop(*slot));
        bucket.ask(value, index, self.plain, found);
    }
}
