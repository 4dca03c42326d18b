//! The accept loop: it ends when it is told to, and for no other reason.
//!
//! Failure: running out of file descriptors or memory is waited out with growing pauses, counted and
//! logged; a client that went away between SYN and accept costs one turn of the loop.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::metrics::Metrics;

/// Where connections come from: a listening socket, or a script in tests.
pub trait Accept: Send + Sync {
    /// One connection.
    type Stream: Send;

    /// Waits for the next connection.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;
}

/// Kinds of failures of accept(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptTrouble {
    /// The client has gone already, or its network has: nothing to wait for.
    Connection,
    /// File descriptors or memory are used up; also anything that we do not know.
    Resources,
}

/// First pause after a failure; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// Longest pause: what a client notices at most once descriptors are free again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Accept for TcpListener {
    type Stream = TcpStream;

    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        TcpListener::accept(self)
    }
}

/// Hands every connection to `take` until `stop` is cancelled. `take` must not block.
pub async fn run<A: Accept>(
    source: &A,
    listener: &str,
    metrics: &Metrics,
    stop: &CancellationToken,
    mut take: impl FnMut(A::Stream, SocketAddr),
) {
    let mut pause = Duration::ZERO;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = source.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if !pause.is_zero() {
                    info!(listener, "accepting again");
                    pause = Duration::ZERO;
                }
                metrics.accepted(listener);
                take(stream, peer);
            }
            Err(error) => {
                let trouble = AcceptTrouble::of(&error);
                metrics.accept_failed(trouble);
                if trouble == AcceptTrouble::Connection {
                    continue;
                }
                if pause.is_zero() {
                    warn!(listener, %error, "cannot accept connections");
                }
                pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }
}

impl AcceptTrouble {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Connection, Self::Resources];

    /// The word for logs and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Resources => "resources",
        }
    }

    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::Interrupted => Self::Connection,
            _ => Self::Resources,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use prometheus::Registry;
    use tokio::time::Instant;

    use super::*;

    /// Number of EMFILE on Linux.
    const EMFILE: i32 = 24;

    /// Plays a list of answers, then waits for ever.
    struct Script(Mutex<VecDeque<io::Result<()>>>);

    impl Accept for Script {
        type Stream = ();

        async fn accept(&self) -> io::Result<((), SocketAddr)> {
            let next = self.0.lock().expect("no panic").pop_front();
            match next {
                Some(answer) => answer.map(|()| ((), SocketAddr::from(([192, 0, 2, 1], 4000)))),
                None => std::future::pending().await,
            }
        }
    }

    fn script(answers: Vec<io::Result<()>>) -> (Script, Metrics, Registry) {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).expect("fresh registry");
        (Script(Mutex::new(answers.into())), metrics, registry)
    }

    fn errors(registry: &Registry, kind: &str) -> u64 {
        let families = registry.gather();
        let family =
            families.iter().find(|family| family.name() == "gatepost_accept_errors_total").expect("registered");
        let metric = family.get_metric().iter().find(|metric| metric.get_label()[0].value() == kind);
        metric.expect("known kind").get_counter().get_value() as u64
    }

    #[tokio::test(start_paused = true)]
    async fn exhausted_descriptors_are_waited_out_with_growing_pauses() {
        let mut answers: Vec<_> = (0..10).map(|_| Err(io::Error::from_raw_os_error(EMFILE))).collect();
        answers.push(Ok(()));
        let (source, metrics, registry) = script(answers);
        let (stop, began, mut taken) = (CancellationToken::new(), Instant::now(), None);
        run(&source, "edge", &metrics, &stop.clone(), |(), _| {
            taken = Some(began.elapsed());
            stop.cancel();
        })
        .await;
        // 10, 20, ... 640 ms, then 1 s three times.
        assert_eq!(taken, Some(Duration::from_millis(1270 + 3000)));
        assert_eq!(errors(&registry, "resources"), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_left_costs_no_pause() {
        let gone = || Err(io::Error::from(io::ErrorKind::ConnectionAborted));
        let (source, metrics, registry) = script(vec![gone(), gone(), Ok(())]);
        let (stop, began, mut taken) = (CancellationToken::new(), Instant::now(), None);
        run(&source, "edge", &metrics, &stop.clone(), |(), _| {
            taken = Some(began.elapsed());
            stop.cancel();
        })
        .await;
        assert_eq!(taken, Some(Duration::ZERO));
        assert_eq!(errors(&registry, "connection"), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn it_stops_at_once_when_told_even_in_a_pause() {
        let (source, metrics, _registry) = script(vec![Err(io::Error::from_raw_os_error(EMFILE))]);
        let stop = CancellationToken::new();
        let began = Instant::now();
        let stopper = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            stop.cancel();
        };
        tokio::join!(run(&source, "edge", &metrics, &stop, |(), _| {}), stopper);
        assert_eq!(began.elapsed(), Duration::from_millis(5));
    }
}
