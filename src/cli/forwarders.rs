//! `gatepost forwarders`: which hops pass mail on, on what evidence, and the exception to paste for each
//! that does so well enough. Nothing is applied by itself.
//!
//! One process at a time has the store open, so the running proxy is asked first; the file is opened only
//! where no proxy answers.

use std::fmt::Write as _;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::ask;
use super::{DEFAULT_CONFIG, Failed, check_config, columns};
use crate::config::Config;
use crate::store::{AUTHOR_DOMAINS, WantedHops, embedded};
use crate::telemetry::admin::hop::Hop;

/// Arguments of `forwarders`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", env = "GATEPOST_CONFIG", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Print also hops that have forwarded nothing.
    #[arg(long)]
    pub all: bool,
    /// Print so many hops at most, those that have forwarded most.
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    pub limit: usize,
    /// What it takes to be proposed.
    #[command(flatten)]
    pub thresholds: Thresholds,
}

/// What it takes to be proposed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Thresholds {
    /// Propose from so many forwarded messages on.
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub messages: u64,
    /// Propose from so many author domains on.
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    pub domains: usize,
    /// Propose if so many per cent of what it does not send in its own right come with a signature that survived.
    #[arg(long, value_name = "PERCENT", default_value_t = 95, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub share: u8,
    /// Propose if so many days lie between its first and its last message.
    #[arg(long, value_name = "NUMBER", default_value_t = 2)]
    pub days: u32,
}

/// A hop with what is made of it.
#[derive(Debug, Serialize)]
struct Judged<'h> {
    #[serde(flatten)]
    hop: &'h Hop,
    proposed: bool,
}

/// Prints hops and proposals.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let wanted = WantedHops { forwarding: !arguments.all, most: arguments.limit };
    let hops = known(&check_config::load(&arguments.config)?.config, wanted)?;
    let text = if arguments.json { json(&hops, arguments.thresholds)? } else { text(&hops, arguments.thresholds) };
    Ok(write!(out, "{text}")?)
}

/// What the running proxy knows; if there is none, what the file holds.
fn known(config: &Config, wanted: WantedHops) -> Result<Vec<Hop>, Failed> {
    let nobody = match config.admin.map(|address| ask_for(address, wanted)) {
        Some(Ok(hops)) => return Ok(hops),
        Some(Err(ask::Refused::Answer(why))) => return Err(Failed(why)),
        Some(Err(ask::Refused::Nobody(why))) => why,
        None => "[admin] address is not set, so a running proxy cannot be asked".to_owned(),
    };
    let Some(path) = &config.store.path else {
        return Err(Failed(format!(
            "{nobody}; and [store] path is not set: what is remembered, the running proxy alone knows"
        )));
    };
    let hops = embedded::hops_in(path, &config.store, wanted, SystemTime::now());
    let hops = hops.map_err(|why| Failed(format!("{nobody}; {why}")))?;
    Ok(hops.iter().map(Hop::from).collect())
}

fn ask_for(address: SocketAddr, wanted: WantedHops) -> Result<Vec<Hop>, ask::Refused> {
    let target = format!("/forwarders?all={}&limit={}", !wanted.forwarding, wanted.most);
    ask::ask(address, &ask::Request::get(target))
}

fn json(hops: &[Hop], thresholds: Thresholds) -> Result<String, Failed> {
    let judged: Vec<Judged<'_>> = hops.iter().map(|hop| Judged { hop, proposed: thresholds.are_met_by(hop) }).collect();
    Ok(serde_json::to_string_pretty(&judged)? + "\n")
}

fn text(hops: &[Hop], thresholds: Thresholds) -> String {
    if hops.is_empty() {
        return "No hop is known to forward mail.\n".to_owned();
    }
    let heading = ["HOP", "FORWARDED", "BROKEN", "UNAUTHENTICATED", "DIRECT", "DOMAINS", "FIRST", "LAST", ""];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for hop in hops {
        let mut row = vec![hop.hop.to_string()];
        row.extend([hop.forwarded, hop.broken, hop.unauthenticated, hop.direct].map(|count| count.to_string()));
        let proposed = if thresholds.are_met_by(hop) { "proposed" } else { "" };
        row.extend([domains(hop), date(hop.first), date(hop.last), proposed.to_owned()]);
        rows.push(row);
    }
    let mut text = columns(&rows);
    let proposals: Vec<String> = hops.iter().filter(|hop| thresholds.are_met_by(hop)).map(proposal).collect();
    if !proposals.is_empty() {
        text.push_str("\n# For trust.toml, if you know them; nothing is applied by itself.\n");
        proposals.iter().for_each(|proposal| text.push_str(proposal));
    }
    text
}

/// The exception as trust.toml writes it.
fn proposal(hop: &Hop) -> String {
    let (key, value) = match hop.hop.contains('/') {
        true => ("networks", hop.hop.to_string()),
        false => ("client_names", format!(".{}", hop.hop)),
    };
    let (domains, first, last) = (domains(hop), date(hop.first), date(hop.last));
    let mut text = "\n[[forwarder]]\n".to_owned();
    let evidence = format!("evidence: {} messages of {domains} domains from {first} to {last}", hop.forwarded);
    let _ = writeln!(text, "{key} = [{value:?}]  # {evidence}");
    let _ = writeln!(text, "reason = \"forwards mail with its signatures intact\"");
    text
}

fn domains(hop: &Hop) -> String {
    let count = hop.author_domains.len();
    if count < AUTHOR_DOMAINS { count.to_string() } else { format!("{count}+") }
}

fn date(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string()
}

impl Thresholds {
    /// True if the evidence is good enough.
    pub fn are_met_by(&self, hop: &Hop) -> bool {
        let passed_on = hop.forwarded.saturating_add(hop.broken).saturating_add(hop.unauthenticated);
        let share = u128::from(hop.forwarded) * 100 >= u128::from(passed_on) * u128::from(self.share);
        let span = hop.last.duration_since(hop.first);
        hop.forwarded >= self.messages.max(1)
            && hop.author_domains.len() >= self.domains
            && share
            && span >= SignedDuration::from_hours(i64::from(self.days) * 24)
    }
}

#[cfg(test)]
mod tests;
