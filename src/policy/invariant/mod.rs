//! Promises about a policy, proven over everything that the checks can emit, or refuted by an example.
//!
//! What is asked: is there a completed scorecard on which the promise's condition holds and a clause that it is
//! about wins? Every check may find any of its symbols (an exclusive one: one of them) at any strength, and
//! several recipients may add theirs. A decision before the message is settled only if all completions lead to
//! it ([`Policy::reachable`]), so that completed scorecards are all that need be looked at.
//!
//! Shadow: a clause in shadow is held to the promise as if it alone were in force, and protects nobody from
//! those after it; a symbol in shadow may count or not. So whichever shadows are lifted, the promise holds.
//!
//! Promise: [`Proof::Proven`] is never wrong, [`Proof::Violated`] was tried on the real scorecard. The search is
//! bounded; what it cannot decide within its bound is [`Proof::Undecided`].

mod bounds;
mod example;
mod model;
mod search;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Clause, Condition, Policy, Question};
use crate::facts::Stage;
use crate::scoring::{CheckName, Evidence, Finding, Outcome, Scope, Score, Scorecard, Spec, Tri, Weights};
use crate::verdict::Verdict;
use model::{Model, Origin};
use search::Found;

/// A promise: under this condition, none of these verdicts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invariant {
    /// Its name, in messages.
    pub name: Arc<str>,
    /// It speaks of mail for which this holds; without limits on the score.
    pub given: Condition,
    /// It speaks of mail with at most so many symbols whose weight is above zero, composites aside.
    pub findings: Option<usize>,
    /// All of those are of checks of this stage.
    pub findings_of: Option<Stage>,
    /// What must not come of it: refusals. What no clause is about is forwarded, which nothing here looks at.
    pub never: Vec<Verdict>,
    /// Only clauses with `at_least` are meant.
    pub by_score: bool,
    /// Only clauses of this stage are meant.
    pub stage: Option<Stage>,
    /// Clauses that are not meant.
    pub except: Vec<Arc<str>>,
}

/// What could be said of a promise.
#[derive(Clone, Debug)]
pub enum Proof {
    /// It always holds.
    Proven,
    /// It does not hold: here is why.
    Violated(Box<Counterexample>),
    /// Neither was found within the bound; the name is that of the clause at which the search ended.
    Undecided(Arc<str>),
}

/// Findings that break a promise. Without any one of them the clause would not win.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// The clause that wins.
    pub clause: Arc<str>,
    /// Its verdict.
    pub verdict: Verdict,
    /// True if the clause is in shadow: it would win if that were lifted.
    pub shadow: bool,
    /// True if it happens to an exempt recipient.
    pub exempt: bool,
    /// What was found.
    pub sightings: Vec<Sighting>,
    /// The score that the clause sees.
    pub score: Score,
    /// What each of the sightings adds, in their order; groups and composites make up the rest.
    pub weights: Vec<Score>,
}

/// One finding, and where it stands on a scorecard.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The check, with all that it can emit.
    pub spec: Spec,
    /// The stage of the check.
    pub stage: Stage,
    /// For what the session itself observes: when.
    pub observed: Option<Stage>,
    /// True if it was found of another recipient, and concerns the whole transaction.
    pub of_another: bool,
    /// The finding.
    pub finding: Finding,
}

/// Everything that can be found: checks with their stages, and what the session itself observes.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Checks.
    pub checks: Vec<(Stage, Spec)>,
    /// What the session observes, from that stage on.
    pub observed: Vec<(Stage, Spec)>,
}

impl Invariant {
    /// True if `clause` could break it.
    pub fn is_about(&self, clause: &Clause) -> bool {
        self.never.contains(&clause.verdict)
            && (!self.by_score || clause.when.at_least.is_some())
            && self.stage.is_none_or(|stage| clause.stage == Some(stage))
            && !self.except.contains(&clause.name)
    }

    /// Proves or refutes it. Bounded, without a clock: the same input has the same answer everywhere.
    pub fn prove(&self, policy: &Policy, weights: &Weights, catalogue: &Catalogue) -> Proof {
        let mut undecided = None;
        for (index, clause) in policy.clauses.iter().enumerate().filter(|(_, clause)| self.is_about(clause)) {
            // Whoever is exempt is protected by fewer clauses.
            let exempt = clause.binds_exempt;
            let before = policy.clauses.iter().take(index).filter(|earlier| {
                !earlier.shadow && (!exempt || earlier.binds_exempt || earlier.verdict == Verdict::Forward)
            });
            let model = Model::new(self, clause, before, weights, catalogue);
            match search::search(&model) {
                Found::Nothing => {}
                Found::TooMuch => undecided = undecided.or(Some(clause.name.clone())),
                Found::Example(strengths) => {
                    let sightings = sightings(&model, catalogue, &strengths);
                    match self.counterexample(policy, clause, weights, sightings) {
                        Some(example) => return Proof::Violated(Box::new(example)),
                        None => undecided = undecided.or(Some(clause.name.clone())),
                    }
                }
            }
        }
        undecided.map_or(Proof::Proven, Proof::Undecided)
    }

