//! Rules that administrators write: conditions over what a message is, with the messages beside them that show
//! what they find and what not. `docs/rules.md` is the manual.
//!
//! Rules are values ([`condition`]); a [`set`] of them is compiled together, so that each thing that some of them
//! look at is read once, with one set of patterns.

mod bucket;
mod check;
pub mod condition;
mod found;
mod mailboxes;
pub mod map;
pub mod mutate;
pub mod sample;
pub mod set;
pub mod structure;
pub mod view;

#[cfg(test)]
mod tests;

pub use check::{EnvelopeRules, MessageRules};
pub use condition::Rule;
pub use map::Map;
pub use sample::Sample;
pub use set::{Phase, Set};
