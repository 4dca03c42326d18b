//! Many expressions against one text: which of them match, without running each.
//!
//! A pattern is told apart by what every match of it must contain. One automaton over these literals reads the text
//! once; only the patterns of which one was seen are run. Phrases need not even be run: around their literal it is seen
//! whether they are there. Those that require no literal are in an automaton of their own, which tells those that may
//! match. Each pattern is compiled when it is first run. What can be run in linear time is; look-around and
//! back-references go to a backtracking engine, whose steps are bounded per run and per message.

mod budget;
mod engine;
mod expression;
mod literals;
mod loose;
mod patterns;
mod phrase;
mod relaxed;
mod sieve;
#[cfg(test)]
mod tests;

pub use budget::Budget;
pub use expression::{Expression, Kind, PatternError};
pub use patterns::{Builder, PatternId, Patterns};
