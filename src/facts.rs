//! What is known at each stage of the dialogue, as types: a check cannot read what is not yet known.
//!
//! Each bundle holds the previous one. They are immutable once made and shared by `Arc`.

pub mod authentication;
mod author;
mod recipient_map;
mod traps;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

pub use authentication::{ArcChain, ArcSet, AuthResult, Author, Dkim, Dmarc, DmarcPolicy, DmarcRecord, Signature, Spf};

pub use recipient_map::RecipientMap;
pub use traps::Traps;

use crate::message::{Message, Model};
use crate::similarity::Fingerprint;
use crate::smtp::{ForwardPath, HeloName, Params, ReversePath};

/// Points in the dialogue at which new facts appear. Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The client's address is known.
    Connect,
    /// HELO or EHLO was said.
    Helo,
    /// MAIL was said.
    Mail,
    /// RCPT was said; once per recipient.
    Rcpt,
    /// The message is here.
    Message,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Stage; 5] = [Self::Connect, Self::Helo, Self::Mail, Self::Rcpt, Self::Message];

    /// The word for logs, metrics and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Helo => "helo",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Message => "message",
        }
    }
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Mail from anywhere for our own domains.
    #[default]
    Edge,
    /// Mail of our users, who authenticate; TLS by STARTTLS (RFC 6409).
    Submission,
    /// The same, with TLS from the first octet (RFC 8314).
    Submissions,
    /// Mail of our own networks for anywhere, without AUTH: a smarthost.
    Outbound,
}

impl Role {
    /// True where mail leaves: whoever may use it may send anywhere, and is one of us.
    pub fn is_outgoing(self) -> bool {
        self != Self::Edge
    }

    /// True where nobody may send who has not authenticated.
    pub fn wants_auth(self) -> bool {
        matches!(self, Self::Submission | Self::Submissions)
    }

    /// The word for logs and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Outbound => "outbound",
        }
    }
}

/// Whom the backend has taken a client for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The SASL mechanism.
    pub mechanism: Arc<str>,
    /// Who it said it is, in lower case; `None` where only the backend understands that (GSSAPI, NTLM).
    pub user: Option<Arc<str>>,
}

/// What is known when a client has connected.
#[derive(Debug)]
pub struct ClientFacts {
    /// The effective client address: after PROXY and XCLIENT; IPv4-mapped IPv6 is IPv4.
    pub addr: IpAddr,
    /// Name of the listener that it came to.
    pub listener: Arc<str>,
    /// What that listener is for.
    pub role: Role,
    /// Our own name, as greeted with: a client that claims it lies.
    pub hostname: Arc<str>,
    /// The host name that a trusted front end vouched for (XCLIENT NAME=).
    pub vouched_name: Option<String>,
    /// What reverse DNS says of the address; known once a check has asked.
    pub name: Derived<ClientName>,
}

/// What reverse DNS says of a client's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientName {
    /// A name of the address leads back to it (lower case, no trailing dot).
    Confirmed(Arc<str>),
    /// The address has names, but none that was looked at leads back to it; here is the first.
    Unconfirmed(Arc<str>),
    /// The address has no name.
    None,
}

/// A value computed from facts at most once and shared by all who ask.
///
/// Whoever asks first computes; the others wait. If the first is cancelled or fails, the next one
/// takes over: a failure is never kept.
#[derive(Debug)]
pub struct Derived<T>(OnceCell<T>);

/// A breach of manners that the session itself observes, because only it sees the timing and the octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Violation {
    /// Spoke before the banner.
    Pregreet,
    /// Pipelined where it must not: before EHLO's reply, or without the offer.
    Pipelining,
    /// Sent header lines, HTTP or other things where commands belong.
    NonSmtp,
    /// Ended a command line with a bare LF.
    BareNewlineCommand,
    /// Bare LF in a message.
    BareLf,
    /// Bare CR in a message.
    BareCr,
    /// Began a TLS handshake that failed.
    TlsFailed,
    /// Sent the message before the 354 that asks for it.
    EarlyData,
}

/// TLS as negotiated with the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    /// Protocol version, such as `TLSv1.3`.
    pub version: &'static str,
    /// Cipher suite, in IANA's spelling.
    pub cipher: &'static str,
}

/// What HELO or EHLO added.
#[derive(Debug)]
pub struct HeloFacts {
    /// The facts before.
    pub client: Arc<ClientFacts>,
    /// The argument, unverified.
    pub name: HeloName,
    /// True for EHLO.
    pub extended: bool,
    /// TLS, if the session is encrypted.
    pub tls: Option<TlsInfo>,
    /// SPF of the HELO name (RFC 7208 2.3).
    pub spf: Derived<Spf>,
}

