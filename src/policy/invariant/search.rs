//! Branch and bound: what is certain of a part of all possibilities is read from bounds; where they leave it
//! open, the part is cut in two.

use std::cmp::Reverse;

use super::model::{Literals, Model, Origin, Test};
use crate::facts::Stage;
use crate::scoring::Tri;

/// Parts that are looked at for one question.
const MOST_PARTS: usize = 3_000;
/// After so many parts the first walk, and then ever more rarely: a walk costs as much as hundreds of parts, and is
/// only needed where an example must hit a narrow band of points.
const FIRST_WALK: usize = 64;
/// How often the walk towards an example goes over everything that could be changed.
const WALK_ROUNDS: usize = 3;

/// What a search came to.
pub(super) enum Found {
    /// There is none.
    Nothing,
    /// By atom: its strength, if it is there.
    Example(Vec<Option<u8>>),
    /// The bound was reached.
    TooMuch,
}

/// What is still possible for one atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    may_be_absent: bool,
    may_be_there: bool,
    /// Strengths if it is there.
    low: u8,
    high: u8,
}

/// What can be said of everything that a part holds, through one lens.
struct Look {
    has: Vec<Tri>,
    low: i64,
    high: i64,
}

/// How far an example is from being one: conditions first, then points.
type Distance = (usize, i64);

/// Looks for an example.
pub(super) fn search(model: &Model<'_>) -> Found {
    let root: Vec<Range> =
        model.atoms.iter().map(|atom| if atom.is_out { Range::ABSENT } else { Range::FREE }).collect();
    let (mut parts, mut seen, mut next_walk) = (vec![root], 0, FIRST_WALK);
    while let Some(mut part) = parts.pop() {
        if !narrow(model, &mut part) {
            continue;
        }
        let looks = look_all(model, &part);
        if holds(model, &looks) == Tri::No {
            continue;
        }
        if let Some(example) = simplest(model, &part) {
            return Found::Example(smallest(model, example));
        }
        seen += 1;
        if seen >= MOST_PARTS {
            return Found::TooMuch;
        }
        if seen == next_walk {
            next_walk *= 8;
            if let Some(example) = walk(model, &part) {
                return Found::Example(smallest(model, example));
            }
        }
        let Some(atom) = undecided(model, &part, &looks) else { return Found::TooMuch };
        let cuts = part.get(atom).map(|range| range.cut(model.is_read(atom))).unwrap_or_default();
        for cut in cuts {
            let mut smaller = part.clone();
            if let Some(range) = smaller.get_mut(atom) {
                *range = cut;
            }
            parts.push(smaller);
        }
    }
    Found::Nothing
}

impl Range {
    const ABSENT: Self = Self { may_be_absent: true, may_be_there: false, low: 0, high: 0 };
    const FREE: Self = Self { may_be_absent: true, may_be_there: true, low: 0, high: 100 };

    fn there(low: u8, high: u8) -> Self {
        Self { may_be_absent: false, may_be_there: true, low, high }
    }

    fn is_decided(self) -> bool {
        !(self.may_be_absent && self.may_be_there) && self.low == self.high
    }

    fn is_there(self) -> bool {
        !self.may_be_absent
    }

    /// Smaller ranges that together are this one; what is likely to lead to an example comes last.
    fn cut(self, is_read: bool) -> Vec<Self> {
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
}

impl Model<'_> {
    fn is_read(&self, atom: usize) -> bool {
        self.entry_of(atom).is_some_and(|entry| entry.is_read)
    }

    fn weight(&self, atom: usize) -> i64 {
        self.entry_of(atom).map_or(0, |entry| entry.weight)
    }

    fn entry_of(&self, atom: usize) -> Option<&super::model::Entry<'_>> {
        self.atoms.get(atom).and_then(|atom| self.symbols.get(atom.symbol))
    }
}

/// Draws conclusions; false if the part is empty.
fn narrow(model: &Model<'_>, part: &mut [Range]) -> bool {
    for class in &model.classes {
        let there = class.iter().filter(|atom| part.get(**atom).is_some_and(|range| range.is_there())).count();
        match there {
            0 => {}
            1 => exclude(part, class),
            _ => return false,
        }
    }
    let Some(limit) = model.limit else { return true };
    let is_there = |part: &[Range], atoms: &[usize]| {
        atoms.iter().any(|atom| part.get(*atom).is_some_and(|range| range.is_there()))
    };
    let counted = || model.symbols.iter().filter(|entry| entry.is_counted);
    let used = counted().filter(|entry| is_there(part, &entry.atoms)).count();
    if used == limit {
        for entry in counted() {
            if !is_there(part, &entry.atoms) {
                exclude(part, &entry.atoms);
            }
        }
    }
    used <= limit
}

