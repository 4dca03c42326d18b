//! A message on its way through: received, judged, handed over, accounted for.

use std::sync::Arc;

use tokio::time::Instant;

use super::authentication;
use super::handover::{Failure, Parcel};
use super::hops;
use super::partial::Told;
use super::recording;
use super::refusal;
use super::settings::Settings;
use super::shared::Shared;
use super::spool::{Draft, SpoolError, Spooled};
use super::transaction::Transaction;
use crate::checks::Fate;
use crate::facts::{MessageFacts, Stage, Violation};
use crate::message::fields::{self, Protocol};
use crate::message::{ClientLabel, Message};
use crate::pipeline::{Assessment, Conclusion, Decision, Policies};
use crate::records::{self, TransactionId};
use crate::scoring::{Finding, Symbol};
use crate::smtp::{DataDecoder, DataError, DataStep, NewlinePolicy, NewlineStats, Reply, data::Framing};
use crate::verdict::Verdict;

/// A message while it arrives.
pub struct Inbound {
    decoder: DataDecoder,
    policy: NewlinePolicy,
    draft: Draft,
    limit: u64,
    /// Set when the message cannot be taken any more; the rest of it is read and thrown away.
    refused: Option<Reply>,
    dropped: u64,
    /// When the first octet was asked for.
    pub began: Instant,
}

/// What ended a message's reception early.
pub enum Broken {
    /// Its end cannot be agreed upon: refuse and close.
    Data(DataError),
    /// It goes on and on beyond its limit: refuse and close.
    Endless,
}

/// A message together with what decided it, for the log.
struct Outcome {
    reply: Reply,
    verdict: Verdict,
    end: &'static str,
    close: bool,
}

impl Inbound {
    /// Ready for the first octet.
    pub fn new(framing: Framing, policy: NewlinePolicy, draft: Draft, limit: u64) -> Self {
        let decoder = DataDecoder::new(framing, policy);
        Self { decoder, policy, draft, limit, refused: None, dropped: 0, began: Instant::now() }
    }

    /// Takes octets as they came.
    ///
    /// # Errors
    /// [`Broken`] ends the session.
    pub fn take(&mut self, octets: &[u8]) -> Result<DataStep, Broken> {
        let before = self.draft.memory.len();
        self.draft.make_room(octets.len());
        let step = self.decoder.decode(octets, &mut self.draft.memory).map_err(Broken::Data)?;
        if self.refused.is_some() {
            self.dropped += (self.draft.memory.len() - before) as u64;
            self.draft.memory.truncate(before);
            if self.dropped > self.limit {
                return Err(Broken::Endless);
            }
        } else if self.draft.len() > self.limit {
            self.refused = Some(refusal::TOO_BIG);
        }
        Ok(step)
    }

    /// Ends counted framing.
    ///
    /// # Errors
    /// As [`Inbound::take`].
    pub fn finish_chunks(&mut self) -> Result<(), Broken> {
        self.decoder.finish(&mut self.draft.memory).map_err(Broken::Data)
    }

    /// Moves what is too much for memory to the file.
    pub async fn settle(&mut self) {
        if self.refused.is_none()
            && self.draft.wants_settling()
            && let Err(why) = self.draft.settle().await
        {
            self.refused = Some(spool_refusal(&why));
        }
    }

    /// True before the first octet.
    pub fn is_empty(&self) -> bool {
        self.draft.is_empty()
    }

    /// What was wrong with its line ends. In a message of any octets nothing is.
    fn newlines(&self) -> NewlineStats {
        match self.policy {
            NewlinePolicy::Keep => NewlineStats::default(),
            NewlinePolicy::Normalize | NewlinePolicy::Reject => self.decoder.stats(),
        }
    }

    /// The refusal that is already certain.
    pub fn refused(&self) -> Option<&Reply> {
        self.refused.as_ref()
    }
}

fn spool_refusal(why: &SpoolError) -> Reply {
    tracing::error!(error = %why, "spool.failed");
    refusal::SPOOL_FULL
}

