//! Replies (RFC 5321 4.2, RFC 2034, RFC 3463): ours are built, the backend's are parsed and kept as they came.

use std::borrow::Cow;

use super::Step;

/// `class.subject.detail` of RFC 3463.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnhancedStatus(pub u8, pub u16, pub u16);

/// A reply of one or more lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    /// Ours only: printed where ENHANCEDSTATUSCODES is in force.
    status: Option<EnhancedStatus>,
    /// Lines joined by LF, without code, separator or CRLF. The backend's words may be any octets.
    text: Cow<'static, [u8]>,
}

/// Why a server's bytes are no reply (RFC 5321 4.2). The session answers 4xx, never more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// No three digits from 200 to 599, or no separator behind them.
    #[error("malformed reply line")]
    Malformed,
    /// The lines of one reply carry different codes.
    #[error("reply lines with different codes")]
    MixedCodes,
    /// A bare CR, a bare LF or a NUL inside a reply.
    #[error("bare CR, bare LF or NUL in a reply")]
    BareNewline,
    /// More than [`MAX_REPLY`] octets or [`MAX_REPLY_LINES`] lines.
    #[error("reply too long")]
    TooLong,
}

/// Octets of a backend's reply that we are willing to hold.
pub const MAX_REPLY: usize = 16 * 1024;
/// Lines of a backend's reply that we are willing to hold.
pub const MAX_REPLY_LINES: usize = 128;

impl Reply {
    /// A reply of ours. Code and status must be of one class (checked when a constant is built).
    pub const fn fixed(code: u16, status: EnhancedStatus, text: &'static str) -> Reply {
        assert!(code / 100 == status.0 as u16);
        Reply { code, status: Some(status), text: Cow::Borrowed(text.as_bytes()) }
    }

    /// A reply of ours without an enhanced status code: greetings, 354, EHLO and HELP.
    pub const fn plain(code: u16, text: &'static str) -> Reply {
        Reply { code, status: None, text: Cow::Borrowed(text.as_bytes()) }
    }

    /// A reply of ours with words made at run time. `status` is `None` where none may stand.
    pub fn new(code: u16, status: Option<EnhancedStatus>, text: impl Into<String>) -> Reply {
        Reply { code, status, text: Cow::Owned(text.into().into_bytes()) }
    }

    /// The three digits.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// 2, 3, 4 or 5.
    pub fn class(&self) -> u8 {
        (self.code / 100) as u8
    }

    /// True for 2xx.
    pub fn is_positive(&self) -> bool {
        self.class() == 2
    }

    /// The lines, without code and line end.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.text.split(|&octet| octet == b'\n')
    }

    /// Appends the reply as it goes over the wire; enhanced status codes only if `enhanced`. Our own
    /// lines are folded so that none passes 512 octets (RFC 5321 4.5.3.1.5) and cleaned of CR, NUL
    /// and other controls; a backend's lines go out as they came.
    pub fn write(&self, _enhanced: bool, _out: &mut Vec<u8>) {
        todo!()
    }

    /// One line for logs: code, status and text, controls escaped, at most 512 characters.
    pub fn to_log(&self) -> String {
        todo!()
    }
}

/// Takes the first reply off `buf`. Never reads past the last line of that reply.
pub fn parse_reply(_buf: &[u8]) -> Result<Step<Reply>, ReplyError> {
    todo!()
}
