//! Files into the contents of a zone, line by line, and what to think of files that are not what they were.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::contents::{Contents, Index, List};
use super::hosts::HostsBuilder;
use super::list::{Fault, ListBuilder, fault};
use super::{Format, Settings, dnset, ip4, ip6};

/// All files of a zone together.
const LARGEST: u64 = 1 << 30;

/// No honest line is longer.
const LONGEST_LINE: usize = 4096;

/// So many broken lines are told apart; the others are counted.
const SHOWN: usize = 20;

/// A line that says nothing we understand; it is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u64,
    /// The column in octets, from 1.
    pub column: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// What there was in the files of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines that are neither empty nor a comment.
    pub lines: u64,
    /// Those of them that are left out.
    pub broken: u64,
    /// The first of these.
    pub shown: Vec<Broken>,
}

/// Why the files of a zone are not believed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read.
    #[error("{}: {why}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why not.
        why: io::Error,
    },
    /// More entries than a zone may have.
    #[error("more than {0} entries")]
    TooMany(usize),
    /// Perhaps half of it is written.
    #[error("a file changed while it was read")]
    Changed,
    /// A list that is suddenly empty was cut off by accident.
    #[error("it is empty, and it was not before")]
    Empty,
    /// Another format, or damage.
    #[error("{broken} of {lines} lines cannot be read")]
    Broken {
        /// Lines left out.
        broken: u64,
        /// All of them.
        lines: u64,
    },
}

/// What tells a file from what it was before: number, size, and the time of its last change of any kind.
pub(super) type Print = (u64, u64, i64, i64);

impl Refusal {
    /// True if it says nothing about what is in the files: the same ones may be read a moment later. A file that
    /// is not there is seen as soon as it is.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreadable { why, .. } => why.kind() != io::ErrorKind::NotFound,
            Self::Changed => true,
            Self::TooMany(_) | Self::Empty | Self::Broken { .. } => false,
        }
    }
}

/// Of each file; `None` if it cannot be seen.
pub(super) type Prints = Vec<Option<Print>>;

/// Reads the files of one zone.
#[derive(Debug)]
pub struct Reader {
    builder: Builder,
    report: Report,
    /// Octets that may still come.
    room: u64,
    most: usize,
}

#[derive(Debug)]
enum Builder {
    Ip4Set(ListBuilder<ip4::Set>),
    Ip4Trie(ListBuilder<ip4::Trie>),
    Ip6Trie(ListBuilder<ip6::Trie>),
    DnSet(ListBuilder<dnset::Set>),
    Hosts(HostsBuilder),
}

/// Reads all files of a zone as `settings` say; blocks.
///
/// # Errors
/// Why the files are not believed.
pub fn read(settings: &Settings) -> Result<(Contents, Report), Refusal> {
    read_again(settings, None)
}

/// Reads all files of a zone as `settings` say. `before` is how many entries there are now, if the zone is
/// loaded: then what looks like an accident is refused.
///
/// # Errors
/// Why the files are not believed; whoever has older contents keeps them.
pub(super) fn read_again(settings: &Settings, before: Option<usize>) -> Result<(Contents, Report), Refusal> {
    let first_look = prints(settings);
    let mut reader = Reader::new(settings.format, &settings.name, settings.max_entries);
    for file in &settings.files {
        let unreadable = |why| Refusal::Unreadable { file: file.clone(), why };
        let opened = File::open(file).map_err(unreadable)?;
        reader.read(&file.display().to_string(), &mut BufReader::with_capacity(1 << 16, opened)).map_err(unreadable)?;
        if reader.is_full() {
            return Err(Refusal::TooMany(settings.max_entries));
        }
    }
    if prints(settings) != first_look {
        return Err(Refusal::Changed);
    }
    let (contents, report) = reader.finish();
    match judge(&report, contents.entries(), before) {
        Some(refusal) => Err(refusal),
        None => Ok((contents, report)),
    }
}

/// What speaks against a file: a zone that is loaded is not given up for one that is mostly damage. Without
/// one the better half is better than nothing.
fn judge(report: &Report, entries: usize, before: Option<usize>) -> Option<Refusal> {
    let tolerated = if before.is_some() { report.lines / 10 } else { report.lines / 2 };
    if report.broken > tolerated {
        return Some(Refusal::Broken { broken: report.broken, lines: report.lines });
    }
    (entries == 0 && before.is_some_and(|before| before > 0)).then_some(Refusal::Empty)
}

/// How the files look now.
pub(super) fn prints(settings: &Settings) -> Prints {
    let print = |file| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.ino(), metadata.size(), metadata.ctime(), metadata.ctime_nsec()))
    };
    settings.files.iter().map(print).collect()
}

impl Reader {
    /// For files of one format, with at most so many entries together.
    pub fn new(format: Format, zone: &str, max_entries: usize) -> Self {
        let builder = match format {
            Format::Ip4Set => Builder::Ip4Set(ListBuilder::default()),
            Format::Ip4Trie => Builder::Ip4Trie(ListBuilder::default()),
            Format::Ip6Trie => Builder::Ip6Trie(ListBuilder::default()),
            Format::DnSet => Builder::DnSet(ListBuilder::default()),
            Format::Hosts => Builder::Hosts(HostsBuilder::new(zone.into())),
        };
        Self { builder, report: Report::default(), room: LARGEST, most: max_entries }
    }