/// Judges a whole message, hands it over if it may pass, and accounts for it. The reply, and whether to close.
pub async fn decide(
    shared: &Shared,
    settings: &Settings,
    assessment: &mut Assessment,
    transaction: &mut Transaction,
    inbound: Inbound,
) -> (Reply, bool) {
    let newlines = inbound.newlines();
    let arrived = Instant::now();
    let taken = take_in(inbound).await;
    let mut behind =
        taken.as_ref().ok().and_then(|spooled| hops::behind(shared, settings, transaction, &spooled.memory));
    let assessment = behind.as_mut().unwrap_or(assessment);
    let (outcome, size, conclusion) = match taken {
        Err(reply) => (refused(reply), 0, None),
        Ok(spooled) => judge(shared, settings, assessment, transaction, spooled, newlines, arrived).await,
    };
    transaction.remember_answer(shared, &outcome.reply);
    account(shared, assessment, transaction, &outcome, size, conclusion.as_ref(), arrived);
    let fate = records::Fate {
        stage: Stage::Message,
        verdict: Some(outcome.verdict),
        end: outcome.end.into(),
        reply: outcome.reply.to_log(),
        after_data_ms: Some(arrived.elapsed().as_millis() as u64),
        total_ms: transaction.age().as_millis() as u64,
    };
    recording::transaction(shared, assessment, transaction, conclusion.as_ref(), fate);
    transaction.remember(assessment, Fate::new(outcome.verdict, outcome.reply.code(), false), size);
    (outcome.reply, outcome.close)
}

async fn take_in(inbound: Inbound) -> Result<Spooled, Reply> {
    match inbound.refused {
        Some(reply) => Err(reply),
        None => inbound.draft.finish().await.map_err(|why| spool_refusal(&why)),
    }
}

fn refused(reply: Reply) -> Outcome {
    let verdict = if reply.class() == 5 { Verdict::Reject } else { Verdict::Defer };
    let end = if verdict == Verdict::Reject { "rejected" } else { "deferred" };
    Outcome { reply, verdict, end, close: false }
}

async fn judge(
    shared: &Shared,
    settings: &Settings,
    assessment: &mut Assessment,
    transaction: &mut Transaction,
    spooled: Spooled,
    newlines: NewlineStats,
    arrived: Instant,
) -> (Outcome, u64, Option<Conclusion>) {
    let Spooled { len, memory, held: _held, mut overflow } = spooled;
    shared.metrics.message_bytes.observe(len as f64);
    let message = Arc::new(Message::new(memory, len));
    if overflow.is_some() && message.body().is_empty() && !message.header_section().ends_with(b"\r\n\r\n") {
        // Where memory was short for other reasons than this message, it may come again.
        let whole_share = message.octets().len() as u64 >= shared.spool.message_memory();
        let reply = if whole_share { refusal::HEADER_TOO_LARGE } else { refusal::SPOOL_FULL };
        return (refused(reply), len, None);
    }
    let passed = fields::count_received(message.header_section(), &settings.hostname);
    if passed.total > settings.limits.hops || passed.ours > settings.limits.own_hops {
        return (refused(refusal::LOOP), len, None);
    }
    observe_newlines(shared, assessment, newlines);
    let rest = match &overflow {
        Some(overflow) => match overflow.reader().await {
            Ok(rest) => Some(rest),
            Err(why) => return (refused(spool_refusal(&why.into())), len, None),
        },
        None => None,
    };
    let recipients = transaction.accepted.iter().chain(&transaction.kept_back);
    let recipients = recipients.map(|recipient| recipient.path.clone()).collect();
    let mail = transaction.judged.as_ref().unwrap_or(&transaction.mail).clone();
    let facts = MessageFacts::new(mail, recipients, message.clone(), rest);
    let facts = Arc::new(facts.with_traps(transaction.traps()));
    assessment.learn(&facts);
    let conclusion = assessment.conclude(arrived + settings.budgets.message).await;
    shared.metrics.verdict_seconds.observe(arrived.elapsed().as_secs_f64());
    transaction.notes.judged(shared, &facts, len);
    if assessment.ruleset().judges {
        authentication::count(&shared.metrics, &facts);
    }
    let outcome = match agreed(&conclusion, transaction) {
        Agreed::Forward => {
            let prefix = prefix(settings, assessment, transaction, &facts, &conclusion);
            let cuts = fields::forged_ranges(message.header_section(), &settings.hostname);
            let parcel = Parcel { prefix: &prefix, message: &message, cuts: &cuts, overflow: overflow.as_mut() };
            forward(shared, transaction, parcel).await
        }
        Agreed::Traps => refused(refusal::for_traps_alone(transaction.id)),
        Agreed::Refuse(decision) => refused(refusal::decision(decision, None, transaction.id)),
        Agreed::Split => {
            transaction.remember_split(shared, &conclusion);
            refused(refusal::SPLIT)
        }
    };
    (outcome, len, Some(conclusion))
}

