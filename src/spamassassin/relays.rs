//! Received fields as a list of hops.

use std::fmt::Write;
use std::net::IpAddr;

use super::mail::Mail;

/// Received fields of one message, at most.
const MOST: usize = 100;

/// A hop.
#[derive(Debug, Default, Clone)]
pub(super) struct Relay {
    pub(super) ip: String,
    pub(super) rdns: String,
    pub(super) helo: String,
    pub(super) by: String,
    pub(super) id: String,
    pub(super) auth: String,
    pub(super) ident: String,
    pub(super) is_private: bool,
    is_internal: bool,
}

/// All hops.
#[derive(Debug, Default)]
pub(super) struct Relays {
    pub(super) trusted: Vec<Relay>,
    pub(super) untrusted: Vec<Relay>,
    pub(super) unparseable: usize,
}

impl Relays {
    pub(super) fn of(mail: &Mail) -> Self {
        let mut relays = Self::default();
        let mut is_trusted = true;
        for field in mail.named("received").take(MOST) {
            let line = String::from_utf8_lossy(&field.value);
            match relay(&line) {
                Parsed::Relay(mut relay) => {
                    is_trusted &= relay.is_private || !relay.auth.is_empty();
                    relay.is_internal = is_trusted;
                    if is_trusted { relays.trusted.push(*relay) } else { relays.untrusted.push(*relay) }
                }
                Parsed::Ignored => {}
                Parsed::Unknown => relays.unparseable += 1,
            }
        }
        relays
    }

    pub(super) fn text(relays: &[Relay]) -> String {
        let mut out = String::new();
        for relay in relays {
            let space = if out.is_empty() { "" } else { " " };
            let _ = write!(
                out,
                "{space}[ ip={} rdns={} helo={} by={} ident={} envfrom= intl={} id={} auth={} msa=0 ]",
                relay.ip,
                relay.rdns,
                relay.helo,
                relay.by,
                relay.ident,
                u8::from(relay.is_internal),
                relay.id,
                relay.auth
            );
        }
        out
    }
}

enum Parsed {
    Relay(Box<Relay>),
    /// A hop within one machine.
    Ignored,
    Unknown,
}

fn relay(line: &str) -> Parsed {
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lower = line.to_ascii_lowercase();
    let Some(rest) = lower.strip_prefix("from ").map(|_| &line[5..]) else {
        let is_local = ["by ", "(from ", "(qmail "].iter().any(|start| lower.starts_with(start));
        return if is_local { Parsed::Ignored } else { Parsed::Unknown };
    };
    let by_at = find_word(rest, " by ");
    let (from, behind) = by_at.map_or((rest, ""), |at| (&rest[..at], &rest[at + 4..]));
    let mut relay = Relay { by: word(behind), ..Relay::default() };
    let with = behind.to_ascii_lowercase();
    if let Some(id) = find_word(behind, " id ") {
        relay.id = word(&behind[id + 4..]).trim_end_matches(';').to_owned();
    }
    if ["esmtpa", "esmtpsa", "asmtp", "(authenticated"].iter().any(|word| with.contains(word)) {
        relay.auth = "esmtpa".to_owned();
    }
    if lower.contains("(authenticated") || lower.contains("(authenticated bits") {
        relay.auth = "Sendmail".to_owned();
    }
    let first = word(from);
    let comment = from.find('(').map(|open| &from[open + 1..]).unwrap_or_default();
    let Some(ip) = address(comment).or_else(|| address(from)) else {
        let is_local = ["localhost", "local"].contains(&first.as_str()) || from.contains("(Postfix, from userid");
        return if is_local || first.contains('@') { Parsed::Ignored } else { Parsed::Unknown };
    };
    relay.helo = first.trim_matches(['[', ']']).to_owned();
    if first.starts_with('[') {
        relay.helo = format!("!{}!", relay.helo);
    }
    let comment = comment.trim_start_matches(' ');
    let inside: Vec<&str> = comment.split([' ', ')']).filter(|word| !word.is_empty()).collect();
    let helo = inside.iter().find_map(|word| {
        let lower = word.to_ascii_lowercase();
        lower.strip_prefix("helo=").map(|_| word[5..].trim_matches(['[', ']']).to_owned())
    });
    match (helo, inside.first()) {
        // `from name ([1.2.3.4] helo=x)`: the first name was looked up.
        (Some(helo), _) => {
            relay.rdns = if first.starts_with('[') { String::new() } else { first.clone() };
            relay.helo = helo;
        }
        // `from name (HELO x) (1.2.3.4)`.
        (None, Some(word)) if word.eq_ignore_ascii_case("helo") || word.eq_ignore_ascii_case("ehlo") => {
            relay.rdns = if first.eq_ignore_ascii_case("unknown") { String::new() } else { first.clone() };
            relay.helo = inside.get(1).map(|word| word.trim_matches(['[', ']']).to_owned()).unwrap_or_default();
        }
        // `from helo (name [1.2.3.4])`.
        (None, Some(word)) => {
            let (ident, name) = word.rsplit_once('@').unwrap_or(("", word));
            let is_name = !name.starts_with('[') && name.contains('.') && name.parse::<IpAddr>().is_err();
            if is_name {
                relay.rdns = name.split('[').next().unwrap_or_default().trim_end_matches('.').to_owned();
            }
            // `from name (1.2.3.4)`, as Exchange has it: the name was looked up.
            if name.parse::<IpAddr>().is_ok() && first.contains('.') {
                relay.rdns = first.clone();
            }
            relay.ident = ident.to_owned();
        }
        (None, None) => {}
    }
    if relay.rdns.eq_ignore_ascii_case("unknown") || relay.rdns == relay.ip {
        relay.rdns.clear();
    }
    relay.rdns.make_ascii_lowercase();
    relay.ip = ip.to_string();
    relay.is_private = is_private(ip);
    if relay.ip == "127.0.0.1" && relay.rdns.is_empty() && relay.by.is_empty() {
        return Parsed::Ignored;
    }
    Parsed::Relay(Box::new(relay))
}

fn find_word(text: &str, word: &str) -> Option<usize> {
    text.to_ascii_lowercase().find(word)
}

fn word(text: &str) -> String {
    text.split([' ', '(', ';']).next().unwrap_or_default().to_owned()
}

/// The address in brackets, else any.
fn address(text: &str) -> Option<IpAddr> {
    let mut words = text.split(['[', ']', '(', ')', ' ', ';', '=', ':', ',']);
    let bracketed = text.find('[').and_then(|open| {
        let inside = text[open + 1..].split(']').next()?;
        let inside = inside.strip_prefix("IPv6:").or_else(|| inside.strip_prefix("ipv6:")).unwrap_or(inside);
        inside.split_whitespace().next()?.parse().ok()
    });
    bracketed.or_else(|| words.find_map(|word| word.parse().ok().filter(|ip: &IpAddr| ip.is_ipv4())))
}

pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]);
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared
        }
        IpAddr::V6(ip) => {
            ip.is_loopback() || (ip.segments()[0] & 0xfe00) == 0xfc00 || (ip.segments()[0] & 0xffc0) == 0xfe80
        }
    }
}
