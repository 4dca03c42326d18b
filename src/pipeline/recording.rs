//! What of an assessment goes into a record: everything that its decisions were made from.

use std::sync::Arc;

use super::decision::{Conclusion, Decision};
use super::{Assessment, Policies};
use crate::records::{Decided, Finding, Judgement, Line, LineOutcome, Lines, Written};
use crate::scoring::{self, LineState, Outcome, Scope, Scorecard, Skip};

impl Assessment {
    /// The rules that judge, as records name them.
    pub fn book(&self) -> &Arc<Written> {
        &self.ruleset.booked().written
    }

    /// What has been said so far. Checks that are not among the lines are open.
    pub fn lines(&self) -> Lines {
        let places = &self.ruleset.booked().places;
        let line = |(scope, line): (Scope, &scoring::Line)| {
            let check = *places.get(&line.spec.name.index())?;
            recorded(check, scope, line)
        };
        let card = self.runs.as_ref().map(|runs| &runs.card);
        Lines(card.into_iter().flat_map(Scorecard::lines).filter_map(line).collect())
    }

    /// A decision on recipient `index`, or on a whole session.
    pub fn decided(&self, index: Option<usize>, decision: &Decision) -> Decided {
        let known = self.recipients.iter().find(|known| Some(known.index) == index);
        let exempt = match index {
            Some(_) => known.is_some_and(|known| known.exempt),
            None => self.recipients.iter().any(|known| known.exempt),
        };
        Decided::of(index, exempt, decision)
    }

    /// The judgement as it stands; `conclusion` is that on the message.
    pub fn judgement(&self, conclusion: Option<&Conclusion>) -> Judgement {
        let decisions = conclusion.map_or(&[][..], |conclusion| &conclusion.recipients);
        let made;
        let summary = match conclusion {
            Some(conclusion) => &conclusion.summary,
            None => {
                made = self.summary();
                &made
            }
        };
        Judgement {
            rules: self.ruleset.version.to_string(),
            outgoing: self.ruleset.is_outgoing,
            book: self.book().digest(),
            lines: self.lines(),
            refusals: Vec::new(),
            decisions: decisions.iter().map(|(index, decision)| self.decided(Some(*index), decision)).collect(),
            score: summary.score.get(),
            tagged: conclusion.is_some_and(|conclusion| conclusion.tagged),
            symbols: summary.symbols.iter().map(|(symbol, score)| (symbol.to_string(), score.get())).collect(),
        }
    }
}

impl Decided {
    /// A decision as it is recorded.
    pub(super) fn of(recipient: Option<usize>, exempt: bool, decision: &Decision) -> Self {
        Self {
            recipient,
            exempt,
            policy: decision.policy.clone().filter(|name| **name != *Policies::SITE),
            verdict: decision.verdict,
            clause: decision.clause.clone(),
            score: decision.score.get(),
            shadow: decision.shadow.clone(),
        }
    }
}

/// A line that has reported; an open one, or an observer's that has seen nothing, is not recorded.
fn recorded(check: u16, scope: Scope, line: &scoring::Line) -> Option<Line> {
    let (outcome, reason, took) = match &line.state {
        LineState::Open => return None,
        LineState::Observed(findings) if findings.is_empty() => return None,
        LineState::Observed(_) => (LineOutcome::Observed, None, std::time::Duration::ZERO),
        LineState::Closed { outcome, took } => {
            let (outcome, reason) = outcome_and_reason(outcome);
            (outcome, reason, *took)
        }
    };
    let observed = outcome == LineOutcome::Observed;
    let findings = line.findings().map(|(stage, finding)| Finding {
        symbol: finding.symbol.to_string(),
        strength: finding.strength.get(),
        evidence: finding.evidence.as_str().to_owned(),
        transaction: finding.transaction,
        stage: observed.then_some(stage as u8),
    });
    Some(Line {
        check,
        recipient: scope.recipient(),
        outcome,
        reason,
        took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        findings: findings.collect(),
    })
}

/// What goes without saying is left out: that there was no reason to look is why most checks are skipped.
fn outcome_and_reason(outcome: &Outcome) -> (LineOutcome, Option<String>) {
    match outcome {
        Outcome::Found(_) => (LineOutcome::Found, None),
        Outcome::Clear => (LineOutcome::Clear, None),
        Outcome::Skipped(Skip::Settled | Skip::NeverStarted) => (LineOutcome::Unheard, None),
        Outcome::Skipped(Skip::NotApplicable) => (LineOutcome::Skipped, None),
        Outcome::Skipped(Skip::Suspended(why)) => (LineOutcome::Skipped, Some(format!("suspended: {why}"))),
        Outcome::Skipped(skip) => (LineOutcome::Skipped, Some(skip.label().to_owned())),
        Outcome::Failed(error) => (LineOutcome::Failed, Some(error.to_string())),
        Outcome::TimedOut => (LineOutcome::TimedOut, None),
    }
}
