//! One message through the offline pipeline: the facts that a session would have learnt, in its order.

use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;

use super::envelope::{Envelope, Shown};
use super::messages::Item;
use crate::facts::{
    AuthResult, Author, ClientFacts, Derived, Dkim, Dmarc, DmarcPolicy, HeloFacts, MailFacts, MessageFacts, RcptFacts,
    Signature, Spf,
};
use crate::message::Message;
use crate::pipeline::{Assessment, Conclusion, Decision, Ruleset, Trace};
use crate::scoring::{Score, Symbol};
use crate::session::RecipientMatcher;
use crate::smtp::{HeloName, Params, ReversePath};
use crate::units::Percent;
use crate::verdict::{Action, Verdict};

/// Judges messages as the proxy would, and changes nothing.
pub struct Examiner {
    ruleset: Arc<Ruleset>,
    hostname: Arc<str>,
    exempt: RecipientMatcher,
}

/// A message, judged.
pub struct Examination {
    /// The message.
    pub name: String,
    /// Who sent it how, as far as it is known.
    pub envelope: Envelope,
    /// The highest score of its recipients.
    pub score: Score,
    /// If forwarded, it would be marked.
    pub tagged: bool,
    /// The verdict on each of its recipients.
    pub verdicts: Vec<Verdict>,
    /// The strictest of them.
    pub verdict: Verdict,
    /// The clause behind it.
    pub clause: Option<Arc<str>>,
    /// Verdict and clause with everything in force that is only shadow, where that differs.
    pub shadow: Option<(Verdict, Arc<str>)>,
    /// Whose score that is.
    recipient: Option<usize>,
    assessment: Assessment,
}

/// What somebody who wants one line per message is told.
#[derive(Debug, Serialize)]
pub struct Brief<'e> {
    path: &'e str,
    score: f64,
    action: &'static str,
    is_spam: bool,
}

/// All that is known of it.
#[derive(Debug, Serialize)]
pub struct Full<'e> {
    #[serde(flatten)]
    brief: Brief<'e>,
    verdict: &'static str,
    tagged: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    clause: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<(&'static str, &'e str)>,
    envelope: Shown,
    trace: Trace,
}

impl Examiner {
    /// Judges by `ruleset`. `hostname` is our own name, which a client must not claim; `exempt` recipients get their
    /// mail whatever checks find.
    pub fn new(ruleset: Arc<Ruleset>, hostname: &str, exempt: RecipientMatcher) -> Self {
        Self { ruleset, hostname: hostname.into(), exempt }
    }

    /// Runs every check to its end, and decides. What `told` does not know of the envelope, the message may.
    pub async fn examine(&self, item: Item, told: Envelope, guess: bool) -> Examination {
        let message = Arc::new(Message::new(item.octets, item.len));
        let mut envelope = told.or(item.envelope);
        if guess {
            envelope = envelope.or(Envelope::remembered(&message));
        }
        let mut assessment = Assessment::new(self.ruleset.clone());
        let mail = self.until_mail(&mut assessment, &envelope).await;
        let mut traps = 0;
        for (index, path) in envelope.recipients.iter().enumerate() {
            assessment.add_recipient(index, self.exempt.contains(path));
            assessment.judge_as(index, path);
            let is_trap = self.ruleset.traps.contains(path);
            traps += usize::from(is_trap);
            let facts = RcptFacts { mail: mail.clone(), forward_path: path.clone(), index, is_trap };
            assessment.examine(&Arc::new(facts)).await;
        }
        if envelope.recipients.is_empty() {
            // Somebody gets it, whoever that is.
            assessment.add_recipient(0, false);
        }
        let facts = MessageFacts::new(mail, envelope.recipients.clone(), message.clone(), None).with_traps(traps);
        assessment.examine(&Arc::new(with_results(facts, &envelope, &message))).await;
        let conclusion = assessment.examined();
        Examination::new(item.name, envelope, &conclusion, assessment)
    }

    /// Client, HELO and MAIL: facts for all that follows, checks only where they are known.
    async fn until_mail(&self, assessment: &mut Assessment, envelope: &Envelope) -> Arc<MailFacts> {
        let addr = envelope.client.unwrap_or([0, 0, 0, 0].into());
        let name = envelope.client_name.clone();
        let client = Arc::new(ClientFacts::new(addr, "scan".into(), self.hostname.clone(), name));
        if envelope.client.is_some() {
            assessment.examine(&client).await;
        }
        let unknown = || HeloName::parse(b"unknown.invalid").expect("one word");
        let helo = envelope.helo.clone().unwrap_or_else(unknown);
        let helo = Arc::new(HeloFacts::new(client, helo, true, None));
        if envelope.helo.is_some() {
            assessment.examine(&helo).await;
        }
        let path = envelope.reverse_path.clone().unwrap_or(ReversePath::Null);
        let domain = path.mailbox().map(|mailbox| mailbox.domain().to_ascii_lower());
        let domain = domain.unwrap_or_else(|| helo.name.as_str().to_ascii_lowercase());
        let at = envelope.at.unwrap_or_else(SystemTime::now);
        let mut mail = MailFacts::new(helo, path, Params::default(), at);
        if let Some(result) = envelope.spf {
            mail.spf = Derived::from(Spf::new(result, domain, RECORDED));
        }
        let mail = Arc::new(mail);
        if envelope.reverse_path.is_some() {
            assessment.examine(&mail).await;
        }
        mail
    }
}