/// What MAIL added.
#[derive(Debug)]
pub struct MailFacts {
    /// The facts before.
    pub helo: Arc<HeloFacts>,
    /// The reverse-path.
    pub reverse_path: ReversePath,
    /// Its ESMTP parameters.
    pub params: Params,
    /// As whom the client has authenticated, if it has.
    pub login: Option<Arc<Login>>,
    /// Wall-clock time of the transaction, read once.
    pub at: SystemTime,
    /// SPF of the reverse-path's domain; of `postmaster` at the HELO name if it is null (RFC 7208 2.4).
    pub spf: Derived<Spf>,
}

/// What one RCPT added.
#[derive(Debug)]
pub struct RcptFacts {
    /// The facts before.
    pub mail: Arc<MailFacts>,
    /// The forward-path.
    pub forward_path: ForwardPath,
    /// Its place among the recipients of this transaction, from 0.
    pub index: usize,
    /// Nobody uses it: only who guesses addresses, or has stolen them, writes to it.
    pub is_trap: bool,
}

/// What the message added.
#[derive(Debug)]
pub struct MessageFacts {
    /// The facts of the envelope.
    pub mail: Arc<MailFacts>,
    /// The accepted recipients.
    pub recipients: Vec<ForwardPath>,
    /// How many of them are traps.
    pub trap_count: usize,
    /// The message as received.
    pub message: Arc<Message>,
    /// The octets behind those that `message` holds in memory, if there are any.
    pub rest: Option<Arc<dyn Rest>>,
    /// What it is, read once for all.
    pub model: Derived<Model>,
    /// By what messages that say the same are found.
    pub fingerprint: Derived<Fingerprint>,
    /// Whom its From fields name.
    pub author: Derived<Author>,
    /// Its DKIM signatures.
    pub dkim: Derived<Dkim>,
    /// Its ARC chain.
    pub arc: Derived<ArcChain>,
    /// What DMARC says of it.
    pub dmarc: Derived<Dmarc>,
}

/// The part of a large message that is not in memory.
pub trait Rest: Send + Sync + fmt::Debug {
    /// Reads octets that begin `offset` octets behind the ones in memory; 0 at the end. Blocks: for the
    /// blocking pool only.
    ///
    /// # Errors
    /// The disk failed.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Violation {
    /// All violations, in the order of their declaration.
    pub const ALL: [Violation; 8] = [
        Self::Pregreet,
        Self::Pipelining,
        Self::NonSmtp,
        Self::BareNewlineCommand,
        Self::BareLf,
        Self::BareCr,
        Self::TlsFailed,
        Self::EarlyData,
    ];

    /// The name of the symbol that stands for it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Pregreet => "PROTOCOL_PREGREET",
            Self::Pipelining => "PROTOCOL_PIPELINING",
            Self::NonSmtp => "PROTOCOL_NON_SMTP",
            Self::BareNewlineCommand => "PROTOCOL_BARE_NEWLINE_COMMAND",
            Self::BareLf => "PROTOCOL_BARE_LF",
            Self::BareCr => "PROTOCOL_BARE_CR",
            Self::TlsFailed => "PROTOCOL_TLS_FAILED",
            Self::EarlyData => "PROTOCOL_EARLY_DATA",
        }
    }

    /// The word for logs and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Pregreet => "pregreet",
            Self::Pipelining => "pipelining",
            Self::NonSmtp => "non_smtp",
            Self::BareNewlineCommand => "bare_newline_command",
            Self::BareLf => "bare_lf",
            Self::BareCr => "bare_cr",
            Self::TlsFailed => "tls_failed",
            Self::EarlyData => "early_data",
        }
    }

    /// The stage that its finding belongs to: what a client did wrong stays with the connection,
    /// what is wrong with a message goes with the message.
    pub fn stage(self) -> Stage {
        match self {
            Self::BareLf | Self::BareCr => Stage::Message,
            Self::Pregreet
            | Self::Pipelining
            | Self::NonSmtp
            | Self::BareNewlineCommand
            | Self::TlsFailed
            | Self::EarlyData => Stage::Connect,
        }
    }
}

impl ClientFacts {
    /// Nothing derived yet. An IPv4-mapped `addr` becomes IPv4.
    pub fn new(addr: IpAddr, listener: Arc<str>, hostname: Arc<str>, vouched_name: Option<String>) -> Self {
        let (addr, role, name) = (addr.to_canonical(), Role::default(), Derived::default());
        Self { addr, listener, role, hostname, vouched_name, name }
    }

    /// The same, at a listener of that role.
    #[must_use]
    pub fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// The client name, if it is confirmed and already known: vouched for, or found by reverse DNS.
    /// Never waits, so it may be called while a check is still asking.
    pub fn confirmed_name(&self) -> Option<&str> {
        self.vouched_name.as_deref().or_else(|| match self.name.get()? {
            ClientName::Confirmed(name) => Some(&**name),
            ClientName::Unconfirmed(_) | ClientName::None => None,
        })
    }
}