/// One reply serves all recipients, so their verdicts must agree (DECISIONS 2).
enum Agreed<'a> {
    Forward,
    /// Nobody is there who could read it.
    Traps,
    Refuse(&'a Decision),
    Split,
}

fn agreed<'c>(conclusion: &'c Conclusion, transaction: &Transaction) -> Agreed<'c> {
    if transaction.is_for_traps_alone() {
        return Agreed::Traps;
    }
    // Traps follow the real recipients.
    let is_real = |index: usize| transaction.accepted.iter().any(|known| known.index == index && !known.is_trap);
    let real = || conclusion.recipients.iter().filter(|(index, _)| transaction.traps() == 0 || is_real(*index));
    match Verdict::agreed(real().map(|(_, decision)| decision.verdict)) {
        None => Agreed::Split,
        Some(Verdict::Forward) => Agreed::Forward,
        Some(Verdict::Defer | Verdict::Reject) => {
            real().next().map_or(Agreed::Forward, |(_, decision)| Agreed::Refuse(decision))
        }
    }
}

fn observe_newlines(shared: &Shared, assessment: &mut Assessment, newlines: NewlineStats) {
    for (count, violation) in [(newlines.bare_lf, Violation::BareLf), (newlines.bare_cr, Violation::BareCr)] {
        if count > 0 {
            shared.metrics.violations.with_label_values(&[violation.label(), "normalize"]).inc();
            let finding = Finding::new(Symbol::known(violation.symbol()), format!("{count} in the message"));
            assessment.observe(Stage::Message, finding);
        }
    }
}

async fn forward(shared: &Shared, transaction: &mut Transaction, parcel: Parcel<'_>) -> Outcome {
    let relay_metrics = transaction.relay.metrics();
    let id = transaction.id;
    let pending = Pending { unknown: &shared.metrics.unknown, id };
    let counted = |class: &str| relay_metrics.final_replies.with_label_values(&[class]).inc();
    let outcome = shared.partial.deliver(transaction, parcel, shared).await;
    std::mem::forget(pending);
    match outcome {
        Ok(Told { reply, heard }) => {
            for class in &heard {
                counted(match class {
                    Some(2) => "2xx",
                    Some(4) => "4xx",
                    Some(_) => "5xx",
                    None => "unknown",
                });
            }
            if heard.contains(&None) {
                shared.metrics.unknown.inc();
            }
            let end = match reply.class() {
                2 => "forwarded",
                _ if reply == refusal::DELIVERED_TO_SOME => "delivered_in_part",
                4 => "deferred_by_backend",
                _ => "rejected_by_backend",
            };
            let close = reply.code() == 421;
            Outcome { reply, verdict: Verdict::Forward, end, close }
        }
        Err(Failure::Before(reply)) => {
            counted("none");
            let close = reply.code() == 421;
            Outcome { reply, verdict: Verdict::Forward, end: "deferred_backend_failure", close }
        }
        Err(Failure::Unknown(why)) => {
            counted("unknown");
            shared.metrics.unknown.inc();
            tracing::error!(%id, error = %why, "transaction.unknown_outcome");
            let reply = refusal::BACKEND_LOST;
            Outcome { reply, verdict: Verdict::Forward, end: "unknown_outcome", close: false }
        }
    }
}

/// A message on its way to the backend. Dropped with it, when the process must end, its outcome is unknown.
struct Pending<'a> {
    unknown: &'a prometheus::IntCounter,
    id: TransactionId,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.unknown.inc();
        tracing::error!(id = %self.id, error = "ended while the message was handed over", "transaction.unknown_outcome");
    }
}

