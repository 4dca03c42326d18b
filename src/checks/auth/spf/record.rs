//! SPF records (RFC 7208 4.5, 4.6, 5, 6): chosen among the texts of a domain, and read. Pure.
//!
//! One mistake anywhere makes the whole record wrong, also behind the term that would match.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};

use super::macros::{MacroError, MacroString};

/// Which of a domain's texts is its record (RFC 7208 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selected<'a> {
    /// None of them.
    None,
    /// This one.
    One(&'a str),
    /// More than one claims to be it: a PermError.
    Several,
}

/// A record whose grammar is sound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// What is tried, in order.
    pub directives: Vec<Directive>,
    /// Whose record answers if nothing matches (RFC 7208 6.1).
    pub redirect: Option<MacroString>,
    /// Where the explanation of a failure is found (RFC 7208 6.2).
    pub explanation: Option<MacroString>,
}

/// A mechanism, and what it means if it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// The result.
    pub qualifier: Qualifier,
    /// What is matched.
    pub mechanism: Mechanism,
    /// As written; printable ASCII.
    pub text: Box<str>,
}

/// What a match leads to (RFC 7208 4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qualifier {
    /// `+`, or nothing.
    Pass,
    /// `-`.
    Fail,
    /// `~`.
    SoftFail,
    /// `?`.
    Neutral,
}

/// What is matched (RFC 7208 5). A target that is absent is the domain itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Everybody.
    All,
    /// Whom another record lets pass.
    Include(MacroString),
    /// The addresses of a name.
    A(Option<MacroString>, PrefixLengths),
    /// The addresses of its mail exchangers.
    Mx(Option<MacroString>, PrefixLengths),
    /// A validated name of the client at or below a name; deprecated.
    Ptr(Option<MacroString>),
    /// A network.
    Ip4(Ipv4Net),
    /// A network.
    Ip6(Ipv6Net),
    /// Whether a name has an address, whichever.
    Exists(MacroString),
}

/// How much of an address is compared (`dual-cidr-length`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixLengths {
    /// Bits of an IPv4 address, 0 to 32.
    pub v4: u8,
    /// Bits of an IPv6 address, 0 to 128.
    pub v6: u8,
}

/// Why a text is no record; each is a PermError.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// An octet beyond ASCII (RFC 7208 3.1).
    #[error("the record is not ASCII")]
    NotAscii,
    /// A mechanism that nobody knows.
    #[error("`{0}`: unknown mechanism")]
    UnknownMechanism(String),
    /// An argument where there must be none, or none where there must be one.
    #[error("`{0}`: wrong argument")]
    Argument(String),
    /// A network that is none.
    #[error("`{0}`: malformed network")]
    Network(String),
    /// A modifier's name that is none.
    #[error("`{0}`: malformed modifier")]
    Modifier(String),
    /// `redirect` or `exp` stands twice (RFC 7208 6).
    #[error("`{0}`: stands twice")]
    Twice(String),
    /// A macro string that is none.
    #[error("`{0}`: {1}")]
    Macro(String, MacroError),
}

const VERSION: &str = "v=spf1";
/// Characters of a term that an error quotes.
const QUOTED: usize = 80;

/// Chooses the record among the texts at a name.
pub fn select(texts: &[Arc<str>]) -> Selected<'_> {
    let mut records = texts.iter().filter(|text| terms(text).is_some());
    match (records.next(), records.next()) {
        (None, _) => Selected::None,
        (Some(record), None) => Selected::One(record),
        (Some(_), Some(_)) => Selected::Several,
    }
}

/// What stands behind the version section, which ends with a space or the record (RFC 7208 4.5).
fn terms(text: &str) -> Option<&str> {
    let (version, rest) = text.split_at_checked(VERSION.len())?;
    let is_ours = version.eq_ignore_ascii_case(VERSION) && (rest.is_empty() || rest.starts_with(' '));
    is_ours.then_some(rest)
}

impl Record {
    /// Reads a record, version section included; a text without one has no terms.
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        if !text.is_ascii() {
            return Err(RecordError::NotAscii);
        }
        let mut record = Self::default();
        for term in terms(text).unwrap_or_default().split(' ').filter(|term| !term.is_empty()) {
            // What stands before the first of these tells a modifier from a mechanism.
            match term.find([':', '/', '=']).and_then(|at| term.split_at_checked(at)) {
                Some((name, value)) if value.starts_with('=') => {
                    record.modifier(term, name, value.get(1..).unwrap_or_default())?;
                }
                _ => record.directives.push(Directive::parse(term)?),
            }
        }
        Ok(record)
    }

    fn modifier(&mut self, term: &str, name: &str, value: &str) -> Result<(), RecordError> {
        let place = match () {
            () if name.eq_ignore_ascii_case("redirect") => &mut self.redirect,
            () if name.eq_ignore_ascii_case("exp") => &mut self.explanation,
            () => {
                let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
                    && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet));
                if !is_name {
                    return Err(RecordError::Modifier(quoted(term)));
                }
                MacroString::modifier(value).map_err(|why| RecordError::Macro(quoted(term), why))?;
                return Ok(());
            }
        };
        if place.is_some() {
            return Err(RecordError::Twice(quoted(name)));
        }
        *place = Some(domain_spec(term, value)?);
        Ok(())
    }
}

