//! `gatepost backtest`: recorded mail decided again by other rules, before they judge anybody.
//!
//! What was recorded is weighed and decided anew; nothing is looked up, nothing is remembered. So it says everything
//! about weights, composites, limits and clauses, and nothing about rules that look for something new: those want the
//! mail itself (`--on`).

mod judged;
mod rescan;
mod tally;

use std::collections::HashMap;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use super::Failed;
use super::recorded::{Place, moment};
use super::scan::{Basis, Judging};
use crate::checks::blocked;
use crate::config::{Config, Problems, Rules, last_good};
use crate::pipeline::{Replay, Ruleset};
use crate::records::{Archive, Filter, Found, Record, Rulebook};
use judged::Judged;
use tally::Mail;
pub(super) use tally::Tally;

/// Arguments of `backtest`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where records are.
    #[command(flatten)]
    pub place: Place,
    /// Decide by the rules of this directory. Default: those that the configuration names, as they are written now.
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
    /// Decide again what was recorded since then: 14d, 90m, 2026-11-20.
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = moment)]
    pub last: u64,
    /// Fail if more than so many mails would be rejected that were not.
    #[arg(long, value_name = "NUMBER")]
    pub max_new_rejects: Option<u64>,
    /// Fail if more than so many mails would be deferred that were accepted.
    #[arg(long, value_name = "NUMBER")]
    pub max_new_defers: Option<u64>,
    /// Judge this mail by both rule sets instead of what was recorded: files, mboxes, Maildirs, directories of these.
    /// The other rule set is the configured one; without --rules, the last that loaded, of which a copy lies beside
    /// the store.
    #[arg(long, value_name = "FILE|DIR")]
    pub on: Vec<PathBuf>,
    /// Print so many sender domains at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub top: usize,
    /// Print JSON, with every flip.
    #[arg(long)]
    pub json: bool,
}

/// Rules to decide by, for mail that comes and mail that leaves.
struct Rulings {
    incoming: Replay,
    outgoing: Option<Replay>,
}

/// Decides again, and prints what differs.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (basis, proposed) = {
        let _within = runtime.enter();
        let basis = Judging { config: arguments.place.configuration(), ..Judging::default() }.basis()?;
        let rules = proposed(arguments, &basis)?;
        let ruleset = basis.ruleset(&rules)?;
        (basis, Arc::new(ruleset))
    };
    let tally = if arguments.on.is_empty() {
        replayed(&mut arguments.place.open()?, arguments.last, &proposed)?
    } else {
        let then = {
            let _within = runtime.enter();
            Arc::new(basis.ruleset(&in_force(arguments, &basis)?)?)
        };
        runtime.block_on(rescan::rescanned(&arguments.on, &basis, then, proposed))?
    };
    let text = if arguments.json { tally.to_json()? } else { tally.to_text(arguments.top) };
    writeln!(out, "{}", text.trim_end())?;
    tally.within(arguments.max_new_rejects, arguments.max_new_defers).map_err(Failed)
}

/// What the mail that was recorded since then comes to by the rules of `config`.
///
/// # Errors
/// There are no records, or they cannot be read.
pub(super) fn of_configuration(config: &Config, place: &Place, since: u64) -> Result<Tally, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _within = runtime.enter();
    let basis = Basis::of(config.clone());
    let ruleset = Arc::new(basis.ruleset(&basis.rules)?);
    replayed(&mut place.open()?, since, &ruleset)
}

fn proposed(arguments: &Arguments, basis: &Basis) -> Result<Rules, Failed> {
    let Some(directory) = &arguments.rules else { return Ok(basis.rules.clone()) };
    let mut problems = Problems::default();
    let rules = Rules::of_directory(directory, &mut problems);
    let guarded = problems.guard(rules);
    guarded.map(|(rules, _warnings)| rules).map_err(|problems| Failed(problems.render(super::wants_colour())))
}

