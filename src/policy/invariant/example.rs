//! Examples: the simplest of a part, one found by walking uphill, and what can be left out of one.

use std::cmp::Reverse;

use super::bounds::{Range, holds, look_all};
use super::model::{Model, Origin};
use super::search::narrow;
use crate::scoring::Tri;

/// How often the walk towards an example goes over everything that could be changed.
const WALK_ROUNDS: usize = 3;

/// How far an example is from being one: conditions first, then points.
type Distance = (usize, i64);

/// What is not needed is left out: is that an example?
pub(super) fn simplest(model: &Model<'_>, part: &[Range]) -> Option<Vec<Range>> {
    let fixed: Vec<Range> = part.iter().map(|range| range.fixed()).collect();
    is_example(model, &fixed).then_some(fixed)
}

fn is_example(model: &Model<'_>, fixed: &[Range]) -> bool {
    is_possible(model, fixed) && holds(model, &look_all(model, fixed)) == Tri::Yes
}

fn is_possible(model: &Model<'_>, fixed: &[Range]) -> bool {
    narrow(model, &mut fixed.to_vec())
}

/// Goes uphill from what is simplest: changes one thing after another as long as that leads nearer to an example.
pub(super) fn walk(model: &Model<'_>, part: &[Range]) -> Option<Vec<Range>> {
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
pub(super) fn smallest(model: &Model<'_>, mut example: Vec<Range>) -> Vec<Option<u8>> {
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
