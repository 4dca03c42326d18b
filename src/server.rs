//! The running program: listeners that feed sessions, reloads, and an orderly end.
//!
//! Promises: a reload is made whole or not at all, and one that is refused changes nothing but a
//! counter and the log. Stopping is a matter of stages: no more connections, no more transactions,
//! after the configured time 421 to whoever is left, and soon after that the end.
//!
//! Failure: what cannot be bound or loaded at the start ends the start; nothing after it ends the
//! server but an order to stop.

mod intake;
mod listeners;
mod manager;
mod metrics;
pub mod proxy;
pub mod reload;
pub mod signals;
mod watch;
mod zones;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch as watching};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

pub use intake::Dialogue;
pub use listeners::BindError;

use crate::clock;
use crate::net::listener::{self, AcceptLimits, Inherited};
use crate::net::{self, Gate, accept};
use crate::store::{Forwarders, Store, Upkeep};
use crate::telemetry::admin::greylist::Desk;
use crate::telemetry::admin::reputation::Desk as ReputationDesk;
use crate::telemetry::admin::{self, Health, Pages, Readiness};
use crate::telemetry::admin::{blocks, bulk, classifier};
use intake::Intake;
use listeners::{Change, Listener};
use metrics::Metrics;
use reload::{Asked, Outcome, Refused, Trials, Wanted};
use watch::Watch;

/// Between two looks at the certificate files.
const CERTIFICATE_INTERVAL: Duration = Duration::from_secs(60);
/// How long sessions have to say 421 when draining has taken too long.
const CUT_GRACE: Duration = Duration::from_secs(2);
/// How long the admin pages have for their last answers.
const ADMIN_GRACE: Duration = Duration::from_secs(3);

/// What the server itself needs of a configuration.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where we listen.
    pub listeners: Vec<listener::Settings>,
    /// Bounds on accepting.
    pub accept: AcceptLimits,
    /// Where the admin pages are; a change needs a restart.
    pub admin: Option<SocketAddr>,
    /// How long transactions under way may take when we stop.
    pub drain: Duration,
    /// Files that a reload reads, to be watched.
    pub watch: Vec<PathBuf>,
}

/// A configuration that was read again and found good.
pub struct Candidate {
    /// The server's part of it.
    pub plan: Plan,
    /// What is told of it.
    pub about: reload::Loaded,
    /// Puts the other parts in force, unless what has happened since it was read forbids it.
    pub apply: Box<dyn FnOnce() -> Result<(), Refused> + Send>,
}

/// Reads the configuration again; blocks. The error is all that is wrong with it.
pub type Loader = Arc<dyn Fn(&Wanted) -> Result<Candidate, Refused> + Send + Sync>;

/// How many backends take mail now.
pub type BackendsReady = Arc<dyn Fn() -> usize + Send + Sync>;

/// Whether the rules in force are the last good ones, and not those that are written.
pub type FromSnapshot = Arc<dyn Fn() -> bool + Send + Sync>;

/// What the server can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Read the configuration again.
    Reload,
    /// Drain and end; said twice: do not wait for transactions.
    Stop,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Sessions that were open when draining had taken too long.
    pub cut: usize,
}

/// A server whose sockets are open and which does not accept yet.
pub struct Server<D> {
    plan: Plan,
    intake: Arc<Intake<D>>,
    listeners: Vec<(Arc<Listener>, TcpListener)>,
    admin: Option<TcpListener>,
    registry: Registry,
    loader: Loader,
    trials: Option<Arc<dyn Trials>>,
    state: Arc<State>,
    store: Option<Arc<dyn Store>>,
    greylist: Option<Arc<Desk>>,
    reputation: Option<Arc<ReputationDesk>>,
    bulk: Option<Arc<bulk::Desk>>,
    classifier: Option<Arc<classifier::Desk>>,
}

/// What the admin pages see.
struct State {
    listening: AtomicBool,
    draining: AtomicBool,
    backends_ready: BackendsReady,
    rules_from_snapshot: OnceLock<FromSnapshot>,
}

// === impl Server ===

