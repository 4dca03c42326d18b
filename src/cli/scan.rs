//! `gatepost scan`: messages through the offline pipeline, with the full trace. It changes nothing.

pub mod envelope;
pub mod examiner;
pub mod messages;
pub mod pool;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, IsTerminal, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::{Failed, check_config};
use crate::cli::wants_colour;
use crate::clock;
use crate::config::rules::{self, Ports};
use crate::config::{Config, Problems, Rules};
use crate::dns::zones::{self, LocalZones};
use crate::dns::{self, Lookup};
use crate::pipeline::Ruleset;
use crate::server::proxy::workers;
use crate::session::RecipientMatcher;
use crate::smtp::{ForwardPath, HeloName, ReversePath};
use crate::store::{self, EmbeddedStore, Store};
use envelope::{Envelope, Written};
use examiner::{Examination, Examiner};
use messages::{Item, Messages, Ticket};

/// The name of a store in its directory.
const STORE: &str = "gatepost.redb";
/// Messages that wait for the network at one time.
const ASKING_AT_ONCE: usize = 64;

/// Arguments of `scan`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Files with one message each, mboxes, Maildirs, other directories of these, or `-` for a message on standard
    /// input.
    #[arg(value_name = "FILE|DIR", required_unless_present = "batch", conflicts_with = "batch")]
    pub messages: Vec<PathBuf>,
    /// Print one line of JSON per message of this directory: path, score, action, is_spam.
    #[arg(long, value_name = "DIR")]
    pub batch: Option<PathBuf>,
    /// Who sent the messages of the directory how: lines of JSON with path, ip, helo, rdns, mail_from,
    /// mail_from_known, rcpt, spf, dkim, dmarc, date.
    #[arg(long, value_name = "FILE", requires = "batch")]
    pub envelopes: Option<PathBuf>,
    /// How messages are judged.
    #[command(flatten)]
    pub judging: Judging,
    /// Who sent the messages how.
    #[command(flatten)]
    pub told: Told,
    /// Print lines of JSON: with all that is known of each message.
    #[arg(long)]
    pub json: bool,
    /// Work on so many messages at a time. Default: one per processor; with --network, 64.
    #[arg(long, short, value_name = "NUMBER")]
    pub jobs: Option<usize>,
}

/// By which rules, and with what at hand.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Judging {
    /// Judge as this configuration says. Default: the rules compiled in.
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Judge by the rules of this directory.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub rules: Option<PathBuf>,
    /// Take what the classifier was taught from this file of a store, or from `gatepost.redb` in this directory. A copy
    /// is opened: a proxy may have the file.
    #[arg(long, value_name = "FILE|DIR")]
    pub store: Option<PathBuf>,
    /// Ask the network what checks want to know of names. Without it they are skipped, and say so.
    #[arg(long)]
    pub network: bool,
}

/// What we are told of the envelope; the rest is guessed from the message.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Told {
    /// The client's address.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "batch")]
    pub client: Option<IpAddr>,
    /// The client's name, as reverse DNS confirmed it.
    #[arg(long, value_name = "NAME", conflicts_with = "batch")]
    pub client_name: Option<String>,
    /// What the client said in HELO or EHLO.
    #[arg(long, value_name = "NAME", conflicts_with = "batch")]
    pub helo: Option<String>,
    /// The reverse-path; an empty one is that of delivery reports.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "batch")]
    pub from: Option<String>,
    /// A recipient; several may be given.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "batch")]
    pub rcpt: Vec<String>,
}

/// What messages are judged by.
pub struct Basis {
    /// The configuration, if there is one.
    pub config: Option<Config>,
    /// The rules as written.
    pub rules: Rules,
    ports: Ports,
}

/// A message to be judged, with what is known of its envelope beforehand.
type Work = (Ticket, Envelope);

/// Judges all messages and prints what came of each.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let jobs = arguments.jobs.unwrap_or(if arguments.judging.network { ASKING_AT_ONCE } else { workers().get() });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers().get().min(jobs.max(1)))
        .enable_all()
        .build()?;
    let (source, guess, files): (Box<dyn Iterator<Item = Result<Work, Failed>> + Send>, bool, usize) =
        match (&arguments.batch, &arguments.envelopes) {
            (Some(directory), Some(envelopes)) => {
                let lines = written(directory, envelopes)?;
                let count = lines.len();
                (Box::new(lines.into_iter().map(Ok)), false, count)
            }
            (directory, _) => {
                let told = arguments.told.envelope()?;
                let paths = directory.as_ref().map_or(&*arguments.messages, std::slice::from_ref);
                let messages = Messages::of(paths)?;
                let count = messages.files();
                (Box::new(messages.map(move |ticket| Ok((ticket?, told.clone())))), true, count)
            }
        };
    let examiner = {
        let _within = runtime.enter();
        Arc::new(arguments.judging.basis()?.examiner()?)
    };
    let directory = arguments.batch.clone();
    let work = move |(ticket, told): Work| {
        let (examiner, directory) = (examiner.clone(), directory.clone());
        async move {
            let mut item = ticket.read()?;
            if let Some(directory) = directory {
                item.name = within(&directory, &item.name);
            }
            Ok(examiner.examine(item, told, guess).await)
        }
    };
    runtime.block_on(print(arguments, source, files, jobs, work, out))
}

