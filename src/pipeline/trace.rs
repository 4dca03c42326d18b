//! The decision trace: which check, what evidence, what weight, how long.

use std::fmt::Write as _;

use serde::{Serialize, Serializer};

use super::Ruleset;
use super::assessment::Recipient;
use super::decision::decide;
use crate::policy::Question;
use crate::scoring::{Lens, Line, LineState, Outcome, Part, Scope, Score, Scorecard, Skip};

/// A finished or running assessment, as people and programs read it. Scores are points.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Trace {
    /// The rule set that judged.
    pub ruleset: String,
    /// One per check and scope, by stage.
    pub lines: Vec<TraceLine>,
    /// The summands of the score: of the transaction first, then of each recipient whose score differs from it.
    pub accounts: Vec<Account>,
    /// What was decided for each recipient, as far as it is known.
    pub recipients: Vec<Judged>,
}

/// What one check did.
#[derive(Clone, Debug, Serialize)]
pub struct TraceLine {
    /// Its stage.
    pub stage: &'static str,
    /// Its name.
    pub check: String,
    /// The recipient that it looked at; absent for the whole transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<usize>,
    /// `found`, `clear`, `skipped`, `failed`, `timed_out`, `observed`, or `open`.
    pub outcome: &'static str,
    /// Why it was skipped, or how it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it observed.
    pub findings: Vec<TraceFinding>,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// The score of the transaction by this line and all before; only where every check was run to its end.
    #[serde(serialize_with = "some_points", skip_serializing_if = "Option::is_none")]
    pub running_score: Option<Score>,
}

/// One observation.
#[derive(Clone, Debug, Serialize)]
pub struct TraceFinding {
    /// The symbol.
    pub symbol: String,
    /// In percent.
    pub strength: u8,
    /// Why.
    pub evidence: String,
    /// Weight at that strength. A symbol counts once, at its greatest strength: see the accounts.
    #[serde(serialize_with = "points")]
    pub score: Score,
    /// Counts in shadow only.
    pub shadow: bool,
}

/// A score and what it is made of.
#[derive(Clone, Debug, Serialize)]
pub struct Account {
    /// Whose; absent for the whole transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<usize>,
    /// Add up to the score exactly.
    pub parts: Vec<TracePart>,
    /// The score.
    #[serde(serialize_with = "points")]
    pub score: Score,
}

/// One summand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TracePart {
    /// `finding`, `composite` or `cap`.
    pub kind: &'static str,
    /// Symbol, or name of the group whose cap it is.
    pub name: String,
    /// What it adds.
    #[serde(serialize_with = "points")]
    pub score: Score,
}

/// What was decided for one recipient.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    /// Which.
    pub recipient: usize,
    /// The policy that decided, if it is not the site's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The verdict.
    pub verdict: &'static str,
    /// The clause that won.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clause: Option<String>,
    /// The score that it saw.
    #[serde(serialize_with = "points")]
    pub score: Score,
    /// Verdict and clause with everything in force that is only shadow, where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<(&'static str, String)>,
}

impl Trace {
    pub(super) fn new(ruleset: &Ruleset, card: &Scorecard, recipients: &[Recipient]) -> Self {
        let lines = in_order(card);
        let mut trace = Self {
            ruleset: ruleset.version.to_string(),
            lines: lines.into_iter().map(|(scope, line)| TraceLine::new(card, scope, line)).collect(),
            accounts: vec![Account::new(card, Scope::Transaction)],
            recipients: Vec::new(),
        };
        for known in recipients {
            let account = Account::new(card, Scope::Recipient(known.index));
            if trace.accounts.first().is_none_or(|whole| whole.parts != account.parts) {
                trace.accounts.push(account);
            }
            let question = Question { closed_only: true, ..known.question() };
            let decision = decide(ruleset, known.policy, card, question);
            trace.recipients.push(Judged {
                recipient: known.index,
                policy: decision.policy.map(|policy| policy.to_string()),
                verdict: decision.verdict.as_str(),
                clause: decision.clause.map(|clause| clause.to_string()),
                score: decision.score,
                shadow: decision.shadow.map(|(verdict, clause)| (verdict.as_str(), clause.to_string())),
            });
        }
        trace
    }

