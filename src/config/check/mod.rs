//! What is meant: the tables as written become the Settings of each module, or problems.
//!
//! Nothing stops at a mistake: a value that makes no sense is reported and replaced by a harmless one,
//! and the whole is thrown away in the end.

mod backend;
mod canary;
mod network;
mod records;
mod redis;
mod reports;
mod session;
mod zones;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::files::Files;
use super::problem::Report;
use super::{Config, Document, Log, Problems, Reload, Rules, raw, source};
use crate::session::spool;
use crate::store;
use crate::units::{ByteSize, CidrSet};

/// What the tables mean; `None` if there is no saying. Whether it may be used, the problems say.
pub(super) fn config(
    raw: &raw::File,
    document: &Document,
    files: &mut Files,
    problems: &mut Problems,
) -> Option<Config> {
    let mut report = Report { document, problems };
    let report = &mut report;
    let checks = session::checks(&raw.checks, report);
    let session = session::settings(raw, &checks, files, report);
    let listeners = network::listeners(raw, files, report);
    let backend = backend::settings(raw, &listeners, files, report);
    let pools = backend::pools(raw, &listeners, files, report);
    backend::keep_apart(raw, report);
    let routes = backend::routes(raw, report);
    let dns = network::dns(&raw.dns, report);
    let zones = zones::zones(&raw.dns.zone, files, report);
    let admin = network::admin(&raw.admin, &listeners, report);
    let spool = spool(raw, session.limits.message_size, files, report);
    let rules = Rules::read(raw, files, report)?;
    Some(Config {
        listeners,
        accept: network::accept_limits(&raw.limits, report),
        session,
        backend,
        pools,
        routes,
        dns,
        zones,
        spool,
        store: store(&raw.store, files, report),
        records: records::settings(&raw.records, files, report),
        reports: reports::settings(raw, files, report),
        checks,
        admin,
        log: Log { format: raw.log.format, level: raw.log.level },
        drain: seconds(raw.shutdown.drain_seconds),
        reload: Reload { watch: raw.reload.watch, canary: canary::terms(&raw.reload.canary, report) },
        rules,
        own_names: session::own_names(raw),
    })
}

fn spool(raw: &raw::File, message_size: ByteSize, files: &Files, report: &mut Report<'_>) -> spool::Settings {
    let written = &raw.spool;
    let directory = match &written.directory {
        Some(directory) => files.resolve(directory),
        None => std::env::temp_dir(),
    };
    if files.are_read() && !directory.is_dir() {
        report.error("spool.directory", format!("{} is no directory", directory.display()));
    }
    let spool = spool::Settings {
        directory,
        message_memory: size(&written.message_memory, "spool.message_memory", report),
        total_memory: size(&written.total_memory, "spool.total_memory", report),
        total_disk: size(&written.total_disk, "spool.total_disk", report),
    };
    if spool.message_memory > spool.total_memory {
        report.error("spool.message_memory", format!("is more than total_memory ({})", spool.total_memory));
    }
    if message_size > spool.total_disk {
        let reason = format!("is less than one message of limits.message_size ({message_size})");
        report.error("spool.total_disk", reason);
    }
    spool
}

fn store(written: &raw::Store, files: &mut Files, report: &mut Report<'_>) -> store::Settings {
    let path = written.path.as_deref().map(|path| files.resolve(path));
    // A warning: mail goes on without a store, so it must begin without one too.
    if let Some(directory) = path.as_deref().and_then(Path::parent).filter(|_| files.are_read())
        && !directory.is_dir()
    {
        let reason = format!("{} is no directory: memory takes the file's place", directory.display());
        report.warning("store.path", reason);
    }
    store::Settings {
        path,
        redis: redis::settings(written, files, report),
        hops: count(written.hops),
        report_rows: count(written.report_rows),
        triplets: count(written.triplets),
        buckets: count(written.buckets),
        reputations: count(written.reputations),
        lessons: count(written.lessons),
        deliveries: count(written.deliveries),
        campaigns: count(written.campaigns),
        digests: count(written.digests),
        campaign_window: Duration::from_secs(written.campaign_hours.saturating_mul(3600)),
        retention: Duration::from_secs(written.retention_days.saturating_mul(86_400)),
    }
}

/// The zone of a DNS list.
pub(super) fn zone(written: &str) -> Result<(), String> {
    let name = written.trim_end_matches('.');
    // The longest question puts 64 octets of an IPv6 address before it (RFC 5782 2.4).
    let fits = name.len() <= 253 - 64 && name.contains('.') && name.split('.').all(session::is_label);
    if fits { Ok(()) } else { Err(format!("`{written}` is no zone, such as bl.example.net")) }
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// The schema bounds what is written, so nothing is lost on the machines that we run on.
fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn count32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn size(written: &raw::Size, key: &str, report: &mut Report<'_>) -> ByteSize {
    report.take(key, written.0.parse()).unwrap_or(ByteSize(0))
}

/// `address:port`, or an address alone where there is a port to fall back to.
fn socket(written: &str, default_port: Option<u16>) -> Result<SocketAddr, String> {
    if let Ok(address) = written.parse() {
        return Ok(address);
    }
    match (written.parse(), default_port) {
        (Ok(ip), Some(port)) => Ok(SocketAddr::new(ip, port)),
        (Ok(_), None) => Err(format!("`{written}` lacks a port: write 192.0.2.1:25 or [2001:db8::1]:25")),
        (Err(_), _) => Err(format!("`{written}` is no address with a port, such as 192.0.2.1:25 or [2001:db8::1]:25")),
    }
}

/// Networks; the set leaves out what is none.
pub(super) fn networks(written: &[String], key: &str, report: &mut Report<'_>) -> CidrSet {
    let mut good = Vec::new();
    for (index, text) in written.iter().enumerate() {
        let key = source::element(key, index);
        let Some(network) = report.take(&key, CidrSet::parse_network(text)) else { continue };
        if network.trunc() != network {
            report.warning(&key, format!("has bits set beyond its prefix; it means {}", network.trunc()));
        }
        match network.trunc() {
            ipnet::IpNet::V6(net) if net.addr().to_ipv4_mapped().is_some() => {
                report.error(&key, "names IPv4 addresses in IPv6 form: write them as IPv4");
            }
            network => good.push(network),
        }
    }
    good.into_iter().collect()
}

/// Refuses networks so wide that they mean everybody: wider than 10.0.0.0/8 or fc00::/7.
fn refuse_everybody(written: &[String], key: &str, consequence: &str, report: &mut Report<'_>) {
    for (index, text) in written.iter().enumerate() {
        let Ok(network) = CidrSet::parse_network(text) else { continue };
        let narrowest = if network.addr().is_ipv4() { 8 } else { 7 };
        if network.prefix_len() < narrowest {
            report.error(&source::element(key, index), format!("`{text}` is too wide: {consequence}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_a_port_unless_there_is_a_usual_one() {
        for (written, port, expected) in [
            ("192.0.2.1:25", None, Some("192.0.2.1:25")),
            ("[::1]:25", None, Some("[::1]:25")),
            ("192.0.2.1", None, None),
            ("192.0.2.1", Some(53), Some("192.0.2.1:53")),
            ("::1", Some(53), Some("[::1]:53")),
            ("localhost:25", None, None),
            ("192.0.2.1:99999", None, None),
        ] {
            assert_eq!(socket(written, port).ok().map(|addr| addr.to_string()).as_deref(), expected, "{written}");
        }
    }
}
