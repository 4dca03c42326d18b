//! Which of the configured DNS servers is asked, and what its reply says about itself.
//!
//! Promises: servers are asked in the order in which they are configured, those that are put aside
//! last; who fails is followed by the next; a question ends in bounded time; nobody waits for a
//! server that is put aside while another is up: such a server gets a copy of a question now and then.
//!
//! Failure: if all are put aside they are all asked at once, for one attempt; the first answer counts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, timeout_at};

use super::health::{Change, Health};
use super::metrics::{Metrics, ServerMetrics};
use super::question::{Network, Question, Response};
use super::{LookupError, Settings};

/// A [`Network`] of several servers, each a [`Network`] that makes one attempt.
pub struct Servers<N> {
    servers: Vec<Arc<Server<N>>>,
    timeout: Duration,
    attempts: usize,
}

/// One server.
struct Server<N> {
    network: N,
    label: String,
    health: Mutex<Health>,
    metrics: ServerMetrics,
}

/// Room for the last attempt to end by itself before it is cut off.
const GRACE: Duration = Duration::from_millis(100);

impl<N: Network> Servers<N> {
    /// `servers` with their labels for log and metrics, the preferred one first.
    pub fn new(servers: impl IntoIterator<Item = (String, N)>, settings: &Settings, metrics: &Metrics) -> Self {
        let server = |(label, network): (String, N)| {
            let metrics = metrics.server(&label);
            Arc::new(Server { network, label, health: Mutex::default(), metrics })
        };
        Self {
            servers: servers.into_iter().map(server).collect(),
            timeout: settings.timeout,
            attempts: settings.attempts.max(1),
        }
    }

    /// In `attempts` attempts, but never later than `by`: first one after the other, then all that
    /// said nothing at once.
    async fn try_in_turn(
        &self,
        up: Vec<&Arc<Server<N>>>,
        mut unheard: Vec<&Arc<Server<N>>>,
        question: &Question,
        by: Instant,
    ) -> Result<Response, LookupError> {
        let (mut silences, mut error) = (0, None);
        for server in up {
            match server.ask(question, self.timeout, by).await {
                Err(why) if !is_silence(why) => error = worse(error, why),
                Err(why) => {
                    error = worse(error, why);
                    silences += 1;
                    unheard.push(server);
                }
                answer => return answer,
            }
            if !worth_a_try(by) {
                break;
            }
        }
        // Who says SERVFAIL has looked: to ask again, or to wait for the silent, would bring nothing.
        while error.is_none_or(is_silence) && silences < self.attempts && worth_a_try(by) {
            silences += 1;
            match self.race(&unheard, question, by).await {
                Err(why) => error = worse(error, why),
                answer => return answer,
            }
        }
        Err(error.unwrap_or(LookupError::Unreachable))
    }

    /// Asks all of them at once; the first answer counts.
    async fn race(
        &self,
        servers: &[&Arc<Server<N>>],
        question: &Question,
        by: Instant,
    ) -> Result<Response, LookupError> {
        let by = by.min(Instant::now() + self.timeout + GRACE);
        let mut racing: FuturesUnordered<_> =
            servers.iter().map(|server| server.ask(question, self.timeout, by)).collect();
        let mut error = None;
        while let Some(reply) = racing.next().await {
            match reply {
                Err(why) => error = worse(error, why),
                answer => return answer,
            }
        }
        Err(error.unwrap_or(LookupError::Unreachable))
    }
}

impl<N: Network> Network for Servers<N> {
    async fn ask(&self, question: &Question) -> Result<Response, LookupError> {
        let now = Instant::now();
        let attempts = u32::try_from(self.attempts).unwrap_or(u32::MAX);
        let by = now + self.timeout.saturating_mul(attempts).saturating_add(GRACE);
        let (up, aside): (Vec<_>, Vec<_>) = self.servers.iter().partition(|server| server.health().is_up());
        if up.is_empty() {
            return self.race(&aside, question, by).await;
        }
        for server in &aside {
            server.probe_if_due(question, self.timeout, now);
        }
        self.try_in_turn(up, aside, question, by).await
    }

    fn is_down(&self) -> bool {
        self.servers.iter().all(|server| !server.health().is_up())
    }
}

impl<N: Network> Server<N> {
    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One attempt, which should take `timeout` at most and is cut off at `by`.
    async fn ask(&self, question: &Question, timeout: Duration, by: Instant) -> Result<Response, LookupError> {
        let begun = Instant::now();
        let had_its_time = begun + timeout <= by;
        let reply = timeout_at(by, self.network.ask(question)).await.unwrap_or(Err(LookupError::Timeout));
        self.metrics.count(&reply);
        match &reply {
            Ok(_) => {
                let change = self.health().answered(Instant::now());
                self.report(change, "");
            }
            Err(LookupError::Timeout) if !had_its_time => {}
            Err(why @ (LookupError::Timeout | LookupError::Unreachable | LookupError::ServerFailure)) => {
                let change = self.health().failed(is_silence(*why), begun, Instant::now());
                self.report(change, &why.to_string());
            }
            // Nothing was sent.
            Err(LookupError::NotAName | LookupError::Overloaded) => {}
        }
        reply
    }

    /// Copies the question to a server that is aside, if it is time to see how it is. Nobody waits.
    fn probe_if_due(self: &Arc<Self>, question: &Question, timeout: Duration, now: Instant) {
        if !self.health().claim_probe(now) {
            return;
        }
        let (server, question) = (self.clone(), question.clone());
        tokio::spawn(async move {
            // What it answers is for its health alone.
            let _ = server.ask(&question, timeout, now + timeout + GRACE).await;
        });
    }

    fn report(&self, change: Option<Change>, why: &str) {
        match change {
            Some(Change::Up) => {
                self.metrics.up.set(1);
                tracing::info!(server = %self.label, "dns.server_up");
            }
            Some(Change::Down) => {
                self.metrics.up.set(0);
                tracing::warn!(server = %self.label, error = %why, "dns.server_down");
            }
            None => {}
        }
    }
}

/// True if more is left than what is there for the last attempt to end in.
fn worth_a_try(by: Instant) -> bool {
    Instant::now() + GRACE < by
}

/// True if the server did not say anything that could be read.
fn is_silence(why: LookupError) -> bool {
    matches!(why, LookupError::Timeout | LookupError::Unreachable)
}

/// Of two errors the one that tells more: what a server said before what none said.
fn worse(known: Option<LookupError>, why: LookupError) -> Option<LookupError> {
    known.filter(|known| !is_silence(*known)).or(Some(why))
}

#[cfg(test)]
mod tests;
