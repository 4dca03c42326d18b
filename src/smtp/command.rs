//! Commands of the client: one line in, one value out (RFC 5321 4.1).

use std::fmt;

use super::path::{ForwardPath, PathError, ReversePath};
use super::sasl::{self, Response};

mod params;
mod xclient;
mod xforward;

pub use params::Params;
pub use xclient::{XclientAttribute, write_address};
pub use xforward::{Forwarded, XforwardAttribute};

/// The argument of HELO or EHLO: kept as it came, judged by checks, refused only if it is no word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeloName(String);

/// Octets of a HELO argument (RFC 5321 4.5.3.1.2).
const MAX_HELO: usize = 255;

impl HeloName {
    /// Takes one word without control characters, of at most 255 octets as we keep it.
    pub fn parse(text: &[u8]) -> Result<Self, CommandError> {
        let name = String::from_utf8_lossy(text);
        match () {
            () if name.is_empty() => Err(CommandError::Syntax("a host name must follow")),
            () if name.len() > MAX_HELO => Err(CommandError::Syntax("host name too long")),
            () if name.contains(|c: char| c == ' ' || c.is_control()) => {
                Err(CommandError::Syntax("the host name must be one word"))
            }
            () => Ok(Self(name.into_owned())),
        }
    }

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
    /// VRFY, with what stands behind it.
    Vrfy(String),
    /// EXPN, with what stands behind it.
    Expn(String),
    /// ETRN (RFC 1985), with what stands behind it.
    Etrn(String),
    /// HELP.
    Help,
    /// STARTTLS (RFC 3207).
    StartTls,
    /// AUTH (RFC 4954): never offered on an edge listener.
    Auth {
        /// Its name, in upper case.
        mechanism: String,
        /// The initial response, if there is one.
        initial: Option<Response>,
    },
    /// XCLIENT.
    Xclient(Vec<XclientAttribute>),
    /// XFORWARD: attributes, and their values where they are known.
    Xforward(Vec<(XforwardAttribute, Option<String>)>),
    /// SEND, SOML, SAML, TURN, ATRN and other verbs of old: known and refused with 502.
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

/// What opens an HTTP request: these words are no SMTP verbs, and a browser or a proxy says them.
const HTTP_METHODS: [&[u8]; 10] =
    [b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT", b"DELETE", b"PATCH", b"TRACE", b"PRI"];

/// Verbs of old, known and refused: whoever says TURN (RFC 821) or ATRN (RFC 2645) wants to be the server, and would get
/// mail by a name that he only claims.
const OBSOLETE: [&str; 5] = ["SEND", "SOML", "SAML", "TURN", "ATRN"];

/// Parses one line without its line end.
pub fn parse(line: &[u8]) -> Result<Command, CommandError> {
    if line.iter().any(u8::is_ascii_control) {
        return Err(CommandError::Control);
    }
    let line = line.trim_ascii_end();
    let (verb, rest) = match line.iter().position(|&octet| octet == b' ') {
        Some(space) => line.split_at(space),
        None => (line, Default::default()),
    };
    if !rest.is_empty() && HTTP_METHODS.contains(&verb) {
        return Err(CommandError::Http);
    }
    let argument = rest.trim_ascii_start();
    let mut upper = [0; 8];
    let Some(upper) = upper.get_mut(..verb.len()) else { return Err(CommandError::Unknown) };
    upper.copy_from_slice(verb);
    upper.make_ascii_uppercase();
    match &*upper {
        b"EHLO" => HeloName::parse(argument).map(Command::Ehlo),
        b"HELO" => HeloName::parse(argument).map(Command::Helo),
        b"MAIL" => parse_mail(argument),
        b"RCPT" => parse_rcpt(argument),
        b"DATA" => without_argument(argument, Command::Data),
        b"BDAT" => parse_bdat(argument),
        b"RSET" => without_argument(argument, Command::Rset),
        b"NOOP" => Ok(Command::Noop),
        b"QUIT" => without_argument(argument, Command::Quit),
        b"VRFY" => text_of(argument).map(Command::Vrfy),
        b"EXPN" => text_of(argument).map(Command::Expn),
        b"ETRN" => text_of(argument).map(Command::Etrn),
        b"HELP" => Ok(Command::Help),
        b"STARTTLS" => without_argument(argument, Command::StartTls),
        b"AUTH" => parse_auth(argument),
        b"XCLIENT" => {
            let text = std::str::from_utf8(argument).map_err(|_| CommandError::Parameter)?;
            xclient::parse(text).map(Command::Xclient)
        }
        b"XFORWARD" => {
            let text = std::str::from_utf8(argument).map_err(|_| CommandError::Parameter)?;
            xforward::parse(text).map(Command::Xforward)
        }
        other => {
            let known = OBSOLETE.into_iter().find(|verb| verb.as_bytes() == other);
            known.map(Command::Obsolete).ok_or(CommandError::Unknown)
        }
    }
}

/// True if the line looks like a field of a message or of an HTTP request (`Subject: x`, `Host: y`): what
/// is said by software that pours a request or a message into the port without waiting for replies.
pub fn looks_like_header(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|&octet| octet == b':') else { return false };
    let name = line.get(..colon).unwrap_or_default().trim_ascii_end();
    let is_name = |&octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    !name.is_empty() && name.iter().all(is_name)
}

fn without_argument(argument: &[u8], command: Command) -> Result<Command, CommandError> {
    if argument.is_empty() { Ok(command) } else { Err(CommandError::Syntax("no argument may follow")) }
}

fn text_of(argument: &[u8]) -> Result<String, CommandError> {
    let text = std::str::from_utf8(argument).map_err(|_| CommandError::Syntax("the argument is no UTF-8"))?;
    Ok(text.to_owned())
}

fn parse_mail(argument: &[u8]) -> Result<Command, CommandError> {
    let text = after_keyword(argument, b"FROM:").ok_or(CommandError::Syntax("MAIL FROM:<address> expected"))?;
    let text = std::str::from_utf8(text).map_err(|_| CommandError::ReversePath(PathError::NotAscii))?;
    let (path, rest) = ReversePath::parse_bracketed(text).map_err(CommandError::ReversePath)?;
    Ok(Command::Mail { path, params: Params::parse(rest)? })
}

fn parse_rcpt(argument: &[u8]) -> Result<Command, CommandError> {
    let text = after_keyword(argument, b"TO:").ok_or(CommandError::Syntax("RCPT TO:<address> expected"))?;
    let text = std::str::from_utf8(text).map_err(|_| CommandError::ForwardPath(PathError::NotAscii))?;
    let (path, rest) = ForwardPath::parse_bracketed(text).map_err(CommandError::ForwardPath)?;
    Ok(Command::Rcpt { path, params: Params::parse(rest)? })
}

/// What follows `keyword`. Spaces behind the colon are wrong and common, and harm nobody.
fn after_keyword<'a>(argument: &'a [u8], keyword: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = argument.split_at_checked(keyword.len())?;
    head.eq_ignore_ascii_case(keyword).then(|| rest.trim_ascii_start())
}

