//! The server side of the dialogue without I/O: what a command means in the state that we are in.
//!
//! Order of every decision: is it well formed, is it allowed now, is it within the limits; what then
//! remains to be done is an [`Action`] for the driver.

use super::offer::{Access, Offer};
use super::refusal;
use super::settings::Limits;
use crate::smtp::parameter::Place;
use crate::smtp::sasl::Response;
use crate::smtp::{
    Command, CommandError, Extension, ForwardPath, HeloName, Params, Reply, ReversePath, XclientAttribute,
    XforwardAttribute, command,
};

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
    /// The client had the next message from somebody else.
    Xforward(Vec<(XforwardAttribute, Option<String>)>),
    /// Pass a command on, and say what the backend says.
    Ask(Question),
    /// Say 221 and close.
    Quit,
}

/// A command that is passed on as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// VRFY, EXPN or ETRN.
    pub verb: Extension,
    /// What stands behind it.
    pub argument: String,
}

/// Octets of a command that is passed on, line end included (RFC 5321 4.5.3.1.4).
const MAX_QUESTION: usize = 512;

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
    /// The open transaction's message comes in chunks of any octets.
    binary: bool,
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
            binary: false,
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

    /// True if the open transaction is one of BODY=BINARYMIME.
    pub fn is_binary(&self) -> bool {
        self.binary && self.in_transaction()
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
                State::Envelope { .. } if self.binary => Action::Reply(refusal::BINARY_WITHOUT_CHUNKS),
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
            Command::Vrfy(argument) => self.question(Extension::Vrfy, argument, limits),
            Command::Expn(argument) => self.question(Extension::Expn, argument, limits),
            Command::Etrn(argument) => self.question(Extension::Etrn, argument, limits),
            Command::Help => self.idle(Action::Reply(refusal::HELP), limits),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),
            Command::Obsolete(_) => Action::Reply(refusal::NOT_IMPLEMENTED),
            Command::Quit => Action::Quit,
            Command::StartTls if !self.offer.tls || self.encrypted || !self.extended => {
                Action::Reply(refusal::NO_TLS_NOW)
            }
            Command::StartTls => Action::StartTls,
            Command::Xclient(_) if !self.offer.xclient => Action::Reply(refusal::NOT_AUTHORIZED),
            Command::Xclient(_) if self.in_transaction() => Action::Reply(refusal::NOT_IN_TRANSACTION),
            Command::Xclient(attributes) => Action::Xclient(attributes),
            Command::Xforward(_) if !self.offer.xforward => Action::Reply(refusal::NOT_AUTHORIZED),
            Command::Xforward(_) if self.in_transaction() => Action::Reply(refusal::NOT_IN_TRANSACTION),
            Command::Xforward(attributes) => self.idle(Action::Xforward(attributes), limits),
        }
    }

    /// True if this command of this client is passed on.
    fn is_relayed(&self, verb: Extension) -> bool {
        let relayed = match verb {
            Extension::Vrfy => self.offer.relayed.vrfy,
            Extension::Expn => self.offer.relayed.expn,
            // The others a server may have without naming them (RFC 5321 3.5.2).
            Extension::Etrn => self.offer.relayed.etrn && self.offer.backends.has(Extension::Etrn),
            _ => false,
        };
        relayed && (self.offer.may_ask || self.authenticated)
    }

    /// VRFY, EXPN (RFC 5321 4.1.1.6, 4.1.1.7) or ETRN (RFC 1985 5).
    fn question(&mut self, verb: Extension, argument: String, limits: &Limits) -> Action {
        let is_etrn = verb == Extension::Etrn;
        // Said by a word of its own (RFC 6531 3.7.4.2), which no name of a host takes.
        let says_utf8 = !is_etrn && argument.to_ascii_uppercase().ends_with(" SMTPUTF8");
        let is_sayable = argument.is_ascii() || says_utf8 && self.offer.has(Extension::SmtpUtf8);
        Action::Reply(match () {
            () if !self.is_relayed(verb) && verb == Extension::Vrfy => {
                return self.idle(Action::Reply(refusal::CANNOT_VERIFY), limits);
            }
            () if !self.is_relayed(verb) => refusal::NOT_IMPLEMENTED,
            () if is_etrn && self.state == State::Fresh => refusal::NEED_HELLO,
            () if is_etrn && self.in_transaction() => refusal::NOT_IN_TRANSACTION,
            // The backend's connection is busy with the transaction.
            () if self.in_transaction() => return self.idle(Action::Reply(refusal::CANNOT_VERIFY), limits),
            () if argument.is_empty() || is_etrn && argument.contains(' ') => {
                refusal::command_error(&CommandError::Syntax("one argument must follow"))
            }
            () if verb.keyword().len() + 1 + argument.len() + 2 > MAX_QUESTION => refusal::LINE_TOO_LONG,
            () if !is_sayable => refusal::NEEDS_SMTPUTF8,
            () => return self.idle(Action::Ask(Question { verb, argument }), limits),
        })
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
        self.binary = params.get("BODY").flatten().is_some_and(|body| body.eq_ignore_ascii_case("BINARYMIME"));
        self.state = State::Envelope { recipients: 0 };
        self.transactions += 1;
        self.idle_commands = 0;
        Action::Mail { path, params, size }
    }

    /// Checks parameters against what was offered: to a client that said HELO, nothing.
    fn check(&self, place: Place, params: &Params) -> Result<(), Reply> {
        if !self.extended && !params.is_empty() {
            return Err(refusal::UNKNOWN_PARAMETER);
        }
        self.offer.check(place, params)
    }

    /// The declared size of a MAIL whose parameters fit.
    fn mail_params(&self, path: &ReversePath, params: &Params) -> Result<Option<u64>, Reply> {
        self.check(Place::Mail, params)?;
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
        if let Err(reply) = self.check(Place::Rcpt, &params) {
            return Action::Reply(reply);
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
        self.offer.reply(hostname, self.authenticated)
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
        self.offer.may_ask = false;
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

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}
