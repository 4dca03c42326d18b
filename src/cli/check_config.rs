//! `gatepost check-config`: all that is wrong with a configuration, or what would run.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::{DEFAULT_CONFIG, Failed, columns, wants_colour};
use crate::config::why::{self, Why};
use crate::config::{self, Loaded, failures, resolvers};
use crate::dns::zones;

/// Arguments of `check-config`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", env = "GATEPOST_CONFIG", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Show what happens when something that we depend on fails.
    #[arg(long)]
    pub failures: bool,
    /// Show which line sets KEY, such as `limits.sessions` or `listen[0].address`.
    #[arg(long, value_name = "KEY")]
    pub why: Option<String>,
    /// Print JSON: what would run, what happens when something fails, and all that is wrong.
    #[arg(long, conflicts_with = "why")]
    pub json: bool,
}

/// Reads a configuration; the failure is all of its problems, with the lines that they are about.
pub fn load(path: &Path) -> Result<Loaded, Failed> {
    config::load(path).map_err(|problems| Failed(problems.render(wants_colour())))
}

/// Checks, and prints what was asked for.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    if arguments.json {
        return print_json(&arguments.config, out);
    }
    let loaded = load(&arguments.config)?;
    if let Some(key) = &arguments.why {
        return Ok(writeln!(out, "{}", why_line(&loaded, key)?)?);
    }
    if !loaded.warnings.is_empty() {
        // Warnings are for people; what stands on standard output may be read by programs.
        let _ = write!(std::io::stderr(), "{}", loaded.warnings.render(wants_colour()));
    }
    for warning in resolvers::warnings(&loaded.config) {
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    let text = if arguments.failures { failures_table(&loaded) } else { summary(&loaded) };
    Ok(write!(out, "{text}")?)
}

/// For programs: mistakes are no words for people here, and so are told even where there are some.
fn print_json(path: &Path, out: &mut dyn Write) -> Result<(), Failed> {
    let (value, failed) = match config::load(path) {
        Ok(loaded) => {
            let named = |rows: Vec<Vec<String>>| -> Vec<serde_json::Value> {
                rows.into_iter().map(|row| serde_json::json!({ "what": row[0], "is": row[1] })).collect()
            };
            let failures: Vec<serde_json::Value> = failures::table(&loaded)
                .into_iter()
                .map(|row| serde_json::json!({ "dependency": row.dependency, "fails_by": row.failure, "then": row.answer }))
                .collect();
            let value = serde_json::json!({
                "loads": true, "problems": loaded.warnings.told(), "resolvers": resolvers::warnings(&loaded.config),
                "runs": named(summary_rows(&loaded)), "failures": failures,
            });
            (value, None)
        }
        Err(problems) => {
            let value = serde_json::json!({ "loads": false, "problems": problems.told() });
            (value, Some(Failed(format!("{}: does not load", path.display()))))
        }
    };
    writeln!(out, "{}", serde_json::to_string_pretty(&value)?)?;
    failed.map_or(Ok(()), Err)
}

/// `file:line:column: what is written there`, or the default.
pub fn why_line(loaded: &Loaded, key: &str) -> Result<String, Failed> {
    match why::why(loaded, key) {
        Why::Written { path, line, column, text } => Ok(format!("{path}:{line}:{column}: {text}")),
        Why::Default(value) => Ok(format!("default: {value}")),
        Why::Unknown(nearest) => {
            let near = nearest.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            Err(Failed(format!("no such key: {key}{near}")))
        }
    }
}

/// Every dependency, how it fails, and what then becomes of mail.
pub fn failures_table(loaded: &Loaded) -> String {
    let mut rows = vec![["DEPENDENCY", "FAILS BY", "THEN"].map(str::to_owned).to_vec()];
    rows.extend(failures::table(loaded).into_iter().map(|row| vec![row.dependency, row.failure, row.answer]));
    columns(&rows)
}

/// What would run.
pub fn summary(loaded: &Loaded) -> String {
    columns(&summary_rows(loaded))
}

