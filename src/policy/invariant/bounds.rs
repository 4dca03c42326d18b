//! Bounds of what a part of all possibilities can come to: each symbol there, perhaps or not, and the least and the most
//! points.
//!
//! Promises: whatever is possible within the part lies within the bounds. They may be wider than what is possible.
//!
//! Where only so many findings may be, what composites ask for takes room from all others: which of those findings are
//! there is tried out, as long as they are few.

use std::cmp::Reverse;

use super::model::{Literals, Model, Test};
use crate::facts::Stage;
use crate::scoring::Tri;

/// What is still possible for one atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) may_be_absent: bool,
    pub(super) may_be_there: bool,
    /// Strengths if it is there.
    pub(super) low: u8,
    pub(super) high: u8,
}

/// What can be said of everything that a part holds, through one lens.
pub(super) struct Look {
    pub(super) has: Vec<Tri>,
    pub(super) low: i64,
    pub(super) high: i64,
}

impl Range {
    pub(super) const ABSENT: Self = Self { may_be_absent: true, may_be_there: false, low: 0, high: 0 };
    pub(super) const FREE: Self = Self { may_be_absent: true, may_be_there: true, low: 0, high: 100 };

    pub(super) fn there(low: u8, high: u8) -> Self {
        Self { may_be_absent: false, may_be_there: true, low, high }
    }

    pub(super) fn is_decided(self) -> bool {
        !(self.may_be_absent && self.may_be_there) && self.low == self.high
    }

    pub(super) fn is_there(self) -> bool {
        !self.may_be_absent
    }

    /// Smaller ranges that together are this one; what is likely to lead to an example comes last.
    pub(super) fn cut(self, is_read: bool) -> Vec<Self> {
        let (low, high) = (self.low, self.high);
        if self.may_be_absent && is_read {
            return vec![Self::ABSENT, Self::there(low, high)];
        }
        if self.may_be_absent {
            // As if absent is what strength nothing is.
            return vec![Self::there(1, 99), Self::ABSENT, Self::there(100, 100)];
        }
        if high - low < 2 {
            return vec![Self::there(low, low), Self::there(high, high)];
        }
        if (low, high) == (0, 100) {
            return vec![Self::there(1, 99), Self::there(0, 0), Self::there(100, 100)];
        }
        let middle = low + (high - low) / 2;
        vec![Self::there(low, middle), Self::there(middle + 1, high)]
    }

    /// What is not needed left out, and what is there at its most.
    pub(super) fn fixed(self) -> Self {
        if self.may_be_absent { Self::ABSENT } else { Self::there(self.high, self.high) }
    }
}

impl Model<'_> {
    pub(super) fn is_read(&self, atom: usize) -> bool {
        self.entry_of(atom).is_some_and(|entry| entry.is_read)
    }

    pub(super) fn weight(&self, atom: usize) -> i64 {
        self.entry_of(atom).map_or(0, |entry| entry.weight)
    }

    fn entry_of(&self, atom: usize) -> Option<&super::model::Entry<'_>> {
        self.atoms.get(atom).and_then(|atom| self.symbols.get(atom.symbol))
    }
}

pub(super) fn look_all(model: &Model<'_>, part: &[Range]) -> Vec<Look> {
    model.lenses.iter().map(|lens| look(model, part, *lens)).collect()
}

/// The weight at a strength, as the scorecard has it.
fn scaled(weight: i64, strength: u8) -> i64 {
    weight * i64::from(strength) / 100
}

