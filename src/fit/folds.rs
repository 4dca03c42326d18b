//! What weights are worth on mail that they were not learnt from.

use super::measure::Measure;
use super::{Example, Mail, Wishes, descent};

/// How mail was divided to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// Each source is in one part.
    BySource(usize),
    /// There are too few sources: messages are divided as they come.
    ByMessage(usize),
}

/// Measures of weights that were each learnt without the mail that they are measured on.
#[derive(Clone, Debug)]
pub struct Validation {
    /// Into how many parts of what.
    pub division: Division,
    /// All parts together.
    pub whole: Measure,
}

/// Divides mail into `folds` parts, fits without each, and measures on it.
pub fn validate(mail: &Mail, wishes: &Wishes, folds: usize) -> Validation {
    let (division, parts) = divide(mail, folds);
    let count = match division {
        Division::BySource(count) | Division::ByMessage(count) => count,
    };
    let mut scores = Vec::with_capacity(mail.examples.len());
    for part in 0..count {
        let is_inside = |index: usize| parts.get(index) == Some(&part);
        let others: Vec<&Example> =
            mail.examples.iter().enumerate().filter(|(index, _)| !is_inside(*index)).map(|(_, one)| one).collect();
        let weights = wishes.rounded(mail, &descent::fit(mail, &others, wishes));
        let inside = mail.examples.iter().enumerate().filter(|(index, _)| is_inside(*index));
        scores.extend(inside.map(|(_, example)| (mail.score(&weights, example), example.is_spam)));
    }
    Validation { division, whole: measure(&scores, wishes) }
}

/// The measure of `weights` on all mail.
pub fn measured(mail: &Mail, wishes: &Wishes, weights: &[i32]) -> Measure {
    let scores: Vec<_> = mail.examples.iter().map(|example| (mail.score(weights, example), example.is_spam)).collect();
    measure(&scores, wishes)
}

fn measure(scores: &[(i32, bool)], wishes: &Wishes) -> Measure {
    Measure::of(scores, (wishes.tag * 100.0).round() as i32, (wishes.reject * 100.0).round() as i32)
}

/// The part of each message. Sources go, largest first, where there is least mail so far.
fn divide(mail: &Mail, folds: usize) -> (Division, Vec<usize>) {
    let folds = folds.max(2);
    if mail.sources.len() < 3 {
        let parts = (0..mail.examples.len()).map(|index| index % folds).collect();
        return (Division::ByMessage(folds), parts);
    }
    let folds = folds.min(mail.sources.len());
    let mut sizes = vec![0_usize; mail.sources.len()];
    for example in &mail.examples {
        if let Some(size) = sizes.get_mut(example.source) {
            *size += 1;
        }
    }
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|source| std::cmp::Reverse(sizes.get(*source).copied()));
    let (mut filled, mut part_of) = (vec![0_usize; folds], vec![0; sizes.len()]);
    for source in order {
        let least = filled.iter().enumerate().min_by_key(|(_, size)| **size).map_or(0, |(part, _)| part);
        if let (Some(part), Some(filled)) = (part_of.get_mut(source), filled.get_mut(least)) {
            *part = least;
            *filled += sizes.get(source).copied().unwrap_or_default();
        }
    }
    let part = |example: &Example| part_of.get(example.source).copied().unwrap_or_default();
    (Division::BySource(folds), mail.examples.iter().map(part).collect())
}

#[cfg(test)]
mod tests {
    use super::super::tests::mail;
    use super::*;

    #[test]
    fn a_source_is_in_one_part_alone() {
        let mail = mail(300, 7);
        let (division, parts) = divide(&mail, 5);
        assert_eq!(division, Division::BySource(5));
        for (example, part) in mail.examples.iter().zip(&parts) {
            let of_source = mail.examples.iter().zip(&parts).filter(|(other, _)| other.source == example.source);
            assert!(of_source.into_iter().all(|(_, other)| other == part));
        }
        assert!((0..5).all(|part| parts.contains(&part)));
    }
}
