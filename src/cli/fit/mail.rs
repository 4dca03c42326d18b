//! Labelled mail: judged now, or traces of what was judged before.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::Arguments;
use crate::cli::Failed;
use crate::cli::scan::envelope::{Envelope, Written};
use crate::cli::scan::messages::{Messages, Ticket};
use crate::cli::scan::{Basis, pool, progress, until_interrupted};
use crate::fit::Mail;
use crate::scoring::Symbol;
use crate::server::proxy::workers;
use crate::units::Percent;

/// Mail of one source and one kind.
#[derive(Clone)]
struct Place {
    path: PathBuf,
    /// Its name, if somebody gave it one.
    source: Option<Arc<str>>,
    is_spam: bool,
}

/// What is needed of a line of `scan --json`.
#[derive(Deserialize)]
struct Told {
    trace: ToldTrace,
}

#[derive(Deserialize)]
struct ToldTrace {
    lines: Vec<ToldLine>,
    accounts: Vec<ToldAccount>,
}

#[derive(Deserialize)]
struct ToldLine {
    findings: Vec<ToldFinding>,
}

#[derive(Deserialize)]
struct ToldFinding {
    symbol: String,
    strength: u8,
}

#[derive(Deserialize)]
struct ToldAccount {
    parts: Vec<ToldPart>,
}

#[derive(Deserialize)]
struct ToldPart {
    kind: String,
    name: String,
}

/// Judges all mail that `arguments` name, and adds it.
pub(super) async fn collect(arguments: &Arguments, basis: &Basis, mail: &mut Mail) -> Result<(), Failed> {
    let spam = arguments.spam.iter().map(|written| place(written, true));
    let places: Vec<Place> = spam.chain(arguments.ham.iter().map(|written| place(written, false))).collect();
    let (told, judged): (Vec<_>, Vec<_>) =
        places.into_iter().partition(|place| place.path.extension().is_some_and(|extension| extension == "jsonl"));
    for place in told {
        add_traces(&place, mail)?;
    }
    let envelopes = arguments.envelopes.as_deref().map(envelopes).transpose()?.unwrap_or_default();
    let envelopes = Arc::new(envelopes);
    let mut work = Vec::new();
    let mut files = 0;
    for place in judged {
        let messages = Messages::of(std::slice::from_ref(&place.path))?;
        files += messages.files();
        work.push((place, messages));
    }
    let work = work.into_iter().flat_map(|(place, messages)| messages.map(move |one| Ok((one?, place.clone()))));
    let examiner = Arc::new(basis.examiner()?);
    let judge = move |(ticket, place): (Ticket, Place)| {
        let (examiner, envelopes) = (examiner.clone(), envelopes.clone());
        async move {
            let item = ticket.read()?;
            let source = source(&place, &item.name);
            let file = Path::new(&item.name).file_name().map(|name| name.to_string_lossy().into_owned());
            let known = file.and_then(|name| envelopes.get(&name).cloned());
            let guess = known.is_none();
            let found = examiner.examine(item, known.unwrap_or_default(), guess).await.found();
            Ok((source, place.is_spam, found))
        }
    };
    let bar = progress(files);
    let tell = |(source, is_spam, found): (Arc<str>, bool, Vec<(Symbol, Percent)>)| {
        mail.add(&source, is_spam, found);
        bar.inc(1);
        Ok(())
    };
    let fail = |why: Failed| bar.suspend(|| drop(writeln!(std::io::stderr(), "{}", why.0)));
    let outcome = pool::run(work, workers().get(), until_interrupted(), judge, tell, fail).await;
    bar.finish_and_clear();
    match outcome? {
        pool::Outcome { interrupted: true, .. } => Err(Failed("interrupted".to_owned())),
        pool::Outcome { failed: 0, .. } => Ok(()),
        pool::Outcome { failed, .. } => Err(Failed(format!("{failed} messages could not be read"))),
    }
}

/// `NAME=PATH`, or a path.
fn place(written: &str, is_spam: bool) -> Place {
    let named = written.split_once('=').filter(|_| !Path::new(written).exists());
    match named {
        Some((name, path)) => Place { path: path.into(), source: Some(name.into()), is_spam },
        None => Place { path: written.into(), source: None, is_spam },
    }
}

/// The source of the message that was found as `name` in `place`: the directory that it lies in, just below.
fn source(place: &Place, name: &str) -> Arc<str> {
    if let Some(source) = &place.source {
        return source.clone();
    }
    let mut inside = Path::new(name).strip_prefix(&place.path).into_iter().flat_map(Path::components);
    let (first, second) = (inside.next(), inside.next());
    // The folders of one Maildir are one source.
    let below = first.filter(|first| second.is_some() && !["cur", "new"].iter().any(|name| first.as_os_str() == *name));
    let source = below.map_or_else(|| place.path.clone(), |below| place.path.join(below));
    source.display().to_string().into()
}

fn envelopes(path: &Path) -> Result<HashMap<String, Envelope>, Failed> {
    let mut envelopes = HashMap::new();
    for line in lines::<Written>(path)? {
        let line = line?;
        let name = line.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        envelopes.insert(name, Envelope::written(&line));
    }
    Ok(envelopes)
}

fn add_traces(place: &Place, mail: &mut Mail) -> Result<(), Failed> {
    let source = place.source.clone().unwrap_or_else(|| place.path.display().to_string().into());
    for line in lines::<Told>(&place.path)? {
        let Told { trace } = line?;
        let mut strengths: BTreeMap<&str, u8> = BTreeMap::new();
        for finding in trace.lines.iter().flat_map(|line| &line.findings) {
            let known = strengths.entry(&finding.symbol).or_default();
            *known = finding.strength.max(*known);
        }
        // The last account is of a recipient, if somebody's differs from the transaction's.
        let parts = trace.accounts.last().map(|account| &account.parts[..]).unwrap_or_default();
        let counted = parts.iter().filter(|part| part.kind != "cap").filter_map(|part| {
            let strength = strengths.get(&*part.name).map_or(Percent::FULL, |strength| Percent::new(*strength));
            Some((Symbol::new(&part.name).ok()?, strength))
        });
        mail.add(&source, place.is_spam, counted.collect::<Vec<_>>());
    }
    Ok(())
}

/// One value per line.
fn lines<T: for<'t> Deserialize<'t>>(path: &Path) -> Result<impl Iterator<Item = Result<T, Failed>>, Failed> {
    let shown = path.display().to_string();
    let file = File::open(path).map_err(|why| Failed(format!("{shown}: {why}")))?;
    let lines = BufReader::new(file)
        .lines()
        .enumerate()
        .filter(|(_, line)| !matches!(line, Ok(line) if line.trim().is_empty()));
    Ok(lines.map(move |(number, line)| {
        let about = |why: &dyn std::fmt::Display| Failed(format!("{shown}, line {}: {why}", number + 1));
        serde_json::from_str(&line.map_err(|why| about(&why))?).map_err(|why| about(&why))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_name_or_a_directory() {
        for (written, name, expected) in [
            ("here/spam", "here/spam/1.eml", "here/spam"),
            ("here/spam", "here/spam/list/1.eml", "here/spam/list"),
            ("here/spam", "here/spam/list/deep/1.eml", "here/spam/list"),
            ("here/spam", "here/spam/cur/1.eml", "here/spam"),
            ("here/mbox", "here/mbox#7", "here/mbox"),
            ("lists=here/spam", "here/spam/list/1.eml", "lists"),
        ] {
            assert_eq!(&*source(&place(written, true), name), expected, "{written} {name}");
        }
    }
}
