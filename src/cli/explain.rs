//! `gatepost explain`: why a mail had the verdict that it had; what would have changed it; and what to write where it
//! should have passed.

mod exception;
mod flip;

use std::fmt::Write as _;
use std::io::{Read, Write};

use serde::Serialize;

use super::Failed;
use super::recorded::{Place, clock_time, plain, points};
use crate::facts::Stage;
use crate::pipeline::{Prepared, Replay};
use crate::policy::{Clause, Policy};
use crate::records::{Archive, Decided, Found, Line, LineOutcome, Lines, Record, TransactionId};
use crate::scoring::{Part, Score};
use crate::verdict::Verdict;
use exception::Exception;
use flip::Flips;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where records are.
    #[command(flatten)]
    pub place: Place,
    /// An id, or a text with one in it: a reply, a bounce, a line of a log, a header field. `-` reads standard input.
    #[arg(value_name = "ID|TEXT", required = true)]
    pub what: Vec<String>,
    /// Print also every check that had nothing to say.
    #[arg(long, short)]
    pub verbose: bool,
    /// Test a proposed exception with so many days of records.
    #[arg(long, value_name = "NUMBER", default_value_t = 14)]
    pub days: u64,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// All that is said of a record, for programs.
#[derive(Serialize)]
struct Told<'t> {
    record: serde_json::Value,
    flips: &'t Flips,
    #[serde(skip_serializing_if = "Option::is_none")]
    exception: &'t Option<Exception>,
    reproduced: bool,
}

/// Finds the record and explains it.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let mut text = arguments.what.join(" ");
    if text == "-" {
        text.clear();
        std::io::stdin().take(1 << 20).read_to_string(&mut text)?;
    }
    let mut archive = arguments.place.open()?;
    let Found { record, book } = find(&mut archive, &text)?;
    let lost = || Failed(format!("the rules that judged {} cannot be read any more", record.id));
    let book = book.ok_or_else(lost)?;
    let replay = Replay::by_book(&book).map_err(Failed)?;
    let prepared = replay.prepare(&book).map_err(Failed)?;
    let reproduced = prepared.decide(&record).reproduces(&record);
    let flips = flip::flips(&prepared, &book, &record);
    let exception = exception::propose(&mut archive, &prepared, &record, arguments.days)?;
    if arguments.json {
        let told = Told { record: book.tell(&record), flips: &flips, exception: &exception, reproduced };
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&told)?)?);
    }
    let mut text = header(&record);
    text.push_str(&stages(&prepared, &record, arguments.verbose));
    text.push_str(&sums(&prepared, &record));
    text.push_str(&decisions(&replay, &prepared, &record));
    text.push_str(&flips.to_text());
    if let Some(exception) = &exception {
        text.push_str(&exception.to_text(arguments.days));
    }
    if !reproduced {
        text.push_str("\nThe decision does not come out again from this record: please report it as a bug.\n");
    }
    Ok(write!(out, "{text}")?)
}

fn find(archive: &mut Archive, text: &str) -> Result<Found, Failed> {
    let mut tried = Vec::new();
    for id in TransactionId::all_in(text) {
        if let Some(found) = archive.find(id)? {
            return Ok(found);
        }
        tried.push(id.to_string());
    }
    Err(Failed(match &tried[..] {
        [] => "there is no id in that: it has 13 letters and digits, as in the reply or in X-Spam-Id".to_owned(),
        tried => format!("no record of {}: too old, or of another proxy", tried.join(", ")),
    }))
}

fn header(record: &Record) -> String {
    let client = &record.client;
    let mut text = format!("{} began {}\n", record.id, clock_time(record.id.millis()));
    let mut say = |what: &str, value: String| {
        let _ = writeln!(text, "{what:<12} {}", plain(&value));
    };
    let name = client.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let helo = client.helo.as_ref().map(|helo| format!(", HELO {helo}")).unwrap_or_default();
    let tls = client.tls.as_ref().map(|tls| format!(", {tls}")).unwrap_or_default();
    let user = client.user.as_ref().map(|user| format!(", user {user}")).unwrap_or_default();
    let hop = client.hop.as_ref().map(|hop| format!(", through {hop}, a hop of ours")).unwrap_or_default();
    say("client", format!("{}{name}{helo}{hop}{tls}{user}, listener {}", client.addr, client.listener));
    if let Some(envelope) = &record.envelope {
        say("from", format!("<{}>", envelope.reverse_path));
        for recipient in &envelope.recipients {
            let trap = if recipient.trap { " (a trap)" } else { "" };
            say("to", format!("<{}>{trap}", recipient.forward_path));
        }
        if envelope.refused > 0 {
            say("to", format!("{} others, refused", envelope.refused));
        }
    }
    if let Some(message) = &record.message {
        let authors = message.author_domains.join(", ");
        say(
            "message",
            format!("{} octets, author domain {}", message.size, if authors.is_empty() { "none" } else { &authors }),
        );
        message.subject.iter().for_each(|subject| say("subject", subject.clone()));
    }
    let results = record.authentication.iter().map(|known| match known.about.as_str() {
        "" => format!("{}={}", known.method, known.result),
        about => format!("{}={} ({about})", known.method, known.result),
    });
    let results: Vec<String> = results.collect();
    if !results.is_empty() {
        say("authentic", results.join(", "));
    }
    let fate = &record.fate;
    let verdict = fate.verdict.map_or("no verdict", Verdict::as_str);
    say("end", format!("{verdict}: {} after {} ms", fate.end, fate.total_ms));
    if !fate.reply.is_empty() {
        say("reply", fate.reply.clone());
    }
    say("rules", record.judgement.rules.clone());
    text
}

