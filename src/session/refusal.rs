//! All wording of our own replies: the only place with 4xx and 5xx texts.

use crate::backend::{BackendError, Need};
use crate::facts::Violation;
use crate::pipeline::Decision;
use crate::records::TransactionId;
use crate::smtp::sasl::Unheard;
use crate::smtp::{CommandError, DataError, EnhancedStatus, Extension, ForwardPath, PathError, Reply};
use crate::verdict::Verdict;

macro_rules! replies {
    ($($(#[$doc:meta])* $name:ident = $code:literal $class:literal $subject:literal $detail:literal $text:literal;)*) => {$(
        $(#[$doc])*
        pub const $name: Reply = Reply::fixed($code, EnhancedStatus($class, $subject, $detail), $text);
    )*

        /// All of the above with their names, for the catalogue of replies.
        pub const ALL: &[(&str, Reply)] = &[$((stringify!($name), $name)),*];
    };
}

replies! {
    /// To MAIL: provisional; the backend's own word on it is spoken at RCPT.
    SENDER_OK = 250 2 1 0 "Ok";
    /// To RCPT, for a trap that the backend does not know.
    RECIPIENT_OK = 250 2 1 5 "Ok";
    /// To RSET and NOOP.
    OK = 250 2 0 0 "Ok";
    /// To a chunk that is not the last.
    CHUNK_OK = 250 2 0 0 "Chunk taken";
    /// To QUIT.
    BYE = 221 2 0 0 "Bye";
    /// To VRFY.
    CANNOT_VERIFY = 252 2 0 0 "Cannot verify; send it, and see";
    /// To STARTTLS.
    READY_FOR_TLS = 220 2 0 0 "Ready to start TLS";
    /// Commands out of order.
    NEED_HELLO = 503 5 5 1 "Say EHLO or HELO first";
    /// Commands out of order.
    NEED_MAIL = 503 5 5 1 "Need MAIL first";
    /// Commands out of order.
    NESTED_MAIL = 503 5 5 1 "A transaction is open already";
    /// DATA without a recipient.
    NO_RECIPIENTS = 554 5 5 1 "No valid recipients";
    /// DATA behind BDAT.
    MIXED_FRAMING = 503 5 5 1 "DATA and BDAT do not mix";
    /// DATA where the message may hold any octets (RFC 3030 3).
    BINARY_WITHOUT_CHUNKS = 503 5 5 1 "BINARYMIME needs BDAT";
    /// XCLIENT, XFORWARD, AUTH or ETRN within a transaction.
    NOT_IN_TRANSACTION = 503 5 5 1 "Not within a transaction";
    /// STARTTLS within TLS, or not offered.
    NO_TLS_NOW = 503 5 5 1 "STARTTLS is not available now";
    /// A verb that we know and do not serve.
    NOT_IMPLEMENTED = 502 5 5 1 "Command not implemented";
    /// XCLIENT or XFORWARD from somebody else.
    NOT_AUTHORIZED = 550 5 7 0 "Not authorized";
    /// A command line beyond the limit.
    LINE_TOO_LONG = 500 5 5 6 "Line too long";
    /// A bare LF behind a command, where that is refused.
    BARE_LF_COMMAND = 500 5 5 2 "Command lines end in CRLF";
    /// A parameter that was not offered.
    UNKNOWN_PARAMETER = 555 5 5 4 "Parameter not recognized or not offered";
    /// An address that needs SMTPUTF8, without it.
    NEEDS_SMTPUTF8 = 553 5 6 7 "Non-ASCII address without SMTPUTF8";
    /// A declared or actual size beyond the limit.
    TOO_BIG = 552 5 3 4 "Message size exceeds the limit";
    /// More recipients than one transaction takes.
    TOO_MANY_RECIPIENTS = 452 4 5 3 "Too many recipients; send the rest in another transaction";
    /// Recipients that must be judged apart (RFC 5321 4.5.3.1.10).
    OTHER_TRANSACTION = 452 4 5 3 "Please send to this recipient in another transaction";
    /// More errors than a session may make.
    TOO_MANY_ERRORS = 421 4 7 0 "Too many errors";
    /// More idle commands than a session may send.
    TOO_MANY_IDLE_COMMANDS = 421 4 7 0 "Too many commands without a message";
    /// More transactions than a session may make.
    TOO_MANY_TRANSACTIONS = 421 4 7 0 "Too many transactions; connect again";
    /// The session is too old.
    SESSION_TOO_LONG = 421 4 7 0 "Session too long; connect again";
    /// The client was silent for too long.
    TIMED_OUT = 421 4 4 2 "Timeout exceeded";
    /// We are going down.
    SHUTTING_DOWN = 421 4 3 2 "Shutting down; try again later";
    /// All session slots are taken.
    TOO_BUSY = 421 4 3 2 "Too many sessions; try again later";
    /// All session slots of this client are taken.
    TOO_MANY_FROM_YOU = 421 4 7 0 "Too many sessions from your network; try again later";
    /// No bytes left for the message.
    SPOOL_FULL = 452 4 3 1 "Insufficient storage; try again later";
    /// A backend that cannot be reached, or broke off before the message was handed over.
    BACKEND_DOWN = 451 4 3 0 "Mail server temporarily unavailable; try again later";
    /// A backend that broke off while it had the message.
    BACKEND_LOST = 451 4 4 2 "Lost the mail server before it answered; try again later";
    /// A backend that changed its mind about the envelope.
    ENVELOPE_CHANGED = 451 4 3 0 "Mail server changed its answer; try again later";
    /// What the message needs is offered again later.
    CANNOT_CARRY_NOW = 451 4 3 0 "Mail server cannot take this kind of message now; try again later";
    /// What the message needs is offered by no backend.
    CANNOT_CARRY = 554 5 6 3 "Mail server cannot take this kind of message";
    /// SMTPUTF8 is offered by no backend.
    CANNOT_CARRY_UTF8 = 550 5 6 7 "Mail server does not take internationalized addresses";
    /// REQUIRETLS is offered by no backend, or its connection is not secure enough (RFC 8689 4.2).
    CANNOT_CARRY_SECURELY = 550 5 7 30 "Mail server does not take messages that require TLS";
    /// A recipient that is not ours.
    RELAYING_DENIED = 550 5 7 1 "Relaying denied";
    /// A recipient that the map of its domain does not know.
    NO_SUCH_RECIPIENT = 550 5 1 1 "No such recipient here";
    /// The same where the map is empty or old.
    RECIPIENT_DOUBTFUL = 450 4 1 1 "Recipient cannot be verified now; try again later";
    /// More Received fields than a message may have.
    LOOP = 554 5 4 6 "Too many hops: this message loops";
    /// A header section beyond what is judged.
    HEADER_TOO_LARGE = 552 5 3 4 "Header section too large";
    /// Recipients whose policies lead to different verdicts (DECISIONS 2).
    SPLIT = 451 4 7 1 "Recipients differ in what they accept; try again, and they will be taken one after another";
    /// A backend that answers for each recipient has taken the message for some and not for others (DECISIONS 26).
    DELIVERED_TO_SOME = 451 4 5 0 "Delivered to some recipients and not to others; try again, and each will be answered alone";
    /// The same again, and all who are left have it.
    DELIVERED_BEFORE = 250 2 0 0 "Delivered to all these recipients at an earlier attempt";
    /// MAIL from a balancer that said that it only asks whether we live.
    HEALTH_CHECK = 550 5 7 0 "A health check carries no mail";
    /// AUTH or MAIL in clear, where TLS must come first (RFC 3207 4).
    NEED_STARTTLS = 530 5 7 0 "Must issue a STARTTLS command first";
    /// MAIL before AUTH, where that must come first (RFC 4954 6).
    AUTH_REQUIRED = 530 5 7 0 "Authentication required";
    /// AUTH in clear (RFC 4954 6).
    AUTH_NEEDS_TLS = 538 5 7 11 "Encryption required for requested authentication mechanism";
    /// AUTH again (RFC 4954 4).
    ALREADY_AUTHENTICATED = 503 5 5 1 "Already authenticated";
    /// A mechanism that was not offered.
    UNKNOWN_MECHANISM = 504 5 5 4 "Unrecognized authentication type";
    /// A mechanism that wants to encrypt what follows beyond us.
    NO_LAYERS = 504 5 5 4 "Security layers are not available here";
    /// A response beyond the limit (RFC 4954 4).
    AUTH_LINE_TOO_LONG = 500 5 5 6 "Authentication exchange line is too long";
    /// A response that is no line of base64.
    AUTH_SYNTAX = 501 5 5 2 "Cannot decode response";
    /// No backend that could be asked.
    AUTH_UNAVAILABLE = 454 4 7 0 "Temporary authentication failure";
    /// More failed authentications than a session may have.
    TOO_MANY_AUTH_FAILURES = 421 4 7 0 "Too many failed authentications";
    /// The backend connection on which the client has authenticated is gone.
    OWN_BACKEND_LOST = 421 4 4 2 "Lost the mail server that you authenticated to; connect again";
    /// MAIL at an outbound listener, from a network that may not use it.
    ACCESS_DENIED = 550 5 7 1 "Access denied";
    /// HTTP.
    NOT_HTTP = 521 5 5 1 "This is an SMTP server";
    /// A protocol violation that is refused at once.
    PROTOCOL_ERROR = 521 5 5 1 "Protocol error";
}

/// To DATA.
pub const START_MAIL: Reply = Reply::plain(354, "End data with <CR><LF>.<CR><LF>");
/// To HELP.
pub const HELP: Reply = Reply::plain(
    214,
    "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS\nSee RFC 5321; questions go to the postmaster",
);

/// Replies that mean that a limit of a session was reached, with the word for metrics.
pub const LIMITS: [(&str, Reply); 9] = [
    ("auth_failures", TOO_MANY_AUTH_FAILURES),
    ("errors", TOO_MANY_ERRORS),
    ("hops", LOOP),
    ("idle_commands", TOO_MANY_IDLE_COMMANDS),
    ("message_size", TOO_BIG),
    ("recipients", TOO_MANY_RECIPIENTS),
    ("session", SESSION_TOO_LONG),
    ("silence", TIMED_OUT),
    ("transactions", TOO_MANY_TRANSACTIONS),
];

/// To a line that is no command.
pub fn command_error(why: &CommandError) -> Reply {
    let (code, status) = match why {
        CommandError::Unknown | CommandError::Control => (500, EnhancedStatus(5, 5, 2)),
        CommandError::Http => return NOT_HTTP,
        CommandError::Syntax(_) | CommandError::Parameter | CommandError::ChunkSize => (501, EnhancedStatus(5, 5, 4)),
        CommandError::ReversePath(PathError::NotAscii) | CommandError::ForwardPath(PathError::NotAscii) => {
            return NEEDS_SMTPUTF8;
        }
        CommandError::ReversePath(_) => (501, EnhancedStatus(5, 1, 7)),
        CommandError::ForwardPath(_) => (501, EnhancedStatus(5, 1, 3)),
    };
    let text = why.to_string();
    let mut letters = text.chars();
    let text = letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or(text);
    Reply::new(code, Some(status), text)
}

/// To a message whose end, or whose line ends, cannot be agreed upon.
pub fn data_error(why: DataError) -> Reply {
    let text = match why {
        DataError::LoneDot => "Lone dot between bare line ends: the end of the message is ambiguous",
        DataError::BareNewline => "Bare CR or LF in message; lines end in CRLF (RFC 5321 2.3.8)",
        DataError::HeaderControl => "Bare CR or NUL in the header section",
    };
    Reply::new(554, Some(EnhancedStatus(5, 6, 0)), text)
}

/// To a violation that is configured to be refused.
pub fn violation(_which: Violation) -> Reply {
    PROTOCOL_ERROR
}

/// To RCPT, when the backend gave no reply.
pub fn backend_failure(why: &BackendError, need: &Need) -> Reply {
    match why {
        BackendError::CannotCarry { permanent: true, too_big: true } => TOO_BIG,
        BackendError::CannotCarry { permanent: true, .. } if need.smtputf8 => CANNOT_CARRY_UTF8,
        BackendError::CannotCarry { permanent: true, .. } if need.others.has(Extension::RequireTls) => {
            CANNOT_CARRY_SECURELY
        }
        BackendError::CannotCarry { permanent: true, .. } => CANNOT_CARRY,
        BackendError::CannotCarry { permanent: false, .. } => CANNOT_CARRY_NOW,
        _ => BACKEND_DOWN,
    }
}

/// What a refusing decision says. `recipient` is named at RCPT only.
pub fn decision(decision: &Decision, recipient: Option<&ForwardPath>, id: TransactionId) -> Reply {
    let (code, class) = match decision.verdict {
        Verdict::Reject if recipient.is_some() => (550, 5),
        Verdict::Reject => (554, 5),
        // The code for reasons of policy, at RCPT and after the message (RFC 5321 4.3.2).
        Verdict::Defer | Verdict::Forward => (450, 4),
    };
    let whom = recipient.map(|path| format!("<{path}>: ")).unwrap_or_default();
    let why = words(decision, class);
    let (subject, detail) = decision.status.unwrap_or((7, 1));
    Reply::new(code, Some(EnhancedStatus(class, subject, detail)), format!("{whom}{why}; id {id}"))
}

/// In place of the greeting: the client is to connect again later.
pub fn turned_away(decision: &Decision, id: TransactionId) -> Reply {
    let (subject, detail) = decision.status.unwrap_or((7, 0));
    Reply::new(421, Some(EnhancedStatus(4, subject, detail)), format!("{}; id {id}", words(decision, 4)))
}

/// To a response that is not passed on.
pub fn unheard(why: Unheard) -> Reply {
    match why {
        Unheard::Layer => NO_LAYERS,
        Unheard::Syntax => AUTH_SYNTAX,
    }
}

/// To AUTH, from whoever failed too often lately, as `why` says.
pub fn too_many_auth_failures(why: &str) -> Reply {
    Reply::new(421, Some(EnhancedStatus(4, 7, 0)), why)
}

/// Why, in the words of the clause or of the finding that weighs most.
fn words(decision: &Decision, class: u8) -> String {
    let why = match (&decision.text, decision.because.first()) {
        (Some(text), _) => text.to_string(),
        (None, Some(finding)) if !finding.evidence.as_str().is_empty() => {
            format!("refused ({}: {})", finding.symbol, finding.evidence.as_str())
        }
        (None, Some(finding)) => format!("refused ({})", finding.symbol),
        (None, None) => "refused by local policy".to_owned(),
    };
    if class == 4 { why.replacen("refused", "deferred", 1) } else { why }
}

/// To a message that only traps are to have. It does not say so: who has stolen addresses should not learn which are
/// worth it.
pub fn for_traps_alone(id: TransactionId) -> Reply {
    Reply::new(550, Some(EnhancedStatus(5, 7, 1)), format!("refused by local policy; id {id}"))
}

/// The greeting.
pub fn greeting(hostname: &str) -> Reply {
    Reply::new(220, None, format!("{hostname} ESMTP"))
}
