//! The zones in force, and how others take their place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use tokio::time::Instant;
use tracing::{info, warn};

use super::metrics::Metrics;
use super::read::{Refusal, prints, read_again};
use super::{Part, Settings, Zones};

/// The local zones in force. Asking takes no lock and waits for no reload.
#[derive(Debug)]
pub struct LocalZones {
    current: ArcSwap<Zones>,
    /// Held while one set of zones takes the place of another, so that two reloads do not lose each other's.
    changing: Mutex<()>,
    metrics: Metrics,
}

/// Zones that were read and are not in force yet.
#[derive(Debug)]
pub struct Prepared(Vec<Arc<Part>>);

impl LocalZones {
    /// No zones yet.
    pub fn new(metrics: Metrics) -> Self {
        Self { current: ArcSwap::default(), changing: Mutex::new(()), metrics }
    }

    /// The zones in force now.
    pub fn current(&self) -> Guard<Arc<Zones>> {
        self.current.load()
    }

    /// Reads the files of all zones, but for those that are what they were; blocks. A zone whose files are
    /// refused keeps what it has.
    pub fn prepare(&self, settings: &[Settings]) -> Prepared {
        let current = self.current.load_full();
        let parts = settings.iter().map(|settings| {
            let old = current.parts().find(|part| part.is_of(settings));
            match old.filter(|old| old.believed && old.settings == *settings && old.prints == prints(settings)) {
                Some(same) => Arc::clone(same),
                None => Arc::new(self.read(settings, old)),
            }
        });
        Prepared(parts.collect())
    }

    /// Puts zones in force.
    pub fn put(&self, prepared: Prepared) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace(prepared.0);
    }

    /// [`Self::prepare`] and [`Self::put`] in one.
    pub fn load(&self, settings: &[Settings]) {
        self.put(self.prepare(settings));
    }

    /// Reads those zones again whose files are not what they were; blocks. Returns how many it looked into.
    pub fn refresh(&self) -> usize {
        let current = self.current.load_full();
        let changed = current.parts().filter(|part| prints(&part.settings) != part.prints);
        let mut looked_into = 0;
        for old in changed {
            let new = Arc::new(self.read(&old.settings, Some(old)));
            looked_into += 1;
            let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            let put = |part: &Arc<Part>| if Arc::ptr_eq(part, old) { new.clone() } else { part.clone() };
            self.replace(self.current.load().parts().map(put).collect());
        }
        looked_into
    }

    /// Every file of every zone.
    pub fn files(&self) -> Vec<PathBuf> {
        let files: BTreeSet<PathBuf> =
            self.current.load().parts().flat_map(|part| part.settings.files.iter().cloned()).collect();
        files.into_iter().collect()
    }

    fn read(&self, settings: &Settings, old: Option<&Arc<Part>>) -> Part {
        let (zone, begun) = (&*settings.name, Instant::now());
        let known = old.and_then(|old| old.contents.clone());
        let mut prints = prints(settings);
        let read = read_again(settings, known.as_ref().map(|known| known.entries()));
        let believed = read.is_ok();
        self.metrics.reloaded(zone, believed);
        let contents = match read {
            Ok((contents, report)) => {
                for broken in &report.shown {
                    warn!(zone, %broken, "dns.zone_line");
                }
                let (entries, bytes, lines, broken) =
                    (contents.entries(), contents.bytes(), report.lines, report.broken);
                let milliseconds = begun.elapsed().as_millis();
                let format = settings.format.word();
                info!(zone, format, entries, bytes, lines, broken, milliseconds, "dns.zone_loaded");
                Some(Arc::new(contents))
            }
            Err(why) => {
                if why.may_pass() {
                    // Like no file that there is, so that the next look reads it again.
                    prints.clear();
                }
                complain(zone, &why, known.is_some());
                known
            }
        };
        Part { settings: settings.clone(), contents, prints, believed }
    }

    /// Call it with the lock held.
    fn replace(&self, parts: Vec<Arc<Part>>) {
        let mut sizes = BTreeMap::<Arc<str>, (usize, usize)>::new();
        for part in &parts {
            let (entries, bytes) = sizes.entry(part.settings.name.clone()).or_default();
            *entries += part.contents.as_ref().map_or(0, |contents| contents.entries());
            *bytes += part.contents.as_ref().map_or(0, |contents| contents.bytes());
        }
        for (zone, (entries, bytes)) in &sizes {
            self.metrics.set_size(zone, *entries, *bytes);
        }
        let gone = self.current.swap(Arc::new(Zones::new(parts, &self.metrics)));
        for name in gone.zones.keys().filter(|name| !sizes.contains_key(*name)) {
            self.metrics.forget(name);
        }
    }
}

fn complain(zone: &str, why: &Refusal, kept: bool) {
    let then = if kept { "what was read before stays in force" } else { "its names have no answer" };
    warn!(zone, %why, then, "dns.zone_refused");
}

#[cfg(test)]
mod tests;
