//! The checks: they ask the store, and tell it what became of the transaction.

use std::sync::Arc;
use std::time::Duration;

use super::key::{Origin, Sender, recipient_key, sender_key};
use super::{Settings, Standing, judge};
use crate::checks::auth::Authenticator;
use crate::checks::client_name::ClientNames;
use crate::checks::site::Site;
use crate::checks::{Check, Fate};
use crate::facts::{ClientName, MailFacts, MessageFacts, RcptFacts};
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Skip, Spec, Symbol};
use crate::smtp::{ForwardPath, Mailbox, ReversePath};
use crate::store::{Greylist, StoreError, TripletEvent, TripletKey, TripletRecord};
use crate::units::{is_local_scope, registered_domain};
use crate::verdict::Verdict;

const AFTER_MESSAGE: [&str; 4] = ["GREYLIST_NEW", "GREYLIST_EARLY", "GREYLIST_KNOWN", "GREYLIST_EXEMPT"];
const AT_RCPT: [&str; 2] = ["GREYLIST_RCPT_NEW", "GREYLIST_RCPT_EARLY"];

/// A message of our users to more recipients is no correspondence.
const CORRESPONDENTS: usize = 10;

/// What both checks ask.
#[derive(Clone)]
pub struct Ports {
    /// What is remembered; `None`: nothing, and nobody is greylisted.
    pub store: Option<Arc<dyn Greylist>>,
    /// Who authenticates the sender.
    pub authenticator: Arc<Authenticator>,
    /// Confirmed names of clients.
    pub names: ClientNames,
    /// Our own machines, whose mail is never delayed.
    pub site: Arc<Site>,
}

/// Before the message: about one recipient, and never for the null reverse-path (DECISIONS 20).
pub struct AtRcpt {
    desk: Desk,
    spec: Spec,
}

/// After the message: about all recipients that are left, because one reply serves them all.
pub struct AfterMessage {
    desk: Desk,
    spec: Spec,
}

/// What both do.
struct Desk {
    settings: Arc<Settings>,
    ports: Ports,
}

impl AtRcpt {
    /// Delays nobody by itself.
    pub fn new(settings: Arc<Settings>, ports: Ports) -> Self {
        Self { desk: Desk { settings, ports }, spec: spec("greylist.rcpt", &AT_RCPT) }
    }
}

impl AfterMessage {
    /// Delays nobody by itself.
    pub fn new(settings: Arc<Settings>, ports: Ports) -> Self {
        Self { desk: Desk { settings, ports }, spec: spec("greylist", &AFTER_MESSAGE) }
    }
}

impl Check for AtRcpt {
    type Facts = RcptFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, facts: &RcptFacts) -> Outcome {
        let Some(store) = self.desk.ports.store.as_ref().filter(|_| !facts.mail.reverse_path.is_null()) else {
            return Outcome::Skipped(Skip::NotApplicable);
        };
        if self.desk.is_ours(&facts.mail) {
            return Outcome::Skipped(Skip::Trusted);
        }
        self.desk.ports.authenticator.spf_of_mail(&facts.mail).await;
        let sender = self.desk.sender_at_rcpt(&facts.mail);
        let recipients = std::slice::from_ref(&facts.forward_path);
        if self.desk.exemption(&facts.mail, &sender, recipients).await.is_some() {
            return Outcome::Clear;
        }
        match self.desk.standings(&**store, &facts.mail, &sender, recipients).await {
            Ok(standings) => {
                outcome(&self.desk.settings, &standings, [Some("GREYLIST_RCPT_NEW"), Some("GREYLIST_RCPT_EARLY"), None])
            }
            Err(why) => Outcome::Failed(CheckError::Store(why.to_string())),
        }
    }

    fn remembers(&self) -> bool {
        self.desk.ports.store.is_some()
    }

    async fn remember(&self, facts: &RcptFacts, fate: &Fate) {
        // Whoever was not refused here is the other check's.
        let refused = fate.refused.iter().find(|(index, _)| *index == facts.index);
        let (Some((_, verdict)), false) = (refused, facts.mail.reverse_path.is_null()) else { return };
        let sender = self.desk.sender_at_rcpt(&facts.mail);
        let fate = Fate { verdict: *verdict, abandoned: false, ..fate.clone() };
        self.desk.note(&facts.mail, &sender, std::slice::from_ref(&facts.forward_path), &fate).await;
    }
}