fn look(model: &Model<'_>, part: &[Range], lens: Stage) -> Look {
    let groups = model.caps.len();
    let mut has = vec![Tri::No; model.symbols.len()];
    let mut sums = vec![(0, 0); groups + 1];
    // What classes and counted symbols could add is bounded together: class, group, the least and the most.
    let mut exclusive: Vec<(usize, usize, i64, i64)> = Vec::new();
    let mut counted: Vec<Counted> = Vec::new();
    let mut used = 0;
    for (index, entry) in model.symbols.iter().enumerate().filter(|(_, entry)| !entry.atoms.is_empty()) {
        let (mut known, mut low, mut high) = (Tri::No, 0, 0);
        for (atom, range) in entry.atoms.iter().filter_map(|atom| Some((model.atoms.get(*atom)?, part.get(*atom)?))) {
            used += usize::from(entry.is_counted && entry.atoms.len() == 1 && range.is_there());
            if atom.from > lens || !range.may_be_there {
                continue;
            }
            known = known.max(if range.is_there() { Tri::Yes } else { Tri::Maybe });
            low = low.max(if range.is_there() { range.low } else { 0 });
            high = high.max(range.high);
        }
        if let Some(slot) = has.get_mut(index) {
            *slot = known;
        }
        let (one, other) = (scaled(entry.weight, low), scaled(entry.weight, high));
        let (least, most) = (one.min(other), one.max(other));
        let slot = entry.group.unwrap_or(groups);
        let single = (entry.atoms.len() == 1).then(|| entry.atoms.first().and_then(|atom| model.atoms.get(*atom)));
        let class = single.flatten().and_then(|atom| atom.class);
        let Some(sum) = sums.get_mut(slot) else { continue };
        match class {
            _ if entry.is_counted && model.limit.is_some() && known != Tri::Yes => {
                sum.0 += least;
                counted.push(Counted { symbol: index, slot, most });
            }
            Some(class) if known == Tri::Maybe => exclusive.push((class, slot, least, most)),
            _ => {
                sum.0 += least;
                sum.1 += most;
            }
        }
    }
    add_exclusive(exclusive, &mut sums);
    let room = model.limit.map_or(usize::MAX, |limit| limit.saturating_sub(used));
    let shared = Shared { model, has: has.clone(), most: sums.iter().map(|(_, most)| *most).collect(), room };
    add_composites(model, room, &mut has, &mut sums);
    let low = sums.iter().enumerate().map(|(slot, sum)| clamped(model, slot, sum.0)).sum();
    let most: Vec<i64> = sums.iter().map(|(_, most)| *most).collect();
    let high = highest_of(model, &most, counted.iter(), room);
    let high = shared.highest(&counted).map_or(high, |shared| shared.min(high));
    Look { has, low, high }
}

/// What a group, or what is in none, counts of a sum.
fn clamped(model: &Model<'_>, slot: usize, sum: i64) -> i64 {
    model.caps.get(slot).map_or(sum, |cap| sum.clamp(-cap, *cap))
}

/// A finding that may be there and takes room if it is.
struct Counted {
    symbol: usize,
    slot: usize,
    most: i64,
}

/// The most that sums come to if `room` of these may be added.
fn highest_of<'c>(
    model: &Model<'_>,
    most: &[i64],
    counted: impl Iterator<Item = &'c Counted> + Clone,
    room: usize,
) -> i64 {
    let parts = most.iter().enumerate().map(|(slot, sum)| {
        let mut gains: Vec<i64> = counted.clone().filter(|one| one.slot == slot).map(|one| one.most.max(0)).collect();
        gains.sort_unstable_by_key(|gain| Reverse(*gain));
        let mut sum = *sum;
        let mut comes_to = vec![clamped(model, slot, sum)];
        for gain in gains.into_iter().take(room) {
            sum += gain;
            comes_to.push(clamped(model, slot, sum));
        }
        comes_to
    });
    highest(parts, room)
}

/// Choices of findings that are tried out at once, at most.
const CHOICES_MOST: usize = 5_000;
/// Choices that are tried out for one question. Bounds are wider then.
pub(super) const ALL_CHOICES: usize = 50_000;

/// What is known before composites.
struct Shared<'m> {
    model: &'m Model<'m>,
    has: Vec<Tri>,
    /// The most of each group.
    most: Vec<i64>,
    room: usize,
}

