//! Listeners, name lookups, admin.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::super::files::Files;
use super::super::problem::{Report, nearest};
use super::super::{raw, source};
use super::{count, millis, networks, refuse_everybody, seconds, socket};
use crate::dns;
use crate::facts::Role;
use crate::net::listener::{AcceptLimits, RelayedCommands, Settings, TlsFiles};
use crate::net::tls::TlsAcceptorSource;

pub(super) fn listeners(file: &raw::File, files: &mut Files, report: &mut Report<'_>) -> Vec<Settings> {
    let written = &file.listen;
    if written.is_empty() && report.document.has("listen") {
        report.error("listen", "there must be at least one listener");
    }
    let (mut addresses, mut names) = (BTreeSet::new(), BTreeSet::new());
    let mut listeners = Vec::new();
    for (index, listen) in written.iter().enumerate() {
        let at = source::element("listen", index);
        if let Some(pool) = &listen.backend {
            pool_exists(file, pool, &format!("{at}.backend"), report);
        }
        let Some(settings) = listener(file, listen, &at, files, report) else { continue };
        // Port 0 is a new port each time.
        if settings.address.port() != 0 && !addresses.insert(settings.address) {
            report.error(&format!("{at}.address"), format!("another listener has {} already", settings.address));
        }
        if !names.insert(settings.name.clone()) && listen.name.is_some() {
            report.error(&format!("{at}.name"), format!("another listener is called `{}` already", settings.name));
        }
        listeners.push(settings);
    }
    listeners
}

/// A pool that is named must be there.
pub(super) fn pool_exists(file: &raw::File, pool: &str, key: &str, report: &mut Report<'_>) {
    if !file.pool.contains_key(pool) {
        let near = nearest(pool, file.pool.keys().map(String::as_str));
        report.error_near(key, format!("there is no pool `{pool}`: write [pool.{pool}]"), near);
    }
}

fn listener(
    file: &raw::File,
    written: &raw::Listen,
    at: &str,
    files: &mut Files,
    report: &mut Report<'_>,
) -> Option<Settings> {
    let key = |name: &str| format!("{at}.{name}");
    let tls = certificates(written, at, files, report);
    let proxy_networks = networks(&written.proxy_networks, &key("proxy_networks"), report);
    let xclient_networks = networks(&written.xclient_networks, &key("xclient_networks"), report);
    let xforward_networks = networks(&written.xforward_networks, &key("xforward_networks"), report);
    let anybody = "any client could claim any address";
    refuse_everybody(&written.proxy_networks, &key("proxy_networks"), anybody, report);
    refuse_everybody(&written.xclient_networks, &key("xclient_networks"), anybody, report);
    refuse_everybody(&written.xforward_networks, &key("xforward_networks"), anybody, report);
    if written.proxy_protocol && written.proxy_networks.is_empty() {
        report.error(&key("proxy_protocol"), "without proxy_networks nobody may connect: name the balancers");
    }
    if !written.proxy_protocol && !written.proxy_networks.is_empty() {
        report.warning(&key("proxy_networks"), "has no effect without proxy_protocol = true");
    }
    let role = match written.role {
        raw::Role::Edge => Role::Edge,
        raw::Role::Submission => Role::Submission,
        raw::Role::Submissions => Role::Submissions,
        raw::Role::Outbound => Role::Outbound,
    };
    role_fits(written, role, at, report);
    let command_networks = networks(&written.command_networks, &key("command_networks"), report);
    commands_fit(file, written, role, at, report);
    let may_send = networks(&written.networks, &key("networks"), report);
    if !report.document.has(&key("address")) {
        return None;
    }
    let address = report.take(&key("address"), socket(&written.address, None))?;
    let name = written.name.clone().unwrap_or_else(|| address.to_string());
    if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        report.error(&key("name"), "must be a word");
    }
    Some(Settings {
        name: name.into(),
        role,
        address,
        tls,
        proxy_protocol: written.proxy_protocol,
        proxy_networks,
        xclient_networks,
        xforward_networks,
        relayed_commands: RelayedCommands {
            vrfy: written.relayed_commands.contains(&raw::RelayedCommand::Vrfy),
            expn: written.relayed_commands.contains(&raw::RelayedCommand::Expn),
            etrn: written.relayed_commands.contains(&raw::RelayedCommand::Etrn),
        },
        command_networks,
        networks: may_send,
        auth_without_tls: written.auth_without_tls,
        pool: written.backend.as_deref().map(Into::into),
    })
}

/// The pair for whoever asks for no name, and all others.
fn certificates(written: &raw::Listen, at: &str, files: &mut Files, report: &mut Report<'_>) -> Vec<TlsFiles> {
    let more = format!("{at}.certificates");
    let Some(first) = &written.tls else {
        if !written.certificates.is_empty() {
            report.error(
                &more,
                "without `tls` nobody is shown them: that is the certificate for whoever asks for no name",
            );
        }
        return Vec::new();
    };
    let mut pairs = vec![tls_files(first, &format!("{at}.tls"), files, report)];
    for (index, pair) in written.certificates.iter().enumerate() {
        let key = source::element(&more, index);
        let pair = tls_files(pair, &key, files, report);
        if pairs.contains(&pair) {
            report.error(&key, "is there already");
        }
        pairs.push(pair);
    }
    pairs
}

