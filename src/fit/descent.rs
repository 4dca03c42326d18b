//! Finds the weights: one after the other, each as far as the loss bounds its curve, until nothing moves.

use super::{Example, Mail, Wishes};

/// Rounds over all weights; ten usually do.
const ROUNDS: usize = 200;
/// A round in which no weight moved further than this, in points, was the last one.
const STILL: f64 = 0.001;
/// The curve of the logistic function bends no more than this.
const CURVATURE: f64 = 0.25;

/// One term of the loss: `weight * log(1 + exp(sign * (score - at)))`.
#[derive(Clone, Copy, Debug)]
struct Term {
    weight: f64,
    sign: f64,
    at: f64,
}

/// A message while weights move.
struct Row<'m> {
    example: &'m Example,
    /// Sums of its groups before the cap; the last one is of what has no group.
    sums: Vec<f64>,
    score: f64,
    terms: [Term; 2],
}

/// Weights in points that fit `examples` best, each within its limits. The same mail gives the same weights.
pub fn fit(mail: &Mail, examples: &[&Example], wishes: &Wishes) -> Vec<f64> {
    let now: Vec<f64> = mail.features.iter().map(|feature| f64::from(feature.weight) / 100.0).collect();
    let support = mail.support(examples.iter().copied());
    let mut rows = rows(mail, examples, wishes, &now);
    let mut found: Vec<Vec<(usize, f64)>> = vec![Vec::new(); now.len()];
    for (index, row) in rows.iter().enumerate() {
        for (place, strength) in &row.example.found {
            if let Some(list) = found.get_mut(*place) {
                list.push((index, f64::from(*strength) / 100.0));
            }
        }
    }
    let mut weights = now.clone();
    for _ in 0..ROUNDS {
        let mut furthest = 0.0_f64;
        for (place, feature) in mail.features.iter().enumerate() {
            let (Some(weight), Some(list), Some(origin)) = (weights.get_mut(place), found.get(place), now.get(place))
            else {
                continue;
            };
            let limits = wishes.limits(feature, &mail.caps, support.get(place).copied().unwrap_or_default());
            if limits.0 >= limits.1 {
                continue;
            }
            let slot = feature.group.unwrap_or(mail.caps.len());
            let pull = wishes.pull / origin.abs().max(0.5).powi(2);
            let step = step(&rows, list, slot, &mail.caps, pull, *weight - origin);
            let wanted = (*weight + step).clamp(limits.0, limits.1) - *weight;
            let moved = descend(&mut rows, list, slot, &mail.caps, pull, *weight - origin, wanted);
            *weight += moved;
            furthest = furthest.max(moved.abs());
        }
        if furthest < STILL {
            break;
        }
    }
    weights
}

