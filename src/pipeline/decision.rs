//! From a scorecard and a policy to one decision with its reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::assessment::Recipient;
use super::summary::Summary;
use super::{PolicyId, Ruleset};
use crate::policy::{Clause, Policy, Question};
use crate::scoring::{Finding, Lens, Score, Scorecard, Symbol, Weights};
use crate::verdict::Verdict;

/// One verdict with what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// The policy that decided, if it is not the site's.
    pub policy: Option<Arc<str>>,
    /// The clause that won; `None` if none held.
    pub clause: Option<Arc<str>>,
    /// The clause's own words for the client, if it has any.
    pub text: Option<Arc<str>>,
    /// The clause's own subject and detail of the enhanced status code, if it has any.
    pub status: Option<(u16, u16)>,
    /// Findings that led to it, heaviest first: those that the clause names, else those with weight.
    pub because: Vec<Finding>,
    /// The score that the policy saw.
    pub score: Score,
    /// What it would have been with the shadow clauses and shadow symbols in force, if that differs.
    /// The name is that of the clause, or `none`.
    pub shadow: Option<(Verdict, Arc<str>)>,
}

/// Decisions after the final dot, one per accepted recipient.
#[derive(Clone, Debug)]
pub struct Conclusion {
    /// By recipient index, in order.
    pub recipients: Vec<(usize, Decision)>,
    /// True if the score reaches the tag threshold: the lowest of those of the recipients.
    pub tagged: bool,
    /// The transaction's score (findings of single recipients aside), and what it is made of.
    pub summary: Summary,
}

impl Decision {
    /// To forward, because nothing speaks against it.
    fn forward(policy: Option<Arc<str>>) -> Self {
        let (clause, text, status, shadow) = (None, None, None, None);
        Self {
            verdict: Verdict::Forward,
            policy,
            clause,
            text,
            status,
            because: Vec::new(),
            score: Score::ZERO,
            shadow,
        }
    }
}

impl Conclusion {
    /// Everything is forwarded: nobody looked, and no clause speaks.
    pub(super) fn nothing(ruleset: &Ruleset, recipients: &[Recipient]) -> Self {
        let forward = |known: &Recipient| Decision::forward(ruleset.policy_name(known.policy).cloned());
        let mut recipients: Vec<_> = recipients.iter().map(|known| (known.index, forward(known))).collect();
        recipients.sort_by_key(|(index, _)| *index);
        Self { recipients, tagged: false, summary: Summary::default() }
    }
}

/// What a policy says if none of its undecided clauses comes to hold.
pub(super) fn decide(ruleset: &Ruleset, id: PolicyId, card: &Scorecard, question: Question) -> Decision {
    let policy = ruleset.policy_by(id);
    let (verdict, index) = policy.reachable(card, question).last();
    let clause = index.and_then(|index| policy.clauses.get(index));
    let lens = question.lens(clause.and_then(|clause| clause.stage)).closed_only();
    Decision {
        verdict,
        policy: ruleset.policy_name(id).cloned(),
        clause: clause.map(|clause| clause.name.clone()),
        text: clause.and_then(|clause| clause.text.clone()),
        status: clause.and_then(|clause| clause.status),
        because: because(card, lens, clause),
        score: card.view(lens).score().high,
        shadow: shadow(ruleset, policy, card, question).filter(|(shadow, _)| *shadow != verdict),
    }
}

/// The verdict with everything in force that is only shadow, if that is certain.
fn shadow(ruleset: &Ruleset, policy: &Policy, card: &Scorecard, question: Question) -> Option<(Verdict, Arc<str>)> {
    if !ruleset.has_shadow() {
        return None;
    }
    let reachable = policy.reachable(card, Question { shadow: true, ..question });
    let (_, index) = reachable.last();
    let clause = index.and_then(|index| policy.clauses.get(index));
    let name = clause.map_or_else(|| Arc::from("none"), |clause| clause.name.clone());
    reachable.settled().map(|verdict| (verdict, name))
}

/// The findings that led to a decision, heaviest first, each symbol once at its greatest strength.
fn because(card: &Scorecard, lens: Lens, clause: Option<&Clause>) -> Vec<Finding> {
    let named = clause.map(|clause| named_by(clause, card.weights())).unwrap_or_default();
    let mut chosen: BTreeMap<&Symbol, &Finding> = BTreeMap::new();
    for finding in card.findings(lens) {
        let symbol = &finding.symbol;
        let counts =
            if named.is_empty() { card.weights().of(symbol).weight != Score::ZERO } else { named.contains(symbol) };
        let stronger = chosen.get(symbol).is_none_or(|other| other.strength < finding.strength);
        if counts && stronger {
            chosen.insert(symbol, finding);
        }
    }
    let view = card.view(lens);
    let mut because: Vec<Finding> = chosen.into_values().cloned().collect();
    because.sort_by_key(|finding| -view.contribution(&finding.symbol));
    because
}

/// The symbols that a clause asks for, composites resolved into what they ask for.
pub(super) fn named_by<'a>(clause: &'a Clause, weights: &'a Weights) -> BTreeSet<&'a Symbol> {
    let mut named: BTreeSet<&Symbol> = clause.when.asks_for().collect();
    // Composites stand after those that they read: backwards, each is resolved before its parts.
    for composite in weights.composites().iter().rev() {
        if named.contains(&composite.symbol) {
            named.extend(composite.asks_for());
        }
    }
    named
}
