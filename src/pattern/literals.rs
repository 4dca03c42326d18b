//! What every match of an expression must contain.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

/// Octets of the shortest literal worth looking for.
const SHORTEST: usize = 3;
/// Literals of one pattern, at most.
const MOST: usize = 200;
/// Members of one class that are still told apart.
const CLASS_MOST: usize = 12;
/// Octets of a literal that are looked for; more tells nothing.
const LONGEST: usize = 24;

/// Strings, in lower case, one of which must occur.
type Literals = BTreeSet<Vec<u8>>;

/// What is known of a part of an expression.
struct Known {
    /// All that it can match, if that is little.
    exact: Option<Literals>,
    /// One of these occurs in all that it matches.
    required: Option<Literals>,
}

/// Strings in lower case of which every match contains one; none if there are none worth looking for.
pub(super) fn required(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let known = known(hir);
    let required = better(known.required, known.exact)?;
    worth(&required)?;
    Some(required.into_iter().collect())
}

fn known(hir: &Hir) -> Known {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => exactly(Literals::from([Vec::new()])),
        HirKind::Literal(literal) => exactly(Literals::from([literal.0.to_ascii_lowercase()])),
        HirKind::Class(class) => Known { exact: members(class), required: None },
        HirKind::Capture(capture) => known(&capture.sub),
        HirKind::Repetition(repetition) => repeated(repetition),
        HirKind::Concat(parts) => in_a_row(parts),
        HirKind::Alternation(ways) => one_of(ways),
    }
}

fn exactly(literals: Literals) -> Known {
    Known { exact: Some(literals), required: None }
}

fn members(class: &Class) -> Option<Literals> {
    let mut members = Literals::new();
    match class {
        Class::Unicode(class) => {
            for range in class.iter() {
                if u32::from(range.end()) - u32::from(range.start()) > CLASS_MOST as u32 * 2 {
                    return None;
                }
                members.extend((range.start()..=range.end()).map(|c| c.to_ascii_lowercase().to_string().into_bytes()));
            }
        }
        Class::Bytes(class) => {
            for range in class.iter() {
                members.extend((range.start()..=range.end()).map(|octet| vec![octet.to_ascii_lowercase()]));
            }
        }
    }
    (members.len() <= CLASS_MOST).then_some(members)
}

fn repeated(repetition: &Repetition) -> Known {
    let sub = known(&repetition.sub);
    if repetition.min == 0 {
        let mut exact = sub.exact.filter(|_| repetition.max == Some(1));
        if let Some(exact) = &mut exact {
            exact.insert(Vec::new());
        }
        return Known { exact, required: None };
    }
    // As often as it must come, it comes in a row.
    let mut row = sub.exact.clone();
    for _ in 1..repetition.min.min(LONGEST as u32) {
        row = row.and_then(|row| sub.exact.as_ref().and_then(|exact| product(&row, exact)));
    }
    let is_fixed = repetition.max == Some(repetition.min) && repetition.min < LONGEST as u32;
    match (row, is_fixed) {
        (Some(row), true) => Known { exact: Some(row), required: sub.required },
        (row, _) => Known { exact: None, required: better(better(sub.required, sub.exact), row) },
    }
}

fn in_a_row(parts: &[Hir]) -> Known {
    let mut required = None;
    let mut is_exact = true;
    let mut row = Literals::from([Vec::new()]);
    for part in parts {
        let known = known(part);
        required = better(required, known.required);
        match known.exact {
            Some(exact) => match product(&row, &exact) {
                Some(longer) => row = longer,
                None => {
                    required = better(better(required, Some(row)), Some(exact.clone()));
                    row = exact;
                    is_exact = false;
                }
            },
            None => {
                required = better(required, Some(std::mem::replace(&mut row, Literals::from([Vec::new()]))));
                is_exact = false;
            }
        }
    }
    match is_exact {
        true => Known { exact: Some(row), required },
        false => Known { exact: None, required: better(required, Some(row)) },
    }
}

fn one_of(ways: &[Hir]) -> Known {
    let known: Vec<Known> = ways.iter().map(known).collect();
    let union = |sets: Vec<Option<Literals>>| -> Option<Literals> {
        let mut all = Literals::new();
        for set in sets {
            all.extend(set?);
            if all.len() > MOST {
                return None;
            }
        }
        Some(all)
    };
    let exact = union(known.iter().map(|known| known.exact.clone()).collect());
    let required = union(known.into_iter().map(|known| better(known.required, known.exact)).collect());
    Known { exact, required }
}

/// All of `left` followed by all of `right`, if that is still little.
fn product(left: &Literals, right: &Literals) -> Option<Literals> {
    if left.len() * right.len() > MOST {
        return None;
    }
    let longest = |set: &Literals| set.iter().map(Vec::len).max().unwrap_or_default();
    if longest(left) + longest(right) > LONGEST && longest(left).min(longest(right)) > 0 {
        return None;
    }
    Some(left.iter().flat_map(|left| right.iter().map(|right| [&left[..], &right[..]].concat())).collect())
}

/// The set that is the rarer in texts.
fn better(left: Option<Literals>, right: Option<Literals>) -> Option<Literals> {
    match (left, right) {
        (Some(left), Some(right)) => Some(if worth(&right) > worth(&left) { right } else { left }),
        (left, right) => left.or(right),
    }
}

/// How rare a set is: by its shortest literal, then by how few they are. None if it says nothing.
fn worth(literals: &Literals) -> Option<(usize, isize)> {
    let shortest = literals.iter().map(|literal| telling(literal)).min()?;
    (shortest >= SHORTEST).then_some((shortest.min(8), -(literals.len() as isize)))
}

/// How much of a literal tells something: white space is everywhere.
fn telling(literal: &[u8]) -> usize {
    literal.iter().filter(|octet| !octet.is_ascii_whitespace()).count()
}
