//! The files as they are written: one struct per table, one field per key, each with its default.
//!
//! No behaviour, and no promise that what is written makes sense: that is [`super::check`]'s work.
//! The doc comments are the descriptions of the JSON schema, and the schema is what
//! [`super::shape`] holds a document against, so a key exists in one place only.

mod backends;
mod macros;
mod reload;
pub mod rules;
mod sessions;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use backends::{Backend, BackendProtocol, BackendTimeouts, Identity, Member, Reuse, Route, TlsMode};
use macros::section;
pub use macros::{Real, Size};
pub use reload::{Canary, Reload};
pub use sessions::{BareNewlines, Checks, Limits, Protocol, RefuseAt, Response, Timeouts};

section! {
    /// Configuration of Gatepost: how it is wired. What judges mail stands in `rules/`.
    #[schemars(extend("required" = ["hostname", "listen", "relay", "backend"]))]
    pub struct File {
        /// Our own name, fully qualified: in the greeting, the EHLO reply and trace fields.
        hostname: String = String::new(),
        /// Where we listen; at least one.
        listen: Vec<Listen> = Vec::new(),
        /// Whose mail is relayed whither. Everything else is refused with 550 5.7.1.
        relay: Relay = Relay::default(),
        /// The mail server behind us.
        backend: Backend = Backend::default(),
        /// Further pools of mail servers, by name, for listeners that name one; the keys are those of `backend`.
        pool: BTreeMap<String, Backend> = BTreeMap::new(),
        /// Recipients whose mail goes to another pool than the listener's; the most specific pattern counts.
        route: Vec<Route> = Vec::new(),
        /// Name lookups.
        dns: Dns = Dns::default(),
        /// Where messages are kept while they are judged.
        spool: Spool = Spool::default(),
        /// What is remembered from one transaction to the next.
        store: Store = Store::default(),
        /// What is recorded of each transaction, for `log`, `explain` and `backtest`; off by default.
        records: Records = Records::default(),
        /// DMARC aggregate reports to domain owners; off by default.
        reports: Reports = Reports::default(),
        /// Bounds of sessions.
        limits: Limits = Limits::default(),
        /// How long we wait for clients.
        timeouts: Timeouts = Timeouts::default(),
        /// Protocol tests and what follows from them.
        protocol: Protocol = Protocol::default(),
        /// How checks run, and for whom they do not.
        checks: Checks = Checks::default(),
        /// What judges: lists, weights, policy.
        rules: Rules = Rules::default(),
        /// Metrics and health over HTTP.
        admin: Admin = Admin::default(),
        /// The log, on standard error.
        log: Log = Log::default(),
        /// How new rules take the place of old ones.
        reload: Reload = Reload::default(),
        /// How we stop.
        shutdown: Shutdown = Shutdown::default(),
    }
}

section! {
    /// One listener.
    #[schemars(extend("required" = ["address"]))]
    pub struct Listen {
        /// Its name in logs and metrics. Default: the address.
        name: Option<String> = None,
        /// What it is for: mail from anywhere (`edge`), of users who authenticate (`submission`, `submissions` with TLS
        /// from the first octet), of our own networks (`outbound`).
        role: Role = Role::Edge,
        /// The pool that its mail goes to (`[pool.NAME]`). Default: `backend`.
        backend: Option<String> = None,
        /// Networks that may send anywhere, for the role `outbound`. Never the whole Internet.
        networks: Vec<String> = Vec::new(),
        /// True: users may authenticate, and send, without TLS. Clients of this machine always may.
        auth_without_tls: bool = false,
        /// Address and port, such as `0.0.0.0:25` or `[::]:25`.
        address: String = String::new(),
        /// Certificate and key; without them STARTTLS is not offered.
        tls: Option<Tls> = None,
        /// Further pairs: for other names, by which clients ask for them (SNI), or of another kind (RSA beside ECDSA). Of
        /// those that fit a client is shown the first; `tls` is the one for whoever asks for no name.
        certificates: Vec<Tls> = Vec::new(),
        /// True: every connection must begin with a PROXY header (v1 or v2).
        proxy_protocol: bool = false,
        /// Networks whose PROXY header is believed.
        proxy_networks: Vec<String> = Vec::new(),
        /// Networks that may say XCLIENT, and so be anybody.
        xclient_networks: Vec<String> = Vec::new(),
        /// Networks that may say XFORWARD: mail filters and front ends that tell from whom they had a message. It is logged,
        /// and handed on where `identity = "xforward"`; they are judged as what they are.
        xforward_networks: Vec<String> = Vec::new(),
        /// Commands that are passed on to the backend, for `command_networks` and for whoever has authenticated. Others are
        /// told 252 (`vrfy`) or 502.
        relayed_commands: Vec<RelayedCommand> = Vec::new(),
        /// Networks that may say `relayed_commands`. Never the whole Internet.
        command_networks: Vec<String> = Vec::new(),
    }
}

