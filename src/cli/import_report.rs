//! `gatepost rules import-report`: what of SpamAssassin's rules runs here, what not and why.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::{Failed, columns};
use crate::config::raw::rules::SpamAssassin;
use crate::config::spamassassin;
use crate::pattern::Budget;
use crate::spamassassin::{Envelope, Report, RuleSet};

/// Arguments of `import-report`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Files of rules, or directories of `*.cf`, in the order in which they are read. Default: those that
    /// spamassassin.toml names.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The configuration whose rules are taken where no file is named.
    #[arg(long, short, value_name = "FILE", env = "GATEPOST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Instead of the report, print for each message of a directory which rules hit: lines of JSON.
    #[arg(long, value_name = "DIR")]
    pub hits: Option<PathBuf>,
}

#[derive(Serialize)]
struct Hits<'h> {
    path: String,
    hits: Vec<&'h str>,
    /// Rules that only serve others.
    inner: Vec<&'h str>,
    /// Runs of the backtracking engine that were stopped.
    stopped: u32,
    microseconds: u128,
}

/// Prints the report, or the hits.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let (set, highest) = read(arguments)?;
    match &arguments.hits {
        Some(directory) => hits(&set, directory, out),
        None if arguments.json => json(&set.report(), &heavy(&set, highest), out),
        None => Ok(write!(out, "{}", text(&set.report(), &heavy(&set, highest), highest))?),
    }
}

/// Rules whose scores are above `highest`, the heaviest first.
fn heavy(set: &RuleSet, highest: f64) -> Vec<(String, f64)> {
    let heavy = set.symbols().filter(|(_, score, _)| *score > highest);
    let mut heavy: Vec<_> = heavy.map(|(name, score, _)| (name.to_owned(), score)).collect();
    heavy.sort_by(|left, right| right.1.total_cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    heavy
}

/// The rules, and what one of them weighs at most.
fn read(arguments: &Arguments) -> Result<(Arc<RuleSet>, f64), Failed> {
    if arguments.files.is_empty() {
        let Some(config) = &arguments.config else {
            return Err(Failed("name files of rules, or a configuration with --config".to_owned()));
        };
        let loaded = super::check_config::load(config)?;
        let rules = &loaded.config.rules;
        return Ok((rules.imported.set.clone(), rules.spamassassin.0.spamassassin.highest.0));
    }
    let mut files = Vec::new();
    for path in &arguments.files {
        for path in spamassassin::expanded(path).map_err(Failed)? {
            let octets = fs::read(&path).map_err(|error| Failed(format!("{}: {error}", path.display())))?;
            files.push((path.display().to_string(), octets));
        }
    }
    let base = arguments.files.first().and_then(|path| path.parent()).unwrap_or(Path::new("."));
    let mut open = |name: &str| spamassassin::included(base, name);
    Ok((Arc::new(RuleSet::read(&files, &mut open)), SpamAssassin::default().highest.0))
}

fn hits(set: &RuleSet, directory: &Path, out: &mut dyn Write) -> Result<(), Failed> {
    let entries = fs::read_dir(directory).map_err(|error| Failed(format!("{}: {error}", directory.display())))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_none_or(|extension| extension == "eml"));
    paths.sort();
    for path in paths.iter().filter(|path| path.is_file()) {
        let message = fs::read(path)?;
        let mut budget = Budget::default();
        let begun = tokio::time::Instant::now();
        let found = set.hits(&message, &Envelope::default(), Timestamp::now().as_second(), &mut budget);
        let names = |inner: bool| found.iter().filter(|hit| hit.is_inner == inner).map(|hit| hit.name).collect();
        let line = Hits {
            path: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            hits: names(false),
            inner: names(true),
            stopped: budget.stopped(),
            microseconds: begun.elapsed().as_micros(),
        };
        serde_json::to_writer(&mut *out, &line)?;
        writeln!(out)?;
    }
    Ok(())
}

fn json(report: &Report, heavy: &[(String, f64)], out: &mut dyn Write) -> Result<(), Failed> {
    let kinds: BTreeMap<&str, serde_json::Value> = report
        .kinds
        .iter()
        .map(|(kind, (runs, all))| (kind.name(), serde_json::json!({ "runs": runs, "rules": all })))
        .collect();
    let unsupported: Vec<_> = report
        .unsupported
        .iter()
        .map(|rule| {
            serde_json::json!({
                "rule": rule.name, "kind": rule.kind.name(), "score": rule.score, "reason": rule.reason
            })
        })
        .collect();
    let problems: Vec<_> = report
        .problems
        .iter()
        .map(|problem| serde_json::json!({ "file": problem.file, "line": problem.line, "reason": problem.reason }))
        .collect();
    let value = serde_json::json!({
        "kinds": kinds,
        "unsupported": unsupported,
        "idle": report.idle,
        "score_mass": report.mass,
        "score_lost": report.lost,
        "weigh_less": heavy.iter().map(|(name, score)| serde_json::json!({ "rule": name, "score": score })).collect::<Vec<_>>(),
        "ignored_settings": report.ignored,
        "problems": problems,
        "backtracking_patterns": report.backtracking,
        "unfiltered_patterns": report.unfiltered,
        "octets": report.octets,
    });
    serde_json::to_writer_pretty(&mut *out, &value)?;
    Ok(writeln!(out)?)
}

/// The report for people.
fn text(report: &Report, heavy: &[(String, f64)], highest: f64) -> String {
    let mut rows = vec![["TYPE", "RUNS", "RULES"].map(str::to_owned).to_vec()];
    let (mut runs, mut all) = (0, 0);
    for (kind, (these, of)) in &report.kinds {
        rows.push(vec![kind.name().to_owned(), these.to_string(), of.to_string()]);
        runs += these;
        all += of;
    }
    rows.push(vec!["all".to_owned(), runs.to_string(), all.to_string()]);
    let mut out = columns(&rows);
    let percent = if report.mass > 0.0 { report.lost / report.mass * 100.0 } else { 0.0 };
    out += &format!("\nScores lost: {:.1} of {:.1} points ({percent:.1} %)\n", report.lost, report.mass);
    if !heavy.is_empty() {
        let names: Vec<String> = heavy.iter().map(|(name, score)| format!("{name} ({score})")).collect();
        out += &format!("Rules that weigh {highest} here, unless weights.toml names them: {}\n", names.join(", "));
    }
    let (backtracking, unfiltered) = (report.backtracking, report.unfiltered);
    out += &format!("Patterns that backtrack: {backtracking}; that no literal filters: {unfiltered}\n");
    out += &format!("Rules of empty lists, which cannot hit: {}\n", report.idle.len());
    let mut lost: Vec<_> = report.unsupported.iter().collect();
    lost.sort_by(|left, right| right.score.abs().total_cmp(&left.score.abs()).then(left.name.cmp(&right.name)));
    if !lost.is_empty() {
        out += "\n";
        let mut rows = vec![["DOES NOT RUN", "TYPE", "SCORE", "WHY"].map(str::to_owned).to_vec()];
        rows.extend(lost.iter().map(|rule| {
            vec![rule.name.clone(), rule.kind.name().to_owned(), format!("{:.3}", rule.score), rule.reason.clone()]
        }));
        out += &columns(&rows);
    }
    if !report.ignored.is_empty() {
        let ignored: Vec<String> = report.ignored.iter().map(|(key, count)| format!("{key} ({count})")).collect();
        out += &format!("\nSettings that mean nothing here: {}\n", ignored.join(", "));
    }
    for problem in &report.problems {
        out += &format!("{}:{}: {}\n", problem.file, problem.line, problem.reason);
    }
    out
}
