//! `gatepost log`: what became of mail, from the records; those that fit, the latest last.

use std::collections::VecDeque;
use std::io::Write;
use std::ops::ControlFlow;
use std::time::Duration;

use ipnet::IpNet;

use super::Failed;
use super::recorded::{Place, clock_time, moment, plain, points};
use crate::records::{Filter, Found, Record, TransactionId, Whose};
use crate::units::CidrSet;
use crate::verdict::Verdict;

/// How often somebody who follows looks for more.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// Records that may have come while others were printed.
const MOST_PRINTED: usize = 10_000;
/// Symbols that a line shows.
const SHOWN_SYMBOLS: usize = 6;

/// Arguments of `log`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where records are.
    #[command(flatten)]
    pub place: Place,
    /// Which are wanted.
    #[command(flatten)]
    pub wanted: Wanted,
    /// Print so many at most, the latest; 0: all.
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 100)]
    pub limit: usize,
    /// Go on and print what comes.
    #[arg(long, short)]
    pub follow: bool,
    /// Print a line of JSON per record, with all that is in it.
    #[arg(long)]
    pub json: bool,
}

/// What wanted records have in common: all that is given.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Wanted {
    /// From this client, or network.
    #[arg(long, value_name = "ADDRESS|NETWORK", value_parser = CidrSet::parse_network)]
    pub client: Option<IpNet>,
    /// From this sender: user@example.org, example.org, .example.org (all names below it), or <>.
    #[arg(long, value_name = "ADDRESS|DOMAIN")]
    pub from: Option<String>,
    /// By an author of this domain, as the From field has it.
    #[arg(long, value_name = "DOMAIN")]
    pub author: Option<String>,
    /// To this recipient, accepted or refused; written as with --from.
    #[arg(long, value_name = "ADDRESS|DOMAIN")]
    pub to: Option<String>,
    /// With this verdict.
    #[arg(long, value_name = "VERDICT", value_parser = ["forward", "defer", "reject"])]
    pub verdict: Option<String>,
    /// With this end, such as forwarded, rejected, deferred, abandoned, rejected_by_backend.
    #[arg(long, value_name = "END")]
    pub end: Option<String>,
    /// With this symbol, whether it counted or not; several: with all of them.
    #[arg(long, value_name = "SYMBOL")]
    pub symbol: Vec<String>,
    /// With so many points or more.
    #[arg(long, value_name = "POINTS", allow_negative_numbers = true)]
    pub score: Option<f64>,
    /// Which what is only in shadow would have decided otherwise.
    #[arg(long)]
    pub shadow: bool,
    /// Begun since then: 90m, 14d, 2026-11-20, 2026-11-20T14:30.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<u64>,
    /// Begun before then; written as with --since.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<u64>,
}

impl Wanted {
    pub(super) fn filter(&self) -> Result<Filter, Failed> {
        let verdict = self.verdict.as_deref().map(|word| match word {
            "reject" => Verdict::Reject,
            "defer" => Verdict::Defer,
            _ => Verdict::Forward,
        });
        let score = self.score.map(crate::scoring::Score::from_points).transpose().map_err(Failed)?;
        Ok(Filter {
            since: self.since,
            until: self.until,
            client: self.client,
            from: self.from.as_deref().map(Whose::of),
            author: self.author.clone(),
            to: self.to.as_deref().map(Whose::of),
            verdict,
            end: self.end.clone(),
            symbols: self.symbol.clone(),
            at_least: score.map(crate::scoring::Score::get),
            shadow: self.shadow,
        })
    }
}

/// Prints records.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let filter = arguments.wanted.filter()?;
    let mut archive = arguments.place.open()?;
    let mut mark = archive.end()?;
    let mut printed = Printed::default();
    if arguments.limit == 0 {
        let mut failed = None;
        archive.each(&filter, |found| match print(arguments, &found, out) {
            Ok(()) => {
                printed.push(found.record.id);
                ControlFlow::Continue(())
            }
            Err(why) => {
                failed = Some(why);
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(()), Err)?;
    } else {
        for found in &archive.latest(&filter, arguments.limit)? {
            print(arguments, found, out)?;
            printed.push(found.record.id);
        }
    }
    out.flush()?;
    if archive.unreadable > 0 {
        writeln!(std::io::stderr(), "{} records could not be read", archive.unreadable)?;
    }
    if !arguments.follow {
        return Ok(());
    }
    loop {
        let news = archive.news(&mut mark, &filter)?;
        for found in news.iter().filter(|found| !printed.0.contains(&found.record.id)) {
            print(arguments, found, out)?;
        }
        printed.0.clear();
        if news.is_empty() {
            std::thread::sleep(LOOK_INTERVAL);
        } else {
            out.flush()?;
        }
    }
}

/// The last ids that were printed: among them is what came after the mark was set, and before it was read.
#[derive(Default)]
struct Printed(VecDeque<TransactionId>);

impl Printed {
    fn push(&mut self, id: TransactionId) {
        if self.0.len() >= MOST_PRINTED {
            self.0.pop_front();
        }
        self.0.push_back(id);
    }
}

fn print(arguments: &Arguments, found: &Found, out: &mut dyn Write) -> Result<(), Failed> {
    match (&found.book, arguments.json) {
        (_, false) => writeln!(out, "{}", line(&found.record))?,
        (Some(book), true) => writeln!(out, "{}", book.tell(&found.record))?,
        (None, true) => writeln!(out, "{}", serde_json::to_string(&found.record)?)?,
    }
    Ok(())
}

/// One record in one line.
pub(super) fn line(record: &Record) -> String {
    let client = &record.client;
    let name = client.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let verdict = record.fate.verdict.map_or("-", Verdict::as_str);
    let mut words = vec![
        clock_time(record.id.millis()),
        record.id.to_string(),
        format!("{verdict:<7}"),
        format!("{:>6}", points(record.judgement.score)),
        format!("{}{name}", client.addr),
    ];
    words.extend(client.hop.map(|hop| format!("through={hop}")));
    if let Some(envelope) = &record.envelope {
        words.push(format!("from=<{}>", envelope.reverse_path));
    }
    let mut paths = record.forward_paths();
    if let Some(first) = paths.next() {
        let others = paths.count();
        let more = if others > 0 { format!("+{others}") } else { String::new() };
        words.push(format!("to=<{first}>{more}"));
    }
    words.push(record.fate.end.to_string());
    words.extend(record.clause().map(|clause| format!("clause={clause}")));
    words.extend(record.shadow().map(|verdict| format!("shadow={verdict}")));
    let symbols: Vec<String> = record
        .judgement
        .symbols
        .iter()
        .filter(|(_, score)| *score != 0)
        .take(SHOWN_SYMBOLS)
        .map(|(symbol, score)| format!("{symbol}={}", points(*score)))
        .collect();
    words.push(symbols.join(","));
    words.extend(record.message.as_ref().and_then(|message| message.subject.clone()));
    plain(words.join(" ").trim_end())
}
