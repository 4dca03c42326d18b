//! What trust.toml says of the client itself.

use std::sync::Arc;
use std::time::Duration;

use super::{Caller, Settings};
use crate::checks::Check;
use crate::checks::client_name::ClientNames;
use crate::facts::ClientFacts;
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Spec, Symbol};

/// Forwarders, and allowed and denied clients.
pub struct Clients {
    settings: Arc<Settings>,
    names: ClientNames,
    /// False if every entry is about networks: nothing needs to be asked then.
    asks_names: bool,
    spec: Spec,
}

impl Clients {
    /// Names of clients are found by `names`.
    pub fn new(settings: Arc<Settings>, names: ClientNames) -> Self {
        let symbols = ["TRUSTED_FORWARDER", "ALLOWED_CLIENT", "DENIED_CLIENT"];
        let spec = Spec {
            name: CheckName::new("trust.client"),
            emits: symbols.into_iter().map(Symbol::known).collect(),
            exclusive: false,
        };
        let entries = settings.allowed.iter().chain(&settings.denied).filter(|entry| entry.is_about_clients());
        let mut clients = entries.map(|entry| &entry.clients).chain(&settings.forwarders);
        let asks_names = clients.any(|clients| !clients.names.is_empty());
        Self { settings, names, asks_names, spec }
    }
}

impl Check for Clients {
    type Facts = ClientFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, facts: &ClientFacts) -> Outcome {
        let by_network = judge(&self.settings, &Caller::new(facts, None));
        if !self.asks_names {
            return Outcome::from_findings(by_network);
        }
        match self.names.of(facts).await {
            Ok(name) => Outcome::from_findings(judge(&self.settings, &Caller::new(facts, name))),
            // What networks say holds whatever DNS does.
            Err(_) if !by_network.is_empty() => Outcome::Found(by_network),
            Err(why) => Outcome::Failed(CheckError::Dns(why.to_string())),
        }
    }

    fn time_limit(&self) -> Option<Duration> {
        Some(Duration::from_secs(8))
    }
}

fn judge(settings: &Settings, caller: &Caller<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |symbol, reason: &str| {
        let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        findings.push(Finding::new(Symbol::known(symbol), format!("{}{because}", caller.shown())));
    };
    if let Some(forwarder) = settings.forwarders.iter().find(|clients| clients.holds(caller)) {
        found("TRUSTED_FORWARDER", &forwarder.reason);
    }
    for (symbol, entries) in [("ALLOWED_CLIENT", &settings.allowed), ("DENIED_CLIENT", &settings.denied)] {
        let mut about_clients = entries.iter().filter(|entry| entry.is_about_clients());
        if let Some(entry) = about_clients.find(|entry| entry.clients.holds(caller)) {
            found(symbol, &entry.clients.reason);
        }
    }
    findings
}
