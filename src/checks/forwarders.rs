//! Evidence about forwarders: which hops pass on mail whose author's signature survives where SPF cannot.
//!
//! Scores nothing and emits no symbol. After each transaction it looks at what others have found out,
//! asks nothing itself, and counts one sighting for the hop. What an operator makes of it is the operator's
//! decision (`gatepost forwarders`).
//!
//! What would mislead is not counted: a record that lets everybody pass, a domain without SPF (no hop
//! could fail it), signatures that leave part of the body open, trouble with DNS.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::rdns::generic;
use super::{Check, Fate};
use crate::facts::{AuthResult, Dkim, Dmarc, DmarcPolicy, MessageFacts, Spf};
use crate::scoring::{CheckName, Outcome, Skip, Spec};
use crate::smtp::ReversePath;
use crate::store::{self, Sighting, SightingKind};
use crate::units::{canonical, is_local_scope, registered_domain};
use crate::verdict::Verdict;

/// Collects evidence about forwarders.
pub struct Forwarders {
    spec: Spec,
    store: Arc<dyn store::Forwarders>,
}

/// What others found out about one message.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'f> {
    /// The hop, see [`hop`].
    pub hop: &'f str,
    /// SPF of the reverse-path.
    pub spf: &'f Spf,
    /// The signatures.
    pub dkim: &'f Dkim,
    /// DMARC.
    pub dmarc: &'f Dmarc,
}

impl Forwarders {
    /// Remembers in `store`.
    pub fn new(store: Arc<dyn store::Forwarders>) -> Self {
        Self { spec: Spec { name: CheckName::new("forwarders"), emits: Arc::new([]), exclusive: false }, store }
    }
}

impl Check for Forwarders {
    type Facts = MessageFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, facts: &MessageFacts) -> Outcome {
        if is_local_scope(facts.mail.helo.client.addr) { Outcome::Skipped(Skip::NotApplicable) } else { Outcome::Clear }
    }

    fn remembers(&self) -> bool {
        true
    }

    async fn remember(&self, facts: &MessageFacts, fate: &Fate) {
        let Some(sighting) = sighting(facts).filter(|_| counts(fate)) else { return };
        // A failure was counted and logged where it happened; there is nothing to do about it here.
        let _ = self.store.sighted(sighting).await;
    }
}

/// True for transactions that have ended for good: mail that comes again is not counted twice, and what
/// the backend did not want is no evidence that a hop forwards to us.
fn counts(fate: &Fate) -> bool {
    let is_taken = (200..300).contains(&fate.reply_code);
    !fate.abandoned
        && match fate.verdict {
            Verdict::Forward => is_taken,
            Verdict::Reject => true,
            Verdict::Defer => false,
        }
}

/// What a message shows about its hop, as far as all of it is known already.
fn sighting(facts: &MessageFacts) -> Option<Sighting> {
    let mail = &facts.mail;
    let client = &mail.helo.client;
    // SPF of a null reverse-path is about the HELO name, which is the hop's own.
    if is_local_scope(client.addr) || mail.reverse_path == ReversePath::Null {
        return None;
    }
    // A client whose name DNS did not tell must not be taken for one without: its network is not its own.
    if client.vouched_name.is_none() {
        client.name.get()?;
    }
    let dmarc = facts.dmarc.get()?;
    let hop = hop(client.confirmed_name(), client.addr);
    let seen = Seen { hop: &hop, spf: mail.spf.get()?, dkim: facts.dkim.get()?, dmarc };
    let kind = judge(seen)?;
    Some(Sighting { author_domain: dmarc.author_domain.clone()?, hop: hop.into(), kind, at: mail.at })
}

/// What evidence is about: the organizational domain of the client's confirmed name, so that a spoofer
/// who only sits in the same network has no part in it. Clients without a name, or with one that their
/// provider gave to an address, share it with strangers: they go by their network.
pub fn hop(name: Option<&str>, addr: IpAddr) -> String {
    let addr = canonical(addr);
    let is_host_name = |name: &&str| {
        name.bytes()
            .all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || matches!(octet, b'-' | b'.' | b'_'))
    };
    let given = name.filter(is_host_name).filter(|name| generic::reason(name, addr).is_none());
    if let Some(domain) = given.and_then(registered_domain) {
        return domain.to_owned();
    }
    let prefix = if addr.is_ipv4() { 24 } else { 64 };
    IpNet::new(addr, prefix).expect("no more bits than an address has").trunc().to_string()
}

/// Which kind of sighting this is, if it is one.
pub fn judge(seen: Seen<'_>) -> Option<SightingKind> {
    let Seen { hop, spf, dkim, dmarc } = seen;
    let author = dmarc.author_domain.as_deref()?;
    if dmarc.spf_aligned {
        return None;
    }
    let own = organizational(author);
    let is_aligned = |domain: &str| organizational(domain) == own || dmarc.dkim_aligned.as_deref() == Some(domain);
    let aligned = || dkim.signatures.iter().filter(|signature| is_aligned(&signature.domain));
    let survived = aligned()
        .any(|signature| signature.result == AuthResult::Pass && signature.signs_from && !signature.partial_body);
    match spf.result {
        AuthResult::TempError => return None,
        AuthResult::Pass if spf.permissive => return None,
        AuthResult::Pass => return Some(SightingKind::Direct),
        _ if hop == own => return Some(SightingKind::Direct),
        AuthResult::Fail | AuthResult::SoftFail | AuthResult::Neutral if survived => {
            return Some(SightingKind::Forwarded);
        }
        _ if survived => return None,
        _ => {}
    }
    if aligned().any(|signature| signature.result == AuthResult::TempError) {
        return None;
    }
    if aligned().next().is_some() {
        return Some(SightingKind::Broken);
    }
    let asks = dmarc.result == AuthResult::Fail && dmarc.policy != DmarcPolicy::None;
    asks.then_some(SightingKind::Unauthenticated)
}

/// The registered domain; a name that has none is its own.
fn organizational(domain: &str) -> &str {
    registered_domain(domain).unwrap_or(domain)
}

#[cfg(test)]
mod tests;
