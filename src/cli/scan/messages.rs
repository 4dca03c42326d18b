//! The messages meant: files, directories, Maildirs and mboxes, one after the other, never all in memory.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use memchr::memchr_iter;

use super::envelope::Envelope;
use crate::cli::Failed;
use crate::smtp::ReversePath;

/// Octets of one message that are looked at; the rest is counted.
const LARGEST: u64 = 64 << 20;

/// One message as it would arrive: lines end with CRLF.
#[derive(Clone)]
pub struct Item {
    /// The file, and behind a `#` which message of an mbox.
    pub name: String,
    /// Its first octets, 64 MiB at most.
    pub octets: Vec<u8>,
    /// All of them.
    pub len: u64,
    /// What its place tells of how it came.
    pub envelope: Envelope,
}

/// A message that is known, but for a file not read yet: so that files are read side by side.
pub enum Ticket {
    /// A file with one message.
    File(PathBuf),
    /// A message out of an mbox.
    Item(Box<Item>),
}

/// Hands out messages in order.
pub struct Messages {
    files: VecDeque<PathBuf>,
    mbox: Option<Mbox>,
}

struct Mbox {
    path: PathBuf,
    reader: BufReader<File>,
    /// Messages handed out.
    count: usize,
    /// The line that begins the next one.
    next: Option<Vec<u8>>,
}

impl Messages {
    /// Those of `paths`; `-` is one message on standard input.
    ///
    /// # Errors
    /// A path that is not there, a directory that cannot be read.
    pub fn of(paths: &[PathBuf]) -> Result<Self, Failed> {
        let mut files = VecDeque::new();
        for path in paths {
            if path == Path::new("-") || !fs::metadata(path).map_err(|why| about(path, &why))?.is_dir() {
                files.push_back(path.clone());
            } else {
                descend(path, &mut files)?;
            }
        }
        Ok(Self { files, mbox: None })
    }

    /// Files still to come.
    pub fn files(&self) -> usize {
        self.files.len()
    }
}

impl Iterator for Messages {
    type Item = Result<Ticket, Failed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(mbox) = &mut self.mbox {
                match mbox.read() {
                    Ok(Some(item)) => return Some(Ok(Ticket::Item(Box::new(item)))),
                    Ok(None) => self.mbox = None,
                    Err(why) => {
                        let failed = about(&mbox.path, &why);
                        self.mbox = None;
                        return Some(Err(failed));
                    }
                }
            }
            let path = self.files.pop_front()?;
            if path == Path::new("-") {
                return Some(Ok(Ticket::File(path)));
            }
            match Mbox::open(&path) {
                Ok(Some(mbox)) => self.mbox = Some(mbox),
                Ok(None) => return Some(Ok(Ticket::File(path))),
                Err(why) => return Some(Err(about(&path, &why))),
            }
        }
    }
}

impl Ticket {
    /// Reads what is not read yet.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(self) -> Result<Item, Failed> {
        match self {
            Self::Item(item) => Ok(*item),
            Self::File(path) => read(&path),
        }
    }
}

/// Reads the one message of a file.
///
/// # Errors
/// The file cannot be read.
pub fn read(path: &Path) -> Result<Item, Failed> {
    let mut octets = Vec::new();
    let rest = if path == Path::new("-") {
        let mut input = io::stdin().lock();
        input.by_ref().take(LARGEST).read_to_end(&mut octets)?;
        io::copy(&mut input, &mut io::sink())?
    } else {
        let mut file = File::open(path).map_err(|why| about(path, &why))?;
        let len = file.metadata().map_or(0, |found| found.len());
        // One octet more, so that the end is seen by the same read.
        octets.reserve_exact(usize::try_from(len.min(LARGEST)).unwrap_or_default() + 1);
        file.by_ref().take(LARGEST).read_to_end(&mut octets).map_err(|why| about(path, &why))?;
        len.saturating_sub(octets.len() as u64)
    };
    let mut envelope = Envelope::default();
    if let Some(line) = octets.strip_prefix(b"From ") {
        let end = memchr::memchr(b'\n', line).unwrap_or(line.len());
        envelope = sender(line.get(..end).unwrap_or_default());
        octets.drain(..(b"From ".len() + end + 1).min(octets.len()));
    }
    Ok(Item::new(path.display().to_string(), &octets, rest, envelope))
}

impl Item {
    /// A message whose lines end in whatever way, with `rest` octets more that nobody reads.
    pub fn new(name: String, octets: &[u8], rest: u64, envelope: Envelope) -> Self {
        let octets = with_crlf(octets);
        let len = octets.len() as u64 + rest;
        Self { name, octets, len, envelope }
    }
}

impl Mbox {
    /// `None` if the file does not begin as an mbox does.
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut reader = BufReader::with_capacity(64 << 10, File::open(path)?);
        if !reader.fill_buf()?.starts_with(b"From ") {
            return Ok(None);
        }
        let mut next = Vec::new();
        reader.read_until(b'\n', &mut next)?;
        Ok(Some(Self { path: path.to_owned(), reader, count: 0, next: Some(next) }))
    }

    /// The next message: up to the next line that begins with `From ` behind an empty one.
    fn read(&mut self) -> io::Result<Option<Item>> {
        let Some(first) = self.next.take() else { return Ok(None) };
        let (mut octets, mut rest, mut after_empty) = (Vec::new(), 0_u64, true);
        let mut line = Vec::new();
        while self.reader.by_ref().take(LARGEST).read_until(b'\n', &mut line)? > 0 {
            if after_empty && line.starts_with(b"From ") {
                self.next = Some(line);
                break;
            }
            after_empty = matches!(line.as_slice(), b"\n" | b"\r\n");
            if octets.len() as u64 + line.len() as u64 > LARGEST {
                rest += line.len() as u64;
            } else {
                octets.extend_from_slice(unquoted(&line));
            }
            line.clear();
        }
        self.count += 1;
        let name = format!("{}#{}", self.path.display(), self.count);
        let envelope = sender(first.strip_prefix(b"From ").unwrap_or_default());
        Ok(Some(Item::new(name, &octets, rest, envelope)))
    }
}

