//! What happens when something that we depend on fails (DECISIONS 15): made from the configuration in
//! force, so that "does this fail open?" has an answer before it happens.

use super::Loaded;
use crate::backend;
use crate::backend::settings::{IdentityMethod, TlsMode};
use crate::reports::Via;
use crate::session::refusal;
use crate::smtp::Reply;
use crate::store::RedisSettings;

/// One thing that we depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it is.
    pub dependency: String,
    /// How it fails.
    pub failure: String,
    /// What then becomes of mail.
    pub answer: String,
}

/// The table, in the order in which a session meets them.
pub fn table(loaded: &Loaded) -> Vec<Failure> {
    let mut rows = Vec::new();
    clients(loaded, &mut rows);
    names(loaded, &mut rows);
    authentication(loaded, &mut rows);
    lists(loaded, &mut rows);
    backends(loaded, &mut rows);
    spool(loaded, &mut rows);
    store(loaded, &mut rows);
    records(loaded, &mut rows);
    reports(loaded, &mut rows);
    files(loaded, &mut rows);
    rows
}

fn row(dependency: impl Into<String>, failure: impl Into<String>, answer: impl Into<String>) -> Failure {
    Failure { dependency: dependency.into(), failure: failure.into(), answer: answer.into() }
}

/// The codes of a reply, as the session says it: the table cannot drift from what is done.
fn spoken(reply: &Reply) -> String {
    let status = reply.status().map(|status| format!(" {status}")).unwrap_or_default();
    format!("{}{status}", reply.code())
}

fn clients(loaded: &Loaded, rows: &mut Vec<Failure>) {
    let config = &loaded.config;
    let limits = &config.session.limits;
    let waits = &config.session.timeouts;
    rows.push(row(
        "client",
        format!("silent for {} s (in a message: {} s)", waits.command.as_secs(), waits.data_block.as_secs()),
        format!("{}, closed; what was not answered with 250 is the client's still", spoken(&refusal::TIMED_OUT)),
    ));
    rows.push(row(
        "client",
        "gone after the final dot",
        format!(
            "the backend's reply is awaited for {} s and logged; the client may send again",
            config.backend.timeouts.end_of_data.as_secs()
        ),
    ));
    rows.push(row(
        "client",
        format!(
            "more than {} sessions, or {} of one client, or {} of one network",
            config.accept.sessions, config.accept.sessions_per_client, config.accept.sessions_per_network
        ),
        format!("{}, or {}; counted", spoken(&refusal::TOO_BUSY), spoken(&refusal::TOO_MANY_FROM_YOU)),
    ));
    rows.push(row("client", format!("message above {}", limits.message_size), spoken(&refusal::TOO_BIG)));
    for listener in config.listeners.iter().filter(|listener| listener.proxy_protocol) {
        rows.push(row(
            format!("balancer before {}", listener.name),
            format!("no PROXY header within {} s, or from elsewhere", waits.proxy_header.as_secs()),
            "closed without a word; an address is never guessed",
        ));
    }
}

fn names(loaded: &Loaded, rows: &mut Vec<Failure>) {
    let config = &loaded.config;
    if !config.checks.enabled {
        rows.push(row("checks", "switched off", "mail is relayed unjudged (relay protection stands)"));
        return;
    }
    let servers = if config.dns.servers.is_empty() {
        vec!["those of /etc/resolv.conf".to_owned()]
    } else {
        config.dns.servers.iter().map(ToString::to_string).collect()
    };
    let several = servers.len() > 1;
    for server in servers {
        let next = if several { "the next server is asked; " } else { "" };
        rows.push(row(
            format!("DNS server {server}"),
            format!("no answer within {} ms, or an error", config.dns.timeout.as_millis()),
            format!(
                "{next}put aside if it goes on, and asked again by itself; gatepost_dns_server_up, dns.server_down"
            ),
        ));
    }
    let attempts = u32::try_from(config.dns.attempts).unwrap_or(u32::MAX);
    let stale = match config.dns.stale.as_secs() {
        0 => String::new(),
        seconds => format!("an answer that expired up to {seconds} s ago serves; without one "),
    };
    rows.push(row(
        "DNS",
        format!("no server has an answer within {} ms", config.dns.timeout.saturating_mul(attempts).as_millis()),
        format!("{stale}open: checks that needed it count nothing; never 4xx, never 5xx"),
    ));
    rows.push(row(
        "DNS",
        format!("more than {} questions under way", config.dns.in_flight),
        "open: further questions fail at once and count nothing",
    ));
    rows.push(row(
        "a check",
        format!("not done {} ms after the final dot", config.session.budgets.message.as_millis()),
        "open: it is TimedOut in the trace and counts nothing",
    ));
}

