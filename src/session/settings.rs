//! What an administrator can set about sessions.

use std::sync::Arc;
use std::time::Duration;

use super::RecipientMatcher;
use super::known::KnownRecipients;
use crate::smtp::NewlinePolicy;
use crate::units::{ByteSize, CidrSet, DomainSet};

/// Settings of all sessions; one value, swapped whole at reload.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our own name: greeting, EHLO reply, Received, authserv-id.
    pub hostname: Arc<str>,
    /// Bounds of one session.
    pub limits: Limits,
    /// How long we wait for the client, by command (RFC 5321 4.5.3.2).
    pub timeouts: Timeouts,
    /// Protocol tests and what follows from them.
    pub protocol: Protocol,
    /// Whose mail is relayed whither.
    pub relay: Relay,
    /// Where refusals are spoken that are known before RCPT.
    pub refuse_at: RefuseAt,
    /// How long checks may keep the client waiting.
    pub budgets: Budgets,
    /// Fields added to forwarded mail.
    pub add_spam_fields: bool,
    /// `Authentication-Results` in forwarded mail (RFC 8601).
    pub add_authentication_results: bool,
    /// `Received-SPF` in forwarded mail (RFC 7208 9.1).
    pub add_received_spf: bool,
    /// Clients that no check looks at.
    pub trusted: CidrSet,
    /// Clients that pass on mail for us: checks look at whom they name.
    pub hops: CidrSet,
    /// Recipients that hear no refusal by score or list (postmaster, abuse).
    pub exempt: RecipientMatcher,
}

/// Bounds of one session; each is counted when it bites.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Octets of a message: offered as SIZE, enforced on DATA and BDAT.
    pub message_size: ByteSize,
    /// Recipients of one transaction (RFC 5321 4.5.3.1.8 asks for 100 at least).
    pub recipients: usize,
    /// Refused commands before 421.
    pub errors: u32,
    /// Failed authentications before 421.
    pub auth_failures: u32,
    /// How long the reply to the first failed authentication waits; to the second twice as long, and so on.
    pub auth_delay: Duration,
    /// Exchanges of AUTH that one pool of backends has in flight; `None`: half as many as it may have connections.
    pub auth_exchanges: Option<usize>,
    /// Those of one client (IPv4 address, IPv6 /64).
    pub auth_exchanges_per_client: usize,
    /// Commands without effect (NOOP, RSET, VRFY, HELP) between two transactions before 421.
    pub idle_commands: u32,
    /// Transactions of one session before 421.
    pub transactions: u32,
    /// Received fields before 554 5.4.6 (RFC 5321 6.3).
    pub hops: usize,
    /// Of these our own: the message has passed us that often already.
    pub own_hops: usize,
    /// Whole length of a session; after that 421, whatever it is doing.
    pub session: Duration,
    /// How long replies wait that the policy wants slowed down; zero: not at all.
    pub tarpit: Duration,
    /// Sessions that wait so at a time; beyond that nobody is slowed down.
    pub tarpit_sessions: usize,
}

/// How long we wait for the client.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// For the next command.
    pub command: Duration,
    /// For the first octet after 354.
    pub data_start: Duration,
    /// For the next octets of a message.
    pub data_block: Duration,
    /// For the TLS handshake.
    pub tls_handshake: Duration,
    /// For the PROXY header.
    pub proxy_header: Duration,
    /// For the client to take our reply.
    pub write: Duration,
    /// A message that is not in by then gives the backend connection back (DECISIONS 27).
    pub hold_backend: Duration,
}

/// What follows from a protocol violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// Counted, nothing else.
    Ignore,
    /// A finding with a weight.
    Score,
    /// Refused at once (521 or 5xx) and closed.
    Refuse,
}

/// The protocol tests.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// How long the banner is held back to see who speaks first. Zero: no wait.
    pub greet_delay: Duration,
    /// Networks that are greeted at once.
    pub greet_at_once: CidrSet,
    /// Speaks before the banner.
    pub pregreet: Response,
    /// Pipelines where it must not: before EHLO's reply, before the reply to DATA, or without the offer.
    pub pipelining: Response,
    /// Sends header lines or HTTP where commands belong.
    pub non_smtp_command: Response,
    /// Ends command lines with a bare LF.
    pub bare_newline_command: Response,
    /// Bare CR or LF in messages.
    pub newlines: NewlinePolicy,
    /// Networks that are normalised where the policy is reject.
    pub newline_exceptions: CidrSet,
}

/// Whose mail is relayed whither.
#[derive(Clone, Debug, Default)]
pub struct Relay {
    /// Domains that we take mail for.
    pub domains: Arc<DomainSet>,
    /// Clients that may send anywhere.
    pub networks: CidrSet,
    /// Who exists, of domains whose backends do not say.
    pub known: KnownRecipients,
}

/// Where early refusals are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefuseAt {
    /// At RCPT, so that the log knows sender and recipient.
    Rcpt,
    /// At the first reply after they are known.
    Earliest,
}

/// How long checks may keep the client waiting.
#[derive(Clone, Debug)]
pub struct Budgets {
    /// At each RCPT.
    pub rcpt: Duration,
    /// After the final dot (DECISIONS 14).
    pub message: Duration,
}