/// Stage by stage what was said, with the score as it grew.
fn stages(prepared: &Prepared<'_>, record: &Record, verbose: bool) -> String {
    let mut text = String::new();
    for refusal in &record.judgement.refusals {
        let whom = refusal.forward_path.as_ref().map_or("the session".to_owned(), |path| format!("<{path}>"));
        let _ = writeln!(text, "\nknown when {} was refused:", plain(&whom));
        write_lines(prepared, &refusal.lines, verbose, &mut text);
    }
    if !record.judgement.decisions.is_empty() {
        text.push('\n');
        write_lines(prepared, &record.judgement.lines, verbose, &mut text);
    }
    text
}

fn write_lines(prepared: &Prepared<'_>, lines: &Lines, verbose: bool, text: &mut String) {
    let mut ordered: Vec<&Line> = lines.0.iter().collect();
    ordered.sort_by_key(|line| prepared.check(line.check).map(|(name, stage)| (stage, name.to_owned())));
    let sorted = Lines(ordered.iter().map(|line| (*line).clone()).collect());
    let running = prepared.running(&sorted);
    for stage in Stage::ALL {
        let here = || sorted.0.iter().zip(&running).filter(|(line, _)| stage_of(prepared, line) == Some(stage));
        if here().next().is_none() {
            continue;
        }
        let _ = writeln!(text, "{stage}:", stage = stage.as_str());
        let mut silent: Vec<(String, &str)> = Vec::new();
        for (line, score) in here() {
            let name = prepared.check(line.check).map_or("?", |(name, _)| name);
            let is_silent = line.findings.is_empty() && line.reason.is_none();
            let speaks = matches!(line.outcome, LineOutcome::Failed | LineOutcome::TimedOut);
            if is_silent && !speaks && !verbose {
                silent.push((what_silence_means(line), name));
            } else {
                write_line(prepared, name, line, *score, text);
            }
        }
        silent.sort();
        for group in silent.chunk_by(|one, other| one.0 == other.0) {
            let names: Vec<&str> = group.iter().map(|(_, name)| *name).collect();
            let what = group.first().map_or("", |(what, _)| what.as_str());
            let _ = writeln!(text, "  {what}: {}", names.join(", "));
        }
    }
}

fn stage_of(prepared: &Prepared<'_>, line: &Line) -> Option<Stage> {
    prepared.check(line.check).map(|(_, stage)| stage)
}

fn what_silence_means(line: &Line) -> String {
    match line.outcome {
        LineOutcome::Unheard => "not heard, the verdict was certain without".to_owned(),
        LineOutcome::Skipped => "had no reason to look".to_owned(),
        LineOutcome::Clear => "found nothing".to_owned(),
        other => other.as_str().to_owned(),
    }
}

fn write_line(prepared: &Prepared<'_>, name: &str, line: &Line, score: Score, text: &mut String) {
    let whom = line.recipient.map(|index| format!(" of recipient {index}")).unwrap_or_default();
    let reason = line.reason.as_ref().map(|reason| format!(" ({})", plain(reason))).unwrap_or_default();
    let grown = if line.findings.is_empty() { String::new() } else { format!(" -> {score}") };
    let millis = line.took_us as f64 / 1000.0;
    let _ = writeln!(text, "  {name} {}{whom}{reason}, {millis:.1} ms{grown}", line.outcome.as_str());
    for finding in &line.findings {
        let (weight, shadow) = prepared.weight(&finding.symbol, finding.strength);
        let shadow = if shadow { " (shadow)" } else { "" };
        let strength = if finding.strength == 100 { String::new() } else { format!(" {} %", finding.strength) };
        let evidence = plain(&finding.evidence);
        let _ = writeln!(text, "    {:>7} {}{strength}{shadow} {evidence}", weight.to_string(), finding.symbol);
    }
}

