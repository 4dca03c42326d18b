//! Forward-confirmed reverse DNS: does a name of the client's address lead back to it?
//!
//! What it learns is the derived fact [`ClientFacts::name`]. Trouble with DNS is a failure, never a finding.

pub mod generic;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::Check;
use crate::dns::{Lookup, LookupError};
use crate::facts::{ClientFacts, ClientName};
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Skip, Spec, Symbol};
use crate::units::{canonical, is_local_scope};

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
    dns: Arc<dyn Lookup>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_names: 5, deadline: Duration::from_secs(8) }
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
        Self { settings, spec, dns }
    }

    /// Asks for the names of `addr`, then for the addresses of the first of them.
    async fn find_name(&self, addr: IpAddr) -> Result<ClientName, LookupError> {
        let names = self.dns.ptr(addr).await?.records;
        let Some(first) = names.first() else { return Ok(ClientName::None) };
        let looked_at = || names.iter().take(self.settings.max_names.max(1));
        let leads_back = join_all(looked_at().map(|name| self.leads_back(name, addr))).await;
        match looked_at().zip(&leads_back).find(|(_, leads_back)| **leads_back == Ok(true)) {
            Some((name, _)) => Ok(ClientName::Confirmed(name.clone())),
            // The one that could not be looked up may be the one that leads back.
            None => match leads_back.into_iter().find_map(Result::err) {
                Some(why) => Err(why),
                None => Ok(ClientName::Unconfirmed(first.clone())),
            },
        }
    }

    async fn leads_back(&self, name: &str, addr: IpAddr) -> Result<bool, LookupError> {
        let found = match addr {
            IpAddr::V4(addr) => self.dns.a(name).await.map(|answer| answer.records.contains(&addr)),
            IpAddr::V6(addr) => self.dns.aaaa(name).await.map(|answer| answer.records.contains(&addr)),
        };
        // What is no name leads nowhere, today and tomorrow.
        if found == Err(LookupError::NotAName) { Ok(false) } else { found }
    }
}

impl Check for Rdns {
    type Facts = ClientFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    async fn run(&self, facts: &ClientFacts) -> Outcome {
        let addr = canonical(facts.addr);
        if let Some(name) = &facts.vouched_name {
            return Outcome::from_findings(judge(&ClientName::Confirmed(name.to_ascii_lowercase().into()), addr));
        }
        if is_local_scope(addr) {
            return Outcome::Skipped(Skip::NotApplicable);
        }
        match facts.name.get_or_try_derive(|| self.find_name(addr)).await {
            Ok(name) => Outcome::from_findings(judge(name, addr)),
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
