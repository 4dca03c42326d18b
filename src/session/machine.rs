//! The server side of the dialogue without I/O: what a command means in the state that we are in.
//!
//! Order of every decision: is it well formed, is it allowed now, is it within the limits; what then
//! remains to be done is an [`Action`] for the driver.

use std::sync::Arc;

use super::refusal;
use super::settings::Limits;
use crate::smtp::sasl::Response;
use crate::smtp::{
    Command, CommandError, Extension, Extensions, ForwardPath, HeloName, Params, Reply, ReversePath, XclientAttribute,
    command,
};

/// What we offer to this client.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// STARTTLS.
    pub tls: bool,
    /// XCLIENT.
    pub xclient: bool,
    /// What must be done before MAIL.
    pub access: Access,
    /// There are backends to ask, whatever they offer.
    pub has_backend: bool,
    /// Octets of a message; 0 is "no limit of ours".
    pub size: u64,
    /// What all backends offer.
    pub backends: Arc<Extensions>,
}

/// What a client must do before it may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    #[default]
    Open,
    /// STARTTLS, and then AUTH.
    Tls,
    /// AUTH.
    Auth,
    /// Come from somewhere else.
    Denied,
}

/// What the driver has to do.
#[derive(Debug)]
pub enum Action {
    /// Say this and go on.
    Reply(Reply),
    /// Say this and close.
    Close(Reply),
    /// Greeted: learn it, then say [`Machine::hello_reply`].
    Hello {
        /// The name.
        name: HeloName,
        /// True for EHLO.
        extended: bool,
    },
    /// A transaction begins; it is refused by saying so through [`Machine::end_transaction`].
    Mail {
        /// The sender.
        path: ReversePath,
        /// Its parameters.
        params: Params,
        /// The declared size.
        size: Option<u64>,
    },
    /// A recipient; accepted ones are told by [`Machine::recipient_accepted`].
    Rcpt {
        /// The recipient.
        path: ForwardPath,
        /// Its parameters.
        params: Params,
    },
    /// Say 354 and read the message.
    Data,
    /// Read a chunk.
    Bdat {
        /// Its octets.
        size: u64,
        /// True if it is the last.
        last: bool,
    },
    /// Throw so many octets away, then say this.
    Discard {
        /// Octets of the refused chunk.
        size: u64,
        /// The refusal.
        reply: Reply,
    },
    /// Forget the transaction and say 250.
    Reset,
    /// Pass an exchange on; success is told by [`Machine::authenticated`].
    Auth {
        /// The mechanism, one of those that are offered.
        mechanism: String,
        /// What the client has said already.
        initial: Option<Response>,
    },
    /// Say 220 and shake hands.
    StartTls,
    /// The client is somebody else.
    Xclient(Vec<XclientAttribute>),
    /// Say 221 and close.
    Quit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No EHLO or HELO yet.
    Fresh,
    /// Between transactions.
    Ready,
    /// After MAIL.
    Envelope { recipients: usize },
    /// After the first BDAT.
    Chunks,
}

/// The state of one dialogue.
#[derive(Debug)]
pub struct Machine {
    state: State,
    offer: Offer,
    /// True after EHLO (not HELO).
    extended: bool,
    encrypted: bool,
    authenticated: bool,
    errors: u32,
    idle_commands: u32,
    transactions: u32,
}

impl Machine {
    /// At the beginning of a session.
    pub fn new() -> Self {
        Self {
            state: State::Fresh,
            offer: Offer::default(),
            extended: false,
            encrypted: false,
            authenticated: false,
            errors: 0,
            idle_commands: 0,
            transactions: 0,
        }
    }

    /// True where our replies carry enhanced status codes (RFC 2034).
    pub fn enhanced(&self) -> bool {
        self.extended && self.offer.backends.has(Extension::EnhancedStatusCodes)
    }

