//! The names under which others find us: our own, and those in the MX records of our domains that lead here.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::config::Loaded;
use crate::dns::Lookup;

/// A domain of ours, and the exchangers that its MX records name.
pub(super) struct Domain {
    pub(super) name: String,
    /// Lower case, without a trailing dot; empty if it has none, or nobody knows.
    pub(super) exchangers: Vec<String>,
}

/// Domains that mail is taken for by name, with their exchangers.
pub(super) async fn domains(loaded: &Loaded, dns: &dyn Lookup) -> Vec<Domain> {
    let mut domains = Vec::new();
    for name in loaded.raw.relay.domains.iter().filter(|domain| !domain.starts_with(['.', '*'])) {
        let answer = dns.mx(name).await;
        let exchangers = answer.map(|answer| answer.records.iter().map(|(_, name)| name.to_string()).collect());
        domains.push(Domain { name: name.to_lowercase(), exchangers: exchangers.unwrap_or_default() });
    }
    domains
}

/// Every exchanger with an address that our own name has, too; our own name, unless others are known and none is it.
/// Each once.
pub(super) async fn ours(hostname: &str, domains: &[Domain], dns: &dyn Lookup) -> Vec<String> {
    let own = addresses(hostname, dns).await;
    let hostname = hostname.to_lowercase();
    let mut names = BTreeSet::new();
    for name in domains.iter().flat_map(|domain| &domain.exchangers) {
        if !names.contains(name) && (*name == hostname || !own.is_disjoint(&addresses(name, dns).await)) {
            names.insert(name.clone());
        }
    }
    if names.is_empty() {
        names.insert(hostname);
    }
    names.into_iter().collect()
}

async fn addresses(name: &str, dns: &dyn Lookup) -> BTreeSet<IpAddr> {
    let (v4, v6) = tokio::join!(dns.a(name), dns.aaaa(name));
    let v4 = v4.into_iter().flat_map(|answer| answer.records.to_vec()).map(IpAddr::from);
    let v6 = v6.into_iter().flat_map(|answer| answer.records.to_vec()).map(IpAddr::from);
    v4.chain(v6).collect()
}
