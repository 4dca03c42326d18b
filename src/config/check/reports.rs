//! DMARC reports: who sends them, and where they go.

use super::super::files::Files;
use super::super::problem::Report;
use super::super::raw;
use crate::reports::destination::mailbox;
use crate::reports::{Settings, Via};

/// Characters of the longest name of an organization.
const LONGEST_NAME: usize = 200;

/// `None` if reports are off, or nobody can send them.
pub(super) fn settings(file: &raw::File, files: &Files, report: &mut Report<'_>) -> Option<Settings> {
    let written = &file.reports;
    if !written.enabled {
        return None;
    }
    if file.store.path.is_none() && file.store.redis.is_none() {
        report.warning("reports.enabled", "a restart forgets what was collected: set store.path or store.redis");
    }
    let org_name = written.org_name.as_ref().unwrap_or(&file.hostname);
    let fits = |c: char| (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\');
    if org_name.trim().is_empty() || org_name.len() > LONGEST_NAME || !org_name.chars().all(fits) {
        let reason = format!("must be up to {LONGEST_NAME} printable ASCII characters without `\"` and `\\`");
        report.error("reports.org_name", reason);
    }
    let email = match &written.email {
        None => {
            report.error("reports.enabled", "needs reports.email: reports have a sender");
            None
        }
        Some(address) => {
            let known = mailbox(address);
            if known.is_none() {
                report.error("reports.email", format!("`{address}` is no address, such as dmarc@example.org"));
            }
            known
        }
    };
    if written.via == raw::ReportsVia::Backend && file.backend.protocol == raw::BackendProtocol::Lmtp {
        report.error("reports.via", "the backend speaks LMTP, which sends nothing anywhere: write via = \"folder\"");
    }
    let via = match (written.via, &written.folder) {
        (raw::ReportsVia::Backend, None) => Some(Via::Backend),
        (raw::ReportsVia::Backend, Some(_)) => {
            report.warning("reports.folder", "is not used: reports go to the backend");
            Some(Via::Backend)
        }
        (raw::ReportsVia::Folder, None) => {
            report.error("reports.via", "needs reports.folder");
            None
        }
        (raw::ReportsVia::Folder, Some(folder)) => {
            let folder = files.resolve(folder);
            if files.are_read() && !folder.is_dir() {
                report.error("reports.folder", format!("{} is no directory", folder.display()));
            }
            Some(Via::Folder(folder))
        }
    };
    Some(Settings { hostname: file.hostname.as_str().into(), org_name: org_name.clone(), email: email?, via: via? })
}
