//! Received fields as a list of hops.

use std::fmt::Write;
use std::net::IpAddr;

use super::mail::Mail;
use super::received::{self, Parsed};

/// Received fields of one message, at most.
const MOST: usize = 100;
/// Fields in which providers of web mail say where a message was written.
const ORIGINS: [&str; 5] = ["X-Yahoo-Post-IP", "X-Originating-IP", "X-Apparently-From", "X-SenderIP", "X-AOL-IP"];

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
    pub(super) envelope_from: Option<String>,
    pub(super) is_private: bool,
    pub(super) is_internal: bool,
}

/// All hops.
#[derive(Debug, Default)]
pub(super) struct Relays {
    pub(super) trusted: Vec<Relay>,
    pub(super) untrusted: Vec<Relay>,
    pub(super) unparseable: usize,
    /// Received fields, from the top, that those wrote whom one trusts.
    pub(super) trusted_fields: usize,
}

impl Relays {
    pub(super) fn of(mail: &Mail) -> Self {
        let mut relays = Self::default();
        let mut is_trusted = true;
        let fields = mail.named("received").take(MOST).map(|field| String::from_utf8_lossy(&field.value).into_owned());
        let origins = ORIGINS.iter().filter_map(|name| {
            let field = mail.named(name).next()?;
            let text = String::from_utf8_lossy(&field.value).into_owned();
            let mut words = text.split(|c: char| !(c.is_ascii_hexdigit() || matches!(c, '.' | ':')));
            words.find(|word| word.parse::<IpAddr>().is_ok()).map(|ip| format!("from X-Originating-IP: {ip}"))
        });
        for line in fields.chain(origins) {
            match received::parse(&line) {
                Parsed::Relay(mut relay) => {
                    is_trusted &= relay.is_private || !relay.auth.is_empty();
                    relay.is_internal = is_trusted;
                    if is_trusted { relays.trusted.push(*relay) } else { relays.untrusted.push(*relay) }
                }
                Parsed::Ignored => {}
                Parsed::Fetched if is_trusted => relays.trusted.clear(),
                Parsed::Fetched => {}
                Parsed::Unknown => relays.unparseable += 1,
            }
            relays.trusted_fields += usize::from(is_trusted);
        }
        relays
    }

    pub(super) fn text(relays: &[Relay]) -> String {
        let mut out = String::new();
        for relay in relays {
            let space = if out.is_empty() { "" } else { " " };
            let _ = write!(
                out,
                "{space}[ ip={} rdns={} helo={} by={} ident={} envfrom={} intl={} id={} auth={} msa=0 ]",
                relay.ip,
                relay.rdns,
                relay.helo,
                relay.by,
                relay.ident,
                relay.envelope_from.as_deref().unwrap_or_default(),
                u8::from(relay.is_internal),
                relay.id,
                relay.auth
            );
        }
        out
    }
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
