//! `gatepost reload`: the configuration on the disk is tested, tried, and put in force.
//!
//! What was tested is what is loaded: the proxy is told the digest of the files that were read here, and refuses others.

mod options;
mod report;

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::Failed;
use super::ask::{self, Common, Request};
use super::backtest::{self, Tally};
use super::recorded::Place;
use crate::config::{self, Mistake};
use crate::server::reload::{Attempt, Outcome, Said, Status, Trial, Wanted};
use options::{Gate, gate, trial};

/// Mails that are printed one by one when too many flip.
const SHOWN_FLIPS: usize = 50;
/// Sender domains that are printed.
const SHOWN_DOMAINS: usize = 20;

/// Arguments of `reload`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("instead").multiple(false).args(["status", "promote", "abort"]))]
pub struct Arguments {
    /// How to ask, and how to print.
    #[command(flatten)]
    pub common: Common,
    /// First decide recorded mail again by the configuration on the disk, and load it only within these bounds:
    /// `max-new-rejects=NUMBER`, and behind commas, if wished, `max-new-defers=NUMBER`, `last=14d`, and
    /// `min-decisions=NUMBER` that there must be records of (1).
    #[arg(long, value_name = "BOUNDS", value_parser = gate, conflicts_with = "instead")]
    pub require_backtest: Option<Gate>,
    /// Have the new rules, and nothing else of the configuration, judge so many percent of the clients for a while, and
    /// then everybody, unless they differ too much: `5%`, and behind commas, if wished, `for=30m`,
    /// `min-transactions=200`, `more-rejects=1%`, `more-defers=5%`, `fewer-rejects=10%`, and `then=wait` for not
    /// without being told to. What is not said is as in `[reload.canary]`.
    #[arg(long, value_name = "SHARE", value_parser = trial, conflicts_with = "instead")]
    pub canary: Option<Trial>,
    /// Load rules for everybody that are on trial, or that were and did not pass.
    #[arg(long, conflicts_with = "instead")]
    pub anyway: bool,
    /// Print which rules judge, and how the trial stands.
    #[arg(long)]
    pub status: bool,
    /// Have the rules on trial judge everybody now.
    #[arg(long)]
    pub promote: bool,
    /// End the trial: the old rules judge everybody.
    #[arg(long)]
    pub abort: bool,
}

/// What is printed for programs.
#[derive(Debug, Serialize)]
struct Told {
    #[serde(flatten)]
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    backtest: Option<Tally>,
}

/// Tests, asks, and prints what came of it.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let common = &arguments.common;
    if arguments.status {
        let status: Status = get(&common.config, &Request::get("/reload".to_owned()))?;
        let text = if common.json { serde_json::to_string_pretty(&status)? + "\n" } else { report::status(&status) };
        return Ok(write!(out, "{text}")?);
    }
    let told = told(arguments)?;
    if common.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&told)?)?;
    } else if let Some(tally) = &told.backtest {
        write!(out, "{}", tally.to_text(SHOWN_DOMAINS))?;
    }
    match told.outcome {
        Outcome::Refused { reason, problems } => {
            let flips = told.backtest.as_ref().filter(|_| !common.json).map(|tally| tally.stricter(SHOWN_FLIPS));
            Err(Failed(report::refused(&reason, &problems, flips.as_deref().unwrap_or_default())))
        }
        // It has been printed.
        _ if common.json => Ok(()),
        outcome => Ok(write!(out, "{}", report::outcome(&outcome))?),
    }
}

fn told(arguments: &Arguments) -> Result<Told, Failed> {
    let config = &arguments.common.config;
    if arguments.promote || arguments.abort {
        let target = if arguments.promote { "/reload/promote" } else { "/reload/abort" };
        let outcome = get(config, &Request::post(target.to_owned(), "{}".to_owned()))?;
        return Ok(Told { outcome, backtest: None });
    }
    let mut wanted = Wanted { expected: None, anyway: arguments.anyway };
    let backtest = match &arguments.require_backtest {
        None => None,
        Some(gate) => match tested(config, gate)? {
            Tested::Within { digest, tally } => {
                wanted.expected = Some(digest);
                Some(*tally)
            }
            Tested::Refused(told) => return Ok(*told),
        },
    };
    let outcome = reloaded(config, Said { wanted, canary: arguments.canary.clone() })?;
    Ok(Told { outcome, backtest })
}

enum Tested {
    Within { digest: String, tally: Box<Tally> },
    Refused(Box<Told>),
}

/// Decides recorded mail again by what lies on the disk.
fn tested(config: &Path, gate: &Gate) -> Result<Tested, Failed> {
    let refused = |reason: String, problems: Vec<Mistake>, backtest| {
        Tested::Refused(Box::new(Told { outcome: Outcome::Refused { reason, problems }, backtest }))
    };
    let loaded = match config::load(config) {
        Ok(loaded) => loaded,
        Err(problems) => return Ok(refused("the configuration does not load".to_owned(), problems.told(), None)),
    };
    let place = Place { config: Some(config.to_owned()), records: None };
    let tally = backtest::of_configuration(&loaded.config, &place, gate.since)?;
    let within =
        gate.has_enough(tally.said()).and_then(|()| tally.within(Some(gate.max_new_rejects), gate.max_new_defers));
    Ok(match within {
        Ok(()) => Tested::Within { digest: loaded.digest, tally: Box::new(tally) },
        Err(reason) => refused(reason, Vec::new(), Some(tally)),
    })
}

/// Asks for it, and waits as long as it takes.
fn reloaded(config: &Path, said: Said) -> Result<Outcome, Failed> {
    let mut request = Request::post("/reload".to_owned(), serde_json::to_string(&said)?);
    loop {
        let attempt: Attempt = get(config, &request)?;
        match attempt.outcome {
            Some(outcome) => return Ok(outcome),
            None => request = Request::get(format!("/reload/attempt?number={}", attempt.number)),
        }
    }
}

fn get<T: serde::de::DeserializeOwned>(config: &Path, request: &Request) -> Result<T, Failed> {
    ask::ask(ask::address(config)?, request).map_err(|refused| match refused {
        ask::Refused::Nobody(why) | ask::Refused::Answer(why) => Failed(why),
    })
}
