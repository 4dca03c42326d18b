//! One record: what was known of a transaction, what every check said, what was decided, what became of it.
//!
//! Nothing of a body is in it, and of the message only its size, its author domains and, if wished, its subject.
//! Everything that a decision was made from is in it, so that the decision can be made again.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::id::TransactionId;
use super::lines::Lines;
use crate::facts::Stage;
use crate::verdict::Verdict;

/// What is kept of one transaction, or of a session that was refused before any.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its name; tells when it began.
    pub id: TransactionId,
    /// Who sent it.
    pub client: Client,
    /// To whom, as from whom; absent where there was no MAIL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<Envelope>,
    /// What sender authentication found, as far as it came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authentication: Vec<Authenticated>,
    /// The message, if it came to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageSeen>,
    /// How it was judged.
    pub judgement: Judgement,
    /// What became of it.
    pub fate: Fate,
}

/// The client of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its effective address; behind a hop of ours, that of whoever handed the mail to the hop.
    pub addr: IpAddr,
    /// The hop of ours that the mail came through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop: Option<IpAddr>,
    /// Its confirmed name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it said in HELO or EHLO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helo: Option<String>,
    /// Version of TLS, if it was spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
    /// As whom it has authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The listener that it came to.
    pub listener: Arc<str>,
}

/// From whom to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Without brackets; empty: the null reverse-path.
    pub reverse_path: String,
    /// Those whom the message was accepted for.
    pub recipients: Vec<Addressee>,
    /// How many others were refused, by whomever.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: usize,
}

/// One accepted recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addressee {
    /// Its place among all that were named.
    pub index: usize,
    /// Without brackets.
    pub forward_path: String,
    /// Nobody uses it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub trap: bool,
}

/// What is kept of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSeen {
    /// Octets.
    pub size: u64,
    /// The domains of its From fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub author_domains: Vec<String>,
    /// Its subject, decoded, if those are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// One result of sender authentication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authenticated {
    /// `spf`, `dkim`, `arc`, `dmarc`, `iprev`.
    pub method: Cow<'static, str>,
    /// The word of RFC 8601.
    pub result: Cow<'static, str>,
    /// About whom: a domain, or the client's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// It says nothing: the record lets (nearly) everybody pass.
    #[serde(default, skip_serializing_if = "is_false")]
    pub permissive: bool,
}

/// How it was judged, and everything that it was judged from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The version of the rules.
    pub rules: String,
    /// By the policy for mail that leaves.
    #[serde(default, skip_serializing_if = "is_false")]
    pub outgoing: bool,
    /// By which [`Rulebook`](super::Rulebook) numbers of checks are names, and findings weigh something.
    pub book: u64,
    /// What every check said, those of refused recipients aside.
    pub lines: Lines,
    /// Recipients, or a session, that were refused before there was a message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
    /// Decisions on the message, one per recipient.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decided>,
    /// The score of the transaction, in hundredths.
    pub score: i32,
    /// If forwarded, it was marked.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tagged: bool,
    /// Every symbol that counts, with what it adds in hundredths, heaviest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<(String, i32)>,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// On whom; absent for a whole session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<usize>,
    /// Checks must not keep mail from it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub exempt: bool,
    /// The policy, if it is not the site's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Arc<str>>,
    /// The verdict.
    pub verdict: Verdict,
    /// The clause that won.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clause: Option<Arc<str>>,
    /// The score that it saw, in hundredths.
    pub score: i32,
    /// Verdict and clause with everything in force that is only shadow, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<(Verdict, Arc<str>)>,
}

/// A refusal before there was a message, with what was known then. Checks that are not among its lines were open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Whom; absent for a whole session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_path: Option<String>,
    /// Why.
    pub decision: Decided,
    /// What had been said by then.
    pub lines: Lines,
    /// What the client was told.
    pub reply: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// How far it came.
    pub stage: Stage,
    /// The verdict; absent where the client went away before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The word of the log: `forwarded`, `rejected`, `deferred`, `abandoned`, ...
    pub end: Cow<'static, str>,
    /// The last reply about it, whoever's words they are.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reply: String,
    /// From the end of the message to the reply, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_data_ms: Option<u64>,
    /// From MAIL to the end, in milliseconds.
    pub total_ms: u64,
}

