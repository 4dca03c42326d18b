//! The sums and steps of the learner, in whole numbers: a lesson is exact, and so is taking it back.

use super::aspects::Aspect;
use super::features::SIZE;

/// What one point is in the sum of a cell.
pub const UNIT: f64 = (1u64 << 22) as f64;
/// And in its mass, which has finer ones: `1 << MASS_SHIFT` units of a squared step make one of mass.
const MASS_UNIT: f64 = (1u64 << 26) as f64;
const MASS_SHIFT: u32 = 18;
/// Mass that each cell is taken to have from the beginning: what a single small lesson says is not yet certain.
const DOUBT: f64 = 0.00004;
/// No cell says more than this.
pub const LOUDEST: f32 = 2.0;
/// The greatest strength of a lesson.
pub const MOST: f64 = 1.0;
/// What each aspect of a message counts: as they agree with each other, all of them together say about as much as if
/// they were one.
pub const SHARE: f64 = 0.5;

/// What a feature has met with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cell {
    /// The sum of the steps of all lessons: positive is unwanted.
    pub sum: i32,
    /// The sum of their squares.
    pub mass: u32,
}

impl Cell {
    /// What it says: the sum over the root of the mass. Lessons that agree make it louder, as the root of their number;
    /// where they do not it is silent, whatever their number. At most [`LOUDEST`].
    pub fn weight(self) -> f32 {
        let weight = f64::from(self.sum) / UNIT / (f64::from(self.mass) / MASS_UNIT + DOUBT).sqrt();
        (weight as f32).clamp(-LOUDEST, LOUDEST)
    }

    /// With a lesson's step added. What cannot be held stays at the bound.
    #[must_use]
    pub fn with(self, step: i32) -> Self {
        Self { sum: self.sum.saturating_add(step), mass: self.mass.saturating_add(mass(step)) }
    }

    /// With a lesson's step taken back.
    #[must_use]
    pub fn without(self, step: i32) -> Self {
        Self { sum: self.sum.saturating_sub(step), mass: self.mass.saturating_sub(mass(step)) }
    }

    /// True if a lesson had it.
    pub fn is_known(self) -> bool {
        self != Self::default()
    }
}

/// What a step adds to the mass: never nothing, so that two lessons that cancel out leave a trace.
fn mass(step: i32) -> u32 {
    match step {
        0 => 0,
        _ => u32::try_from((i64::from(step).pow(2) >> MASS_SHIFT) + 1).unwrap_or(u32::MAX),
    }
}

/// What a message with these cells comes to, whose `weights` stand in the same order: positive is unwanted. Finite.
/// Each aspect of it counts [`SHARE`] of the sum of its weights over the root of their number.
pub fn margin(cells: &[u32], weights: impl IntoIterator<Item = f32>) -> f64 {
    let mut aspects = [(0.0, 0u32); Aspect::NUMBER];
    for (cell, weight) in cells.iter().zip(weights) {
        if let Some((sum, number)) = aspects.get_mut(Aspect::of(*cell, SIZE.ilog2()) as usize) {
            *sum += f64::from(weight);
            *number += 1;
        }
    }
    aspects.iter().map(|(sum, number)| SHARE * sum / f64::from(*number).max(1.0).sqrt()).sum()
}

/// What a lesson adds to each cell of a message with so many features, given the `margin` that it has without that
/// lesson: the more the more it is mistaken, at most [`MOST`], and never nothing. `taught` is what the same message has
/// added so far; the answer replaces it. Who is asked again goes halfway, so that two messages that are learned again
/// by turns settle.
pub fn lesson(is_spam: bool, margin: f64, taught: Option<i32>, features: usize) -> i32 {
    let root = (features.max(1) as f64).sqrt();
    let side = if is_spam { 1.0 } else { -1.0 };
    let surprise = MOST / (1.0 + (side * margin).exp());
    let strength = taught.map_or(surprise, |taught| {
        let before = (f64::from(taught) * side * root / UNIT).clamp(0.0, MOST);
        f64::midpoint(before, surprise)
    });
    ((strength * UNIT / root).max(1.0) * side) as i32
}
