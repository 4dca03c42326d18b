//! The tables about sessions: limits, timeouts, protocol tests, checks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::macros::{Size, section};

section! {
    /// Bounds of sessions; each is counted when it bites.
    pub struct Limits {
        /// Sessions at a time; above that 421 4.3.2.
        #[schemars(range(min = 1, max = 10_000_000))]
        sessions: u64 = 4096,
        /// Sessions of one client (/32, /64) at a time; above that 421 4.7.0.
        #[schemars(range(min = 1, max = 10_000_000))]
        sessions_per_client: u64 = 50,
        /// Sessions of one network (/24, /48) at a time; above that 421 4.7.0.
        #[schemars(range(min = 1, max = 10_000_000))]
        sessions_per_network: u64 = 500,
        /// Size of a message; offered as SIZE.
        message_size: Size = Size::new("50 MiB"),
        /// Recipients of one transaction (RFC 5321 4.5.3.1.8 asks for 100 at least).
        #[schemars(range(min = 1, max = 100_000))]
        recipients: u64 = 1000,
        /// Refused commands before 421.
        #[schemars(range(min = 1, max = 1_000_000))]
        errors: u64 = 20,
        /// Failed authentications of one session before 421; over all sessions, rates.toml limits them.
        #[schemars(range(min = 1, max = 1000))]
        auth_failures: u64 = 3,
        /// The reply to the first failed authentication of a session waits so long, to the second twice as long, and
        /// so on; 0: not at all.
        #[schemars(range(min = 0, max = 60))]
        auth_delay_seconds: u64 = 2,
        /// Exchanges of AUTH that one pool has in flight at a time, each on a connection of its own for somebody who has
        /// proved nothing yet; above that 454 4.7.0. 0: half as many as its members have connections.
        #[schemars(range(min = 0, max = 1_000_000))]
        auth_exchanges: u64 = 0,
        /// Those of one client (/32, /64); above that 454 4.7.0.
        #[schemars(range(min = 1, max = 1_000_000))]
        auth_exchanges_per_client: u64 = 4,
        /// Commands without effect (NOOP, RSET, VRFY, HELP) between two transactions before 421.
        #[schemars(range(min = 1, max = 1_000_000))]
        idle_commands: u64 = 100,
        /// Transactions of one session before 421.
        #[schemars(range(min = 1, max = 1_000_000))]
        transactions: u64 = 1000,
        /// Received fields of a message before 554 5.4.6 (RFC 5321 6.3: 100 at least).
        #[schemars(range(min = 1, max = 10_000))]
        hops: u64 = 100,
        /// Of these our own before the same: mail may pass us on its way out and back, but not for ever.
        #[schemars(range(min = 1, max = 10_000))]
        own_hops: u64 = 10,
        /// Whole length of a session; after that 421, whatever it is doing.
        #[schemars(range(min = 60, max = 86_400))]
        session_seconds: u64 = 3600,
        /// How long replies within a transaction wait where the policy says so (`tarpit_on`); 0: not at all. Never
        /// for the null reverse-path, never with a backend connection held.
        #[schemars(range(min = 0, max = 30))]
        tarpit_seconds: u64 = 5,
        /// Sessions that wait so at a time; beyond that nobody is slowed down.
        #[schemars(range(min = 0, max = 1_000_000))]
        tarpit_sessions: u64 = 200,
    }
}

section! {
    /// How long we wait for clients (RFC 5321 4.5.3.2).
    pub struct Timeouts {
        /// For the next command.
        #[schemars(range(min = 1, max = 3600))]
        command_seconds: u64 = 300,
        /// For the first octet after 354.
        #[schemars(range(min = 1, max = 3600))]
        data_start_seconds: u64 = 120,
        /// For the next octets of a message.
        #[schemars(range(min = 1, max = 3600))]
        data_block_seconds: u64 = 180,
        /// For the TLS handshake.
        #[schemars(range(min = 1, max = 300))]
        tls_handshake_seconds: u64 = 30,
        /// For the PROXY header.
        #[schemars(range(min = 1, max = 60))]
        proxy_header_seconds: u64 = 5,
        /// For a client to take our reply.
        #[schemars(range(min = 1, max = 3600))]
        write_seconds: u64 = 180,
        /// A message that is not in by then gives the backend connection back, to take one again later.
        #[schemars(range(min = 0, max = 600))]
        hold_backend_seconds: u64 = 3,
    }
}

section! {
    /// Protocol tests and what follows from them.
    pub struct Protocol {
        /// How long the banner is held back to see who speaks first; 0: not at all.
        #[schemars(range(min = 0, max = 30_000))]
        greet_delay_ms: u64 = 0,
        /// Networks that are greeted at once.
        greet_at_once: Vec<String> = Vec::new(),
        /// A client that speaks before the banner.
        pregreet: Response = Response::Score,
        /// A client that pipelines where it must not.
        pipelining: Response = Response::Score,
        /// A client that sends HTTP or header lines where commands belong.
        non_smtp_command: Response = Response::Refuse,
        /// A client that ends command lines with a bare LF.
        bare_newline_command: Response = Response::Score,
        /// Bare CR or LF in a message.
        newlines: BareNewlines = BareNewlines::Normalize,
        /// Networks whose messages are normalized where `newlines` is `reject`.
        newline_exceptions: Vec<String> = Vec::new(),
    }
}

/// What follows from a protocol violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// It is counted, nothing else.
    Ignore,
    /// It is a finding with a weight.
    Score,
    /// It is refused at once.
    Refuse,
}

/// Bare CR or LF in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BareNewlines {
    /// A bare LF becomes CRLF, a stray CR a space; a finding.
    Normalize,
    /// The message is refused.
    Reject,
}

section! {
    /// How checks run, and for whom they do not.
    pub struct Checks {
        /// False: no check runs; mail is relayed as it is.
        enabled: bool = true,
        /// Where refusals are spoken that are known before RCPT.
        refuse_at: RefuseAt = RefuseAt::Rcpt,
        /// How long checks may keep a client waiting at each RCPT.
        #[schemars(range(min = 0, max = 60_000))]
        rcpt_budget_ms: u64 = 2000,
        /// How long checks may keep a client waiting after the final dot. With less than 7500, an exception of
        /// `trust.toml` that DNS does not answer about in time cannot hold back a refusal.
        #[schemars(range(min = 0, max = 60_000))]
        message_budget_ms: u64 = 10_000,
        /// Clients that no check looks at, but that who is blocked by hand (`gatepost block`) stays blocked.
        trusted_networks: Vec<String> = Vec::new(),
        /// Our own hops that pass mail on to us, such as a backup MX: checks look at the client that the Received field
        /// of the hop names, once the message is there.
        trusted_hops: Vec<String> = Vec::new(),
        /// Recipients that get their mail whatever checks find: local parts, or whole addresses.
        exempt_recipients: Vec<String> = vec!["postmaster".to_owned(), "abuse".to_owned()],
        /// X-Spam-* fields in forwarded mail.
        add_spam_fields: bool = true,
        /// Authentication-Results in forwarded mail (RFC 8601); the authserv-id is `hostname`.
        add_authentication_results: bool = true,
        /// Received-SPF in forwarded mail (RFC 7208 9.1), for readers that know nothing newer.
        add_received_spf: bool = false,
    }
}

/// Where early refusals are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RefuseAt {
    /// At RCPT, so that the log knows sender and recipient.
    Rcpt,
    /// At the first reply after they are known.
    Earliest,
}
