//! What there is to see: what two looks at the metrics say, as numbers with names. Pure; drawing is for others.

use std::collections::BTreeMap;

use serde::Serialize;

use super::growth::{Growth, Quantiles};
use super::samples::{Sample, Samples};

/// Everything that one frame shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct View {
    /// Of the program that runs.
    pub(super) version: String,
    /// The version of the rules in force.
    pub(super) rules: String,
    /// Seconds since it began.
    pub(super) up_seconds: f64,
    /// Why mail should not come to it now; `None`: it should.
    pub(super) obstacle: Option<String>,
    /// Everything that is counted below was counted in so many seconds.
    pub(super) over_seconds: f64,
    /// These are all that it has been up.
    pub(super) since_start: bool,
    pub(super) traffic: Traffic,
    pub(super) process: Process,
    /// Of all recipients that were decided upon.
    pub(super) verdicts: Vec<Verdicts>,
    /// Refusing replies, the most frequent first.
    pub(super) replies: Vec<Counted>,
    /// Found in mail, the most frequent first.
    pub(super) symbols: Vec<Symbol>,
    /// How long things took, in the order in which mail meets them.
    pub(super) latencies: Vec<Latency>,
    pub(super) backends: Backends,
    pub(super) dns: Dns,
    pub(super) lists: Vec<List>,
    pub(super) store: Store,
    pub(super) spool: Vec<Room>,
    /// `None`: nothing is recorded.
    pub(super) records: Option<Records>,
    /// What failed, by whom, the most frequent first.
    pub(super) failures: Vec<Failure>,
}

/// Sessions and messages.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Traffic {
    /// Now.
    pub(super) sessions_open: f64,
    pub(super) sessions: f64,
    pub(super) sessions_per_second: f64,
    /// Connections turned away by a limit.
    pub(super) turned_away: f64,
    /// Messages received to their end.
    pub(super) messages: f64,
    pub(super) messages_per_second: f64,
    pub(super) octets_per_second: f64,
}

/// What the system gives it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Process {
    /// Processors kept busy: 1 is one of them.
    pub(super) processors: f64,
    pub(super) resident_octets: f64,
    pub(super) open_files: f64,
    pub(super) most_files: f64,
}

/// One verdict on recipients.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Verdicts {
    pub(super) verdict: &'static str,
    pub(super) count: f64,
    /// Of all, from 0 to 1.
    pub(super) share: f64,
    pub(super) per_minute: f64,
    /// Said at RCPT.
    pub(super) at_rcpt: f64,
    /// Said after the message.
    pub(super) at_message: f64,
}

/// Something with a name, counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Counted {
    pub(super) name: String,
    pub(super) count: f64,
}

/// A symbol that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Symbol {
    pub(super) symbol: String,
    /// It is counted only, and weighs nothing.
    pub(super) shadow: bool,
    pub(super) count: f64,
    pub(super) per_minute: f64,
}

/// How long something took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Latency {
    pub(super) of: &'static str,
    /// `None`: it did not happen.
    pub(super) quantiles: Option<Quantiles>,
}

/// Mail servers behind.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Backends {
    pub(super) members: Vec<Member>,
    /// Connections in use.
    pub(super) busy: f64,
}

/// One mail server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) up: bool,
    /// Connections kept for reuse.
    pub(super) idle: f64,
}

/// Names.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Dns {
    pub(super) servers: Vec<Server>,
    /// Questions of checks.
    pub(super) questions: f64,
    /// Of these, answered from memory.
    pub(super) from_memory: f64,
    /// Of these, not answered.
    pub(super) failed: f64,
    pub(super) in_flight: f64,
}

/// One name server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) up: bool,
}

/// One list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct List {
    pub(super) name: String,
    /// False: suspended.
    pub(super) up: bool,
    /// What it does that lists should not.
    pub(super) alerts: Vec<String>,
    pub(super) asked: f64,
    pub(super) listed: f64,
}

