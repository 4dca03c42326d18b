//! Is the HELO name a plausible one (RFC 5321 4.1.1.1, 4.1.3, 4.1.4)?
//!
//! The judge is pure; only a name that looks like a public host's is looked up.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Check;
use crate::dns::{Lookup, LookupError};
use crate::facts::HeloFacts;
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Skip, Spec, Symbol};
use crate::units::{canonical, is_local_scope};

/// How HELO names are judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Names that only we may use, our relay domains for example; our host name need not be among them.
    /// Exact names, any case, A-labels or U-labels.
    pub own_names: Vec<String>,
    /// How long the look-up of the name may take.
    pub deadline: Duration,
}

/// The check.
pub struct Helo {
    own_names: HashSet<String>,
    deadline: Duration,
    spec: Spec,
    dns: Arc<dyn Lookup>,
}

/// What the name alone tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// Nothing speaks against it, and there is nothing to look up.
    Fine,
    /// This speaks against it: a symbol, and why.
    Bad(&'static str, String),
    /// A public host name, to be looked up.
    Public(String),
}

const SYMBOLS: [&str; 7] = [
    "HELO_SYNTAX",
    "HELO_BARE_IP",
    "HELO_LITERAL_MISMATCH",
    "HELO_IS_US",
    "HELO_LOCALHOST",
    "HELO_NOT_FQDN",
    "HELO_UNRESOLVABLE",
];

impl Default for Settings {
    fn default() -> Self {
        Self { own_names: Vec::new(), deadline: Duration::from_secs(8) }
    }
}

impl Helo {
    /// Looks names up in `dns`.
    pub fn new(settings: Settings, dns: Arc<dyn Lookup>) -> Self {
        let spec = Spec {
            name: CheckName::new("helo"),
            emits: SYMBOLS.into_iter().map(Symbol::known).collect(),
            exclusive: true,
        };
        let own_names = settings.own_names.iter().map(|name| folded(name)).collect();
        Self { own_names, deadline: settings.deadline, spec, dns }
    }

    async fn look(&self, name: &str, addr: IpAddr, hostname: &str) -> Outcome {
        // Machines of our own network call themselves as they like.
        if is_local_scope(addr) {
            return Outcome::Skipped(Skip::NotApplicable);
        }
        let found = |symbol, why: String| Outcome::Found(vec![Finding::new(Symbol::known(symbol), why)]);
        let is_ours = |name: &str| folded(hostname) == name || self.own_names.contains(name);
        match judge(name, addr, is_ours) {
            Opinion::Fine => Outcome::Clear,
            Opinion::Bad(symbol, why) => found(symbol, why),
            Opinion::Public(name) => match self.resolves(&name).await {
                Ok(true) => Outcome::Clear,
                Ok(false) => found("HELO_UNRESOLVABLE", format!("{name} has neither address nor mail exchanger")),
                Err(why) => Outcome::Failed(CheckError::Dns(why.to_string())),
            },
        }
    }

    /// A, AAAA or MX, one after the other: the first is nearly always there.
    async fn resolves(&self, name: &str) -> Result<bool, LookupError> {
        let a = self.dns.a(name).await?;
        if !a.records.is_empty() || !a.exists {
            return Ok(a.exists);
        }
        Ok(!self.dns.aaaa(name).await?.records.is_empty() || !self.dns.mx(name).await?.records.is_empty())
    }
}

impl Check for Helo {
    type Facts = HeloFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, facts: &HeloFacts) -> Outcome {
        self.look(facts.name.as_str(), canonical(facts.client.addr), &facts.client.hostname).await
    }

    fn time_limit(&self) -> Option<Duration> {
        Some(self.deadline)
    }
}

/// What the HELO name of the client `addr` tells by itself. `is_ours` is asked with lower-case names
/// without a trailing dot.
pub fn judge(name: &str, addr: IpAddr, is_ours: impl Fn(&str) -> bool) -> Opinion {
    let bad = |symbol, why: &str| Opinion::Bad(symbol, format!("{name}: {why}"));
    if name.starts_with('[') {
        return match literal(name) {
            Some(claimed) if claimed == addr => Opinion::Fine,
            Some(_) => bad("HELO_LITERAL_MISMATCH", &format!("the client is {addr}")),
            None => bad("HELO_SYNTAX", "no address literal"),
        };
    }
    if name.parse::<IpAddr>().is_ok() {
        return bad("HELO_BARE_IP", "an address without brackets");
    }
    let Some(host) = host_name(name) else { return bad("HELO_SYNTAX", "no host name") };
    if is_localhost(&host) {
        bad("HELO_LOCALHOST", "everybody's name for himself")
    } else if is_ours(&host) {
        bad("HELO_IS_US", "our own name")
    } else if !host.contains('.') {
        bad("HELO_NOT_FQDN", "not fully qualified")
    } else {
        Opinion::Public(host)
    }
}

/// `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 4.1.3).
fn literal(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let addr = match inner.split_at_checked(5) {
        Some((tag, v6)) if tag.eq_ignore_ascii_case("IPv6:") => IpAddr::V6(v6.parse().ok()?),
        _ => IpAddr::V4(inner.parse().ok()?),
    };
    Some(canonical(addr))
}

