//! Zones that we answer ourselves, from files: rbldnsd's list formats, and records as in a hosts file.
//!
//! Promises: contents never change once they are read; a reload exchanges them in one step, so that every
//! question is answered from the old ones or from the new ones. A million IPv4 entries take a few megabytes.
//!
//! Failure: lines that say nothing are left out, counted and shown. Files that look like an accident (mostly
//! broken, suddenly empty, gone) change nothing. A zone that could never be read answers
//! [`LookupError::ServerFailure`]: nothing follows from it, and its names never reach the network.

mod contents;
mod dnset;
mod hosts;
mod ip4;
mod ip6;
mod kept;
mod list;
mod metrics;
mod names;
mod packed;
mod read;
mod spans;
mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub use contents::Contents;
pub use kept::{LocalZones, Prepared};
pub use metrics::Metrics;
pub use read::{Broken, Reader, Refusal, Report, read};

use super::LookupError;
use super::question::{Question, Response};
use metrics::Counters;
use read::Prints;

/// How the lines of a zone's files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// IPv4 addresses, networks and ranges.
    Ip4Set,
    /// IPv4 networks, the longest prefix wins.
    Ip4Trie,
    /// IPv6 networks, the longest prefix wins.
    Ip6Trie,
    /// Domain names.
    DnSet,
    /// Records by name, or addresses with their names.
    Hosts,
}

/// A part of a zone: files of one format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The zone: lower case, without a trailing dot.
    pub name: Arc<str>,
    /// How its files are read.
    pub format: Format,
    /// Read one after another, as if they were one.
    pub files: Vec<PathBuf>,
    /// More entries are a mistake.
    pub max_entries: usize,
}

/// All local zones at one time.
#[derive(Debug, Default)]
pub struct Zones {
    zones: BTreeMap<Arc<str>, Zone>,
    /// The number of labels of the longest name of a zone.
    labels: usize,
}

/// One zone: usually of one part, of two if it lists both IPv4 and IPv6 addresses.
#[derive(Debug)]
struct Zone {
    parts: Vec<Arc<Part>>,
    counters: Counters,
}

/// Files of one format with what was in them.
#[derive(Debug)]
struct Part {
    settings: Settings,
    /// `None`: never read yet.
    contents: Option<Arc<Contents>>,
    /// The files as they were when they were last looked into.
    prints: Prints,
    /// False: that was in vain, and the contents are older.
    believed: bool,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Ip4Set, Self::Ip4Trie, Self::Ip6Trie, Self::DnSet, Self::Hosts];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ip4Set => "ip4set",
            Self::Ip4Trie => "ip4trie",
            Self::Ip6Trie => "ip6trie",
            Self::DnSet => "dnset",
            Self::Hosts => "hosts",
        }
    }

    /// True if two parts of one zone could both know the same thing.
    pub fn overlaps(self, other: Self) -> bool {
        let ip4 = |format| matches!(format, Self::Ip4Set | Self::Ip4Trie);
        self == other || (ip4(self) && ip4(other))
    }
}

impl Zones {
    fn new(parts: Vec<Arc<Part>>, metrics: &Metrics) -> Self {
        let mut zones = BTreeMap::<Arc<str>, Zone>::new();
        for part in parts {
            let name = part.settings.name.clone();
            let zone =
                zones.entry(name.clone()).or_insert_with(|| Zone { parts: Vec::new(), counters: metrics.zone(&name) });
            zone.parts.push(part);
        }
        let labels = zones.keys().map(|name| 1 + name.matches('.').count()).max().unwrap_or(0);
        Self { zones, labels }
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty()
    }

    /// The answer, if the name lies in one of the zones: of several the one with the longest name.
    pub fn ask(&self, question: &Question) -> Option<Result<Response, LookupError>> {
        let (name, zone) = self.zone_of(question.name())?;
        let answer = zone.ask(question, name);
        zone.counters.count(&answer);
        Some(answer)
    }

    /// The same for the names of an address: what a hosts file says about it is known even where its arpa
    /// name lies in none of the zones.
    pub fn names_of(&self, arpa: &Question) -> Option<Result<Response, LookupError>> {
        self.ask(arpa).or_else(|| {
            self.zones.values().find_map(|zone| {
                let contents = zone.parts.iter().filter_map(|part| part.contents.as_ref());
                let answer = contents.filter_map(|contents| contents.names_of(arpa)).next().map(Ok)?;
                zone.counters.count(&answer);
                Some(answer)
            })
        })
    }

    fn zone_of(&self, name: &str) -> Option<(&str, &Zone)> {
        if self.zones.is_empty() {
            return None;
        }
        let spare = (1 + name.bytes().filter(|octet| *octet == b'.').count()).saturating_sub(self.labels);
        let mut rest = name.splitn(spare + 1, '.').last()?;
        loop {
            if let Some((zone, found)) = self.zones.get_key_value(rest) {
                return Some((zone, found));
            }
            rest = rest.split_once('.')?.1;
        }
    }

    fn parts(&self) -> impl Iterator<Item = &Arc<Part>> {
        self.zones.values().flat_map(|zone| &zone.parts)
    }
}

impl Zone {
    fn ask(&self, question: &Question, name: &str) -> Result<Response, LookupError> {
        let (mut best, mut unread) = (None::<Response>, false);
        for part in &self.parts {
            let Some(contents) = &part.contents else {
                unread = true;
                continue;
            };
            let response = contents.ask(question, name);
            if !response.records.is_empty() {
                return Ok(response);
            }
            if best.as_ref().is_none_or(|best| response.exists && !best.exists) {
                best = Some(response);
            }
        }
        // The part that is missing might know the name.
        best.filter(|best| best.exists || !unread).ok_or(LookupError::ServerFailure)
    }
}

impl Part {
    fn is_of(&self, settings: &Settings) -> bool {
        self.settings.name == settings.name && self.settings.format == settings.format
    }
}

#[cfg(test)]
mod tests;
