//! authentication.toml and trust.toml: the checks of who sends.

use std::sync::Arc;

use super::super::Rules;
use super::super::problem::{Problems, Report};
use super::super::rules::Ports;
use crate::checks::site::Site;
use crate::checks::{Registry, auth, dnsbl, own_domain, sender, trust};

/// The one authenticator that checks share.
pub(super) fn authenticator(rules: &Rules, ports: &Ports) -> Arc<auth::Authenticator> {
    let written = &rules.authentication.0.dkim;
    let settings = auth::Settings {
        max_signatures: usize::try_from(written.signatures).unwrap_or(usize::MAX),
        min_rsa_bits: u32::try_from(written.min_rsa_bits).unwrap_or(u32::MAX),
    };
    auth::Authenticator::new(settings, ports.dns.clone())
}

/// Adds the checks of sender authentication, and of what follows from it.
pub(super) fn add(
    rules: &Rules,
    site: &Arc<Site>,
    shared: &dnsbl::Shared,
    registry: &mut Registry,
    problems: &mut Problems,
) {
    let authenticator = &shared.authenticator;
    let report = &mut Report { document: &rules.authentication.1, problems };
    report.take("", registry.add(auth::spf::SpfOfHelo::new(authenticator.clone())));
    report.take("", registry.add(auth::spf::SpfOfMail::new(authenticator.clone())));
    report.take("", registry.add(auth::spf::SenderId::new(authenticator.clone())));
    report.take("", registry.add(auth::dkim::DkimCheck::new(authenticator.clone())));
    report.take("", registry.add(auth::arc::ArcCheck::new(authenticator.clone())));
    report.take("", registry.add(auth::dmarc::Check::new(authenticator.clone())));
    report.take("", registry.add(sender::Sender::new(sender::Settings::default(), shared.dns.clone())));
    report.take("", registry.add(own_domain::OwnDomain::new(site.clone(), authenticator.clone())));
    let report = &mut Report { document: &rules.trust.1, problems };
    let known = Arc::new(super::trust::trust(&rules.trust.0, report));
    let names = &shared.client_names;
    report.take("", registry.add(trust::Clients::new(known.clone(), names.clone())));
    report.take("", registry.add(trust::Senders::new(known.clone(), names.clone(), authenticator.clone())));
    report.take("", registry.add(trust::Authors::new(known, names.clone(), authenticator.clone())));
}
