//! A backend connection of one client's own: the client has authenticated on it, so nobody else may ever have it
//! (DECISIONS 24).
//!
//! The session holds it, and lends it to one transaction after another. It ends with the session. What went wrong on
//! it is not made good by another connection, on which the client would be nobody.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::settings::IdentityMethod;
use super::{BackendError, Identity, Lease, Need, Pool};

/// The place where the connection lies while no transaction has it.
#[derive(Clone)]
pub struct Own {
    state: Arc<Mutex<State>>,
    pool: Arc<Pool>,
}

struct State {
    lease: Option<Lease>,
    /// A transaction may still be open on it.
    unsettled: bool,
}

/// A backend hangs up on who is silent for five minutes (RFC 5321 4.5.3.2.7); it hears something earlier.
const SILENCE: Duration = Duration::from_secs(100);

impl Own {
    /// Keeps `lease`, on which the client has authenticated.
    pub fn new(lease: Lease) -> Self {
        let pool = lease.pool.clone();
        Self { state: Arc::new(Mutex::new(State { lease: Some(lease), unsettled: false })), pool }
    }

    /// The pool that it came from, which may be configured no more.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// True if it lies here and the backend has not ended it. Never waits.
    pub fn is_alive(&self) -> bool {
        self.state().lease.as_mut().is_some_and(|lease| lease.connection().is_quiet())
    }

    /// The connection, for a transaction of `client` that has this need; it comes back by [`Lease::give_back`] or
    /// [`Lease::reset`].
    ///
    /// # Errors
    /// [`BackendError::Closed`] if it is gone, and what else may happen on it; then it is gone.
    pub async fn lease(&self, client: &Identity, need: &Need) -> Result<Lease, BackendError> {
        let (mut lease, unsettled) = {
            let mut state = self.state();
            let lease = state.lease.take().ok_or(BackendError::Closed)?;
            (lease, std::mem::take(&mut state.unsettled))
        };
        if unsettled {
            expect_positive(&mut lease, b"RSET\r\n").await?;
        }
        if lease.pool.settings.identity == IdentityMethod::Xforward {
            // What XFORWARD said holds for one transaction.
            let (member, pool) = (lease.member.clone(), lease.pool.clone());
            member.introduce(&mut lease.connection, &pool.settings, client).await?;
        }
        lease.home = Some(self.clone());
        if need.met_by(lease.extensions()) {
            return Ok(lease);
        }
        let offered = lease.connection.extensions.clone();
        lease.give_back();
        Err(BackendError::CannotCarry { permanent: true, too_big: need.but_for_size().met_by(&offered) })
    }

    pub(super) fn put(&self, lease: Lease, unsettled: bool) {
        if lease.connection.is_healthy() {
            *self.state() = State { lease: Some(lease), unsettled };
        }
    }

    /// When the backend should hear of it, if it lies here.
    pub fn silent_until(&self) -> Option<Instant> {
        self.state().lease.as_ref().map(Lease::silent_until)
    }

    /// Lets the backend hear of it, if it lies here.
    pub async fn keep_alive(&self) {
        let (lease, unsettled) = {
            let mut state = self.state();
            (state.lease.take(), state.unsettled)
        };
        let Some(mut lease) = lease else { return };
        if lease.keep_alive().await.is_ok() {
            self.put(lease, unsettled);
        }
    }

    /// Says QUIT.
    pub fn close(&self) {
        if let Some(lease) = self.state().lease.take() {
            lease.quit();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// When the backend should hear of it again, so that it does not hang up.
    pub fn silent_until(&self) -> Instant {
        self.connection.spoken_to + SILENCE
    }

    /// Lets the backend hear of it, in the middle of a transaction if need be.
    ///
    /// # Errors
    /// It is gone, or in no state to be used.
    pub async fn keep_alive(&mut self) -> Result<(), BackendError> {
        expect_positive(self, b"NOOP\r\n").await
    }
}

/// Says something that is answered with 2xx on every connection that is good.
async fn expect_positive(lease: &mut Lease, command: &[u8]) -> Result<(), BackendError> {
    let limit = lease.pool.settings.timeouts.command;
    lease.connection.send(command, limit).await?;
    let reply = lease.connection.reply(limit).await?;
    if reply.is_positive() { Ok(()) } else { Err(BackendError::NotReady(reply)) }
}