async fn print<D, F>(
    arguments: &Arguments,
    source: Box<dyn Iterator<Item = Result<Work, Failed>> + Send>,
    files: usize,
    jobs: usize,
    work: D,
    out: &mut dyn Write,
) -> Result<(), Failed>
where
    D: Fn(Work) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Examination, Failed>> + Send,
{
    let began = Instant::now();
    let stop = until_interrupted();
    let bar = progress(files);
    let mut actions: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut out = BufWriter::with_capacity(64 << 10, out);
    let tell = |examination: Examination| {
        *actions.entry(examination.action()).or_default() += 1;
        match (arguments.json, arguments.batch.is_some()) {
            (true, _) => serde_json::to_writer(&mut out, &examination.full())?,
            (false, true) => serde_json::to_writer(&mut out, &examination.brief())?,
            (false, false) => out.write_all(examination.to_text().as_bytes())?,
        }
        writeln!(out)?;
        if !bar.is_hidden() {
            bar.inc(1);
            // Lines must not run into the bar.
            bar.suspend(|| out.flush())?;
        }
        Ok(())
    };
    let fail = |why: Failed| bar.suspend(|| drop(writeln!(std::io::stderr(), "{}", why.0)));
    let outcome = pool::run(source, jobs, stop, work, tell, fail).await;
    bar.finish_and_clear();
    let outcome = outcome?;
    out.flush()?;
    if outcome.done > 1 {
        let counts: Vec<String> = actions.iter().map(|(action, count)| format!("{count} {action}")).collect();
        let seconds = began.elapsed().as_secs_f64();
        writeln!(std::io::stderr(), "{} messages in {seconds:.1} s: {}", outcome.done, counts.join(", "))?;
    }
    match outcome {
        pool::Outcome { interrupted: true, done, .. } => Err(Failed(format!("interrupted after {done} messages"))),
        pool::Outcome { failed: 0, .. } => Ok(()),
        pool::Outcome { failed, .. } => Err(Failed(format!("{failed} messages could not be read"))),
    }
}

impl Judging {
    /// What judges, and by what. Call it within a runtime.
    ///
    /// # Errors
    /// All that is wrong with configuration and rules.
    pub fn basis(&self) -> Result<Basis, Failed> {
        let config = self.config.as_deref().map(check_config::load).transpose()?.map(|loaded| loaded.config);
        let resolver: Arc<dyn Lookup> = match self.network {
            false => Arc::new(dns::Offline),
            true => {
                let settings = config.as_ref().map(|config| config.dns.clone()).unwrap_or_default();
                let resolver = dns::hickory::Resolver::over_servers(&settings, Arc::new(dns::Metrics::new()));
                Arc::new(resolver.map_err(|why| Failed(format!("dns: {why}")))?)
            }
        };
        let local = LocalZones::new(zones::Metrics::new());
        local.load(config.as_ref().map_or(&[], |config| &config.zones));
        let mut ports = Ports::with_dns(Arc::new(dns::Local::new(Arc::new(local), resolver)));
        if let Some(path) = &self.store {
            let settings = config.as_ref().map(|config| config.store.clone()).unwrap_or_default();
            ports.taught = Some(copied(path, &settings)?);
        }
        let mut problems = Problems::default();
        let rules = match (&config, &self.rules) {
            (Some(config), _) => Some(config.rules.clone()),
            (None, Some(directory)) => Rules::of_directory(directory, &mut problems),
            (None, None) => Rules::compiled_in(&mut problems),
        };
        let (rules, _warnings) = problems.guard(rules).map_err(wrong)?;
        Ok(Basis { config, rules, ports })
    }
}

impl Basis {
    /// What a configuration judges by, where nothing is asked of the network.
    pub fn of(config: Config) -> Self {
        Self { rules: config.rules.clone(), config: Some(config), ports: Ports::with_dns(Arc::new(dns::Offline)) }
    }

