//! Scores are integers (hundredths of a point), so that the order of findings does not matter.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Neg};

use crate::units::Percent;

/// Hundredths of a point; arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Score(i32);

/// The lowest and the highest score that is still possible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Lowest.
    pub low: Score,
    /// Highest.
    pub high: Score,
}

impl Score {
    /// Nothing.
    pub const ZERO: Score = Score(0);

    /// So many hundredths of a point.
    pub const fn hundredths(value: i32) -> Self {
        Self(value)
    }

    /// From points as written in files; refuses what is not finite or beyond +-10,000.
    pub fn from_points(points: f64) -> Result<Self, String> {
        if points.is_finite() && points.abs() <= 10_000.0 {
            Ok(Self((points * 100.0).round() as i32))
        } else {
            Err(format!("`{points}` is no score: it must lie between -10000 and 10000"))
        }
    }

    /// In hundredths.
    pub fn get(self) -> i32 {
        self.0
    }

    /// This weight at that strength, rounded towards zero.
    pub fn scaled(self, strength: Percent) -> Self {
        Self((i64::from(self.0) * i64::from(strength.get()) / 100) as i32)
    }
}

impl Add for Score {
    type Output = Score;
    fn add(self, other: Score) -> Score {
        Score(self.0.saturating_add(other.0))
    }
}

impl Neg for Score {
    type Output = Score;
    fn neg(self) -> Score {
        Score(self.0.saturating_neg())
    }
}

impl Sum for Score {
    fn sum<I: Iterator<Item = Score>>(scores: I) -> Score {
        scores.fold(Score::ZERO, Add::add)
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let value = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", value / 100, value % 100)
    }
}

impl Span {
    /// A known score.
    pub fn exactly(score: Score) -> Self {
        Self { low: score, high: score }
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span { low: self.low + other.low, high: self.high + other.high }
    }
}

impl Sum for Span {
    fn sum<I: Iterator<Item = Span>>(spans: I) -> Span {
        spans.fold(Span::default(), Add::add)
    }
}
