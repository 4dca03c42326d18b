//! A linear classifier that learns one message at a time, over hashed features of what a message says and is.
//!
//! A message is a set of [`Features`], each of which has a [`Cell`] in a table: the sum of what lessons have added to it,
//! and the sum of their squares, in whole numbers. The first over the root of the second is what a cell says. What a
//! message comes to ([`margin`]) is the sum of that over the root of the number of its cells, for each aspect of it
//! (words, header, links, ...) for itself. What a [`lesson`] adds to each of its cells is one number, so that what was
//! learned is taken back exactly by subtracting it, in whatever order things were learned, and tables of several
//! teachers add up.

mod aspects;
mod calibration;
mod features;
mod habits;
mod learner;
mod opinion;
mod tokens;

pub use calibration::{BINS, Calibration, bin};
pub use features::{Features, Place, SIZE};
pub use learner::{Cell, LOUDEST, MOST, SHARE, UNIT, lesson, margin};
pub use opinion::{Leaning, Opinion, Settings, opinion};

#[cfg(test)]
mod tests;
