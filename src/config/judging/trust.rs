//! trust.toml: what is meant.

use super::super::check;
use super::super::problem::Report;
use super::super::raw::rules as written;
use super::super::source::{element, join};
use crate::checks::trust::{Clientele, Entry, List, Settings};
use crate::units::DomainSet;

/// Everybody whom the operator knows.
pub(super) fn trust(file: &written::TrustFile, report: &mut Report<'_>) -> Settings {
    Settings {
        forwarders: file
            .forwarder
            .iter()
            .enumerate()
            .map(|(index, forwarder)| {
                let at = element("forwarder", index);
                let clients = clientele(&forwarder.client_names, &forwarder.networks, &forwarder.reason, &at, report);
                if forwarder.client_names.is_empty() && forwarder.networks.is_empty() {
                    report.error(&at, "names nobody: write client_names or networks");
                }
                clients
            })
            .collect(),
        lists: file.list.iter().enumerate().map(|(index, one)| list(one, &element("list", index), report)).collect(),
        sealers: domains(&file.arc_sealers, "arc_sealers", report),
        allowed: file
            .allow
            .iter()
            .enumerate()
            .map(|(index, one)| allow(one, &element("allow", index), report))
            .collect(),
        denied: file.deny.iter().enumerate().map(|(index, one)| deny(one, &element("deny", index), report)).collect(),
    }
}

fn list(written: &written::List, at: &str, report: &mut Report<'_>) -> List {
    if written.signed_by.is_empty() && written.client_names.is_empty() && written.networks.is_empty() {
        report.error(at, "everyone can write a List-Id: name signed_by, client_names or networks beside it");
    }
    List {
        ids: domains(&written.ids, &join(at, "ids"), report),
        signers: domains(&written.signed_by, &join(at, "signed_by"), report),
        clients: clientele(&written.client_names, &written.networks, &written.reason, at, report),
    }
}

fn allow(written: &written::Entry, at: &str, report: &mut Report<'_>) -> Entry {
    if written.unauthenticated && !(written.client_names.is_empty() && written.networks.is_empty()) {
        report.error(&join(at, "unauthenticated"), "contradicts the clients named beside it: leave out one of them");
    }
    entry(written, at, report)
}

fn deny(written: &written::Entry, at: &str, report: &mut Report<'_>) -> Entry {
    let clients = !(written.client_names.is_empty() && written.networks.is_empty());
    if clients && !written.senders.is_empty() {
        report.error(at, "names senders and clients: write one entry for each");
    }
    if written.unauthenticated {
        report.error(&join(at, "unauthenticated"), "has no meaning here: no evidence is needed to refuse");
    }
    entry(written, at, report)
}

fn entry(written: &written::Entry, at: &str, report: &mut Report<'_>) -> Entry {
    if written.senders.is_empty() && written.client_names.is_empty() && written.networks.is_empty() {
        report.error(at, "names nobody: write senders, client_names or networks");
    }
    let (mut addresses, mut domains) = (Vec::new(), DomainSet::default());
    for (index, sender) in written.senders.iter().enumerate() {
        let key = element(&join(at, "senders"), index);
        match sender.rsplit_once('@') {
            Some((local, domain)) if !local.is_empty() => {
                let domain =
                    report.take(&key, idna::domain_to_ascii(domain).map_err(|_| format!("`{domain}` is no domain")));
                addresses.extend(domain.map(|domain| format!("{}@{domain}", local.to_lowercase()).into()));
            }
            Some((_, domain)) => drop(report.take(&key, domains.insert(domain))),
            None => drop(report.take(&key, domains.insert(sender))),
        }
    }
    let clients = clientele(&written.client_names, &written.networks, &written.reason, at, report);
    Entry { addresses, domains, clients, unauthenticated: written.unauthenticated }
}

fn clientele(names: &[String], networks: &[String], reason: &str, at: &str, report: &mut Report<'_>) -> Clientele {
    Clientele {
        names: domains(names, &join(at, "client_names"), report),
        networks: check::networks(networks, &join(at, "networks"), report),
        reason: reason.into(),
    }
}

fn domains(written: &[String], key: &str, report: &mut Report<'_>) -> DomainSet {
    let mut domains = DomainSet::default();
    for (index, pattern) in written.iter().enumerate() {
        report.take(&element(key, index), domains.insert(pattern));
    }
    domains
}
