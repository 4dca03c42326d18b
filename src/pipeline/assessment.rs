//! The running checks of one session, and what they have found.
//!
//! Start early (`learn` starts a check the moment its facts exist), join late (`peek` never waits,
//! `settle` waits a little at RCPT, `conclude` waits for the rest after the final dot). A late
//! answer is no answer. Dropping the assessment cancels its tasks.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Ruleset, Trace};
use crate::checks::{Facts, Fate};
use crate::facts::Stage;
use crate::scoring::{Finding, Score};
use crate::verdict::Verdict;

/// One verdict with what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// The clause that won; `None` if none held.
    pub clause: Option<Arc<str>>,
    /// The clause's own words for the client, if it has any.
    pub text: Option<Arc<str>>,
    /// Findings that led to it, heaviest first: those that the clause names, else those with weight.
    pub because: Vec<Finding>,
    /// The score that the policy saw.
    pub score: Score,
    /// What it would have been with the shadow clauses and shadow symbols in force, if that differs.
    pub shadow: Option<(Verdict, Arc<str>)>,
}

/// Decisions after the final dot, one per accepted recipient.
#[derive(Clone, Debug)]
pub struct Conclusion {
    /// By recipient index, in order.
    pub recipients: Vec<(usize, Decision)>,
    /// True if the score reaches the tag threshold.
    pub tagged: bool,
    /// The transaction's score (findings of single recipients aside).
    pub score: Score,
}

/// The running assessment of one session.
pub struct Assessment {
    ruleset: Arc<Ruleset>,
}

#[allow(unused_variables)]
impl Assessment {
    /// Begins with nothing known. Starts no task.
    pub fn new(ruleset: Arc<Ruleset>) -> Self {
        Self { ruleset }
    }

    /// The rule set that this session's current transaction is judged by.
    pub fn ruleset(&self) -> &Arc<Ruleset> {
        &self.ruleset
    }

    /// Starts every check that was waiting for `facts`.
    pub fn learn<F: Facts>(&mut self, facts: &Arc<F>) {
        todo!()
    }

    /// Takes a finding of the session itself (a protocol violation).
    pub fn observe(&mut self, stage: Stage, finding: Finding) {
        todo!()
    }

    /// Says whether recipient `index` is exempt from refusals (postmaster, abuse). Call before `settle`.
    pub fn add_recipient(&mut self, index: usize, exempt: bool) {
        todo!()
    }

    /// Forgets a recipient that the backend (or we) refused.
    pub fn drop_recipient(&mut self, index: usize) {
        todo!()
    }

    /// Collects what is done; never waits. `Some` if a refusal of the whole session or transaction is already certain.
    pub fn peek(&mut self) -> Option<Decision> {
        todo!()
    }

    /// Waits until the verdict on recipient `index` is certain or `by` has come; gives up on nothing.
    /// `Some` only if it is certain and a refusal.
    pub async fn settle(&mut self, index: usize, by: Instant) -> Option<Decision> {
        todo!()
    }

    /// Waits until the verdicts are certain or `by` has come, closes whatever is open, decides.
    pub async fn conclude(&mut self, by: Instant) -> Conclusion {
        todo!()
    }

    /// Forgets all findings and tasks of stages after `keep` (RSET and MAIL keep Helo; EHLO and STARTTLS keep Connect).
    pub fn rewind(&mut self, keep: Stage) {
        todo!()
    }

    /// The decision trace of the current transaction as it stands.
    pub fn trace(&self) -> Trace {
        todo!()
    }

    /// Tells every check that ran what became of the transaction. Runs apart from the session, bounded in number and time.
    pub fn remember(&mut self, fate: Fate) {
        todo!()
    }
}
