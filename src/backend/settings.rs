//! What an administrator can set about backends.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One pool of backends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The members; tried in order of weight and health.
    pub members: Vec<MemberSettings>,
    /// What they speak.
    pub protocol: Protocol,
    /// How the client's identity goes on.
    pub identity: IdentityMethod,
    /// The name that we say in EHLO.
    pub helo: Arc<str>,
    /// Waits for the backend.
    pub timeouts: Timeouts,
    /// Reuse of connections.
    pub reuse: Reuse,
    /// Between two health checks of an idle member.
    pub probe_interval: Duration,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberSettings {
    /// `host:port` as written; a name is resolved at each connection attempt.
    pub address: Address,
    /// Connections at a time.
    pub connections: usize,
    /// Its share of the mail, beside the weights of the others.
    pub weight: u32,
    /// Mail comes to it only while no other member is up and free.
    pub backup: bool,
    /// TLS towards it.
    pub tls: TlsMode,
    /// TLS from the first octet, without STARTTLS (RFC 8314).
    pub implicit_tls: bool,
    /// Name in its certificate, if not the host of `address`.
    pub tls_name: Option<String>,
    /// PEM file of roots to trust instead of the system's.
    pub tls_ca: Option<PathBuf>,
}

impl MemberSettings {
    /// True if what is said to it never leaves this machine.
    pub fn is_loopback(&self) -> bool {
        match &self.address {
            Address::Socket(addr) => addr.ip().is_loopback(),
            Address::Host(host, _) => host.eq_ignore_ascii_case("localhost"),
            Address::Unix(_) => true,
        }
    }

    /// True if it is reached as `other` is: what one offers the other offers.
    pub fn is_same_server(&self, other: &Self) -> bool {
        let way =
            |one: &Self| (one.address.clone(), one.tls, one.implicit_tls, one.tls_name.clone(), one.tls_ca.clone());
        way(self) == way(other)
    }

    /// The name that its certificate must be for.
    pub fn server_name(&self) -> String {
        match (&self.tls_name, &self.address) {
            (Some(name), _) => name.clone(),
            (None, Address::Host(host, _)) => host.clone(),
            (None, Address::Socket(addr)) => addr.ip().to_string(),
            (None, Address::Unix(_)) => "localhost".to_owned(),
        }
    }
}

/// Where a member listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// An address.
    Socket(SocketAddr),
    /// A host name and a port, resolved by the system.
    Host(String, u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(addr) => addr.fmt(f),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What the members of a pool speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// SMTP: one reply to a message.
    #[default]
    Smtp,
    /// LMTP (RFC 2033): one reply to a message for each recipient.
    Lmtp,
}

/// STARTTLS towards a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Off,
    /// If offered, without looking at the certificate.
    Opportunistic,
    /// Required, without looking at the certificate.
    Required,
    /// Required, with a certificate that we trust for its name.
    Verify,
}

/// How the client's identity goes on (DECISIONS 29): required, never silently dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityMethod {
    /// Not at all.
    None,
    /// XCLIENT: the backend treats the client as its own.
    Xclient,
    /// XFORWARD: the backend logs it.
    Xforward,
    /// PROXY v2 header; one client per connection.
    ProxyV2,
}

/// Waits for the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the TCP connection.
    pub connect: Duration,
    /// For the greeting and for replies to commands.
    pub command: Duration,
    /// For the backend to take a block of a message.
    pub write: Duration,
    /// For the reply after the final dot (RFC 5321 4.5.3.2.6: 10 minutes).
    pub end_of_data: Duration,
    /// For a free connection, when all are busy.
    pub queue: Duration,
}

/// Reuse of connections (DECISIONS 23).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// Idle connections kept per member.
    pub idle: usize,
    /// A connection idle for longer is closed.
    pub idle_time: Duration,
    /// Transactions before a connection retires.
    pub transactions: u32,
    /// Refusals (Postfix counts errors per connection) before it retires.
    pub refusals: u32,
    /// Age at which it retires.
    pub age: Duration,
}
