//! The parts of one running proxy, put together from a configuration and exchanged at a reload.

mod trial;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{IntGauge, Registry};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{error, info, warn};

use super::reload::{self as reloading, Refused as NotTaken, Wanted};
use super::{BackendsReady, Candidate, Dialogue, FromSnapshot, Loader, Plan, zones};
use crate::backend::{self, Pool, Pools};
use crate::checks::dnsbl::{self, Lists, tester};
use crate::checks::{greylist, reputation};
use crate::clock;
use crate::config::rules::{self, Ports};
use crate::config::{self, Loaded, Problems, last_good, reload};
use crate::dns::zones::LocalZones;
use crate::dns::{self, Lookup};
use crate::net::tls::TlsError;
use crate::net::{BoxIo, Refused};
use crate::pipeline::{self, canary};
use crate::records::{self, Recorder};
use crate::reports::delivery::{ToBackend, ToFolder};
use crate::reports::{self, Delivery, Schedule, Via};
use crate::session::spool::Spool;
use crate::session::{self, Incoming, Shared};
use crate::store::{self, Campaigns, Reputations, Store, Teachings};
use crate::telemetry::admin::greylist::Desk;
use crate::telemetry::admin::reputation::Desk as ReputationDesk;
use crate::telemetry::admin::{bulk, classifier};
use crate::telemetry::log;

/// How long backends are waited for that say what they offer.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long the end waits for what is to be remembered.
const LAST_WRITE: Duration = Duration::from_secs(3);

/// One running proxy.
pub struct Proxy {
    shared: Arc<Shared>,
    ports: Ports,
    zones: Arc<LocalZones>,
    pipeline_metrics: pipeline::Metrics,
    canary_metrics: canary::Metrics,
    running: Mutex<Running>,
    /// 1 while the last good rules judge in place of those that are written.
    from_snapshot: IntGauge,
    /// Held while rules are copied.
    keeping: Mutex<()>,
    /// Ends the sending of reports.
    _reports: DropGuard,
}

/// What is in force now.
struct Running {
    loaded: Loaded,
    /// Ends the watch over each pool, by its name.
    watches: Watches,
    /// Ends the watch over the files of local zones.
    follow: CancellationToken,
    /// Rules on trial, and what became of those before.
    trials: trial::Book,
}

/// What ends the watch over a pool; the pool without a name is the one for all.
type Watches = BTreeMap<Option<Arc<str>>, CancellationToken>;

