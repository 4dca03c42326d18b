//! The limits of one rule set together with the buckets: whose bucket is which, and what is taken from it.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Answer, Limit, Subject, Unit, judge};
use crate::checks::site::Site;
use crate::checks::{Deed, Doer, Fate, Restraint, Witness};
use crate::clock::Clock;
use crate::facts::{ClientFacts, HeloFacts, MailFacts};
use crate::smtp::{Domain, ForwardPath, Mailbox};
use crate::store::{RateKey, Secret, Store, StoreError, Taken, Taking};
use crate::units::{is_local_scope, network_of, registered_domain};
use crate::verdict::Verdict;

/// What limits need.
#[derive(Clone)]
pub struct Ports {
    /// What is remembered; `None`: nothing, and nobody is limited.
    pub store: Option<Arc<dyn Store>>,
    /// When something is done.
    pub clock: Arc<dyn Clock>,
    /// Our own machines, which have no limits.
    pub site: Arc<Site>,
}

/// The limits of one rule set.
pub struct Ledger {
    limits: Vec<Limit>,
    ports: Ports,
}

/// Who does something, as far as it is known.
#[derive(Clone, Copy)]
pub(super) struct Who<'a> {
    client: &'a ClientFacts,
    helo: Option<&'a HeloFacts>,
    mail: Option<&'a MailFacts>,
    recipient: Option<&'a ForwardPath>,
    user: Option<&'a str>,
}

// === impl Ledger ===

impl Ledger {
    /// Knows whose bucket is which.
    pub fn new(limits: Vec<Limit>, ports: Ports) -> Self {
        Self { limits, ports }
    }

    /// All limits.
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    pub(super) fn has_store(&self) -> bool {
        self.ports.store.is_some()
    }

    /// True for clients that come by the edge whose mail is our own users', or that no public network has: no limit
    /// is theirs.
    pub(super) fn is_spared(&self, client: &ClientFacts) -> bool {
        !client.role.is_outgoing() && self.is_ours(client)
    }

    fn is_ours(&self, client: &ClientFacts) -> bool {
        is_local_scope(client.addr) || self.ports.site.networks.contains(client.addr)
    }

    /// Limits that hold for `client`. Where mail leaves, many users share a machine of our own (webmail): it does not
    /// answer for their passwords, but each of them does.
    fn limits_of(&self, client: &ClientFacts) -> impl Iterator<Item = &Limit> {
        let is_ours = self.is_ours(client);
        let is_shared = move |limit: &Limit| limit.of == Unit::AuthFailures && limit.per != Subject::User && is_ours;
        let outgoing = client.role.is_outgoing();
        let spared = self.is_spared(client);
        self.limits.iter().filter(move |limit| !spared && limit.outgoing == outgoing && !is_shared(limit))
    }

    /// Looks at the buckets that `which` limits have for `who`; one question to the store.
    pub(super) async fn look<'a>(
        &'a self,
        which: impl Fn(&Limit) -> bool,
        who: Who<'_>,
    ) -> Result<Vec<(&'a Limit, Taken)>, StoreError> {
        let Some(store) = &self.ports.store else { return Ok(Vec::new()) };
        let secret = store.greylist_secret();
        let wanted = self.limits_of(who.client).filter(|limit| which(limit));
        let (limits, takings): (Vec<_>, Vec<_>) =
            wanted.filter_map(|limit| Some((limit, taking(&secret, limit, who, 0)?))).unzip();
        if takings.is_empty() {
            return Ok(Vec::new());
        }
        let taken = store.rates_take(takings, self.ports.clock.now()).await?;
        Ok(limits.into_iter().zip(taken).collect())
    }

    /// What a transaction that has ended takes from buckets: nothing if it comes again.
    pub(super) async fn settle(&self, mail: &MailFacts, fate: &Fate) {
        let Some(store) = self.ports.store.as_ref().filter(|_| !comes_again(fate)) else { return };
        let kib = u32::try_from(fate.octets.div_ceil(1024)).unwrap_or(u32::MAX);
        let named = u32::try_from(fate.recipients.len()).unwrap_or(u32::MAX);
        let who = Who::of_mail(mail);
        let (secret, mut takings) = (store.greylist_secret(), Vec::new());
        for limit in self.limits_of(&mail.helo.client) {
            let units = match limit.of {
                Unit::Transactions => 1,
                Unit::Recipients => named,
                Unit::Bytes => kib,
                Unit::Connections | Unit::UnknownRecipients | Unit::Errors | Unit::AuthFailures => 0,
            };
            let mut add = |who| takings.extend(taking(&secret, limit, who, units).filter(|_| units > 0));
            match limit.per {
                Subject::Recipient => fate.recipients.iter().for_each(|recipient| add(who.to(recipient))),
                _ => add(who),
            }
        }
        self.take(takings).await;
    }

    async fn take(&self, takings: Vec<Taking>) {
        if let Some(store) = self.ports.store.as_ref().filter(|_| !takings.is_empty()) {
            // A failure was counted and logged where it happened; there is nothing to do about it here.
            let _ = store.rates_take(takings, self.ports.clock.now()).await;
        }
    }
}