fn authentication(loaded: &Loaded, rows: &mut Vec<Failure>) {
    if !loaded.config.checks.enabled {
        return;
    }
    rows.push(row(
        "DNS for SPF, DKIM, ARC and DMARC",
        "no answer, where one could make the difference",
        "temperror: it authenticates nobody, counts nothing, and no clause refuses for it",
    ));
    let trust = &loaded.config.rules.trust.0;
    if !trust.forwarder.is_empty() || !trust.list.is_empty() || !trust.arc_sealers.is_empty() {
        rows.push(row(
            "DNS for a forwarder, list or sealer of trust.toml",
            "no answer in time",
            "open: TRUST_UNKNOWN, with which no clause of the shipped policy refuses forged mail",
        ));
    }
    if !trust.allow.is_empty() {
        rows.push(row(
            "DNS for the evidence of an [[allow]] entry",
            "no answer in time",
            "the entry does not hold: the mail is judged like any other; the check is failed in the trace",
        ));
    }
}

fn lists(loaded: &Loaded, rows: &mut Vec<Failure>) {
    let lists = loaded.config.rules.lists.0.dnsbl.iter();
    for list in lists.filter(|list| list.enabled && loaded.config.checks.enabled) {
        let shadow = if list.shadow { " (in shadow anyway)" } else { "" };
        rows.push(row(
            format!("list {} ({})", list.name, list.zone),
            format!("no answer within {} ms, an error, or 127.255.255.x", list.deadline_ms),
            format!("neutral: neither listed nor not listed{shadow}"),
        ));
        rows.push(row(
            format!("list {} ({})", list.name, list.zone),
            "an error code, or a test point answered wrongly, or 10 questions in a row without an answer",
            format!("suspended until it is well again, neutral meanwhile{shadow}"),
        ));
    }
}

fn backends(loaded: &Loaded, rows: &mut Vec<Failure>) {
    let config = &loaded.config;
    pool("backend", &config.backend, rows);
    for (name, settings) in &config.pools {
        pool(&format!("pool {name}:"), settings, rows);
    }
    for listener in config.listeners.iter().filter(|listener| listener.role.wants_auth()) {
        rows.push(row(
            format!("AUTH at {}", listener.name),
            "no backend can be asked, or it offers none",
            format!("{}, or AUTH is not offered: nobody is let in", spoken(&refusal::AUTH_UNAVAILABLE)),
        ));
    }
}

fn pool(pool: &str, backend: &backend::Settings, rows: &mut Vec<Failure>) {
    let several = backend.members.len() > 1;
    for member in &backend.members {
        let name = member.address.to_string();
        let refused = spoken(&refusal::BACKEND_DOWN);
        let down = if several { format!("the next member; {refused} if there is none") } else { refused.clone() };
        rows.push(row(
            format!("{pool} {name}"),
            format!("no connection within {} s", backend.timeouts.connect.as_secs()),
            down,
        ));
        rows.push(row(
            format!("{pool} {name}"),
            format!("{} connections busy for {} s", member.connections, backend.timeouts.queue.as_secs()),
            refused.clone(),
        ));
        rows.push(row(
            format!("{pool} {name}"),
            "gone, or nonsense, before its 250 after the final dot",
            format!("{}: the client keeps the message", spoken(&refusal::BACKEND_LOST)),
        ));
        if matches!(member.tls, TlsMode::Required | TlsMode::Verify) {
            rows.push(row(
                format!("{pool} {name}"),
                "no TLS, or not its certificate",
                format!("{refused}, never in clear"),
            ));
        }
    }
    if backend.identity != IdentityMethod::None {
        rows.push(row(
            pool.trim_end_matches(':'),
            "does not offer the configured way to pass on the client's identity",
            format!(
                "the member is not ready, {}; our own address is never passed off as the client's",
                spoken(&refusal::BACKEND_DOWN)
            ),
        ));
    }
}

fn spool(loaded: &Loaded, rows: &mut Vec<Failure>) {
    let spool = &loaded.config.spool;
    rows.push(row(
        "memory for messages",
        format!("{} in use", spool.total_memory),
        format!("messages go to files in {}", spool.directory.display()),
    ));
    rows.push(row(
        format!("spool {}", spool.directory.display()),
        format!("full, unwritable, or {} in use", spool.total_disk),
        spoken(&refusal::SPOOL_FULL),
    ));
}