impl Shared<'_> {
    /// The most points, where what composites ask for takes room; none if there is no choice, or too many.
    fn highest(&self, counted: &[Counted]) -> Option<i64> {
        let asked = self.asked();
        let is_asked = |one: &&Counted| asked.get(one.symbol) == Some(&true);
        let choosable: Vec<&Counted> = counted.iter().filter(is_asked).collect();
        if choosable.is_empty() {
            return None;
        }
        // Of the others only the heaviest of each group can matter.
        let mut others: Vec<&Counted> = counted.iter().filter(|one| !is_asked(one)).collect();
        others.sort_unstable_by_key(|one| (one.slot, Reverse(one.most)));
        let heaviest = others.chunk_by(|one, other| one.slot == other.slot);
        let others: Vec<&Counted> = heaviest.flat_map(|of_slot| of_slot.iter().take(self.room).copied()).collect();
        let mut choices: Vec<Vec<usize>> = vec![Vec::new()];
        let mut begun = 0;
        for _ in 0..self.room {
            let longest = choices.len();
            for at in begun..longest {
                let from = choices.get(at)?.last().map_or(0, |last| last + 1);
                for next in from..choosable.len() {
                    choices.push(choices.get(at)?.iter().copied().chain([next]).collect());
                }
                if choices.len() > CHOICES_MOST {
                    return None;
                }
            }
            begun = longest;
        }
        self.model.choices_left.set(self.model.choices_left.get().checked_sub(choices.len())?);
        let points = choices.iter().map(|choice| {
            let chosen: Vec<&Counted> = choice.iter().filter_map(|at| choosable.get(*at).copied()).collect();
            self.with(&chosen, &choosable, &others)
        });
        points.max()
    }

    /// Which symbols a composite asks for that weighs, or one that such a one asks for.
    fn asked(&self) -> Vec<bool> {
        let mut asked = vec![false; self.model.symbols.len()];
        for (symbol, literals) in self.model.composites.iter().rev() {
            let weighs = self.model.symbols.get(*symbol).is_some_and(|entry| entry.weight != 0);
            if weighs || asked.get(*symbol) == Some(&true) {
                for read in literals.reads() {
                    asked.get_mut(read).into_iter().for_each(|asked| *asked = true);
                }
            }
        }
        asked
    }

    /// The most points if of those that composites ask for only these are there.
    fn with(&self, chosen: &[&Counted], choosable: &[&Counted], others: &[&Counted]) -> i64 {
        let (mut has, mut most) = (self.has.clone(), self.most.clone());
        for one in choosable {
            has.get_mut(one.symbol).into_iter().for_each(|slot| *slot = Tri::No);
        }
        for one in chosen {
            has.get_mut(one.symbol).into_iter().for_each(|slot| *slot = Tri::Maybe);
            most.get_mut(one.slot).into_iter().for_each(|sum| *sum += one.most.max(0));
        }
        let mut sums: Vec<(i64, i64)> = most.iter().map(|most| (0, *most)).collect();
        add_composites(self.model, usize::MAX, &mut has, &mut sums);
        let most: Vec<i64> = sums.into_iter().map(|(_, most)| most).collect();
        highest_of(self.model, &most, others.iter().copied(), self.room.saturating_sub(chosen.len()))
    }
}

/// Adds the least and the most of what excludes each other, given as class, group, least and most.
fn add_exclusive(mut exclusive: Vec<(usize, usize, i64, i64)>, sums: &mut [(i64, i64)]) {
    exclusive.sort_unstable();
    for of_slot in exclusive.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
        let Some(sum) = of_slot.first().and_then(|(_, slot, _, _)| sums.get_mut(*slot)) else { continue };
        sum.0 += of_slot.iter().map(|(_, _, least, _)| *least).min().unwrap_or_default().min(0);
        sum.1 += of_slot.iter().map(|(_, _, _, most)| *most).max().unwrap_or_default().max(0);
    }
}

/// Adds what composites make of what is there, if so many findings more may be.
fn add_composites(model: &Model<'_>, room: usize, has: &mut [Tri], sums: &mut [(i64, i64)]) {
    for (symbol, literals) in &model.composites {
        let Some(entry) = model.symbols.get(*symbol) else { continue };
        // One in shadow may count or not, whatever it is made of.
        let mut holds = literals.hold(has).min(if entry.is_shadow { Tri::Maybe } else { Tri::Yes });
        if room != usize::MAX && holds != Tri::No && literals.needs(model, has) > room {
            holds = Tri::No;
        }
        if let Some(slot) = has.get_mut(*symbol) {
            *slot = holds;
        }
        if let Some(sum) = sums.get_mut(entry.group.unwrap_or(model.caps.len())) {
            let sure = holds == Tri::Yes;
            sum.0 += if holds == Tri::No { 0 } else { entry.weight.min(if sure { entry.weight } else { 0 }) };
            sum.1 += if holds == Tri::No { 0 } else { entry.weight.max(if sure { entry.weight } else { 0 }) };
        }
    }
}