impl Check for AfterMessage {
    type Facts = MessageFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    async fn run(&self, facts: &MessageFacts) -> Outcome {
        let Some(store) = &self.desk.ports.store else { return Outcome::Skipped(Skip::NotApplicable) };
        if self.desk.is_ours(&facts.mail) {
            return Outcome::Skipped(Skip::Trusted);
        }
        let authenticator = &self.desk.ports.authenticator;
        authenticator.author(facts).await;
        tokio::join!(authenticator.spf_of_mail(&facts.mail), authenticator.dkim(facts));
        let sender = self.desk.sender(facts);
        if let Some(why) = self.desk.exemption(&facts.mail, &sender, &facts.recipients).await {
            return Outcome::Found(vec![Finding::new(Symbol::known("GREYLIST_EXEMPT"), why)]);
        }
        match self.desk.standings(&**store, &facts.mail, &sender, &facts.recipients).await {
            Ok(standings) => outcome(
                &self.desk.settings,
                &standings,
                [Some("GREYLIST_NEW"), Some("GREYLIST_EARLY"), Some("GREYLIST_KNOWN")],
            ),
            Err(why) => Outcome::Failed(CheckError::Store(why.to_string())),
        }
    }

    fn remembers(&self) -> bool {
        self.desk.ports.store.is_some()
    }

    async fn remember(&self, facts: &MessageFacts, fate: &Fate) {
        self.desk.note(&facts.mail, &self.desk.sender(facts), &facts.recipients, fate).await;
    }
}

impl Desk {
    /// True for clients whose mail is our own users', or that no public network has.
    fn is_ours(&self, mail: &MailFacts) -> bool {
        let client = &mail.helo.client;
        client.role.is_outgoing() || is_local_scope(client.addr) || self.ports.site.networks.contains(client.addr)
    }

    /// Who sends, as far as others have found out.
    fn sender(&self, facts: &MessageFacts) -> Sender {
        let mail = &facts.mail;
        Sender::new(&self.settings, mail.helo.client.addr, mail.spf.get(), facts.dkim.get(), facts.author.get())
    }

    fn sender_at_rcpt(&self, mail: &MailFacts) -> Sender {
        Sender::new(&self.settings, mail.helo.client.addr, mail.spf.get(), None, None)
    }

    /// Why this mail is never delayed, if it is not.
    async fn exemption(&self, mail: &MailFacts, sender: &Sender, recipients: &[ForwardPath]) -> Option<String> {
        let exempt = &self.settings.exempt;
        let client = &mail.helo.client;
        if exempt.networks.contains(client.addr) {
            return Some(format!("client {}", client.addr));
        }
        if let Some(domain) = sender.domains.iter().find(|domain| exempt.domains.contains(domain)) {
            return Some(format!("{domain} is authenticated"));
        }
        if !recipients.is_empty() && recipients.iter().all(|recipient| exempt.recipients.contains(recipient)) {
            return Some("its recipients want mail at once".to_owned());
        }
        if exempt.client_names.is_empty() {
            return None;
        }
        match self.ports.names.of(client).await {
            Ok(Some(ClientName::Confirmed(name))) if exempt.client_names.contains(&name) => {
                Some(format!("client {name}"))
            }
            _ => None,
        }
    }

    /// How we stand with the sender for each of `recipients`; one question to the store.
    async fn standings(
        &self,
        store: &dyn Greylist,
        mail: &MailFacts,
        sender: &Sender,
        recipients: &[ForwardPath],
    ) -> Result<Vec<Standing>, StoreError> {
        let secret = store.greylist_secret();
        let holders: Vec<_> = sender.holders().iter().map(|origin| origin.holder(&secret)).collect();
        // Who passes altogether, and the network: an operator may have let it pass.
        let passes = [sender.answerable(), Origin::Network(sender.network)].map(|origin| origin.holder(&secret));
        let mut keys: Vec<TripletKey> = passes.map(TripletKey::of_holder).to_vec();
        for recipient in recipients {
            let (from, to) = (sender_key(&mail.reverse_path, recipient), recipient_key(recipient));
            keys.extend(holders.iter().map(|holder| TripletKey::new(&secret, *holder, &from, &to)));
        }
        let known = store.greylist_look(&keys, mail.at).await?;
        let (altogether, of_triplets) = known.split_at_checked(passes.len()).unwrap_or((&known, &[]));
        let altogether = altogether.iter().map(|holder| judge(&self.settings, mail.at, holder.as_ref(), None));
        let altogether = altogether.max().unwrap_or(Standing::New);
        let of_recipient = |triplets: &[Option<TripletRecord>]| {
            let standings = triplets.iter().map(|triplet| judge(&self.settings, mail.at, None, triplet.as_ref()));
            standings.fold(altogether, Ord::max)
        };
        Ok(of_triplets.chunks(holders.len().max(1)).map(of_recipient).collect())
    }

