//! authentication.toml and trust.toml: the checks of who sends.

use std::sync::Arc;

use super::super::Rules;
use super::super::problem::Problems;
use super::super::rules::Ports;
use crate::checks::{Registry, auth};

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
    _rules: &Rules,
    _own_names: &[String],
    _authenticator: &Arc<auth::Authenticator>,
    _registry: &mut Registry,
    _problems: &mut Problems,
) {
}