/// Why a proxy cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The rules.
    #[error("{0}")]
    Rules(String),
    /// TLS towards a backend.
    #[error("backend TLS: {0}")]
    Tls(#[from] TlsError),
    /// Name servers.
    #[error("dns: {0}")]
    Dns(String),
    /// A metric is registered twice.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

impl Proxy {
    /// Puts a proxy together, opens its store and reads the files of local zones; call it within a runtime.
    /// `dns` replaces the configured name servers.
    ///
    /// # Errors
    /// What a configuration can be found good with, and still not work here.
    pub fn new(loaded: Loaded, dns: Option<Arc<dyn Lookup>>, registry: &Registry) -> Result<Arc<Self>, ProxyError> {
        let config = &loaded.config;
        let dns = match dns {
            Some(dns) => dns,
            None => resolver(&config.dns, registry)?,
        };
        let list_metrics = dnsbl::Metrics::new();
        list_metrics.register(registry)?;
        let zones = local_zones(&config.zones, registry)?;
        let dns = Arc::new(dns::Local::new(zones.clone(), dns));
        // Once: it outlives every reload.
        let store = store::open(&config.store, clock::system(), store::Metrics::register(registry)?);
        let ports = Ports {
            dns,
            store: Some(store.clone()),
            taught: None,
            lists: Lists::new(list_metrics),
            dmarc_reports: config.reports.is_some(),
            clock: clock::system(),
        };
        let pipeline_metrics = pipeline::Metrics::register(registry)?;
        let canary_metrics = canary::Metrics::register(registry)?;
        let ruleset = rules::load(config, &ports).map_err(|problems| ProxyError::Rules(plain(&problems)))?;
        tokio::spawn(tester::run(Arc::downgrade(&ports.lists), Arc::clone(&ports.dns)));
        let metrics = backend::Metrics::register(registry)?;
        let mut pools = Pools::new(Pool::new(config.backend.clone(), metrics.clone())?);
        for (name, settings) in &config.pools {
            pools = pools.with(name.clone(), Pool::new(settings.clone(), metrics.clone())?);
        }
        let pools = pools.routed(config.routes.clone());
        let mut watches = Watches::new();
        watch(&pools, &mut watches);
        let follow = CancellationToken::new();
        tokio::spawn(zones::follow(zones.clone(), follow.clone()));
        let spool = Spool::new(config.spool.clone());
        spool.register(registry)?;
        let shared = Shared::new(
            config.session.clone(),
            Arc::new(ruleset.with_metrics(&pipeline_metrics)),
            pools.common().clone(),
            spool,
            session::Metrics::register(registry)?,
            clock::system(),
            store.clone(),
        );
        shared.pools.store(Arc::new(pools));
        record(&config.records, &shared, registry)?;
        let metrics = reports::Metrics::register(registry)?;
        let stop = CancellationToken::new();
        if let Some(settings) = config.reports.clone() {
            let delivery = delivery(&settings, &shared);
            let (dns, clock) = (ports.dns.clone(), clock::system());
            let schedule = Schedule { settings, store, dns, delivery, clock, metrics };
            tokio::spawn(schedule.run(stop.clone()));
        }
        let from_snapshot = from_snapshot(registry)?;
        if let Some(problems) = &loaded.rules_refused {
            let problems = plain(problems);
            error!(%problems, "the rules do not load: the last good ones judge until they are mended");
            from_snapshot.set(1);
        }
        let running = Mutex::new(Running { loaded, watches, follow, trials: trial::Book::default() });
        let keeping = Mutex::default();
        let _reports = stop.drop_guard();
        Ok(Arc::new(Self {
            shared,
            ports,
            zones,
            pipeline_metrics,
            canary_metrics,
            running,
            from_snapshot,
            keeping,
            _reports,
        }))
    }

    /// The server's part of a configuration.
    pub fn plan(loaded: &Loaded) -> Plan {
        Plan {
            listeners: loaded.config.listeners.clone(),
            accept: loaded.config.accept.clone(),
            admin: loaded.config.admin,
            drain: loaded.config.drain,
            watch: watched(loaded),
        }
    }

    /// Reads `path` again when asked to; `log` follows the configured level.
    pub fn loader(self: &Arc<Self>, path: PathBuf, log: log::Handle) -> Loader {
        let proxy = Arc::clone(self);
        Arc::new(move |wanted| proxy.candidate(&path, wanted, log.clone()))
    }

    /// Keeps a copy of the rules in force, if they are those that are written; without waiting for the disk.
    pub fn keep_rules(self: &Arc<Self>, path: &Path) {
        let (proxy, path) = (Arc::clone(self), path.to_owned());
        tokio::task::spawn_blocking(move || {
            let _one_at_a_time = proxy.keeping.lock().unwrap_or_else(PoisonError::into_inner);
            let loaded = proxy.running.lock().unwrap_or_else(PoisonError::into_inner).loaded.clone();
            match last_good::keep(&path, &loaded) {
                Ok(true) => info!(rules = %loaded.config.rules.version, "rules.kept"),
                Ok(false) => {}
                Err(why) => warn!(%why, "the rules in force could not be kept for a bad day"),
            }
        });
    }

    /// Whether the last good rules judge in place of those that are written.
    pub fn judges_from_snapshot(self: &Arc<Self>) -> FromSnapshot {
        let proxy = Arc::downgrade(self);
        Arc::new(move || proxy.upgrade().is_some_and(|proxy| proxy.from_snapshot.get() != 0))
    }

    fn candidate(self: &Arc<Self>, path: &Path, wanted: &Wanted, log: log::Handle) -> Result<Candidate, NotTaken> {
        let loaded = config::load(path)?;
        wanted.holds(&loaded.digest)?;
        let ruleset = rules::load(&loaded.config, &self.ports)?;
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.trials.admits(&loaded.config.rules.version, wanted)?;
        let changed = reload::diff(&running.loaded, &loaded);
        let former = self.shared.pools.load_full();
        let next = next_pools(&former, &loaded.config);
        let pools = next.map_err(|why| NotTaken::because(why.to_string()))?;
        drop(running);
        let zones = self.zones.prepare(&loaded.config.zones);
        for key in &changed.restart {
            warn!(key, "changes only at a restart");
        }
        let (proxy, path) = (Arc::clone(self), path.to_owned());
        let runtime = tokio::runtime::Handle::current();
        runtime.block_on(get_to_know(&pools, &former));
        let plan = Self::plan(&loaded);
        let about = reloading::Loaded {
            rules: loaded.config.rules.version.to_string(),
            digest: loaded.digest.clone(),
            rules_changed: changed.rules,
            changed: changed.live.clone(),
            restart: changed.restart.clone(),
        };
        let wanted = wanted.clone();
        let apply = move || {
            let mut running = proxy.running.lock().unwrap_or_else(PoisonError::into_inner);
            // A trial of them may have begun or ended since.
            running.trials.admits(&loaded.config.rules.version, &wanted)?;
            let ruleset = Arc::new(ruleset.with_metrics(&proxy.pipeline_metrics));
            if changed.rules || loaded.config.checks.enabled != running.loaded.config.checks.enabled {
                info!(rules = %ruleset.version, "rules.loaded");
            }
            log.set_level(loaded.config.log.level.as_str());
            proxy.replace_trial(&mut running.trials, &loaded.config.rules.version);
            proxy.shared.ruleset.store(ruleset);
            proxy.shared.settings.store(Arc::new(loaded.config.session.clone()));
            let _entered = runtime.enter();
            exchange(&proxy.shared, pools, &mut running.watches);
            proxy.zones.put(zones);
            running.follow.cancel();
            running.follow = CancellationToken::new();
            runtime.spawn(zones::follow(proxy.zones.clone(), running.follow.clone()));
            running.loaded = loaded;
            drop(running);
            proxy.from_snapshot.set(0);
            proxy.keep_rules(&path);
            Ok(())
        };
        Ok(Candidate { plan, about, apply: Box::new(apply) })
    }

    /// Waits a little until the backends have said what they offer, so that the first client is offered it.
    pub async fn warm_up(&self) {
        let pools = self.shared.pools.load_full();
        ask(pools.iter().map(|(_, pool)| pool)).await;
    }

    /// What it remembers.
    pub fn store(&self) -> Option<Arc<dyn Store>> {
        self.ports.store.clone()
    }

    /// What it remembers of greylisting, by the settings in force.
    pub fn greylist(self: &Arc<Self>) -> Option<Arc<Desk>> {
        let store = self.ports.store.clone()?;
        let proxy = Arc::downgrade(self);
        let settings = move || match proxy.upgrade() {
            Some(proxy) => {
                rules::greylist(&proxy.running.lock().unwrap_or_else(PoisonError::into_inner).loaded.config.rules)
            }
            None => greylist::Settings::default(),
        };
        Some(Arc::new(Desk { store, settings: Box::new(settings), clock: clock::system() }))
    }

    /// What senders have earned, by the settings in force.
    pub fn reputation(self: &Arc<Self>) -> Option<Arc<ReputationDesk>> {
        let store = self.ports.store.clone()? as Arc<dyn Reputations>;
        let proxy = Arc::downgrade(self);
        let settings = move || match proxy.upgrade() {
            Some(proxy) => {
                rules::reputation(&proxy.running.lock().unwrap_or_else(PoisonError::into_inner).loaded.config.rules)
            }
            None => reputation::Settings::default(),
        };
        Some(Arc::new(ReputationDesk { store, settings: Box::new(settings), clock: clock::system() }))
    }

    /// What it remembers of campaigns.
    pub fn bulk(&self) -> Option<Arc<bulk::Desk>> {
        let store = self.ports.store.clone()? as Arc<dyn Campaigns>;
        Some(Arc::new(bulk::Desk { store, clock: clock::system() }))
    }

    /// What the classifier was taught.
    pub fn classifier(&self) -> Option<Arc<classifier::Desk>> {
        let store = self.ports.store.clone()? as Arc<dyn Teachings>;
        Some(Arc::new(classifier::Desk { store, clock: clock::system() }))
    }

    /// Writes down what is to be remembered, once all sessions have ended. A disk that does not answer is
    /// not waited for.
    pub async fn close(&self) {
        if let Some(recorder) = self.shared.recorder()
            && timeout(LAST_WRITE, recorder.flush()).await.is_err()
        {
            warn!("the last records were not written in time");
        }
        let Some(store) = &self.ports.store else { return };
        match timeout(LAST_WRITE, store.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => warn!(%why, "the store did not take its last writes"),
            Err(_elapsed) => warn!("the store did not take its last writes in time"),
        }
    }

    /// How many backends of the pool for all take mail now.
    pub fn backends_ready(self: &Arc<Self>) -> BackendsReady {
        let shared = Arc::clone(&self.shared);
        Arc::new(move || shared.pools.load().common().members().iter().filter(|member| member.is_up()).count())
    }
}

impl Dialogue for Proxy {
    fn serve(
        self: Arc<Self>,
        incoming: Incoming,
        drain: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        session::serve(Arc::clone(&self.shared), incoming, drain)
    }

    async fn refuse(self: Arc<Self>, io: BoxIo, why: Refused) {
        session::refuse(Arc::clone(&self.shared), io, why).await;
    }

    fn header_patience(&self) -> Duration {
        self.shared.settings.load().timeouts.proxy_header
    }
}

/// Watches over those pools that nobody watches yet. Call it within a runtime.
fn watch(pools: &Pools, watches: &mut Watches) {
    for (name, pool) in pools.iter() {
        watches.entry(name.cloned()).or_insert_with(|| {
            let token = CancellationToken::new();
            tokio::spawn(pool.clone().watch(token.clone()));
            token
        });
    }
}

/// Puts pools in force in place of the former ones, of which those are watched no more that do not stay.
fn exchange(shared: &Shared, pools: Pools, watches: &mut Watches) {
    let former = shared.pools.load_full();
    watches.retain(|name, watch| {
        let stays =
            pools.iter().any(|(other, pool)| other == name.as_ref() && Arc::ptr_eq(known_as(&former, other), pool));
        if !stays {
            watch.cancel();
        }
        stays
    });
    self::watch(&pools, watches);
    shared.pools.store(Arc::new(pools));
}

/// The pools of a new configuration: those stay that stay as they are.
fn next_pools(running: &Pools, config: &config::Config) -> Result<Pools, TlsError> {
    let metrics = &running.common().metrics;
    let next = |name: Option<&str>, settings: &backend::Settings| {
        let known =
            running.iter().find(|(known, pool)| known.map(|name| &**name) == name && pool.settings() == settings);
        match known {
            Some((_, pool)) => Ok(pool.clone()),
            None => Pool::new(settings.clone(), metrics.clone()),
        }
    };
    let mut pools = Pools::new(next(None, &config.backend)?);
    for (name, settings) in &config.pools {
        pools = pools.with(name.clone(), next(Some(name), settings)?);
    }
    Ok(pools.routed(config.routes.clone()))
}

/// The pool that was there before by this name, or else the one for all.
fn known_as<'p>(former: &'p Pools, name: Option<&Arc<str>>) -> &'p Arc<Pool> {
    former.get(name.map(|name| &**name)).unwrap_or(former.common())
}

