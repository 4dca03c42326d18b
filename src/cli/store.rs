//! `gatepost store`: how full the store is; its file made as small as it can be, written down, and read back.
//!
//! One process at a time has the file open. The running proxy says how full it is; what concerns the whole contents,
//! secrets included, is done with the file alone, and never over the network.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::ask::{self, Refused, Request};
use super::{DEFAULT_CONFIG, Failed, check_config, columns};
use crate::config::Config;
use crate::store::{Compacted, Info, TableInfo, embedded};

/// Arguments of `store`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
}

/// What to do with the store.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Print how much is remembered, and what it takes.
    Info(Look),
    /// Give room back to the system that the file does not need. The proxy must not run.
    Compact(Common),
    /// Write all that the file holds as lines of JSON, its secrets included. The proxy must not run.
    Export(Export),
    /// Fill a file with what was exported. The proxy must not run.
    Import(Import),
}

/// How to look.
#[derive(Debug, clap::Args)]
pub struct Look {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Which store.
    #[command(flatten)]
    pub common: Common,
}

/// Where to write.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// The file to make; `-` is standard output.
    #[arg(value_name = "TEXT")]
    pub to: PathBuf,
    /// Which store.
    #[command(flatten)]
    pub common: Common,
}

/// What to read.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// What was exported; `-` is standard input.
    #[arg(value_name = "TEXT")]
    pub from: PathBuf,
    /// Forget what is in the store, if there is anything.
    #[arg(long)]
    pub replace: bool,
    /// Which store.
    #[command(flatten)]
    pub common: Common,
}

/// Which store.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", env = "GATEPOST_CONFIG", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
}

/// Does what is asked, and says so.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let common = match &arguments.what {
        What::Info(look) => &look.common,
        What::Compact(common) => common,
        What::Export(export) => &export.common,
        What::Import(import) => &import.common,
    };
    let config = check_config::load(&common.config)?.config;
    match &arguments.what {
        What::Info(look) => {
            let info = info(&config)?;
            let text = if look.json { serde_json::to_string_pretty(&info)? + "\n" } else { text(&info) };
            Ok(write!(out, "{text}")?)
        }
        What::Compact(_) => {
            let Compacted { before, after } = embedded::compact(file(&config)?)?;
            Ok(writeln!(out, "{before} octets before, {after} now")?)
        }
        What::Export(export) => {
            let path = file(&config)?;
            if export.to.as_os_str() == "-" {
                embedded::export(path, out)?;
                return Ok(());
            }
            let entries = embedded::export(path, &mut BufWriter::new(made(&export.to)?));
            if entries.is_err() {
                // Half of it is of no use to anybody.
                let _ = fs::remove_file(&export.to);
            }
            Ok(writeln!(out, "{} entries exported", entries?)?)
        }
        What::Import(import) => {
            let path = file(&config)?;
            let entries = match import.from.as_os_str() == "-" {
                true => embedded::import(path, &mut io::stdin().lock(), import.replace),
                false => embedded::import(path, &mut BufReader::new(opened(&import.from)?), import.replace),
            };
            Ok(writeln!(out, "{} entries imported", entries?)?)
        }
    }
}

/// What the running proxy says; if there is none, the file.
fn info(config: &Config) -> Result<Info, Failed> {
    let nobody = match config.admin.map(|address| ask::ask(address, &Request::get("/store".to_owned()))) {
        Some(Ok(info)) => return Ok(info),
        Some(Err(Refused::Answer(why))) => return Err(Failed(why)),
        Some(Err(Refused::Nobody(why))) => why,
        None => "[admin] address is not set, so a running proxy cannot be asked".to_owned(),
    };
    let path = file(config).map_err(|Failed(why)| Failed(format!("{nobody}; {why}")))?;
    embedded::info_of(path).map_err(|why| Failed(format!("{nobody}; {why}")))
}

fn file(config: &Config) -> Result<&Path, Failed> {
    let none = || Failed("[store] path is not set: there is no file".to_owned());
    config.store.path.as_deref().ok_or_else(none)
}

fn opened(path: &Path) -> Result<File, Failed> {
    File::open(path).map_err(|why| Failed(format!("{}: {why}", path.display())))
}

/// A new file for us alone: it holds secrets. One that is there is not written over.
fn made(path: &Path) -> Result<File, Failed> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|why| Failed(format!("{}: {why}", path.display())))
}

fn text(info: &Info) -> String {
    let mut rows = vec![["TABLE", "ENTRIES", "OCTETS", "UNUSED"].map(str::to_owned).to_vec()];
    for TableInfo { name, entries, stored, unused } in &info.tables {
        let octets = |octets: &Option<u64>| octets.map_or_else(|| "-".to_owned(), |octets| octets.to_string());
        rows.push(vec![name.clone(), entries.to_string(), octets(stored), octets(unused)]);
    }
    let place = info.place.as_ref().map(|place| format!(" {place}")).unwrap_or_default();
    let octets = info.octets.map(|octets| format!(", {octets} octets")).unwrap_or_default();
    format!("{}{place}{octets}\n\n{}", info.home, columns(&rows))
}
