//! Numbers become a verdict. Pure: no I/O, no clock, nothing of SMTP, nothing of how a symbol was found.
//!
//! [`Policy::reachable`] answers both questions that are ever asked: "what is the verdict?" and
//! "can we stop waiting?". It never leaves out a verdict that some completion of the open lines
//! leads to; it may name one too many, which only makes us wait a little longer.

pub mod clause;
pub mod invariant;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use clause::{Clause, Condition, Tri};
pub use invariant::{Invariant, Proof};

use crate::facts::Stage;
use crate::scoring::{Lens, Scope, Scorecard, Symbol, View, Weights};
use crate::verdict::Verdict;

/// An ordered list of clauses; the first that holds wins; none means forward.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// In order.
    pub clauses: Vec<Clause>,
    /// Score from which forwarded mail is marked `X-Spam-Flag: YES`.
    pub tag: Option<crate::scoring::Score>,
    /// Symbols that mark forwarded mail whatever its score is.
    pub tag_on: Vec<Symbol>,
    /// Symbols that make replies take longer.
    pub tarpit_on: Vec<Symbol>,
}

/// About whom, and how, a policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// About whom.
    pub scope: Scope,
    /// Refusals that do not bind exempt recipients are passed over.
    pub exempt: bool,
    /// Shadow clauses and shadow symbols count too.
    pub shadow: bool,
    /// A symbol that counts though it is in shadow, by [`Symbol::index`].
    pub lifted: Option<usize>,
    /// Open lines count as if they had found nothing.
    pub closed_only: bool,
    /// A check whose findings do not count, by [`CheckName::index`](crate::scoring::CheckName::index).
    pub without: Option<usize>,
}

/// What a policy can still come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reachable {
    /// Verdicts with the index of their clause (`None`: no clause held), in the order of the clauses.
    /// The last one is what holds if none before it does.
    pub ends: Vec<(Verdict, Option<usize>)>,
}

/// Why a policy cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyProblem {
    /// No check emits it, no composite defines it.
    #[error("clause `{clause}`: no check emits `{symbol}`")]
    Unknown {
        /// The clause.
        clause: Arc<str>,
        /// The symbol.
        symbol: Symbol,
    },
    /// Two clauses of one name.
    #[error("two clauses are named `{0}`")]
    TwoClauses(Arc<str>),
    /// `at_least` is not less than `below`.
    #[error("clause `{0}` can never hold: `at_least` is not less than `below`")]
    NeverHolds(Arc<str>),
}

impl Question {
    /// What is enforced for `scope`, which is not exempt.
    pub fn about(scope: Scope) -> Self {
        Self { scope, exempt: false, shadow: false, lifted: None, closed_only: false, without: None }
    }

    /// The lens through which a clause of `stage` looks.
    pub fn lens(self, stage: Option<Stage>) -> Lens {
        let lens = Lens::new(self.scope).up_to(stage).shadow(self.shadow).lifted(self.lifted).without(self.without);
        if self.closed_only { lens.closed_only() } else { lens }
    }
}

impl Reachable {
    /// The only verdict left, if there is only one.
    pub fn settled(&self) -> Option<Verdict> {
        let (last, _) = *self.ends.last()?;
        self.ends.iter().all(|(verdict, _)| *verdict == last).then_some(last)
    }

    /// Every verdict that is still possible.
    pub fn verdicts(&self) -> BTreeSet<Verdict> {
        self.ends.iter().map(|(verdict, _)| *verdict).collect()
    }

    /// Verdict and clause if none of the undecided clauses before comes to hold.
    pub fn last(&self) -> (Verdict, Option<usize>) {
        self.ends.last().copied().unwrap_or((Verdict::Forward, None))
    }
}

impl Policy {
    /// Whether forwarded mail is marked: by its score, or by a symbol that no good sign makes up for.
    pub fn tags(&self, view: &View<'_>) -> Tri {
        let by_symbol = self.tag_on.iter().map(|symbol| view.has(symbol));
        let by_score = self.tag.map(|limit| clause::reaches(view, limit));
        Tri::any(by_symbol.chain(by_score))
    }

    /// Every verdict, with its clause, that some completion of the open lines could still lead to.
    pub fn reachable(&self, card: &Scorecard, question: Question) -> Reachable {
        let mut views: Vec<(Option<Stage>, View<'_>)> = Vec::new();
        let mut ends = Vec::new();
        for (index, clause) in self.clauses.iter().enumerate().filter(|(_, clause)| clause.binds(question)) {
            let known = views.iter().position(|(stage, _)| *stage == clause.stage);
            let at = known.unwrap_or_else(|| {
                views.push((clause.stage, card.view(question.lens(clause.stage))));
                views.len() - 1
            });
            let holds = views.get(at).map_or(Tri::No, |(_, view)| clause.when.holds(view));
            if holds != Tri::No {
                ends.push((clause.verdict, Some(index)));
            }
            if holds == Tri::Yes {
                return Reachable { ends };
            }
        }
        ends.push((Verdict::Forward, None));
        Reachable { ends }
    }

    /// True if some clause is evaluated in shadow only.
    pub fn has_shadow(&self) -> bool {
        self.clauses.iter().any(|clause| clause.shadow)
    }

    /// Everything that is wrong with it, given the symbols that there are.
    pub fn problems(&self, weights: &Weights) -> Vec<PolicyProblem> {
        let mut problems = Vec::new();
        for (index, clause) in self.clauses.iter().enumerate() {
            let name = &clause.name;
            if self.clauses.iter().take(index).any(|other| other.name == *name) {
                problems.push(PolicyProblem::TwoClauses(name.clone()));
            }
            if let (Some(low), Some(high)) = (clause.when.at_least, clause.when.below)
                && low >= high
            {
                problems.push(PolicyProblem::NeverHolds(name.clone()));
            }
            let strangers = clause.when.reads().filter(|symbol| !weights.knows(symbol)).cloned();
            problems.extend(strangers.map(|symbol| PolicyProblem::Unknown { clause: name.clone(), symbol }));
        }
        let strangers = self.tag_on.iter().filter(|symbol| !weights.knows(symbol)).cloned();
        problems.extend(strangers.map(|symbol| PolicyProblem::Unknown { clause: "tag_on".into(), symbol }));
        let strangers = self.tarpit_on.iter().filter(|symbol| !weights.knows(symbol)).cloned();
        problems.extend(strangers.map(|symbol| PolicyProblem::Unknown { clause: "tarpit_on".into(), symbol }));
        problems
    }
}

impl Clause {
    /// True if it has a say in the answer to `question`.
    fn binds(&self, question: Question) -> bool {
        let spared = question.exempt && self.verdict != Verdict::Forward && !self.binds_exempt;
        !spared && (question.shadow || !self.shadow)
    }
}
