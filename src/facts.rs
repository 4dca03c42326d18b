//! What is known at each stage of the dialogue, as types: a check cannot read what is not yet known.
//!
//! Each bundle holds the previous one. They are immutable once made and shared by `Arc`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::message::Message;
use crate::smtp::{ForwardPath, HeloName, Params, ReversePath};

/// Points in the dialogue at which new facts appear. Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// What is known when a client has connected.
#[derive(Debug)]
pub struct ClientFacts {
    /// The effective client address: after PROXY and XCLIENT; IPv4-mapped IPv6 is IPv4.
    pub addr: IpAddr,
    /// Name of the listener that it came to.
    pub listener: Arc<str>,
    /// Our own name, as greeted with: a client that claims it lies.
    pub hostname: Arc<str>,
    /// The host name that a trusted front end vouched for (XCLIENT NAME=).
    pub vouched_name: Option<String>,
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
    /// Wall-clock time of the transaction, read once.
    pub at: SystemTime,
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
}

/// What the message added.
#[derive(Debug)]
pub struct MessageFacts {
    /// The facts of the envelope.
    pub mail: Arc<MailFacts>,
    /// The accepted recipients.
    pub recipients: Vec<ForwardPath>,
    /// The message as received.
    pub message: Arc<Message>,
}
