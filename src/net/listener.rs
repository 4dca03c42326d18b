//! Listening sockets: bind, accept, and bounds on sessions per client network.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::units::CidrSet;

/// One listener.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name in logs and metrics; the address if none is given.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Certificate and key; without them STARTTLS is not offered.
    pub tls: Option<TlsFiles>,
    /// True: every connection must begin with a PROXY header.
    pub proxy_protocol: bool,
    /// Who may send a PROXY header.
    pub proxy_networks: CidrSet,
    /// Who may send XCLIENT.
    pub xclient_networks: CidrSet,
}

/// PEM files of one certificate chain and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Bounds on accepting.
#[derive(Clone, Debug)]
pub struct AcceptLimits {
    /// Sessions at a time; above that 421 4.3.2.
    pub sessions: usize,
    /// Sessions of one client network (/32, /64) at a time; above that 421 4.7.0.
    pub sessions_per_client: usize,
}
