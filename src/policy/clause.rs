//! One clause of a policy: a condition, and the verdict if it holds.

use std::sync::Arc;

use crate::facts::Stage;
use crate::scoring::{Score, Symbol};
use crate::verdict::Verdict;

/// Three-valued truth: `Maybe` while lines that matter are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tri {
    /// Holds in no completion.
    No,
    /// Depends on what is still open.
    Maybe,
    /// Holds in every completion.
    Yes,
}

/// What must hold: all parts that are given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Every one of these was found.
    pub all_of: Vec<Symbol>,
    /// At least one of these was found (no condition if empty).
    pub any_of: Vec<Symbol>,
    /// None of these was found.
    pub none_of: Vec<Symbol>,
    /// The score is at least this.
    pub at_least: Option<Score>,
    /// The score is below this.
    pub below: Option<Score>,
}

/// Condition -> verdict; the first that holds wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Its name, in traces, logs and metrics.
    pub name: Arc<str>,
    /// `Some(Rcpt)`: sees only lines of that stage or an earlier one, and decides on their sum (DECISIONS 18).
    pub stage: Option<Stage>,
    /// When it holds.
    pub when: Condition,
    /// What then becomes of the transaction.
    pub verdict: Verdict,
    /// Words for the client instead of the usual ones.
    pub text: Option<Arc<str>>,
    /// Evaluated and counted, never enacted.
    pub shadow: bool,
    /// True: it acts on exempt recipients (postmaster, abuse) too.
    pub binds_exempt: bool,
}
