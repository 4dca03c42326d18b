//! The proxy of one dialogue, put together as the program does it, with pipes in place of sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use gatepost::backend::{self, Pool, Pools};
use gatepost::checks::dnsbl;
use gatepost::clock::Clock;
use gatepost::config::{self, Loaded, rules};
use gatepost::dns::{Answer, FixedDns, Lookup, LookupError, Mx};
use gatepost::net::tls::TlsAcceptorSource;
use gatepost::pipeline;
use gatepost::session::spool::Spool;
use gatepost::session::{self, Incoming, Shared};
use gatepost::store::{self, MemoryStore};
use prometheus::Registry;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::backend::{Backends, Dialer};
use super::client::Client;
use super::{Log, stream};

/// The configuration that a dialogue changes by `set`.
const CONFIG: &str = include_str!("../dialogues/gatepost.toml");
const RULES: [(&str, &str); 11] = [
    ("weights", include_str!("../dialogues/rules/weights.toml")),
    ("lists", include_str!("../dialogues/rules/lists.toml")),
    ("policy", include_str!("../dialogues/rules/policy.toml")),
    ("trust", ""),
    ("greylist", ""),
    ("rates", ""),
    ("reputation", ""),
    ("traps", ""),
    ("bulk", ""),
    ("classifier", ""),
    ("outgoing", ""),
];

/// What a dialogue says before its first client comes.
pub(crate) struct Setup {
    config: toml::Table,
    rules: [String; RULES.len()],
    /// Further files, by name.
    files: std::collections::BTreeMap<String, String>,
    dns: FixedDns,
    tls: bool,
    pub(crate) cold: bool,
    pub(crate) remembers: bool,
    pub(crate) tests_lists: bool,
}

/// A running proxy.
pub(crate) struct World {
    pub(crate) log: Log,
    pub(crate) backends: Backends,
    pub(crate) clients: Vec<Client>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) drain: CancellationToken,
    pub(crate) cut: CancellationToken,
    ports: rules::Ports,
    clock: Arc<Stopped>,
    dns: Arc<Changing>,
    directory: TempDir,
    listener: Arc<gatepost::net::listener::Settings>,
    tls: Option<Arc<TlsAcceptorSource>>,
    pipeline_metrics: pipeline::Metrics,
    registry: Registry,
    sessions: tokio_util::task::TaskTracker,
}

/// Names that change while the proxy runs.
struct Changing(Mutex<Arc<FixedDns>>);

impl Changing {
    fn now(&self) -> Arc<FixedDns> {
        self.0.lock().expect("nobody panics while holding it").clone()
    }
}

/// Asks the table of now.
macro_rules! lookups {
    ($($kind:ident: $record:ty),*) => {
        impl Lookup for Changing {
            $(fn $kind<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<$record>, LookupError>> {
                let table = self.now();
                Box::pin(async move { Lookup::$kind(table.as_ref(), name).await })
            })*

            fn ptr(&self, addr: IpAddr) -> BoxFuture<'_, Result<Answer<Arc<str>>, LookupError>> {
                let table = self.now();
                Box::pin(async move { Lookup::ptr(table.as_ref(), addr).await })
            }
        }
    };
}
lookups! { a: Ipv4Addr, aaaa: Ipv6Addr, txt: Arc<str>, mx: Mx, ns: Arc<str> }

/// A clock that stands still until it is put forward.
#[derive(Default)]
struct Stopped(AtomicU64);

