//! Text to typed settings; the only module that reads TOML.
//!
//! Two steps: what was written ([`raw`], held against its own JSON schema by [`shape`]), and what is
//! meant ([`check`]: each module's Settings). A module gets its Settings and never the whole [`Config`].
//!
//! Promises: every file is read once, whole, and is parsed whole before anything of it counts. All
//! problems of all files come at once. What judges ([`rules`]) is a value of its own.
//!
//! Failure: a configuration with an error does not exist; whoever reloads keeps the old one.

pub mod check;
pub mod content;
pub mod failures;
mod files;
mod judging;
pub mod last_good;
pub mod problem;
pub mod raw;
pub mod reload;
pub mod resolvers;
pub mod rules;
pub mod shape;
pub mod source;
pub mod spamassassin;
pub mod why;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use content::Content;
pub use problem::{Mistake, Problem, Problems, Severity};
pub use rules::Rules;
pub use source::{Document, Source};

use crate::net::listener;
use crate::pipeline::canary;
use crate::session::RecipientMatcher;
use crate::units::CidrSet;
use crate::{backend, dns, records, reports, session, store};
use files::Files;

/// The validated options of the program.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where we listen; at least one.
    pub listeners: Vec<listener::Settings>,
    /// Bounds on accepting.
    pub accept: listener::AcceptLimits,
    /// For sessions.
    pub session: session::Settings,
    /// For the backend.
    pub backend: backend::Settings,
    /// For further pools, by name.
    pub pools: BTreeMap<Arc<str>, backend::Settings>,
    /// Which recipients go to which pool.
    pub routes: backend::Routes,
    /// For name lookups.
    pub dns: dns::Settings,
    /// Zones that are answered from files, each part of them for itself.
    pub zones: Vec<dns::zones::Settings>,
    /// Where messages are kept while they are judged.
    pub spool: session::spool::Settings,
    /// What is remembered.
    pub store: store::Settings,
    /// What is recorded of each transaction.
    pub records: records::Settings,
    /// How DMARC reports are made; `None`: not at all.
    pub reports: Option<reports::Settings>,
    /// Who is not checked.
    pub checks: Checks,
    /// Where metrics and health are served; `None`: nowhere.
    pub admin: Option<SocketAddr>,
    /// The log.
    pub log: Log,
    /// How long running transactions may go on when we stop.
    pub drain: Duration,
    /// How new rules take the place of old ones.
    pub reload: Reload,
    /// What judges, as written; [`rules::load`] makes a rule set of it.
    pub rules: Rules,
    /// Names that are ours: our own, and the relay domains. A client that claims one lies.
    pub own_names: Vec<String>,
}

/// Who is not checked.
#[derive(Clone, Debug)]
pub struct Checks {
    /// False: no check runs.
    pub enabled: bool,
    /// Clients that no check looks at.
    pub trusted_networks: CidrSet,
    /// Recipients that get their mail whatever checks find.
    pub exempt_recipients: RecipientMatcher,
}

/// The log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// How a line looks.
    pub format: raw::LogFormat,
    /// From which level on.
    pub level: raw::LogLevel,
}

/// How new rules take the place of old ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Reload {
    /// A file that changes is reason enough.
    pub watch: bool,
    /// How rules are tried, unless whoever asks says otherwise.
    pub canary: canary::Terms,
}

/// A configuration with where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What is meant.
    pub config: Config,
    /// What was written, defaults filled in.
    pub raw: raw::File,
    /// Where it was written.
    pub document: Document,
    /// Every file that was read, for a watch.
    pub files: Vec<PathBuf>,
    /// Names the contents of all of them: two that have the same were read from the same text.
    pub digest: String,
    /// What runs, but probably not as meant.
    pub warnings: Problems,
    /// Why the rules are not those that the configuration names but the last good ones.
    pub rules_refused: Option<Problems>,
}

/// Reads a configuration and every file that it names. Paths in it are relative to it.
pub fn load(path: &Path) -> Result<Loaded, Problems> {
    read(path, Files::beside(path))
}

fn read(path: &Path, mut files: Files) -> Result<Loaded, Problems> {
    let shown = path.display().to_string();
    match files.read(path) {
        Ok(text) => parse(Source::new(shown, text), files),
        Err(why) => {
            let mut problems = Problems::default();
            problems.push(Problem::at(&Source::new(shown, ""), None, "", why));
            Err(problems)
        }
    }
}

/// Where a configuration has records kept. Nothing else of it is looked at, and none of the files that it names: whoever
/// wants to see why mail was refused need not wait for the rules.
///
/// # Errors
/// It cannot be read, or is not written as it should be.
pub fn records_directory(path: &Path) -> Result<Option<PathBuf>, Problems> {
    let (raw, files) = alone(path)?;
    Ok(raw.records.directory.map(|directory| files.resolve(&directory)))
}

/// Where the admin pages of a proxy are that runs by this configuration. Nothing else of it is looked at: a proxy can be
/// asked, even if what is written would not load.
///
/// # Errors
/// As [`records_directory`].
pub fn admin_address(path: &Path) -> Result<Option<SocketAddr>, Problems> {
    let (raw, _) = alone(path)?;
    Ok(raw.admin.address.and_then(|address| address.parse().ok()))
}

/// A configuration file without those that it names.
fn alone(path: &Path) -> Result<(raw::File, Files), Problems> {
    let mut files = Files::beside(path);
    let mut problems = Problems::default();
    let shown = path.display().to_string();
    let source = match files.read(path) {
        Ok(text) => Source::new(shown, text),
        Err(why) => {
            problems.push(Problem::at(&Source::new(shown, ""), None, "", why));
            return Err(problems);
        }
    };
    let Some((raw, _)) = shape::read::<raw::File>(&source, &mut problems) else { return Err(problems) };
    Ok((raw, files))
}

/// Reads a configuration from a text alone: no file that it names is looked at.
pub fn parse_text(text: &str) -> Result<Loaded, Problems> {
    parse(Source::new("gatepost.toml", text), Files::none())
}

/// The JSON schema of the configuration file.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(raw::File).to_value()
}

fn parse(source: std::sync::Arc<Source>, mut files: Files) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let Some((raw, document)) = shape::read::<raw::File>(&source, &mut problems) else {
        return Err(problems);
    };
    let config = check::config(&raw, &document, &mut files, &mut problems);
    if let Some(config) = &config {
        // No name is asked: this only shows whether the rules make sense together.
        rules::check(config, &mut problems);
    }
    problems.sort();
    let (config, warnings) = problems.guard(config)?;
    let digest = files.digest();
    Ok(Loaded { config, raw, document, files: files.into_paths(), digest, warnings, rules_refused: None })
}
