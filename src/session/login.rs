//! AUTH (RFC 4954): the exchange is between the client and the backend, on a connection of its own; we pass it on,
//! and count how often it fails.
//!
//! Promises: what either side says reaches the other as it came; nothing of it is logged or kept but the mechanism and
//! the name. A client that has authenticated keeps the connection on which it did, and its mail goes over no other.
//!
//! Failure: a backend that cannot be asked, or answers nonsense, is 454; the client may try again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use zeroize::{Zeroize, Zeroizing};

use super::driver::{End, Session};
use super::offer::Access;
use super::refusal;
use crate::backend::exchanges::whole_client;
use crate::backend::{BackendError, Lease, Own};
use crate::checks::{Deed, Doer, Restraint};
use crate::facts::Login;
use crate::smtp::sasl::{self, Exchange, Response};
use crate::smtp::{Line, LineEnd, Reply, next_line};

/// How long a client may think about a challenge. A backend connection waits for it; programs need no time.
const PATIENCE: Duration = Duration::from_secs(20);

/// How an exchange ended.
enum Ended {
    /// The backend has believed it, on this connection.
    Accepted(Lease, Reply),
    /// The backend has not.
    Refused(Reply),
    /// The client gave up, and the backend has acknowledged that.
    Cancelled(Reply),
    /// We ended it.
    Broken(Reply),
    /// It failed too often before.
    Restrained(Reply),
    /// There is no backend to ask.
    Unavailable(BackendError),
    /// Too many do the same at this moment.
    Busy,
}

impl Ended {
    fn label(&self) -> &'static str {
        match self {
            Self::Accepted(..) => "ok",
            Self::Refused(_) => "refused",
            Self::Cancelled(_) => "cancelled",
            Self::Broken(_) => "broken",
            Self::Restrained(_) => "restrained",
            Self::Unavailable(_) => "unavailable",
            Self::Busy => "busy",
        }
    }

    /// True if it is the client's doing that nothing came of it.
    fn is_error(&self) -> bool {
        match self {
            Self::Accepted(..) | Self::Unavailable(_) | Self::Busy => false,
            Self::Refused(reply) => reply.class() == 5,
            Self::Cancelled(_) | Self::Broken(_) | Self::Restrained(_) => true,
        }
    }
}

impl Session {
    /// What this client must do before it may send.
    pub(super) fn access(&self) -> Access {
        let listener = &self.listener;
        let in_clear = || listener.auth_without_tls || self.peer.ip().is_loopback();
        match () {
            () if listener.role.wants_auth() => {
                if self.machine.is_encrypted() || in_clear() {
                    Access::Auth
                } else {
                    Access::Tls
                }
            }
            () if listener.role.is_outgoing() && !listener.networks.contains(self.peer.ip()) => Access::Denied,
            () => Access::Open,
        }
    }

    /// Octets of the next command line.
    pub(super) fn line_limit(&self, rest: &[u8], usual: usize) -> usize {
        let is_auth = || rest.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH"));
        if self.listener.role.wants_auth() && is_auth() { sasl::LINE_LIMIT } else { usual }
    }

    /// Passes one exchange on.
    pub(super) async fn auth(&mut self, mechanism: &str, initial: Option<Response>) -> Result<(), End> {
        if self.auth_failures >= self.settings.limits.auth_failures {
            self.say(&refusal::TOO_MANY_AUTH_FAILURES);
            return Err(End::Refused);
        }
        self.abandon();
        self.forget_input();
        let mut exchange = Exchange::new(mechanism);
        let ended = match self.exchange(&mut exchange, initial).await {
            Ok(ended) => ended,
            Err(end) => {
                if matches!(end, End::Closed | End::TimedOut) {
                    self.shared.metrics.auth.with_label_values(&["abandoned"]).inc();
                    self.assessment.tell(Deed::FailedAuth, self.doer(exchange.user()));
                }
                return Err(end);
            }
        };
        self.shared.metrics.auth.with_label_values(&[ended.label()]).inc();
        self.conclude_auth(&exchange, ended).await
    }

