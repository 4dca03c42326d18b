//! Whether the reverse-path could be answered: a domain that takes no mail sends none either.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::Check;
use crate::dns::{Lookup, LookupError, Mx};
use crate::facts::MailFacts;
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Skip, Spec, Symbol};
use crate::smtp::{Domain, ReversePath};
use crate::units::is_local_scope;

/// What an administrator can set about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Mail exchangers whose addresses are looked up; further ones are taken for good.
    pub max_exchangers: usize,
    /// How long the check may take.
    pub deadline: Duration,
}

/// The check.
pub struct Sender {
    settings: Settings,
    spec: Spec,
    dns: Arc<dyn Lookup>,
}

/// What DNS says of a domain as a destination of mail.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Destination {
    Good,
    /// Neither exchangers nor addresses, or exchangers without addresses.
    None,
    /// Says that it takes no mail (RFC 7505).
    NullMx,
    /// All of its exchangers are where nobody can send mail to.
    Reserved(IpAddr),
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_exchangers: 5, deadline: Duration::from_secs(8) }
    }
}

impl Sender {
    /// Asks `dns` about every reverse-path.
    pub fn new(settings: Settings, dns: Arc<dyn Lookup>) -> Self {
        let symbols = ["SENDER_UNREACHABLE", "SENDER_NULL_MX", "SENDER_MX_RESERVED", "SENDER_NULL"];
        let spec = Spec {
            name: CheckName::new("sender"),
            emits: symbols.into_iter().map(Symbol::known).collect(),
            exclusive: true,
        };
        Self { settings, spec, dns }
    }

    async fn destination(&self, domain: &str) -> Result<Destination, LookupError> {
        let exchangers = self.dns.mx(domain).await?.records;
        if exchangers.is_empty() {
            // RFC 5321 5.1: without exchangers the domain itself is one.
            return Ok(judge(&self.addresses(domain).await?));
        }
        if exchangers.iter().all(|(_, host)| host.is_empty()) {
            return Ok(Destination::NullMx);
        }
        if exchangers.len() > self.settings.max_exchangers {
            return Ok(Destination::Good);
        }
        let hosts = exchangers.iter().filter(|(_, host)| !host.is_empty());
        let found = join_all(hosts.map(|(_, host): &Mx| self.addresses(host))).await;
        // One that could not be looked up may be the one that takes mail.
        let addresses: Vec<IpAddr> = found.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        Ok(judge(&addresses))
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        let missing = |why| if why == LookupError::NotAName { Ok(Vec::new()) } else { Err(why) };
        let of_v4 = self.dns.a(host).await.map(|found| found.records.iter().map(|addr| IpAddr::V4(*addr)).collect());
        let mut addresses: Vec<IpAddr> = of_v4.or_else(missing)?;
        // Some have public addresses of the newer family only.
        if addresses.iter().all(|addr| is_local_scope(*addr)) {
            let found = self.dns.aaaa(host).await.map(|found| found.records.to_vec());
            addresses
                .extend(found.map(|found| found.into_iter().map(IpAddr::V6).collect::<Vec<_>>()).or_else(missing)?);
        }
        Ok(addresses)
    }

    async fn look(&self, domain: &str) -> Outcome {
        let found = |symbol, why: String| Outcome::Found(vec![Finding::new(Symbol::known(symbol), why)]);
        match self.destination(domain).await {
            Ok(Destination::Good) => Outcome::Clear,
            Ok(Destination::None) => found("SENDER_UNREACHABLE", format!("{domain} has neither exchanger nor address")),
            Ok(Destination::NullMx) => found("SENDER_NULL_MX", format!("{domain} says that it takes no mail")),
            Ok(Destination::Reserved(addr)) => {
                found("SENDER_MX_RESERVED", format!("mail for {domain} would go to {addr}"))
            }
            Err(LookupError::NotAName) => found("SENDER_UNREACHABLE", format!("{domain} is no name in DNS")),
            Err(why) => Outcome::Failed(CheckError::Dns(why.to_string())),
        }
    }
}

impl Check for Sender {
    type Facts = MailFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, facts: &MailFacts) -> Outcome {
        match &facts.reverse_path {
            ReversePath::Mailbox(mailbox) if matches!(mailbox.domain(), Domain::Name(_)) => {
                self.look(&mailbox.domain().to_ascii_lower()).await
            }
            ReversePath::Mailbox(_) => Outcome::Skipped(Skip::NotApplicable),
            ReversePath::Null => Outcome::Found(vec![Finding::new(Symbol::known("SENDER_NULL"), "")]),
        }
    }

    fn time_limit(&self) -> Option<Duration> {
        Some(self.settings.deadline)
    }
}

fn judge(addresses: &[IpAddr]) -> Destination {
    match addresses.first() {
        None => Destination::None,
        Some(first) if addresses.iter().all(|addr| is_local_scope(*addr)) => Destination::Reserved(*first),
        Some(_) => Destination::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::FixedDns;

    #[tokio::test(start_paused = true)]
    async fn a_sender_that_nobody_can_answer_is_observed() {
        let dns = FixedDns::new()
            .mx("good.example", [(10, "mx.good.example")])
            .a("mx.good.example", [[192, 0, 2, 1]])
            .a("address.example", [[192, 0, 2, 2]])
            .aaaa("six.example", ["2001:db8::1".parse().expect("an address")])
            .mx("silent.example", [(10, "gone.silent.example")])
            .mx("private.example", [(10, "mx.private.example"), (20, "lo.private.example")])
            .a("mx.private.example", [[10, 0, 0, 1]])
            .a("lo.private.example", [[127, 0, 0, 1]])
            .mx("newer.example", [(10, "mx.newer.example")])
            .a("mx.newer.example", [[10, 0, 0, 2]])
            .aaaa("mx.newer.example", ["2001:db8::2".parse().expect("an address")])
            .mx("half.example", [(10, "mx.private.example"), (20, "mx.good.example")])
            .mx("broken.example", [(10, "mx.good.example"), (20, "dead.example")])
            .fail("dead.example", LookupError::ServerFailure)
            .mx("null.example", [(0, "")])
            .txt("only-text.example", ["hello"]);
        let sender = Sender::new(Settings::default(), Arc::new(dns));
        for (domain, symbol) in [
            ("good.example", None),
            ("address.example", None),
            ("six.example", None),
            ("half.example", None),
            ("newer.example", None),
            ("silent.example", Some("SENDER_UNREACHABLE")),
            ("nowhere.example", Some("SENDER_UNREACHABLE")),
            ("only-text.example", Some("SENDER_UNREACHABLE")),
            ("null.example", Some("SENDER_NULL_MX")),
            ("private.example", Some("SENDER_MX_RESERVED")),
        ] {
            let outcome = sender.look(domain).await;
            assert_eq!(outcome.findings().first().map(|found| found.symbol.as_str()), symbol, "{domain}: {outcome:?}");
        }
        for domain in ["dead.example", "broken.example"] {
            assert!(matches!(sender.look(domain).await, Outcome::Failed(CheckError::Dns(_))), "{domain}");
        }
    }
}
