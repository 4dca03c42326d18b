//! `gatepost doctor`: what is wrong around a configuration that loads, and what to do about it.
//!
//! Looks at the machine, at names and lists, and speaks to the mail servers behind. Nothing is delivered anywhere: no
//! transaction gets further than RCPT, unless `--probe-recipient` names who may be written to.

mod backend;
mod certificates;
mod clock;
mod dane;
mod exchangers;
mod finding;
mod https;
mod listeners;
mod lists;
mod machine;
mod mta_sts;
mod names;
mod reader;
mod room;
mod store;
mod strictness;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{DEFAULT_CONFIG, Failed, columns, wants_colour_on};
use crate::config::{self, Loaded};
use crate::smtp::ForwardPath;
use finding::{Finding, Level};

/// The longest that the doctor waits for one answer, whatever the configuration allows.
const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 nothing is broken (there may be warnings), 1 something is, 2 wrong usage.")]
pub struct Arguments {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", env = "GATEPOST_CONFIG", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// A mailbox of yours that may be written to: only then is it tried how strictly mail servers read the end of a
    /// message. A strict one delivers nothing; a loose one refuses the message or delivers it there.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub probe_recipient: Option<ForwardPath>,
    /// A time server to compare the clock with.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub ntp: Option<String>,
    /// Print what is not well only.
    #[arg(long, short)]
    pub quiet: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

fn address(text: &str) -> Result<ForwardPath, String> {
    ForwardPath::parse(text).map_err(|why| why.to_string())
}

/// Looks at everything, and prints what was found.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let findings = match config::load(&arguments.config) {
        Ok(loaded) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(examine(&loaded, arguments))
        }
        Err(problems) => problems
            .iter()
            .map(|problem| {
                Finding::broken(
                    "configuration",
                    &arguments.config.display(),
                    problem,
                    "Mend it: nothing else was looked at.",
                )
            })
            .collect(),
    };
    let text = if arguments.json { json(&findings)? } else { text(&findings, arguments.quiet) };
    write!(out, "{text}")?;
    match count(&findings, Level::Broken) {
        0 => Ok(()),
        1 => Err(Failed("1 thing is broken".to_owned())),
        broken => Err(Failed(format!("{broken} things are broken"))),
    }
}

/// All findings, in the order in which mail meets what they are about.
async fn examine(loaded: &Loaded, arguments: &Arguments) -> Vec<Finding> {
    let mut findings = configuration(loaded, &arguments.config);
    findings.extend(reader::examine(&arguments.config));
    let running = machine::running(loaded);
    findings.extend(machine::examine(loaded, running.as_ref()).await);
    findings.extend(room::examine(&loaded.config));
    findings.extend(certificates::examine(&loaded.config));
    let (clock, names, backends) = tokio::join!(
        clock::examine(&arguments.config, arguments.ntp.as_deref()),
        async {
            let mut findings = names::examine(loaded).await;
            findings.extend(lists::examine(loaded).await);
            findings.extend(published(loaded).await);
            findings
        },
        backend::examine(loaded, arguments.probe_recipient.as_ref()),
    );
    findings.extend(clock);
    findings.extend(names);
    findings.extend(store::examine(&loaded.config, machine::runs(&loaded.config, running.as_ref())).await);
    findings.extend(backends);
    findings
}

/// What others were promised of our TLS, by DANE and by MTA-STS.
async fn published(loaded: &Loaded) -> Vec<Finding> {
    let hostname = &*loaded.config.session.hostname;
    let Ok(dns) = names::lookup(loaded) else { return Vec::new() };
    if let Err(why) = dns.a(hostname).await {
        return vec![Finding::skipped("dane", &hostname, why, "Mend the name servers first.")];
    }
    let domains = exchangers::domains(loaded, dns.as_ref()).await;
    let ours = exchangers::ours(hostname, &domains, dns.as_ref()).await;
    let listeners = listeners::of(&loaded.config);
    let mut findings = dane::examine(&loaded.config.dns, &ours, &listeners).await;
    findings.extend(mta_sts::examine(&domains, &ours, &listeners, dns.as_ref()).await);
    findings
}

fn configuration(loaded: &Loaded, path: &Path) -> Vec<Finding> {
    const AREA: &str = "configuration";
    let mut findings = vec![Finding::well(AREA, &path.display(), "it loads")];
    for warning in loaded.warnings.iter() {
        findings.push(Finding::doubtful(AREA, &path.display(), warning, "It runs, but perhaps not as you mean it."));
    }
    if !loaded.config.checks.enabled {
        let found = "[checks] enabled = false: mail is relayed unjudged";
        findings.push(Finding::doubtful(AREA, &"checks", found, "Take the line out once the relaying works."));
    }
    findings
}

fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|finding| finding.level == level).count()
}

/// A line for each finding, and one below it that says what to do.
fn text(findings: &[Finding], quiet: bool) -> String {
    let colour = wants_colour_on(&std::io::stdout());
    let shown = |finding: &&Finding| !quiet || matches!(finding.level, Level::Broken | Level::Doubtful);
    let mut out = String::new();
    for finding in findings.iter().filter(shown) {
        out.push_str(&finding.text(colour));
    }
    let sum = [Level::Well, Level::Doubtful, Level::Broken, Level::Skipped]
        .map(|level| vec![level.word().to_owned(), count(findings, level).to_string()]);
    out.push('\n');
    out.push_str(&columns(&sum));
    out
}

fn json(findings: &[Finding]) -> Result<String, Failed> {
    let value = serde_json::json!({
        "findings": findings,
        "broken": count(findings, Level::Broken),
        "doubtful": count(findings, Level::Doubtful),
    });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}