    /// Remembers what became of a transaction.
    async fn note(&self, mail: &MailFacts, sender: &Sender, recipients: &[ForwardPath], fate: &Fate) {
        let Some(store) = &self.ports.store else { return };
        if self.is_ours(mail) {
            return self.note_correspondents(&**store, mail, recipients, fate).await;
        }
        let Some((triplets, altogether)) = consequences(&self.settings, fate) else { return };
        let (secret, origins) = (store.greylist_secret(), sender.holders());
        let mut events = Vec::new();
        for recipient in recipients {
            let (from, to) = (sender_key(&mail.reverse_path, recipient), recipient_key(recipient));
            let keys = origins.iter().map(|origin| TripletKey::new(&secret, origin.holder(&secret), &from, &to));
            events.extend(keys.map(|key| (key, triplets)));
        }
        // Without SPF it is not known whose doing it was.
        if let Some(event) = altogether.filter(|_| mail.spf.get().is_some()) {
            let [answerable, network] =
                [sender.answerable(), Origin::Network(sender.network)].map(|origin| origin.holder(&secret));
            events.push((TripletKey::of_holder(answerable), event));
            if answerable != network && matches!(event, TripletEvent::Credit(_)) {
                // What is remembered of the network lasts on.
                events.push((TripletKey::of_holder(network), TripletEvent::Delivery(self.settings.lifetime)));
            }
        }
        // A failure was counted and logged where it happened; there is nothing to do about it here.
        let _ = store.greylist_note(events, mail.at).await;
    }

    /// Whom one of our users writes to has been let in: its answer, authenticated by its domain, comes at once.
    async fn note_correspondents(
        &self,
        store: &dyn Greylist,
        mail: &MailFacts,
        recipients: &[ForwardPath],
        fate: &Fate,
    ) {
        let is_sent = fate.verdict == Verdict::Forward && (200..300).contains(&fate.reply_code) && !fate.abandoned;
        if recipients.len() > CORRESPONDENTS {
            return;
        }
        let Some(user) = mail.reverse_path.mailbox().filter(|_| self.settings.exempt.correspondents && is_sent) else {
            return;
        };
        let is_ours = |mailbox: &Mailbox| self.ports.site.domains.contains(&mailbox.domain().to_ascii_lower());
        if !is_ours(user) {
            return;
        }
        let (secret, user) = (store.greylist_secret(), ForwardPath::Mailbox(user.clone()));
        let strangers = recipients.iter().filter_map(ForwardPath::mailbox).filter(|mailbox| !is_ours(mailbox));
        let events = strangers.filter_map(|mailbox| {
            let domain = mailbox.domain().to_ascii_lower();
            let domain = registered_domain(&domain).unwrap_or(&domain);
            let holder = Origin::Domain(domain).holder(&secret);
            let from = sender_key(&ReversePath::Mailbox(mailbox.clone()), &user);
            let key = TripletKey::new(&secret, holder, &from, &recipient_key(&user));
            (!self.settings.shared.contains(domain)).then_some((key, TripletEvent::Credit(self.settings.lifetime)))
        });
        let _ = store.greylist_note(events.collect(), mail.at).await;
    }
}

/// What follows from a fate for the triplets, and for the sender altogether.
fn consequences(settings: &Settings, fate: &Fate) -> Option<(TripletEvent, Option<TripletEvent>)> {
    let is_taken = (200..300).contains(&fate.reply_code);
    let (window, lifetime) = (settings.window, settings.lifetime);
    match fate.verdict {
        _ if fate.abandoned => None,
        Verdict::Defer => Some((TripletEvent::Attempt(window), None)),
        Verdict::Reject => Some((TripletEvent::Spam, Some(TripletEvent::Spam))),
        // It has waited for its triplet; but mail that is marked earns nothing, and costs what was earned.
        Verdict::Forward if is_taken && fate.tagged => {
            Some((TripletEvent::Delivery(lifetime), Some(TripletEvent::Spam)))
        }
        Verdict::Forward if is_taken => Some((TripletEvent::Delivery(lifetime), Some(TripletEvent::Credit(lifetime)))),
        // The backend did not want it, or not yet.
        Verdict::Forward => None,
    }
}

/// One symbol for all recipients: whoever is known to one of them is not kept waiting by the others.
fn outcome(settings: &Settings, standings: &[Standing], symbols: [Option<&'static str>; 3]) -> Outcome {
    let [new, early, known] = symbols;
    let Some(best) = standings.iter().max() else { return Outcome::Skipped(Skip::NotApplicable) };
    let longest = standings.iter().map(|standing| standing.wait(settings)).max().unwrap_or_default();
    let (symbol, evidence) = match best {
        Standing::New => (new, wait(longest)),
        Standing::Early { .. } => (early, wait(longest)),
        Standing::Retried { age } => (known, format!("came again after {} s", age.as_secs())),
        Standing::Delivered { messages } => (known, format!("has delivered {messages} before")),
        Standing::Passes { messages } => (known, format!("passes after {messages} deliveries")),
        Standing::ByHand => (known, "passes by hand".to_owned()),
    };
    match symbol {
        Some(symbol) => Outcome::Found(vec![Finding::new(Symbol::known(symbol), evidence)]),
        None => Outcome::Clear,
    }
}

/// Whole seconds, rounded up: who comes then is in time.
fn wait(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    format!("greylisted, try again in {seconds} seconds")
}

fn spec(name: &str, symbols: &[&'static str]) -> Spec {
    Spec { name: CheckName::new(name), emits: symbols.iter().copied().map(Symbol::known).collect(), exclusive: true }
}

#[cfg(test)]
mod tests;
