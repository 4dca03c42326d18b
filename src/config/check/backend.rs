//! The backend pools.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::files::Files;
use super::super::problem::Report;
use super::super::source::join;
use super::super::{raw, source};
use super::{count, count32, seconds};
use crate::backend::settings::{Address, IdentityMethod, MemberSettings, Protocol, Reuse, Timeouts, TlsMode};
use crate::backend::{Routes, Settings};
use crate::net::listener;

/// The pool of everybody who names none.
pub(super) fn settings(
    file: &raw::File,
    listeners: &[listener::Settings],
    files: &mut Files,
    report: &mut Report<'_>,
) -> Settings {
    pool(file, &file.backend, "backend", listeners, files, report)
}

/// The pools that have names.
pub(super) fn pools(
    file: &raw::File,
    listeners: &[listener::Settings],
    files: &mut Files,
    report: &mut Report<'_>,
) -> BTreeMap<Arc<str>, Settings> {
    let mut pools = BTreeMap::new();
    for (name, written) in &file.pool {
        let at = format!("pool.{name}");
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            report.error(&at, "the name of a pool is a word of letters, digits, - and _");
        }
        let is_named = file.listen.iter().any(|listen| listen.backend.as_ref() == Some(name))
            || file.route.iter().any(|route| route.backend.as_ref() == Some(name));
        if !is_named {
            report.warning(&at, "no listener and no route names it: it gets no mail");
        }
        if written.member.is_empty() && !report.document.has(&join(&at, "member")) {
            report.error(&at, "there must be at least one backend server");
        }
        pools.insert(name.as_str().into(), pool(file, written, &at, listeners, files, report));
    }
    pools
}

fn pool(
    file: &raw::File,
    written: &raw::Backend,
    at: &str,
    listeners: &[listener::Settings],
    files: &mut Files,
    report: &mut Report<'_>,
) -> Settings {
    if written.member.is_empty() && report.document.has(&join(at, "member")) {
        report.error(&join(at, "member"), "there must be at least one backend server");
    }
    if let Some(helo) = &written.helo {
        report.take(&join(at, "helo"), super::session::host_name(helo));
    }
    if written.timeouts.end_of_data_seconds < 600 {
        let reason = "is below the 10 minutes of RFC 5321 4.5.3.2.6: a slow backend then delivers twice";
        report.warning(&format!("{at}.timeouts.end_of_data_seconds"), reason);
    }
    if written.protocol == raw::BackendProtocol::Lmtp {
        let at = join(at, "protocol");
        if is_for_users(file, written) {
            report.error(&at, "users authenticate through this pool, which LMTP knows nothing of");
        } else if file.store.path.is_none() && file.store.redis.is_none() {
            let reason = "a restart forgets who has a message that others lack, and they get it twice: set store.path or store.redis";
            report.warning(&at, reason);
        }
    }
    let mut seen = BTreeSet::new();
    let mut members = Vec::new();
    for (index, member) in written.member.iter().enumerate() {
        let at = source::element(&join(at, "member"), index);
        if report.document.has(&format!("{at}.address")) && !seen.insert(member.address.clone()) {
            report.error(&format!("{at}.address"), format!("`{}` is a member already", member.address));
        }
        if let Some(settings) = self::member(member, &at, listeners, files, report) {
            keeps_secrets(file, written, &settings, &at, report);
            members.push(settings);
        }
    }
    Settings {
        members,
        identity: match written.identity {
            raw::Identity::None => IdentityMethod::None,
            raw::Identity::Xclient => IdentityMethod::Xclient,
            raw::Identity::Xforward => IdentityMethod::Xforward,
            raw::Identity::ProxyV2 => IdentityMethod::ProxyV2,
        },
        protocol: match written.protocol {
            raw::BackendProtocol::Smtp => Protocol::Smtp,
            raw::BackendProtocol::Lmtp => Protocol::Lmtp,
        },
        helo: written.helo.as_deref().unwrap_or(&file.hostname).into(),
        timeouts: timeouts(&written.timeouts),
        reuse: reuse(&written.reuse),
        probe_interval: seconds(written.probe_interval_seconds),
    }
}

/// Which recipients go to which pool.
pub(super) fn routes(file: &raw::File, report: &mut Report<'_>) -> Routes {
    let mut routes = Routes::default();
    for (index, written) in file.route.iter().enumerate() {
        let at = source::element("route", index);
        if let Some(pool) = &written.backend {
            super::network::pool_exists(file, pool, &join(&at, "backend"), report);
        }
        if written.recipients.is_empty() && report.document.has(&join(&at, "recipients")) {
            report.error(&join(&at, "recipients"), "nobody goes by it");
        }
        let route = routes.add(written.backend.as_deref().map(Into::into));
        for (index, pattern) in written.recipients.iter().enumerate() {
            let key = source::element(&join(&at, "recipients"), index);
            report.take(&key, routes.insert(pattern, route));
        }
    }
    if !file.route.is_empty() && !file.listen.iter().any(|listen| listen.role == raw::Role::Edge) {
        report.warning("route", "has no effect without a listener of role = \"edge\"");
    }
    routes
}

/// Whoever fills the connections of a pool that users and strangers share stops both.
pub(super) fn keep_apart(file: &raw::File, report: &mut Report<'_>) {
    let is_edge = |listen: &raw::Listen| matches!(listen.role, raw::Role::Edge);
    let authenticates = |listen: &raw::Listen| matches!(listen.role, raw::Role::Submission | raw::Role::Submissions);
    for (index, listen) in file.listen.iter().enumerate().filter(|(_, listen)| authenticates(listen)) {
        if file.listen.iter().any(|other| is_edge(other) && other.backend == listen.backend) {
            let at = source::element("listen", index);
            let key = join(&at, "backend");
            let place = if report.document.has(&key) { key } else { at };
            report
                .warning(&place, "users and strangers share the connections of one pool: name a [pool.NAME] for users");
        }
    }
}