    async fn exchange(&mut self, exchange: &mut Exchange, initial: Option<Response>) -> Result<Ended, End> {
        if let Some(response) = &initial
            && let Err(why) = exchange.hear(response)
        {
            return Ok(Ended::Broken(refusal::unheard(why)));
        }
        let restraint = self.restraint(exchange.user()).await;
        if let Some(why) = restraint.refuse {
            return Ok(Ended::Restrained(refusal::too_many_auth_failures(&why)));
        }
        self.hold(restraint.slow).await?;
        let Some(pool) = self.pool() else {
            self.lost_pool();
            return Ok(Ended::Unavailable(BackendError::Down));
        };
        let limits = &self.settings.limits;
        let (all, per_client) = (limits.auth_exchanges, limits.auth_exchanges_per_client);
        let Ok(in_flight) = pool.begin_exchange(self.peer.ip(), all, per_client).await else {
            return Ok(Ended::Busy);
        };
        let mut slow = false;
        let mut lease = match pool.lease_own(&self.identity_between()).await {
            Ok(lease) => lease,
            Err(why) => return Ok(Ended::Unavailable(why)),
        };
        let mut line = Zeroizing::new(Vec::with_capacity(sasl::LINE_LIMIT));
        line.extend_from_slice(b"AUTH ");
        line.extend_from_slice(exchange.mechanism().as_bytes());
        if let Some(response) = &initial {
            line.push(b' ');
            line.extend_from_slice(response.octets());
        }
        loop {
            line.extend_from_slice(b"\r\n");
            let reply = match say(&mut lease, &line).await {
                Ok(reply) => reply,
                Err(why) => return Ok(Ended::Unavailable(why)),
            };
            let was_cancelled = line.as_slice() == b"*\r\n";
            match reply.code() {
                334 if !was_cancelled => {
                    exchange.asked(reply.lines().next().unwrap_or_default());
                    self.say(&reply);
                }
                235 if !was_cancelled => {
                    drop(in_flight);
                    self.hold(slow).await?;
                    return Ok(Ended::Accepted(lease, reply));
                }
                400..600 => {
                    // Nobody waits on purpose with a connection that others could use.
                    lease.quit();
                    drop(in_flight);
                    self.hold(slow).await?;
                    return Ok(if was_cancelled { Ended::Cancelled(reply) } else { Ended::Refused(reply) });
                }
                _ => return Ok(Ended::Unavailable(BackendError::Unsolicited)),
            }
            let response = match self.response().await? {
                Ok(response) => response,
                Err(reply) => return Ok(Ended::Broken(reply)),
            };
            match exchange.hear(&response) {
                Err(why) => return Ok(Ended::Broken(refusal::unheard(why))),
                // Now it is known who it wants to be.
                Ok(true) => match self.restraint(exchange.user()).await {
                    Restraint { refuse: Some(why), .. } => {
                        return Ok(Ended::Restrained(refusal::too_many_auth_failures(&why)));
                    }
                    restraint => slow |= restraint.slow,
                },
                Ok(false) => {}
            }
            line.clear();
            line.extend_from_slice(response.octets());
        }
    }

    /// Waits for the client's answer to a challenge.
    async fn response(&mut self) -> Result<Result<Response, Reply>, End> {
        self.flush().await?;
        let since = Instant::now();
        let limit = self.settings.timeouts.command.min(PATIENCE);
        let mut too_long = false;
        loop {
            let rest = self.input.get(self.at..).unwrap_or_default();
            match next_line(rest, sasl::LINE_LIMIT) {
                Line::NeedMore => {
                    self.input.drain(..self.at);
                    self.at = 0;
                    self.read_more(since, limit).await?;
                }
                Line::TooLong { consumed, complete } => {
                    self.at += consumed;
                    too_long = true;
                    if complete {
                        return Ok(Err(refusal::AUTH_LINE_TOO_LONG));
                    }
                }
                Line::Complete { consumed, .. } if too_long => {
                    self.at += consumed;
                    return Ok(Err(refusal::AUTH_LINE_TOO_LONG));
                }
                Line::Complete { text, consumed, end } => {
                    // What is no line to us could be two to the backend.
                    let fits = end == LineEnd::CrLf && !text.iter().any(u8::is_ascii_control);
                    let response = if fits { Ok(Response::new(text)) } else { Err(refusal::AUTH_SYNTAX) };
                    self.at += consumed;
                    self.forget_input();
                    return Ok(response);
                }
            }
        }
    }

    /// Overwrites what has been read and dealt with.
    fn forget_input(&mut self) {
        self.input.iter_mut().take(self.at).for_each(Zeroize::zeroize);
    }

    /// What is done to the client if it or `user` has failed too often lately.
    async fn restraint(&mut self, user: Option<&str>) -> Restraint {
        let by = Doer { client: &self.client, helo: self.helo.as_deref(), mail: None, user };
        let restraint = self.assessment.restrains(by).await;
        // Behind one address there may be an office, and in it one telephone with an old password.
        if restraint.refuse.is_some() && self.shared.logins.contains(&whole_client(self.peer.ip())) {
            return Restraint { slow: true, refuse: None };
        }
        restraint
    }

