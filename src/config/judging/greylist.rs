//! greylist.toml: what is meant.

use std::sync::Arc;
use std::time::Duration;

use super::super::problem::Report;
use super::super::raw::rules as written;
use super::super::rules::Ports;
use super::super::source::element;
use super::super::{check, rules};
use crate::checks::greylist::{self, AfterMessage, AtRcpt, Exemptions, Recipients, Settings, recipient_key};
use crate::checks::site::Site;
use crate::checks::{Registry, dnsbl};
use crate::smtp::ForwardPath;
use crate::units::{DomainSet, registered_domain};

/// Adds both checks; returns their settings.
pub(super) fn add(
    file: &written::GreylistFile,
    site: &Arc<Site>,
    (shared, ports): (&dnsbl::Shared, &rules::Ports),
    registry: &mut Registry,
    report: &mut Report<'_>,
) -> Arc<Settings> {
    let settings = Arc::new(settings(file, report));
    let asked = greylist::Ports {
        store: store(ports),
        authenticator: shared.authenticator.clone(),
        names: shared.client_names.clone(),
        site: site.clone(),
    };
    report.take("", registry.add(AtRcpt::new(settings.clone(), asked.clone())));
    report.take("", registry.add(AfterMessage::new(settings.clone(), asked)));
    settings
}

fn store(ports: &Ports) -> Option<Arc<dyn crate::store::Greylist>> {
    ports.store.clone().map(|store| store as Arc<dyn crate::store::Greylist>)
}

/// What is written, as Settings.
pub(in crate::config) fn settings(file: &written::GreylistFile, report: &mut Report<'_>) -> Settings {
    let (delay, window) = (Duration::from_secs(file.delay_seconds), Duration::from_secs(file.window_hours * 3600));
    if delay >= window {
        report.error(
            "delay_seconds",
            format!("is not less than window_hours ({}): nobody could pass", file.window_hours),
        );
    }
    if Duration::from_secs(file.pass_days * 86_400) < window {
        report.error("pass_days", format!("is less than window_hours ({})", file.window_hours));
    }
    let exempt = &file.exempt;
    Settings {
        delay,
        window,
        pass_after: u32::try_from(file.pass_after).unwrap_or(u32::MAX),
        lifetime: Duration::from_secs(file.pass_days * 86_400),
        ipv4_prefix: u8::try_from(file.ipv4_prefix).unwrap_or(32),
        ipv6_prefix: u8::try_from(file.ipv6_prefix).unwrap_or(64),
        shared: registered(&file.shared_domains, "shared_domains", report),
        exempt: Exemptions {
            domains: registered(&exempt.domains, "exempt.domains", report),
            client_names: domains(&exempt.client_names, "exempt.client_names", report),
            networks: check::networks(&exempt.networks, "exempt.networks", report),
            recipients: recipients(&exempt.recipients, "exempt.recipients", report),
            correspondents: exempt.correspondents,
        },
    }
}

fn domains(written: &[String], key: &str, report: &mut Report<'_>) -> DomainSet {
    let mut domains = DomainSet::default();
    for (index, pattern) in written.iter().enumerate() {
        report.take(&element(key, index), domains.insert(pattern));
    }
    domains
}

/// Senders are known by their registered domain, so that names below one would never be met.
pub(super) fn registered(written: &[String], key: &str, report: &mut Report<'_>) -> DomainSet {
    for (index, pattern) in written.iter().enumerate() {
        let bare = pattern.trim_start_matches("*.").trim_start_matches('.');
        let name = idna::domain_to_ascii(bare).unwrap_or_default();
        if bare != pattern {
            let reason =
                format!("`{pattern}` means names below a domain, but senders are known by their own: write `{bare}`");
            report.error(&element(key, index), reason);
        }
        if let Some(domain) = registered_domain(&name).filter(|domain| *domain != name) {
            let reason = format!("`{pattern}` is below the registered domain: write `{domain}`");
            report.error(&element(key, index), reason);
        }
    }
    domains(written, key, report)
}

fn recipients(written: &[String], key: &str, report: &mut Report<'_>) -> Recipients {
    let mut recipients = Recipients::default();
    for (index, one) in written.iter().enumerate() {
        let key = element(key, index);
        if !one.contains('@') {
            report.take(&key, recipients.domains.insert(one));
            continue;
        }
        let path = ForwardPath::parse(one).map_err(|why| format!("`{one}`: {why}"));
        recipients.addresses.extend(report.take(&key, path).map(|path| recipient_key(&path)));
    }
    recipients
}