    /// For people: one line per check, then the sums, then the verdicts.
    pub fn to_text(&self) -> String {
        let mut text = format!("rule set {}\n", self.ruleset);
        for line in &self.lines {
            line.write(&mut text);
        }
        for account in &self.accounts {
            let _ = writeln!(text, "score {}{}", account.score, of_recipient(account.recipient));
            for part in &account.parts {
                let _ = writeln!(text, "  {:>8} {} {}", part.score.to_string(), part.kind, part.name);
            }
        }
        for judged in &self.recipients {
            let clause = judged.clause.as_deref().unwrap_or("none");
            let _ = write!(
                text,
                "recipient {}: {} ({}clause {clause}, score {})",
                judged.recipient,
                judged.verdict,
                judged.of_policy(),
                judged.score
            );
            if let Some((verdict, clause)) = &judged.shadow {
                let _ = write!(text, "; in shadow {verdict} (clause {clause})");
            }
            text.push('\n');
        }
        text
    }
}

impl TraceLine {
    fn new(card: &Scorecard, scope: Scope, line: &Line) -> Self {
        let (outcome, reason, took) = match &line.state {
            LineState::Open => ("open", None, std::time::Duration::ZERO),
            LineState::Observed(_) => ("observed", None, std::time::Duration::ZERO),
            LineState::Closed { outcome, took } => (outcome.label(), reason(outcome), *took),
        };
        let findings = line.findings().map(|(_, finding)| {
            let weighed = card.weights().of(&finding.symbol);
            TraceFinding {
                symbol: finding.symbol.to_string(),
                strength: finding.strength.get(),
                evidence: finding.evidence.as_str().to_owned(),
                score: weighed.weight.scaled(finding.strength),
                shadow: weighed.shadow,
            }
        });
        Self {
            stage: line.stage.as_str(),
            check: line.spec.name.to_string(),
            recipient: scope.recipient(),
            outcome,
            reason,
            findings: findings.collect(),
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            running_score: None,
        }
    }

    fn write(&self, text: &mut String) {
        let whom = of_recipient(self.recipient);
        let millis = self.took_us as f64 / 1000.0;
        let _ = write!(text, "{:<8} {:<24} {:<10} {millis:>9.1} ms{whom}", self.stage, self.check, self.outcome);
        if let Some(reason) = &self.reason {
            let _ = write!(text, " ({reason})");
        }
        if let Some(score) = self.running_score.filter(|_| !self.findings.is_empty()) {
            let _ = write!(text, " -> {score}");
        }
        text.push('\n');
        for finding in &self.findings {
            let shadow = if finding.shadow { " (shadow)" } else { "" };
            let _ =
                write!(text, "  {:>8} {} {} %{shadow}", finding.score.to_string(), finding.symbol, finding.strength);
            let _ = writeln!(text, " {}", finding.evidence.as_str());
        }
    }
}

impl Judged {
    fn of_policy(&self) -> String {
        self.policy.as_ref().map(|policy| format!("policy {policy}, ")).unwrap_or_default()
    }
}

impl Account {
    fn new(card: &Scorecard, scope: Scope) -> Self {
        let view = card.view(Lens::new(scope).closed_only());
        let parts = view.parts().into_iter().map(|part| TracePart {
            kind: match part {
                Part::Finding(..) => "finding",
                Part::Composite(..) => "composite",
                Part::Cap(..) => "cap",
            },
            score: part.score(),
            name: match part {
                Part::Finding(symbol, _) | Part::Composite(symbol, _) => symbol.to_string(),
                Part::Cap(group, _) => group.to_string(),
            },
        });
        Self { recipient: scope.recipient(), parts: parts.collect(), score: view.score().high }
    }
}

fn reason(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Skipped(Skip::Suspended(why)) => Some(format!("suspended: {why}")),
        Outcome::Skipped(skip) => Some(skip.label().to_owned()),
        Outcome::Failed(error) => Some(error.to_string()),
        Outcome::Found(_) | Outcome::Clear | Outcome::TimedOut => None,
    }
}

fn of_recipient(index: Option<usize>) -> String {
    index.map(|index| format!(" of recipient {index}")).unwrap_or_default()
}

/// The lines of a card as a trace shows them.
pub(super) fn in_order(card: &Scorecard) -> Vec<(Scope, &Line)> {
    let mut lines: Vec<(Scope, &Line)> = card.lines().collect();
    lines.sort_by(|(_, one), (_, other)| (one.stage, &one.spec.name).cmp(&(other.stage, &other.spec.name)));
    lines
}

fn some_points<S: Serializer>(score: &Option<Score>, serializer: S) -> Result<S::Ok, S::Error> {
    points(&score.unwrap_or_default(), serializer)
}

fn points<S: Serializer>(score: &Score, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(f64::from(score.get()) / 100.0)
}
