//! From an accepted connection to a session: the gate, the PROXY header, and a task of its own.
//!
//! Failure: a session that panics ends alone, and is counted. A connection that may not have a
//! session is told so in the session's words, if it listens; telling is bounded in number and time.

use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error};

use super::listeners::{Current, Listener};
use super::metrics::Metrics;
use crate::net::metrics::HeaderOutcome;
use crate::net::proxy_protocol::{Header, read_header};
use crate::net::{self, BoxIo, Gate, Permit, Refused};
use crate::session::Incoming;
use crate::units::canonical;

/// Refusals being told at a time; beyond that the connection is just closed.
const REFUSALS: usize = 256;
/// How often, and how far apart, we look for a place again before we refuse.
const SECOND_LOOKS: u32 = 5;
const SECOND_LOOK: Duration = Duration::from_millis(50);
/// A refusal is one line into an empty socket buffer; whoever does not take it is let go.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(2);

/// What happens to connections: sessions, or a script in tests.
pub trait Dialogue: Send + Sync + 'static {
    /// Holds one session to its end. When `drain` is cancelled, the transaction under way is the last.
    fn serve(
        self: Arc<Self>,
        incoming: Incoming,
        drain: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static;

    /// Tells a connection that it gets no session, and why.
    fn refuse(self: Arc<Self>, io: BoxIo, why: Refused) -> impl Future<Output = ()> + Send;

    /// How long a PROXY header may take.
    fn header_patience(&self) -> Duration;
}

/// Stages of stopping, each for all sessions at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop {
    /// No more connections.
    pub(super) accepting: CancellationToken,
    /// No more transactions.
    pub(super) drain: CancellationToken,
    /// 421, even in a transaction.
    pub(super) cut: CancellationToken,
    /// Closed without a word.
    pub(super) kill: CancellationToken,
}

/// Turns connections into sessions.
pub(super) struct Intake<D> {
    pub(super) dialogue: Arc<D>,
    pub(super) gate: Arc<Gate>,
    pub(super) sessions: TaskTracker,
    pub(super) stop: Stop,
    pub(super) net_metrics: net::Metrics,
    pub(super) metrics: Metrics,
    refusals: Arc<Semaphore>,
}