/// What is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Store {
    /// It outlives the process.
    pub(super) durable: bool,
    /// Operations that wait to be written.
    pub(super) queue: f64,
    /// `None`: there is no Redis.
    pub(super) redis_up: Option<bool>,
    /// Operations that local memory did because Redis did not.
    pub(super) fallbacks: f64,
}

/// Room for messages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Room {
    /// `memory` or `disk`.
    pub(super) place: String,
    pub(super) octets: f64,
    pub(super) limit: f64,
}

/// Decision records.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Records {
    pub(super) waiting: f64,
    pub(super) octets: f64,
    pub(super) written: f64,
    /// Dropped, or not written.
    pub(super) lost: f64,
}

/// Something that failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Failure {
    /// Whose failure it is, such as `backend`.
    pub(super) of: &'static str,
    pub(super) kind: String,
    pub(super) count: f64,
}

const VERDICTS: [&str; 3] = ["forward", "defer", "reject"];

const LATENCIES: [(&str, &str); 7] = [
    ("rcpt", "gatepost_rcpt_wait_seconds"),
    ("verdict", "gatepost_verdict_seconds"),
    ("backend", "gatepost_backend_end_of_data_seconds"),
    ("dns", "gatepost_dns_query_duration_seconds"),
    ("list", "gatepost_list_answer_duration_seconds"),
    ("store", "gatepost_store_duration_seconds"),
    ("records", "gatepost_records_write_seconds"),
];

/// Families that count failures: of whom, by which label, and which values of that label are failures (empty: all).
const FAILURES: [(&str, &str, &str, &[&str]); 13] = [
    ("backend", "gatepost_backend_failures_total", "kind", &[]),
    ("backend", "gatepost_backend_final_replies_total", "class", &["unknown"]),
    ("dns", "gatepost_dns_queries_total", "outcome", &["timeout", "server_failure", "unreachable", "overloaded"]),
    ("list", "gatepost_list_answers_total", "result", &["error", "no_answer"]),
    ("check", "gatepost_check_outcomes_total", "outcome", &["failed", "timed_out"]),
    ("store", "gatepost_store_operations_total", "result", &["busy", "failed"]),
    ("redis", "gatepost_store_redis_failures_total", "kind", &[]),
    ("records", "gatepost_records_total", "result", &["dropped", "failed"]),
    ("tls", "gatepost_tls_handshakes_total", "outcome", &["timed_out", "failed"]),
    ("accept", "gatepost_accept_errors_total", "kind", &[]),
    ("reload", "gatepost_reloads_total", "outcome", &["refused"]),
    ("certificate", "gatepost_certificate_reloads_total", "outcome", &["failed"]),
    ("remember", "gatepost_remember_total", "result", &["too_many", "timed_out", "panicked"]),
];

impl View {
    /// What `newer` says, and how it has grown from `older`, seen `seconds` before; without one since the proxy began.
    /// `now` in seconds since 1970; `obstacle`: why mail should not come to it.
    pub(super) fn new(older: Option<(&Samples, f64)>, newer: &Samples, now: f64, obstacle: Option<String>) -> Self {
        let began = newer.value("process_start_time_seconds").unwrap_or(now);
        let up_seconds = (now - began).max(0.0);
        let over_seconds = older.map_or(up_seconds, |(_, seconds)| seconds);
        let growth = Growth { older: older.map(|(older, _)| older), newer, seconds: over_seconds };
        let of_info = |name: &str, label: &str| {
            newer.of(name).iter().find(|sample| sample.value > 0.0).map_or("", |sample| sample.label(label)).to_owned()
        };
        Self {
            version: of_info("gatepost_build_info", "version"),
            rules: of_info("gatepost_ruleset_info", "rules"),
            up_seconds,
            obstacle,
            over_seconds,
            since_start: older.is_none(),
            traffic: Traffic::of(growth),
            process: Process::of(growth),
            verdicts: verdicts(growth),
            replies: counted(growth, "gatepost_refusals_total", "code"),
            symbols: symbols(growth),
            latencies: LATENCIES.map(|(of, name)| Latency { of, quantiles: growth.quantiles(name) }).to_vec(),
            backends: Backends::of(newer),
            dns: Dns::of(growth),
            lists: lists(growth),
            store: Store::of(growth),
            spool: spool(newer),
            records: Records::of(growth),
            failures: failures(growth),
        }
    }
}

