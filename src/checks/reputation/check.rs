//! The checks: they ask the store, and tell it what a message has taught.

use std::net::IpAddr;
use std::sync::Arc;

use super::Settings;
use super::judge::{Lesson, Standing, judge, lesson};
use crate::checks::auth::Authenticator;
use crate::checks::greylist::authenticated_domains;
use crate::checks::site::Site;
use crate::checks::{Check, Fate};
use crate::facts::{AuthResult, MailFacts, MessageFacts};
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Skip, Spec, Symbol};
use crate::store::{Reputations, Reputed};
use crate::units::{self, is_local_scope, registered_domain};
use crate::verdict::Verdict;

/// Bits that make a network, of IPv4 and of IPv6.
const PREFIXES: [u8; 2] = [24, 64];

/// What both checks ask.
#[derive(Clone)]
pub struct Ports {
    /// What is remembered; `None`: nothing, and nobody has a reputation.
    pub store: Option<Arc<dyn Reputations>>,
    /// Who authenticates the sender.
    pub authenticator: Arc<Authenticator>,
    /// Our own machines, whose mail has no reputation.
    pub site: Arc<Site>,
}

/// Weighs a message by what its sender has earned, and learns from it.
pub struct AfterMessage {
    settings: Arc<Settings>,
    ports: Ports,
    spec: Spec,
}

/// Finds nothing, and learns of networks whose mail was refused before there was a message.
pub struct Refusals {
    settings: Arc<Settings>,
    ports: Ports,
    spec: Spec,
}

impl AfterMessage {
    /// Knows nothing yet.
    pub fn new(settings: Arc<Settings>, ports: Ports) -> Self {
        Self { settings, ports, spec: spec("reputation", &["REPUTATION_GOOD", "REPUTATION_BAD"]) }
    }
}

impl Refusals {
    /// Learns as the other check does.
    pub fn new(settings: Arc<Settings>, ports: Ports) -> Self {
        Self { settings, ports, spec: spec("reputation.refusals", &[]) }
    }
}

impl Check for AfterMessage {
    type Facts = MessageFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, facts: &MessageFacts) -> Outcome {
        let Some(store) = &self.ports.store else { return Outcome::Skipped(Skip::NotApplicable) };
        if is_ours(&self.ports, &facts.mail) {
            return Outcome::Skipped(Skip::Trusted);
        }
        let authenticator = &self.ports.authenticator;
        authenticator.author(facts).await;
        tokio::join!(authenticator.spf_of_mail(&facts.mail), authenticator.dkim(facts));
        let whose = whose(&self.settings, facts);
        let known = match store.reputation_look(&whose, self.settings.fading, facts.mail.at).await {
            Ok(known) => known,
            Err(why) => return Outcome::Failed(CheckError::Store(why.to_string())),
        };
        let (network, domains) = known.split_first().map_or((None, &[][..]), |(first, rest)| (first.as_ref(), rest));
        let standings = domains.chunks(2).map(|of_domain| Standing {
            domain: of_domain.first().copied().flatten(),
            pair: of_domain.get(1).copied().flatten(),
        });
        let leaning = judge(&self.settings, network, &standings.collect::<Vec<_>>());
        let Some((leaning, (lesson, strength))) = leaning.and_then(|leaning| Some((leaning, leaning.verdict()?)))
        else {
            return Outcome::Clear;
        };
        let symbol = match lesson {
            Lesson::Good => "REPUTATION_GOOD",
            Lesson::Bad => "REPUTATION_BAD",
        };
        Outcome::Found(vec![Finding { strength, ..Finding::new(Symbol::known(symbol), leaning.to_string()) }])
    }

    fn remembers(&self) -> bool {
        self.ports.store.is_some()
    }

    fn learns_from_others(&self) -> bool {
        true
    }

    async fn remember(&self, facts: &MessageFacts, fate: &Fate) {
        if is_ours(&self.ports, &facts.mail) {
            return;
        }
        // Reports about mail that somebody else forged lead to traps, too.
        let traps = if facts.mail.reverse_path.is_null() { 0 } else { facts.traps() };
        let Some(lesson) = lesson(&self.settings, fate, traps) else { return };
        let mut whose = whose(&self.settings, facts);
        if lesson == Lesson::Bad {
            // A signature can be sent again by anybody: only SPF says that the domain itself has sent it.
            let vouched = facts.mail.spf.get().filter(|spf| spf.result == AuthResult::Pass && !spf.permissive);
            let vouched = vouched.map(|spf| registered_domain(&spf.domain).unwrap_or(&spf.domain));
            whose.retain(|one| !matches!(one, Reputed::Domain(domain) if Some(&**domain) != vouched));
        }
        learn(&self.settings, &self.ports, whose, lesson, &facts.mail).await;
    }
}

impl Check for Refusals {
    type Facts = MailFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, _facts: &MailFacts) -> Outcome {
        Outcome::Clear
    }

    fn remembers(&self) -> bool {
        self.ports.store.is_some()
    }

    async fn remember(&self, facts: &MailFacts, fate: &Fate) {
        // Where a message came of it, it is the other check's; nothing of ours was in sight at RCPT.
        let was_refused = fate.abandoned && fate.refused.iter().any(|(_, verdict)| *verdict == Verdict::Reject);
        if was_refused && !is_ours(&self.ports, facts) {
            let whose = vec![Reputed::Network(network_of(facts.helo.client.addr))];
            learn(&self.settings, &self.ports, whose, Lesson::Bad, facts).await;
        }
    }
}

async fn learn(settings: &Settings, ports: &Ports, whose: Vec<Reputed>, lesson: Lesson, mail: &MailFacts) {
    let Some(store) = &ports.store else { return };
    let (good, bad) = match lesson {
        Lesson::Good => (1.0, 0.0),
        Lesson::Bad => (0.0, 1.0),
    };
    // A failure was counted and logged where it happened; there is nothing to do about it here.
    let _ = store.reputation_note(whose, good, bad, settings.fading, mail.at).await;
}

/// True for clients whose mail is our own users', or that no public network has.
fn is_ours(ports: &Ports, mail: &MailFacts) -> bool {
    let client = mail.helo.client.addr;
    is_local_scope(client) || ports.site.networks.contains(client)
}

/// Whose reputation a message is about: the network, then each domain and its pair, as far as others have found out.
fn whose(settings: &Settings, facts: &MessageFacts) -> Vec<Reputed> {
    let network = network_of(facts.mail.helo.client.addr);
    let domains = authenticated_domains(&settings.shared, facts.mail.spf.get(), facts.dkim.get(), facts.author.get());
    let mut whose = vec![Reputed::Network(network.clone())];
    for domain in domains {
        let domain: Arc<str> = domain.into();
        whose.extend([Reputed::Domain(domain.clone()), Reputed::Pair(domain, network.clone())]);
    }
    whose
}

/// The network of a client, as operators write it.
pub fn network_of(client: IpAddr) -> Arc<str> {
    let [v4, v6] = PREFIXES;
    units::network_of(client, v4, v6).to_string().into()
}

fn spec(name: &str, symbols: &[&'static str]) -> Spec {
    Spec { name: CheckName::new(name), emits: symbols.iter().copied().map(Symbol::known).collect(), exclusive: true }
}

#[cfg(test)]
mod tests;
