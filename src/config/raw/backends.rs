//! The tables about mail servers behind us: pools, members, routes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::macros::section;

section! {
    /// Recipients whose mail goes to a pool of their own, at listeners of the role `edge`. One transaction goes to one
    /// pool: the first recipient that is accepted decides, those of other pools hear 452 4.5.3 and come again.
    #[schemars(extend("required" = ["recipients"]))]
    pub struct Route {
        /// Recipients: `ann@example.org`; `@example.org` or `example.org` for a domain; `.example.org` for all its
        /// subdomains.
        recipients: Vec<String> = Vec::new(),
        /// The pool that their mail goes to (`[pool.NAME]`). Default: `backend`.
        backend: Option<String> = None,
    }
}

section! {
    /// The mail server behind us.
    #[schemars(extend("required" = ["identity", "member"]))]
    pub struct Backend {
        /// How the backend learns the client's identity. Must be written: a backend that takes us for
        /// the client may take us for a friend.
        identity: Identity = Identity::None,
        /// What its members speak.
        protocol: BackendProtocol = BackendProtocol::Smtp,
        /// The name that we say to it in EHLO. Default: the hostname.
        helo: Option<String> = None,
        /// Seconds between two health checks of an idle member.
        #[schemars(range(min = 1, max = 3600))]
        probe_interval_seconds: u64 = 30,
        /// The members of the pool; at least one.
        member: Vec<Member> = Vec::new(),
        /// How long we wait for it.
        timeouts: BackendTimeouts = BackendTimeouts::default(),
        /// When a connection is used again.
        reuse: Reuse = Reuse::default(),
    }
}

/// What the members of a pool speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BackendProtocol {
    /// SMTP: one reply to a message.
    Smtp,
    /// LMTP (RFC 2033): one reply to a message for each recipient.
    Lmtp,
}

/// How the client's identity goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// Not at all: the backend sees our address only.
    None,
    /// XCLIENT: the backend treats the client as its own.
    Xclient,
    /// XFORWARD: the backend logs it.
    Xforward,
    /// A PROXY v2 header; one client per connection, no reuse.
    ProxyV2,
}

section! {
    /// One backend server.
    #[schemars(extend("required" = ["address"]))]
    pub struct Member {
        /// `host:port`, where a name is resolved at each connection attempt, or `unix:/path` of a socket.
        address: String = String::new(),
        /// Connections at a time.
        #[schemars(range(min = 1, max = 10_000))]
        connections: u64 = 20,
        /// Its share of the mail: beside a member of weight 1, one of weight 3 gets three messages of four.
        #[schemars(range(min = 1, max = 1000))]
        weight: u64 = 1,
        /// True: mail comes to it only while no other member is up and has a free connection.
        backup: bool = false,
        /// STARTTLS towards it.
        tls: TlsMode = TlsMode::Off,
        /// True: TLS from the first octet, without STARTTLS (port 465).
        implicit_tls: bool = false,
        /// The name in its certificate. Default: the host of the address.
        tls_name: Option<String> = None,
        /// PEM file of roots to trust instead of the system's.
        tls_ca: Option<String> = None,
    }
}

/// STARTTLS towards a backend server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Never.
    Off,
    /// If offered, whatever its certificate.
    Opportunistic,
    /// Required, whatever its certificate.
    Required,
    /// Required, with a certificate that we trust for its name.
    Verify,
}

section! {
    /// How long we wait for the backend.
    pub struct BackendTimeouts {
        /// For the TCP connection.
        #[schemars(range(min = 1, max = 300))]
        connect_seconds: u64 = 10,
        /// For the greeting and for replies to commands.
        #[schemars(range(min = 1, max = 600))]
        command_seconds: u64 = 60,
        /// For it to take a block of a message.
        #[schemars(range(min = 1, max = 3600))]
        write_seconds: u64 = 180,
        /// For the reply after the final dot (RFC 5321 4.5.3.2.6: 10 minutes).
        #[schemars(range(min = 1, max = 3600))]
        end_of_data_seconds: u64 = 600,
        /// For a free connection, when all are busy.
        #[schemars(range(min = 0, max = 300))]
        queue_seconds: u64 = 5,
    }
}

section! {
    /// When a backend connection is used again, and when it retires.
    pub struct Reuse {
        /// Idle connections kept per member; 0: no reuse.
        #[schemars(range(min = 0, max = 10_000))]
        idle: u64 = 8,
        /// An idle connection is closed after that.
        #[schemars(range(min = 1, max = 3600))]
        idle_seconds: u64 = 20,
        /// Transactions before it retires.
        #[schemars(range(min = 1, max = 1_000_000))]
        transactions: u64 = 100,
        /// Refusals before it retires (Postfix slows down at 10, hangs up at 20).
        #[schemars(range(min = 1, max = 1_000_000))]
        refusals: u64 = 8,
        /// Age at which it retires.
        #[schemars(range(min = 1, max = 86_400))]
        age_seconds: u64 = 300,
    }
}
