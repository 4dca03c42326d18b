//! The way to Redis: one connection that all operations share, and the breaker before it.
//!
//! Promises: nobody waits longer than the deadline, and nobody waits at all while the breaker is open, which is
//! while there is no connection. A thread of its own makes the connection, probes it now and then with a write, and
//! makes another when it is gone or refuses; so what is down comes back without a restart, and no mail is the probe.
//!
//! Failure: [`Failure`], counted by kind. The log has a line when Redis is lost and one when it is back.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use futures_util::future;
use redis::{Cmd, FromRedisValue, Value};
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::connect::{Connection, Server};
use super::failure::{Failure, Kind};
use super::metrics::Metrics;
use super::script::Call;
use crate::store::{Secret, greylist};

/// Operations in a row that had no answer in time: then the breaker opens.
const SILENCES: u32 = 3;
/// Connecting and the first probe may take so long.
const CONNECT: Duration = Duration::from_secs(2);
/// How long a start waits for the first connection.
const START: Duration = Duration::from_millis(1500);
/// Between two attempts to connect, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// Between two probes of a connection that seems to be well.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// Slots that a probe writes to, so that each master of a small cluster is asked.
const PROBED: u32 = 16;
/// A written probe is gone after that, in milliseconds.
const PROBE_KEPT: u32 = 60_000;

/// What all who use one Redis share, made by the first of them.
#[derive(Clone)]
pub(super) struct Shared {
    octets: [u8; greylist::SECRET],
    pub(super) secret: Secret,
    pub(super) campaign_key: u64,
}

/// The connection, while there is one.
pub(super) struct Link {
    state: Arc<State>,
    /// Where the connection lives, and what goes on in the background.
    runtime: Option<Handle>,
    _stop: DropGuard,
}

/// The same for who must not keep it open.
pub(super) struct WeakLink(Weak<State>);

pub(super) struct State {
    server: Server,
    prefix: String,
    deadline: Duration,
    connection: ArcSwapOption<Connection>,
    shared: ArcSwap<Shared>,
    silences: AtomicU32,
    lost: Notify,
    metrics: Metrics,
}

// === impl Shared ===

impl Shared {
    fn new(octets: [u8; greylist::SECRET], campaign_key: u64) -> Self {
        Self { octets, secret: Secret::new(&octets), campaign_key }
    }
}

// === impl Link ===

impl Link {
    /// Begins to connect, and waits a moment for the outcome.
    pub(super) fn open(server: Server, prefix: String, deadline: Duration, metrics: Metrics) -> Self {
        metrics.up.set(0);
        let state = Arc::new(State {
            server,
            prefix,
            deadline,
            connection: ArcSwapOption::empty(),
            // Stands only until Redis has said what the others use.
            shared: ArcSwap::from_pointee(Shared::new(Secret::random(), rand::random())),
            silences: AtomicU32::new(0),
            lost: Notify::new(),
            metrics,
        });
        let stop = CancellationToken::new();
        let (tried, first) = mpsc::channel();
        let (tended, stopped) = (state.clone(), stop.clone());
        let begin = || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            let tend = move || {
                runtime.block_on(stopped.run_until_cancelled(tended.tend(tried)));
            };
            std::thread::Builder::new().name("gatepost-redis".to_owned()).spawn(tend).map(|_| handle)
        };
        let runtime = begin().inspect_err(|why: &std::io::Error| tracing::error!(%why, "store.redis_unusable")).ok();
        // Whatever becomes of it, the start goes on.
        let _ = first.recv_timeout(START);
        Self { state, runtime, _stop: stop.drop_guard() }
    }

    /// Does something in the background, at most as long as the link is there.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(work);
        }
    }

    /// For work in the background.
    pub(super) fn weak(&self) -> WeakLink {
        WeakLink(Arc::downgrade(&self.state))
    }

    /// What all share.
    pub(super) fn shared(&self) -> Arc<Shared> {
        self.state.shared.load_full()
    }

    /// See [`State::prefix`].
    pub(super) fn prefix(&self) -> &str {
        self.state.prefix()
    }

    /// See [`State::query`].
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        self.state.query(command).await
    }

    /// The answers to all calls, in their order, within the deadline. They are sent together.
    pub(super) async fn ask<T: FromRedisValue>(&self, calls: &[Call]) -> Result<Vec<T>, Failure> {
        self.ask_within(calls, self.state.deadline).await
    }

    /// The answer to one call.
    pub(super) async fn ask_one<T: FromRedisValue>(&self, call: Call) -> Result<T, Failure> {
        let answers = self.ask(&[call]).await?;
        answers.into_iter().next().ok_or(Failure::UNREADABLE)
    }

    /// The same as [`Link::ask`], for those who can wait.
    pub(super) async fn ask_within<T: FromRedisValue>(
        &self,
        calls: &[Call],
        deadline: Duration,
    ) -> Result<Vec<T>, Failure> {
        let ask = async |connection: &Connection| {
            let answers = future::join_all(calls.iter().map(|call| call.ask(connection))).await;
            answers.into_iter().collect::<Result<Vec<Value>, Failure>>()
        };
        self.state.within(deadline, ask).await?.into_iter().map(read).collect()
    }

    /// What the link consists of.
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// True while there is a connection.
    pub(super) fn is_up(&self) -> bool {
        self.state.connection.load().is_some()
    }
}