/// A command that is passed on to the backend as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RelayedCommand {
    /// VRFY: is there such a mailbox?
    Vrfy,
    /// EXPN: who is on that list?
    Expn,
    /// ETRN (RFC 1985): send what waits for that host. With one backend only: each would have mail of its own waiting.
    Etrn,
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Mail from anywhere for our own domains.
    Edge,
    /// Mail of users who authenticate, for anywhere; TLS by STARTTLS (port 587).
    Submission,
    /// The same, TLS from the first octet (port 465).
    Submissions,
    /// Mail of our own networks for anywhere, without AUTH: of a mail server whose smarthost we are.
    Outbound,
}

section! {
    /// PEM files; read again when they change.
    #[schemars(extend("required" = ["certificate", "key"]))]
    pub struct Tls {
        /// The certificate chain, leaf first.
        certificate: String = String::new(),
        /// The private key.
        key: String = String::new(),
    }
}

section! {
    /// Whose mail is relayed whither.
    pub struct Relay {
        /// Domains that we take mail for; `.example.org` means all subdomains of example.org.
        domains: Vec<String> = Vec::new(),
        /// File of more domains, one per line, `#` begins a comment; read again when it changes.
        domains_file: Option<String> = None,
        /// Clients that may send anywhere. Never the whole Internet.
        networks: Vec<String> = Vec::new(),
        /// Who exists, of domains whose backends take mail for anybody.
        recipients: Vec<Recipients> = Vec::new(),
    }
}

section! {
    /// The recipients of some domains. Whom the file does not know hears 550 5.1.1; where it is empty, or too old,
    /// 450 4.1.1.
    #[schemars(extend("required" = ["domains", "file"]))]
    pub struct Recipients {
        /// The domains; `.example.org` means all subdomains of example.org.
        domains: Vec<String> = Vec::new(),
        /// One recipient per line, `ann@example.org`, or `ann` for all the domains; `*` stands for anything, `#` begins
        /// a comment; read again when it changes.
        file: String = String::new(),
        /// A file that was not written for so many hours is too old; 0: it never is.
        #[schemars(range(min = 0, max = 87_600))]
        max_age_hours: u64 = 0,
        /// What separates a user's name from what he has put behind it, such as `+`. Default: nothing.
        delimiter: Option<String> = None,
    }
}

section! {
    /// Name lookups.
    pub struct Dns {
        /// Resolvers, `address:port` or an address. Default: those of /etc/resolv.conf.
        servers: Vec<String> = Vec::new(),
        /// How long one question to one server may take.
        #[schemars(range(min = 10, max = 60_000))]
        timeout_ms: u64 = 1500,
        /// Attempts at one question before we give up; it ends after attempts * timeout_ms. Where one
        /// server says nothing the next is asked, in the order of `servers`.
        #[schemars(range(min = 1, max = 10))]
        attempts: u64 = 2,
        /// Answers kept, half a KiB each on average at most.
        #[schemars(range(min = 0, max = 100_000_000))]
        cache_entries: u64 = 65_536,
        /// The longest that records are believed.
        #[schemars(range(min = 1, max = 604_800))]
        ttl_max_seconds: u64 = 86_400,
        /// The longest that "there is no such record" is believed.
        #[schemars(range(min = 1, max = 86_400))]
        negative_ttl_max_seconds: u64 = 900,
        /// How long after its end an answer serves if the servers fail (RFC 8767). 0: not at all.
        #[schemars(range(min = 0, max = 604_800))]
        stale_seconds: u64 = 3600,
        /// Questions under way at a time.
        #[schemars(range(min = 1, max = 1_000_000))]
        in_flight: u64 = 2000,
        /// Zones that are answered from files and never asked on the network.
        zone: Vec<Zone> = Vec::new(),
    }
}

