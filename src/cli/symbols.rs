//! `gatepost symbols`: the catalogue of what checks can observe, with what it weighs.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use super::{Failed, check_config, columns};
use crate::config;
use crate::pipeline::Ruleset;
use crate::scoring::{Symbol, Weighed};

/// Arguments of `symbols`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Take rules from this configuration. Default: the rules compiled in.
    #[arg(long, short, value_name = "FILE", env = "GATEPOST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// One symbol, with who finds it and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    symbol: String,
    /// The check that emits it; none for composites, and where it is off.
    check: Option<String>,
    stage: &'static str,
    /// In points.
    weight: String,
    composite: bool,
    shadow: bool,
}

/// Prints one line per symbol: symbol, check, stage, weight, shadow.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    // No question is asked: the catalogue is what checks could say.
    let silent = config::rules::Ports::silent();
    let rules = match &arguments.config {
        Some(path) => config::rules::load(&check_config::load(path)?.config, &silent)?,
        None => config::rules::compiled_in(&silent)?,
    };
    let text = if arguments.json { json(&rules)? } else { table(&rules) };
    Ok(write!(out, "{text}")?)
}

/// The catalogue for programs.
fn json(rules: &Ruleset) -> Result<String, Failed> {
    let rows: Vec<serde_json::Value> = rows(rules)
        .into_iter()
        .map(|row| {
            serde_json::json!({
                "symbol": row.symbol, "check": row.check, "stage": row.stage, "shadow": row.shadow,
                "composite": row.composite, "weight": row.weight.parse::<f64>().unwrap_or_default(),
            })
        })
        .collect();
    Ok(serde_json::to_string_pretty(&rows)? + "\n")
}

/// The catalogue of a rule set.
pub fn table(rules: &Ruleset) -> String {
    let mut table = vec![["SYMBOL", "CHECK", "STAGE", "WEIGHT", ""].map(str::to_owned).to_vec()];
    for row in rows(rules) {
        let check = row.check.unwrap_or_else(|| if row.composite { "(composite)" } else { "(off)" }.to_owned());
        let shadow = if row.shadow { "shadow" } else { "" };
        table.push(vec![row.symbol, check, row.stage.to_owned(), format!("{:>7}", row.weight), shadow.to_owned()]);
    }
    columns(&table)
}

fn rows(rules: &Ruleset) -> Vec<Row> {
    let mut stages = BTreeMap::new();
    for (stage, spec) in rules.registry.specs() {
        stages.insert(spec.name.clone(), stage);
    }
    let row = |(symbol, weighed): (&Symbol, Weighed)| {
        let check = rules.registry.symbols().get(symbol);
        Row {
            symbol: symbol.to_string(),
            check: check.map(|check| check.as_str().to_owned()),
            stage: check.and_then(|check| stages.get(check)).map_or("", |stage| stage.as_str()),
            weight: weighed.weight.to_string(),
            composite: rules.weights.composites().iter().any(|composite| composite.symbol == *symbol),
            shadow: weighed.shadow,
        }
    };
    rules.weights.symbols().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_as_the_table() {
        let rules = config::rules::compiled_in(&config::rules::Ports::silent()).expect("shipped");
        let json: Vec<serde_json::Value> =
            serde_json::from_str(&json(&rules).unwrap_or_else(|Failed(why)| panic!("{why}"))).expect("JSON");
        let table = table(&rules);
        assert_eq!(json.len(), table.lines().count() - 1);
        for (row, line) in json.iter().zip(table.lines().skip(1)) {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(row["symbol"], words[0], "{line}");
            let weight = row["weight"].as_f64().expect("a number");
            assert!(words.iter().any(|word| word.parse() == Ok(weight)), "{line}: {weight}");
        }
    }
}