    /// True between MAIL and the end of its transaction.
    pub fn in_transaction(&self) -> bool {
        matches!(self.state, State::Envelope { .. } | State::Chunks)
    }

    /// True if the client may send commands without waiting (RFC 2920).
    pub fn may_pipeline(&self) -> bool {
        self.extended
    }

    /// What is offered, as of the last EHLO.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Reads one command line.
    pub fn line(&mut self, line: &[u8], limits: &Limits) -> Action {
        let action = match command::parse(line) {
            Ok(command) => self.command(command, limits),
            Err(CommandError::Http) => Action::Close(refusal::NOT_HTTP),
            Err(why @ CommandError::ChunkSize) => Action::Close(refusal::command_error(&why)),
            Err(why) => Action::Reply(refusal::command_error(&why)),
        };
        self.bounded(action, limits)
    }

    /// A line beyond the limit was dropped.
    pub fn line_too_long(&mut self, limits: &Limits) -> Action {
        self.bounded(Action::Reply(refusal::LINE_TOO_LONG), limits)
    }

    /// Counts errors; too many end the session.
    fn bounded(&mut self, action: Action, limits: &Limits) -> Action {
        let refused = matches!(&action, Action::Reply(reply) | Action::Discard { reply, .. } if reply.class() >= 4);
        if refused {
            self.errors += 1;
            if self.errors > limits.errors {
                return Action::Close(refusal::TOO_MANY_ERRORS);
            }
        }
        action
    }

