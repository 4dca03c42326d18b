//! Local zones.

use super::super::files::Files;
use super::super::problem::Report;
use super::super::raw::{self, ZoneFormat};
use super::super::source::{element, join};
use super::{count, session};
use crate::dns::zones::{Format, Settings};

pub(super) fn zones(written: &[raw::Zone], files: &Files, report: &mut Report<'_>) -> Vec<Settings> {
    let mut zones: Vec<Settings> = Vec::new();
    for (index, zone) in written.iter().enumerate() {
        let at = element("dns.zone", index);
        let name = zone.name.strip_suffix('.').unwrap_or(&zone.name).to_ascii_lowercase();
        let format = format(zone.format);
        if report.document.has(&join(&at, "name")) {
            report.take(&join(&at, "name"), fits(&zone.name, &name, format));
        }
        if let Some(other) = zones.iter().find(|other| *other.name == *name && other.format.overlaps(format)) {
            let reason = match other.format == format {
                true => "this zone has a table of that format already: write `files = [...]`".to_owned(),
                false => format!("this zone has IPv4 addresses already, as {}", other.format.word()),
            };
            report.error(&join(&at, "format"), reason);
        }
        let mut paths = Vec::new();
        for (key, path) in paths_of(zone, &at, report) {
            let resolved = files.resolve(path);
            if files.are_read() && !resolved.is_file() {
                // It may come later; until then nothing follows from it.
                let reason =
                    format!("{} is no file: until there is one, names in {name} have no answer", resolved.display());
                report.warning(&key, reason);
            }
            paths.push(resolved);
        }
        zones.push(Settings { name: name.into(), format, files: paths, max_entries: count(zone.max_entries) });
    }
    zones
}

/// The files with where each is written.
fn paths_of<'a>(zone: &'a raw::Zone, at: &str, report: &mut Report<'_>) -> Vec<(String, &'a str)> {
    let (one, several) = (join(at, "file"), join(at, "files"));
    match (&zone.file, zone.files.as_slice()) {
        (Some(_), [_, ..]) => {
            report.error(&several, "there is a `file` beside it: write all of them here");
            Vec::new()
        }
        (Some(file), []) => vec![(one, file)],
        (None, []) => {
            report.error(at, "a zone without a file: write `file = \"...\"`");
            Vec::new()
        }
        (None, files) => files.iter().enumerate().map(|(index, file)| (element(&several, index), &**file)).collect(),
    }
}

fn fits(written: &str, name: &str, format: Format) -> Result<(), String> {
    // The longest question puts 64 octets of an IPv6 address before it (RFC 5782 2.4).
    let longest = if format == Format::Hosts { 253 } else { 253 - 64 };
    let labels = name.split('.').all(session::is_label);
    // A list at the top would take a whole top-level domain from the network.
    let deep = format == Format::Hosts || name.contains('.');
    if labels && deep && name.len() <= longest {
        return Ok(());
    }
    Err(format!("`{written}` is no zone, such as bl.example.net"))
}

fn format(written: ZoneFormat) -> Format {
    match written {
        ZoneFormat::Ip4Set => Format::Ip4Set,
        ZoneFormat::Ip4Trie => Format::Ip4Trie,
        ZoneFormat::Ip6Trie => Format::Ip6Trie,
        ZoneFormat::DnSet => Format::DnSet,
        ZoneFormat::Hosts => Format::Hosts,
    }
}
