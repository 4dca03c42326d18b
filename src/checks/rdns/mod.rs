//! Forward-confirmed reverse DNS: does a name of the client's address lead back to it?
//!
//! What it learns is the derived fact [`ClientFacts::name`]. Trouble with DNS is a failure, never a finding.

pub mod generic;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Check;
use super::client_name::{ClientNames, MAX_NAMES};
use crate::dns::Lookup;
use crate::facts::{ClientFacts, ClientName};
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Skip, Spec, Symbol};
use crate::units::canonical;

/// How reverse DNS is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Names of one address that are looked up; further ones are ignored.
    pub max_names: usize,
    /// How long the whole check may take.
    pub deadline: Duration,
}

/// The check.
pub struct Rdns {
    settings: Settings,
    spec: Spec,
    names: ClientNames,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_names: MAX_NAMES, deadline: Duration::from_secs(8) }
    }
}

impl Rdns {
    /// Asks `dns` about every client that nobody vouched for.
    pub fn new(settings: Settings, dns: Arc<dyn Lookup>) -> Self {
        let symbols = ["RDNS_NONE", "RDNS_UNCONFIRMED", "RDNS_GENERIC"];
        let spec = Spec {
            name: CheckName::new("rdns"),
            emits: symbols.into_iter().map(Symbol::known).collect(),
            exclusive: false,
        };
        let names = ClientNames::new(settings.max_names, dns);
        Self { settings, spec, names }
    }
}

impl Check for Rdns {
    type Facts = ClientFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, facts: &ClientFacts) -> Outcome {
        match self.names.of(facts).await {
            Ok(Some(name)) => Outcome::from_findings(judge(&name, canonical(facts.addr))),
            Ok(None) => Outcome::Skipped(Skip::NotApplicable),
            Err(why) => Outcome::Failed(CheckError::Dns(why.to_string())),
        }
    }

    fn time_limit(&self) -> Option<Duration> {
        Some(self.settings.deadline)
    }
}

/// What the name of a client says about it.
pub fn judge(name: &ClientName, addr: IpAddr) -> Vec<Finding> {
    let mut findings = Vec::new();
    let shown = match name {
        ClientName::Confirmed(name) => name,
        ClientName::Unconfirmed(name) => {
            let evidence = format!("{name} does not lead back to {addr}");
            findings.push(Finding::new(Symbol::known("RDNS_UNCONFIRMED"), evidence));
            name
        }
        ClientName::None => return vec![Finding::new(Symbol::known("RDNS_NONE"), format!("{addr} has no name"))],
    };
    if let Some(why) = generic::reason(shown, addr) {
        findings.push(Finding::new(Symbol::known("RDNS_GENERIC"), format!("{shown}: {why}")));
    }
    findings
}

#[cfg(test)]
mod tests;