impl Clock for Stopped {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_790_000_000 + self.0.load(Ordering::Relaxed))
    }
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self {
            config: CONFIG.parse().expect("the configuration of dialogues"),
            rules: RULES.map(|(_, text)| text.to_owned()),
            files: std::collections::BTreeMap::new(),
            dns: FixedDns::new(),
            tls: false,
            cold: false,
            remembers: false,
            tests_lists: false,
        }
    }

    /// A file beside the configuration.
    pub(crate) fn set_file(&mut self, name: &str, text: String) {
        self.files.insert(name.to_owned(), text);
    }

    /// `KEY VALUE`: a dotted key, and a value as TOML writes it.
    pub(crate) fn set(&mut self, text: &str) {
        let (key, value) = text.split_once(' ').expect("set KEY VALUE");
        let value: toml::Table = format!("value = {value}").parse().expect(text);
        let mut steps: Vec<&str> = key.split('.').collect();
        let last = steps.pop().expect("a key");
        let mut place = toml::Value::Table(std::mem::take(&mut self.config));
        let mut inner = &mut place;
        for step in steps {
            inner = match step.parse::<usize>() {
                Ok(index) => &mut inner.as_array_mut().expect(key)[index],
                Err(_) => {
                    let table = inner.as_table_mut().expect(key);
                    table.entry(step).or_insert_with(|| toml::Value::Table(toml::Table::new()))
                }
            };
        }
        inner.as_table_mut().expect(key).insert(last.to_owned(), value["value"].clone());
        self.config = match place {
            toml::Value::Table(table) => table,
            _ => unreachable!("it was one"),
        };
    }

    pub(crate) fn set_rules(&mut self, file: &str, text: String) {
        let at = RULES.iter().position(|(name, _)| *name == file).expect("the name of a file of rules");
        self.rules[at] = text;
    }

    /// The rules of a fresh installation in place of those made for dialogues.
    pub(crate) fn set_shipped_rules(&mut self) {
        self.rules = [
            include_str!("../../rules/weights.toml"),
            include_str!("../../rules/lists.toml"),
            include_str!("../../rules/policy.toml"),
            include_str!("../../rules/trust.toml"),
            include_str!("../../rules/greylist.toml"),
            include_str!("../../rules/rates.toml"),
            include_str!("../../rules/reputation.toml"),
            include_str!("../../rules/traps.toml"),
            include_str!("../../rules/bulk.toml"),
            include_str!("../../rules/classifier.toml"),
            include_str!("../../rules/outgoing.toml"),
        ]
        .map(str::to_owned);
    }

    pub(crate) fn offer_tls(&mut self) {
        self.tls = true;
    }

    /// `NAME A 192.0.2.1`, `NAME MX HOST`, `NAME TXT text to the end`, `ADDR PTR NAME`, `ADDR listed ZONE 127.0.0.2`, `NAME takes SECONDS`, `NAME fails`;
    /// `nothing` empties the table.
    pub(crate) fn dns(&mut self, text: &str) {
        let dns = std::mem::take(&mut self.dns);
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let ip = |text: &str| text.parse::<IpAddr>().expect(text);
        self.dns = match words[..] {
            [name, "A", addr] => dns.a(name, [addr.parse::<std::net::Ipv4Addr>().expect(addr)]),
            [addr, "PTR", name] => dns.ptr(ip(addr), [name]),
            [addr, "listed", zone, code] => {
                let code: std::net::Ipv4Addr = code.parse().expect(code);
                dns.listed(zone, ip(addr), code.octets())
            }
            [name, "MX", host] => dns.mx(name, [(10, host)]),
            [name, "TXT", ..] => dns.txt(name, [text.split_once("TXT ").expect("a text").1]),
            [name, "takes", seconds] => dns.delay(name, Duration::from_secs_f64(seconds.parse().expect(seconds))),
            ["nothing"] => FixedDns::new(),
            [name, "fails"] => dns.fail(name, LookupError::ServerFailure),
            _ => panic!("dns {text}"),
        };
    }

    fn load(&self, directory: &TempDir) -> Loaded {
        let path = directory.path().join("gatepost.toml");
        std::fs::create_dir_all(directory.path().join("rules")).expect("a writable directory");
        for ((name, _), text) in RULES.iter().zip(&self.rules) {
            let file: PathBuf = directory.path().join("rules").join(format!("{name}.toml"));
            std::fs::write(file, text).expect("a writable directory");
        }
        for (name, text) in &self.files {
            std::fs::write(directory.path().join(name), text).expect("a writable directory");
        }
        let mut config = self.config.clone();
        if self.tls {
            let files = stream::write_certificate(directory.path());
            let shown = |path: &PathBuf| toml::Value::String(path.display().to_string());
            let tls = [("certificate", shown(&files.certificate)), ("key", shown(&files.key))];
            let tls = tls.map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
            let listen = config["listen"][0].as_table_mut().expect("a listener");
            listen.insert("tls".to_owned(), toml::Value::Table(tls));
        }
        std::fs::write(&path, config.to_string()).expect("a writable directory");
        config::load(&path).unwrap_or_else(|problems| panic!("{}", problems.render(false)))
    }
}

