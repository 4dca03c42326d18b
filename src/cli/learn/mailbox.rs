//! The messages of files, mbox files and directories.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::Failed;
use crate::telemetry::admin::bulk::LARGEST_MESSAGE;

/// What an mbox file puts before each message.
const ENVELOPE: &[u8] = b"From ";

/// Who is told of each message, by what it is called.
pub(super) type Tell<'t> = dyn FnMut(&str, Vec<u8>) -> Result<(), Failed> + 't;

/// Tells of each message of a file, or of standard input: of an mbox file one by one.
pub(super) fn each(path: &Path, tell: &mut Tell<'_>) -> Result<(), Failed> {
    let named = |why: io::Error| Failed(format!("{}: {why}", path.display()));
    if path == Path::new("-") {
        return each_in(&mut io::stdin().lock(), "-", tell);
    }
    let file = File::open(path).map_err(named)?;
    each_in(&mut BufReader::new(file), &path.display().to_string(), tell)
}

/// Tells of each message; of what is too large for one the beginning.
fn each_in(text: &mut dyn BufRead, name: &str, tell: &mut Tell<'_>) -> Result<(), Failed> {
    let mut first = vec![0; ENVELOPE.len()];
    let mut read = 0;
    while read < first.len() {
        match text.read(first.get_mut(read..).unwrap_or_default())? {
            0 => break,
            some => read += some,
        }
    }
    first.truncate(read);
    if first != ENVELOPE {
        let mut message = first;
        text.take(LARGEST_MESSAGE as u64).read_to_end(&mut message)?;
        return tell(name, message);
    }
    let (mut number, mut message, mut after_blank) = (0, Vec::new(), false);
    let mut line = Vec::new();
    // The rest of the first line is the envelope's.
    text.read_until(b'\n', &mut line)?;
    loop {
        line.clear();
        let is_end = text.read_until(b'\n', &mut line)? == 0;
        if is_end || after_blank && line.starts_with(ENVELOPE) {
            number += 1;
            if !message.is_empty() {
                tell(&format!("{name}:{number}"), std::mem::take(&mut message))?;
            }
            if is_end {
                return Ok(());
            }
            continue;
        }
        after_blank = matches!(line.as_slice(), b"\n" | b"\r\n");
        // One `>` was put before each line that could be taken for an envelope.
        let quotes = line.iter().take_while(|octet| **octet == b'>').count();
        let is_quoted = quotes > 0 && line.get(quotes..).is_some_and(|rest| rest.starts_with(ENVELOPE));
        if message.len() < LARGEST_MESSAGE {
            message.extend_from_slice(line.get(usize::from(is_quoted)..).unwrap_or_default());
        }
    }
}

/// The files meant: of a Maildir those that are messages, of another directory those in it.
pub(super) fn files(written: &[PathBuf]) -> Result<Vec<PathBuf>, Failed> {
    let mut files = Vec::new();
    for path in written {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut found = Vec::new();
        let (read, unread) = (path.join("cur"), path.join("new"));
        // What else lies in a Maildir is the mail server's own: indexes, lists of numbers and flags.
        let directories = if read.is_dir() { vec![read, unread] } else { vec![path.clone()] };
        for directory in directories.iter().filter(|path| path.is_dir()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maildir_is_the_messages_in_it() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["dovecot-uidlist", "dovecot.index.log"] {
            fs::write(directory.path().join(name), "x").expect(name);
        }
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
    fn a_file_is_one_message_or_many() {
        for (file, messages) in [
            ("From: a\n\nb", vec![("x", "From: a\n\nb")]),
            ("Fr", vec![("x", "Fr")]),
            ("", vec![("x", "")]),
            ("From a@b Thu\nA: b\n\nc", vec![("x:1", "A: b\n\nc")]),
            (
                "From a@b Thu\nA: b\n\n>From c\n>>From d\n> From e\n\nFrom f\nA: g\n\nFrom h",
                vec![("x:1", "A: b\n\nFrom c\n>From d\n> From e\n\n"), ("x:2", "A: g\n\n")],
            ),
            ("From a\nA: b\nFrom c\n", vec![("x:1", "A: b\nFrom c\n")]),
            ("From ", vec![]),
        ] {
            let mut found = Vec::new();
            let told = each_in(&mut file.as_bytes(), "x", &mut |name, octets| {
                found.push((name.to_owned(), String::from_utf8(octets).expect("text")));
                Ok(())
            });
            assert!(told.is_ok(), "{file:?}");
            let found: Vec<_> = found.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            assert_eq!(found, messages, "{file:?}");
        }
    }
}