impl Directive {
    fn parse(term: &str) -> Result<Self, RecordError> {
        let (qualifier, bare) = Qualifier::split(term);
        let (name, argument) = bare.split_at_checked(bare.find([':', '/']).unwrap_or(bare.len())).unwrap_or((bare, ""));
        let mechanism = match name.to_ascii_lowercase().as_str() {
            "all" if argument.is_empty() => Mechanism::All,
            "all" => return Err(RecordError::Argument(quoted(term))),
            "include" => Mechanism::Include(required(term, argument)?),
            "exists" => Mechanism::Exists(required(term, argument)?),
            "ptr" => Mechanism::Ptr(optional(term, argument)?),
            "a" => {
                let (target, lengths) = PrefixLengths::split(term, argument)?;
                Mechanism::A(optional(term, target)?, lengths)
            }
            "mx" => {
                let (target, lengths) = PrefixLengths::split(term, argument)?;
                Mechanism::Mx(optional(term, target)?, lengths)
            }
            "ip4" => Mechanism::Ip4(ip4(argument).ok_or_else(|| RecordError::Network(quoted(term)))?),
            "ip6" => Mechanism::Ip6(ip6(argument).ok_or_else(|| RecordError::Network(quoted(term)))?),
            _ => return Err(RecordError::UnknownMechanism(quoted(term))),
        };
        Ok(Self { qualifier, mechanism, text: term.into() })
    }
}

impl Qualifier {
    fn split(term: &str) -> (Self, &str) {
        match term.split_at_checked(1) {
            Some(("+", rest)) => (Self::Pass, rest),
            Some(("-", rest)) => (Self::Fail, rest),
            Some(("~", rest)) => (Self::SoftFail, rest),
            Some(("?", rest)) => (Self::Neutral, rest),
            _ => (Self::Pass, term),
        }
    }
}

impl PrefixLengths {
    /// Takes `/24`, `//64` or `/24//64` off the end of an argument. A slash may also be part of the
    /// name before it, but never of its top-level label, so there is one way to read it.
    fn split<'a>(term: &str, argument: &'a str) -> Result<(&'a str, Self), RecordError> {
        let malformed = || RecordError::Network(quoted(term));
        let mut lengths = Self { v4: 32, v6: 128 };
        let Some((before, number)) = numbered_end(argument) else { return Ok((argument, lengths)) };
        let mut target = before;
        if let Some(before) = before.strip_suffix('/') {
            lengths.v6 = prefix_length(number, 128).ok_or_else(malformed)?;
            target = before;
            if let Some((before, number)) = numbered_end(before) {
                lengths.v4 = prefix_length(number, 32).ok_or_else(malformed)?;
                target = before;
            }
        } else {
            lengths.v4 = prefix_length(number, 32).ok_or_else(malformed)?;
        }
        Ok((target, lengths))
    }
}

/// `before/digits`.
fn numbered_end(text: &str) -> Option<(&str, &str)> {
    let (before, number) = text.rsplit_once('/')?;
    (!number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit())).then_some((before, number))
}

/// A number without leading zeros, of at most `most`.
fn prefix_length(number: &str, most: u8) -> Option<u8> {
    let plain = number.bytes().all(|octet| octet.is_ascii_digit()) && (number == "0" || !number.starts_with('0'));
    number.parse().ok().filter(|length| plain && *length <= most)
}

fn ip4(argument: &str) -> Option<Ipv4Net> {
    let (addr, length) = network(argument, 32)?;
    Ipv4Net::new(addr.parse::<Ipv4Addr>().ok()?, length).ok()
}

fn ip6(argument: &str) -> Option<Ipv6Net> {
    let (addr, length) = network(argument, 128)?;
    Ipv6Net::new(addr.parse::<Ipv6Addr>().ok()?, length).ok()
}

/// `:address` or `:address/length`.
fn network(argument: &str, bits: u8) -> Option<(&str, u8)> {
    let argument = argument.strip_prefix(':')?;
    match argument.split_once('/') {
        None => Some((argument, bits)),
        Some((addr, length)) => Some((addr, prefix_length(length, bits)?)),
    }
}

/// `:domain-spec`.
fn required(term: &str, argument: &str) -> Result<MacroString, RecordError> {
    let target = argument.strip_prefix(':').ok_or_else(|| RecordError::Argument(quoted(term)))?;
    domain_spec(term, target)
}

/// `:domain-spec` or nothing.
fn optional(term: &str, argument: &str) -> Result<Option<MacroString>, RecordError> {
    if argument.is_empty() { Ok(None) } else { required(term, argument).map(Some) }
}

fn domain_spec(term: &str, text: &str) -> Result<MacroString, RecordError> {
    MacroString::domain_spec(text).map_err(|why| RecordError::Macro(quoted(term), why))
}

/// A stranger's term as our messages show it.
fn quoted(term: &str) -> String {
    term.chars().take(QUOTED).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}
