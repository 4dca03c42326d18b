//! A linear classifier that learns one message at a time, over hashed features of what a message says and is.
//!
//! A message is a set of [`Features`], each of which has a cell in a table of whole numbers. What a message comes to
//! ([`margin`]) is the sum of its cells over the root of their number; a lesson adds one number to each of
//! them. So what was learned of a message is one number, it is taken back exactly by subtracting it, in whatever order
//! things were learned, and no message can move another's margin by more than [`MOST`].

mod calibration;
mod features;
mod habits;
mod learner;
mod opinion;
mod tokens;

pub use calibration::{BINS, Calibration, bin};
pub use features::{Features, Place, SIZE};
pub use learner::{MOST, UNIT, lesson, margin, stepped, without};
pub use opinion::{Leaning, Opinion, Settings, opinion};

#[cfg(test)]
mod tests;
