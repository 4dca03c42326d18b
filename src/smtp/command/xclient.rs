//! The arguments of XCLIENT (Postfix XCLIENT_README).

use std::net::{IpAddr, Ipv6Addr};

use super::CommandError;
use crate::smtp::xtext;

/// One attribute of XCLIENT (Postfix XCLIENT_README), decoded from xtext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XclientAttribute {
    /// ADDR=; `None` for `[UNAVAILABLE]` or `[TEMPUNAVAIL]`.
    Addr(Option<IpAddr>),
    /// NAME=.
    Name(Option<String>),
    /// HELO=.
    Helo(Option<String>),
    /// PROTO=, PORT=, LOGIN=, DESTADDR=, DESTPORT= and the like: known, without effect here.
    Other(String),
}

/// Attributes that change nothing here.
const WITHOUT_EFFECT: [&str; 6] = ["PROTO", "PORT", "LOGIN", "DESTADDR", "DESTPORT", "REVERSE_NAME"];

/// Reads the attributes behind the verb; there must be one.
pub(super) fn parse(text: &str) -> Result<Vec<XclientAttribute>, CommandError> {
    let words = text.split(' ').filter(|word| !word.is_empty());
    let attributes = words.map(parse_attribute).collect::<Result<Vec<_>, _>>()?;
    match attributes.is_empty() {
        true => Err(CommandError::Syntax("XCLIENT needs attributes")),
        false => Ok(attributes),
    }
}

fn parse_attribute(word: &str) -> Result<XclientAttribute, CommandError> {
    let (name, value) = word.split_once('=').ok_or(CommandError::Parameter)?;
    let name = name.to_ascii_uppercase();
    let value = xtext::decode(value).ok_or(CommandError::Parameter)?;
    let value = Some(value).filter(|value| !is_unavailable(value));
    match name.as_str() {
        "ADDR" => match value {
            Some(text) => {
                let address = parse_address(&text).ok_or(CommandError::Parameter)?;
                Ok(XclientAttribute::Addr(Some(address)))
            }
            None => Ok(XclientAttribute::Addr(None)),
        },
        "NAME" => Ok(XclientAttribute::Name(value)),
        "HELO" => Ok(XclientAttribute::Helo(value)),
        other if WITHOUT_EFFECT.contains(&other) => Ok(XclientAttribute::Other(name)),
        _ => Err(CommandError::Parameter),
    }
}

/// What stands for a value that is not known.
pub(super) fn is_unavailable(value: &str) -> bool {
    value.eq_ignore_ascii_case("[UNAVAILABLE]") || value.eq_ignore_ascii_case("[TEMPUNAVAIL]")
}

/// How an address is written: `192.0.2.1`, or `IPV6:2001:db8::1`.
pub fn write_address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("IPV6:{v6}"),
    }
}

/// `192.0.2.1` or `IPV6:2001:db8::1`; an IPv4-mapped address is the IPv4 address.
pub(super) fn parse_address(text: &str) -> Option<IpAddr> {
    let address = match text.split_at_checked("IPV6:".len()) {
        Some((tag, rest)) if tag.eq_ignore_ascii_case("IPV6:") => IpAddr::V6(rest.parse::<Ipv6Addr>().ok()?),
        _ => text.parse().ok()?,
    };
    Some(address.to_canonical())
}
