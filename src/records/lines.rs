//! What checks said, packed: a record has a hundred lines, and most of them say that there is nothing.

use serde::{Deserialize, Serialize};

/// All lines of one scorecard that have reported, in the order of the checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Packed", try_from = "Packed")]
pub struct Lines(pub Vec<Line>);

/// What one check said of the transaction, or of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number in the roster of the [`Rulebook`](super::Rulebook).
    pub check: u16,
    /// The recipient that it looked at.
    pub recipient: Option<usize>,
    /// How it ended.
    pub outcome: LineOutcome,
    /// Why it was skipped, or how it failed.
    pub reason: Option<String>,
    /// Microseconds.
    pub took_us: u64,
    /// What it observed.
    pub findings: Vec<Finding>,
}

/// How a line ended; the letters are what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineOutcome {
    /// Observed something.
    Found,
    /// Looked, and there is nothing.
    Clear,
    /// Had no reason to look.
    Skipped,
    /// Was not started, or stopped, because the verdict was certain: it might have said something.
    Unheard,
    /// Wanted to look, could not.
    Failed,
    /// Was still looking at the deadline.
    TimedOut,
    /// What the session itself observes.
    Observed,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The symbol.
    pub symbol: String,
    /// In percent.
    pub strength: u8,
    /// Why.
    pub evidence: String,
    /// It concerns the whole transaction, though a recipient's line has it.
    pub transaction: bool,
    /// The stage at which the session observed it, as a number; of a check's finding the check's.
    pub stage: Option<u8>,
}

/// Columns instead of rows. Of the sparse ones each entry begins with the number of its line.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Packed {
    checks: Vec<u16>,
    outcomes: String,
    took_us: Vec<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recipients: Vec<(usize, usize)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<(usize, String)>,
    /// Symbol, strength, evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    findings: Vec<(usize, String, u8, String)>,
    /// Numbers of findings that concern the transaction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shared: Vec<usize>,
    /// Numbers of findings, with the stage at which they were observed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    observed: Vec<(usize, u8)>,
}

impl LineOutcome {
    const ALL: [(Self, char, &'static str); 7] = [
        (Self::Found, 'f', "found"),
        (Self::Clear, 'c', "clear"),
        (Self::Skipped, 's', "skipped"),
        (Self::Unheard, 'u', "unheard"),
        (Self::Failed, 'e', "failed"),
        (Self::TimedOut, 't', "timed_out"),
        (Self::Observed, 'o', "observed"),
    ];

    /// The word for people.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(known, ..)| *known == self).map_or("", |(_, _, word)| word)
    }

    fn letter(self) -> char {
        Self::ALL.iter().find(|(known, ..)| *known == self).map_or('s', |(_, letter, _)| *letter)
    }

    fn of_letter(letter: char) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == letter).map(|(outcome, ..)| *outcome)
    }
}

impl Lines {
    /// About how many octets of memory they take.
    pub(super) fn octets(&self) -> usize {
        let finding = |finding: &Finding| size_of::<Finding>() + finding.symbol.len() + finding.evidence.len();
        let line = |line: &Line| {
            let reason = line.reason.as_ref().map_or(0, String::len);
            size_of::<Line>() + reason + line.findings.iter().map(finding).sum::<usize>()
        };
        self.0.iter().map(line).sum()
    }
}

impl From<Lines> for Packed {
    fn from(lines: Lines) -> Self {
        let mut packed = Self::default();
        for (number, line) in lines.0.into_iter().enumerate() {
            packed.checks.push(line.check);
            packed.outcomes.push(line.outcome.letter());
            packed.took_us.push(line.took_us);
            packed.recipients.extend(line.recipient.map(|index| (number, index)));
            packed.reasons.extend(line.reason.map(|reason| (number, reason)));
            for finding in line.findings {
                let at = packed.findings.len();
                packed.findings.push((number, finding.symbol, finding.strength, finding.evidence));
                packed.shared.extend(finding.transaction.then_some(at));
                packed.observed.extend(finding.stage.map(|stage| (at, stage)));
            }
        }
        packed
    }
}

impl TryFrom<Packed> for Lines {
    type Error = &'static str;

    fn try_from(packed: Packed) -> Result<Self, Self::Error> {
        const UNEVEN: &str = "columns of lines do not fit each other";
        let mut lines = Vec::with_capacity(packed.checks.len());
        let mut took = packed.took_us.into_iter();
        let mut outcomes = packed.outcomes.chars();
        for check in packed.checks {
            let outcome = outcomes.next().and_then(LineOutcome::of_letter).ok_or(UNEVEN)?;
            let took_us = took.next().ok_or(UNEVEN)?;
            lines.push(Line { check, recipient: None, outcome, reason: None, took_us, findings: Vec::new() });
        }
        for (number, index) in packed.recipients {
            lines.get_mut(number).ok_or(UNEVEN)?.recipient = Some(index);
        }
        for (number, reason) in packed.reasons {
            lines.get_mut(number).ok_or(UNEVEN)?.reason = Some(reason);
        }
        let (mut shared, mut observed) = (packed.shared.into_iter().peekable(), packed.observed.into_iter().peekable());
        for (at, (number, symbol, strength, evidence)) in packed.findings.into_iter().enumerate() {
            let transaction = shared.next_if_eq(&at).is_some();
            let stage = observed.next_if(|(of, _)| *of == at).map(|(_, stage)| stage);
            let finding = Finding { symbol, strength, evidence, transaction, stage };
            lines.get_mut(number).ok_or(UNEVEN)?.findings.push(finding);
        }
        Ok(Self(lines))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line() -> impl Strategy<Value = Line> {
        let finding = ("[A-Z]{1,8}", 0..=100_u8, ".{0,12}", any::<bool>(), prop::option::of(0..5_u8)).prop_map(
            |(symbol, strength, evidence, transaction, stage)| Finding {
                symbol,
                strength,
                evidence,
                transaction,
                stage,
            },
        );
        let outcome = (0..LineOutcome::ALL.len()).prop_map(|index| LineOutcome::ALL[index].0);
        let reason = prop::option::of(".{0,9}");
        let drawn = (
            any::<u16>(),
            prop::option::of(0..9_usize),
            outcome,
            reason,
            any::<u64>(),
            prop::collection::vec(finding, 0..4),
        );
        drawn.prop_map(|(check, recipient, outcome, reason, took_us, findings)| Line {
            check,
            recipient,
            outcome,
            reason,
            took_us,
            findings,
        })
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked_again(lines in prop::collection::vec(line(), 0..12)) {
            let lines = Lines(lines);
            let text = serde_json::to_string(&lines).expect("plain values");
            prop_assert_eq!(serde_json::from_str::<Lines>(&text).expect("our own"), lines);
        }
    }

    #[test]
    fn columns_that_do_not_fit_are_refused() {
        for text in [
            r#"{"checks":[1],"outcomes":"","took_us":[1]}"#,
            r#"{"checks":[1],"outcomes":"x","took_us":[1]}"#,
            r#"{"checks":[1],"outcomes":"c","took_us":[]}"#,
            r#"{"checks":[],"outcomes":"","took_us":[],"reasons":[[0,"no"]]}"#,
            r#"{"checks":[],"outcomes":"","took_us":[],"findings":[[3,"A",1,""]]}"#,
        ] {
            assert!(serde_json::from_str::<Lines>(text).is_err(), "{text}");
        }
    }
}
