//! Listening sockets: what an administrator can set, and how they are opened or taken over.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::TcpListener;

use crate::facts::Role;
use crate::units::CidrSet;

/// One listener.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name in logs and metrics; the address if none is given.
    pub name: Arc<str>,
    /// What it is for.
    pub role: Role,
    /// Where it listens.
    pub address: SocketAddr,
    /// Certificates and keys, that for whoever asks for no name first; without any STARTTLS is not offered.
    pub tls: Vec<TlsFiles>,
    /// True: every connection must begin with a PROXY header.
    pub proxy_protocol: bool,
    /// Who may send a PROXY header.
    pub proxy_networks: CidrSet,
    /// Who may send XCLIENT.
    pub xclient_networks: CidrSet,
    /// Who may send XFORWARD.
    pub xforward_networks: CidrSet,
    /// Commands that are passed on to the backend as they are.
    pub relayed_commands: RelayedCommands,
    /// Who may say them; besides, whoever has authenticated.
    pub command_networks: CidrSet,
    /// Who may send, by [`Role::Outbound`].
    pub networks: CidrSet,
    /// AUTH is offered without TLS, and nobody needs TLS to send. Clients of this machine never do.
    pub auth_without_tls: bool,
    /// The pool that its mail goes to; `None`: the one for all.
    pub pool: Option<Arc<str>>,
}

/// Commands that are passed on to the backend as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayedCommands {
    /// VRFY; otherwise 252.
    pub vrfy: bool,
    /// EXPN; otherwise 502.
    pub expn: bool,
    /// ETRN (RFC 1985); otherwise 502.
    pub etrn: bool,
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
    /// Sessions of one client (/32, /64) at a time; above that 421 4.7.0.
    pub sessions_per_client: usize,
    /// Sessions of one network (/24, /48) at a time; above that 421 4.7.0.
    pub sessions_per_network: usize,
}

/// Connections that the kernel keeps for us until we accept them; it lowers this to its own bound.
const BACKLOG: i32 = 4096;
/// When a silent connection is asked whether it still lives, and how often.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(120)).with_interval(Duration::from_secs(30)).with_retries(4);

/// Listening sockets that the service manager opened for us (systemd socket activation).
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<std::net::TcpListener>,
}

/// Opens a listening socket at `address`. With `shared_port`, several sockets may listen at one
/// address and the kernel spreads connections over them.
///
/// An IPv6 socket takes IPv6 only: `0.0.0.0:25` and `[::]:25` can be listed side by side, and what a
/// listener is reached by is what its address says.
///
/// # Errors
/// As the system says: address in use, no such address, no permission for a port below 1024.
pub fn bind(address: SocketAddr, shared_port: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if shared_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    into_tokio(socket.into())
}

/// Gives the socket the options that accepted connections inherit from it, which saves the system
/// calls for each of them, and hands it to the runtime.
fn into_tokio(socket: std::net::TcpListener) -> io::Result<TcpListener> {
    let options = SockRef::from(&socket);
    options.set_tcp_nodelay(true)?;
    options.set_tcp_keepalive(&KEEPALIVE)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

impl Inherited {
    /// Takes the sockets over from the environment, once. Changes environment variables, so call it
    /// before the process has threads. What is no TCP socket is left alone.
    pub fn from_env() -> Self {
        let mut passed = ListenFd::from_env();
        let sockets = (0..passed.len()).filter_map(|index| passed.take_tcp_listener(index).ok().flatten()).collect();
        Self { sockets }
    }

    /// Takes sockets that are already open.
    pub fn from_sockets(sockets: Vec<std::net::TcpListener>) -> Self {
        Self { sockets }
    }

    /// The socket that listens at exactly `address`, if there is one.
    ///
    /// # Errors
    /// If the socket cannot be made ours.
    pub fn take(&mut self, address: SocketAddr) -> io::Result<Option<TcpListener>> {
        let Some(index) = self.sockets.iter().position(|socket| socket.local_addr().is_ok_and(|at| at == address))
        else {
            return Ok(None);
        };
        into_tokio(self.sockets.swap_remove(index)).map(Some)
    }

    /// Where the sockets listen that nobody has taken: a mistake in one of two configurations.
    pub fn unused(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    fn loopback() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[tokio::test]
    async fn accepted_connections_inherit_the_socket_options() {
        let listener = bind(loopback(), false).expect("bind");
        let address = listener.local_addr().expect("bound");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (_client, (accepted, _)) = (client.expect("connect"), accepted.expect("accept"));
        assert!(accepted.nodelay().expect("option"));
        let options = SockRef::from(&accepted);
        assert!(options.keepalive().expect("option"));
        assert_eq!(options.tcp_keepalive_time().expect("option"), Duration::from_secs(120));
    }

    #[tokio::test]
    async fn a_port_is_shared_only_on_request() {
        let first = bind(loopback(), true).expect("bind");
        let address = first.local_addr().expect("bound");
        assert!(bind(address, true).is_ok());
        assert!(bind(address, false).is_err(), "without sharing, a second socket is an address in use");
    }

    #[tokio::test]
    async fn both_families_can_use_one_port() {
        let Ok(v6) = bind("[::]:0".parse().expect("address"), false) else {
            return; // a machine without IPv6
        };
        let port = v6.local_addr().expect("bound").port();
        let v4 = bind(SocketAddr::from(([0, 0, 0, 0], port)), false);
        // Another program may hold that very port for IPv4; then there is nothing to see.
        assert!(v4.is_ok() || std::net::TcpListener::bind(("127.0.0.1", port)).is_err());
    }

    #[tokio::test]
    async fn inherited_sockets_are_found_by_their_address() {
        let socket = std::net::TcpListener::bind(loopback()).expect("bind");
        let address = socket.local_addr().expect("bound");
        let mut inherited = Inherited::from_sockets(vec![socket]);
        let elsewhere = SocketAddr::from(([127, 0, 0, 1], address.port().wrapping_add(1)));
        assert!(inherited.take(elsewhere).expect("take").is_none());
        assert_eq!(inherited.unused(), [address]);
        let taken = inherited.take(address).expect("take").expect("there");
        assert_eq!(taken.local_addr().expect("bound"), address);
        assert!(inherited.take(address).expect("take").is_none() && inherited.unused().is_empty());
    }
}
