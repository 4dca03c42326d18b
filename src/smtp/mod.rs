//! SMTP as values: bytes in, values out. No I/O, no clock, no policy; nothing of ours is imported.
//!
//! Covers RFC 5321 (2.3.8, 4.1, 4.2, 4.5.2, 4.5.3), RFC 1870 (SIZE), RFC 1985 (ETRN), RFC 2034 and 3463 (enhanced
//! status codes), RFC 2852 (DELIVERBY), RFC 2920 (PIPELINING), RFC 3030 (CHUNKING, BINARYMIME), RFC 3207 (STARTTLS),
//! RFC 3461 (DSN), RFC 3865 (NO-SOLICITING), RFC 4865 (FUTURERELEASE), RFC 4954 (AUTH), RFC 6152 (8BITMIME), RFC 6531
//! (SMTPUTF8), RFC 6710 (MT-PRIORITY), RFC 8689 (REQUIRETLS), RFC 9422 (LIMITS), and Postfix's XCLIENT and XFORWARD.

pub mod command;
pub mod data;
pub mod extension;
pub mod line;
pub mod parameter;
pub mod path;
pub mod reply;
pub mod sasl;
pub mod xtext;

pub use command::{Command, CommandError, Forwarded, HeloName, Params, XclientAttribute, XforwardAttribute};
pub use data::{DataDecoder, DataEncoder, DataError, DataStep, Framing, NewlinePolicy, NewlineStats};
pub use extension::{Extension, ExtensionSet, Extensions};
pub use line::{Line, LineEnd, next_line};
pub use path::{Domain, ForwardPath, Mailbox, PathError, ReversePath, is_host_name};
pub use reply::{EnhancedStatus, Reply, ReplyError, parse_reply};

/// What a parser over a growing buffer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// A value, and how many bytes of the buffer it took.
    Ready {
        /// What was read.
        value: T,
        /// Bytes to take off the buffer.
        consumed: usize,
    },
    /// The buffer ends inside the value.
    NeedMore,
}