impl<D: Dialogue> Server<D> {
    /// Opens all sockets and loads all certificates. Call it within a runtime.
    ///
    /// # Errors
    /// The first listener that cannot be; nothing is left open.
    pub fn bind(
        plan: Plan,
        mut inherited: Inherited,
        registry: Registry,
        dialogue: Arc<D>,
        loader: Loader,
        backends_ready: BackendsReady,
    ) -> Result<Self, StartError> {
        let net_metrics = net::Metrics::new(&registry)?;
        let gate = Gate::new(plan.accept.clone(), net_metrics.sessions.clone());
        let intake = Intake::new(dialogue, gate, net_metrics, Metrics::new(&registry)?);
        let mut listeners = Vec::new();
        for settings in plan.listeners.clone() {
            intake.net_metrics.add_listener(&settings.name);
            let (listener, socket) = Listener::open(settings, &mut inherited)?;
            listener.show_expiry(&intake.metrics);
            listeners.push((listener, socket));
        }
        let admin = plan.admin.map(|address| open_admin(address, &mut inherited)).transpose()?;
        for address in inherited.unused() {
            warn!(%address, "the service manager opened a socket that no listener has the address of");
        }
        let state = State {
            listening: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            backends_ready,
            rules_from_snapshot: OnceLock::new(),
        };
        Ok(Self {
            plan,
            intake,
            listeners,
            admin,
            registry,
            loader,
            trials: None,
            state: Arc::new(state),
            store: None,
            greylist: None,
            reputation: None,
            bulk: None,
            classifier: None,
        })
    }

    /// Says on the admin pages whether the rules are the last good ones.
    #[must_use]
    pub fn judging_from_snapshot(self, asked: FromSnapshot) -> Self {
        // Said once.
        let _ = self.state.rules_from_snapshot.set(asked);
        self
    }

    /// Shows on the admin pages what `store` remembers.
    #[must_use]
    pub fn remembering(self, store: Option<Arc<dyn Store>>) -> Self {
        Self { store, ..self }
    }

    /// Shows on the admin pages what is remembered of greylisting, and changes it there.
    #[must_use]
    pub fn greylisting(self, greylist: Option<Arc<Desk>>) -> Self {
        Self { greylist, ..self }
    }

    /// Shows on the admin pages what senders have earned, and makes them unknown again there.
    #[must_use]
    pub fn reputing(self, reputation: Option<Arc<ReputationDesk>>) -> Self {
        Self { reputation, ..self }
    }

    /// Shows on the admin pages what is remembered of campaigns, and learns there.
    #[must_use]
    pub fn learning(self, bulk: Option<Arc<bulk::Desk>>) -> Self {
        Self { bulk, ..self }
    }

    /// Shows on the admin pages what the classifier was taught, and teaches it there.
    #[must_use]
    pub fn classifying(self, classifier: Option<Arc<classifier::Desk>>) -> Self {
        Self { classifier, ..self }
    }

    /// Tries rules on some clients, when the admin pages are asked to.
    #[must_use]
    pub fn trying(self, trials: Arc<dyn Trials>) -> Self {
        Self { trials: Some(trials), ..self }
    }