    /// The rule set of `rules`, which may differ from our own.
    ///
    /// # Errors
    /// All that is wrong with them together.
    pub fn ruleset(&self, rules: &Rules) -> Result<Ruleset, Failed> {
        let ruleset = match &self.config {
            Some(config) => rules::load(&Config { rules: rules.clone(), ..config.clone() }, &self.ports),
            None => rules::of(rules, &self.ports),
        };
        ruleset.map_err(wrong)
    }

    /// What judges.
    ///
    /// # Errors
    /// As [`Basis::ruleset`].
    pub fn examiner(&self) -> Result<Examiner, Failed> {
        Ok(self.examiner_by(Arc::new(self.ruleset(&self.rules)?)))
    }

    /// The same by a rule set that may not be that of our rules.
    pub fn examiner_by(&self, ruleset: Arc<Ruleset>) -> Examiner {
        match &self.config {
            Some(config) => Examiner::new(ruleset, &config.session.hostname, config.checks.exempt_recipients.clone()),
            None => Examiner::new(ruleset, "localhost", RecipientMatcher::default()),
        }
    }
}

/// The store of a copy of that file; the copy is gone when nobody needs it any more.
fn copied(path: &Path, settings: &store::Settings) -> Result<Arc<dyn Store>, Failed> {
    let path = if path.is_dir() { path.join(STORE) } else { path.to_owned() };
    let place = tempfile::tempdir()?;
    let copy = place.path().join(STORE);
    std::fs::copy(&path, &copy).map_err(|why| Failed(format!("{}: {why}", path.display())))?;
    let metrics = store::Metrics::register(&prometheus::Registry::new())?;
    let opened = EmbeddedStore::open(&copy, settings, clock::system(), metrics);
    // It stays open without a name.
    let opened =
        opened.map_err(|why| Failed(format!("{}: {why}; if a proxy is writing, try again", path.display())))?;
    Ok(Arc::new(opened))
}

fn wrong(problems: Problems) -> Failed {
    Failed(problems.render(wants_colour()))
}

impl Told {
    fn envelope(&self) -> Result<Envelope, Failed> {
        let wrong = |what: &str, text: &str| Failed(format!("{what}: `{text}` cannot be"));
        let helo = self.helo.as_ref();
        let helo = helo.map(|text| HeloName::parse(text.as_bytes()).map_err(|_| wrong("--helo", text))).transpose()?;
        let from = self.from.as_ref().map(|text| text.trim_start_matches('<').trim_end_matches('>'));
        let from = from.map(|text| ReversePath::parse(text).map_err(|_| wrong("--from", text))).transpose()?;
        let rcpt = self.rcpt.iter().map(|text| ForwardPath::parse(text).map_err(|_| wrong("--rcpt", text)));
        Ok(Envelope {
            client: self.client.map(|client| client.to_canonical()),
            client_name: self.client_name.clone(),
            helo,
            reverse_path: from,
            recipients: rcpt.collect::<Result<_, _>>()?,
            ..Envelope::default()
        })
    }
}

/// The messages that a file of envelopes names.
fn written(directory: &Path, envelopes: &Path) -> Result<Vec<Work>, Failed> {
    let about = |why: &dyn std::fmt::Display| Failed(format!("{}: {why}", envelopes.display()));
    let file = std::fs::File::open(envelopes).map_err(|why| about(&why))?;
    let mut work = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|why| about(&why))?;
        if line.trim().is_empty() {
            continue;
        }
        let line: Written = serde_json::from_str(&line).map_err(|why| about(&format!("line {}: {why}", number + 1)))?;
        work.push((Ticket::File(directory.join(&line.path)), Envelope::written(&line)));
    }
    Ok(work)
}

/// The name of a message as it stands in a file of envelopes.
fn within(directory: &Path, name: &str) -> String {
    Path::new(name).strip_prefix(directory).map_or_else(|_| name.to_owned(), |inside| inside.display().to_string())
}

/// Set once somebody interrupts the process: what is begun is finished. The second time the process ends.
pub(super) fn until_interrupted() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if told.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        }
    });
    stop
}

/// A bar on standard error, if that is a terminal.
pub(super) fn progress(files: usize) -> ProgressBar {
    let shown = files > 1 && std::io::stderr().is_terminal();
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(files as u64), target);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} messages, {per_sec}, {eta} left");
    bar.with_style(style.expect("a template of ours"))
}

/// One message as it lies there, for whoever does not come from the command line.
pub fn item(name: &str, octets: &[u8]) -> Item {
    Item::new(name.to_owned(), octets, 0, Envelope::default())
}

#[cfg(test)]
mod tests;