    /// Tries the sightings on a real scorecard.
    fn counterexample(
        &self,
        policy: &Policy,
        clause: &Clause,
        weights: &Weights,
        sightings: Vec<Sighting>,
    ) -> Option<Counterexample> {
        let mut example = Counterexample {
            clause: clause.name.clone(),
            verdict: clause.verdict,
            shadow: clause.shadow,
            exempt: clause.binds_exempt,
            sightings,
            score: Score::ZERO,
            weights: Vec::new(),
        };
        let card = example.scorecard(&Arc::new(weights.clone()));
        let question = example.question();
        let speaks_of_it = self.given.holds(&card.view(question.lens(None))) == Tri::Yes;
        let lifted = example.lifted(policy);
        let (verdict, index) = lifted.reachable(&card, question).last();
        let winner = index.and_then(|index| lifted.clauses.get(index)).map(|clause| &clause.name);
        if !speaks_of_it || verdict != clause.verdict || winner != Some(&clause.name) {
            return None;
        }
        let view = card.view(question.lens(clause.stage));
        example.score = view.score().high;
        example.weights =
            example.sightings.iter().map(|sighting| view.contribution(&sighting.finding.symbol)).collect();
        Some(example)
    }
}

impl Counterexample {
    /// The recipient whom it happens to.
    const WHOM: Scope = Scope::Recipient(0);

    /// How a policy is to be asked about [its scorecard](Self::scorecard).
    pub fn question(&self) -> Question {
        Question { exempt: self.exempt, shadow: true, ..Question::about(Self::WHOM) }
    }

    /// The policy with the shadow of its clause lifted, and those clauses away that stay in shadow.
    pub fn lifted(&self, policy: &Policy) -> Policy {
        let clauses = policy.clauses.iter().filter(|clause| !clause.shadow || clause.name == self.clause);
        Policy { clauses: clauses.cloned().collect(), ..policy.clone() }
    }

    /// A scorecard on which exactly this was found.
    pub fn scorecard(&self, weights: &Arc<Weights>) -> Scorecard {
        let mut card = Scorecard::new(weights.clone());
        let mut found: Vec<(CheckName, Scope, Vec<Finding>)> = Vec::new();
        for (others, sighting) in self.sightings.iter().enumerate() {
            let (name, finding) = (sighting.spec.name.clone(), sighting.finding.clone());
            if let Some(at) = sighting.observed {
                if card.line(&name, Scope::Transaction).is_none() {
                    card.open_observed(sighting.stage, sighting.spec.clone());
                }
                card.observe(at, finding);
                continue;
            }
            let scope = match (sighting.stage, sighting.of_another) {
                (Stage::Rcpt, false) => Self::WHOM,
                (Stage::Rcpt, true) => Scope::Recipient(others + 1),
                _ => Scope::Transaction,
            };
            card.open(sighting.stage, sighting.spec.clone(), scope);
            match found.iter_mut().find(|(check, about, _)| *check == name && *about == scope) {
                Some((_, _, findings)) => findings.push(finding),
                None => found.push((name, scope, vec![finding])),
            }
        }
        for (name, scope, findings) in found {
            card.close(&name, scope, Outcome::Found(findings), Duration::ZERO);
        }
        card
    }
}

/// What an example says was found.
fn sightings(model: &Model<'_>, catalogue: &Catalogue, strengths: &[Option<u8>]) -> Vec<Sighting> {
    let mut sightings = Vec::new();
    for (atom, strength) in model.atoms.iter().zip(strengths) {
        let Some(strength) = *strength else { continue };
        let (list, index) = match atom.origin {
            Origin::Check(index) | Origin::Another(index) => (&catalogue.checks, index),
            Origin::Observed(index) => (&catalogue.observed, index),
        };
        let Some(((stage, spec), entry)) = list.get(index).zip(model.symbols.get(atom.symbol)) else { continue };
        let of_another = matches!(atom.origin, Origin::Another(_));
        let finding = Finding {
            symbol: entry.symbol.clone(),
            strength: crate::units::Percent::new(strength),
            evidence: Evidence::default(),
            transaction: of_another,
        };
        let observed = matches!(atom.origin, Origin::Observed(_)).then_some(atom.from);
        sightings.push(Sighting { spec: spec.clone(), stage: *stage, observed, of_another, finding });
    }
    sightings
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut listed: Vec<(&Sighting, Score)> = self.sightings.iter().zip(self.weights.iter().copied()).collect();
        listed.sort_by_key(|(_, weight)| -*weight);
        for (index, (sighting, weight)) in listed.into_iter().enumerate() {
            let Finding { symbol, strength, .. } = &sighting.finding;
            f.write_str(if index == 0 { "" } else { " and " })?;
            write!(f, "{} ({weight}", symbol.as_str())?;
            if strength.get() != 100 {
                write!(f, " at {} %", strength.get())?;
            }
            f.write_str(if sighting.of_another { ", of another recipient)" } else { ")" })?;
        }
        if self.sightings.is_empty() {
            f.write_str("mail of which nothing is found")?;
        }
        let verb = match self.verdict {
            Verdict::Reject => "rejects",
            Verdict::Defer => "defers",
            Verdict::Forward => "forwards",
        };
        let shadow = if self.shadow { " without its shadow" } else { "" };
        let exempt = if self.exempt { ", even for exempt recipients" } else { "" };
        write!(f, ": {} points, and clause `{}`{shadow} {verb}{exempt}", self.score, self.clause)
    }
}

impl Catalogue {
    /// Everything that these can emit.
    pub fn new<'a>(
        checks: impl IntoIterator<Item = (Stage, &'a Spec)>,
        observed: impl IntoIterator<Item = (Stage, &'a Spec)>,
    ) -> Self {
        let own = |(stage, spec): (Stage, &Spec)| (stage, spec.clone());
        Self { checks: checks.into_iter().map(own).collect(), observed: observed.into_iter().map(own).collect() }
    }
}

#[cfg(test)]
mod tests;
