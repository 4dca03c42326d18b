//! authentication.toml and trust.toml: the checks of who sends.

use super::super::Rules;
use super::super::problem::{Problems, Report};
use super::super::rules::Ports;
use crate::checks::{Registry, auth};

/// Adds the checks of sender authentication, and of what follows from it.
pub(super) fn add(
    rules: &Rules,
    _own_names: &[String],
    ports: &Ports,
    registry: &mut Registry,
    problems: &mut Problems,
) {
    let written = &rules.authentication.0.dkim;
    let settings = auth::Settings {
        max_signatures: usize::try_from(written.signatures).unwrap_or(usize::MAX),
        min_rsa_bits: u32::try_from(written.min_rsa_bits).unwrap_or(u32::MAX),
    };
    let authenticator = auth::Authenticator::new(settings, ports.dns.clone());
    let report = &mut Report { document: &rules.authentication.1, problems };
    report.take("", registry.add(auth::dmarc::Check::new(authenticator.clone())));
}