/// Those of `atoms` that need not be there are not.
fn exclude(part: &mut [Range], atoms: &[usize]) {
    for atom in atoms {
        if let Some(range) = part.get_mut(*atom).filter(|range| !range.is_there()) {
            *range = Range::ABSENT;
        }
    }
}

fn look_all(model: &Model<'_>, part: &[Range]) -> Vec<Look> {
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
    // What classes and counted symbols could add is bounded together.
    let mut classes: Vec<Vec<(usize, i64, i64)>> = vec![Vec::new(); model.classes.len()];
    let mut counted: Vec<(usize, i64)> = Vec::new();
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
        match class.and_then(|class| classes.get_mut(class)) {
            _ if entry.is_counted && model.limit.is_some() && known != Tri::Yes => {
                sum.0 += least;
                counted.push((slot, most));
            }
            Some(class) if known == Tri::Maybe => class.push((slot, least, most)),
            _ => {
                sum.0 += least;
                sum.1 += most;
            }
        }
    }
    for class in &classes {
        for slot in 0..=groups {
            let of_slot = || class.iter().filter(|(other, _, _)| *other == slot);
            if let Some(sum) = sums.get_mut(slot) {
                sum.0 += of_slot().map(|(_, least, _)| *least).min().unwrap_or_default().min(0);
                sum.1 += of_slot().map(|(_, _, most)| *most).max().unwrap_or_default().max(0);
            }
        }
    }
    for (symbol, literals) in &model.composites {
        let Some(entry) = model.symbols.get(*symbol) else { continue };
        // One in shadow may count or not, whatever it is made of.
        let holds = literals.hold(&has).min(if entry.is_shadow { Tri::Maybe } else { Tri::Yes });
        if let Some(slot) = has.get_mut(*symbol) {
            *slot = holds;
        }
        if let Some(sum) = sums.get_mut(entry.group.unwrap_or(groups)) {
            let sure = holds == Tri::Yes;
            sum.0 += if holds == Tri::No { 0 } else { entry.weight.min(if sure { entry.weight } else { 0 }) };
            sum.1 += if holds == Tri::No { 0 } else { entry.weight.max(if sure { entry.weight } else { 0 }) };
        }
    }
    let clamped = |slot: usize, sum: i64| match model.caps.get(slot) {
        Some(cap) => sum.clamp(-cap, *cap),
        None => sum,
    };
    let low = sums.iter().enumerate().map(|(slot, sum)| clamped(slot, sum.0)).sum();
    let mut high: i64 = sums.iter().enumerate().map(|(slot, sum)| clamped(slot, sum.1)).sum();
    // A symbol more adds no more than its group's cap leaves room for.
    let mut more: Vec<i64> = counted
        .iter()
        .map(|(slot, most)| {
            let sum = sums.get(*slot).map_or(0, |sum| sum.1);
            (clamped(*slot, sum + most) - clamped(*slot, sum)).max(0)
        })
        .collect();
    more.sort_unstable_by_key(|most| Reverse(*most));
    let room = model.limit.map_or(usize::MAX, |limit| limit.saturating_sub(used));
    high += more.iter().take(room).sum::<i64>();
    Look { has, low, high }
}

impl Literals {
    fn hold(&self, has: &[Tri]) -> Tri {
        let of = |symbol: &usize| has.get(*symbol).copied().unwrap_or(Tri::No);
        let all = Tri::all(self.all.iter().map(of));
        let any = if self.any.is_empty() { Tri::Yes } else { Tri::any(self.any.iter().map(of)) };
        let none = !Tri::any(self.none.iter().map(of));
        let counted = match &self.count {
            Some((wanted, symbols)) => Tri::at_least(*wanted, symbols.iter().map(of)),
            None => Tri::Yes,
        };
        Tri::all([all, any, none, counted])
    }

    /// How many of its parts do not hold.
    fn missing(&self, has: &[Tri]) -> usize {
        let is = |symbol: &usize| has.get(*symbol) == Some(&Tri::Yes);
        let all = self.all.iter().filter(|symbol| !is(symbol)).count();
        let any = usize::from(!self.any.is_empty() && !self.any.iter().any(is));
        all + any + self.none.iter().filter(|symbol| is(symbol)).count()
    }
}

