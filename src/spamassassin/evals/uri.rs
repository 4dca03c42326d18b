//! Addresses that messages point to.

use super::{Context, Eval};
use crate::spamassassin::uris;

pub(super) const TESTS: &[(&str, Eval)] = &[
    ("check_uri_host_listed", |context, arguments| is_listed(context, arguments.first().map_or("", String::as_str))),
    ("check_uri_host_in_blocklist", |context, _| is_listed(context, "BLOCK")),
    ("check_uri_host_in_blacklist", |context, _| is_listed(context, "BLOCK")),
    ("check_uri_host_in_welcomelist", |context, _| is_listed(context, "WELCOME")),
    ("check_uri_host_in_whitelist", |context, _| is_listed(context, "WELCOME")),
    ("check_uri_truncated", |_, _| false),
];

/// Whether a host, or what it is below, is in a list; `!name` takes one out.
fn is_listed(context: &Context<'_>, list: &str) -> bool {
    let Some(list) = context.settings.lists.get(&format!("enlist_uri_host:{list}")) else { return false };
    // Of what is too long for a host not every name above it is looked for.
    let mut hosts = context.read.uris.iter().filter_map(|uri| host(uri)).filter(|host| host.len() <= uris::HOST_MOST);
    hosts.any(|host| {
        let mut name = host.as_str();
        loop {
            if list.contains(&format!("!{name}")) {
                return false;
            }
            if list.contains(name) {
                return true;
            }
            match name.split_once('.') {
                Some((_, parent)) => name = parent,
                None => return false,
            }
        }
    })
}

fn host(uri: &str) -> Option<String> {
    let mail = uri.get(..7).filter(|start| start.eq_ignore_ascii_case("mailto:"));
    match mail {
        Some(_) => {
            let host = uri.rsplit('@').next()?.split(['?', '&']).next()?;
            (!host.is_empty()).then(|| host.to_ascii_lowercase())
        }
        None => uris::host(uri),
    }
}
