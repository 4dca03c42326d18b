//! `gatepost rules`: what stands in rule files, held against the messages that stand there too.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::{Failed, columns, wants_colour};
use crate::checks::rules::mutate;
use crate::config::Content;
use crate::config::content::{self, Tested};

/// Arguments of `rules`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
}

/// What to do with rules.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Hold every rule against the messages that stand beside it.
    Test(Test),
    /// Print every rule with what it means.
    List(List),
    /// Print what of SpamAssassin's rules runs here, what not and why.
    ImportReport(super::import_report::Arguments),
    /// Change each rule in one thing, and print the changes that none of its messages notices.
    Mutate(Mutate),
}

/// Which rules.
#[derive(Debug, clap::Args)]
pub struct From {
    /// The directory of rules. Default: that of the configuration.
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
    /// The configuration. Default: the rules compiled in.
    #[arg(long, short, value_name = "FILE", env = "GATEPOST_CONFIG")]
    pub config: Option<PathBuf>,
}

/// Which rules are tested, and what is printed.
#[derive(Debug, clap::Args)]
pub struct Test {
    /// Which rules.
    #[command(flatten)]
    pub from: From,
    /// Print rules that fail, and the sum, only.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Which rules are printed, and how.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Which rules.
    #[command(flatten)]
    pub from: From,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which rules are changed.
#[derive(Debug, clap::Args)]
pub struct Mutate {
    /// Which rules.
    #[command(flatten)]
    pub from: From,
    /// Only these.
    #[arg(value_name = "SYMBOL")]
    pub symbols: Vec<String>,
}

/// Does it.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    match &arguments.what {
        What::Test(test) => self::test(test, out),
        What::List(list) => self::list(list, out),
        What::ImportReport(arguments) => super::import_report::run(arguments, out),
        What::Mutate(mutate) => self::mutate(mutate, out),
    }
}

fn test(arguments: &Test, out: &mut dyn Write) -> Result<(), Failed> {
    let content = load(&arguments.from)?;
    let tested = content.test();
    let failed = tested.iter().filter(|rule| !rule.failures.is_empty()).count();
    let mut rows = Vec::new();
    for rule in tested.iter().filter(|rule| !arguments.quiet || !rule.failures.is_empty()) {
        let word = if rule.failures.is_empty() { "ok" } else { "FAILED" };
        let (hits, misses) = rule.messages;
        let messages = format!("{hits} hits, {misses} misses");
        rows.push(vec![word.to_owned(), rule.symbol.to_string(), messages, milliseconds(rule.took)]);
    }
    write!(out, "{}", columns(&rows))?;
    for rule in &tested {
        for failure in &rule.failures {
            writeln!(out, "{}: {failure}", rule.path)?;
        }
    }
    let sum = |of: fn(&Tested) -> usize| tested.iter().map(of).sum::<usize>();
    let messages = sum(|rule| rule.messages.0 + rule.messages.1);
    let took = milliseconds(tested.iter().map(|rule| rule.took).sum());
    let untested = tested.iter().filter(|rule| rule.messages.0 == 0).count();
    writeln!(out, "{} rules, {messages} messages, {took}; {failed} failed, {untested} without hits", tested.len())?;
    match failed {
        0 => Ok(()),
        failed => Err(Failed(format!("{failed} rules do not do what their messages say"))),
    }
}

fn list(arguments: &List, out: &mut dyn Write) -> Result<(), Failed> {
    let content = load(&arguments.from)?;
    let listed = content.listed();
    if arguments.json {
        let rules: Vec<serde_json::Value> = listed
            .iter()
            .map(|rule| {
                serde_json::json!({
                    "symbol": rule.symbol.as_str(),
                    "description": rule.description,
                    "file": rule.path,
                    "line": rule.line,
                    "shadow": rule.shadow,
                    "stage": rule.stage.as_str(),
                    "conditions": rule.conditions,
                    "hits": rule.messages.0,
                    "misses": rule.messages.1,
                })
            })
            .collect();
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&rules)?)?);
    }
    let mut rows = vec![["SYMBOL", "STAGE", "FILE", "", "DESCRIPTION"].map(str::to_owned).to_vec()];
    for rule in listed {
        let shadow = if rule.shadow { "shadow" } else { "" }.to_owned();
        let place = format!("{}:{}", rule.path, rule.line);
        rows.push(vec![rule.symbol.to_string(), rule.stage.as_str().to_owned(), place, shadow, rule.description]);
    }
    Ok(write!(out, "{}", columns(&rows))?)
}

fn mutate(arguments: &Mutate, out: &mut dyn Write) -> Result<(), Failed> {
    let content = load(&arguments.from)?;
    let wanted = |symbol: &str| arguments.symbols.is_empty() || arguments.symbols.iter().any(|one| one == symbol);
    let (mut all, mut survived) = (0, 0);
    for (rule, samples) in content.samples().filter(|(rule, _)| wanted(rule.symbol.as_str())) {
        all += mutate::mutants(rule).len();
        for what in mutate::survivors(rule, &samples) {
            survived += 1;
            writeln!(out, "{}: {what}", rule.symbol)?;
        }
    }
    Ok(writeln!(out, "{survived} of {all} mutants survive")?)
}

/// The rules, whether or not they do what their messages say.
fn load(from: &From) -> Result<Content, Failed> {
    let directory = match (&from.rules, &from.config) {
        (Some(directory), _) => Some(directory.clone()),
        (None, Some(path)) => content::directory(path).map_err(|problems| Failed(problems.render(wants_colour())))?,
        (None, None) => None,
    };
    content::load(directory.as_deref()).map_err(|problems| Failed(problems.render(wants_colour())))
}

fn milliseconds(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1000.0)
}
