//! DNS lists (RFC 5782): blocklists and allowlists of addresses, names and digests. One zone, asked about
//! one kind of thing, is one check.

pub mod code;
pub mod digest;
pub mod health;
pub mod lists;
pub mod message;
pub mod metrics;
pub mod points;
pub mod question;
pub mod source;
pub mod subject;
pub mod tester;
mod watch;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::Check;
use crate::dns::{Freshness, Lookup, LookupError, Origin};
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Skip, Spec, Symbol};
pub use code::{CodePattern, PatternError};
pub use digest::Digest;
use health::{Answered, Note, Reason};
pub use lists::{Lists, Monitored};
pub use metrics::Metrics;
pub use points::{Points, Test};
pub use question::{Names, Question, Skipped};
pub use source::{Shared, Source, add};
pub use subject::{Form, Subject, Thing};

/// One list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its short name; the check is called `dnsbl.<name>`.
    pub name: String,
    /// Its zone, such as `zen.spamhaus.org`.
    pub zone: String,
    /// Its zone as it may be shown to anybody: without the key that is in it.
    pub shown: String,
    /// What it is asked about.
    pub of: Subject,
    /// It lists IPv4 addresses.
    pub ipv4: bool,
    /// It lists IPv6 addresses.
    pub ipv6: bool,
    /// Which forms of a name it is asked about.
    pub names: Names,
    /// How it hides mail addresses.
    pub digest: Digest,
    /// Questions about one client or message; what there is beyond them is not asked about.
    pub questions: usize,
    /// How long it may take to answer.
    pub deadline: Duration,
    /// What its return codes mean. Every pattern that matches a code emits its symbol.
    pub codes: Vec<(CodePattern, Symbol)>,
    /// Codes that are errors of this list, besides those that are errors of every list.
    pub errors: Vec<CodePattern>,
    /// How it is tested.
    pub points: Points,
    /// Its symbols count for nothing but the record of what would have been.
    pub shadow: bool,
}

/// The check of one list, asked about what `S` finds.
pub struct Dnsbl<S> {
    settings: Settings,
    spec: Spec,
    dns: Arc<dyn Lookup>,
    skipped: Arc<Skipped>,
    monitored: Arc<Monitored>,
    source: S,
}

/// What one answer of a list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Not listed.
    NotListed,
    /// Listed: the symbols of its codes, each with the codes that it stands for. Codes that nobody gave
    /// a meaning are no observation, so there may be none.
    Listed(Vec<(Symbol, Vec<Ipv4Addr>)>),
    /// This code, which no working list sends, spoils the whole answer.
    Error(Ipv4Addr, &'static str),
}

impl Settings {
    /// A list of IPv4 addresses of clients, whose codes mean nothing yet.
    pub fn new(name: &str, zone: &str) -> Self {
        Self {
            name: name.to_owned(),
            zone: zone.to_owned(),
            shown: zone.to_owned(),
            of: Subject::Client,
            ipv4: true,
            ipv6: false,
            names: Names::Both,
            digest: Digest::Sha1Hex,
            questions: 10,
            deadline: Duration::from_secs(2),
            codes: Vec::new(),
            errors: Vec::new(),
            points: Points::default(),
            shadow: false,
        }
    }
}

impl<S: Source> Dnsbl<S> {
    /// Asks about what `source` finds.
    pub fn new(settings: Settings, source: S, shared: &Shared) -> Self {
        let mut emits: Vec<Symbol> = settings.codes.iter().map(|(_, symbol)| symbol.clone()).collect();
        emits.sort();
        emits.dedup();
        let spec = Spec {
            name: CheckName::new(&format!("dnsbl.{}", settings.name)),
            exclusive: emits.len() < 2,
            emits: emits.into(),
        };
        Self {
            monitored: shared.lists.monitor(points::plan(&settings)),
            dns: Arc::clone(&shared.dns),
            skipped: Arc::clone(&shared.skipped),
            settings,
            spec,
            source,
        }
    }

    async fn look(&self, things: &[Thing]) -> Outcome {
        let question::Chosen { questions, left_out } = question::questions(things, &self.settings, &self.skipped);
        if questions.is_empty() {
            return Outcome::Skipped(Skip::NotApplicable);
        }
        if let Err(why) = self.monitored.admit() {
            return Outcome::Skipped(Skip::Suspended(why.label()));
        }
        self.monitored.leaves_out(left_out);
        let silent = AtomicBool::new(false);
        let answers = join_all(questions.iter().map(|question| self.ask(question, &silent))).await;
        let outcome = judge(&self.settings.shown, questions.iter().zip(answers));
        if matches!(outcome, Outcome::Found(_))
            && let Some(why) = self.unconfirmed().await
        {
            return Outcome::Skipped(Skip::Suspended(why.label()));
        }
        outcome
    }

    /// Why a listing cannot be believed, if it cannot. Test points that do not answer in time take nothing
    /// from it.
    async fn unconfirmed(&self) -> Option<Reason> {
        if self.monitored.wants_confirmation() {
            // Only listed clients wait for this.
            let _late = timeout(self.settings.deadline, tester::round(&self.monitored, &self.dns)).await;
        }
        self.monitored.suspended()
    }

