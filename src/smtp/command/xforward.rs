//! The arguments of XFORWARD (Postfix XFORWARD_README): who the client was that a mail filter or a front end before us
//! had it from. It is written down and handed on, and opens nothing.

use std::fmt;

use super::CommandError;
use super::xclient::{is_unavailable, parse_address, write_address};
use crate::smtp::path::is_host_name;
use crate::smtp::xtext;

/// An attribute of XFORWARD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XforwardAttribute {
    /// Host name.
    Name,
    /// Network address.
    Addr,
    /// TCP port.
    Port,
    /// Protocol by which it was received.
    Proto,
    /// What it said in HELO.
    Helo,
    /// The name of the message there.
    Ident,
    /// LOCAL or REMOTE.
    Source,
}

impl XforwardAttribute {
    /// All of them, in the order in which they are listed and sent.
    pub const ALL: [Self; 7] = [Self::Name, Self::Addr, Self::Port, Self::Proto, Self::Helo, Self::Ident, Self::Source];

    /// The name of the attribute.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Addr => "ADDR",
            Self::Port => "PORT",
            Self::Proto => "PROTO",
            Self::Helo => "HELO",
            Self::Ident => "IDENT",
            Self::Source => "SOURCE",
        }
    }

    /// The value as it is handed on, if it is one: a server that hears another from us refuses it, and the mail behind it.
    fn taken(self, value: String) -> Option<String> {
        let most = if self == Self::Proto { MAX_PROTO } else { MAX_VALUE };
        if value.len() > most || !value.bytes().all(|octet| octet.is_ascii_graphic()) {
            return None;
        }
        let fits = match self {
            Self::Addr => return parse_address(&value).map(write_address),
            Self::Name => is_host_name(&value),
            Self::Port => value.parse::<u16>().is_ok(),
            Self::Source => value.eq_ignore_ascii_case("LOCAL") || value.eq_ignore_ascii_case("REMOTE"),
            // Nothing that could be taken for another field, or for the end of one.
            Self::Proto | Self::Helo | Self::Ident => !value.contains(['<', '>', '(', ')', '"', ',', ';', '\\']),
        };
        fits.then_some(value)
    }
}

/// Octets of a value, and of PROTO, once decoded.
const MAX_VALUE: usize = 255;
const MAX_PROTO: usize = 64;

/// What XFORWARD said since the last transaction. What it did not say is not known, whatever we know of the client
/// that said it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded([Option<String>; XforwardAttribute::ALL.len()]);

impl Forwarded {
    /// One more command: what it names is overwritten, or not known any more.
    pub fn hear(&mut self, attributes: Vec<(XforwardAttribute, Option<String>)>) {
        for (attribute, value) in attributes {
            if let Some(slot) = self.0.get_mut(attribute as usize) {
                *slot = value;
            }
        }
    }

    /// The value of an attribute, if it is known.
    pub fn get(&self, attribute: XforwardAttribute) -> Option<&str> {
        self.0.get(attribute as usize)?.as_deref()
    }
}

impl fmt::Display for Forwarded {
    /// For the log: what is known, such as `NAME=mx.example ADDR=192.0.2.1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = XforwardAttribute::ALL.into_iter().filter_map(|one| Some((one.keyword(), self.get(one)?)));
        for (index, (keyword, value)) in known.enumerate() {
            write!(f, "{}{keyword}={value}", if index > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

/// Reads the attributes behind the verb; there must be one.
pub(super) fn parse(text: &str) -> Result<Vec<(XforwardAttribute, Option<String>)>, CommandError> {
    let words = text.split(' ').filter(|word| !word.is_empty());
    let attributes = words.map(parse_attribute).collect::<Result<Vec<_>, _>>()?;
    match attributes.is_empty() {
        true => Err(CommandError::Syntax("XFORWARD needs attributes")),
        false => Ok(attributes),
    }
}

fn parse_attribute(word: &str) -> Result<(XforwardAttribute, Option<String>), CommandError> {
    let (name, value) = word.split_once('=').ok_or(CommandError::Parameter)?;
    let attribute = XforwardAttribute::ALL.into_iter().find(|known| known.keyword().eq_ignore_ascii_case(name));
    let attribute = attribute.ok_or(CommandError::Parameter)?;
    let value = xtext::decode(value).ok_or(CommandError::Parameter)?;
    if is_unavailable(&value) {
        return Ok((attribute, None));
    }
    let value = attribute.taken(value).ok_or(CommandError::Parameter)?;
    Ok((attribute, Some(value)))
}