/// Why a result of sender authentication is what it is.
const RECORDED: &str = "as recorded when the message was received";

/// The results of sender authentication that are known from the time when the message came.
fn with_results(mut facts: MessageFacts, envelope: &Envelope, message: &Message) -> MessageFacts {
    if let Some(result) = envelope.dkim {
        let signatures = message.fields().filter(|field| field.is("DKIM-Signature"));
        // One result was recorded, so it is told of one signature.
        let first = signatures.map(|field| signer(field.value)).find(|domain| !domain.is_empty());
        let signature = |domain| Signature { reason: RECORDED.to_owned(), ..Signature::new(result, domain) };
        let known = first.filter(|_| result != AuthResult::None).map(signature);
        facts.dkim = Derived::from(Dkim { signatures: known.into_iter().collect(), ..Dkim::default() });
    }
    if let Some(result) = envelope.dmarc {
        facts.dmarc = Derived::from(Dmarc {
            result,
            author_domain: Author::of(message).domain().cloned(),
            // What the owner asked for then is not known.
            policy: DmarcPolicy::None,
            published: DmarcPolicy::None,
            record: None,
            spf_aligned: false,
            dkim_aligned: None,
            reason: RECORDED.to_owned(),
        });
    }
    facts
}

/// `d=` of a signature.
fn signer(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let domain = text.split(';').find_map(|tag| tag.trim().strip_prefix("d=").map(str::trim));
    domain.unwrap_or_default().to_ascii_lowercase()
}

impl Examination {
    fn new(name: String, envelope: Envelope, conclusion: &Conclusion, assessment: Assessment) -> Self {
        let scores = conclusion.recipients.iter().map(|(index, _)| (assessment.score(Some(*index)), Some(*index)));
        let (score, recipient) = scores.max().unwrap_or((conclusion.summary.score, None));
        let strictest = conclusion.recipients.iter().map(|(_, decision)| decision).max_by_key(|one| one.verdict);
        let of = |pick: fn(&Decision) -> Option<Arc<str>>| strictest.and_then(pick);
        Self {
            name,
            envelope,
            score,
            tagged: conclusion.tagged,
            verdicts: conclusion.recipients.iter().map(|(_, decision)| decision.verdict).collect(),
            verdict: strictest.map_or(Verdict::Forward, |decision| decision.verdict),
            clause: of(|decision| decision.clause.clone()),
            shadow: strictest.and_then(|decision| decision.shadow.clone()),
            recipient,
            assessment,
        }
    }

    /// What it comes to, in one word: `reject`, `defer`, `tag` or `forward`.
    pub fn action(&self) -> &'static str {
        Action::new(self.verdict, self.tagged).as_str()
    }

    /// It would be refused for good, or marked.
    pub fn is_spam(&self) -> bool {
        self.verdict == Verdict::Reject || self.tagged
    }

    /// Every symbol that counts for the recipient with the highest score.
    pub fn found(&self) -> Vec<(Symbol, Percent)> {
        self.assessment.found(self.recipient)
    }

    /// How it came to that.
    pub fn trace(&self) -> Trace {
        self.assessment.examined_trace()
    }

    /// One line per message.
    pub fn brief(&self) -> Brief<'_> {
        let score = f64::from(self.score.get()) / 100.0;
        Brief { path: &self.name, score, action: self.action(), is_spam: self.is_spam() }
    }

    /// All that is known, for programs.
    pub fn full(&self) -> Full<'_> {
        Full {
            brief: self.brief(),
            verdict: self.verdict.as_str(),
            tagged: self.tagged,
            clause: self.clause.as_deref(),
            shadow: self.shadow.as_ref().map(|(verdict, clause)| (verdict.as_str(), &**clause)),
            envelope: self.envelope.shown(),
            trace: self.trace(),
        }
    }

    /// All that is known, for people.
    pub fn to_text(&self) -> String {
        let clause = self.clause.as_deref().unwrap_or("none");
        let (name, action, score) = (&self.name, self.action(), self.score);
        let shadow = self.shadow.as_ref();
        let shadow = shadow.map(|(verdict, clause)| format!("; in shadow {verdict} (clause {clause})"));
        let shadow = shadow.unwrap_or_default();
        let envelope = self.envelope.shown().to_text();
        format!("{name}: {action}, score {score} (clause {clause}){shadow}\n{envelope}\n{}", self.trace().to_text())
    }
}
