//! Disks: whether what the configuration allows to be written has room there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use indicatif::HumanBytes;

use super::finding::Finding;
use crate::config::Config;

const AREA: &str = "disk";

/// What may still be written somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Demand {
    what: &'static str,
    directory: PathBuf,
    octets: u64,
    /// With less than this it does not work at all.
    least: u64,
}

/// Free room of every file system that something of ours is written to.
pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let mut systems = BTreeMap::<u64, Vec<Demand>>::new();
    let mut findings = Vec::new();
    for demand in [Some(spool(config)), records(config)].into_iter().flatten() {
        // A directory that is not there is told elsewhere; it will be made on the file system of what is there.
        let there = demand.directory.ancestors().find(|place| place.is_dir()).unwrap_or(Path::new("/"));
        match fs::metadata(there) {
            Ok(metadata) => {
                let demand = Demand { directory: there.to_owned(), ..demand };
                systems.entry(metadata.dev()).or_default().push(demand);
            }
            Err(why) => findings.push(Finding::skipped(AREA, &there.display(), why, "Look at it with df.")),
        }
    }
    for demands in systems.into_values() {
        let Some(first) = demands.first() else { continue };
        match free(&first.directory) {
            Ok(free) => findings.push(judge(&demands, free)),
            Err(why) => findings.push(Finding::skipped(AREA, &first.directory.display(), why, "Look at it with df.")),
        }
    }
    findings
}

/// Messages that wait for their verdict: each session has one of the largest at most, and all have what is set.
fn spool(config: &Config) -> Demand {
    let message = config.session.limits.message_size.0;
    let all = (config.accept.sessions as u64).saturating_mul(message);
    let octets = all.min(config.spool.total_disk.0);
    Demand { what: "messages", directory: config.spool.directory.clone(), octets, least: message.min(octets) }
}

/// Records, less those that are there already.
fn records(config: &Config) -> Option<Demand> {
    let directory = config.records.directory.clone()?;
    let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
    let there: u64 = entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum();
    let octets = config.records.max_size.0.saturating_sub(there);
    Some(Demand { what: "decision records", directory, octets, least: 0 })
}

/// Octets that may still be written there without being root.
fn free(directory: &Path) -> io::Result<u64> {
    let system = rustix::fs::statvfs(directory)?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

fn judge(demands: &[Demand], free: u64) -> Finding {
    let wanted = demands.iter().fold(0_u64, |sum, demand| sum.saturating_add(demand.octets));
    let least: u64 = demands.iter().map(|demand| demand.least).sum();
    let subject: Vec<String> = demands.iter().map(|demand| demand.directory.display().to_string()).collect();
    let parts: Vec<String> =
        demands.iter().map(|demand| format!("{} of {}", HumanBytes(demand.octets), demand.what)).collect();
    let found = format!("{} free, for {}", HumanBytes(free), parts.join(" and "));
    let subject = subject.join(", ");
    if free < least {
        let advice = "Not one large message has room: it gets 452. Make room, or name another [spool] directory.";
        return Finding::broken(AREA, &subject, found, advice);
    }
    if free < wanted {
        let advice = "On a full disk large messages get 452, and records are lost: make room, or lower [spool] \
            total_disk, [limits] message_size or sessions, [records] max_size.";
        return Finding::doubtful(AREA, &subject, found, advice);
    }
    Finding::well(AREA, &subject, found)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn demand(octets: u64, least: u64) -> Demand {
        Demand { what: "messages", directory: "/spool".into(), octets, least }
    }

    #[test]
    fn what_is_on_one_disk_needs_room_together() {
        for (demands, free, level) in [
            (vec![demand(100, 10)], 100, Level::Well),
            (vec![demand(100, 10)], 99, Level::Doubtful),
            (vec![demand(100, 10)], 10, Level::Doubtful),
            (vec![demand(100, 10)], 9, Level::Broken),
            (vec![demand(100, 10), demand(50, 0)], 149, Level::Doubtful),
            (vec![demand(100, 10), demand(50, 0)], 150, Level::Well),
            (vec![demand(u64::MAX, 10), demand(u64::MAX, 0)], 1 << 40, Level::Doubtful),
        ] {
            assert_eq!(judge(&demands, free).level, level, "{demands:?} {free}");
        }
    }

    #[test]
    fn this_machine_has_a_disk() {
        assert!(free(Path::new("/")).is_ok_and(|free| free > 0));
        assert!(free(Path::new("/nowhere/at/all")).is_err());
    }
}