    async fn hold(&mut self, slow: bool) -> Result<(), End> {
        if slow { self.slow_down(self.settings.limits.tarpit).await } else { Ok(()) }
    }

    async fn conclude_auth(&mut self, exchange: &Exchange, ended: Ended) -> Result<(), End> {
        let user = exchange.user().unwrap_or("");
        let (client, listener, mechanism) = (self.peer.ip(), self.listener.name.clone(), exchange.mechanism());
        let is_error = ended.is_error();
        let reply = match ended {
            Ended::Accepted(lease, reply) => {
                tracing::info!(%client, %listener, mechanism, user, member = %lease.member(), "session.authenticated");
                self.shared.logins.insert(whole_client(client));
                self.own = Some(Own::new(lease));
                self.login =
                    Some(Arc::new(Login { mechanism: mechanism.into(), user: exchange.user().map(Into::into) }));
                self.machine.authenticated();
                reply
            }
            Ended::Refused(reply) => {
                tracing::info!(%client, %listener, mechanism, user, reply = %reply.to_log(), "session.auth_failed");
                if is_about_credentials(&reply) {
                    self.auth_failures += 1;
                    self.assessment.tell(Deed::FailedAuth, self.doer(exchange.user()));
                    let delay = self.settings.limits.auth_delay;
                    self.slow_down(delay.saturating_mul(self.auth_failures)).await?;
                }
                reply
            }
            Ended::Restrained(reply) => {
                tracing::info!(%client, %listener, mechanism, user, reply = %reply.to_log(), "session.auth_restrained");
                self.say(&reply);
                return Err(End::Refused);
            }
            Ended::Unavailable(why) => {
                tracing::warn!(%client, %listener, mechanism, error = %why, "session.auth_unavailable");
                refusal::AUTH_UNAVAILABLE
            }
            Ended::Busy => {
                tracing::info!(%client, %listener, mechanism, "session.auth_busy");
                refusal::AUTH_UNAVAILABLE
            }
            Ended::Cancelled(reply) | Ended::Broken(reply) => {
                tracing::info!(%client, %listener, mechanism, user, reply = %reply.to_log(), "session.auth_failed");
                // Otherwise a client could begin exchanges as often as it likes and never be found wrong.
                self.assessment.tell(Deed::FailedAuth, self.doer(exchange.user()));
                reply
            }
        };
        if is_error && self.machine.auth_failed(&self.settings.limits) {
            self.say(&refusal::TOO_MANY_ERRORS);
            return Err(End::Refused);
        }
        self.say(&reply);
        if reply.code() == 421 { Err(End::Refused) } else { Ok(()) }
    }

    fn doer<'a>(&'a self, user: Option<&'a str>) -> Doer<'a> {
        Doer { client: &self.client, helo: self.helo.as_deref(), mail: None, user }
    }

    /// Lets the client wait for its reply, if not too many wait already.
    async fn slow_down(&mut self, delay: Duration) -> Result<(), End> {
        let shared = self.shared.clone();
        let Some(_stuck) = shared.tarpit.enter(self.settings.limits.tarpit_sessions) else { return Ok(()) };
        let until = (Instant::now() + delay).min(self.ends_by());
        let cut = self.cut.clone();
        cut.run_until_cancelled(sleep_until(until)).await.ok_or(End::Drained)
    }

    /// Forgets as whom the client has authenticated.
    pub(super) fn log_out(&mut self) {
        self.login = None;
        if let Some(own) = self.own.take() {
            own.close();
        }
    }
}

/// One line of the exchange, and what the backend says to it.
async fn say(lease: &mut Lease, line: &[u8]) -> Result<Reply, BackendError> {
    let timeouts = lease.pool().settings().timeouts.clone();
    let connection = lease.connection();
    connection.send(line, timeouts.write).await?;
    connection.reply(timeouts.command).await
}

/// True if a refusal says that the client is not who it said, and not that it asked in a wrong way or at a wrong time.
fn is_about_credentials(reply: &Reply) -> bool {
    reply.class() == 5 && !matches!(reply.code(), 500..=504 | 530 | 534 | 538)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wrong_credentials_count_as_a_failure() {
        for (code, counts) in
            [(535, true), (550, true), (554, true), (501, false), (504, false), (534, false), (454, false)]
        {
            assert_eq!(is_about_credentials(&Reply::new(code, None, "no")), counts, "{code}");
        }
    }
}