    /// Where it listens, in the order of the plan.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|(listener, _)| listener.bound).collect()
    }

    /// Where the admin pages are.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|socket| socket.local_addr().ok())
    }

    /// Serves until it is told to stop, or until nobody is left who could tell it.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> Ended {
        let admin_stop = CancellationToken::new();
        let (asking, mut asked) = mpsc::channel(reload::WAITING);
        let desk = reload::Desk::new(asking, self.trials.clone());
        let admin_task = self.admin.take().map(|socket| {
            let health: Arc<dyn Health> = self.state.clone();
            let store = self.store.take();
            let forwarders = store.clone().map(|store| store as Arc<dyn Forwarders>);
            let pages = Pages::new(self.registry.clone(), health, forwarders)
                .with_greylist(self.greylist.take())
                .with_reputation(self.reputation.take())
                .with_blocks(store.clone().map(|store| Arc::new(blocks::Desk { store, clock: clock::system() })))
                .with_bulk(self.bulk.take())
                .with_classifier(self.classifier.take())
                .with_reloads(desk.clone())
                .with_upkeep(store.map(|store| store as Arc<dyn Upkeep>));
            tokio::spawn(admin::run(socket, pages, admin_stop.clone()))
        });
        let (acceptors, listeners) = self.start_accepting();
        self.state.listening.store(true, Ordering::Relaxed);
        manager::ready();
        self.obey(&listeners, &mut orders, &mut asked).await;
        drop(asked);
        self.state.draining.store(true, Ordering::Relaxed);
        let ended = self.drain(&acceptors, &mut orders).await;
        admin_stop.cancel();
        if let Some(task) = admin_task {
            let _ = timeout(ADMIN_GRACE, task).await;
        }
        info!(cut = ended.cut, "stopped");
        ended
    }

    fn start_accepting(&mut self) -> (TaskTracker, Vec<Arc<Listener>>) {
        let (acceptors, mut listeners) = (TaskTracker::new(), Vec::new());
        for (listener, socket) in self.listeners.drain(..) {
            listeners.push(Arc::clone(&listener));
            let intake = Arc::clone(&self.intake);
            acceptors.spawn(async move {
                let name = Arc::clone(&listener.current().settings.name);
                let take = |stream, peer| intake.take(&listener, stream, peer);
                accept::run(&socket, &name, &intake.net_metrics, &intake.stop.accepting, take).await;
            });
        }
        acceptors.close();
        (acceptors, listeners)
    }

    /// Carries out orders until one says stop; renews certificates and lives visibly meanwhile.
    async fn obey(
        &mut self,
        listeners: &[Arc<Listener>],
        orders: &mut mpsc::Receiver<Order>,
        asked: &mut mpsc::Receiver<Asked>,
    ) {
        // A watch that sees a change sends its order here; kept open so that it never reads as closed.
        let (watch_in, mut watched) = mpsc::channel(1);
        let mut watch = start_watch(&self.plan, &watch_in);
        let mut files = self.trials.as_ref().map(|trials| trials.watched());
        let mut certificates = interval(CERTIFICATE_INTERVAL);
        certificates.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let heartbeat = manager::heartbeat();
        let mut heart = interval(heartbeat.unwrap_or(CERTIFICATE_INTERVAL));
        loop {
            let order = tokio::select! {
                order = orders.recv() => order.unwrap_or(Order::Stop),
                Some(order) = watched.recv() => order,
                Some(Asked { wanted, answer }) = asked.recv() => {
                    let outcome = self.told_to_reload(listeners, &wanted, (&mut watch, &watch_in), &mut files).await;
                    // Who asked may have gone.
                    let _ = answer.send(outcome);
                    continue;
                }
                () = changed(&mut files) => {
                    if let Some(files) = &mut files {
                        self.plan.watch = files.borrow_and_update().clone();
                        watch_anew(&self.plan, &mut watch, &watch_in);
                    }
                    continue;
                }
                _ = certificates.tick() => {
                    self.renew_certificates(listeners).await;
                    continue;
                }
                _ = heart.tick(), if heartbeat.is_some() => {
                    manager::alive();
                    continue;
                }
            };
            match order {
                Order::Stop => return,
                Order::Reload => {
                    let wanted = Wanted::default();
                    self.told_to_reload(listeners, &wanted, (&mut watch, &watch_in), &mut files).await;
                }
            }
        }
    }

    /// Reloads, with everybody told who has to know, and watches what is to be watched then.
    async fn told_to_reload(
        &mut self,
        listeners: &[Arc<Listener>],
        wanted: &Wanted,
        (watch, watch_in): (&mut Option<Watch>, &mpsc::Sender<Order>),
        files: &mut Option<watching::Receiver<Vec<PathBuf>>>,
    ) -> Outcome {
        manager::reloading();
        let watched_before = self.plan.watch.clone();
        let outcome = self.reload(listeners, wanted).await;
        if let (Outcome::Applied(_), Some(files)) = (&outcome, files) {
            // What a trial wanted to be watched before, nobody wants any more.
            files.mark_unchanged();
        }
        if self.plan.watch != watched_before {
            watch_anew(&self.plan, watch, watch_in);
        }
        manager::ready();
        outcome
    }

    /// Puts a new configuration in force, if it is as it should be.
    async fn reload(&mut self, listeners: &[Arc<Listener>], wanted: &Wanted) -> Outcome {
        let (loader, running, wanted) = (Arc::clone(&self.loader), listeners.to_vec(), wanted.clone());
        let prepared = tokio::task::spawn_blocking(move || {
            let mut candidate = loader(&wanted)?;
            let wanted = std::mem::take(&mut candidate.plan.listeners);
            let change = Change::prepare(&running, wanted).map_err(|error| Refused::because(error.to_string()))?;
            Ok((candidate, change))
        });
        let mistake = |panic| Err(Refused::because(format!("a mistake in this program: {panic}")));
        let prepared = prepared.await.unwrap_or_else(mistake);
        let metrics = &self.intake.metrics;
        let taken = prepared.and_then(|(Candidate { plan, about, apply }, change)| {
            apply()?;
            change.apply();
            Ok((plan, about))
        });
        match taken {
            Ok((plan, about)) => {
                self.intake.gate.set_limits(plan.accept.clone());
                if plan.admin != self.plan.admin {
                    warn!("the admin pages move only at a restart");
                }
                self.plan = plan;
                metrics.reloads_applied.inc();
                metrics.loaded();
                info!("configuration reloaded");
                // Of files that are named no more nothing is said any more.
                metrics.certificate_expiry.reset();
                self.renew_certificates(listeners).await;
                Outcome::Applied(about)
            }
            Err(refused) => {
                metrics.reloads_refused.inc();
                error!(problems = %refused, "configuration refused: the old one stays in force");
                refused.into()
            }
        }
    }

    async fn renew_certificates(&self, listeners: &[Arc<Listener>]) {
        let (listeners, metrics) = (listeners.to_vec(), self.intake.metrics.clone());
        let renewed = tokio::task::spawn_blocking(move || listeners.iter().for_each(|one| one.renew(&metrics)));
        if renewed.await.is_err() {
            error!("looking for new certificates ended by a mistake in this program");
        }
    }

    async fn drain(&self, acceptors: &TaskTracker, orders: &mut mpsc::Receiver<Order>) -> Ended {
        let (stop, sessions) = (&self.intake.stop, &self.intake.sessions);
        info!(sessions = self.intake.gate.sessions(), "draining");
        manager::stopping(self.plan.drain + CUT_GRACE + ADMIN_GRACE);
        stop.accepting.cancel();
        acceptors.wait().await;
        stop.drain.cancel();
        sessions.close();
        let told_again = async {
            loop {
                match orders.recv().await {
                    Some(Order::Stop) => return,
                    Some(Order::Reload) => {}
                    None => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            () = sessions.wait() => return Ended { cut: 0 },
            () = tokio::time::sleep(self.plan.drain) => {}
            () = told_again => {}
        }
        let cut = self.intake.gate.sessions();
        warn!(sessions = cut, "draining took too long: closing what is open");
        stop.cut.cancel();
        if timeout(CUT_GRACE, sessions.wait()).await.is_err() {
            stop.kill.cancel();
            sessions.wait().await;
        }
        Ended { cut }
    }
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener.
    #[error(transparent)]
    Listener(#[from] BindError),
    /// The admin pages.
    #[error("admin pages: cannot listen at {address}: {source}")]
    Admin {
        /// Where they should be.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A metric is registered twice.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

fn open_admin(address: SocketAddr, inherited: &mut Inherited) -> Result<TcpListener, StartError> {
    let socket = match inherited.take(address) {
        Ok(None) => listener::bind(address, false),
        Ok(Some(socket)) => Ok(socket),
        Err(error) => Err(error),
    };
    socket.map_err(|source| StartError::Admin { address, source })
}

/// Waits until there are other files to be watched.
async fn changed(files: &mut Option<watching::Receiver<Vec<PathBuf>>>) {
    let Some(files) = files else { return std::future::pending().await };
    if files.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Watches what is to be watched now. An old watch is better than none, unless none is wanted.
fn watch_anew(plan: &Plan, watch: &mut Option<Watch>, orders: &mpsc::Sender<Order>) {
    let next = start_watch(plan, orders);
    *watch = if plan.watch.is_empty() { None } else { next.or(watch.take()) };
}

/// `None` if there is nothing to watch, or the system cannot: SIGHUP works all the same.
fn start_watch(plan: &Plan, orders: &mpsc::Sender<Order>) -> Option<Watch> {
    if plan.watch.is_empty() {
        return None;
    }
    let watch = Watch::start(plan.watch.clone(), Order::Reload, orders.clone());
    watch.inspect_err(|error| warn!(%error, "cannot watch the configuration: reload by SIGHUP")).ok()
}

// === impl State ===

impl Health for State {
    fn readiness(&self) -> Readiness {
        Readiness {
            listening: self.listening.load(Ordering::Relaxed),
            backends_ready: (self.backends_ready)(),
            draining: self.draining.load(Ordering::Relaxed),
            rules_from_snapshot: self.rules_from_snapshot.get().is_some_and(|asked| asked()),
        }
    }
}

#[cfg(test)]
mod tests;
