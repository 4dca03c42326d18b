//! Numbers of which it is only known between which two they lie.

use std::ops::{Neg, Not};

/// All numbers between two, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Interval {
    least: f64,
    most: f64,
}

impl Interval {
    /// Nothing is known.
    pub(super) const ANY: Self = Self { least: f64::NEG_INFINITY, most: f64::INFINITY };

    /// One number.
    pub(super) fn of(number: f64) -> Self {
        Self::between(number, number)
    }

    /// From one to another; all if there is something that is no number.
    pub(super) fn between(least: f64, most: f64) -> Self {
        if least.is_nan() || most.is_nan() { Self::ANY } else { Self { least, most } }
    }

    pub(super) fn least(self) -> f64 {
        self.least
    }

    pub(super) fn most(self) -> f64 {
        self.most
    }

    /// The number, if it can be no other.
    pub(super) fn certain(self) -> Option<f64> {
        (self.least == self.most).then_some(self.least)
    }

    pub(super) fn is_certain(self) -> bool {
        self.certain().is_some()
    }

    pub(super) fn is_zero(self) -> bool {
        self.certain() == Some(0.0)
    }

    pub(super) fn may_be_zero(self) -> bool {
        self.least <= 0.0 && self.most >= 0.0
    }

    /// The same without zero, where it stands at an end.
    pub(super) fn but_zero(self) -> Self {
        Self {
            least: if self.least == 0.0 { f64::MIN_POSITIVE } else { self.least },
            most: if self.most == 0.0 { -f64::MIN_POSITIVE } else { self.most },
        }
    }

    /// One or the other.
    pub(super) fn or(self, other: Self) -> Self {
        Self::between(self.least.min(other.least), self.most.max(other.most))
    }

    /// What an operation makes of both that grows or falls with each of them.
    pub(super) fn by_ends(self, other: Self, operation: impl Fn(f64, f64) -> f64) -> Self {
        let ends =
            [(self.least, other.least), (self.least, other.most), (self.most, other.least), (self.most, other.most)];
        let [first, others @ ..] = ends.map(|(left, right)| Self::of(operation(left, right)));
        others.into_iter().fold(first, Self::or)
    }

    /// Whether it is less than another: one, none, or between both.
    pub(super) fn is_below(self, other: Self) -> Self {
        Self::truth(self.most < other.least, self.least < other.most)
    }

    /// Whether it is another number.
    pub(super) fn differs(self, other: Self) -> Self {
        let is_apart = self.most < other.least || other.most < self.least;
        let is_same = self.is_certain() && self == other;
        Self::truth(is_apart, !is_same)
    }

    fn truth(is_sure: bool, is_possible: bool) -> Self {
        Self::between(f64::from(u8::from(is_sure)), f64::from(u8::from(is_possible)))
    }
}

impl Not for Interval {
    type Output = Self;

    fn not(self) -> Self {
        Self::truth(self.is_zero(), self.may_be_zero())
    }
}

impl Neg for Interval {
    type Output = Self;

    fn neg(self) -> Self {
        Self::between(-self.most, -self.least)
    }
}