/// Beside which mail itself is judged. The configured rules are what is proposed if nothing else is: then the copy of
/// those that were loaded last.
fn in_force(arguments: &Arguments, basis: &Basis) -> Result<Rules, Failed> {
    if arguments.rules.is_some() {
        return Ok(basis.rules.clone());
    }
    let kept = arguments.place.config.as_deref().and_then(last_good::rules);
    let none = "there is nothing to compare the configured rules with: say --rules, or name a store, beside which the \
                proxy keeps a copy of the rules that it loaded last";
    kept.ok_or_else(|| Failed(none.to_owned()))
}

/// What the records since then come to by `ruleset`.
fn replayed(archive: &mut Archive, since: u64, ruleset: &Arc<Ruleset>) -> Result<Tally, Failed> {
    let rulings = Rulings {
        incoming: Replay::by_rules(ruleset.clone()),
        outgoing: ruleset.outgoing.clone().map(Replay::by_rules),
    };
    let mut tally = Tally::new(&ruleset.version);
    // Prepared for each rulebook once; there are as many as the rules were changed in that time.
    let mut books: HashMap<u64, Arc<Rulebook>> = HashMap::new();
    let filter = Filter { since: Some(since), ..Filter::default() };
    let mut records: Vec<Record> = Vec::new();
    let mut take = |records: &mut Vec<Record>, books: &HashMap<u64, Arc<Rulebook>>| {
        decide(&rulings, std::mem::take(records), books, &mut tally)
    };
    let mut failed = None;
    archive.each(&filter, |Found { record, book }| {
        if let Some(book) = book {
            books.entry(record.judgement.book).or_insert(book);
        }
        records.push(record);
        if records.len() >= TOGETHER
            && let Err(why) = take(&mut records, &books)
        {
            failed = Some(why);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    if let Some(why) = failed {
        return Err(why);
    }
    take(&mut records, &books)?;
    tally.unreadable += archive.unreadable as u64;
    Ok(tally)
}

/// Records that are decided together, so that each rulebook is prepared for seldom.
const TOGETHER: usize = 10_000;

fn decide(
    rulings: &Rulings,
    records: Vec<Record>,
    books: &HashMap<u64, Arc<Rulebook>>,
    tally: &mut Tally,
) -> Result<(), Failed> {
    let mut by_book: HashMap<(u64, bool), Vec<Record>> = HashMap::new();
    for record in records {
        by_book.entry((record.judgement.book, record.judgement.outgoing)).or_default().push(record);
    }
    for ((digest, outgoing), records) in by_book {
        let Some(book) = books.get(&digest) else {
            tally.unreadable += records.len() as u64;
            continue;
        };
        if book.roster.iter().all(|check| check.name == blocked::NAME) {
            // Of clients that nothing is asked about.
            tally.unjudged += records.len() as u64;
            continue;
        }
        let replay = rulings.outgoing.as_ref().filter(|_| outgoing).unwrap_or(&rulings.incoming);
        let prepared = replay.prepare(book).map_err(Failed)?;
        tally.strange(replay.unheard_of(book));
        tally.changed(replay.looks_otherwise(book));
        let then = Replay::by_book(book).map_err(Failed)?;
        let then = then.prepare(book).map_err(Failed)?;
        for record in records {
            let Some(was) = Judged::recorded(&record) else {
                tally.unjudged += 1;
                continue;
            };
            let again = prepared.decide(&record);
            let Some(now) = Judged::again(&record, &again) else { continue };
            tally.decided += 1;
            let changes = was.changes(&now);
            if changes.is_empty() {
                continue;
            }
            // A flip is the new rules' doing only if the old ones still say what they said.
            if !then.decide(&record).reproduces(&record) {
                tally.unreproducible += 1;
                continue;
            }
            let score = (record.judgement.score, again.score);
            tally.add(Mail { name: record.id.to_string(), domain: record.sender_domain(), changes, score });
        }
    }
    Ok(())
}