impl Record {
    /// Every decision in it, those before the message first.
    pub fn decisions(&self) -> impl Iterator<Item = &Decided> {
        let early = self.judgement.refusals.iter().map(|refusal| &refusal.decision);
        early.chain(&self.judgement.decisions)
    }

    /// The strictest verdict with everything in force that is only shadow, where that differs from the real one.
    pub fn shadow(&self) -> Option<Verdict> {
        self.decisions().filter_map(|decided| decided.shadow.as_ref().map(|(verdict, _)| *verdict)).max()
    }

    /// The clause behind the verdict.
    pub fn clause(&self) -> Option<&Arc<str>> {
        let agree = |decided: &&Decided| self.fate.verdict.is_none_or(|verdict| decided.verdict == verdict);
        self.decisions().find(agree).and_then(|decided| decided.clause.as_ref())
    }

    /// Whose mail it is, for sums: the domain of the reverse-path; of a bounce that of its author; else the client's.
    pub fn sender_domain(&self) -> String {
        let envelope = self.envelope.as_ref().map_or("", |envelope| envelope.reverse_path.as_str());
        if let Some(domain) = domain_of(envelope) {
            return domain.to_ascii_lowercase();
        }
        if let Some(domain) = self.message.as_ref().and_then(|message| message.author_domains.first()) {
            return domain.clone();
        }
        self.client.name.clone().unwrap_or_else(|| self.client.addr.to_string())
    }

    /// The domain for which that method of sender authentication passed, if that says something.
    pub fn passes(&self, method: &str) -> Option<&str> {
        let passes = |known: &&Authenticated| known.method == method && known.result == "pass" && !known.permissive;
        self.authentication.iter().find(passes).map(|known| known.about.as_str())
    }

    /// Every forward-path in it, accepted or refused by us.
    pub fn forward_paths(&self) -> impl Iterator<Item = &str> {
        let accepted = self.envelope.iter().flat_map(|envelope| &envelope.recipients);
        let refused = self.judgement.refusals.iter().filter_map(|refusal| refusal.forward_path.as_deref());
        accepted.map(|recipient| recipient.forward_path.as_str()).chain(refused)
    }

    /// About how many octets of memory it takes.
    pub fn octets(&self) -> u64 {
        let lines = self.judgement.refusals.iter().map(|refusal| &refusal.lines).chain([&self.judgement.lines]);
        let texts = self.judgement.refusals.iter().map(|refusal| size_of::<Refusal>() + refusal.reply.len());
        let recipients = self.envelope.iter().flat_map(|envelope| &envelope.recipients);
        let recipients = recipients.map(|known| size_of::<Addressee>() + known.forward_path.len());
        let decisions = self.judgement.decisions.len() * size_of::<Decided>();
        let symbols = self.judgement.symbols.iter().map(|known| size_of_val(known) + known.0.len());
        let own = size_of::<Self>() + self.fate.reply.len() + decisions;
        let octets = own + texts.chain(recipients).chain(symbols).chain(lines.map(Lines::octets)).sum::<usize>();
        octets as u64
    }

    /// Every symbol in it: those that count, and those that were found all the same.
    pub fn all_symbols(&self) -> impl Iterator<Item = &str> {
        let lines = std::iter::once(&self.judgement.lines);
        let lines = lines.chain(self.judgement.refusals.iter().map(|refusal| &refusal.lines));
        let found = lines.flat_map(|lines| &lines.0).flat_map(|line| &line.findings);
        let counting = self.judgement.symbols.iter().map(|(symbol, _)| symbol.as_str());
        counting.chain(found.map(|finding| finding.symbol.as_str()))
    }
}

/// What stands behind the last `@`.
pub fn domain_of(address: &str) -> Option<&str> {
    address.rsplit_once('@').map(|(_, domain)| domain).filter(|domain| !domain.is_empty())
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &usize) -> bool {
    *value == 0
}