/// The name in lower case without a trailing dot, if it could be a host's. Underscores pass: they are
/// against RFC 952, but many honest machines are called so.
fn host_name(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last_is_number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|octet| octet.is_ascii_digit()));
    let fits = name.len() <= 253 && name.split('.').all(is_label) && !last_is_number;
    fits.then(|| name.to_ascii_lowercase())
}

fn is_localhost(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost") || host == "localhost.localdomain"
}

fn folded(name: &str) -> String {
    let name = name.trim().trim_end_matches('.');
    idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dns::FixedDns;
    use crate::facts::ClientFacts;
    use crate::smtp::HeloName;

    const ADDR: [u8; 4] = [192, 0, 2, 1];

    fn told(outcome: &Outcome) -> String {
        match outcome.findings() {
            [] => outcome.label().to_owned(),
            findings => findings.iter().map(|finding| finding.symbol.as_str()).collect::<Vec<_>>().join(" "),
        }
    }

    fn check() -> Helo {
        let dns = FixedDns::new()
            .a("mail.example.org", [[198, 51, 100, 1]])
            .aaaa("six.example.org", ["2001:db8::1".parse().expect("address")])
            .mx("example.com", [(10, "mail.example.org")])
            .txt("text.example.org", ["no address"])
            .fail("broken.example.org", LookupError::ServerFailure);
        let own_names = vec!["Example.NET".to_owned(), "b\u{fc}cher.example".to_owned()];
        Helo::new(Settings { own_names, ..Settings::default() }, Arc::new(dns))
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_judged_by_their_looks_and_then_looked_up() {
        let check = check();
        let long = format!("{}.example.org", "a".repeat(64));
        for (name, outcome) in [
            ("mail.example.org", "clear"),
            ("MAIL.Example.org.", "clear"),
            ("six.example.org", "clear"),
            ("example.com", "clear"),
            ("my_pc.example.org", "HELO_UNRESOLVABLE"),
            ("nowhere.example.org", "HELO_UNRESOLVABLE"),
            ("text.example.org", "HELO_UNRESOLVABLE"),
            ("broken.example.org", "failed"),
            ("[192.0.2.1]", "clear"),
            ("[IPv6:::ffff:192.0.2.1]", "clear"),
            ("[192.0.2.2]", "HELO_LITERAL_MISMATCH"),
            ("[ipv6:2001:db8::1]", "HELO_LITERAL_MISMATCH"),
            ("[2001:db8::1]", "HELO_SYNTAX"),
            ("[192.0.2.1", "HELO_SYNTAX"),
            ("[]", "HELO_SYNTAX"),
            ("[\u{fc}\u{fc}\u{fc}]", "HELO_SYNTAX"),
            ("192.0.2.1", "HELO_BARE_IP"),
            ("2001:db8::1", "HELO_BARE_IP"),
            ("192.0.2", "HELO_SYNTAX"),
            ("-mail.example.org", "HELO_SYNTAX"),
            ("mail..example.org", "HELO_SYNTAX"),
            ("ma!l.example.org", "HELO_SYNTAX"),
            ("m\u{e4}il.example.org", "HELO_SYNTAX"),
            (".", "HELO_SYNTAX"),
            ("", "HELO_SYNTAX"),
            (long.as_str(), "HELO_SYNTAX"),
            ("pc17", "HELO_NOT_FQDN"),
            ("localhost", "HELO_LOCALHOST"),
            ("LOCALHOST.localdomain", "HELO_LOCALHOST"),
            ("mx.example.net", "HELO_IS_US"),
            ("example.net", "HELO_IS_US"),
            ("xn--bcher-kva.example", "HELO_IS_US"),
            ("other.example.net", "HELO_UNRESOLVABLE"),
        ] {
            assert_eq!(told(&check.look(name, ADDR.into(), "MX.example.net").await), outcome, "{name}");
        }
    }

    #[tokio::test]
    async fn the_facts_of_the_session_are_what_is_judged() {
        let client = ClientFacts::new(ADDR.into(), "edge".into(), "mx.example.net".into(), None);
        let name = HeloName::parse(b"MX.example.net").expect("a word");
        let facts = HeloFacts::new(Arc::new(client), name, true, None);
        assert_eq!(told(&check().run(&facts).await), "HELO_IS_US");
    }

    proptest! {
        #[test]
        fn no_name_confuses_the_judge(name in "\\PC{0,40}|[\\[\\]:.a-f0-9-]{0,40}", octets: [u8; 4]) {
            if let Opinion::Public(host) = judge(&name, octets.into(), |_| false) {
                prop_assert!(host.contains('.') && host.is_ascii() && !host.ends_with('.'), "{host}");
            }
        }
    }

    #[tokio::test]
    async fn our_own_network_may_say_what_it_likes() {
        for name in ["pc17", "localhost", "192.0.2.1"] {
            let outcome = check().look(name, [10, 0, 0, 1].into(), "mx.example.net").await;
            assert_eq!(outcome, Outcome::Skipped(Skip::NotApplicable), "{name}");
        }
    }

    #[test]
    fn every_symbol_of_the_judge_is_declared() {
        let check = check();
        let addr = IpAddr::from(ADDR);
        for name in ["[x]", "192.0.2.1", "[192.0.2.2]", "us.example", "pc17", "localhost"] {
            let Opinion::Bad(symbol, _) = judge(name, addr, |name| name == "us.example") else {
                panic!("{name} passes");
            };
            assert!(Check::spec(&check).emits.iter().any(|known| known.as_str() == symbol), "{symbol}");
        }
    }
}
