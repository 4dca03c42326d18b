//! What is said of a message, and how loudly.

use super::calibration::{BINS, Calibration, probability};
use super::features::Features;
use super::learner::{Cell, margin};

/// Features that are named.
const NAMED: usize = 5;

/// What an administrator can set about it (`rules/classifier.toml`).
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Messages of each kind before anything is said.
    pub minimum: u32,
    /// Messages of each kind beyond those, at which half as much is said as of many.
    pub half: u32,
    /// The share of known features at which something is said, and from which on nothing is held back.
    pub familiar: (f64, f64),
    /// Log-odds at which something is said, and at which all is.
    pub log_odds: (f64, f64),
    /// How many times worse it is to take wanted mail for unwanted than the reverse.
    pub caution: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { minimum: 50, half: 50, familiar: (0.2, 0.5), log_odds: (0.5, 18.0), caution: 7.0 }
    }
}

/// To which side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaning {
    /// Unwanted.
    Spam,
    /// Wanted.
    Ham,
}

/// What is said of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Opinion {
    /// To which side it leans.
    pub leaning: Leaning,
    /// How much: 1 to 100.
    pub percent: u8,
    /// How probable it is that the message is unwanted, if as much is unwanted as wanted; without caution.
    pub probability: f64,
    /// The share of its features that are known.
    pub known: f64,
    /// The features that say most for it, as people read them.
    pub strongest: Vec<String>,
}

/// Of a message with these features, whose cells (see [`Features::cells`]) hold `held`. `None`: nothing is said,
/// because too little was learned, too little of it is known, or it could be either.
pub fn opinion(
    settings: &Settings,
    features: &Features,
    cells: &[u32],
    held: &[Cell],
    taught: &[[u32; 2]; BINS],
) -> Option<Opinion> {
    let [ham, spam] = taught.iter().fold([0u64, 0], |[ham, spam], [h, s]| [ham + u64::from(*h), spam + u64::from(*s)]);
    let beyond = ham.min(spam).checked_sub(u64::from(settings.minimum))?;
    let known = held.iter().filter(|cell| cell.is_known()).count() as f64 / held.len().max(1) as f64;
    // Never nothing beyond the minimum, and all of it in the end.
    let grown = (beyond as f64 + f64::from(settings.half)) / (beyond as f64 + 2.0 * f64::from(settings.half).max(0.5));
    let confidence = grown.min(1.0) * ramp(known, settings.familiar);
    let weights: Vec<f32> = held.iter().map(|cell| cell.weight()).collect();
    let log_odds = Calibration::of(taught).log_odds(margin(cells, weights.iter().copied()));
    let leans = (log_odds - settings.caution.max(1.0).ln()) * confidence;
    let percent = (100.0 * ramp(leans.abs(), settings.log_odds)) as u8;
    if percent == 0 {
        return None;
    }
    let leaning = if leans > 0.0 { Leaning::Spam } else { Leaning::Ham };
    let strongest = strongest(features, cells, &weights, leaning);
    Some(Opinion { leaning, percent, probability: probability(log_odds * confidence), known, strongest })
}

/// 0 up to the first, 1 from the second on.
fn ramp(value: f64, (from, to): (f64, f64)) -> f64 {
    ((value - from) / (to - from).max(f64::EPSILON)).clamp(0.0, 1.0)
}

fn strongest(features: &Features, cells: &[u32], weights: &[f32], leaning: Leaning) -> Vec<String> {
    let side = if leaning == Leaning::Spam { 1.0 } else { -1.0 };
    let mut ranked: Vec<(f32, u32)> = cells.iter().zip(weights).map(|(cell, weight)| (weight * side, *cell)).collect();
    ranked.retain(|(weight, _)| *weight > 0.0);
    let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    let most = NAMED.min(ranked.len());
    if most == 0 {
        return Vec::new();
    }
    ranked.select_nth_unstable_by(most - 1, order);
    ranked.truncate(most);
    ranked.sort_unstable_by(order);
    ranked.iter().map(|(_, cell)| features.read(*cell)).collect()
}