section! {
    /// A zone that is answered from files. Two tables of one name are one zone, such as one of IPv4 and one
    /// of IPv6 addresses.
    #[schemars(extend("required" = ["name", "format"]))]
    pub struct Zone {
        /// Its name; of several zones around a name the longest answers.
        name: String = String::new(),
        /// Its file; read again when it changes.
        file: Option<String> = None,
        /// Its files, if there are several: read one after another.
        files: Vec<String> = Vec::new(),
        /// How they are read: rbldnsd's formats, or records as in /etc/hosts.
        format: ZoneFormat = ZoneFormat::Hosts,
        /// More entries are a mistake: the files are refused.
        #[schemars(range(min = 1, max = 16_000_000))]
        max_entries: u64 = 10_000_000,
    }
}

/// How the files of a zone are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ZoneFormat {
    /// IPv4 addresses, networks and ranges.
    Ip4Set,
    /// IPv4 networks, the longest prefix wins.
    Ip4Trie,
    /// IPv6 networks, the longest prefix wins.
    Ip6Trie,
    /// Domain names.
    DnSet,
    /// Records by name, and addresses with their names.
    Hosts,
}

section! {
    /// Where messages are kept while they are judged. Nothing is kept after that.
    pub struct Spool {
        /// Directory of unlinked temporary files. Default: the system's.
        directory: Option<String> = None,
        /// A message up to this stays in memory, a larger one goes to a file.
        message_memory: Size = Size::new("4 MiB"),
        /// Memory of all messages; beyond that they go to files.
        total_memory: Size = Size::new("256 MiB"),
        /// Files of all messages; beyond that 452 4.3.1.
        total_disk: Size = Size::new("4 GiB"),
    }
}

section! {
    /// What is remembered from one transaction to the next: evidence about forwarders, rows of DMARC reports,
    /// triplets of greylisting, buckets of rates, reputations, campaigns of messages that are alike.
    pub struct Store {
        /// The file; made if it is not there, for one proxy alone. Default: memory, until the next restart.
        path: Option<String> = None,
        /// Redis or Valkey instead of a file, for several proxies that act as one.
        redis: Option<Redis> = None,
        /// Hops that are remembered; beyond that those that forward least are forgotten.
        #[schemars(range(min = 16, max = 10_000_000))]
        hops: u64 = 50_000,
        /// Distinct rows of DMARC reports over all domains; a domain has a tenth of them a day.
        #[schemars(range(min = 100, max = 10_000_000))]
        report_rows: u64 = 100_000,
        /// Triplets of greylisting, about 120 octets of memory each; beyond that those of the most crowded
        /// network are forgotten, never what somebody else has earned.
        #[schemars(range(min = 1000, max = 100_000_000))]
        triplets: u64 = 500_000,
        /// Buckets of rates that are not full, about 120 octets of memory each, never in the file; beyond that the
        /// fullest are forgotten.
        #[schemars(range(min = 1000, max = 100_000_000))]
        buckets: u64 = 500_000,
        /// Reputations of networks, domains and their pairs, about 300 octets of memory each; beyond that those
        /// with the least evidence are forgotten.
        #[schemars(range(min = 1000, max = 100_000_000))]
        reputations: u64 = 200_000,
        /// Messages that the classifier can unlearn, 100 octets of memory each; of older ones what they taught remains.
        #[schemars(range(min = 100, max = 10_000_000))]
        lessons: u64 = 100_000,
        /// Recipients who have a message that their client must send again for others (LMTP), 100 octets of memory each.
        #[schemars(range(min = 1000, max = 10_000_000))]
        deliveries: u64 = 100_000,
        /// Campaigns that are counted, 0.4 to 1.6 KB of memory each; beyond that those of one network go first.
        #[schemars(range(min = 100, max = 10_000_000))]
        campaigns: u64 = 100_000,
        /// Digests of messages that campaigns are found by, 360 octets of memory each; beyond that the oldest
        /// by which nothing was found goes.
        #[schemars(range(min = 100, max = 100_000_000))]
        digests: u64 = 250_000,
        /// A campaign is forgotten when nothing like it was seen for so many hours.
        #[schemars(range(min = 1, max = 8760))]
        campaign_hours: u64 = 72,
        /// What was not seen again for so many days is forgotten; how long triplets are kept, greylist.toml says.
        #[schemars(range(min = 1, max = 3650))]
        retention_days: u64 = 90,
    }
}

