//! Weights fitted to labelled mail: pure mathematics over what checks found in each message.
//!
//! What is wanted is little ham above the mark, and then as much spam above it as can be. The loss is logistic: it
//! asks ham to stay a margin below the mark, spam to be one above, and ham to stay far from where mail is refused. A
//! quadratic pull holds each weight to what it is now. Limits keep a weight from changing its sign, from moving further
//! than somebody can review, and from growing beyond the cap of its group; the caps themselves are kept as they are
//! and are part of the score, as on the scorecard.
//!
//! What was learnt is measured on mail of sources that it was not learnt from ([`folds`]): mail of one source has
//! habits of its own, and weights that know them look better than they are.

pub mod descent;
pub mod folds;
pub mod measure;
pub mod text;

use std::collections::BTreeMap;

use crate::scoring::{Symbol, Weights};
use crate::units::Percent;

/// One symbol whose weight is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub symbol: Symbol,
    /// What it weighs now, in hundredths of a point.
    pub weight: i32,
    /// Its group, by its place among the caps.
    pub group: Option<usize>,
    /// Its weight must not change.
    pub is_fixed: bool,
}

/// What checks found in one message, and what the message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Unwanted.
    pub is_spam: bool,
    /// Where it comes from.
    pub source: usize,
    /// Features by their place, each once, with their strength in percent.
    pub found: Vec<(usize, u8)>,
}

/// All that weights are fitted to.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    /// In the order of their names.
    pub features: Vec<Feature>,
    /// Caps of groups, in hundredths of a point.
    pub caps: Vec<i32>,
    /// The messages.
    pub examples: Vec<Example>,
    /// Names of the sources.
    pub sources: Vec<String>,
    places: BTreeMap<Symbol, usize>,
}

/// How far weights may go, and what is wanted. Points, but where it is said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Wishes {
    /// Mail with so many points is marked.
    pub tag: f64,
    /// Mail with so many points is refused.
    pub reject: f64,
    /// How far from `tag` a message should be on its side.
    pub margin: f64,
    /// What all ham above the mark costs, if all spam below it costs one.
    pub ham_cost: f64,
    /// What it costs to change one weight by as much as it is.
    pub pull: f64,
    /// How far a weight may move at least, and
    pub step: f64,
    /// by which share of itself, if that is further.
    pub step_share: f64,
    /// Messages in which a symbol must be found so that its weight moves at all.
    pub support: usize,
    /// Weights are multiples of this, in hundredths of a point.
    pub grain: i32,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            tag: 5.0,
            reject: 15.0,
            margin: 1.0,
            ham_cost: 10.0,
            pull: 0.001,
            step: 0.5,
            step_share: 0.5,
            support: 20,
            grain: 5,
        }
    }
}

impl Mail {
    /// No message yet. Symbols that count in shadow only do not count here.
    pub fn new(weights: &Weights) -> Self {
        let counted = weights.symbols().filter(|(_, weighed)| !weighed.shadow);
        let features: Vec<Feature> = counted
            .map(|(symbol, weighed)| Feature {
                symbol: symbol.clone(),
                weight: weighed.weight.get(),
                group: weighed.group,
                is_fixed: weighed.weight.get() == 0,
            })
            .collect();
        let places = features.iter().enumerate().map(|(place, feature)| (feature.symbol.clone(), place)).collect();
        let caps = weights.groups().iter().map(|group| group.cap.get().saturating_abs()).collect();
        Self { features, caps, examples: Vec::new(), sources: Vec::new(), places }
    }

    /// Adds one message. Symbols that nobody weighs are left out; of one that was found twice the stronger counts.
    pub fn add(&mut self, source: &str, is_spam: bool, found: impl IntoIterator<Item = (Symbol, Percent)>) {
        let mut strengths: BTreeMap<usize, u8> = BTreeMap::new();
        for (symbol, strength) in found {
            if let Some(place) = self.places.get(&symbol) {
                let known = strengths.entry(*place).or_default();
                *known = strength.get().max(*known);
            }
        }
        let known = self.sources.iter().position(|name| name == source);
        let source = known.unwrap_or_else(|| {
            self.sources.push(source.to_owned());
            self.sources.len() - 1
        });
        self.examples.push(Example { is_spam, source, found: strengths.into_iter().collect() });
    }

    /// Keeps the weight of `symbol` as it is; false if nobody knows it.
    pub fn fix(&mut self, symbol: &Symbol) -> bool {
        let feature = self.places.get(symbol).and_then(|place| self.features.get_mut(*place));
        feature.map(|feature| feature.is_fixed = true).is_some()
    }

    /// The weights of now.
    pub fn weights(&self) -> Vec<i32> {
        self.features.iter().map(|feature| feature.weight).collect()
    }

    /// The score of a message by `weights`, in hundredths of a point: what the scorecard says.
    pub fn score(&self, weights: &[i32], example: &Example) -> i32 {
        let mut sums = vec![0_i64; self.caps.len() + 1];
        for (place, strength) in &example.found {
            let (Some(weight), Some(feature)) = (weights.get(*place), self.features.get(*place)) else { continue };
            let slot = feature.group.unwrap_or(self.caps.len());
            if let Some(sum) = sums.get_mut(slot) {
                *sum += i64::from(*weight) * i64::from(*strength) / 100;
            }
        }
        let capped = sums.iter().enumerate().map(|(slot, sum)| match self.caps.get(slot) {
            Some(cap) => (*sum).clamp(-i64::from(*cap), i64::from(*cap)),
            None => *sum,
        });
        i32::try_from(capped.sum::<i64>()).unwrap_or(i32::MAX)
    }

    /// In how many messages each feature was found.
    pub fn support<'a>(&self, examples: impl IntoIterator<Item = &'a Example>) -> Vec<usize> {
        let mut support = vec![0; self.features.len()];
        for (place, _) in examples.into_iter().flat_map(|example| &example.found) {
            if let Some(count) = support.get_mut(*place) {
                *count += 1;
            }
        }
        support
    }
}

impl Wishes {
    /// Between which weights, in points, a feature may move that was found in `support` messages.
    pub fn limits(&self, feature: &Feature, caps: &[i32], support: usize) -> (f64, f64) {
        let now = f64::from(feature.weight) / 100.0;
        if feature.is_fixed || feature.weight == 0 || support < self.support {
            return (now, now);
        }
        let size = now.abs();
        let step = self.step.max(self.step_share * size);
        // Nearly nothing still has a sign, so that it may grow again.
        let least = (size - step).max((f64::from(self.grain) / 100.0).min(size));
        let cap = feature.group.and_then(|group| caps.get(group)).map_or(f64::INFINITY, |cap| f64::from(*cap) / 100.0);
        let most = (size + step).min(cap.max(size));
        if now > 0.0 { (least, most) } else { (-most, -least) }
    }

    /// Multiples of the grain, in hundredths of a point; what did not move stays as it is, whatever it is.
    pub fn rounded(&self, mail: &Mail, fitted: &[f64]) -> Vec<i32> {
        let grain = self.grain.max(1);
        let round = |(feature, fitted): (&Feature, &f64)| {
            let moved = (fitted * 100.0 - f64::from(feature.weight)).abs() * 2.0 >= f64::from(grain);
            match moved {
                false => feature.weight,
                true => (fitted * 100.0 / f64::from(grain)).round() as i32 * grain,
            }
        };
        mail.features.iter().zip(fitted).map(round).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
