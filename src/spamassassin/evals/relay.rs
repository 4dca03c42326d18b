//! The hops that a message came by.

use std::net::IpAddr;

use super::super::relays::is_private;
use super::{Context, Eval};

pub(super) const TESTS: &[(&str, Eval)] = &[
    ("check_all_trusted", |context, _| {
        let relays = &context.read.relays;
        !relays.trusted.is_empty() && relays.untrusted.is_empty() && relays.unparseable == 0
    }),
    ("check_no_relays", |context, _| {
        let relays = &context.read.relays;
        relays.trusted.is_empty() && relays.untrusted.is_empty() && relays.unparseable == 0
    }),
    ("check_relays_unparseable", |context, _| context.read.relays.unparseable > 0),
    ("helo_ip_mismatch", helo_mismatch),
    ("have_any_bounce_relays", |_, _| false),
    ("check_welcomelist_bounce_relays", |_, _| false),
    ("check_whitelist_bounce_relays", |_, _| false),
];

fn helo_mismatch(context: &Context<'_>, _: &[String]) -> bool {
    context.read.relays.untrusted.iter().any(|relay| {
        let (Ok(IpAddr::V4(helo)), Ok(IpAddr::V4(ip))) = (relay.helo.trim_matches('!').parse(), relay.ip.parse())
        else {
            return false;
        };
        helo.octets()[..3] != ip.octets()[..3] && !is_private(helo.into()) && !is_private(ip.into())
    })
}
