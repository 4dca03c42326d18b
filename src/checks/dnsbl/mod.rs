//! DNS blocklists and allowlists of addresses (RFC 5782): one zone is one check.

pub mod code;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::Check;
use crate::dns::Lookup;
use crate::facts::ClientFacts;
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Skip, Spec, Symbol};
use crate::units::{canonical, is_local_scope, reversed_labels};
pub use code::{CodePattern, PatternError};

/// One list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its short name; the check is called `dnsbl.<name>`.
    pub name: String,
    /// Its zone, such as `zen.spamhaus.org`.
    pub zone: String,
    /// It lists IPv4 addresses.
    pub ipv4: bool,
    /// It lists IPv6 addresses.
    pub ipv6: bool,
    /// How long it may take to answer.
    pub deadline: Duration,
    /// What its return codes mean. Every pattern that matches a code emits its symbol.
    pub codes: Vec<(CodePattern, Symbol)>,
    /// Its symbols count for nothing but the record of what would have been.
    pub shadow: bool,
}

/// The check of one list.
pub struct Dnsbl {
    settings: Settings,
    spec: Spec,
    dns: Arc<dyn Lookup>,
}

impl Dnsbl {
    /// Asks `dns` about every client.
    pub fn new(settings: Settings, dns: Arc<dyn Lookup>) -> Self {
        let mut emits: Vec<Symbol> = settings.codes.iter().map(|(_, symbol)| symbol.clone()).collect();
        emits.sort();
        emits.dedup();
        let spec = Spec {
            name: CheckName::new(&format!("dnsbl.{}", settings.name)),
            exclusive: emits.len() < 2,
            emits: emits.into(),
        };
        Self { settings, spec, dns }
    }

    async fn look(&self, addr: IpAddr) -> Outcome {
        let addr = canonical(addr);
        let lists_family = if addr.is_ipv4() { self.settings.ipv4 } else { self.settings.ipv6 };
        if !lists_family || is_local_scope(addr) {
            return Outcome::Skipped(Skip::NotApplicable);
        }
        let name = format!("{}{}", reversed_labels(addr), self.settings.zone);
        match self.dns.a(&name).await {
            Ok(answer) => judge(&self.settings, addr, &answer.records),
            Err(why) => Outcome::Failed(CheckError::Dns(why.to_string())),
        }
    }
}

impl Check for Dnsbl {
    type Facts = ClientFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    async fn run(&self, facts: &ClientFacts) -> Outcome {
        self.look(facts.addr).await
    }

    fn time_limit(&self) -> Option<Duration> {
        Some(self.settings.deadline)
    }
}

/// What the list's answer about `addr` means. No records: not listed. Codes that nobody gave a meaning
/// are no observation. One code that no working list sends spoils the whole answer.
pub fn judge(settings: &Settings, addr: IpAddr, codes: &[Ipv4Addr]) -> Outcome {
    let zone = &settings.zone;
    if let Some((code, why)) = codes.iter().find_map(|code| Some((code, trouble(*code)?))) {
        return Outcome::Failed(CheckError::ListError(format!("{code} from {zone}: {why}")));
    }
    let mut codes = codes.to_vec();
    codes.sort_unstable();
    codes.dedup();
    let mut found: Vec<(&Symbol, Vec<String>)> = Vec::new();
    for (pattern, symbol) in &settings.codes {
        for code in codes.iter().filter(|code| pattern.matches(**code)).map(Ipv4Addr::to_string) {
            match found.iter_mut().find(|(other, _)| *other == symbol) {
                Some((_, matched)) if matched.contains(&code) => {}
                Some((_, matched)) => matched.push(code),
                None => found.push((symbol, vec![code])),
            }
        }
    }
    let finding = |(symbol, codes): (&Symbol, Vec<String>)| {
        Finding::new(symbol.clone(), format!("{} from {zone} for {addr}", codes.join(", ")))
    };
    Outcome::from_findings(found.into_iter().map(finding).collect())
}

/// Why a code is no listing, if it is none.
fn trouble(code: Ipv4Addr) -> Option<&'static str> {
    match code.octets() {
        [127, 255, 255, _] => Some("the list refuses our questions"),
        [127, 0, 0, 1] => Some("no list answers so (RFC 5782 2.1)"),
        [127, ..] => None,
        _ => Some("not within 127.0.0.0/8: the zone is gone, or somebody answers in its place"),
    }
}

#[cfg(test)]
mod tests;
