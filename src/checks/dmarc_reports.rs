//! What DMARC aggregate reports will say of each message (RFC 9990).
//!
//! Scores nothing and emits no symbol. After each transaction it looks at what others have found out,
//! asks nothing itself, and counts the message for the domain whose policy applied, if that domain wants
//! reports. Who is told, when and how, is not its business.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use super::{Check, Fate};
use crate::facts::{AuthResult, Dkim, Dmarc, DmarcPolicy, MessageFacts, Spf};
use crate::scoring::{CheckName, Outcome, Skip, Spec};
use crate::smtp::ReversePath;
use crate::store::{Disposition, DmarcObservation, DmarcRow, Override, Reports};
use crate::units::{canonical, is_local_scope};
use crate::verdict::Verdict;

/// Signatures of one message that a report names; more are no mail but an attack on the report.
const SIGNATURES: usize = 16;
/// Counts messages for reports.
pub struct DmarcReports {
    spec: Spec,
    store: Arc<dyn Reports>,
}

/// What others found out about one message.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'f> {
    /// The client.
    pub client: IpAddr,
    /// The reverse-path.
    pub reverse_path: &'f ReversePath,
    /// SPF of the reverse-path, or of the HELO name where that is null.
    pub spf: &'f Spf,
    /// The signatures.
    pub dkim: &'f Dkim,
    /// DMARC.
    pub dmarc: &'f Dmarc,
    /// When the transaction began.
    pub at: SystemTime,
}

impl DmarcReports {
    /// Remembers in `store`.
    pub fn new(store: Arc<dyn Reports>) -> Self {
        Self { spec: Spec { name: CheckName::new("dmarc_reports"), emits: Arc::new([]), exclusive: false }, store }
    }
}

impl Check for DmarcReports {
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
        let Some(observation) = seen(facts).and_then(|seen| observe(seen, fate)) else { return };
        // A failure was counted and logged where it happened; there is nothing to do about it here.
        let _ = self.store.dmarc_observed(observation).await;
    }
}

/// What is known of a message already; `None` if that is not enough for a report.
fn seen(facts: &MessageFacts) -> Option<Seen<'_>> {
    let mail = &facts.mail;
    let of_helo = || (mail.reverse_path == ReversePath::Null).then(|| mail.helo.spf.get()).flatten();
    Some(Seen {
        client: mail.helo.client.addr,
        reverse_path: &mail.reverse_path,
        spf: mail.spf.get().or_else(of_helo)?,
        dkim: facts.dkim.get()?,
        dmarc: facts.dmarc.get()?,
        at: mail.at,
    })
}

/// What a report will say of a message; `None` if nobody wants to know, or nobody can tell.
pub fn observe(seen: Seen<'_>, fate: &Fate) -> Option<DmarcObservation> {
    let Seen { client, reverse_path, spf, dkim, dmarc, at } = seen;
    let record = dmarc.record.as_ref().filter(|record| !record.rua.is_empty())?;
    if is_local_scope(client) || !is_final(fate) || !matches!(dmarc.result, AuthResult::Pass | AuthResult::Fail) {
        return None;
    }
    let (disposition, overridden) = disposition(dmarc, fate.verdict);
    let envelope_from = reverse_path.mailbox().map(|mailbox| mailbox.domain().to_ascii_lower()).unwrap_or_default();
    let signatures = dkim.signatures.iter().filter(|signature| !signature.domain.is_empty()).take(SIGNATURES);
    let row = DmarcRow {
        source: canonical(client),
        header_from: dmarc.author_domain.clone()?,
        envelope_from: envelope_from.into(),
        disposition,
        overridden,
        spf_aligned: dmarc.spf_aligned,
        dkim_aligned: dmarc.dkim_aligned.is_some(),
        spf: (spf.domain.clone(), spf.result),
        dkim: signatures.map(|one| (one.domain.clone(), one.selector.clone(), one.result)).collect(),
    };
    Some(DmarcObservation { record: record.clone(), row, at })
}

/// True for transactions that have ended for good: mail that comes again is not counted twice.
fn is_final(fate: &Fate) -> bool {
    let is_temporary = fate.reply_code < 200 || (400..500).contains(&fate.reply_code);
    !fate.abandoned
        && match fate.verdict {
            Verdict::Forward => !is_temporary,
            Verdict::Reject => true,
            Verdict::Defer => false,
        }
}

/// What was done on behalf of DMARC, and why it was not what the policy asks for. A refusal of mail of
/// which the policy asks nothing had other reasons, which are nobody's business.
fn disposition(dmarc: &Dmarc, verdict: Verdict) -> (Disposition, Option<Override>) {
    if dmarc.result == AuthResult::Pass {
        return (Disposition::Pass, None);
    }
    let testing = (dmarc.published != dmarc.policy).then_some(Override::Testing);
    match (verdict, dmarc.policy) {
        (_, DmarcPolicy::None) => (Disposition::None, testing),
        (Verdict::Reject, DmarcPolicy::Reject) => (Disposition::Reject, None),
        (Verdict::Reject, DmarcPolicy::Quarantine) => (Disposition::Reject, Some(Override::NeverPutAside)),
        (Verdict::Forward | Verdict::Defer, _) => (Disposition::None, testing.or(Some(Override::JudgedAsAWhole))),
    }
}

#[cfg(test)]
mod tests;