impl<D: Dialogue> Intake<D> {
    pub(super) fn new(dialogue: Arc<D>, gate: Arc<Gate>, net_metrics: net::Metrics, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            dialogue,
            gate,
            sessions: TaskTracker::new(),
            stop: Stop::default(),
            net_metrics,
            metrics,
            refusals: Arc::new(Semaphore::new(REFUSALS)),
        })
    }

    /// Takes one connection. Never waits.
    pub(super) fn take(self: &Arc<Self>, listener: &Listener, stream: TcpStream, peer: SocketAddr) {
        let current = listener.current();
        // Where the socket has an address of its own, it is the connection's: that saves a system call.
        let local = match listener.bound.ip().is_unspecified() {
            true => stream.local_addr().unwrap_or(listener.bound),
            false => listener.bound,
        };
        self.take_io(current, Box::new(stream), canonical_socket(peer), canonical_socket(local));
    }

    /// [`Intake::take`], whatever carries the connection.
    pub(super) fn take_io(self: &Arc<Self>, current: Arc<Current>, io: BoxIo, peer: SocketAddr, local: SocketAddr) {
        let settings = &current.settings;
        if settings.proxy_protocol && !settings.proxy_networks.contains(peer.ip()) {
            self.net_metrics.proxy_header(HeaderOutcome::Untrusted);
            debug!(listener = %settings.name, %peer, "not allowed to send a PROXY header: closed");
            return;
        }
        let permit = match self.gate.admit() {
            Ok(permit) => permit,
            Err(why) => return self.refuse(self.incoming(&current, io, peer, local), why),
        };
        if current.settings.proxy_protocol {
            let intake = Arc::clone(self);
            self.spawn(Box::pin(async move { intake.begin_behind_header(permit, &current, io, peer, local).await }));
        } else {
            let incoming = self.incoming(&current, io, peer, local);
            if let Some((permit, incoming)) = self.identify(permit, incoming) {
                self.spawn(self.serve(permit, incoming));
            }
        }
    }

    /// Runs `session` until it ends, is killed, or panics. It comes boxed, because a future that is handed on
    /// by value takes its place anew at every hand, and a session that waits should be small.
    fn spawn(self: &Arc<Self>, session: BoxFuture<'static, ()>) {
        let intake = Arc::clone(self);
        let mut session = AssertUnwindSafe(session).catch_unwind();
        self.sessions.spawn(async move {
            let ended = intake.stop.kill.run_until_cancelled(&mut session).await;
            if let Some(Err(_panic)) = ended {
                // The panic hook has told where.
                intake.metrics.panics.inc();
                error!("a session ended by a mistake in this program");
            }
        });
    }

    async fn begin_behind_header(
        self: Arc<Self>,
        permit: Permit,
        current: &Current,
        mut io: BoxIo,
        balancer: SocketAddr,
        local: SocketAddr,
    ) {
        let deadline = Instant::now() + self.dialogue.header_patience();
        let read = tokio::select! {
            read = read_header(&mut io, deadline) => read,
            () = self.stop.drain.cancelled() => return,
        };
        match read {
            Ok((Header::Client { client, local }, early)) => {
                self.net_metrics.proxy_header(HeaderOutcome::Client);
                let incoming = Incoming { early, ..self.incoming(current, io, client, local) };
                if let Some((permit, incoming)) = self.identify(permit, incoming) {
                    self.serve(permit, incoming).await;
                }
            }
            Ok((Header::Local, early)) => {
                self.net_metrics.proxy_header(HeaderOutcome::Local);
                let incoming = self.incoming(current, io, balancer, local);
                // Not counted per client: the balancer is no client, and must not be locked out.
                self.serve(permit, Incoming { early, health_check: true, ..incoming }).await;
            }
            Err(why) => {
                self.net_metrics.proxy_header(HeaderOutcome::Failed(why.label()));
                debug!(listener = %current.settings.name, %balancer, %why, "closed");
            }
        }
    }

    /// Counts the client; refuses it if it has sessions enough.
    fn identify(self: &Arc<Self>, mut permit: Permit, incoming: Incoming) -> Option<(Permit, Incoming)> {
        match permit.identify(incoming.peer.ip()) {
            Ok(()) => Some((permit, incoming)),
            Err(why) => {
                // The place is for somebody else, while this one is told.
                drop(permit);
                self.refuse(incoming, why);
                None
            }
        }
    }

    fn serve(&self, permit: Permit, incoming: Incoming) -> BoxFuture<'static, ()> {
        let session = Arc::clone(&self.dialogue).serve(incoming, self.stop.drain.clone());
        Box::pin(session.map(move |()| drop(permit)))
    }

    /// Tells `incoming` that it has no place, unless one becomes free in a moment: a client that closed its
    /// sessions and comes again is often faster than we are at noticing that it closed them.
    fn refuse(self: &Arc<Self>, incoming: Incoming, why: Refused) {
        let Ok(place) = Arc::clone(&self.refusals).try_acquire_owned() else {
            self.net_metrics.refused(why);
            return;
        };
        let intake = Arc::clone(self);
        self.spawn(Box::pin(async move {
            if !incoming.listener.proxy_protocol || why != Refused::Full {
                for _ in 0..SECOND_LOOKS {
                    sleep(SECOND_LOOK).await;
                    if let Some(permit) = intake.admit(incoming.peer) {
                        drop(place);
                        return intake.serve(permit, incoming).await;
                    }
                }
            }
            intake.net_metrics.refused(why);
            debug!(client = %incoming.peer, limit = why.label(), "refused");
            // Late or told, the connection is closed.
            let _ = timeout(REFUSAL_PATIENCE, Arc::clone(&intake.dialogue).refuse(incoming.io, why)).await;
            drop(place);
        }));
    }

    fn admit(&self, client: SocketAddr) -> Option<Permit> {
        let mut permit = self.gate.admit().ok()?;
        permit.identify(client.ip()).ok().map(|()| permit)
    }

    fn incoming(&self, current: &Current, io: BoxIo, peer: SocketAddr, local: SocketAddr) -> Incoming {
        Incoming {
            io,
            peer,
            local,
            listener: Arc::clone(&current.settings),
            tls: current.tls.clone(),
            early: Vec::new(),
            health_check: false,
            cut: self.stop.cut.clone(),
        }
    }
}

fn canonical_socket(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(canonical(address.ip()), address.port())
}