// === impl State ===

impl WeakLink {
    /// The link, if it is still there.
    pub(super) fn upgrade(&self) -> Option<Arc<State>> {
        self.0.upgrade()
    }
}

impl State {
    /// The beginning of every key.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The longest that an operation may take.
    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The answer to one call.
    pub(super) async fn ask_one<T: FromRedisValue>(&self, call: &Call, deadline: Duration) -> Result<T, Failure> {
        read(self.within(deadline, async |connection: &Connection| call.ask(connection).await).await?)
    }

    /// The answer to one command.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        read(self.within(self.deadline, async |connection: &Connection| connection.ask(command).await).await?)
    }

    /// Takes keys away, those of one slot together; what fails expires by itself.
    pub(super) async fn forget<const N: usize>(&self, keys: Vec<[String; N]>) {
        for of_slot in &keys {
            let mut forget = redis::cmd("UNLINK");
            forget.arg(&of_slot[..]);
            let _ = self.query::<u64>(&forget).await;
        }
    }

    async fn within<T>(
        &self,
        deadline: Duration,
        ask: impl AsyncFnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Some(connection) = self.connection.load_full() else { return Err(Failure::DOWN) };
        let began = Instant::now();
        let answer = timeout(deadline, ask(&connection)).await.unwrap_or(Err(Failure::SILENCE));
        self.metrics.durations.observe(began.elapsed().as_secs_f64());
        match &answer {
            Ok(_) => self.silences.store(0, Ordering::Relaxed),
            Err(failure) => self.failed(&connection, failure),
        }
        answer
    }

    /// Counts a failure, and opens the breaker if it is one of all operations.
    fn failed(&self, connection: &Arc<Connection>, failure: &Failure) {
        self.metrics.fail(failure.kind);
        let opens = match failure.kind {
            Kind::Other => false,
            Kind::Timeout => self.silences.fetch_add(1, Ordering::Relaxed) + 1 >= SILENCES,
            _ => true,
        };
        if opens {
            self.lose(connection, failure);
        }
    }

    /// Lets go of a connection, unless that was done already.
    fn lose(&self, connection: &Arc<Connection>, failure: &Failure) {
        let current = self.connection.compare_and_swap(connection, None);
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, connection)) {
            self.metrics.up.set(0);
            tracing::warn!(why = %failure, kind = failure.kind.label(), "store.redis_lost");
            self.lost.notify_one();
        }
    }

    /// Keeps a connection; ends only with its thread.
    async fn tend(&self, tried: mpsc::Sender<()>) {
        let mut tried = Some(tried);
        let mut pause = PAUSES.0;
        let mut has_complained = false;
        loop {
            let attempt = timeout(CONNECT, self.connect()).await.unwrap_or(Err(Failure::SILENCE));
            match attempt {
                Ok(connection) => {
                    self.silences.store(0, Ordering::Relaxed);
                    self.connection.store(Some(connection));
                    self.metrics.up.set(1);
                    tracing::info!(server = %self.server, "store.redis_up");
                    (tried, pause, has_complained) = (None, PAUSES.0, false);
                    self.watch().await;
                }
                Err(failure) => {
                    self.metrics.fail(failure.kind);
                    if !has_complained {
                        tracing::warn!(server = %self.server, why = %failure, "store.redis_down");
                        has_complained = true;
                    }
                }
            }
            tried.take();
            // Not all Gateposts at the same moment.
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn connect(&self) -> Result<Arc<Connection>, Failure> {
        let connection = Arc::new(self.server.connect().await?);
        self.probe(&connection).await?;
        self.share(&connection).await?;
        Ok(connection)
    }

    /// Probes from time to time until the connection is lost.
    async fn watch(&self) {
        loop {
            if timeout(PROBE_INTERVAL, self.lost.notified()).await.is_ok() {
                return;
            }
            let Some(connection) = self.connection.load_full() else { return };
            let probed = timeout(CONNECT, self.probe(&connection)).await.unwrap_or(Err(Failure::SILENCE));
            if let Err(failure) = probed {
                self.metrics.fail(failure.kind);
                self.lose(&connection, &failure);
                return;
            }
        }
    }

    /// A write, because who can only read is as good as gone: what one part of an exchange has written the next
    /// must find.
    async fn probe(&self, connection: &Connection) -> Result<(), Failure> {
        let slots = if connection.is_cluster() { PROBED } else { 1 };
        let write = |slot| {
            let mut write = redis::cmd("SET");
            write.arg(format!("{}{{probe{slot}}}", self.prefix)).arg(1).arg("PX").arg(PROBE_KEPT);
            async move { connection.ask(&write).await }
        };
        future::join_all((0..slots).map(write)).await.into_iter().try_for_each(|written| written.map(drop))
    }

    /// Agrees with the others on what all share. What we have used so far is proposed, so that a Redis that has
    /// forgotten everything is told the same by all who knew it.
    async fn share(&self, connection: &Connection) -> Result<(), Failure> {
        let proposed = self.shared.load_full();
        let octets: Vec<u8> = self.agree(connection, "greylist", &proposed.octets[..]).await?;
        let octets = octets.try_into().map_err(|_| Failure::UNREADABLE)?;
        let campaign_key = self.agree(connection, "campaigns", &proposed.campaign_key.to_string()).await?;
        if octets != proposed.octets || campaign_key != proposed.campaign_key {
            self.shared.store(Arc::new(Shared::new(octets, campaign_key)));
        }
        Ok(())
    }

    async fn agree<T: FromRedisValue>(
        &self,
        connection: &Connection,
        what: &str,
        proposed: impl redis::ToRedisArgs,
    ) -> Result<T, Failure> {
        let key = format!("{}{{secret}}:{what}", self.prefix);
        let (mut propose, mut read) = (redis::cmd("SET"), Cmd::new());
        propose.arg(&key).arg(proposed).arg("NX");
        read.arg("GET").arg(&key);
        connection.ask(&propose).await?;
        redis::from_redis_value(connection.ask(&read).await?).map_err(|_| Failure::UNREADABLE)
    }
}

fn read<T: FromRedisValue>(value: Value) -> Result<T, Failure> {
    redis::from_redis_value(value).map_err(|_| Failure::UNREADABLE)
}