/// Who may say commands that are passed on, and to whom they go.
fn commands_fit(file: &raw::File, written: &raw::Listen, role: Role, at: &str, report: &mut Report<'_>) {
    let key = |name: &str| format!("{at}.{name}");
    refuse_everybody(&written.command_networks, &key("command_networks"), "anybody could ask for addresses", report);
    match (written.relayed_commands.is_empty(), written.command_networks.is_empty()) {
        (true, false) => report.warning(&key("command_networks"), "has no effect without relayed_commands"),
        (false, true) if !role.wants_auth() => {
            report.warning(&key("relayed_commands"), "has no effect without command_networks: nobody may say them");
        }
        _ => {}
    }
    let pool = match &written.backend {
        Some(name) => file.pool.get(name),
        None => Some(&file.backend),
    };
    let members = pool.map_or(0, |pool| pool.member.len());
    if written.relayed_commands.contains(&raw::RelayedCommand::Etrn) && members > 1 {
        let reason = format!("`etrn` would reach one of {members} backends, and only what waits there would be sent");
        report.error(&key("relayed_commands"), reason);
    }
}

/// What a role needs, and what means nothing with it.
fn role_fits(written: &raw::Listen, role: Role, at: &str, report: &mut Report<'_>) {
    let key = |name: &str| format!("{at}.{name}");
    let no_tls = written.tls.is_none();
    match role {
        Role::Submissions if no_tls => report.error(&key("role"), "needs a certificate: write tls"),
        Role::Submission if no_tls && !written.auth_without_tls => {
            report.error(&key("role"), "needs a certificate (tls): nobody could authenticate but this machine");
        }
        Role::Outbound if written.networks.is_empty() => {
            report.error(&key("role"), "without `networks` nobody may send: name those of your servers");
        }
        _ => {}
    }
    refuse_everybody(&written.networks, &key("networks"), "this would be an open relay", report);
    if role != Role::Outbound && !written.networks.is_empty() {
        report.warning(&key("networks"), "has no effect without role = \"outbound\"");
    }
    match (written.auth_without_tls, role) {
        (true, Role::Submission) => {
            report.warning(&key("auth_without_tls"), "passwords may cross the network in clear")
        }
        (true, _) => report.warning(&key("auth_without_tls"), "has no effect without role = \"submission\""),
        (false, _) => {}
    }
}

fn tls_files(written: &raw::Tls, at: &str, files: &mut Files, report: &mut Report<'_>) -> TlsFiles {
    let mut readable = files.are_read();
    let mut pem = |name: &str, path: &str, kind: &str| {
        let key = format!("{at}.{name}");
        let resolved = files.resolve(path);
        if !files.are_read() || !report.document.has(&key) {
            readable = false;
            return resolved;
        }
        let text = files.read(&resolved).and_then(|text| {
            let found = has_pem(&text, kind);
            found.then_some(()).ok_or_else(|| format!("{} holds no {kind} in PEM form", resolved.display()))
        });
        readable &= report.take(&key, text).is_some();
        resolved
    };
    let pair = TlsFiles {
        certificate: pem("certificate", &written.certificate, "CERTIFICATE"),
        key: pem("key", &written.key, "PRIVATE KEY"),
    };
    if readable {
        // Whether they belong together only the TLS library knows.
        report.take(at, TlsAcceptorSource::load(vec![pair.clone()]));
    }
    pair
}

/// True if there is a PEM block of that kind; `RSA PRIVATE KEY` is a `PRIVATE KEY`.
fn has_pem(text: &str, kind: &str) -> bool {
    text.lines().any(|line| {
        let label = line.trim().strip_prefix("-----BEGIN ").and_then(|line| line.strip_suffix("-----"));
        label.is_some_and(|label| label.ends_with(kind))
    })
}

pub(super) fn accept_limits(written: &raw::Limits, report: &mut Report<'_>) -> AcceptLimits {
    if written.sessions_per_client > written.sessions {
        report.warning("limits.sessions_per_client", format!("is more than all sessions ({})", written.sessions));
    }
    if written.sessions_per_network < written.sessions_per_client {
        let reason =
            format!("is less than sessions_per_client ({}), which has no effect then", written.sessions_per_client);
        report.warning("limits.sessions_per_network", reason);
    }
    AcceptLimits {
        sessions: count(written.sessions),
        sessions_per_client: count(written.sessions_per_client),
        sessions_per_network: count(written.sessions_per_network),
    }
}

pub(super) fn dns(written: &raw::Dns, report: &mut Report<'_>) -> dns::Settings {
    let mut servers = Vec::new();
    for (index, server) in written.servers.iter().enumerate() {
        servers.extend(report.take(&source::element("dns.servers", index), socket(server, Some(53))));
    }
    dns::Settings {
        servers,
        timeout: millis(written.timeout_ms),
        attempts: count(written.attempts),
        cache_entries: count(written.cache_entries),
        in_flight: count(written.in_flight),
        ttl_max: seconds(written.ttl_max_seconds),
        negative_ttl_max: seconds(written.negative_ttl_max_seconds),
        stale: seconds(written.stale_seconds),
    }
}

pub(super) fn admin(written: &raw::Admin, listeners: &[Settings], report: &mut Report<'_>) -> Option<SocketAddr> {
    let address = report.take("admin.address", socket(written.address.as_deref()?, None))?;
    if address.port() != 0 && listeners.iter().any(|listener| listener.address == address) {
        report.error("admin.address", "is the address of a listener");
    }
    if address.ip().is_unspecified() {
        report.warning("admin.address", "metrics are open to every network that reaches this machine");
    }
    Some(address)
}
