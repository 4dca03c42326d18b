//! Addresses of the envelope (RFC 5321 4.1.2, 4.1.3; RFC 6531 3.3): parsed once, printed as they came.
//!
//! Lenient where leniency harms nobody (dots anywhere in a local part, `_` in a domain), strict where two
//! readers could disagree (control characters, a second `@`, empty labels, open quotes and brackets).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The right half of a mailbox.
#[derive(Clone, Debug)]
pub enum Domain {
    /// A host name, spelled as it came. Compared without regard to case, A-labels equal to U-labels.
    Name(String),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Literal(IpAddr, String),
}

/// `local-part@domain`. Quotes and case of the local part are kept.
#[derive(Clone, Debug)]
pub struct Mailbox {
    local: String,
    domain: Domain,
}

/// The argument of MAIL FROM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReversePath {
    /// `<>`: a delivery report; must be accepted (RFC 5321 4.5.5).
    Null,
    /// Somebody.
    Mailbox(Mailbox),
}

/// The argument of one RCPT TO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardPath {
    /// `<postmaster>` without a domain, spelled as it came (RFC 5321 4.5.1).
    Postmaster(String),
    /// Somebody.
    Mailbox(Mailbox),
}

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not `<...>` or not closed.
    #[error("the address must stand in angle brackets")]
    Brackets,
    /// No `@`, or nothing on one side of it.
    #[error("an address needs a local part and a domain")]
    Incomplete,
    /// An octet that cannot stand in a local part.
    #[error("malformed local part")]
    LocalPart,
    /// Not a domain name nor an address literal.
    #[error("malformed domain")]
    Domain,
    /// RFC 5321 4.5.3.1: local part 64, domain 255, path 256 octets.
    #[error("address too long")]
    TooLong,
    /// Octets above 127 without SMTPUTF8, or no UTF-8 at all.
    #[error("non-ASCII address without SMTPUTF8")]
    NotAscii,
}

/// Octets of a local part (RFC 5321 4.5.3.1.1).
const MAX_LOCAL: usize = 64;
/// Octets of a domain (RFC 5321 4.5.3.1.2).
const MAX_DOMAIN: usize = 255;
/// Octets of a path with its brackets (RFC 5321 4.5.3.1.3), the source route aside.
const MAX_PATH: usize = 256;
/// Octets of one label of a domain name (RFC 1035 2.3.4).
const MAX_LABEL: usize = 63;

impl Mailbox {
    /// Reads `local-part@domain`, without brackets.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let at = local_end(text)?;
        let (local, rest) = text.split_at_checked(at).ok_or(PathError::Incomplete)?;
        let domain = rest.strip_prefix('@').ok_or(PathError::Incomplete)?;
        if local.is_empty() || domain.is_empty() {
            return Err(PathError::Incomplete);
        }
        if local.len() > MAX_LOCAL || domain.len() > MAX_DOMAIN || text.len() + "<>".len() > MAX_PATH {
            return Err(PathError::TooLong);
        }
        check_local(local)?;
        Ok(Self { local: local.to_owned(), domain: Domain::parse(domain)? })
    }

    /// The local part as written, quotes included.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The local part with quoting undone: `"a\ b"` is `a b`.
    pub fn unquoted_local(&self) -> String {
        let Some(quoted) = self.local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return self.local.clone();
        };
        let mut characters = quoted.chars();
        let mut plain = String::with_capacity(quoted.len());
        while let Some(character) = characters.next() {
            plain.extend(if character == '\\' { characters.next() } else { Some(character) });
        }
        plain
    }

    /// As mail servers compare it: unquoted, in lower case, the domain as [`Domain::to_ascii_lower`].
    pub fn folded(&self) -> String {
        format!("{}@{}", self.unquoted_local().to_lowercase(), self.domain.to_ascii_lower())
    }

    /// True if it has octets above 127, so that it needs SMTPUTF8.
    pub fn needs_smtputf8(&self) -> bool {
        let domain = match &self.domain {
            Domain::Name(text) | Domain::Literal(_, text) => text,
        };
        !self.local.is_ascii() || !domain.is_ascii()
    }
}

