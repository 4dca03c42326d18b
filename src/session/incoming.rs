//! A connection as the listener hands it over.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::net::tls::TlsAcceptorSource;
use crate::net::{BoxIo, listener};

/// A connection that has passed the gate and, where one is demanded, its PROXY header.
pub struct Incoming {
    /// The connection.
    pub io: BoxIo,
    /// The client, as the PROXY header tells; canonical.
    pub peer: SocketAddr,
    /// The address that it connected to; canonical.
    pub local: SocketAddr,
    /// The listener that it came to, as configured when it came.
    pub listener: Arc<listener::Settings>,
    /// The certificate, if STARTTLS is to be offered.
    pub tls: Option<Arc<TlsAcceptorSource>>,
    /// What the client said before anybody greeted it: came in one piece with the PROXY header.
    pub early: Vec<u8>,
    /// True: a balancer asks whether we live (PROXY LOCAL or UNKNOWN); `peer` is the balancer, and
    /// gets a dialogue but no transaction, so that its address opens no relay.
    pub health_check: bool,
    /// Cancelled when draining has taken too long: 421 now, even in a transaction.
    pub cut: CancellationToken,
}
