//! What is recorded, and where.

use std::path::Path;
use std::time::Duration;

use super::super::files::Files;
use super::super::problem::Report;
use super::super::raw;
use super::{count, size};
use crate::records::{Json, Redact, Settings};

/// Less is not worth a directory.
const SMALLEST: u64 = 1 << 20;

pub(super) fn settings(written: &raw::Records, files: &Files, report: &mut Report<'_>) -> Settings {
    let directory = written.directory.as_deref().map(|directory| files.resolve(directory));
    // Warnings: mail goes on without records, so it must begin without them too.
    if let Some(above) = directory.as_deref().and_then(Path::parent).filter(|_| files.are_read())
        && !above.is_dir()
    {
        report.warning("records.directory", format!("{} is no directory: nothing is recorded", above.display()));
    }
    let json = match written.json.as_deref() {
        None => Json::Off,
        Some("-") => Json::Stdout,
        Some(path) => Json::File(files.resolve(path)),
    };
    if let Json::File(path) = &json
        && let Some(above) = path.parent().filter(|above| files.are_read() && !above.is_dir())
    {
        report.warning("records.json", format!("{} is no directory: no lines are written", above.display()));
    }
    let max_size = size(&written.max_size, "records.max_size", report);
    if max_size.0 < SMALLEST {
        report.error("records.max_size", "is too little to keep anything: write 1 MiB or more");
    }
    Settings {
        directory,
        max_size,
        max_age: Duration::from_secs(written.max_age_days.saturating_mul(86_400)),
        queue: count(written.queue),
        queue_memory: size(&written.queue_memory, "records.queue_memory", report),
        redact: Redact {
            subjects: written.redact.contains(&raw::Redact::Subjects),
            local_parts: written.redact.contains(&raw::Redact::LocalParts),
        },
        json,
    }
}