fn redis(redis: &RedisSettings, rows: &mut Vec<Failure>) {
    let store = format!("store {}", redis.urls.join(", "));
    rows.push(row(
        store.clone(),
        "not there at start",
        "open: the start waits 1.5 s at most; memory takes its place until Redis comes, without a restart",
    ));
    rows.push(row(
        store.clone(),
        format!("an operation fails, or has no answer within {} ms", redis.deadline.as_millis()),
        "open: local memory does it; gatepost_store_redis_failures_total, gatepost_store_redis_fallbacks_total",
    ));
    rows.push(row(
        store,
        "gone, slow three times in a row, read-only, out of memory, loading, cannot save, cluster down, access denied",
        "open: nobody waits, local memory does everything; tried again every 2 s at most and used again by itself; \
         gatepost_store_redis_up",
    ));
}

fn store(loaded: &Loaded, rows: &mut Vec<Failure>) {
    let limits = loaded.config.rules.rates.0.rate.len();
    if limits > 0 && loaded.config.checks.enabled {
        rows.push(row(
            "rates",
            format!("a restart, or more than {} buckets", loaded.config.store.buckets),
            "open: who was over one of the limits begins anew, the fullest buckets first",
        ));
    }
    if let Some(settings) = &loaded.config.store.redis {
        return redis(settings, rows);
    }
    let Some(path) = &loaded.config.store.path else {
        rows.push(row("memory (no store.path)", "a restart", "what was remembered is gone; mail is not affected"));
        return;
    };
    let store = format!("store {}", path.display());
    rows.push(row(
        store.clone(),
        "missing directory, damaged, or open in another process, at start",
        "open: memory takes its place until the next restart, with a warning; never a refusal to start",
    ));
    rows.push(row(
        store,
        "full or failing disk, or more to write than it takes",
        "open: what cannot be written is forgotten and counted; never 4xx, never 5xx, and nobody waits",
    ));
}

fn records(loaded: &Loaded, rows: &mut Vec<Failure>) {
    let Some(directory) = &loaded.config.records.directory else { return };
    let records = format!("records in {}", directory.display());
    rows.push(row(
        records.clone(),
        "full or failing disk, open in another process, or more to write than it takes",
        "open: what cannot be written is lost and counted; nobody waits, and mail is not affected",
    ));
    rows.push(row(records, "a crash", "what was half written is cut off at the next start; all before it is whole"));
}

fn reports(loaded: &Loaded, rows: &mut Vec<Failure>) {
    let Some(settings) = &loaded.config.reports else { return };
    let way = match &settings.via {
        Via::Backend => "the backend".to_owned(),
        Via::Folder(folder) => format!("folder {}", folder.display()),
    };
    rows.push(row(
        format!("DMARC reports through {way}"),
        "does not take one, or DNS does not say who may have it",
        "tried again every hour for 3 days, then dropped and counted; mail is not affected",
    ));
}

fn files(loaded: &Loaded, rows: &mut Vec<Failure>) {
    let config = &loaded.config;
    rows.push(row(
        "configuration file",
        "wrong, half-written or unreadable at a reload",
        "refused with all its problems in the log; the old one stays",
    ));
    let rules = match &loaded.raw.rules.directory {
        Some(directory) => format!("rules in {directory}"),
        None => "rules (compiled in)".to_owned(),
    };
    if loaded.raw.rules.directory.is_some() {
        rows.push(row(
            rules.clone(),
            "wrong, half-written or unreadable at a reload",
            "refused; the old rule set stays",
        ));
        let kept = loaded.raw.store.path.is_some();
        let answer = if kept {
            "the last good rule set, kept beside the store, with an alarm; without one refuses to start"
        } else {
            "refuses to start; with store.path the last good rule set would be kept"
        };
        rows.push(row(rules, "the same, or an invariant that does not hold, at the start", answer));
    }
    if let Some(file) = &loaded.raw.relay.domains_file {
        rows.push(row(
            format!("domains file {file}"),
            "unreadable or wrong at a reload",
            "refused; the old domains stay, no mail is refused for it",
        ));
    }
    for zone in &config.zones {
        rows.push(row(
            format!("local zone {} ({})", zone.name, zone.format.word()),
            "gone, suddenly empty, or with every tenth line broken",
            "what was read before stays; what was never read is a DNS failure: open",
        ));
    }
    for listener in &config.listeners {
        for tls in &listener.tls {
            rows.push(row(
                format!("certificate of {}", listener.name),
                format!("{} unreadable or wrong at a reload", tls.certificate.display()),
                "the old one stays in use",
            ));
        }
    }
    if let Some(address) = config.admin {
        rows.push(row(
            format!("admin {address}"),
            "cannot be bound at start",
            "refuses to start; mail is not affected later",
        ));
    }
}