/// Lets pools that are new know what was known of their members, and asks those: nobody is offered less, or more, because
/// of a reload.
async fn get_to_know(pools: &Pools, former: &Pools) {
    let new: Vec<_> = pools.iter().filter(|(name, pool)| !Arc::ptr_eq(known_as(former, *name), pool)).collect();
    new.iter().for_each(|(name, pool)| pool.inherit(known_as(former, *name)));
    ask(new.into_iter().map(|(_, pool)| pool)).await;
}

/// Asks what their members offer, for as long as that is waited for.
async fn ask(pools: impl Iterator<Item = &Arc<Pool>>) {
    futures_util::future::join_all(pools.map(|pool| pool.warm_up(WARM_UP))).await;
}

/// Has everything recorded, if that is wanted. What cannot be recorded keeps no mail out.
fn record(settings: &records::Settings, shared: &Shared, registry: &Registry) -> prometheus::Result<()> {
    let metrics = records::Metrics::register(registry)?;
    if settings.are_wanted() {
        match Recorder::start(settings.clone(), clock::system(), metrics) {
            Ok(recorder) => shared.record_with(recorder),
            Err(why) => error!(%why, "nothing is recorded"),
        }
    }
    Ok(())
}

fn from_snapshot(registry: &Registry) -> prometheus::Result<IntGauge> {
    let gauge = IntGauge::new(
        "gatepost_rules_from_snapshot",
        "1 while the last good rules judge, because those that are written did not load at the start.",
    )?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

fn resolver(settings: &dns::Settings, registry: &Registry) -> Result<Arc<dyn Lookup>, ProxyError> {
    let metrics = Arc::new(dns::Metrics::new());
    metrics.register(registry)?;
    let resolver =
        dns::hickory::Resolver::over_servers(settings, metrics).map_err(|why| ProxyError::Dns(why.to_string()))?;
    Ok(Arc::new(resolver))
}

fn local_zones(settings: &[dns::zones::Settings], registry: &Registry) -> Result<Arc<LocalZones>, ProxyError> {
    let metrics = dns::zones::Metrics::new();
    metrics.register(registry)?;
    let zones = LocalZones::new(metrics);
    zones.load(settings);
    Ok(Arc::new(zones))
}

/// The way out for reports; a reload exchanges the pool behind it.
fn delivery(settings: &reports::Settings, shared: &Arc<Shared>) -> Box<dyn Delivery> {
    match &settings.via {
        Via::Folder(folder) => Box::new(ToFolder::new(folder.clone())),
        Via::Backend => {
            let (shared, hostname) = (Arc::clone(shared), settings.hostname.clone());
            Box::new(ToBackend { pool: Box::new(move || shared.pools.load().common().clone()), hostname })
        }
    }
}

/// The files whose changes are reason enough to load them.
fn watched(loaded: &Loaded) -> Vec<PathBuf> {
    if loaded.config.reload.watch { loaded.files.clone() } else { Vec::new() }
}

fn plain(problems: &Problems) -> String {
    problems.render(false)
}

/// Worker threads of the runtime: one per core that we may use.
pub fn workers() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}