fn now(samples: &Samples, name: &str) -> f64 {
    samples.value(name).unwrap_or_default()
}

fn is(label: &str, value: &str) -> impl Fn(&Sample) -> bool {
    move |sample| sample.label(label) == value
}

impl Traffic {
    fn of(growth: Growth<'_>) -> Self {
        let sessions = growth.all("gatepost_sessions_total");
        let messages = growth.all("gatepost_message_bytes_count");
        Self {
            sessions_open: now(growth.newer, "gatepost_sessions"),
            sessions,
            sessions_per_second: growth.per_second(sessions),
            turned_away: growth.all("gatepost_connections_refused_total"),
            messages,
            messages_per_second: growth.per_second(messages),
            octets_per_second: growth.per_second(growth.all("gatepost_message_bytes_sum")),
        }
    }
}

impl Process {
    fn of(growth: Growth<'_>) -> Self {
        Self {
            processors: growth.per_second(growth.all("process_cpu_seconds_total")),
            resident_octets: now(growth.newer, "process_resident_memory_bytes"),
            open_files: now(growth.newer, "process_open_fds"),
            most_files: now(growth.newer, "process_max_fds"),
        }
    }
}

fn verdicts(growth: Growth<'_>) -> Vec<Verdicts> {
    const NAME: &str = "gatepost_decisions_total";
    let all = growth.all(NAME);
    let of = |verdict: &'static str| {
        let at = |stage: &str| {
            growth.of(NAME, |sample| sample.label("verdict") == verdict && sample.label("stage") == stage)
        };
        let count = growth.of(NAME, is("verdict", verdict));
        Verdicts {
            verdict,
            count,
            share: if all > 0.0 { count / all } else { 0.0 },
            per_minute: 60.0 * growth.per_second(count),
            at_rcpt: at("rcpt"),
            at_message: at("message"),
        }
    };
    VERDICTS.map(of).to_vec()
}

/// By the value of one label, whatever the others are; those that have not grown are left out.
fn counted(growth: Growth<'_>, name: &str, label: &str) -> Vec<Counted> {
    let mut sums = BTreeMap::<&str, f64>::new();
    for (sample, grown) in growth.each(name).filter(|(_, grown)| *grown > 0.0) {
        *sums.entry(sample.label(label)).or_default() += grown;
    }
    let mut counted: Vec<Counted> =
        sums.into_iter().map(|(name, count)| Counted { name: name.to_owned(), count }).collect();
    counted.sort_by(|one, other| other.count.total_cmp(&one.count));
    counted
}

fn symbols(growth: Growth<'_>) -> Vec<Symbol> {
    let found = growth.each("gatepost_findings_total").filter(|(_, grown)| *grown > 0.0);
    let mut symbols: Vec<Symbol> = found
        .map(|(sample, count)| Symbol {
            symbol: sample.label("symbol").to_owned(),
            shadow: sample.label("mode") == "shadow",
            count,
            per_minute: 60.0 * growth.per_second(count),
        })
        .collect();
    symbols.sort_by(|one, other| other.count.total_cmp(&one.count).then_with(|| one.symbol.cmp(&other.symbol)));
    symbols
}

impl Backends {
    fn of(newer: &Samples) -> Self {
        let members = newer.of("gatepost_backend_up").iter().map(|sample| {
            let name = sample.label("member");
            let idle = newer.of("gatepost_backend_idle_connections").iter().filter(|idle| is("member", name)(idle));
            Member { name: name.to_owned(), up: sample.value > 0.0, idle: idle.fold(0.0, |sum, idle| sum + idle.value) }
        });
        Self { members: members.collect(), busy: now(newer, "gatepost_backend_busy_connections") }
    }
}

