//! Branch and bound: what is certain of a part of all possibilities is read from bounds; where they leave it
//! open, the part is cut in two.

use std::cmp::Reverse;

use super::bounds::{Look, Range, holds, look_all};
use super::example::{simplest, smallest, walk};
use super::model::{Literals, Model};
use crate::facts::Stage;
use crate::scoring::Tri;

/// Parts that are looked at for one question.
const MOST_PARTS: usize = 3_000;
/// After so many parts the first walk, and then ever more rarely: a walk costs as much as hundreds of parts, and is
/// only needed where an example must hit a narrow band of points.
const FIRST_WALK: usize = 500;

/// What a search came to.
pub(super) enum Found {
    /// There is none.
    Nothing,
    /// By atom: its strength, if it is there.
    Example(Vec<Option<u8>>),
    /// The bound was reached.
    TooMuch,
}

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

/// Draws conclusions; false if the part is empty.
pub(super) fn narrow(model: &Model<'_>, part: &mut [Range]) -> bool {
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

/// The atom to cut next. First what must hold, then what must not; of each, one that an open condition asks for
/// before the one with the greatest say in an open score.
fn undecided(model: &Model<'_>, part: &[Range], looks: &[Look]) -> Option<usize> {
    let is_open = |atom: &usize| part.get(*atom).is_some_and(|range| range.may_be_absent && range.may_be_there);
    let wanted = model.wanted.iter().filter(|test| test.holds(looks) == Tri::Maybe);
    let unwanted = model.unwanted.iter().filter(|test| test.holds(looks) == Tri::Maybe);
    for (open, is_wanted) in [(wanted.collect::<Vec<_>>(), true), (unwanted.collect(), false)] {
        for test in &open {
            let Some(look) = looks.get(test.lens) else { continue };
            if let Some(atom) = open_atom(model, &test.literals, &look.has, &is_open) {
                return Some(atom);
            }
        }
        for test in open.iter().filter(|test| test.at_least.is_some() || test.below.is_some()) {
            let Some((lens, look)) = model.lenses.get(test.lens).zip(looks.get(test.lens)) else { continue };
            let upwards = is_wanted && test.at_least.is_some();
            if let Some(atom) = heaviest(model, part, *lens, upwards).or_else(|| made(model, look, &is_open)) {
                return Some(atom);
            }
        }
    }
    // Nothing that is asked is open: what is left has no say.
    part.iter().position(|range| !range.is_decided())
}

/// The atom with the greatest say in a score. Where points are to be reached (`upwards`), those that add come first:
/// without those that take away the most points are the same, and nothing is decided.
fn heaviest(model: &Model<'_>, part: &[Range], lens: Stage, upwards: bool) -> Option<usize> {
    let seen = model.atoms.iter().zip(part).enumerate().filter(|(_, (atom, _))| atom.from <= lens);
    let say = |index: usize, range: &Range| model.weight(index).abs() * i64::from(range.high - range.low);
    let open = seen.filter(|(_, (_, range))| !range.is_decided());
    let comes_first = |index: usize| !upwards || model.weight(index) > 0;
    let ranked = open.map(|(index, (_, range))| {
        let say = say(index, range);
        (say > 0 && comes_first(index), say, Reverse(index))
    });
    let (_, say, Reverse(index)) = ranked.max()?;
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