impl PartialEq for Mailbox {
    /// The local part to the letter, but `"a"@x` is `a@x` (RFC 5321 4.1.2); the domain as [`Domain`] compares.
    fn eq(&self, other: &Self) -> bool {
        let same_local = self.local == other.local || self.unquoted_local() == other.unquoted_local();
        same_local && self.domain == other.domain
    }
}

impl Eq for Mailbox {}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl Domain {
    /// Reads a domain name or an address literal.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if let Some(rest) = text.strip_prefix('[') {
            let literal = rest.strip_suffix(']').ok_or(PathError::Domain)?;
            return Ok(Self::Literal(parse_literal(literal).ok_or(PathError::Domain)?, text.to_owned()));
        }
        check_name(text)?;
        Ok(Self::Name(text.to_owned()))
    }

    /// Lower-case ASCII form (A-labels) without a trailing dot, for comparing and for DNS; literals as `[...]`.
    pub fn to_ascii_lower(&self) -> String {
        match self {
            Self::Name(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                match name.is_ascii() {
                    true => name.to_ascii_lowercase(),
                    false => idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_lowercase()),
                }
            }
            Self::Literal(IpAddr::V4(address), _) => format!("[{address}]"),
            Self::Literal(IpAddr::V6(address), _) => format!("[ipv6:{address}]"),
        }
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(ours), Self::Name(theirs)) => {
                ours.eq_ignore_ascii_case(theirs) || self.to_ascii_lower() == other.to_ascii_lower()
            }
            (Self::Literal(ours, _), Self::Literal(theirs, _)) => ours == theirs,
            _ => false,
        }
    }
}

impl Eq for Domain {}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(text) | Self::Literal(_, text) => f.write_str(text),
        }
    }
}

impl ReversePath {
    /// Reads a reverse-path without angle brackets; the empty string is the null reverse-path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.is_empty() { Ok(Self::Null) } else { Mailbox::parse(text).map(Self::Mailbox) }
    }

    /// Reads `<...>` at the beginning of `input`; also gives what stands behind it.
    pub fn parse_bracketed(input: &str) -> Result<(Self, &str), PathError> {
        let (inner, rest) = split_brackets(input)?;
        Ok((Self::parse(strip_route(inner)?)?, rest))
    }

    /// True for `<>`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The mailbox, unless this is `<>`.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }
}

impl fmt::Display for ReversePath {
    /// Without angle brackets; the null reverse-path is the empty string.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Mailbox(mailbox) => mailbox.fmt(f),
        }
    }
}

impl ForwardPath {
    /// Reads a forward-path without angle brackets.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        match text.eq_ignore_ascii_case("postmaster") {
            true => Ok(Self::Postmaster(text.to_owned())),
            false => Mailbox::parse(text).map(Self::Mailbox),
        }
    }

    /// Reads `<...>` at the beginning of `input`; also gives what stands behind it.
    pub fn parse_bracketed(input: &str) -> Result<(Self, &str), PathError> {
        let (inner, rest) = split_brackets(input)?;
        Ok((Self::parse(strip_route(inner)?)?, rest))
    }

    /// The mailbox, unless this is `<postmaster>`.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Postmaster(_) => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }
}

impl fmt::Display for ForwardPath {
    /// Without angle brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster(text) => f.write_str(text),
            Self::Mailbox(mailbox) => mailbox.fmt(f),
        }
    }
}

