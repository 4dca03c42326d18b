//! What is in an archive, as far as it can be told without unpacking it.

use std::collections::HashSet;
use std::sync::Arc;

use super::{extension, runs};

/// Names that are kept of one archive,
const MAX_ENTRIES: usize = 500;
/// and as many beyond them that say what it is, or that run.
const MAX_BEYOND: usize = 100;
/// Octets of a name.
const MAX_NAME: usize = 512;
/// Names that are looked at, the same ones again included.
const MAX_SEEN: usize = 50_000;

/// Files that say what an archive is for.
const TELLING: [&str; 10] = [
    "[content_types].xml",
    "vbaproject.bin",
    "word/document.xml",
    "xl/workbook.xml",
    "ppt/presentation.xml",
    "androidmanifest.xml",
    "meta-inf/manifest.mf",
    "mimetype",
    "content.xml",
    "script-lb.xml",
];

/// The names in an archive, each once.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) entries: Vec<Arc<str>>,
    known: HashSet<Arc<str>>,
    seen: usize,
    /// There are more names than were kept.
    pub(super) is_cut: bool,
    /// Some of it needs a password.
    pub(super) is_encrypted: bool,
}

impl Listing {
    /// Keeps a name; false if no more are of use.
    pub(super) fn add(&mut self, name: &[u8]) -> bool {
        let name = String::from_utf8_lossy(name.get(..MAX_NAME).unwrap_or(name));
        self.add_text(&name)
    }

    /// The same of a name in UTF-16, of which the octets are ordered by `unit`.
    pub(super) fn add_wide(&mut self, name: &[u8], unit: fn([u8; 2]) -> u16) -> bool {
        self.add_text(&wide(name.get(..MAX_NAME).unwrap_or(name), unit))
    }

    fn add_text(&mut self, name: &str) -> bool {
        self.seen += 1;
        // Trailing dots and blanks are dropped where files are unpacked.
        let name = name.trim_end_matches(['\0', '.', ' ']);
        if !name.is_empty() && !self.known.contains(name) {
            let is_beyond = self.entries.len() >= MAX_ENTRIES;
            self.is_cut |= is_beyond;
            if !is_beyond || matters(name) {
                let name: Arc<str> = name.into();
                self.known.insert(Arc::clone(&name));
                self.entries.push(name);
            }
        }
        let goes_on = self.entries.len() < MAX_ENTRIES + MAX_BEYOND && self.seen < MAX_SEEN;
        self.is_cut |= !goes_on;
        goes_on
    }

    /// True if a name ends so, in any case.
    pub(super) fn has_end(&self, end: &str) -> bool {
        self.entries.iter().any(|name| name.to_lowercase().ends_with(end))
    }

    /// True if a name begins so, in any case.
    pub(super) fn has_start(&self, start: &str) -> bool {
        self.entries.iter().any(|name| name.to_lowercase().starts_with(start))
    }
}

/// True for the name of a file that runs, or has macros, or says what the archive is.
fn matters(name: &str) -> bool {
    let name = name.to_lowercase();
    runs(&extension(&name)) || TELLING.iter().any(|telling| name.ends_with(telling)) || name.contains("macrosheets/")
}

/// Text in UTF-16.
pub(super) fn wide(octets: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units: Vec<u16> = octets.as_chunks().0.iter().copied().map(unit).collect();
    String::from_utf16_lossy(&units)
}
