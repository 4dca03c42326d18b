//! What becomes of a transaction, as a record of it.
//!
//! Nothing is made where nobody records and no rules are on trial, and nobody waits for what is made.

use std::borrow::Cow;
use std::sync::Arc;

use super::shared::Shared;
use super::transaction::Transaction;
use crate::facts::{AuthResult, ClientFacts, ClientName, HeloFacts, MailFacts, MessageFacts, Stage};
use crate::pipeline::canary::{Arm, Canary};
use crate::pipeline::{Assessment, Conclusion, Decision};
use crate::records::{Addressee, Authenticated, Client, Envelope, Fate, MessageSeen, Record, Refusal, TransactionId};
use crate::smtp::{ForwardPath, ReversePath};
use crate::verdict::Verdict;

/// Refused recipients whose decisions are kept with all that they were made from; others are counted.
const MOST_REFUSALS: usize = 32;
/// Signatures whose results are kept.
const MOST_SIGNATURES: usize = 8;
/// Author domains that are kept.
const MOST_AUTHORS: usize = 8;
/// Characters of a subject that are kept.
const LONGEST_SUBJECT: usize = 200;

/// What a transaction has left for its record so far.
#[derive(Debug, Default)]
pub struct Notes {
    /// Recipients whom we refused.
    refusals: Vec<Refusal>,
    /// The message, and what authenticates it.
    message: Option<(MessageSeen, Vec<Authenticated>)>,
}

impl Notes {
    /// Recipient `index` was refused before there was a message.
    pub(super) fn refused(
        &mut self,
        shared: &Shared,
        assessment: &Assessment,
        index: usize,
        path: &ForwardPath,
        decision: &Decision,
        reply: String,
    ) {
        if !shared.is_recorded() || self.refusals.len() >= MOST_REFUSALS {
            return;
        }
        let decision = assessment.decided(Some(index), decision);
        self.refusals.push(Refusal {
            forward_path: Some(path.to_string()),
            decision,
            lines: assessment.lines(),
            reply,
        });
    }

    /// The message has been judged.
    pub(super) fn judged(&mut self, shared: &Shared, facts: &MessageFacts, size: u64) {
        if let Some(recorder) = shared.recorder() {
            self.message = Some((seen(facts, size, recorder.wants_subjects()), of_message(facts)));
        }
    }
}

/// Records the end of a transaction. `conclusion` is what was decided on its message, if there was one.
pub(super) fn transaction(
    shared: &Shared,
    assessment: &Assessment,
    transaction: &mut Transaction,
    conclusion: Option<&Conclusion>,
    mut fate: Fate,
) {
    let on_trial = shared.on_trial(assessment.ruleset());
    if shared.recorder().is_none() && on_trial.is_none() {
        return;
    }
    let notes = std::mem::take(&mut transaction.notes);
    let mail = &transaction.mail;
    let mut judgement = assessment.judgement(conclusion);
    judgement.refusals = notes.refusals;
    if fate.stage < Stage::Message {
        fate.stage = if transaction.taken() + transaction.refused > 0 { Stage::Rcpt } else { Stage::Mail };
        // Whom we refused before the message has a verdict, if nobody was left to send it to.
        let refused = judgement.refusals.iter().map(|refusal| refusal.decision.verdict).max();
        fate.verdict = refused.filter(|_| transaction.taken() == 0);
        fate.reply = judgement.refusals.last().map_or(fate.reply, |refusal| refusal.reply.clone());
    }
    let taken = transaction.accepted.iter().chain(&transaction.kept_back);
    let recipients = taken.map(|recipient| Addressee {
        index: recipient.index,
        forward_path: recipient.path.to_string(),
        trap: recipient.is_trap,
    });
    let envelope = Envelope {
        reverse_path: match &mail.reverse_path {
            ReversePath::Null => String::new(),
            ReversePath::Mailbox(mailbox) => mailbox.to_string(),
        },
        recipients: recipients.collect(),
        refused: transaction.refused,
    };
    // Who was judged is who sent it: a hop of ours sends nothing of its own.
    let judged = transaction.judged.as_ref().unwrap_or(mail);
    let hop = transaction.judged.as_ref().map(|_| mail.helo.client.addr);
    let client = Client { hop, ..client(&judged.helo.client, Some(&judged.helo), mail.user()) };
    let mut authentication = of_mail(judged);
    let message = notes.message.map(|(message, results)| {
        authentication.extend(results);
        message
    });
    let record =
        Record { id: transaction.id, client, envelope: Some(envelope), authentication, message, judgement, fate };
    tell(shared, on_trial, record, assessment);
}

