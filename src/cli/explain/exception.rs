//! The narrowest entry of trust.toml by which a refused mail would have passed, and what else would have passed by it.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::Failed;
use crate::pipeline::{Prepared, Replay};
use crate::records::{Archive, Filter, Found, Record, Whose};
use crate::verdict::Verdict;

/// Ids of other mails that a proposal names.
const SHOWN: usize = 5;
const DAY_MILLIS: u64 = 86_400_000;

/// A proposal.
#[derive(Debug, Serialize)]
pub(super) struct Exception {
    /// To be written at the end of trust.toml.
    line: String,
    /// On what the entry rests.
    evidence: &'static str,
    /// Recorded mail that the entry is about.
    matched: usize,
    /// Of these, refused before, and forwarded with it; the mail itself is among them.
    would_pass: usize,
    /// Of these, not by anybody who was asked about: ids of some.
    others: Vec<String>,
}

/// How an entry would be found to hold.
struct Candidate {
    line: String,
    evidence: &'static str,
    check: &'static str,
    symbol: &'static str,
    holds: Box<dyn Fn(&Record) -> bool>,
    filter: Filter,
}

/// Proposes for what was refused by us; tests with what was recorded in `days`.
pub(super) fn propose(
    archive: &mut Archive,
    prepared: &Prepared<'_>,
    record: &Record,
    days: u64,
) -> Result<Option<Exception>, Failed> {
    let refused = prepared.decide(record).verdict().is_some_and(|(verdict, _)| verdict != Verdict::Forward);
    if !refused {
        return Ok(None);
    }
    let passes = |candidate: &Candidate| {
        let again = prepared.decide_with(record, candidate.check, candidate.symbol);
        again.verdict().is_some_and(|(verdict, _)| verdict == Verdict::Forward)
    };
    match candidates(record).into_iter().find(passes) {
        Some(candidate) => Ok(Some(tested(archive, candidate, record, days)?)),
        None => Ok(None),
    }
}

/// The narrowest first. Everybody forges a name, so there is evidence beside each.
fn candidates(record: &Record) -> Vec<Candidate> {
    let mut all = Vec::new();
    let client = record.client.addr;
    let sender = record.envelope.as_ref().map(|envelope| envelope.reverse_path.clone());
    let sender = sender.filter(|sender| !sender.is_empty() && !sender.contains('*'));
    let from = |sender: &str| Filter { from: Some(Whose::Address(sender.to_owned())), ..Filter::default() };
    if let Some(sender) = sender.clone().filter(|_| record.passes("spf").is_some()) {
        all.push(Candidate {
            line: format!("[[allow]]\nsenders = [{}]", quoted(&sender)),
            evidence: "SPF shows that it is they",
            check: "trust.sender",
            symbol: "ALLOWED_SENDER",
            filter: from(&sender),
            holds: Box::new(|record| record.passes("spf").is_some()),
        });
    }
    if let Some(author) = record.passes("dmarc").map(str::to_owned) {
        all.push(Candidate {
            line: format!("[[allow]]\nsenders = [{}]", quoted(&author)),
            evidence: "DMARC shows that it is they",
            check: "trust.author",
            symbol: "ALLOWED_AUTHOR",
            filter: Filter { author: Some(author.clone()), ..Filter::default() },
            holds: Box::new(move |record| record.passes("dmarc") == Some(author.as_str())),
        });
    }
    if let Some(sender) = sender {
        all.push(Candidate {
            line: format!("[[allow]]\nsenders = [{}]\nnetworks = [\"{client}\"]", quoted(&sender)),
            evidence: "only from this client",
            check: "trust.sender",
            symbol: "ALLOWED_SENDER",
            filter: Filter { client: Some(client.into()), ..from(&sender) },
            holds: Box::new(|_| true),
        });
    }
    all.push(Candidate {
        line: format!("[[allow]]\nnetworks = [\"{client}\"]"),
        evidence: "everything from this client: nothing else authenticates the sender",
        check: "trust.client",
        symbol: "ALLOWED_CLIENT",
        filter: Filter { client: Some(client.into()), ..Filter::default() },
        holds: Box::new(|_| true),
    });
    all
}

fn tested(archive: &mut Archive, candidate: Candidate, own: &Record, days: u64) -> Result<Exception, Failed> {
    let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
    let since = now.saturating_sub(days.saturating_mul(DAY_MILLIS)).min(own.id.millis());
    let filter = Filter { since: Some(since), ..candidate.filter };
    let (mut matched, mut would_pass, mut others) = (0, 0, Vec::new());
    let mut books: Vec<(u64, Option<Replay>)> = Vec::new();
    archive.each(&filter, |Found { record, book }| {
        if !(candidate.holds)(&record) {
            return ControlFlow::Continue(());
        }
        matched += 1;
        let digest = record.judgement.book;
        if !books.iter().any(|(known, _)| *known == digest) {
            books.push((digest, book.as_ref().and_then(|book| Replay::by_book(book).ok())));
        }
        let replay = books.iter().find(|(known, _)| *known == digest).and_then(|(_, replay)| replay.as_ref());
        let prepared = replay.zip(book.as_ref()).and_then(|(replay, book)| replay.prepare(book).ok());
        let Some(prepared) = prepared else { return ControlFlow::Continue(()) };
        let before = prepared.decide(&record).verdict();
        let after = prepared.decide_with(&record, candidate.check, candidate.symbol).verdict();
        let is = |decided: Option<(Verdict, bool)>, forward: bool| {
            decided.is_some_and(|(verdict, _)| (verdict == Verdict::Forward) == forward)
        };
        if is(before, false) && is(after, true) {
            would_pass += 1;
            if record.id != own.id && others.len() < SHOWN {
                others.push(record.id.to_string());
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(Exception { line: candidate.line, evidence: candidate.evidence, matched, would_pass, others })
}

/// As a string of TOML, which strings of JSON are.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

impl Exception {
    /// For people.
    pub(super) fn to_text(&self, days: u64) -> String {
        let mut text = format!("\nto let such mail pass, add to trust.toml ({}):\n", self.evidence);
        for line in self.line.lines() {
            let _ = writeln!(text, "    {line}");
        }
        let others = self.would_pass.saturating_sub(1);
        let named = if self.others.is_empty() { String::new() } else { format!(": {}", self.others.join(", ")) };
        let _ = writeln!(
            text,
            "of {} recorded mails in {days} days that it is about, {} would have passed that were refused: this one, \
             and {others} others{named}",
            self.matched, self.would_pass
        );
        text
    }
}