/// The most that parts come to together if `room` things may be put into them; each part says what it comes to with
/// none, one, two and so on. Several in one part can be worth more than the first alone lets expect: what is far below a
/// cap shows nothing of it.
fn highest(parts: impl Iterator<Item = Vec<i64>>, room: usize) -> i64 {
    let mut best = vec![0];
    for part in parts {
        let places = (best.len() + part.len() - 1).min(room.saturating_add(1));
        let of = |total: usize| {
            let splits = part.iter().enumerate().take(total + 1);
            splits.filter_map(|(own, points)| Some(best.get((total - own).min(best.len() - 1))? + points)).max()
        };
        best = (0..places).map(|total| of(total).unwrap_or_default()).collect();
    }
    best.last().copied().unwrap_or_default()
}

impl Literals {
    fn hold(&self, has: &[Tri]) -> Tri {
        let of = |symbol: &usize| has.get(*symbol).copied().unwrap_or(Tri::No);
        let listed = Tri::of_lists(self.all.iter().map(of), self.any.iter().map(of), self.none.iter().map(of));
        let counted = |(wanted, symbols): &(usize, Vec<usize>)| Tri::at_least(*wanted, symbols.iter().map(of));
        listed.min(self.count.as_ref().map_or(Tri::Yes, counted))
    }

    /// Findings that it needs at least beside those that are there: of several reasons the greatest, because one
    /// finding may serve more than one of them.
    fn needs(&self, model: &Model<'_>, has: &[Tri]) -> usize {
        let is = |symbol: &usize| has.get(*symbol) == Some(&Tri::Yes);
        let costs = |symbol: &usize| !is(symbol) && model.symbols.get(*symbol).is_some_and(|entry| entry.is_counted);
        let free = |symbol: &usize| has.get(*symbol) == Some(&Tri::Maybe) && !costs(symbol);
        let all = self
            .all
            .iter()
            .enumerate()
            .filter(|(at, symbol)| costs(symbol) && !self.all.iter().take(*at).any(|other| other == *symbol));
        let any = !self.any.is_empty() && !self.any.iter().any(|symbol| is(symbol) || free(symbol));
        let count = self.count.as_ref().map_or(0, |(wanted, symbols)| {
            wanted.saturating_sub(symbols.iter().filter(|symbol| is(symbol) || free(symbol)).count())
        });
        all.count().max(usize::from(any)).max(count)
    }

    /// How many of its parts do not hold.
    pub(super) fn missing(&self, has: &[Tri]) -> usize {
        let is = |symbol: &usize| has.get(*symbol) == Some(&Tri::Yes);
        let all = self.all.iter().filter(|symbol| !is(symbol)).count();
        let any = usize::from(!self.any.is_empty() && !self.any.iter().any(is));
        all + any + self.none.iter().filter(|symbol| is(symbol)).count()
    }
}

impl Test {
    pub(super) fn holds(&self, looks: &[Look]) -> Tri {
        let Some(look) = looks.get(self.lens) else { return Tri::No };
        let reaches = |limit: i64| match (look.low >= limit, look.high >= limit) {
            (true, _) => Tri::Yes,
            (false, true) => Tri::Maybe,
            (false, false) => Tri::No,
        };
        let reached = self.at_least.map_or(Tri::Yes, reaches);
        let stays_below = self.below.map_or(Tri::Yes, |limit| !reaches(limit));
        Tri::all([self.literals.hold(&look.has), reached, stays_below])
    }
}

pub(super) fn holds(model: &Model<'_>, looks: &[Look]) -> Tri {
    let wanted = model.wanted.iter().map(|test| test.holds(looks));
    let unwanted = model.unwanted.iter().map(|test| !test.holds(looks));
    Tri::all(wanted.chain(unwanted))
}