section! {
    /// Redis or Valkey: proxies with the same one and the same prefix act as one.
    #[schemars(extend("required" = ["urls"]))]
    pub struct Redis {
        /// Addresses: `redis://host:6379`, `rediss://host:6380` (TLS), either with `/number` of a database, or
        /// `unix:///path`. Of the server (others take its place), of sentinels, or of some nodes of a cluster.
        urls: Vec<String> = Vec::new(),
        /// What is at the addresses.
        mode: RedisMode = RedisMode::Standalone,
        /// With sentinels: the name of the master.
        master_name: Option<String> = None,
        /// Who we are to it (ACL). Default: the user `default`.
        username: Option<String> = None,
        /// File of which the first line is the password.
        password_file: Option<String> = None,
        /// The same for sentinels that want one.
        sentinel_password_file: Option<String> = None,
        /// PEM file of roots to trust instead of the system's.
        tls_ca: Option<String> = None,
        /// The beginning of every key.
        prefix: String = "gatepost:".to_owned(),
        /// How long an operation may take; then local memory does it.
        #[schemars(range(min = 5, max = 10_000))]
        deadline_ms: u64 = 200,
    }
}

/// What is at the addresses of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RedisMode {
    /// A server.
    Standalone,
    /// Sentinels, which know the master.
    Sentinel,
    /// Nodes of a cluster.
    Cluster,
}

section! {
    /// What is recorded of each transaction: who, what every check said, what was decided, what became of it. No body.
    pub struct Records {
        /// The directory of records; made if it is not there, for one proxy alone. Default: none are kept.
        directory: Option<String> = None,
        /// Beyond this the oldest records are removed, about a sixteenth at a time.
        max_size: Size = Size::new("4 GiB"),
        /// Older records are removed, a day at a time.
        #[schemars(range(min = 1, max = 3650))]
        max_age_days: u64 = 30,
        /// Records that wait to be written; beyond that they are lost, and counted. Mail never waits for them.
        #[schemars(range(min = 16, max = 1_000_000))]
        queue: u64 = 4096,
        /// Memory of those that wait: a record of a transaction with many refused recipients is large.
        queue_memory: Size = Size::new("64 MiB"),
        /// What is never written down.
        redact: Vec<Redact> = vec![Redact::Subjects],
        /// A file that each record is appended to as a line of JSON; `-` is standard output. It may be renamed at
        /// any time.
        json: Option<String> = None,
    }
}

/// What is never written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Redact {
    /// Subjects of messages.
    Subjects,
    /// What stands before the `@` of any address.
    LocalParts,
}

section! {
    /// DMARC aggregate reports (RFC 9990): what became of mail in a domain's name, told to those whom its
    /// policy names.
    pub struct Reports {
        /// True: reports are collected and delivered.
        enabled: bool = false,
        /// The organization that reports, as receivers read it. Default: the hostname.
        org_name: Option<String> = None,
        /// The sender of reports, and the address for questions about them. Must be written if enabled.
        email: Option<String> = None,
        /// Where reports go.
        via: ReportsVia = ReportsVia::Backend,
        /// The directory that `via = "folder"` writes messages into.
        folder: Option<String> = None,
    }
}

/// Where reports go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReportsVia {
    /// To the backend, which must send mail of ours anywhere.
    Backend,
    /// Into a directory, one message per file, for some other program to send.
    Folder,
}

section! {
    /// What judges: lists, weights, policy.
    pub struct Rules {
        /// Directory of weights.toml, lists.toml, policy.toml and of rule files. Default: the rules compiled in.
        directory: Option<String> = None,
    }
}

section! {
    /// Metrics and health over HTTP, for the administrator's network only.
    pub struct Admin {
        /// Address and port of /metrics, /healthz, /readyz, and of what `gatepost reload` and other commands ask. Default: off.
        address: Option<String> = None,
    }
}

section! {
    /// The log, on standard error.
    pub struct Log {
        /// How a line looks.
        format: LogFormat = LogFormat::Text,
        /// From which level on.
        level: LogLevel = LogLevel::Info,
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// From which level on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// What needs a person.
    Error,
    /// What may need one.
    Warn,
    /// One line per decision.
    Info,
    /// Each command and reply.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

section! {
    /// How we stop.
    pub struct Shutdown {
        /// Running transactions may finish within this; then 421.
        #[schemars(range(min = 0, max = 3600))]
        drain_seconds: u64 = 30,
    }
}
