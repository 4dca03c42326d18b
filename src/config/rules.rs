//! What judges: `rules/weights.toml`, `lists.toml` and `policy.toml`, or the ones compiled in.

use std::sync::Arc;

use super::files::Files;
use super::problem::Report;
use super::{Config, Document, Problems, Source, judging, raw, shape};
use crate::dns::{Lookup, fixed::FixedDns};
use crate::pipeline::Ruleset;

/// The three files as written. Whether they make sense together, [`load`] says.
#[derive(Clone, Debug)]
pub struct Rules {
    /// weights.toml.
    pub weights: (raw::rules::WeightsFile, Document),
    /// lists.toml.
    pub lists: (raw::rules::ListsFile, Document),
    /// policy.toml.
    pub policy: (raw::rules::PolicyFile, Document),
    /// A digest of the three.
    pub version: Arc<str>,
}

const COMPILED_IN: [(&str, &str); 3] = [
    ("weights.toml", include_str!("../../rules/weights.toml")),
    ("lists.toml", include_str!("../../rules/lists.toml")),
    ("policy.toml", include_str!("../../rules/policy.toml")),
];

/// Makes a rule set: checks that ask `dns`, weights, policy. With `checks.enabled = false` no check
/// is in it. What loaded as a [`Config`] loads here too.
pub fn load(config: &Config, dns: &Arc<dyn Lookup>) -> Result<Ruleset, Problems> {
    let mut problems = Problems::default();
    let rules = judging::build(&config.rules, config.checks.enabled, &config.own_names, dns, &mut problems);
    problems.guard(rules).map(|(rules, _warnings)| rules)
}

/// The rule set compiled in.
pub fn compiled_in(dns: &Arc<dyn Lookup>) -> Result<Ruleset, Problems> {
    let mut problems = Problems::default();
    let rules = Rules::compiled_in(&mut problems);
    let rules = rules.and_then(|rules| judging::build(&rules, true, &[], dns, &mut problems));
    problems.guard(rules).map(|(rules, _warnings)| rules)
}

/// Whether the rules make sense together.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    let silent: Arc<dyn Lookup> = Arc::new(FixedDns::new());
    judging::build(&config.rules, true, &config.own_names, &silent, problems);
}

impl Rules {
    /// The rules compiled in.
    pub fn compiled_in(problems: &mut Problems) -> Option<Self> {
        let [weights, lists, policy] =
            COMPILED_IN.map(|(name, text)| Source::new(format!("rules/{name} (compiled in)"), text));
        Self::parse(&weights, &lists, &policy, problems)
    }

    /// Reads what `[rules]` names.
    pub(super) fn read(file: &raw::File, files: &mut Files, report: &mut Report<'_>) -> Option<Self> {
        let Some(directory) = file.rules.directory.as_ref().filter(|_| files.are_read()) else {
            return Self::compiled_in(report.problems);
        };
        let directory = files.resolve(directory);
        let [weights, lists, policy] = COMPILED_IN.map(|(name, _)| {
            let path = directory.join(name);
            let text = report.take("rules.directory", files.read(&path))?;
            Some(Source::new(path.display().to_string(), text))
        });
        Self::parse(&weights?, &lists?, &policy?, report.problems)
    }

    fn parse(
        weights: &Arc<Source>,
        lists: &Arc<Source>,
        policy: &Arc<Source>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let version = digest(&[weights, lists, policy]);
        let weights = shape::read(weights, problems);
        let lists = shape::read(lists, problems);
        let policy = shape::read(policy, problems);
        Some(Self { weights: weights?, lists: lists?, policy: policy?, version })
    }
}

/// Names a rule set: sixteen hexadecimal digits.
fn digest(files: &[&Arc<Source>]) -> Arc<str> {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for file in files {
        hash.update(&(file.text.len() as u64).to_le_bytes());
        hash.update(file.text.as_bytes());
    }
    format!("{:016x}", hash.digest()).into()
}