    /// `None`: no answer within the deadline. `silent` tells the other questions that one had none.
    async fn ask(&self, question: &Question, silent: &AtomicBool) -> Option<Result<Reading, LookupError>> {
        let began = Instant::now();
        let heard = self.dns.hear_a(&question.name, Freshness::Holds, self.settings.deadline).await;
        let reading = match heard.answer {
            Ok(answer) => Some(Ok(read(&self.settings, &answer.records))),
            Err(LookupError::Timeout) => None,
            Err(why) => Some(Err(why)),
        };
        if let Some(answer) = answered(reading.as_ref()) {
            let failed = answer == Answered::NoAnswer && heard.origin == Origin::Asked;
            let again = failed && silent.swap(true, Ordering::Relaxed);
            self.monitored.answered(Note { answer, origin: heard.origin, took: began.elapsed(), again });
        }
        reading
    }
}

/// What an answer, or that there is none, says about the list. `None`: the fault is ours.
fn answered(reading: Option<&Result<Reading, LookupError>>) -> Option<Answered> {
    match reading {
        Some(Ok(Reading::NotListed)) => Some(Answered::NotListed),
        Some(Ok(Reading::Listed(_))) => Some(Answered::Listed),
        Some(Ok(Reading::Error(code, _))) => Some(Answered::Error(*code)),
        Some(Err(LookupError::NotAName | LookupError::Overloaded)) => None,
        Some(Err(LookupError::Timeout | LookupError::ServerFailure | LookupError::Unreachable)) | None => {
            Some(Answered::NoAnswer)
        }
    }
}

impl<S: Source> Check for Dnsbl<S> {
    type Facts = S::Facts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        !S::IS_SHOWN
    }

    async fn run(&self, facts: &S::Facts) -> Outcome {
        match self.source.things(facts).await {
            Ok(things) => self.look(&things).await,
            Err(why) => Outcome::Failed(why),
        }
    }

    fn time_limit(&self) -> Option<Duration> {
        // What is found out first has limits of its own. A listing may have to be confirmed.
        matches!(self.settings.of, Subject::Client | Subject::Helo | Subject::Sender)
            .then_some(self.settings.deadline * 2)
    }
}

/// What an answer of the list says.
pub fn read(settings: &Settings, codes: &[Ipv4Addr]) -> Reading {
    if let Some((code, why)) = error_in(codes, &settings.errors) {
        return Reading::Error(code, why);
    }
    if codes.is_empty() {
        return Reading::NotListed;
    }
    let mut codes = codes.to_vec();
    codes.sort_unstable();
    codes.dedup();
    let mut found: Vec<(Symbol, Vec<Ipv4Addr>)> = Vec::new();
    for (pattern, symbol) in &settings.codes {
        for code in codes.iter().filter(|code| pattern.matches(**code)) {
            match found.iter_mut().find(|(other, _)| other == symbol) {
                Some((_, matched)) if matched.contains(code) => {}
                Some((_, matched)) => matched.push(*code),
                None => found.push((symbol.clone(), vec![*code])),
            }
        }
    }
    Reading::Listed(found)
}

/// What all answers together come to. An error of the list spoils them all; a question without an answer
/// spoils nothing but the certainty that there is nothing.
pub fn judge<'q>(
    zone: &str,
    answers: impl IntoIterator<Item = (&'q Question, Option<Result<Reading, LookupError>>)>,
) -> Outcome {
    let mut found: Vec<(Symbol, String)> = Vec::new();
    let mut unanswered = None;
    for (question, answer) in answers {
        match answer {
            Some(Ok(Reading::NotListed)) => {}
            Some(Ok(Reading::Listed(symbols))) => {
                for (symbol, codes) in symbols {
                    let codes: Vec<String> = codes.iter().map(Ipv4Addr::to_string).collect();
                    let evidence = format!("{} from {zone} for {}", codes.join(", "), question.about);
                    match found.iter_mut().find(|(other, _)| *other == symbol) {
                        Some((_, all)) => {
                            all.push_str("; ");
                            all.push_str(&evidence);
                        }
                        None => found.push((symbol, evidence)),
                    }
                }
            }
            Some(Ok(Reading::Error(code, why))) => {
                return Outcome::Failed(CheckError::ListError(format!("{code} from {zone}: {why}")));
            }
            Some(Err(why)) => unanswered = Some(Outcome::Failed(CheckError::Dns(why.to_string()))),
            None => unanswered = Some(Outcome::TimedOut),
        }
    }
    match unanswered {
        Some(outcome) if found.is_empty() => outcome,
        _ => {
            let findings = found.into_iter().map(|(symbol, evidence)| Finding::new(symbol, evidence));
            Outcome::from_findings(findings.collect())
        }
    }
}

/// The first code that no working list sends, or that is an error of this one by `own`, and why.
fn error_in(codes: &[Ipv4Addr], own: &[CodePattern]) -> Option<(Ipv4Addr, &'static str)> {
    codes.iter().find_map(|code| {
        let is_own = || own.iter().any(|pattern| pattern.matches(*code));
        let why = trouble(*code).or_else(|| is_own().then_some("an error, by the rules of this list"))?;
        Some((*code, why))
    })
}

/// Why a code is no listing, if it is none.
fn trouble(code: Ipv4Addr) -> Option<&'static str> {
    match code.octets() {
        [127, 255, 255, _] => Some("the list refuses our questions"),
        [127, 0, 0, 1] => Some("no list answers so (RFC 5782 2.1)"),
        [127, ..] => None,
        _ => Some("not within 127.0.0.0/8: the zone is gone, or somebody answers in its place"),
    }
}

#[cfg(test)]
mod tests;