impl HeloFacts {
    /// Nothing derived yet.
    pub fn new(client: Arc<ClientFacts>, name: HeloName, extended: bool, tls: Option<TlsInfo>) -> Self {
        Self { client, name, extended, tls, spf: Derived::default() }
    }
}

impl MailFacts {
    /// Nothing derived yet.
    pub fn new(helo: Arc<HeloFacts>, reverse_path: ReversePath, params: Params, at: SystemTime) -> Self {
        Self { helo, reverse_path, params, login: None, at, spf: Derived::default() }
    }

    /// The same, of a client that has authenticated.
    #[must_use]
    pub fn with_login(self, login: Option<Arc<Login>>) -> Self {
        Self { login, ..self }
    }

    /// Who the client has proved to be.
    pub fn user(&self) -> Option<&str> {
        self.login.as_ref()?.user.as_deref()
    }
}

impl MessageFacts {
    /// Nothing derived yet.
    pub fn new(
        mail: Arc<MailFacts>,
        recipients: Vec<ForwardPath>,
        message: Arc<Message>,
        rest: Option<Arc<dyn Rest>>,
    ) -> Self {
        Self {
            mail,
            recipients,
            trap_count: 0,
            message,
            rest,
            model: Derived::default(),
            fingerprint: Derived::default(),
            author: Derived::default(),
            dkim: Derived::default(),
            arc: Derived::default(),
            dmarc: Derived::default(),
        }
    }
}

impl MessageFacts {
    /// The same, with so many traps among its recipients.
    #[must_use]
    pub fn with_traps(self, trap_count: usize) -> Self {
        Self { trap_count, ..self }
    }

    /// How many of its recipients are traps.
    pub fn traps(&self) -> usize {
        self.trap_count
    }
}

impl<T> Derived<T> {
    /// The value, if somebody has computed it.
    pub fn get(&self) -> Option<&T> {
        self.0.get()
    }

    /// The value; computed by `derive` if nobody has done so. An error is the asker's alone.
    pub async fn get_or_try_derive<E, F, Fut>(&self, derive: F) -> Result<&T, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.0.get_or_try_init(derive).await
    }

    /// The value; computed by `derive`, which cannot fail, if nobody has done so.
    pub async fn get_or_derive<F, Fut>(&self, derive: F) -> &T
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        self.0.get_or_init(derive).await
    }
}

impl<T> Default for Derived<T> {
    fn default() -> Self {
        Self(OnceCell::new())
    }
}

impl<T> From<T> for Derived<T> {
    fn from(value: T) -> Self {
        Self(OnceCell::new_with(Some(value)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_derived_fact_is_computed_once_and_taken_over_from_who_leaves_or_fails() {
        let fact = Derived::default();
        let slowly = |value: u8| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<u8, ()>(value)
        };
        let leaves = tokio::time::timeout(Duration::from_millis(10), fact.get_or_try_derive(|| slowly(1)));
        let (left, taken_over) = tokio::join!(leaves, fact.get_or_try_derive(|| slowly(2)));
        assert!(left.is_err());
        assert_eq!((taken_over, fact.get()), (Ok(&2), Some(&2)));
        assert_eq!(fact.get_or_try_derive(|| slowly(3)).await, Ok(&2));

        let fact = Derived::default();
        assert_eq!(fact.get_or_try_derive(|| async { Err::<u8, _>("no") }).await, Err("no"));
        assert_eq!(fact.get(), None);
        assert_eq!(fact.get_or_try_derive(|| slowly(4)).await, Ok(&4));
    }

    #[test]
    fn a_client_has_a_name_once_somebody_has_confirmed_it() {
        let client = |vouched: Option<&str>, name: Option<ClientName>| ClientFacts {
            name: name.map(Derived::from).unwrap_or_default(),
            ..ClientFacts::new([192, 0, 2, 1].into(), "edge".into(), "mx".into(), vouched.map(str::to_owned))
        };
        for (vouched, name, confirmed) in [
            (None, None, None),
            (None, Some(ClientName::None), None),
            (None, Some(ClientName::Unconfirmed("a.example".into())), None),
            (None, Some(ClientName::Confirmed("a.example".into())), Some("a.example")),
            (Some("b.example"), None, Some("b.example")),
            (Some("b.example"), Some(ClientName::Confirmed("a.example".into())), Some("b.example")),
        ] {
            assert_eq!(client(vouched, name.clone()).confirmed_name(), confirmed, "{vouched:?} {name:?}");
        }
    }
}
