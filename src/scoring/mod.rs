//! Symbols become numbers. Pure: no I/O, no clock, no look at the message.

pub mod card;
pub mod outcome;
pub mod score;
pub mod symbol;
pub mod weights;

pub use card::{Line, LineState, Scope, Scorecard};
pub use outcome::{CheckError, Outcome, Skip};
pub use score::{Score, Span};
pub use symbol::{CheckName, Evidence, Finding, Spec, Symbol};
pub use weights::Weights;