impl World {
    /// Starts the proxy. Unless the setup is cold, the backends have been asked what they offer already.
    pub(crate) async fn start(setup: &Setup, backends: Backends, log: Log) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let loaded = setup.load(&directory);
        let registry = Registry::new();
        let pipeline_metrics = pipeline::Metrics::register(&registry).expect("metrics");
        let dns = Arc::new(Changing(Mutex::new(Arc::new(setup.dns.clone()))));
        let mut ports = rules::Ports::with_dns(dns.clone());
        let list_metrics = dnsbl::Metrics::new();
        list_metrics.register(&registry).expect("metrics");
        ports.lists = dnsbl::Lists::new(list_metrics);
        let clock = Arc::new(Stopped::default());
        ports.clock = clock.clone();
        let store_metrics = store::Metrics::register(&registry).expect("metrics");
        let store = Arc::new(MemoryStore::new(&loaded.config.store, clock.clone(), store_metrics));
        if setup.remembers {
            ports.store = Some(store.clone());
        }
        let ruleset =
            rules::load(&loaded.config, &ports).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        if loaded.config.backend.identity == backend::settings::IdentityMethod::ProxyV2 {
            backends.expects_proxy_header();
        }
        let metrics = backend::Metrics::register(&registry).expect("metrics");
        let dialer = Box::new(Dialer(backends.clone()));
        let pool = Pool::with_dial(loaded.config.backend.clone(), metrics.clone(), dialer).expect("a pool");
        let mut pools = Pools::new(pool.clone());
        for (name, settings) in &loaded.config.pools {
            let dialer = Box::new(Dialer(backends.clone()));
            let named = Pool::with_dial(settings.clone(), metrics.clone(), dialer).expect("a pool");
            pools = pools.with(name.clone(), named);
        }
        let pools = pools.routed(loaded.config.routes.clone());
        let shared = Shared::new(
            loaded.config.session.clone(),
            Arc::new(ruleset.with_metrics(&pipeline_metrics)),
            pool,
            Spool::new(gatepost::session::spool::Settings {
                directory: directory.path().to_owned(),
                ..loaded.config.spool.clone()
            }),
            session::Metrics::register(&registry).expect("metrics"),
            clock.clone(),
            store,
        );
        shared.pools.store(Arc::new(pools.clone()));
        let tls = setup.tls.then(|| {
            Arc::new(TlsAcceptorSource::load(vec![stream::write_certificate(directory.path())]).expect("a certificate"))
        });
        let listener = Arc::new(loaded.config.listeners[0].clone());
        let world = Self {
            log,
            backends,
            clients: Vec::new(),
            shared,
            drain: CancellationToken::new(),
            cut: CancellationToken::new(),
            ports,
            clock,
            dns,
            directory,
            listener,
            tls,
            pipeline_metrics,
            registry,
            sessions: tokio_util::task::TaskTracker::new(),
        };
        if setup.tests_lists {
            tokio::spawn(dnsbl::tester::run(Arc::downgrade(&world.ports.lists), world.ports.dns.clone()));
            world.rest().await;
        }
        if !setup.cold {
            for (_, pool) in pools.iter() {
                tokio::spawn(pool.clone().watch(world.cut.clone()));
            }
            world.rest().await;
            world.log.take();
        }
        world
    }

    /// Lets names change.
    pub(crate) fn set_dns(&self, setup: &Setup) {
        *self.dns.0.lock().expect("nobody panics while holding it") = Arc::new(setup.dns.clone());
    }

    /// Has somebody blocked by hand.
    pub(crate) async fn block(&self, whom: &str) {
        let store = self.ports.store.as_ref().expect("a store that remembers");
        let block = store::Block { since: self.clock.now(), until: None, why: "password stolen".to_owned() };
        store.block(whom.parse().expect(whom), block).await.expect("room");
    }

    /// Puts the clock forward.
    pub(crate) fn put_forward(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Puts what changed since in force.
    pub(crate) fn reload(&self, setup: &Setup) {
        let loaded = setup.load(&self.directory);
        let ruleset =
            rules::load(&loaded.config, &self.ports).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        self.shared.ruleset.store(Arc::new(ruleset.with_metrics(&self.pipeline_metrics)));
        self.shared.settings.store(Arc::new(loaded.config.session.clone()));
        let former = self.shared.pools.load_full();
        let mut pools = Pools::new(former.common().clone());
        for (name, settings) in &loaded.config.pools {
            let dial = || {
                Pool::with_dial(
                    settings.clone(),
                    former.common().metrics.clone(),
                    Box::new(Dialer(self.backends.clone())),
                )
            };
            let pool = former.get(Some(name)).cloned().unwrap_or_else(|| dial().expect("a pool"));
            pools = pools.with(name.clone(), pool);
        }
        self.shared.pools.store(Arc::new(pools.routed(loaded.config.routes.clone())));
    }

    /// A client from `peer`; `early` is what it said before anybody listened.
    pub(crate) fn connect(&mut self, peer: SocketAddr, early: Vec<u8>, health_check: bool) {
        let (near, far) = tokio::io::duplex(256 * 1024);
        let incoming = Incoming {
            io: Box::new(near),
            peer,
            local: SocketAddr::from(([203, 0, 113, 25], 25)),
            listener: self.listener.clone(),
            tls: self.tls.clone(),
            early,
            health_check,
            cut: self.cut.clone(),
        };
        let label = if self.clients.is_empty() { "S".to_owned() } else { format!("S{}", self.clients.len() + 1) };
        let client = Client::start(Box::new(far), label, self.log.clone());
        self.backends.knows(client.intent());
        self.clients.push(client);
        self.sessions.spawn(session::serve(self.shared.clone(), incoming, self.drain.clone()));
    }

    /// Lets everybody do what they can do without time passing (but for a millisecond).
    pub(crate) async fn rest(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// The value of a counter or gauge: `name` or `name{label}`; all of its children together.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (name, label) = name.strip_suffix('}').and_then(|name| name.split_once('{')).unwrap_or((name, ""));
        let families = self.registry.gather();
        let Some(family) = families.iter().find(|family| family.name() == name) else {
            return 0.0;
        };
        let wanted = |metric: &&prometheus::proto::Metric| {
            label
                .split(',')
                .all(|label| label.is_empty() || metric.get_label().iter().any(|pair| pair.value() == label))
        };
        let value =
            |metric: &prometheus::proto::Metric| metric.get_counter().get_value() + metric.get_gauge().get_value();
        family.get_metric().iter().filter(wanted).map(value).sum()
    }

    /// Everybody leaves; whatever is still held then was forgotten.
    pub(crate) async fn end(&mut self) {
        self.clients.iter_mut().for_each(Client::close);
        self.sessions.close();
        let all = self.sessions.wait();
        tokio::time::timeout(Duration::from_secs(3600), all).await.expect("sessions without clients end");
        tokio::time::sleep(Duration::from_secs(30)).await;
        self.cut.cancel();
        assert_eq!(self.metric("gatepost_backend_busy_connections"), 0.0, "backend connections are given back");
        let spool = &self.shared.spool;
        assert_eq!((spool.memory_used(), spool.disk_used()), (0, 0), "room for messages is given back");
        let (began, ended) = (self.metric("gatepost_sessions_total"), self.metric("gatepost_session_ends_total"));
        assert_eq!(began, ended, "every session is counted at its end");
        assert_eq!(self.backends.misunderstood(), Vec::<String>::new(), "backends hear commands and messages only");
    }
}