impl Dns {
    fn of(growth: Growth<'_>) -> Self {
        let cache = |outcomes: &[&str]| {
            growth.of("gatepost_dns_cache_total", |sample| outcomes.contains(&sample.label("outcome")))
        };
        let servers = growth.newer.of("gatepost_dns_server_up").iter();
        Self {
            servers: servers
                .map(|sample| Server { name: sample.label("server").to_owned(), up: sample.value > 0.0 })
                .collect(),
            questions: growth.all("gatepost_dns_cache_total"),
            from_memory: cache(&["hit", "joined", "stale"]),
            failed: cache(&["failed"]),
            in_flight: now(growth.newer, "gatepost_dns_in_flight"),
        }
    }
}

fn lists(growth: Growth<'_>) -> Vec<List> {
    let newer = growth.newer;
    let list = |sample: &Sample| {
        let name = sample.label("list");
        let alerts =
            newer.of("gatepost_list_alert").iter().filter(|alert| is("list", name)(alert) && alert.value > 0.0);
        let answers = |wanted: &dyn Fn(&Sample) -> bool| {
            growth.of("gatepost_list_answers_total", |answer| is("list", name)(answer) && wanted(answer))
        };
        List {
            name: name.to_owned(),
            up: sample.value > 0.0,
            alerts: alerts.map(|alert| alert.label("alert").to_owned()).collect(),
            asked: answers(&|_| true),
            listed: answers(&is("result", "listed")),
        }
    };
    newer.of("gatepost_list_up").iter().map(list).collect()
}

impl Store {
    fn of(growth: Growth<'_>) -> Self {
        // The families are there without a Redis, too; one that is wanted and not there fails at once.
        let is_up = now(growth.newer, "gatepost_store_redis_up") > 0.0;
        let has_failed = now(growth.newer, "gatepost_store_redis_failures_total") > 0.0;
        Self {
            durable: now(growth.newer, "gatepost_store_durable") > 0.0,
            queue: now(growth.newer, "gatepost_store_queue"),
            redis_up: (is_up || has_failed).then_some(is_up),
            fallbacks: growth.all("gatepost_store_redis_fallbacks_total"),
        }
    }
}

fn spool(newer: &Samples) -> Vec<Room> {
    let limit = |place: &str| {
        let limits = newer.of("gatepost_spool_limit_bytes").iter().find(|sample| is("place", place)(sample));
        limits.map_or(0.0, |sample| sample.value)
    };
    let room = |sample: &Sample| {
        let place = sample.label("place");
        Room { place: place.to_owned(), octets: sample.value, limit: limit(place) }
    };
    let mut rooms: Vec<Room> = newer.of("gatepost_spool_bytes").iter().map(room).collect();
    // Memory comes before the disk.
    rooms.sort_by(|one, other| other.place.cmp(&one.place));
    rooms
}

impl Records {
    fn of(growth: Growth<'_>) -> Option<Self> {
        const NAME: &str = "gatepost_records_total";
        growth.newer.value("gatepost_records_waiting").map(|waiting| Self {
            waiting,
            octets: now(growth.newer, "gatepost_records_bytes"),
            written: growth.of(NAME, is("result", "written")),
            lost: growth.of(NAME, |sample| sample.label("result") != "written"),
        })
    }
}

fn failures(growth: Growth<'_>) -> Vec<Failure> {
    let mut failures: Vec<Failure> = FAILURES
        .iter()
        .flat_map(|(of, name, label, kinds)| {
            let failed = counted(growth, name, label).into_iter();
            let failed = failed.filter(|each| kinds.is_empty() || kinds.contains(&each.name.as_str()));
            failed.map(|each| Failure { of, kind: each.name, count: each.count })
        })
        .collect();
    let panics = growth.all("gatepost_session_panics_total");
    if panics > 0.0 {
        failures.push(Failure { of: "session", kind: "panic".to_owned(), count: panics });
    }
    failures.sort_by(|one, other| other.count.total_cmp(&one.count));
    failures
}

#[cfg(test)]
mod tests;