impl Test {
    fn holds(&self, looks: &[Look]) -> Tri {
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

fn holds(model: &Model<'_>, looks: &[Look]) -> Tri {
    let wanted = model.wanted.iter().map(|test| test.holds(looks));
    let unwanted = model.unwanted.iter().map(|test| !test.holds(looks));
    Tri::all(wanted.chain(unwanted))
}

/// What is not needed is left out: is that an example?
fn simplest(model: &Model<'_>, part: &[Range]) -> Option<Vec<Range>> {
    let fixed: Vec<Range> = part.iter().map(|range| range.fixed()).collect();
    is_example(model, &fixed).then_some(fixed)
}

fn is_example(model: &Model<'_>, fixed: &[Range]) -> bool {
    is_possible(model, fixed) && holds(model, &look_all(model, fixed)) == Tri::Yes
}

fn is_possible(model: &Model<'_>, fixed: &[Range]) -> bool {
    narrow(model, &mut fixed.to_vec())
}

impl Range {
    fn fixed(self) -> Self {
        if self.may_be_absent { Self::ABSENT } else { Self::there(self.high, self.high) }
    }
}

/// The atom to cut next. First what must hold, then what must not; of each, one that an open condition asks for
/// before the one with the greatest say in an open score.
fn undecided(model: &Model<'_>, part: &[Range], looks: &[Look]) -> Option<usize> {
    let is_open = |atom: &usize| part.get(*atom).is_some_and(|range| range.may_be_absent && range.may_be_there);
    let wanted = model.wanted.iter().filter(|test| test.holds(looks) == Tri::Maybe);
    let unwanted = model.unwanted.iter().filter(|test| test.holds(looks) == Tri::Maybe);
    for open in [wanted.collect::<Vec<_>>(), unwanted.collect()] {
        for test in &open {
            let Some(look) = looks.get(test.lens) else { continue };
            if let Some(atom) = open_atom(model, &test.literals, &look.has, &is_open) {
                return Some(atom);
            }
        }
        for test in open.iter().filter(|test| test.at_least.is_some() || test.below.is_some()) {
            let Some((lens, look)) = model.lenses.get(test.lens).zip(looks.get(test.lens)) else { continue };
            if let Some(atom) = heaviest(model, part, *lens).or_else(|| made(model, look, &is_open)) {
                return Some(atom);
            }
        }
    }
    // Nothing that is asked is open: what is left has no say.
    part.iter().position(|range| !range.is_decided())
}

/// The atom with the greatest say in a score.
fn heaviest(model: &Model<'_>, part: &[Range], lens: Stage) -> Option<usize> {
    let seen = model.atoms.iter().zip(part).enumerate().filter(|(_, (atom, _))| atom.from <= lens);
    let say = |index: usize, range: &Range| model.weight(index).abs() * i64::from(range.high - range.low);
    let open = seen.filter(|(_, (_, range))| !range.is_decided());
    let (say, Reverse(index)) = open.map(|(index, (_, range))| (say(index, range), Reverse(index))).max()?;
    (say > 0).then_some(index)
}

/// An atom that a composite with a weight asks for.
fn made(model: &Model<'_>, look: &Look, is_open: &impl Fn(&usize) -> bool) -> Option<usize> {
    let weighs = |symbol: usize| model.symbols.get(symbol).is_some_and(|entry| entry.weight != 0);
    let open = model.composites.iter().filter(|(symbol, _)| look.has.get(*symbol) == Some(&Tri::Maybe));
    open.filter(|(symbol, _)| weighs(*symbol)).find_map(|(_, literals)| open_atom(model, literals, &look.has, is_open))
}

/// An atom that decides one of the symbols that are asked for, those within composites included.
fn open_atom(model: &Model<'_>, literals: &Literals, has: &[Tri], is_open: &impl Fn(&usize) -> bool) -> Option<usize> {
    for symbol in literals.reads().filter(|symbol| has.get(*symbol) == Some(&Tri::Maybe)) {
        let entry = model.symbols.get(symbol)?;
        let within = entry.composite.and_then(|index| model.composites.get(index));
        let atom = match within {
            // Composites stand after those that they read: this ends.
            Some((_, literals)) => open_atom(model, literals, has, is_open),
            None => entry.atoms.iter().copied().find(is_open),
        };
        if atom.is_some() {
            return atom;
        }
    }
    None
}

/// Goes uphill from what is simplest: changes one thing after another as long as that leads nearer to an example.
fn walk(model: &Model<'_>, part: &[Range]) -> Option<Vec<Range>> {
    let mut at: Vec<Range> = part.iter().map(|range| range.fixed()).collect();
    let mut distance = distance(model, &at)?;
    // What is seen late disturbs the clauses of earlier stages least.
    let mut order: Vec<usize> =
        (0..part.len()).filter(|atom| part.get(*atom).is_some_and(|range| !range.is_decided())).collect();
    order.sort_by_key(|atom| {
        (Reverse(model.weight(*atom).abs()), Reverse(model.atoms.get(*atom).map(|atom| atom.from)), *atom)
    });
    for _ in 0..WALK_ROUNDS {
        let before = distance;
        for atom in &order {
            let Some(range) = part.get(*atom).copied() else { continue };
            let middle = range.low + (range.high - range.low) / 2;
            let strengths = [range.high, middle, range.low.max(1).min(range.high)].map(|s| Range::there(s, s));
            let choices = strengths.into_iter().chain(range.may_be_absent.then_some(Range::ABSENT));
            for choice in choices {
                let Some(next) = changed(model, part, &at, *atom, choice) else { continue };
                let Some(nearer) = self::distance(model, &next).filter(|nearer| *nearer < distance) else { continue };
                (at, distance) = (next, nearer);
                if is_example(model, &at) {
                    return Some(at);
                }
            }
        }
        if distance == before {
            return None;
        }
    }
    None
}

/// With one atom changed, and out of its class whoever was there instead.
fn changed(model: &Model<'_>, part: &[Range], at: &[Range], atom: usize, to: Range) -> Option<Vec<Range>> {
    let mut next = at.to_vec();
    if to.is_there()
        && let Some(class) = model.atoms.get(atom)?.class
    {
        let others = model.classes.get(class)?.iter().filter(|other| **other != atom);
        for other in others {
            if part.get(*other)?.may_be_absent {
                *next.get_mut(*other)? = Range::ABSENT;
            }
        }
    }
    *next.get_mut(atom)? = to;
    Some(next)
}

/// `None` if it cannot be at all.
fn distance(model: &Model<'_>, fixed: &[Range]) -> Option<Distance> {
    if !is_possible(model, fixed) {
        return None;
    }
    let looks = look_all(model, fixed);
    let mut distance = (0, 0);
    for test in model.wanted.iter().filter(|test| test.holds(&looks) != Tri::Yes) {
        let look = looks.get(test.lens)?;
        distance.0 += test.literals.missing(&look.has);
        distance.1 += test.at_least.map_or(0, |limit| (limit - look.low).max(0));
        distance.1 += test.below.map_or(0, |limit| (look.low + 1 - limit).max(0));
    }
    for test in model.unwanted.iter().filter(|test| test.holds(&looks) == Tri::Yes) {
        let look = looks.get(test.lens)?;
        let out = [test.at_least.map(|limit| look.low + 1 - limit), test.below.map(|limit| limit - look.low)];
        distance.0 += 1;
        distance.1 += out.into_iter().flatten().min().unwrap_or_default();
    }
    Some(distance)
}

/// Leaves out what the example does not need; what remains is at full strength where it may.
fn smallest(model: &Model<'_>, mut example: Vec<Range>) -> Vec<Option<u8>> {
    for (atom, own) in others(model) {
        let whose = example.clone();
        let pair = example.get_disjoint_mut([atom, own]).ok();
        if let Some([from, to]) = pair.filter(|[from, _]| from.is_there()) {
            if to.is_there() {
                *from = Range::ABSENT;
            } else {
                std::mem::swap(from, to);
            }
        }
        if !is_example(model, &example) {
            example = whose;
        }
    }
    // With the heavy at their most, more of the light can go; and when that has gone, others may be at their most.
    for _ in 0..2 {
        let mut there: Vec<usize> =
            (0..example.len()).filter(|atom| example.get(*atom).is_some_and(|range| range.is_there())).collect();
        there.sort_by_key(|atom| (model.weight(*atom).abs(), *atom));
        for atom in there.iter().rev() {
            set(model, &mut example, *atom, Range::there(100, 100));
        }
        while let Some(at) = there.iter().position(|atom| set(model, &mut example, *atom, Range::ABSENT)) {
            there.remove(at);
        }
    }
    example.iter().map(|range| range.is_there().then_some(range.high)).collect()
}

/// What is found of another recipient, with the same found of the one in question: which is easier to imagine.
fn others(model: &Model<'_>) -> Vec<(usize, usize)> {
    let another = model.atoms.iter().enumerate().filter(|(_, atom)| matches!(atom.origin, Origin::Another(_)));
    let pairs = another.filter_map(|(index, atom)| {
        let mut same = model.symbols.get(atom.symbol)?.atoms.iter().copied();
        let own = same.find(|own| model.atoms.get(*own).is_some_and(|own| matches!(own.origin, Origin::Check(_))))?;
        Some((index, own))
    });
    pairs.collect()
}

/// Changes one atom if that leaves it an example.
fn set(model: &Model<'_>, example: &mut [Range], atom: usize, to: Range) -> bool {
    let Some(before) = example.get(atom).copied() else { return false };
    let mut put = |range: Range| {
        if let Some(place) = example.get_mut(atom) {
            *place = range;
        }
        is_example(model, example)
    };
    let fits = put(to);
    if !fits {
        put(before);
    }
    fits
}
