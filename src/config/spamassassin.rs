//! SpamAssassin's rules: the files that spamassassin.toml names, read and compiled.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Document;
use super::files::Files;
use super::problem::{Problems, Report};
use super::raw::rules::SpamAssassinFile;
use super::source::element;
use crate::pattern::Budget;
use crate::spamassassin::RuleSet;

/// Octets of one file at most.
const LARGEST: u64 = 16 << 20;
/// How long rules may be compiled before the first message. What is not compiled then is when it is first needed.
const WARMED: Duration = Duration::from_secs(5);

/// Rules that were imported.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// The rules.
    pub set: Arc<RuleSet>,
    /// A digest of the files; none if there are none.
    digest: Option<u64>,
}

impl Imported {
    /// Reads what the file names, relative to `directory`.
    pub(super) fn read(
        directory: &Path,
        (file, document): &(SpamAssassinFile, Document),
        files: &mut Files,
        problems: &mut Problems,
    ) -> Self {
        let report = &mut Report { document, problems };
        let mut read = Vec::new();
        for (index, written) in file.spamassassin.files.iter().enumerate() {
            let key = element("spamassassin.files", index);
            for path in report.take(&key, expanded(&files.of_rules(directory, written))).unwrap_or_default() {
                files.is_named_by_rules(directory, &path);
                let octets = report.take(&key, files.read_octets(&path));
                read.extend(octets.map(|octets| (path.display().to_string(), octets)));
            }
        }
        if read.is_empty() {
            return Self::default();
        }
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        read.iter().for_each(|(_, octets)| hash.update(octets));
        let mut included = Vec::new();
        let mut open = |name: &str| {
            let octets = self::included(directory, name)?;
            included.push(directory.join(name));
            hash.update(&octets);
            Ok(octets)
        };
        let set = RuleSet::read(&read, &mut open);
        included.iter().for_each(|path| files.miss(path));
        let unknown = set.problems().len();
        if unknown > 0 {
            let reason = format!("{unknown} lines are not understood: `gatepost rules import-report` lists them");
            report.warning("spamassassin.files", reason);
        }
        let end = Instant::now() + WARMED;
        set.warm(&mut Budget::default().until(move || Instant::now() >= end));
        Self { set: Arc::new(set), digest: Some(hash.digest()) }
    }

    /// The name of a rule set to which these belong.
    pub(super) fn version(&self, version: Arc<str>) -> Arc<str> {
        match self.digest {
            None => version,
            Some(digest) => format!("{:016x}", xxhash_rust::xxh3::xxh3_64_with_seed(version.as_bytes(), digest)).into(),
        }
    }
}

/// The files that a path means: itself, all `*.cf` of a directory, or those whose names a `*` leaves open.
///
/// # Errors
/// The directory cannot be read.
pub fn expanded(path: &Path) -> Result<Vec<PathBuf>, String> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (directory, pattern) = match path.is_dir() {
        true => (path, "*.cf".to_owned()),
        false if name.contains('*') => (path.parent().unwrap_or(Path::new(".")), name),
        false => return Ok(vec![path.to_owned()]),
    };
    let (start, end) = pattern.split_once('*').unwrap_or((&pattern, ""));
    let entries = std::fs::read_dir(directory).map_err(|why| format!("cannot read {}: {why}", directory.display()))?;
    let fits = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end) && path.is_file()
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(fits).collect();
    paths.sort();
    Ok(paths)
}

/// A file that another one includes, if it is within the directory.
///
/// # Errors
/// It is elsewhere, or cannot be read.
pub fn included(directory: &Path, name: &str) -> Result<Vec<u8>, String> {
    let is_inside = Path::new(name).components().all(|component| matches!(component, Component::Normal(_)));
    if !is_inside {
        return Err(format!("`{name}` is not within the directory of the rules"));
    }
    let path = directory.join(name);
    let cannot = |why: std::io::Error| format!("cannot read {}: {why}", path.display());
    if std::fs::metadata(&path).map_err(cannot)?.len() > LARGEST {
        return Err(format!("{} is larger than 16 MiB", path.display()));
    }
    std::fs::read(&path).map_err(cannot)
}
