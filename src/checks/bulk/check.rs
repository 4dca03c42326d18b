//! The check: it asks the store, and tells it what became of the message.

use std::net::IpAddr;
use std::sync::Arc;

use super::Settings;
use super::fingerprint::fingerprint;
use super::judge::{self, Judgement};
use crate::checks::auth::Authenticator;
use crate::checks::greylist;
use crate::checks::site::Site;
use crate::checks::{Check, Fate};
use crate::facts::{AuthResult, Author, Dkim, MessageFacts};
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Skip, Spec, Symbol};
use crate::smtp::Domain;
use crate::store::{CampaignSighting, Campaigns};
use crate::units::{is_local_scope, registered_domain};
use crate::verdict::Verdict;

const SYMBOLS: [Judgement; 5] =
    [Judgement::Legitimate, Judgement::Unknown, Judgement::Campaign, Judgement::Condemned, Judgement::Praised];

/// What the check asks.
#[derive(Clone)]
pub struct Ports {
    /// What is remembered; `None`: nothing, and no message is found to be like another.
    pub store: Option<Arc<dyn Campaigns>>,
    /// Who authenticates the sender.
    pub authenticator: Arc<Authenticator>,
    /// Our own machines, whose mail is not looked at.
    pub site: Arc<Site>,
    /// What a sender is: domains that many share authenticate nobody, and what a network is.
    pub senders: Arc<greylist::Settings>,
}

/// Finds the campaign that a message belongs to.
pub struct Bulk {
    settings: Arc<Settings>,
    ports: Ports,
    spec: Spec,
}

/// Who sends a message.
struct Who {
    sender: greylist::Sender,
    /// The registered domain that authenticates it, the author's before others.
    authenticated: Option<String>,
    /// The author's registered domain.
    author: Option<String>,
    /// Nothing authenticates it, but that is not certain: DNS was in trouble, or nobody has asked yet.
    is_in_doubt: bool,
}

impl Bulk {
    /// Accuses nobody by itself.
    pub fn new(settings: Arc<Settings>, ports: Ports) -> Self {
        let emits = SYMBOLS.map(|judgement| Symbol::known(judgement.symbol())).into();
        Self { settings, ports, spec: Spec { name: CheckName::new("bulk"), emits, exclusive: true } }
    }

    /// True for mail that is not looked at: our own that comes by the edge, and what no person wrote.
    fn is_left_alone(&self, facts: &MessageFacts) -> bool {
        let client = &facts.mail.helo.client;
        let is_ours = is_local_scope(client.addr) || self.ports.site.networks.contains(client.addr);
        facts.mail.reverse_path.is_null() || (is_ours && !leaves(facts))
    }

    /// Who sends it, as far as others have found out.
    fn who(&self, facts: &MessageFacts) -> Who {
        let mail = &facts.mail;
        let author = facts.author.get();
        let sender =
            greylist::Sender::new(&self.ports.senders, mail.helo.client.addr, mail.spf.get(), facts.dkim.get(), author);
        let author = author.and_then(Author::domain).map(|domain| registered_domain(domain).unwrap_or(domain));
        let aligned = sender.domains.iter().find(|domain| Some(domain.as_str()) == author);
        let authenticated = aligned.or(sender.domains.first()).cloned();
        // Only what is the author's own raises doubt: anybody can sign with a domain whose DNS does not answer.
        let is_in_doubt_of = |result, domain: &str| {
            result == AuthResult::TempError && registered_domain(domain).is_some_and(|domain| Some(domain) == author)
        };
        let spf = mail.spf.get().is_none_or(|spf| is_in_doubt_of(spf.result, &spf.domain));
        let is_unknown = |dkim: &Dkim| dkim.signatures.iter().any(|one| is_in_doubt_of(one.result, &one.domain));
        let is_in_doubt = authenticated.is_none() && (spf || facts.dkim.get().is_none_or(is_unknown));
        Who { authenticated, author: author.map(str::to_owned), sender, is_in_doubt }
    }
}

impl Who {
    fn is_aligned(&self) -> bool {
        self.authenticated.is_some() && self.authenticated == self.author
    }

    /// Authenticated, and known for mail that is alike by its nature; or nobody can say that it is not.
    fn is_transactional(&self, settings: &Settings) -> bool {
        let author = self.author.as_deref().filter(|_| self.is_aligned() || self.is_in_doubt);
        author.is_some_and(|author| settings.transactional.contains(author))
    }
}