/// The line as it was before it was put into the mbox: `>From ` was `From `, and `>>From ` was `>From `.
fn unquoted(line: &[u8]) -> &[u8] {
    let bare = line.iter().position(|octet| *octet != b'>').and_then(|at| line.get(at..)).unwrap_or_default();
    if line.starts_with(b">") && bare.starts_with(b"From ") { line.get(1..).unwrap_or_default() } else { line }
}

/// What the line tells that begins a message in an mbox: `ADDRESS DATE`.
fn sender(line: &[u8]) -> Envelope {
    let word = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    let path = std::str::from_utf8(word).ok().and_then(|word| match word {
        "MAILER-DAEMON" | "<>" => Some(ReversePath::Null),
        address if address.contains('@') => ReversePath::parse(address).ok(),
        _ => None,
    });
    Envelope { reverse_path: path, ..Envelope::default() }
}

/// Every line end becomes CRLF, as it comes over SMTP.
fn with_crlf(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() + octets.len() / 32 + 2);
    let mut from = 0;
    for at in memchr_iter(b'\n', octets) {
        let line = octets.get(from..at).unwrap_or_default();
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.extend_from_slice(b"\r\n");
        from = at + 1;
    }
    out.extend_from_slice(octets.get(from..).unwrap_or_default());
    out
}

/// The files of a directory and of those in it. Of a Maildir those in `cur` and `new`, and its folders; what begins
/// with a dot is otherwise left out, and links to directories are not followed.
fn descend(directory: &Path, files: &mut VecDeque<PathBuf>) -> Result<(), Failed> {
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        let is_maildir = ["cur", "new"].iter().all(|name| directory.join(name).is_dir());
        let (mut here, mut below) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&directory).map_err(|why| about(&directory, &why))? {
            let entry = entry.map_err(|why| about(&directory, &why))?;
            let (name, kind) = (entry.file_name(), entry.file_type().map_err(|why| about(&entry.path(), &why))?);
            let name = name.to_string_lossy();
            let hidden = name.starts_with('.');
            match (is_maildir, kind.is_dir()) {
                (true, true) if hidden || name == "cur" || name == "new" => below.push(entry.path()),
                (false, true) if !hidden => below.push(entry.path()),
                (false, false) if !hidden && entry.path().is_file() => here.push(entry.path()),
                _ => {}
            }
        }
        here.sort();
        below.sort();
        files.extend(here);
        waiting.extend(below.into_iter().rev());
    }
    Ok(())
}

fn about(path: &Path, why: &io::Error) -> Failed {
    Failed(format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let messages = Messages::of(&[directory.to_owned()]).expect("readable");
        let inside = |name: String| name.trim_start_matches(&format!("{}/", directory.display())).to_owned();
        messages.map(|ticket| inside(ticket.and_then(Ticket::read).expect("readable").name)).collect()
    }

    #[test]
    fn directories_maildirs_and_mboxes_are_messages() {
        let place = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = place.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect(name);
            fs::write(path, text).expect(name);
        };
        write("b.eml", "A: b\n\nc\n");
        write(".hidden", "x");
        write("mail/cur/1:2,S", "A: b\n\nc\n");
        write("mail/new/2", "A: b\n\nc\n");
        write("mail/tmp/3", "A: b\n\nc\n");
        write("mail/dovecot-uidlist", "x");
        write("mail/.Spam/cur/4", "A: b\n\nc\n");
        fs::create_dir_all(place.path().join("mail/.Spam/new")).expect("new");
        write("sent", "From a@b.example Thu\nA: b\n\nc\nFrom c\n>From d\n\nFrom - Fri\nA: c\n\n");
        let expected = ["b.eml", "sent#1", "sent#2", "mail/.Spam/cur/4", "mail/cur/1:2,S", "mail/new/2"];
        assert_eq!(names(place.path()), expected);
    }

    #[test]
    fn a_message_out_of_an_mbox_is_what_was_put_into_it() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("mbox");
        fs::write(
            &path,
            "From a@b.example Thu\nA: b\n\nx\nFrom y\n>From z\n>>From z\n\nFrom MAILER-DAEMON Fri\nB: c\n",
        )
        .expect("written");
        let items: Vec<Item> = Messages::of(&[path])
            .expect("readable")
            .map(|ticket| ticket.and_then(Ticket::read).expect("readable"))
            .collect();
        let texts: Vec<_> = items.iter().map(|item| String::from_utf8_lossy(&item.octets).into_owned()).collect();
        assert_eq!(texts, ["A: b\r\n\r\nx\r\nFrom y\r\nFrom z\r\n>From z\r\n\r\n", "B: c\r\n"]);
        let paths: Vec<_> = items.iter().map(|item| item.envelope.reverse_path.clone()).collect();
        assert_eq!(paths, [ReversePath::parse("a@b.example").ok(), Some(ReversePath::Null)]);
    }

    #[test]
    fn lines_end_as_they_come_over_smtp() {
        for (given, expected) in [("", ""), ("a", "a"), ("a\nb\r\n\nc", "a\r\nb\r\n\r\nc"), ("\r\r\n", "\r\r\n")] {
            assert_eq!(String::from_utf8_lossy(&with_crlf(given.as_bytes())), expected);
        }
    }
}