/// True if users authenticate through `pool`.
fn is_for_users(file: &raw::File, pool: &raw::Backend) -> bool {
    let uses = |listen: &raw::Listen| match &listen.backend {
        Some(name) => file.pool.get(name).is_some_and(|named| std::ptr::eq(named, pool)),
        None => std::ptr::eq(&file.backend, pool),
    };
    let authenticates = |listen: &raw::Listen| matches!(listen.role, raw::Role::Submission | raw::Role::Submissions);
    file.listen.iter().any(|listen| authenticates(listen) && uses(listen))
}

/// Whoever is given the passwords of users must be who he should be, and nobody may listen.
fn keeps_secrets(file: &raw::File, pool: &raw::Backend, member: &MemberSettings, at: &str, report: &mut Report<'_>) {
    if member.is_loopback() || !is_for_users(file, pool) {
        return;
    }
    let key = format!("{at}.tls");
    let place = if report.document.has(&key) { key } else { at.to_owned() };
    match member.tls {
        TlsMode::Off | TlsMode::Opportunistic => {
            report.error(&place, "users authenticate through this pool: tls must be \"verify\", or \"required\"");
        }
        TlsMode::Required => {
            report.warning(&place, "users authenticate through this pool, and whoever answers gets their passwords: write tls = \"verify\"");
        }
        TlsMode::Verify => {}
    }
}

fn member(
    written: &raw::Member,
    at: &str,
    listeners: &[listener::Settings],
    files: &mut Files,
    report: &mut Report<'_>,
) -> Option<MemberSettings> {
    let key = |name: &str| format!("{at}.{name}");
    if written.tls != raw::TlsMode::Verify {
        for (name, value) in [("tls_name", &written.tls_name), ("tls_ca", &written.tls_ca)] {
            if value.is_some() {
                report.warning(&key(name), "has no effect without tls = \"verify\"");
            }
        }
    }
    if written.implicit_tls && matches!(written.tls, raw::TlsMode::Off | raw::TlsMode::Opportunistic) {
        report.error(&key("implicit_tls"), "needs tls = \"verify\", or \"required\"");
    }
    let tls_ca = written.tls_ca.as_ref().map(|path| files.resolve(path));
    if let (Some(path), true) = (&tls_ca, files.are_read()) {
        report.take(&key("tls_ca"), files.read(path));
    }
    if !report.document.has(&key("address")) {
        return None;
    }
    let address = report.take(&key("address"), address(&written.address))?;
    if let Address::Socket(socket) = &address {
        if listeners.iter().any(|listener| listener.address == *socket) {
            report.error(&key("address"), "is one of our own listeners: mail would go in a circle");
        }
        if socket.port() == 0 || socket.ip().is_unspecified() {
            report.error(&key("address"), "is an address to listen at, not one to connect to");
        }
    }
    Some(MemberSettings {
        address,
        connections: count(written.connections),
        tls: match written.tls {
            raw::TlsMode::Off => TlsMode::Off,
            raw::TlsMode::Opportunistic => TlsMode::Opportunistic,
            raw::TlsMode::Required => TlsMode::Required,
            raw::TlsMode::Verify => TlsMode::Verify,
        },
        tls_name: written.tls_name.clone(),
        tls_ca,
        weight: count32(written.weight),
        backup: written.backup,
        implicit_tls: written.implicit_tls,
    })
}

fn address(written: &str) -> Result<Address, String> {
    if let Some(path) = written.strip_prefix("unix:") {
        let path = std::path::Path::new(path);
        let wrong = || format!("`{written}` is no socket: write unix: and a path from the root");
        return path.is_absolute().then(|| Address::Unix(path.to_owned())).ok_or_else(wrong);
    }
    if let Ok(socket) = written.parse() {
        return Ok(Address::Socket(socket));
    }
    let wanted =
        || format!("`{written}` is no host:port, such as 127.0.0.1:2525 or mail.example.org:25, and no unix:/path");
    let (host, port) = written.rsplit_once(':').ok_or_else(wanted)?;
    let port: u16 = port.parse().ok().filter(|port| *port != 0).ok_or_else(wanted)?;
    let labels_fit = host.trim_end_matches('.').split('.').all(super::session::is_label);
    if labels_fit && host.len() <= 253 { Ok(Address::Host(host.to_owned(), port)) } else { Err(wanted()) }
}

fn timeouts(written: &raw::BackendTimeouts) -> Timeouts {
    Timeouts {
        connect: seconds(written.connect_seconds),
        command: seconds(written.command_seconds),
        write: seconds(written.write_seconds),
        end_of_data: seconds(written.end_of_data_seconds),
        queue: seconds(written.queue_seconds),
    }
}

fn reuse(written: &raw::Reuse) -> Reuse {
    Reuse {
        idle: count(written.idle),
        idle_time: seconds(written.idle_seconds),
        transactions: count32(written.transactions),
        refusals: count32(written.refusals),
        age: seconds(written.age_seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_hosts_with_a_port() {
        for (written, fits) in [
            ("127.0.0.1:25", true),
            ("[::1]:25", true),
            ("mail.example.org:25", true),
            ("mail_1:2525", true),
            ("mail.example.org", false),
            ("mail.example.org:0", false),
            ("mail.example.org:smtp", false),
            ("unix:/run/dovecot/lmtp", true),
            ("unix:lmtp", false),
            ("::1:25", false),
            ("a..b:25", false),
            (":25", false),
        ] {
            assert_eq!(address(written).is_ok(), fits, "{written}");
        }
    }
}