impl Check for Bulk {
    type Facts = MessageFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    async fn run(&self, facts: &MessageFacts) -> Outcome {
        let Some(store) = &self.ports.store else { return Outcome::Skipped(Skip::NotApplicable) };
        if self.is_left_alone(facts) {
            return Outcome::Skipped(Skip::NotApplicable);
        }
        let authenticator = &self.ports.authenticator;
        authenticator.author(facts).await;
        if !leaves(facts) {
            tokio::join!(authenticator.spf_of_mail(&facts.mail), authenticator.dkim(facts));
        }
        let fingerprint = fingerprint(facts, store.campaign_key()).await;
        let campaign = match store.campaign_look(fingerprint, facts.mail.at).await {
            Ok(Some(campaign)) => campaign,
            Ok(None) => return Outcome::Clear,
            Err(why) => return Outcome::Failed(CheckError::Store(why.to_string())),
        };
        let who = self.who(facts);
        let sender = judge::Sender {
            is_authenticated: who.authenticated.is_some(),
            is_aligned: who.is_aligned(),
            is_transactional: who.is_transactional(&self.settings),
            has_list_id: has_list_id(facts),
            links_home: who.author.as_deref().is_some_and(|author| leads_only_to(facts, author)),
        };
        let likeness = fingerprint.digest.evidence();
        let Some(judgement) = judge::judge(&self.settings, &campaign, &sender, likeness, facts.mail.at) else {
            return Outcome::Clear;
        };
        let finding = Finding::new(Symbol::known(judgement.symbol()), judge::evidence(&campaign));
        let strength = judge::strength(judgement, &campaign, likeness);
        Outcome::Found(vec![Finding { strength, ..finding }])
    }

    fn remembers(&self) -> bool {
        self.ports.store.is_some()
    }

    async fn remember(&self, facts: &MessageFacts, fate: &Fate) {
        // What our users send says nothing about what comes; it is only held against that.
        let is_counted = !leaves(facts) && !self.is_left_alone(facts);
        let Some(store) = self.ports.store.as_ref().filter(|_| is_counted) else { return };
        self.ports.authenticator.author(facts).await;
        let who = self.who(facts);
        // So that what imitates such mail is counted without the true mail beside it.
        if who.is_transactional(&self.settings) {
            return;
        }
        let fingerprint = fingerprint(facts, store.campaign_key()).await.clone();
        let reverse_path = facts.mail.reverse_path.mailbox().map(|mailbox| mailbox.domain());
        let sender_domain = match reverse_path {
            Some(name @ Domain::Name(_)) => {
                let name = name.to_ascii_lower();
                Some(registered_domain(&name).unwrap_or(&name).into())
            }
            Some(_) => None,
            None => who.author.as_deref().map(Into::into),
        };
        let sighting = CampaignSighting {
            fingerprint,
            network: number(who.sender.network.addr()),
            sender_domain,
            authenticated: who.authenticated.as_deref().map(Into::into),
            is_aligned: who.is_aligned(),
            has_list_id: has_list_id(facts),
            has_unsubscribe: has_one_click(facts),
            known_recipients: u32::try_from(fate.recipients.len()).unwrap_or(u32::MAX),
            unknown_recipients: fate.unknown_recipients,
            // A message is one hit, however many traps it names, and it is one when it is done with.
            traps: u32::from(facts.traps() > 0 && !comes_again(fate)),
            is_deferred: comes_again(fate),
        };
        // A failure was counted and logged where it happened; there is nothing to do about it here.
        let _ = store.campaign_note(sighting, facts.mail.at).await;
    }
}

/// True for mail of our own users for others.
fn leaves(facts: &MessageFacts) -> bool {
    facts.mail.helo.client.role.is_outgoing()
}

/// True for what its sender will, or may, send again.
fn comes_again(fate: &Fate) -> bool {
    fate.abandoned || fate.verdict == Verdict::Defer || !(200..300).contains(&fate.reply_code) && fate.reply_code < 500
}

/// True if there are links, and all of them lead to hosts of `domain`.
fn leads_only_to(facts: &MessageFacts, domain: &str) -> bool {
    let hosts = facts.model.get().map(|model| model.found.hosts.as_slice()).unwrap_or_default();
    !hosts.is_empty() && hosts.iter().all(|host| registered_domain(host) == Some(domain))
}

fn has_list_id(facts: &MessageFacts) -> bool {
    facts.message.fields().any(|field| field.is("List-Id"))
}

/// RFC 8058 3.1.
fn has_one_click(facts: &MessageFacts) -> bool {
    let says_so = |value: &[u8]| value.to_ascii_lowercase().windows(9).any(|part| part == b"one-click");
    facts.message.fields().any(|field| field.is("List-Unsubscribe-Post") && says_so(field.value))
}

fn number(network: IpAddr) -> u64 {
    match network {
        IpAddr::V4(network) => u64::from(u32::from(network)),
        IpAddr::V6(network) => (u128::from(network) >> 64) as u64,
    }
}

#[cfg(test)]
mod tests;
