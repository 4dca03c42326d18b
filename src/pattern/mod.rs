//! Many expressions against one text: which of them match, without running each.
//!
//! A pattern is told apart by what every match of it must contain. One automaton over these literals reads the text
//! once; only the patterns of which one was seen are run. Phrases need not even be run: around their literal it is seen
//! whether they are there. Each pattern is compiled when it is first run. What can be run in linear time is; look-around
//! and back-references go to a backtracking engine, whose steps are bounded per run and per message.
//!
//! Where many short texts are read ([`Texts`]), they are read as one, and patterns that require no literal share
//! automata that say in which text each of them might match.

mod batches;
mod budget;
mod candidates;
mod engine;
mod expression;
mod literals;
mod loose;
mod loosened;
mod patterns;
mod phrase;
mod relaxed;
mod scan;
#[cfg(test)]
mod tests;
mod texts;

pub use budget::Budget;
pub use expression::{Expression, Kind, PatternError};
pub use patterns::{Builder, PatternId, Patterns};
pub use texts::Texts;