/// Records a session that was refused as a whole.
pub(super) fn session(
    shared: &Shared,
    assessment: &Assessment,
    id: TransactionId,
    client_facts: &ClientFacts,
    helo: Option<&HeloFacts>,
    decision: &Decision,
    reply: String,
) {
    let on_trial = shared.on_trial(assessment.ruleset());
    if shared.recorder().is_none() && on_trial.is_none() {
        return;
    }
    let mut judgement = assessment.judgement(None);
    let decided = assessment.decided(None, decision);
    judgement.refusals =
        vec![Refusal { forward_path: None, decision: decided, lines: assessment.lines(), reply: reply.clone() }];
    let end = if decision.verdict == Verdict::Reject { "rejected" } else { "deferred" };
    let fate = Fate {
        stage: if helo.is_some() { Stage::Helo } else { Stage::Connect },
        verdict: Some(decision.verdict),
        end: Cow::Borrowed(end),
        reply,
        after_data_ms: None,
        total_ms: 0,
    };
    let client = client(client_facts, helo, None);
    let record = Record { id, client, envelope: None, authentication: Vec::new(), message: None, judgement, fate };
    tell(shared, on_trial, record, assessment);
}

/// Tells everybody who wants to know.
fn tell(shared: &Shared, on_trial: Option<(Arc<Canary>, Arm)>, record: Record, assessment: &Assessment) {
    if let Some((canary, arm)) = on_trial {
        canary.count(arm, &record);
    }
    if let Some(recorder) = shared.recorder() {
        recorder.record(record, assessment.book());
    }
}

fn client(facts: &ClientFacts, helo: Option<&HeloFacts>, user: Option<&str>) -> Client {
    Client {
        addr: facts.addr,
        hop: None,
        name: facts.confirmed_name().map(str::to_owned),
        helo: helo.map(|helo| helo.name.as_str().to_owned()),
        tls: helo.and_then(|helo| helo.tls.as_ref()).map(|tls| tls.version.to_owned()),
        user: user.map(str::to_owned),
        listener: Arc::clone(&facts.listener),
    }
}

fn seen(facts: &MessageFacts, size: u64, wants_subject: bool) -> MessageSeen {
    let authors = facts.author.get().map(|author| author.domains()).unwrap_or_default();
    let subject = facts.model.get().filter(|_| wants_subject).map(|model| model.subject());
    MessageSeen {
        size,
        author_domains: authors.iter().take(MOST_AUTHORS).map(ToString::to_string).collect(),
        subject: subject.map(|subject| subject.chars().take(LONGEST_SUBJECT).collect()),
    }
}

/// What was found out before the message.
fn of_mail(mail: &MailFacts) -> Vec<Authenticated> {
    let name = match mail.helo.client.name.get() {
        Some(ClientName::Confirmed(name)) => Some(result("iprev", AuthResult::Pass, name)),
        Some(ClientName::Unconfirmed(name)) => Some(result("iprev", AuthResult::Fail, name)),
        Some(ClientName::None) => Some(result("iprev", AuthResult::PermError, "")),
        None => None,
    };
    let spf = mail.spf.get();
    let spf = spf.map(|spf| Authenticated { permissive: spf.permissive, ..result("spf", spf.result, &spf.domain) });
    name.into_iter().chain(spf).collect()
}

fn of_message(facts: &MessageFacts) -> Vec<Authenticated> {
    let signatures = facts.dkim.get().map(|dkim| &*dkim.signatures).unwrap_or_default();
    let signatures = signatures.iter().take(MOST_SIGNATURES);
    let mut all: Vec<_> = signatures.map(|known| result("dkim", known.result, &known.domain)).collect();
    if let Some(chain) = facts.arc.get().filter(|chain| chain.result != AuthResult::None) {
        all.push(result("arc", chain.result, chain.sets.last().map_or("", |last| &last.sealer)));
    }
    if let Some(dmarc) = facts.dmarc.get() {
        all.push(result("dmarc", dmarc.result, dmarc.author_domain.as_deref().unwrap_or_default()));
    }
    all
}

fn result(method: &'static str, result: AuthResult, about: &str) -> Authenticated {
    Authenticated { method: method.into(), result: result.as_str().into(), about: about.to_owned(), permissive: false }
}
