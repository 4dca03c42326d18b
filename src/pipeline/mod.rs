//! Runs whatever the registry holds, and names no check.

pub mod assessment;
pub mod trace;

use std::sync::Arc;

pub use assessment::{Assessment, Conclusion, Decision};
pub use trace::Trace;

use crate::checks::Registry;
use crate::policy::Policy;
use crate::scoring::Weights;

/// What judges: checks, weights and policy as one value, swapped atomically at reload and pinned by
/// a transaction for its life (DECISIONS 12).
pub struct Ruleset {
    /// Names this rule set in traces and metrics: a digest of the files that it was made of.
    pub version: Arc<str>,
    /// The checks.
    pub registry: Registry,
    /// What their symbols weigh.
    pub weights: Arc<Weights>,
    /// What follows from the score.
    pub policy: Policy,
}
