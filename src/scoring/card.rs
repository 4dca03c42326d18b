//! The scorecard: one line per check and scope, open until it reports.
//!
//! A plain value. Lines of checks that have not started are open like those that run, so that what
//! is still possible can be read from it at any time ([`Scorecard::view`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::outcome::Outcome;
use super::score::Span;
use super::symbol::{CheckName, Finding, Spec};
use super::view::{Lens, View};
use super::weights::Weights;
use crate::facts::Stage;

/// Whom a line concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The transaction as a whole.
    Transaction,
    /// The recipient of that index.
    Recipient(usize),
}

/// Whether a line has reported.
#[derive(Clone, Debug)]
pub enum LineState {
    /// Not started, or still looking.
    Open,
    /// Reported.
    Closed {
        /// What.
        outcome: Outcome,
        /// How long it took.
        took: Duration,
    },
    /// What the session itself observes: closed with what there is so far, each with the stage it was seen at.
    Observed(Vec<(Stage, Finding)>),
}

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Stage of its check.
    pub stage: Stage,
    /// Name of the check, and what it can emit.
    pub spec: Spec,
    /// Whether it has reported.
    pub state: LineState,
}

/// All lines of one assessment, with the weights that they are read by.
///
/// A line of the Rcpt stage with [`Scope::Transaction`] stands for every recipient still to come: it
/// is open while more may come, and removed when the last one is known.
#[derive(Clone, Debug, Default)]
pub struct Scorecard {
    /// By [`CheckName::index`].
    lines: BTreeMap<(usize, Scope), Line>,
    weights: Arc<Weights>,
}

impl Scope {
    /// The recipient's index, if it is about one.
    pub fn recipient(self) -> Option<usize> {
        match self {
            Self::Transaction => None,
            Self::Recipient(index) => Some(index),
        }
    }
}

impl Line {
    /// True until it reports.
    pub fn is_open(&self) -> bool {
        matches!(self.state, LineState::Open)
    }

    /// Every finding so far, with its stage.
    pub fn findings(&self) -> impl Iterator<Item = (Stage, &Finding)> {
        let (reported, observed) = match &self.state {
            LineState::Open => (&[][..], &[][..]),
            LineState::Closed { outcome, .. } => (outcome.findings(), &[][..]),
            LineState::Observed(findings) => (&[][..], &findings[..]),
        };
        let stage = self.stage;
        let observed = observed.iter().map(|(stage, finding)| (*stage, finding));
        reported.iter().map(move |finding| (stage, finding)).chain(observed)
    }
}

impl Scorecard {
    /// No lines yet.
    pub fn new(weights: Arc<Weights>) -> Self {
        Self { lines: BTreeMap::new(), weights }
    }

    /// What its symbols weigh.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The same, to share.
    pub fn shared_weights(&self) -> &Arc<Weights> {
        &self.weights
    }

    /// Adds an open line, or opens it again.
    pub fn open(&mut self, stage: Stage, spec: Spec, scope: Scope) {
        self.lines.insert((spec.name.index(), scope), Line { stage, spec, state: LineState::Open });
    }

    /// Adds a line for what the session itself observes, empty.
    pub fn open_observed(&mut self, stage: Stage, spec: Spec) {
        let line = Line { stage, spec, state: LineState::Observed(Vec::new()) };
        self.lines.insert((line.spec.name.index(), Scope::Transaction), line);
    }

    /// Closes an open line; on a line that is not there or not open nothing happens (a late answer is
    /// no answer). Findings that its spec does not allow are dropped: they would break the bounds
    /// that decisions were made on. Returns how many were.
    pub fn close(&mut self, check: &CheckName, scope: Scope, mut outcome: Outcome, took: Duration) -> usize {
        let Some(line) = self.lines.get_mut(&(check.index(), scope)).filter(|line| line.is_open()) else { return 0 };
        let mut dropped = 0;
        if let Outcome::Found(findings) = &mut outcome {
            let before = findings.len();
            findings.retain(|finding| line.spec.emits.contains(&finding.symbol));
            if line.spec.exclusive
                && let Some(first) = findings.first().map(|finding| finding.symbol.clone())
            {
                findings.retain(|finding| finding.symbol == first);
            }
            dropped = before - findings.len();
        }
        line.state = LineState::Closed { outcome, took };
        dropped
    }

    /// Adds a finding of the session itself to the line whose spec claims it; false if none does.
    /// The same symbol at the same stage counts once.
    pub fn observe(&mut self, stage: Stage, finding: Finding) -> bool {
        let claimed = self.lines.values_mut().find_map(|line| match &mut line.state {
            LineState::Observed(findings) if line.spec.emits.contains(&finding.symbol) => Some(findings),
            _ => None,
        });
        let Some(findings) = claimed else { return false };
        if !findings.iter().any(|(at, known)| *at == stage && known.symbol == finding.symbol) {
            findings.push((stage, finding));
        }
        true
    }

    /// Takes a line away.
    pub fn remove(&mut self, check: &CheckName, scope: Scope) {
        self.lines.remove(&(check.index(), scope));
    }

    /// Takes away every line of recipient `index`.
    pub fn remove_recipient(&mut self, index: usize) {
        self.lines.retain(|(_, scope), _| *scope != Scope::Recipient(index));
    }

    /// Forgets what stages after `keep` have said: lines of single recipients go, the others open again.
    pub fn rewind(&mut self, keep: Stage) {
        self.lines.retain(|(_, scope), line| line.stage <= keep || *scope == Scope::Transaction);
        for line in self.lines.values_mut() {
            match &mut line.state {
                LineState::Observed(findings) => findings.retain(|(stage, _)| *stage <= keep),
                state if line.stage > keep => *state = LineState::Open,
                _ => {}
            }
        }
    }

    /// The line of `check` about `scope`.
    pub fn line(&self, check: &CheckName, scope: Scope) -> Option<&Line> {
        self.lines.get(&(check.index(), scope))
    }

    /// All lines, those of one check side by side.
    pub fn lines(&self) -> impl Iterator<Item = (Scope, &Line)> {
        self.lines.iter().map(|((_, scope), line)| (*scope, line))
    }

    /// What can be seen through `lens`.
    pub fn view(&self, lens: Lens) -> View<'_> {
        View::new(self, lens)
    }

    /// The findings that count through `lens`, in the order of the lines.
    pub fn findings(&self, lens: Lens) -> impl Iterator<Item = &Finding> {
        let lines = self.lines().filter(move |(scope, line)| lens.sees_line(*scope, line));
        let found =
            lines.flat_map(|(scope, line)| line.findings().map(move |(stage, finding)| (scope, stage, finding)));
        found
            .filter(move |(scope, stage, finding)| lens.sees_finding(*scope, *stage, finding.transaction))
            .map(|(_, _, finding)| finding)
            .filter(move |finding| lens.counts(&finding.symbol, self.weights.of(&finding.symbol)))
    }

    /// Scores still possible for `scope`: what is known, plus the worst and the best that open lines could add.
    pub fn outlook(&self, scope: Scope) -> Span {
        self.view(Lens::new(scope)).score()
    }
}
