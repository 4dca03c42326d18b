//! An expression that matches at least where another does, and is cheap to follow in an automaton.
//!
//! What makes automata large is not needed to say "perhaps": how often exactly something repeats, and which of a
//! hundred ways to write one letter stands where. Ends of the text become ends of lines, so that many texts can be
//! read as one, a line end between each.

use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look, Repetition};
use regex_syntax::utf8::Utf8Sequences;

use super::engine::states;

/// A repetition is counted so far.
const COUNTED_MOST: u32 = 5;
/// Octets of a part that is taken as one class per octet.
const SHORT: usize = 4;
/// States of such a part, at least.
const SHORT_STATES: usize = 40;

/// The looser expression.
pub(super) fn loosened(hir: &Hir) -> Hir {
    if let Some(short) = shortened(hir) {
        return short;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) => hir.clone(),
        HirKind::Look(look) => loosened_look(*look),
        HirKind::Capture(capture) => loosened(&capture.sub),
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            min: repetition.min.min(COUNTED_MOST),
            max: repetition.max.filter(|max| *max <= COUNTED_MOST),
            greedy: true,
            sub: Box::new(loosened(&repetition.sub)),
        }),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(loosened).collect()),
        HirKind::Alternation(ways) => Hir::alternation(ways.iter().map(loosened).collect()),
    }
}

/// A look-around as far as automata know it, over many texts in one.
fn loosened_look(look: Look) -> Hir {
    match look {
        Look::Start | Look::StartLF => Hir::look(Look::StartLF),
        Look::End | Look::EndLF => Hir::look(Look::EndLF),
        Look::WordAscii
        | Look::WordAsciiNegate
        | Look::WordStartAscii
        | Look::WordEndAscii
        | Look::WordStartHalfAscii
        | Look::WordEndHalfAscii => Hir::look(look),
        _ => Hir::empty(),
    }
}

/// A part with many short ways, as one class for each octet.
fn shortened(hir: &Hir) -> Option<Hir> {
    let properties = hir.properties();
    let longest = properties.maximum_len().filter(|longest| (1..=SHORT).contains(longest))?;
    let is_class = matches!(hir.kind(), HirKind::Literal(_) | HirKind::Class(Class::Bytes(_)));
    if is_class || states(hir) < SHORT_STATES {
        return None;
    }
    let shape = Shape::of(hir)?;
    if shape.least == 0 || shape.octets.len() > longest {
        return None;
    }
    let mut rest = Hir::empty();
    for (at, octets) in shape.octets.iter().enumerate().rev() {
        let one = Hir::concat(vec![octets.class(), rest]);
        let is_sure = at < shape.least;
        rest = if is_sure {
            one
        } else {
            Hir::repetition(Repetition { min: 0, max: Some(1), greedy: true, sub: Box::new(one) })
        };
    }
    Some(rest)
}

/// Which octets can stand where in what a part matches.
struct Shape {
    least: usize,
    octets: Vec<Octets>,
}

impl Shape {
    fn of(hir: &Hir) -> Option<Self> {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Some(Self { least: 0, octets: Vec::new() }),
            HirKind::Literal(literal) => {
                let octets = literal.0.iter().map(|octet| Octets::default().with(*octet, *octet)).collect();
                Some(Self { least: literal.0.len(), octets })
            }
            HirKind::Class(class) => Some(Self::of_class(class)),
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Repetition(repetition) => {
                let sub = Self::of(&repetition.sub)?;
                let times = repetition.max.filter(|max| *max as usize <= SHORT)?;
                let mut all = Self { least: 0, octets: Vec::new() };
                for _ in 0..times {
                    all = all.followed_by(&sub)?;
                }
                all.least = sub.least * repetition.min as usize;
                Some(all)
            }
            HirKind::Concat(parts) => parts
                .iter()
                .try_fold(Self { least: 0, octets: Vec::new() }, |all, part| all.followed_by(&Self::of(part)?)),
            HirKind::Alternation(ways) => {
                let mut ways = ways.iter().map(Self::of);
                let first = ways.next()??;
                ways.try_fold(first, |all, way| Some(all.or(&way?)))
            }
        }
    }

    fn of_class(class: &Class) -> Self {
        match class {
            Class::Bytes(class) => {
                let octets = class.iter().fold(Octets::default(), |set, range| set.with(range.start(), range.end()));
                Self { least: 1, octets: vec![octets] }
            }
            Class::Unicode(class) => {
                let mut shape = Self { least: SHORT, octets: Vec::new() };
                for sequence in class.iter().flat_map(|range| Utf8Sequences::new(range.start(), range.end())) {
                    shape.least = shape.least.min(sequence.len());
                    for (at, range) in sequence.as_slice().iter().enumerate() {
                        if shape.octets.len() <= at {
                            shape.octets.push(Octets::default());
                        }
                        shape.octets[at] = std::mem::take(&mut shape.octets[at]).with(range.start, range.end);
                    }
                }
                shape
            }
        }
    }

    fn followed_by(&self, next: &Self) -> Option<Self> {
        let longest = self.octets.len() + next.octets.len();
        if longest > SHORT {
            return None;
        }
        let mut octets = self.octets.clone();
        octets.resize(longest, Octets::default());
        for start in self.least..=self.octets.len() {
            for (at, set) in next.octets.iter().enumerate() {
                octets[start + at] = octets[start + at].and(set);
            }
        }
        Some(Self { least: self.least + next.least, octets })
    }

    fn or(&self, other: &Self) -> Self {
        let longest = self.octets.len().max(other.octets.len());
        let of = |shape: &Self, at: usize| shape.octets.get(at).cloned().unwrap_or_default();
        let octets = (0..longest).map(|at| of(self, at).and(&of(other, at))).collect();
        Self { least: self.least.min(other.least), octets }
    }
}

/// A set of octets.
#[derive(Clone, Default)]
struct Octets([u64; 4]);

impl Octets {
    fn with(mut self, from: u8, to: u8) -> Self {
        for octet in from..=to {
            self.0[usize::from(octet / 64)] |= 1 << (octet % 64);
        }
        self
    }

    fn and(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.0.iter_mut().zip(other.0).for_each(|(one, other)| *one |= other);
        all
    }

    fn class(&self) -> Hir {
        let is_in = |octet: &u8| self.0[usize::from(octet / 64)] & (1 << (octet % 64)) != 0;
        let ranges = (0..=u8::MAX).filter(is_in).map(|octet| ClassBytesRange::new(octet, octet));
        Hir::class(Class::Bytes(ClassBytes::new(ranges)))
    }
}
