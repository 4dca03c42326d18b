//! `gatepost symbols`: the catalogue of what checks can observe, with what it weighs.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use super::{Failed, check_config, columns};
use crate::config;
use crate::pipeline::Ruleset;

/// Arguments of `symbols`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Take rules from this configuration. Default: the rules compiled in.
    #[arg(long, short, value_name = "FILE", env = "GATEPOST_CONFIG")]
    pub config: Option<PathBuf>,
}

/// Prints one line per symbol: symbol, check, stage, weight, shadow.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    // No question is asked: the catalogue is what checks could say.
    let silent = config::rules::Ports::silent();
    let rules = match &arguments.config {
        Some(path) => config::rules::load(&check_config::load(path)?.config, &silent)?,
        None => config::rules::compiled_in(&silent)?,
    };
    Ok(write!(out, "{}", table(&rules))?)
}

/// The catalogue of a rule set.
pub fn table(rules: &Ruleset) -> String {
    let mut stages = BTreeMap::new();
    for (stage, spec) in rules.registry.specs() {
        stages.insert(spec.name.clone(), stage);
    }
    let mut rows = vec![["SYMBOL", "CHECK", "STAGE", "WEIGHT", ""].map(str::to_owned).to_vec()];
    for (symbol, weighed) in rules.weights.symbols() {
        let check = rules.registry.symbols().get(symbol);
        let composite = rules.weights.composites().iter().any(|composite| composite.symbol == *symbol);
        let (name, stage) = match check {
            Some(check) => (check.as_str(), stages.get(check).map_or("", |stage| stage.as_str())),
            None if composite => ("(composite)", ""),
            None => ("(off)", ""),
        };
        let shadow = if weighed.shadow { "shadow" } else { "" };
        let weight = format!("{:>7}", weighed.weight.to_string());
        rows.push(vec![symbol.to_string(), name.to_owned(), stage.to_owned(), weight, shadow.to_owned()]);
    }
    columns(&rows)
}
