//! Commands of the client: one line in, one value out (RFC 5321 4.1).

use std::fmt;
use std::net::IpAddr;

use super::path::{ForwardPath, PathError, ReversePath};

/// The argument of HELO or EHLO: kept as it came, judged by checks, refused only if it is no word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeloName(String);

impl HeloName {
    /// The text as the client wrote it (lossy UTF-8, no control characters).
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HeloName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// ESMTP parameters of MAIL or RCPT, in order, unknown ones included (RFC 5321 4.1.1.11).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, Option<String>)>);

impl Params {
    /// The value of `keyword` (any case): `None` if absent, `Some(None)` if it has no value.
    pub fn get(&self, keyword: &str) -> Option<Option<&str>> {
        self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(keyword)).map(|(_, value)| value.as_deref())
    }

    /// All of them, spelled as they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}

/// One attribute of XCLIENT (Postfix XCLIENT_README), decoded from xtext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XclientAttribute {
    /// ADDR=; `None` for [UNAVAILABLE] or [TEMPUNAVAIL].
    Addr(Option<IpAddr>),
    /// NAME=.
    Name(Option<String>),
    /// HELO=.
    Helo(Option<String>),
    /// PROTO=, PORT=, LOGIN=, DESTADDR=, DESTPORT= and the like: known, without effect here.
    Other(String),
}

/// A command of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// EHLO.
    Ehlo(HeloName),
    /// HELO.
    Helo(HeloName),
    /// MAIL FROM.
    Mail {
        /// The sender.
        path: ReversePath,
        /// ESMTP parameters.
        params: Params,
    },
    /// RCPT TO.
    Rcpt {
        /// The recipient, source route taken off.
        path: ForwardPath,
        /// ESMTP parameters.
        params: Params,
    },
    /// DATA.
    Data,
    /// BDAT (RFC 3030).
    Bdat {
        /// Octets of this chunk.
        size: u64,
        /// True for the last chunk.
        last: bool,
    },
    /// RSET.
    Rset,
    /// NOOP, its argument ignored.
    Noop,
    /// QUIT.
    Quit,
    /// VRFY.
    Vrfy,
    /// EXPN.
    Expn,
    /// HELP.
    Help,
    /// STARTTLS (RFC 3207).
    StartTls,
    /// AUTH (RFC 4954): known, never offered on an edge listener.
    Auth,
    /// XCLIENT.
    Xclient(Vec<XclientAttribute>),
    /// SEND, SOML, SAML, TURN, ATRN, ETRN and other verbs of old: known and refused with 502.
    Obsolete(&'static str),
}

/// Why a line is no command. `verb` errors are 500, argument errors 501, parameters 555 or 501.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// 500 5.5.2.
    #[error("unknown command")]
    Unknown,
    /// 500 5.5.2: the first line of an HTTP request; the session ends.
    #[error("this is SMTP, not HTTP")]
    Http,
    /// 501 5.5.4: an argument where none may stand, or none where one must.
    #[error("{0}")]
    Syntax(&'static str),
    /// 501 5.1.7: bad reverse-path (553 5.6.7 where SMTPUTF8 would be needed).
    #[error("bad sender address: {0}")]
    ReversePath(PathError),
    /// 501 5.1.3: bad forward-path.
    #[error("bad recipient address: {0}")]
    ForwardPath(PathError),
    /// 501 5.5.4: not `keyword[=value]`, or given twice.
    #[error("malformed parameter")]
    Parameter,
    /// 500 5.5.2: NUL or another control character in the line.
    #[error("control character in command")]
    Control,
    /// 501 5.5.4: bad BDAT size; what follows cannot be told from commands.
    #[error("bad chunk size")]
    ChunkSize,
}

/// The longest command line of `verb` in octets, CRLF included: RFC 5321 4.5.3.1.4 plus what
/// the extensions add (RFC 1870, 3461, 6152, 6531, and room for those we do not know).
pub const LINE_LIMIT: usize = 4096;

/// Parses one line without its line end.
pub fn parse(_line: &[u8]) -> Result<Command, CommandError> {
    todo!()
}