/// What stands between `<` and its `>`, and what follows. A `>` inside quotes closes nothing.
fn split_brackets(input: &str) -> Result<(&str, &str), PathError> {
    let inner = input.strip_prefix('<').ok_or(PathError::Brackets)?;
    let (mut quoted, mut escaped) = (false, false);
    for (at, octet) in inner.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'<' if !quoted => return Err(PathError::Brackets),
            b'>' if !quoted => {
                let (inside, rest) = inner.split_at(at);
                return Ok((inside, rest.strip_prefix('>').unwrap_or(rest)));
            }
            _ => {}
        }
    }
    Err(PathError::Brackets)
}

/// Takes off a source route, `@a,@b:` (RFC 5321 4.1.1.3, appendix C): it must look like one, and is not followed.
fn strip_route(path: &str) -> Result<&str, PathError> {
    if !path.starts_with('@') {
        return Ok(path);
    }
    // The first colon behind a bracket: `[IPv6:...]` may be a hop.
    let mut bracketed = false;
    let colon = path.bytes().position(|octet| {
        bracketed = (bracketed || octet == b'[') && octet != b']';
        octet == b':' && !bracketed
    });
    let (route, mailbox) = colon.and_then(|at| path.split_at_checked(at)).ok_or(PathError::Incomplete)?;
    for hop in route.split(',') {
        Domain::parse(hop.trim_start_matches(' ').strip_prefix('@').ok_or(PathError::Domain)?)?;
    }
    Ok(mailbox.strip_prefix(':').unwrap_or(mailbox))
}

/// Where the local part ends: at the `@` behind the closing quote, else at the first `@`.
fn local_end(text: &str) -> Result<usize, PathError> {
    if !text.starts_with('"') {
        return text.find('@').ok_or(PathError::Incomplete);
    }
    let mut escaped = false;
    let closing = text.bytes().enumerate().skip(1).find(|&(_, octet)| {
        let closes = octet == b'"' && !escaped;
        escaped = octet == b'\\' && !escaped;
        closes
    });
    closing.map(|(at, _)| at + 1).ok_or(PathError::LocalPart)
}

/// `local` is quoted as a whole or not at all.
fn check_local(local: &str) -> Result<(), PathError> {
    let quoted = local.starts_with('"');
    let fits = |character: char| match character {
        _ if character.is_control() => false,
        _ if quoted || !character.is_ascii() || character.is_ascii_alphanumeric() => true,
        _ => "!#$%&'*+-/=?^_`{|}~.".contains(character),
    };
    if local.chars().all(fits) { Ok(()) } else { Err(PathError::LocalPart) }
}

fn check_name(name: &str) -> Result<(), PathError> {
    let labels = name.strip_suffix('.').unwrap_or(name);
    for label in labels.split('.') {
        let fits = |character: char| match character.is_ascii() {
            true => character.is_ascii_alphanumeric() || matches!(character, '-' | '_'),
            false => !character.is_control(),
        };
        if label.is_empty() || (label.is_ascii() && label.len() > MAX_LABEL) || !label.chars().all(fits) {
            return Err(PathError::Domain);
        }
    }
    if labels.is_ascii() {
        return Ok(());
    }
    let ascii = idna::domain_to_ascii(labels).map_err(|_| PathError::Domain)?;
    let valid = ascii.len() <= MAX_DOMAIN && ascii.split('.').all(|label| (1..=MAX_LABEL).contains(&label.len()));
    if valid { Ok(()) } else { Err(PathError::Domain) }
}

/// Whether a host can have this name, as mail servers see it that are told of one (Postfix, `valid_hostname`): labels of
/// at most 63 ASCII letters, digits, `_` and, inside, `-`; at most 255 octets, no dot at an end, and not digits alone.
pub fn is_host_name(text: &str) -> bool {
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    let is_label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let has_letters = text.contains(|c: char| !c.is_ascii_digit() && c != '.');
    text.len() <= MAX_DOMAIN && has_letters && text.split('.').all(is_label)
}

/// The inside of an address literal.
fn parse_literal(literal: &str) -> Option<IpAddr> {
    const TAG: usize = "IPv6:".len();
    match literal.split_at_checked(TAG) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => address.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => literal.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests;