/// The fields that are put before the message.
fn prefix(
    settings: &Settings,
    assessment: &Assessment,
    transaction: &Transaction,
    facts: &MessageFacts,
    conclusion: &Conclusion,
) -> Vec<u8> {
    let mail = &transaction.mail;
    let helo = &mail.helo;
    let mut out = Vec::with_capacity(512);
    let judged = assessment.ruleset().judges;
    let id = transaction.id.to_string();
    // What we think of mail is told to our own backend, never to others.
    let leaves = helo.client.role.is_outgoing();
    if settings.add_spam_fields && judged && !leaves {
        let tests = &conclusion.summary.symbols;
        fields::SpamFields {
            flagged: conclusion.tagged,
            score: conclusion.summary.score.to_string(),
            tests: tests.iter().map(|(symbol, score)| (symbol.to_string(), score.to_string())).collect(),
            unfinished: assessment.unfinished(),
            id: id.clone(),
        }
        .write(&mut out);
    }
    if !leaves {
        authentication::write(settings, facts, judged, &mut out);
    }
    let only = match transaction.accepted.as_slice() {
        [one] => Some(&one.path),
        _ => None,
    };
    let client = ClientLabel {
        helo: helo.name.as_str().to_owned(),
        name: helo.client.confirmed_name().map(str::to_owned),
        addr: helo.client.addr,
    };
    let protocol = Protocol::spoken(helo.extended, helo.tls.is_some(), mail.params.get("SMTPUTF8").is_some());
    fields::Received {
        client: &client,
        hostname: &settings.hostname,
        protocol: if mail.login.is_some() { protocol.authenticated() } else { protocol },
        id: &id,
        recipient: only,
        at: mail.at,
    }
    .write(&mut out);
    out
}

/// One line per decision, and the counters.
fn account(
    shared: &Shared,
    assessment: &Assessment,
    transaction: &Transaction,
    outcome: &Outcome,
    size: u64,
    conclusion: Option<&Conclusion>,
    arrived: Instant,
) {
    if outcome.end == "forwarded" {
        shared.metrics.forwarded.inc();
    } else {
        shared.metrics.transactions.with_label_values(&[outcome.end]).inc();
    }
    if tracing::enabled!(tracing::Level::DEBUG) {
        let trace = serde_json::to_string(&assessment.trace()).unwrap_or_default();
        tracing::debug!(id = %transaction.id, trace, "transaction.trace");
    }
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    let helo = &transaction.mail.helo;
    let decision = conclusion.and_then(|conclusion| conclusion.recipients.first()).map(|(_, decision)| decision);
    let shadow = decision.and_then(|decision| decision.shadow.as_ref());
    let summary = conclusion.map_or_else(|| assessment.summary(), |conclusion| conclusion.summary.clone());
    tracing::info!(
        id = %transaction.id,
        client = %helo.client.addr,
        client_name = helo.client.confirmed_name().unwrap_or(""),
        behind = transaction.judged.as_ref().map(|mail| mail.helo.client.addr.to_string()).unwrap_or_default(),
        helo = %helo.name,
        tls = helo.tls.as_ref().map_or("", |tls| tls.version),
        user = transaction.mail.user().unwrap_or(""),
        reverse_path = %transaction.mail.reverse_path,
        recipients = transaction.accepted.len(),
        traps = transaction.traps(),
        refused_recipients = transaction.refused,
        size,
        stage = "message",
        verdict = %outcome.verdict,
        end = outcome.end,
        policy = decision.and_then(|decision| decision.policy.as_deref()).unwrap_or(Policies::SITE),
        clause = decision.and_then(|decision| decision.clause.as_deref()).unwrap_or(""),
        shadow_verdict = shadow.map_or("", |(verdict, _)| verdict.as_str()),
        shadow_clause = shadow.map_or("", |(_, clause)| clause),
        score = %conclusion.map(|conclusion| conclusion.summary.score).unwrap_or_default(),
        symbols = %summary,
        rules = %assessment.ruleset().version,
        reply = %outcome.reply.to_log(),
        after_data_ms = arrived.elapsed().as_millis() as u64,
        total_ms = transaction.age().as_millis() as u64,
        "transaction.end"
    );
}
