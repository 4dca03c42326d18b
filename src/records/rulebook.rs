//! What a rule set looked like when it judged: without it a record of last month could not be explained.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::lines::Lines;
use super::record::Record;
use crate::facts::Stage;

/// Digests of files by their names.
pub type Looks = BTreeMap<String, u64>;

/// A rule set as far as it weighs and decides, as data. It stands in every segment whose records name it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rulebook {
    /// The version of the rules.
    pub version: String,
    /// The files that say what is looked for, each with a digest of its text; none where that is not known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub looks: Looks,
    /// The checks; their place is their number in [`Line::check`](super::Line::check).
    pub roster: Vec<OnRoster>,
    /// Weights and policies, which are not for this layer to know.
    pub judging: serde_json::Value,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnRoster {
    /// Its name.
    pub name: String,
    /// Its stage.
    pub stage: Stage,
    /// Every symbol that it can emit.
    pub emits: Vec<String>,
    /// It emits at most one of them at a time.
    #[serde(default)]
    pub exclusive: bool,
    /// The session itself observes it.
    #[serde(default)]
    pub observed: bool,
}

impl Rulebook {
    /// As it is written into segments.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain values")
    }

    /// What tells it from others, of its text.
    pub fn digest(json: &[u8]) -> u64 {
        xxh3_64(json)
    }

    /// A record as programs read it: with names of checks and their stages in the place of numbers.
    pub fn tell(&self, record: &Record) -> serde_json::Value {
        let mut told = serde_json::to_value(record).expect("plain values");
        if let Some(lines) = told.pointer_mut("/judgement/lines") {
            *lines = self.tell_lines(&record.judgement.lines);
        }
        for (number, refusal) in record.judgement.refusals.iter().enumerate() {
            if let Some(lines) = told.pointer_mut(&format!("/judgement/refusals/{number}/lines")) {
                *lines = self.tell_lines(&refusal.lines);
            }
        }
        let at = i64::try_from(record.id.millis()).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
        if let (Some(told), Some(at)) = (told.as_object_mut(), at) {
            told.insert("at".to_owned(), at.to_string().into());
        }
        told
    }

    fn tell_lines(&self, lines: &Lines) -> serde_json::Value {
        let told = lines.0.iter().map(|line| {
            let check = self.roster.get(usize::from(line.check));
            let findings = line.findings.iter().map(|finding| {
                serde_json::json!({
                    "symbol": finding.symbol, "strength": finding.strength, "evidence": finding.evidence,
                })
            });
            let mut told = serde_json::json!({
                "check": check.map_or("", |check| &check.name),
                "stage": check.map_or("", |check| check.stage.as_str()),
                "outcome": line.outcome.as_str(),
                "took_us": line.took_us,
            });
            if let Some(told) = told.as_object_mut() {
                if let Some(recipient) = line.recipient {
                    told.insert("recipient".to_owned(), recipient.into());
                }
                if let Some(reason) = &line.reason {
                    told.insert("reason".to_owned(), reason.clone().into());
                }
                if !line.findings.is_empty() {
                    told.insert("findings".to_owned(), findings.collect());
                }
            }
            told
        });
        told.collect()
    }
}