    fn command(&mut self, command: Command, limits: &Limits) -> Action {
        match command {
            Command::Ehlo(name) => self.idle(Action::Hello { name, extended: true }, limits),
            Command::Helo(name) => self.idle(Action::Hello { name, extended: false }, limits),
            Command::Mail { path, params } => self.mail(path, params, limits),
            Command::Rcpt { path, params } => self.rcpt(path, params, limits),
            Command::Data => match self.state {
                State::Fresh | State::Ready => Action::Reply(refusal::NEED_MAIL),
                State::Chunks => Action::Reply(refusal::MIXED_FRAMING),
                State::Envelope { recipients: 0 } => Action::Reply(refusal::NO_RECIPIENTS),
                State::Envelope { .. } => Action::Data,
            },
            Command::Bdat { size, last } => match self.state {
                State::Fresh | State::Ready => Action::Discard { size, reply: refusal::NEED_MAIL },
                State::Envelope { recipients: 0 } => Action::Discard { size, reply: refusal::NO_RECIPIENTS },
                State::Envelope { .. } | State::Chunks => {
                    self.state = State::Chunks;
                    Action::Bdat { size, last }
                }
            },
            Command::Rset => self.idle(Action::Reset, limits),
            Command::Noop => self.idle(Action::Reply(refusal::OK), limits),
            Command::Vrfy => self.idle(Action::Reply(refusal::CANNOT_VERIFY), limits),
            Command::Help => self.idle(Action::Reply(refusal::HELP), limits),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),
            Command::Expn | Command::Obsolete(_) => Action::Reply(refusal::NOT_IMPLEMENTED),
            Command::Quit => Action::Quit,
            Command::StartTls if !self.offer.tls || self.encrypted || !self.extended => {
                Action::Reply(refusal::NO_TLS_NOW)
            }
            Command::StartTls => Action::StartTls,
            Command::Xclient(_) if !self.offer.xclient => Action::Reply(refusal::NOT_AUTHORIZED),
            Command::Xclient(_) if self.in_transaction() => Action::Reply(refusal::NOT_IN_TRANSACTION),
            Command::Xclient(attributes) => Action::Xclient(attributes),
        }
    }

    /// RFC 4954 4: once, not within a transaction, and only what is offered.
    fn auth(&self, mechanism: String, initial: Option<Response>) -> Action {
        let offered = || self.offer.backends.mechanisms().contains(&mechanism);
        Action::Reply(match self.offer.access {
            _ if self.state == State::Fresh => refusal::NEED_HELLO,
            Access::Open | Access::Denied => refusal::NOT_IMPLEMENTED,
            _ if !self.extended => refusal::NEED_HELLO,
            Access::Tls => refusal::AUTH_NEEDS_TLS,
            Access::Auth if self.authenticated => refusal::ALREADY_AUTHENTICATED,
            Access::Auth if self.in_transaction() => refusal::NOT_IN_TRANSACTION,
            // A client that tries again later may find one.
            Access::Auth if !self.offer.has_backend => refusal::AUTH_UNAVAILABLE,
            Access::Auth if !offered() => refusal::UNKNOWN_MECHANISM,
            Access::Auth => return Action::Auth { mechanism, initial },
        })
    }

    /// The backend has believed the client.
    pub fn authenticated(&mut self) {
        self.authenticated = true;
        self.idle_commands = 0;
    }

    /// An exchange of AUTH came to nothing: an error like others. True if it is one too many for this session.
    pub fn auth_failed(&mut self, limits: &Limits) -> bool {
        self.errors += 1;
        self.errors > limits.errors
    }

    fn idle(&mut self, action: Action, limits: &Limits) -> Action {
        self.idle_commands += 1;
        if self.idle_commands > limits.idle_commands {
            return Action::Close(refusal::TOO_MANY_IDLE_COMMANDS);
        }
        action
    }

    fn mail(&mut self, path: ReversePath, params: Params, limits: &Limits) -> Action {
        match self.state {
            State::Fresh => return Action::Reply(refusal::NEED_HELLO),
            State::Envelope { .. } | State::Chunks => return Action::Reply(refusal::NESTED_MAIL),
            State::Ready => {}
        }
        match self.offer.access {
            Access::Open => {}
            Access::Tls => return Action::Reply(refusal::NEED_STARTTLS),
            Access::Auth if self.authenticated => {}
            Access::Auth => return Action::Reply(refusal::AUTH_REQUIRED),
            Access::Denied => return Action::Reply(refusal::ACCESS_DENIED),
        }
        if self.transactions >= limits.transactions {
            return Action::Close(refusal::TOO_MANY_TRANSACTIONS);
        }
        let size = match self.mail_params(&path, &params) {
            Ok(size) => size,
            Err(reply) => return Action::Reply(reply),
        };
        self.state = State::Envelope { recipients: 0 };
        self.transactions += 1;
        self.idle_commands = 0;
        Action::Mail { path, params, size }
    }

    /// Checks MAIL's parameters against what was offered (RFC 5321 4.1.1.11).
    fn mail_params(&self, path: &ReversePath, params: &Params) -> Result<Option<u64>, Reply> {
        for (name, value) in params.iter() {
            let offered = |extension| self.extended && self.offer.backends.has(extension);
            let known = match (name.to_ascii_uppercase().as_str(), value) {
                ("SIZE", Some(_)) => self.extended,
                ("BODY", Some(value)) => match value.to_ascii_uppercase().as_str() {
                    "7BIT" | "8BITMIME" => offered(Extension::EightBitMime),
                    _ => false,
                },
                ("SMTPUTF8", None) => offered(Extension::SmtpUtf8),
                ("RET" | "ENVID", Some(_)) => offered(Extension::Dsn),
                ("AUTH", Some(value)) if self.offers_auth() => match is_xtext_mailbox(value) {
                    true => true,
                    false => return Err(refusal::command_error(&CommandError::Parameter)),
                },
                _ => false,
            };
            if !known {
                return Err(refusal::UNKNOWN_PARAMETER);
            }
        }
        let size = params.declared_size().map_err(|why| refusal::command_error(&why))?;
        if size.is_some_and(|size| self.offer.size > 0 && size > self.offer.size) {
            return Err(refusal::TOO_BIG);
        }
        match path {
            ReversePath::Mailbox(mailbox) if mailbox.needs_smtputf8() && params.get("SMTPUTF8").is_none() => {
                Err(refusal::NEEDS_SMTPUTF8)
            }
            _ => Ok(size),
        }
    }

    fn rcpt(&mut self, path: ForwardPath, params: Params, limits: &Limits) -> Action {
        let recipients = match self.state {
            State::Fresh | State::Ready => return Action::Reply(refusal::NEED_MAIL),
            State::Chunks => return Action::Reply(refusal::MIXED_FRAMING),
            State::Envelope { recipients } => recipients,
        };
        for (name, _) in params.iter() {
            let dsn = matches!(name.to_ascii_uppercase().as_str(), "NOTIFY" | "ORCPT");
            if !(dsn && self.extended && self.offer.backends.has(Extension::Dsn)) {
                return Action::Reply(refusal::UNKNOWN_PARAMETER);
            }
        }
        if recipients >= limits.recipients {
            return Action::Reply(refusal::TOO_MANY_RECIPIENTS);
        }
        Action::Rcpt { path, params }
    }

    /// The reply to EHLO or HELO; from now on `offer` is what is offered, and no transaction is open.
    pub fn hello_reply(&mut self, hostname: &str, extended: bool, offer: Offer) -> Reply {
        self.state = State::Ready;
        self.extended = extended;
        self.offer = offer;
        if !extended {
            return Reply::new(250, None, hostname);
        }
        let mut text = format!("{hostname}\nPIPELINING\nSIZE {}", self.offer.size);
        for extension in [Extension::EightBitMime, Extension::SmtpUtf8, Extension::Dsn, Extension::EnhancedStatusCodes]
        {
            if self.offer.backends.has(extension) {
                text.push('\n');
                text.push_str(extension.keyword());
            }
        }
        text.push_str("\nCHUNKING");
        if self.offer.tls && !self.encrypted {
            text.push_str("\nSTARTTLS");
        }
        if self.offers_auth() {
            text.push_str("\nAUTH ");
            text.push_str(&self.offer.backends.mechanisms().join(" "));
        }
        if self.offer.xclient {
            text.push_str("\nXCLIENT NAME ADDR HELO");
        }
        Reply::new(250, None, text)
    }

    fn offers_auth(&self) -> bool {
        self.extended && self.offer.access == Access::Auth && !self.offer.backends.mechanisms().is_empty()
    }

    /// A recipient was accepted.
    pub fn recipient_accepted(&mut self) {
        if let State::Envelope { recipients } = &mut self.state {
            *recipients += 1;
        }
    }

    /// The transaction is over, however it ended.
    pub fn end_transaction(&mut self) {
        if self.in_transaction() {
            self.state = State::Ready;
        }
    }

    /// TLS or XCLIENT: nothing that was said before counts any more (RFC 3207 4.2).
    pub fn start_over(&mut self, encrypted: bool) {
        self.state = State::Fresh;
        self.extended = false;
        self.encrypted |= encrypted;
        self.authenticated = false;
    }

    /// XCLIENT: the counts were another client's.
    pub fn forget_client(&mut self) {
        (self.errors, self.idle_commands, self.transactions) = (0, 0, 0);
    }

    /// Refused commands of this client so far.
    pub fn errors(&self) -> u32 {
        self.errors
    }

    /// True within TLS.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }
}

/// `<>`, or a mailbox as xtext (RFC 4954 5, RFC 3461 4).
fn is_xtext_mailbox(value: &str) -> bool {
    let mut octets = value.bytes();
    let is_hex = |octet: Option<u8>| octet.is_some_and(|octet| matches!(octet, b'0'..=b'9' | b'A'..=b'F'));
    while let Some(octet) = octets.next() {
        let fits = match octet {
            b'+' => is_hex(octets.next()) && is_hex(octets.next()),
            other => (b'!'..=b'~').contains(&other) && other != b'=',
        };
        if !fits {
            return false;
        }
    }
    !value.is_empty()
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}
