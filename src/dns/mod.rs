//! Name lookups: the port that checks see. Adapters: the real resolver, and a table of fixed answers.
//!
//! A name without records is an answer; a failure to find out is [`LookupError`]. Names are absolute
//! (no search domains), compared without regard to case, with or without a trailing dot.

pub mod cache;
pub mod fixed;
mod health;
pub mod hickory;
pub mod local;
pub mod metrics;
pub mod offline;
pub mod public;
pub mod question;
pub mod servers;
pub mod signed;
pub mod zones;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::timeout;

pub use fixed::FixedDns;
pub use hickory::Resolver;
pub use local::Local;
pub use metrics::Metrics;
pub use offline::Offline;

/// How names are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The resolvers to ask; empty: those of the system (`/etc/resolv.conf`).
    pub servers: Vec<SocketAddr>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How often a question is sent before we give up. A server that answers with an error is no
    /// attempt: the next one is asked. In all, a question ends after `timeout * attempts`.
    pub attempts: usize,
    /// Answers kept in memory, over all record types; half a KiB each on average at most.
    pub cache_entries: usize,
    /// Questions on their way at one time; beyond that [`LookupError::Overloaded`].
    pub in_flight: usize,
    /// The longest that "there is no such record" is believed.
    pub negative_ttl_max: Duration,
    /// The longest that records are believed.
    pub ttl_max: Duration,
    /// How long after its end an answer serves if there is no better one (RFC 8767); zero: not at all.
    pub stale: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_millis(1500),
            attempts: 2,
            cache_entries: 65_536,
            in_flight: 2000,
            negative_ttl_max: Duration::from_secs(900),
            ttl_max: Duration::from_secs(86_400),
            stale: Duration::from_secs(3600),
        }
    }
}

/// An answer: the records (none: the name has none of that type), and whether the name exists at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The records, in the order received.
    pub records: Arc<[T]>,
    /// False for NXDOMAIN.
    pub exists: bool,
    /// True if it came from our own cache, stale or not.
    pub cached: bool,
}

/// Why a question has no answer. None of these ever counts against a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LookupError {
    /// No answer in time.
    #[error("timeout")]
    Timeout,
    /// SERVFAIL, REFUSED and other error codes.
    #[error("server failure")]
    ServerFailure,
    /// No server could be reached, or its answer was unreadable.
    #[error("no usable answer")]
    Unreachable,
    /// The text is no name, or longer than DNS allows.
    #[error("not a domain name")]
    NotAName,
    /// Our own bound on questions in flight.
    #[error("too many questions in flight")]
    Overloaded,
}

/// A mail exchanger: preference and host name.
pub type Mx = (u16, Arc<str>);

/// An answer, or why there is none, with where it comes from: for whoever watches over those who answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard<T> {
    /// What was asked for. Never expired.
    pub answer: Result<Answer<T>, LookupError>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where an answer comes from, or the news that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is what came of this very question.
    Asked,
    /// It is what came of the same question of somebody else, who also hears of it.
    Joined,
    /// It was known; it says nothing about how things are now.
    Memory,
}

/// What an asker takes for an answer who would rather have none than an old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// What is remembered and still holds, too.
    Holds,
    /// Only what is answered from now on.
    Now,
}

/// DNS as checks see it.
pub trait Lookup: Send + Sync + 'static {
    /// IPv4 addresses.
    fn a<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Ipv4Addr>, LookupError>>;
    /// IPv6 addresses.
    fn aaaa<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Ipv6Addr>, LookupError>>;
    /// Names of an address, lower case, without a trailing dot.
    fn ptr(&self, addr: IpAddr) -> BoxFuture<'_, Result<Answer<Arc<str>>, LookupError>>;
    /// Texts, the strings of one record joined.
    fn txt<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Arc<str>>, LookupError>>;
    /// Mail exchangers.
    fn mx<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Mx>, LookupError>>;
    /// IPv4 addresses, never expired, and where they come from. Who has not heard within `within` hears
    /// [`LookupError::Timeout`]. What has a memory, or hands on to what may have one, must override this.
    fn hear_a<'a>(&'a self, name: &'a str, freshness: Freshness, within: Duration) -> BoxFuture<'a, Heard<Ipv4Addr>> {
        let _no_memory = freshness;
        Box::pin(async move {
            let answer = timeout(within, self.a(name)).await.unwrap_or(Err(LookupError::Timeout));
            Heard { answer, origin: Origin::Asked }
        })
    }
    /// Name servers of the zone that begins at `name`; none if no zone does. Lower case, no trailing dot.
    fn ns<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Arc<str>>, LookupError>>;
}

impl LookupError {
    /// The word for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::ServerFailure => "server_failure",
            Self::Unreachable => "unreachable",
            Self::NotAName => "not_a_name",
            Self::Overloaded => "overloaded",
        }
    }
}
