//! `gatepost learn`: tells the running proxy of which campaigns messages are unwanted, and of which not.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::Failed;
use super::ask::{Common, Request};
use crate::telemetry::admin::bulk::{Entry, LARGEST_MESSAGE, Lesson};

/// Arguments of `learn`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What the messages are.
    #[arg(value_enum, value_name = "spam|ham")]
    pub what: What,
    /// Files with one message each, directories of such (a Maildir too), or `-` for one on standard input.
    #[arg(value_name = "FILE", required = true)]
    pub messages: Vec<PathBuf>,
    /// How to ask, and how to print.
    #[command(flatten)]
    pub common: Common,
}

/// What messages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Unwanted.
    Spam,
    /// Wanted.
    Ham,
}

/// Tells the running proxy, and prints the campaign of each message.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let mut failures = 0;
    for path in files(&arguments.messages)? {
        match teach(arguments, &path) {
            Ok(entries) if arguments.common.json => writeln!(out, "{}", serde_json::to_string(&entries)?)?,
            Ok(entries) => entries.iter().try_for_each(|entry| writeln!(out, "{}", line(&path, entry)))?,
            // The others may still be learned.
            Err(Failed(why)) => {
                failures += 1;
                writeln!(out, "{}: {why}", path.display())?;
            }
        }
    }
    match failures {
        0 => Ok(()),
        some => Err(Failed(format!("{some} messages were not learned"))),
    }
}

fn teach(arguments: &Arguments, path: &Path) -> Result<Vec<Entry>, Failed> {
    let mut octets = Vec::new();
    let read = match path == Path::new("-") {
        true => io::stdin().take(LARGEST_MESSAGE as u64).read_to_end(&mut octets),
        false => fs::File::open(path).and_then(|file| file.take(LARGEST_MESSAGE as u64).read_to_end(&mut octets)),
    };
    read?;
    let lesson = Lesson::new(arguments.what == What::Spam, without_envelope(&octets));
    arguments.common.ask(&Request::post("/learn".to_owned(), serde_json::to_string(&lesson)?))
}

/// Without the line that mbox files put before a message.
fn without_envelope(octets: &[u8]) -> &[u8] {
    match octets.starts_with(b"From ") {
        true => octets.splitn(2, |octet| *octet == b'\n').nth(1).unwrap_or_default(),
        false => octets,
    }
}

/// The files meant: of a directory those in it, and in the folders of a Maildir.
fn files(written: &[PathBuf]) -> Result<Vec<PathBuf>, Failed> {
    let mut files = Vec::new();
    for path in written {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut found = Vec::new();
        for directory in [path.clone(), path.join("cur"), path.join("new")].iter().filter(|path| path.is_dir()) {
            for entry in fs::read_dir(directory).map_err(|why| Failed(format!("{}: {why}", directory.display())))? {
                found.push(entry?.path());
            }
        }
        found.retain(|path| path.is_file());
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

fn line(path: &Path, entry: &Entry) -> String {
    let Entry { id, volume, networks, spam, ham, .. } = entry;
    let found = match (entry.by_attachment, volume + u64::from(spam + ham)) {
        (_, 1) => "new".to_owned(),
        (true, _) => "by an attachment".to_owned(),
        (false, _) => format!("{:.0} % alike", entry.similarity),
    };
    let path = path.display();
    format!("{path}: campaign {id} ({found}): {volume} copies, {networks} networks, spam {spam}, ham {ham}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maildir_is_the_messages_in_it() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["cur", "new", "tmp"] {
            fs::create_dir(directory.path().join(name)).expect(name);
            fs::write(directory.path().join(name).join(format!("1.{name}")), "x").expect(name);
        }
        let found = files(&[directory.path().to_owned(), "-".into()]).expect("readable");
        let names: Vec<_> =
            found.iter().map(|path| path.file_name().map_or("-", |name| name.to_str().expect("ours"))).collect();
        assert_eq!(names, ["1.cur", "1.new", "-"]);
    }

    #[test]
    fn the_envelope_of_an_mbox_is_no_part_of_the_message() {
        for (file, message) in
            [("From a@b Thu\nA: b\n\nc", "A: b\n\nc"), ("From: a\n\nb", "From: a\n\nb"), ("From ", "")]
        {
            assert_eq!(without_envelope(file.as_bytes()), message.as_bytes());
        }
    }
}