/// Whether the response is base64 is said where the exchange is followed.
fn parse_auth(argument: &[u8]) -> Result<Command, CommandError> {
    let mut words = argument.split(|&octet| octet == b' ').filter(|word| !word.is_empty());
    let mechanism =
        words.next().and_then(|word| std::str::from_utf8(word).ok()).filter(|name| sasl::is_mechanism(name));
    let mechanism = mechanism.ok_or(CommandError::Syntax("AUTH mechanism expected"))?.to_ascii_uppercase();
    let initial = words.next().map(Response::initial);
    match words.next() {
        None => Ok(Command::Auth { mechanism, initial }),
        Some(_) => Err(CommandError::Syntax("one initial response at most")),
    }
}

fn parse_bdat(argument: &[u8]) -> Result<Command, CommandError> {
    let mut words = argument.split(|&octet| octet == b' ').filter(|word| !word.is_empty());
    let digits = words.next().filter(|word| word.iter().all(u8::is_ascii_digit)).ok_or(CommandError::ChunkSize)?;
    let size = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    let size = size.ok_or(CommandError::ChunkSize)?;
    let last = words.next().map(|word| word.eq_ignore_ascii_case(b"LAST"));
    match (last, words.next()) {
        (None | Some(true), None) => Ok(Command::Bdat { size, last: last.is_some() }),
        _ => Err(CommandError::ChunkSize),
    }
}

#[cfg(test)]
mod tests;