impl Witness for Arc<Ledger> {
    fn saw(&self, deed: Deed, by: Doer<'_>) -> Option<BoxFuture<'static, ()>> {
        let store = self.ports.store.as_ref()?;
        let (unit, units) = match deed {
            Deed::Connection => (Unit::Connections, 1),
            Deed::Errors(number) => (Unit::Errors, number),
            Deed::UnknownRecipients(number) => (Unit::UnknownRecipients, number),
            Deed::FailedAuth => (Unit::AuthFailures, 1),
        };
        let who = Who::of_doer(by);
        let secret = store.greylist_secret();
        let limits = self.limits_of(by.client).filter(|limit| limit.of == unit);
        let takings: Vec<_> = limits.filter_map(|limit| taking(&secret, limit, who, units)).collect();
        let ledger = Self::clone(self);
        (!takings.is_empty()).then(|| Box::pin(async move { ledger.take(takings).await }) as BoxFuture<'static, ()>)
    }

    fn restrains<'a>(&'a self, by: Doer<'a>) -> Option<BoxFuture<'a, Restraint>> {
        let acts = |limit: &Limit| limit.of == Unit::AuthFailures && !limit.shadow && limit.then != Answer::Score;
        self.limits_of(by.client).any(acts).then(|| {
            Box::pin(async move {
                let mut restraint = Restraint::default();
                // A store that cannot be asked restrains nobody; that was counted and logged where it happened.
                for (limit, taken) in self.look(acts, Who::of_doer(by)).await.unwrap_or_default() {
                    match (judge(limit, &taken, 0), limit.then) {
                        (Some(why), Answer::Defer) => restraint.refuse = Some(why),
                        (Some(_), Answer::Tarpit) => restraint.slow = true,
                        _ => {}
                    }
                }
                restraint
            }) as BoxFuture<'a, Restraint>
        })
    }
}

/// `None` if the limit is not about `who`.
fn taking(secret: &Secret, limit: &Limit, who: Who<'_>, units: u32) -> Option<Taking> {
    if limit.exempt_networks.contains(who.client.addr) {
        return None;
    }
    let key = RateKey::new(secret, &limit.name, &who.named(limit)?);
    // What has been done is done, whether or not it was there.
    Some(Taking { key, allowance: limit.allowance, units, into_debt: true })
}

/// True if the same transaction will be seen again, so that it must not count now.
fn comes_again(fate: &Fate) -> bool {
    let all_deferred =
        || fate.recipients.is_empty() && fate.refused.iter().any(|(_, verdict)| *verdict == Verdict::Defer);
    fate.verdict == Verdict::Defer || (400..500).contains(&fate.reply_code) || all_deferred()
}

// === impl Who ===

impl<'a> Who<'a> {
    pub(super) fn of_client(client: &'a ClientFacts) -> Self {
        Self { client, helo: None, mail: None, recipient: None, user: None }
    }

    pub(super) fn of_mail(mail: &'a MailFacts) -> Self {
        Self { client: &mail.helo.client, helo: Some(&mail.helo), mail: Some(mail), recipient: None, user: mail.user() }
    }

    fn of_doer(by: Doer<'a>) -> Self {
        let user = by.user.or_else(|| by.mail?.user());
        Self { client: by.client, helo: by.helo, mail: by.mail, recipient: None, user }
    }

    pub(super) fn to(self, recipient: &'a ForwardPath) -> Self {
        Self { recipient: Some(recipient), ..self }
    }

    /// Whom `limit` would count; `None` if that is not known, or exempt.
    fn named(&self, limit: &Limit) -> Option<String> {
        let sender = || self.mail.and_then(|mail| mail.reverse_path.mailbox());
        let exempt = &limit.exempt_domains;
        let is_exempt =
            |domain: &Domain| matches!(domain, Domain::Name(_)) && exempt.contains(&domain.to_ascii_lower());
        match limit.per {
            Subject::Client => Some(network_of(self.client.addr, 32, 64).to_string()),
            Subject::Network => Some(network_of(self.client.addr, 24, 48).to_string()),
            Subject::Helo => {
                let name = self.helo?.name.as_str().to_ascii_lowercase();
                (!exempt.contains(&name)).then_some(name)
            }
            Subject::SenderDomain => {
                let domain = sender().map(Mailbox::domain).filter(|domain| !is_exempt(domain))?.to_ascii_lower();
                Some(registered_domain(&domain).unwrap_or(&domain).to_owned())
            }
            Subject::Sender => sender().filter(|mailbox| !is_exempt(mailbox.domain())).map(Mailbox::folded),
            Subject::Recipient => match self.recipient?.mailbox() {
                Some(mailbox) => (!is_exempt(mailbox.domain())).then(|| mailbox.folded()),
                None => Some("postmaster".to_owned()),
            },
            Subject::User => self.user.map(str::to_owned).or_else(|| self.nameless()),
        }
    }
}

impl Who<'_> {
    /// Whoever has authenticated in a way that only the backend understands is counted by his address. No name has a
    /// NUL in it.
    fn nameless(&self) -> Option<String> {
        self.mail?.login.as_ref()?;
        Some(format!("\0{}", network_of(self.client.addr, 32, 64)))
    }
}

#[cfg(test)]
mod tests;