    /// Reads one file, up to its end or until the reader is full.
    ///
    /// # Errors
    /// Those of `input`, and if it is too large.
    pub fn read(&mut self, file: &str, input: &mut dyn BufRead) -> io::Result<()> {
        let file: Arc<str> = file.into();
        self.builder.begin_file();
        let (mut number, mut line) = (0, Vec::with_capacity(256));
        while let Some(length) = read_line(input, &mut line)? {
            number += 1;
            self.room = self
                .room
                .checked_sub(length)
                .ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, "a zone of more than 1 GiB is a mistake"))?;
            let text = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) } else { &line };
            self.line(text, &file, number);
            if self.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// True if there are more entries than there may be.
    pub fn is_full(&self) -> bool {
        self.builder.held() > self.most
    }

    fn line(&mut self, line: &[u8], file: &Arc<str>, number: u64) {
        let silent = matches!(line.trim_ascii_start(), [] | [b'#' | b';', ..]);
        self.report.lines += u64::from(!silent);
        let taken = match line.get(..LONGEST_LINE + 1) {
            None => self.builder.line(line),
            Some(_) => fault(LONGEST_LINE, format!("is longer than {LONGEST_LINE} octets")),
        };
        let Err(Fault { at, reason }) = taken else { return };
        // A directive can be broken within a comment, too.
        self.report.lines += u64::from(silent);
        self.report.broken += 1;
        if self.report.shown.len() < SHOWN {
            self.report.shown.push(Broken { file: file.clone(), line: number, column: at + 1, reason });
        }
    }

    /// What was read, ready to be asked.
    pub fn finish(self) -> (Contents, Report) {
        (self.builder.finish(), self.report)
    }
}

/// The next line without its end, cut off a little beyond the longest; its length in the file.
fn read_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Option<u64>> {
    line.clear();
    let mut length = 0;
    loop {
        let octets = match input.fill_buf() {
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = memchr::memchr(b'\n', octets);
        let taken = octets.get(..end.unwrap_or(octets.len())).unwrap_or_default();
        let kept = taken.len().min((LONGEST_LINE + 1).saturating_sub(line.len()));
        line.extend_from_slice(taken.get(..kept).unwrap_or_default());
        let used = taken.len() + usize::from(end.is_some());
        input.consume(used);
        length += used as u64;
        if end.is_some() || used == 0 {
            return Ok((length > 0).then_some(length));
        }
    }
}

impl Builder {
    fn begin_file(&mut self) {
        match self {
            Self::Ip4Set(list) => list.begin_file(),
            Self::Ip4Trie(list) => list.begin_file(),
            Self::Ip6Trie(list) => list.begin_file(),
            Self::DnSet(list) => list.begin_file(),
            Self::Hosts(_) => {}
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        match self {
            Self::Ip4Set(list) => list.line(line),
            Self::Ip4Trie(list) => list.line(line),
            Self::Ip6Trie(list) => list.line(line),
            Self::DnSet(list) => list.line(line),
            Self::Hosts(hosts) => hosts.line(line),
        }
    }

    fn held(&self) -> usize {
        match self {
            Self::Ip4Set(list) => list.count,
            Self::Ip4Trie(list) => list.count,
            Self::Ip6Trie(list) => list.count,
            Self::DnSet(list) => list.count,
            Self::Hosts(hosts) => hosts.held(),
        }
    }

    fn finish(self) -> Contents {
        match self {
            Self::Ip4Set(list) => listed(list, |entries, interner| Index::Ip4(entries.finish(interner))),
            Self::Ip4Trie(list) => listed(list, |entries, interner| Index::Ip4(entries.finish(interner))),
            Self::Ip6Trie(list) => listed(list, |entries, interner| Index::Ip6(entries.finish(interner))),
            Self::DnSet(list) => listed(list, |entries, interner| Index::Names(entries.finish(interner))),
            Self::Hosts(hosts) => {
                let entries = hosts.count;
                Contents::of_hosts(hosts.finish(), entries)
            }
        }
    }
}

fn listed<E>(list: ListBuilder<E>, index: impl FnOnce(E, &mut super::value::Interner) -> Index) -> Contents {
    let ListBuilder { entries, mut interner, ttl, count, .. } = list;
    let index = index(entries, &mut interner);
    Contents::of_list(List::new(index, interner.finish(), ttl), count)
}

/// `file:line:column: reason`: what editors jump to.
impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_line_feeds_and_long_ones_are_cut() {
        let long = "x".repeat(3 * LONGEST_LINE);
        let text = format!("a\r\n\n{long}\nlast");
        for capacity in [1, 7, 1 << 16] {
            let mut input = BufReader::with_capacity(capacity, text.as_bytes());
            let (mut line, mut lines, mut total) = (Vec::new(), Vec::new(), 0);
            while let Some(length) = read_line(&mut input, &mut line).expect("memory") {
                lines.push(line.len());
                total += length;
            }
            assert_eq!(lines, [2, 0, LONGEST_LINE + 1, 4], "{capacity}");
            assert_eq!(total, text.len() as u64);
        }
    }

    #[test]
    fn accidents_are_refused_where_there_is_something_to_keep() {
        for (lines, broken, entries, before, refused) in [
            (100, 0, 100, None, false),
            (100, 10, 90, Some(100), false),
            (100, 11, 89, Some(100), true),
            (100, 50, 50, None, false),
            (100, 51, 49, None, true),
            (0, 0, 0, None, false),
            (0, 0, 0, Some(0), false),
            (0, 0, 0, Some(1), true),
            (1, 1, 0, None, true),
            (5, 1, 4, Some(5), true),
        ] {
            let report = Report { lines, broken, shown: Vec::new() };
            let judged = judge(&report, entries, before);
            assert_eq!(judged.is_some(), refused, "{lines} {broken} {entries} {before:?}");
        }
    }
}