/// What the score is made of. It adds up.
fn sums(prepared: &Prepared<'_>, record: &Record) -> String {
    let mut text = String::new();
    let mut told: Vec<(Score, Vec<Part>)> = Vec::new();
    for (lines, decided) in decided_from(record) {
        let account = prepared.parts(lines, decided.recipient);
        // Most recipients have the same.
        if told.contains(&account) {
            continue;
        }
        let whom = decided.recipient.map(|index| format!(" of recipient {index}")).unwrap_or_default();
        let _ = writeln!(text, "\nscore{whom} {}", account.0);
        for part in &account.1 {
            let (what, name) = match part {
                Part::Finding(symbol, _) => ("", symbol.to_string()),
                Part::Composite(symbol, _) => (" (together)", symbol.to_string()),
                Part::Cap(group, _) => (" (cap of the group)", group.to_string()),
            };
            if part.score() != Score::ZERO {
                let _ = writeln!(text, "  {:>7} {name}{what}", part.score().to_string());
            }
        }
        told.push(account);
    }
    text
}

/// Which clause decided for whom, and how far the limits of score were.
fn decisions(replay: &Replay, prepared: &Prepared<'_>, record: &Record) -> String {
    let mut text = String::from("\n");
    for decided in record.decisions() {
        let whom = decided.recipient.map_or("session".to_owned(), |index| format!("recipient {index}"));
        let policy = decided.policy.as_ref().map(|policy| format!(", policy {policy}")).unwrap_or_default();
        let exempt = if decided.exempt { ", exempt from refusals" } else { "" };
        let clause = decided.clause.as_ref().map_or("no clause holds".to_owned(), |clause| format!("clause {clause}"));
        let _ = write!(text, "{whom}: {} ({clause}, score {}{policy}{exempt})", decided.verdict, points(decided.score));
        if let Some((verdict, clause)) = &decided.shadow {
            let _ = write!(text, "; with what is in shadow {verdict} (clause {clause})");
        }
        text.push('\n');
    }
    if record.judgement.tagged {
        text.push_str("marked as spam\n");
    }
    let mut told = Vec::new();
    for (lines, decided) in decided_from(record) {
        let policy = replay.ruleset().policy_for(decided.policy.as_deref());
        let limits = limits(prepared, policy, lines, decided);
        // Most recipients have the same.
        if !told.contains(&limits) {
            text.push_str(&limits);
            told.push(limits);
        }
    }
    text
}

/// Every decision, with what was known when it was made.
fn decided_from(record: &Record) -> impl Iterator<Item = (&Lines, &Decided)> {
    let judgement = &record.judgement;
    let early = judgement.refusals.iter().map(|refusal| (&refusal.lines, &refusal.decision));
    early.chain(judgement.decisions.iter().map(|decided| (&judgement.lines, decided)))
}

/// How far each limit was from the score that is held against it: a clause that is bound to a stage sees no later one,
/// and a mark is about the message as a whole.
fn limits(prepared: &Prepared<'_>, policy: &Policy, lines: &Lines, decided: &Decided) -> String {
    let score_at = |stage, shadow| prepared.score_at(lines, decided.recipient, stage, shadow);
    let mut text = String::new();
    if let Some(tag) = policy.tag {
        let score = prepared.score_at(lines, None, None, false);
        let _ = writeln!(text, "  {} to be marked", distance(tag, score.get()));
    }
    for clause in &policy.clauses {
        let Some(limit) = clause.when.at_least else { continue };
        let beside = beside(clause);
        let shadow = if clause.shadow { ", in shadow" } else { "" };
        let (verdict, name) = (clause.verdict, &clause.name);
        let distance = distance(limit, score_at(clause.stage, clause.shadow).get());
        let _ = writeln!(text, "  {distance} for clause {name} ({verdict}{shadow}{beside})");
    }
    text
}

/// What else a clause asks for.
fn beside(clause: &Clause) -> String {
    let asks = clause.when.reads().count();
    let below = clause.when.below.map(|below| format!(", below {below}")).unwrap_or_default();
    if asks > 0 { format!("{below}, with symbols") } else { below }
}

fn distance(limit: Score, score: i32) -> String {
    match limit.get() - score {
        missing if missing > 0 => format!("limit {limit}: {} short", points(missing)),
        over => format!("limit {limit}: reached, {} over", points(-over)),
    }
}