/// The step to the lowest point of a parabola that lies above the loss.
fn step(rows: &[Row<'_>], list: &[(usize, f64)], slot: usize, caps: &[i32], pull: f64, away: f64) -> f64 {
    let (mut slope, mut bend) = (2.0 * pull * away, 2.0 * pull);
    for (index, strength) in list {
        let Some(row) = rows.get(*index) else { continue };
        let is_capped = cap(caps, slot).is_some_and(|cap| row.sums.get(slot).is_some_and(|sum| sum.abs() > cap));
        if is_capped {
            continue;
        }
        for term in row.terms {
            slope += term.slope(row.score) * strength;
            bend += term.weight * CURVATURE * strength * strength;
        }
    }
    if bend > 0.0 { -slope / bend } else { 0.0 }
}

/// Moves by `wanted`, or by less where a cap bends the loss so that it would grow. Returns how far.
fn descend(
    rows: &mut [Row<'_>],
    list: &[(usize, f64)],
    slot: usize,
    caps: &[i32],
    pull: f64,
    away: f64,
    wanted: f64,
) -> f64 {
    let mut moved = wanted;
    for _ in 0..6 {
        if moved.abs() < STILL / 10.0 {
            return 0.0;
        }
        let mut change = pull * ((away + moved).powi(2) - away.powi(2));
        for (index, strength) in list {
            let Some(row) = rows.get(*index) else { continue };
            let score = row.score_after(slot, caps, moved * strength);
            change += row.loss(score) - row.loss(row.score);
        }
        if change <= 0.0 {
            for (index, strength) in list {
                if let Some(row) = rows.get_mut(*index) {
                    row.score = row.score_after(slot, caps, moved * strength);
                    if let Some(sum) = row.sums.get_mut(slot) {
                        *sum += moved * strength;
                    }
                }
            }
            return moved;
        }
        moved /= 2.0;
    }
    0.0
}

fn cap(caps: &[i32], slot: usize) -> Option<f64> {
    caps.get(slot).map(|cap| f64::from(*cap) / 100.0)
}

fn capped(caps: &[i32], slot: usize, sum: f64) -> f64 {
    cap(caps, slot).map_or(sum, |cap| sum.clamp(-cap, cap))
}

impl Row<'_> {
    fn score_after(&self, slot: usize, caps: &[i32], change: f64) -> f64 {
        let sum = self.sums.get(slot).copied().unwrap_or_default();
        self.score + capped(caps, slot, sum + change) - capped(caps, slot, sum)
    }

    fn loss(&self, score: f64) -> f64 {
        self.terms.iter().map(|term| term.loss(score)).sum()
    }
}

impl Term {
    fn loss(self, score: f64) -> f64 {
        let over = self.sign * (score - self.at);
        // log(1 + exp(over)), without overflow.
        self.weight * (over.max(0.0) + (-over.abs()).exp().ln_1p())
    }

    fn slope(self, score: f64) -> f64 {
        let over = self.sign * (score - self.at);
        self.weight * self.sign / (1.0 + (-over).exp())
    }
}

fn rows<'m>(mail: &Mail, examples: &[&'m Example], wishes: &Wishes, weights: &[f64]) -> Vec<Row<'m>> {
    let shares = shares(mail, examples);
    let none = Term { weight: 0.0, sign: 1.0, at: 0.0 };
    let terms = |is_spam: bool, share: f64| match is_spam {
        true => [Term { weight: share, sign: -1.0, at: wishes.tag + wishes.margin }, none],
        false => {
            let weight = share * wishes.ham_cost;
            let marked = Term { weight, sign: 1.0, at: wishes.tag - wishes.margin };
            // To refuse ham is worse by far than to mark it.
            [marked, Term { weight: 10.0 * weight, sign: 1.0, at: wishes.reject - wishes.margin }]
        }
    };
    let row = |(example, share): (&&'m Example, f64)| {
        let mut sums = vec![0.0; mail.caps.len() + 1];
        for (place, strength) in &example.found {
            let group = mail.features.get(*place).and_then(|feature| feature.group).unwrap_or(mail.caps.len());
            if let (Some(sum), Some(weight)) = (sums.get_mut(group), weights.get(*place)) {
                *sum += weight * f64::from(*strength) / 100.0;
            }
        }
        let score = sums.iter().enumerate().map(|(slot, sum)| capped(&mail.caps, slot, *sum)).sum();
        Row { example, sums, score, terms: terms(example.is_spam, share) }
    };
    examples.iter().zip(shares).map(row).collect()
}

/// What each message counts: ham and spam one in all, and of each the sources by the square root of their size, so
/// that a large one does not drown the others.
fn shares(mail: &Mail, examples: &[&Example]) -> Vec<f64> {
    let mut sizes = vec![[0_usize; 2]; mail.sources.len()];
    let size = |sizes: &[[usize; 2]], example: &Example| {
        sizes.get(example.source).map_or(1, |sizes| sizes[usize::from(example.is_spam)].max(1))
    };
    for example in examples {
        if let Some(sizes) = sizes.get_mut(example.source) {
            sizes[usize::from(example.is_spam)] += 1;
        }
    }
    let raw: Vec<f64> = examples.iter().map(|example| 1.0 / (size(&sizes, example) as f64).sqrt()).collect();
    let total = |is_spam: bool| {
        let of_class = examples.iter().zip(&raw).filter(|(example, _)| example.is_spam == is_spam);
        of_class.map(|(_, raw)| raw).sum::<f64>().max(f64::MIN_POSITIVE)
    };
    let totals = [total(false), total(true)];
    examples.iter().zip(&raw).map(|(example, raw)| raw / totals[usize::from(example.is_spam)]).collect()
}
