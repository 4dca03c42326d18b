//! The command line. Each command is a file; errors lose their type here and become exit codes.

mod ask;
pub mod backtest;
pub mod block;
pub mod bulk;
pub mod check_config;
pub mod completions;
pub mod demo;
pub mod doctor;
pub mod explain;
pub mod fit;
pub mod forwarders;
pub mod greylist;
pub mod import_report;
pub mod init;
pub mod learn;
pub mod log;
pub mod man;
mod recorded;
pub mod reference;
pub mod reload;
pub mod reputation;
pub mod rules;
pub mod run;
pub mod scan;
pub mod schema;
pub mod similarity;
pub mod store;
pub mod symbols;
pub mod top;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// An anti-spam filtering SMTP proxy: it judges every session and never owns a message.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "Exit codes: 0 done, 1 failed (the reason is on standard error), 2 wrong usage."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the proxy.
    Run(run::Arguments),
    /// Show it at work on this machine: real sessions, an embedded backend, fixed DNS answers.
    Demo(demo::Arguments),
    /// Check a configuration and every file that it names; say what would run.
    CheckConfig(check_config::Arguments),
    /// Write a configuration to begin with, and print what the mail server behind it needs.
    Init(init::Arguments),
    /// Look at what the configuration depends on, and say what to do about what is wrong.
    Doctor(doctor::Arguments),
    /// Print the JSON schema of the configuration file, for editors.
    Schema,
    /// Print every symbol: the check that emits it, its stage and its weight.
    Symbols(symbols::Arguments),
    /// Test the rules in rule files, and print them.
    Rules(rules::Arguments),
    /// Print which hops pass mail on, on what evidence, and the exceptions to paste for those that do it well.
    Forwarders(forwarders::Arguments),
    /// Print how alike the messages of each pair are, and whether the filter would find one by the other.
    Similarity(similarity::Arguments),
    /// Judge messages offline and show how the verdict comes about: files, directories, Maildirs, mboxes.
    Scan(scan::Arguments),
    /// Watch the running proxy: sessions, verdicts, symbols, latencies, and how everything is that it depends on.
    Top(top::Arguments),
    /// Print what became of mail, from the records that the proxy keeps.
    Log(log::Arguments),
    /// Explain a decision: what every check said, what it weighed, what would have changed it.
    Explain(explain::Arguments),
    /// Decide recorded mail again by other rules, and print what would be decided otherwise.
    Backtest(backtest::Arguments),
    /// Have the running proxy load its configuration again; test new rules on recorded mail first, or try them on some
    /// clients.
    Reload(reload::Arguments),
    /// Fit the weights of rules to labelled mail; show what would change, and what that is worth.
    Fit(fit::Arguments),
    /// Look at greylisting in the running proxy; let senders pass, or forget them.
    Greylist(greylist::Arguments),
    /// Look at what senders have earned in the running proxy; make them unknown again.
    Reputation(reputation::Arguments),
    /// Block a user, a reverse-path or a client at the running proxy; see who is blocked.
    Block(block::Arguments),
    /// Look at the campaigns that the running proxy knows: bulk mail, honest or not.
    Bulk(bulk::Arguments),
    /// Teach that messages are spam or ham: the classifier, and what is known of their campaigns.
    Learn(learn::Arguments),
    /// Take back what the classifier has learned of messages.
    Unlearn(learn::Unlearn),
    /// Look at the store as a whole; make its file smaller, export it, import it.
    Store(store::Arguments),
    /// Print what a shell needs to complete this command line.
    Completions(completions::Arguments),
    /// Write the manual, one page for each command.
    Man(man::Arguments),
}

/// Where the configuration of this machine is, unless a command line or the environment names another.
const DEFAULT_CONFIG: &str = "/etc/gatepost/gatepost.toml";

/// Why a command failed; its text goes to standard error.
#[derive(Debug)]
pub struct Failed(pub String);

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Parses the arguments of the process, runs the command, says how it ended.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout().lock();
    let done = match &arguments.command {
        Command::Run(arguments) => {
            drop(out);
            run::run(arguments)
        }
        Command::Top(arguments) => {
            drop(out);
            top::run(arguments)
        }
        Command::Demo(arguments) => {
            let colour = wants_colour_on(&out);
            demo::run(arguments, &mut out, colour)
        }
        Command::CheckConfig(arguments) => check_config::run(arguments, &mut out),
        Command::Init(arguments) => init::run(arguments, &mut out),
        Command::Doctor(arguments) => doctor::run(arguments, &mut out),
        Command::Schema => schema::run(&mut out),
        Command::Symbols(arguments) => symbols::run(arguments, &mut out),
        Command::Rules(arguments) => rules::run(arguments, &mut out),
        Command::Forwarders(arguments) => forwarders::run(arguments, &mut out),
        Command::Similarity(arguments) => similarity::run(arguments, &mut out),
        Command::Scan(arguments) => scan::run(arguments, &mut out),
        Command::Log(arguments) => log::run(arguments, &mut out),
        Command::Explain(arguments) => explain::run(arguments, &mut out),
        Command::Backtest(arguments) => backtest::run(arguments, &mut out),
        Command::Reload(arguments) => reload::run(arguments, &mut out),
        Command::Fit(arguments) => fit::run(arguments, &mut out),
        Command::Greylist(arguments) => greylist::run(arguments, &mut out),
        Command::Reputation(arguments) => reputation::run(arguments, &mut out),
        Command::Block(arguments) => block::run(arguments, &mut out),
        Command::Bulk(arguments) => bulk::run(arguments, &mut out),
        Command::Learn(arguments) => learn::run(arguments, &mut out),
        Command::Unlearn(arguments) => learn::unlearn(arguments, &mut out),
        Command::Store(arguments) => store::run(arguments, &mut out),
        Command::Completions(arguments) => completions::run(arguments, &mut out),
        Command::Man(arguments) => man::run(arguments, &mut out),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(why)) => {
            // Nobody is left to tell where standard error is closed.
            let _ = writeln!(std::io::stderr(), "{}", why.trim_end());
            ExitCode::FAILURE
        }
    }
}

/// True if standard error is a terminal that wants colours (<https://no-color.org>).
pub fn wants_colour() -> bool {
    wants_colour_on(&std::io::stderr())
}

fn wants_colour_on(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A time to the minute, UTC.
fn minute(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M").to_string()
}

/// Columns side by side, each as wide as its widest cell; the last one is not padded.
fn columns(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (index, cell) in row.iter().enumerate() {
            match widths.get_mut(index) {
                Some(width) => *width = cell.chars().count().max(*width),
                None => widths.push(cell.chars().count()),
            }
        }
    }
    let mut out = String::new();
    for row in rows {
        let line: String =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}  ", width = *width)).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
        assert!(Arguments::command().render_long_help().to_string().contains("Exit codes: 0"));
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["long".to_owned(), "c".to_owned()]];
        assert_eq!(columns(&rows), "a     b\nlong  c\n");
    }
}
