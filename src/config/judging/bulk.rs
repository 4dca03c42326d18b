//! bulk.toml: what is meant.

use std::sync::Arc;

use super::super::problem::Report;
use super::super::raw::rules as written;
use super::super::rules;
use super::super::source::element;
use super::greylist;
use crate::checks::bulk::{Bulk, Ports, Settings};
use crate::checks::site::Site;
use crate::checks::{Registry, dnsbl};
use crate::units::DomainSet;

/// Adds the check. Domains that many senders share are those of greylisting.
pub(super) fn add(
    file: &written::BulkFile,
    senders: &Arc<crate::checks::greylist::Settings>,
    site: &Arc<Site>,
    (shared, ports): (&dnsbl::Shared, &rules::Ports),
    registry: &mut Registry,
    report: &mut Report<'_>,
) {
    let settings = Arc::new(settings(file, &senders.shared, report));
    let ports = Ports {
        store: ports.store.clone().map(|store| store as Arc<dyn crate::store::Campaigns>),
        authenticator: shared.authenticator.clone(),
        site: site.clone(),
        senders: senders.clone(),
    };
    report.take("", registry.add(Bulk::new(settings, ports)));
}

fn settings(file: &written::BulkFile, shared: &DomainSet, report: &mut Report<'_>) -> Settings {
    if file.campaign_domains <= file.few_domains {
        let reason = format!("is not more than few_domains ({}): legitimate bulk mail has as many", file.few_domains);
        report.error("campaign_domains", reason);
    }
    for (index, domain) in file.transactional.iter().enumerate().filter(|(_, domain)| shared.contains(domain)) {
        let reason =
            format!("`{domain}` sends for many customers (shared_domains in greylist.toml): it is never one's own");
        report.error(&element("transactional", index), reason);
    }
    Settings {
        copies: file.bulk_copies,
        networks: file.campaign_networks,
        domains: file.campaign_domains,
        short_text_factor: file.short_text_factor,
        few_domains: file.few_domains,
        authenticated_percent: file.authenticated_percent,
        traps: file.traps,
        transactional: greylist::registered(&file.transactional, "transactional", report),
    }
}