fn summary_rows(loaded: &Loaded) -> Vec<Vec<String>> {
    let config = &loaded.config;
    let mut rows = vec![vec!["hostname".to_owned(), config.session.hostname.to_string()]];
    let mut row = |name: &str, text: String| rows.push(vec![name.to_owned(), text]);
    for listener in &config.listeners {
        let tls = if !listener.tls.is_empty() { ", STARTTLS" } else { "" };
        let proxy = if listener.proxy_protocol { ", PROXY" } else { "" };
        row("listener", format!("{} ({}){tls}{proxy}", listener.name, listener.address));
    }
    let relay = &config.session.relay;
    let networks = loaded.raw.relay.networks.len();
    row("relay", format!("{} domain patterns; {networks} networks may send anywhere", relay.domains.len()));
    for (member, written) in config.backend.members.iter().zip(&loaded.raw.backend.member) {
        let address = member.address.to_string();
        let tls = config::why::word(&written.tls);
        row("backend", format!("{address}, {} connections, tls {tls}", member.connections));
    }
    row("identity", config::why::word(&loaded.raw.backend.identity));
    for zone in &config.zones {
        let about = match zones::read(zone) {
            Ok((contents, report)) if report.broken > 0 => {
                format!("{} entries; {} of {} lines broken", contents.entries(), report.broken, report.lines)
            }
            Ok((contents, _)) => format!("{} entries", contents.entries()),
            Err(why) => format!("without an answer: {why}"),
        };
        row("zone", format!("{} ({}), {about}", zone.name, zone.format.word()));
    }
    let rules = &config.rules;
    if config.checks.enabled {
        for list in rules.lists.0.dnsbl.iter().filter(|list| list.enabled) {
            let shadow = if list.shadow { ", shadow" } else { "" };
            row("list", format!("{} ({}), {} return codes{shadow}", list.name, list.zone, list.codes.len()));
        }
        let shadow = rules.policy.0.clause.iter().filter(|clause| clause.shadow).count();
        let clauses = rules.policy.0.clause.len();
        row("policy", format!("{clauses} clauses, {shadow} of them in shadow"));
        let policies: Vec<&str> = rules.policy.0.policy.iter().map(|policy| policy.name.as_str()).collect();
        if !policies.is_empty() {
            row("policies", format!("{} for some recipients: {}", policies.len(), policies.join(", ")));
        }
        let proven: Vec<&str> = rules.policy.0.invariant.iter().map(|invariant| invariant.name.as_str()).collect();
        if !proven.is_empty() {
            row("invariants", format!("{} proven: {}", proven.len(), proven.join(", ")));
        }
        row("weights", format!("{} symbols, {} groups", rules.weights.0.weights.len(), rules.weights.0.group.len()));
        let written = rules.content.set.rules();
        let (count, shadow) = (written.len(), written.filter(|rule| rule.shadow).count());
        row("content", format!("{count} rules in rule files, {shadow} of them in shadow"));
        row("rules", rules.version.to_string());
    } else {
        row("checks", "off: mail is relayed unjudged".to_owned());
    }
    row("admin", config.admin.map_or("off".to_owned(), |address| address.to_string()));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_tells_mistakes_with_their_places() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("gatepost.toml");
        let whole = include_str!("../../config/demo.toml");
        for (text, loads, key) in [(whole.to_owned(), true, None), (format!("{whole}[limit]\n"), false, Some("limit"))]
        {
            std::fs::write(&path, text).expect("writable");
            let mut said = Vec::new();
            let done = print_json(&path, &mut said);
            let value: serde_json::Value = serde_json::from_slice(&said).expect("JSON");
            assert_eq!((done.is_ok(), value["loads"].as_bool()), (loads, Some(loads)), "{value}");
            assert_eq!(value["problems"][0]["key"].as_str(), key, "{value}");
            assert_eq!(value["problems"][0]["line"].is_u64(), key.is_some(), "{value}");
            assert_eq!(value["runs"][0]["what"].as_str(), loads.then_some("hostname"), "{value}");
        }
    }
}
