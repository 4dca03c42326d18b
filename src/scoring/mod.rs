//! Symbols become numbers. Pure: no I/O, no clock, no look at the message.

pub mod card;
pub mod composite;
pub mod names;
mod outcome;
pub mod score;
pub mod symbol;
pub mod tri;
pub mod view;
pub mod weights;

pub use card::{Line, LineState, Scope, Scorecard};
pub use composite::Composite;
pub use outcome::{CheckError, Outcome, Skip};
pub use score::{Score, Span};
pub use symbol::{CheckName, Evidence, Finding, Spec, Symbol};
pub use tri::Tri;
pub use view::{Lens, Part, View};
pub use weights::{Group, Place, Weighed, Weights, WeightsBuilder, WeightsProblem};
