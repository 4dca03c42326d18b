//! Records as lines of JSON, on standard output or at the end of a file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::segment::Place;
use super::{Json, Record, Rulebook};

/// How often somebody who renames the file is noticed.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Writes lines.
pub(super) struct Output {
    to: Json,
    lines: Vec<u8>,
    file: Option<(File, Instant)>,
}

impl Output {
    pub(super) fn new(to: Json) -> Self {
        Self { to, lines: Vec::new(), file: None }
    }

    pub(super) fn take(&mut self, record: &Record, book: &Rulebook) {
        if self.to != Json::Off {
            serde_json::to_writer(&mut self.lines, &book.tell(record)).expect("plain values into memory");
            self.lines.push(b'\n');
        }
    }

    /// Writes what has been taken.
    ///
    /// # Errors
    /// All of it is lost.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let lines = std::mem::take(&mut self.lines);
        match &self.to {
            Json::Off => Ok(()),
            Json::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(&lines).and_then(|()| out.flush())
            }
            Json::File(path) => {
                let path = path.clone();
                let written = self.opened(&path).and_then(|file| append(file, &lines));
                if written.is_err() {
                    self.file = None;
                }
                written
            }
        }
    }

    fn opened(&mut self, path: &Path) -> io::Result<&mut File> {
        let known = self.file.take().filter(|(file, looked)| {
            looked.elapsed() < LOOK_INTERVAL
                || matches!((file.metadata(), fs::metadata(path)), (Ok(ours), Ok(theirs)) if ours.ino() == theirs.ino())
        });
        let known = match known {
            Some((file, looked)) if looked.elapsed() < LOOK_INTERVAL => (file, looked),
            Some((file, _)) => (file, Instant::now()),
            None => (Place::append(path)?, Instant::now()),
        };
        Ok(&mut self.file.insert(known).0)
    }
}

/// All of it or nothing: half a line at the end would spoil the one behind it.
fn append(file: &mut File, lines: &[u8]) -> io::Result<()> {
    let before = file.metadata()?;
    let written = file.write_all(lines);
    if written.is_err() && before.is_file() {
        let _ = file.set_len(before.len());
    }
    written
}
