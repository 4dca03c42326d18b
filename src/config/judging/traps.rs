//! traps.toml: what is meant.

use super::super::problem::Report;
use super::super::raw::rules as written;
use super::super::source::element;
use crate::checks::site::Site;
use crate::facts::Traps;

/// The traps; every one lies in our own domains, or mail for it would never be taken.
pub(super) fn traps(file: &written::TrapsFile, site: &Site, report: &mut Report<'_>) -> Traps {
    let mut traps = Traps::default();
    for (index, pattern) in file.addresses.iter().enumerate() {
        let key = element("addresses", index);
        if report.take(&key, traps.insert(pattern)).is_some() && !is_ours(pattern, site) {
            report.error(&key, format!("`{pattern}` is in none of relay.domains: mail for it is never taken"));
        }
    }
    traps
}

fn is_ours(pattern: &str, site: &Site) -> bool {
    let domain = pattern.rsplit_once('@').map_or("", |(_, domain)| domain).trim();
    // Of all subdomains, any one.
    let domain = match domain.strip_prefix("*.").or_else(|| domain.strip_prefix('.')) {
        Some(parent) => format!("any.{parent}"),
        None => domain.to_owned(),
    };
    idna::domain_to_ascii(&domain).is_ok_and(|name| site.domains.contains(&name))
}
