//! Remembers in Redis or Valkey, so that several proxies act as one: what the first saw, the second knows.
//!
//! Promises: an operation is one round trip (or none), atomic, and done within the deadline. Where Redis does
//! not do it, local memory does: for one operation that is refused, for all while the breaker is open
//! (see `link`). What memory has learnt meanwhile still counts when Redis is back, until this process ends.
//! Every key has the prefix, a hash tag, and an end, but for the one of who is blocked: that ends by hand.
//!
//! Time is what callers say it is; Redis' own clock only lets keys expire, an hour late.
//!
//! Failure: none that a caller sees. It is counted by kind, and the log has a line when Redis goes and comes.

mod blocks;
mod campaigns;
mod classifier;
mod connect;
mod deliveries;
mod failure;
mod forwarders;
mod greylist;
mod link;
mod metrics;
mod rates;
mod reports;
mod reputations;
mod script;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use connect::check_url;
pub(super) use metrics::Metrics as LinkMetrics;

use super::ledger::{Bounds, Looks};
use super::metrics::{Metrics, Operation, Outcome};
use super::{Info, MemoryStore, Settings, Store, StoreError, Upkeep};
use crate::clock::doubt::Doubt;
use crate::clock::{Clock, seconds};
use blocks::Blocking;
use campaigns::Bulk;
use classifier::Teaching;
use connect::Server;
use failure::{Failure, Kind};
use link::Link;

/// Where Redis is, and how it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// Addresses: of the server and others that may take its place, of sentinels, or of some nodes of a cluster.
    pub urls: Vec<String>,
    /// What is there.
    pub mode: Mode,
    /// Who we are to it (ACL).
    pub username: Option<String>,
    /// And how we prove that.
    pub password: Option<Password>,
    /// The same towards sentinels.
    pub sentinel_password: Option<Password>,
    /// Roots to trust instead of the system's, as PEM.
    pub tls_ca: Option<String>,
    /// The beginning of every key; proxies with the same prefix act as one.
    pub prefix: String,
    /// The longest that an operation may take.
    pub deadline: Duration,
}

/// What is at the addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A server.
    Standalone,
    /// Sentinels, which know the master of that name.
    Sentinel {
        /// The name.
        master: String,
    },
    /// Nodes of a cluster.
    Cluster,
}

/// What nobody is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Remembers in Redis, and in memory while there is none.
pub struct RedisStore {
    urls: Vec<String>,
    settings: Settings,
    bounds: Bounds,
    deadline: Duration,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    link: Link,
    bulk: Bulk,
    teaching: Teaching,
    blocking: Blocking,
    local: MemoryStore,
    /// Memory was used once.
    is_detoured: AtomicBool,
    doubt: Mutex<Doubt>,
    looks: Mutex<Looks>,
}

// === impl Password ===

impl Password {
    /// Keeps it from being shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

// === impl RedisStore ===

impl RedisStore {
    /// Begins to connect, and waits up to two seconds for it; a Redis that is not there may come later.
    ///
    /// # Errors
    /// If an address is none.
    pub fn open(
        redis: &RedisSettings,
        settings: &Settings,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Result<Self, String> {
        let server = Server::new(redis.clone()).map_err(|why| why.to_string())?;
        let link = Link::open(server, redis.prefix.clone(), redis.deadline, metrics.redis.clone());
        let bulk = Bulk::new(settings, &link, clock.now());
        let teaching = Teaching::new(&link);
        let blocking = Blocking::new(&link);
        let local = MemoryStore::new(settings, clock.clone(), metrics.clone());
        let (bounds, looks) = (Bounds::from(settings), Mutex::new(Looks::new(seconds(clock.now()))));
        let (settings, deadline, doubt) =
            (settings.clone(), redis.deadline, Mutex::new(Doubt::new(seconds(clock.now()))));
        let is_detoured = AtomicBool::new(false);
        let urls = redis.urls.clone();
        Ok(Self {
            urls,
            settings,
            bounds,
            deadline,
            clock,
            metrics,
            link,
            bulk,
            teaching,
            blocking,
            local,
            is_detoured,
            doubt,
            looks,
        })
    }

    /// True if Redis answers and can be written to.
    pub fn is_up(&self) -> bool {
        self.link.is_up()
    }

    /// What Redis says; `None`, counted, if memory must do it.
    async fn try_shared<T>(&self, operation: Operation, shared: impl Future<Output = Result<T, Failure>>) -> Option<T> {
        match shared.await {
            Ok(answer) => {
                self.metrics.count(operation, Outcome::Ok);
                Some(answer)
            }
            Err(why) => {
                self.detour(&why);
                None
            }
        }
    }

    /// Counts that memory does what Redis did not.
    fn detour(&self, why: &Failure) {
        self.metrics.redis.fallbacks.inc();
        self.is_detoured.store(true, Ordering::Relaxed);
        if why.kind == Kind::Other {
            self.metrics.complain(&why.to_string());
        }
    }

    /// From time to time, whoever counts something takes away what has grown old.
    async fn forget_what_is_old(&self) {
        let now = seconds(self.clock.now());
        if self.looks.lock().unwrap_or_else(PoisonError::into_inner).are_due(now) {
            // What could not be forgotten now is met again in an hour, and expires by itself in the end.
            let _ = self.sweep_reports(now).await;
            let _ = self.sweep_hops(now).await;
        }
    }

    /// True if memory may know something that Redis does not.
    fn has_local(&self) -> bool {
        self.is_detoured.load(Ordering::Relaxed)
    }
}

impl Upkeep for RedisStore {
    /// What is in Redis, its own tools tell; here is what this process holds beside it.
    fn info(&self) -> BoxFuture<'_, Result<Info, StoreError>> {
        Box::pin(async move {
            let Info { mut tables, .. } = self.local.info().await?;
            tables.iter_mut().for_each(|table| table.name.push_str(" (in memory)"));
            let away = if self.link.is_up() { "" } else { " (away: memory takes its place)" };
            let place = Some(format!("{}{away}", self.urls.join(", ")));
            Ok(Info { home: "redis".to_owned(), place, octets: None, tables })
        })
    }
}

impl Store for RedisStore {}

#[cfg(test)]
pub(super) mod tests;
