//! The real mail server behind us, seen as an SMTP server.
//!
//! Promises: a reply is returned exactly as received; at most one transaction at a time on a
//! connection; the client's identity goes on as configured or the member is not ready, never
//! silently under our own address (DECISIONS 29).
//!
//! Failure: anything but a well-formed reply in time becomes [`BackendError`], which the session
//! answers with 4xx. It never becomes 2xx, and never 5xx: our trouble is not the sender's fault.

pub mod client;
pub mod exchanges;
pub mod machine;
pub mod member;
pub mod metrics;
pub mod own;
pub mod pool;
pub mod pools;
pub mod routes;
pub mod settings;
pub mod submit;
mod turns;

pub use client::Connection;
pub use exchanges::{Bounds, Exchanges, InFlight};
pub use machine::{Identity, Need};
pub use metrics::Metrics;
pub use own::Own;
pub use pool::{Lease, Pool};
pub use pools::Pools;
pub use routes::{Routes, Way, Ways};
pub use settings::Settings;

use crate::smtp::{Reply, ReplyError};

/// Why the backend gave no usable reply.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// No member could be connected to.
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    /// No reply in time, or it does not take what we send.
    #[error("timed out")]
    TimedOut,
    /// The connection ended.
    #[error("connection lost")]
    Closed,
    /// What came is no reply.
    #[error("malformed reply: {0}")]
    BadReply(#[from] ReplyError),
    /// Octets that nobody asked for.
    #[error("unsolicited reply")]
    Unsolicited,
    /// The greeting or the reply to EHLO is not 2xx.
    #[error("not ready: {}", .0.to_log())]
    NotReady(Reply),
    /// It does not offer the identity method that is configured, or cannot take it now.
    #[error("does not take the client's identity by {0}")]
    Identity(&'static str),
    /// It takes identities, and refuses this one for good.
    #[error("refuses this client's identity: {}", .0.to_log())]
    IdentityRefused(Reply),
    /// TLS is required and not offered, or failed.
    #[error("TLS: {0}")]
    Tls(String),
    /// What a client says to authenticate would cross the network in clear.
    #[error("neither TLS nor loopback: credentials would cross the network in clear")]
    InClear,
    /// All connections are busy.
    #[error("all connections busy")]
    Busy,
    /// Every member is down for the moment.
    #[error("no member is up")]
    Down,
    /// No member that is up can carry this message; `permanent` if none that is configured can.
    #[error("no member offers what the message needs")]
    CannotCarry {
        /// True if no configured member, up or down, can carry it.
        permanent: bool,
        /// True if some could, were it smaller.
        too_big: bool,
    },
}

impl BackendError {
    /// True if the server is well, and turns one client away: that says nothing about the next one, and no other
    /// connection to the same server changes it.
    pub fn is_about_client(&self) -> bool {
        matches!(self, Self::NotReady(_) | Self::IdentityRefused(_))
    }

    /// Every value of [`BackendError::label`].
    pub const LABELS: [&'static str; 13] = [
        "connect",
        "timed_out",
        "closed",
        "bad_reply",
        "unsolicited",
        "not_ready",
        "identity",
        "identity_refused",
        "tls",
        "in_clear",
        "busy",
        "down",
        "cannot_carry",
    ];

    /// The word for logs and metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::TimedOut => "timed_out",
            Self::Closed => "closed",
            Self::BadReply(_) => "bad_reply",
            Self::Unsolicited => "unsolicited",
            Self::NotReady(_) => "not_ready",
            Self::Identity(_) => "identity",
            Self::IdentityRefused(_) => "identity_refused",
            Self::Tls(_) => "tls",
            Self::InClear => "in_clear",
            Self::Busy => "busy",
            Self::Down => "down",
            Self::CannotCarry { .. } => "cannot_carry",
        }
    }
}
