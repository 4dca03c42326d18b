//! One clause of a policy: a condition, and the verdict if it holds.

use std::sync::Arc;

use crate::facts::Stage;
pub use crate::scoring::Tri;
use crate::scoring::{Score, Symbol, View};
use crate::verdict::Verdict;

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
    /// Subject and detail of its enhanced status code (RFC 3463) instead of the usual 7.1.
    pub status: Option<(u16, u16)>,
    /// Evaluated and counted, never enacted.
    pub shadow: bool,
    /// True: it acts on exempt recipients (postmaster, abuse) too.
    pub binds_exempt: bool,
}

impl Condition {
    /// Every symbol that it reads.
    pub fn reads(&self) -> impl Iterator<Item = &Symbol> {
        self.asks_for().chain(&self.none_of)
    }

    /// The symbols whose presence makes it hold.
    pub fn asks_for(&self) -> impl Iterator<Item = &Symbol> {
        self.all_of.iter().chain(&self.any_of)
    }

    /// Whether it holds, as far as `view` can tell. All parts that are given must hold.
    pub fn holds(&self, view: &View<'_>) -> Tri {
        let has = |symbol: &Symbol| view.has(symbol);
        let listed =
            Tri::of_lists(self.all_of.iter().map(has), self.any_of.iter().map(has), self.none_of.iter().map(has));
        let reached = self.at_least.map_or(Tri::Yes, |limit| reaches(view, limit));
        let stays_below = self.below.map_or(Tri::Yes, |limit| !reaches(view, limit));
        listed.min(reached).min(stays_below)
    }
}

pub(super) fn reaches(view: &View<'_>, limit: Score) -> Tri {
    let span = view.score();
    match (span.low >= limit, span.high >= limit) {
        (true, _) => Tri::Yes,
        (false, true) => Tri::Maybe,
        (false, false) => Tri::No,
    }
}
