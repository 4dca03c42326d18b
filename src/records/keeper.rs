//! The segments of one directory as their only writer sees them: appended to, begun, removed when they are too old or
//! too many.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::index::{Entry, Kind};
use super::segment::{self, MAGIC, Place};
use super::{Metrics, Record, Settings};

/// Who holds this is the one who writes.
const LOCK: &str = "lock";
const PRIVATE_DIRECTORY: u32 = 0o700;
/// A segment holds so much of all that is kept, at most; so removing one never takes much.
const PARTS: u64 = 16;
const SMALLEST_SEGMENT: u64 = 64 << 10;
const LARGEST_SEGMENT: u64 = 64 << 20;
/// A segment is begun so often at least, so that age can be measured by segments.
const LONGEST_SEGMENT: Duration = Duration::from_secs(86_400);

/// The writer's view of a directory.
pub(super) struct Keeper {
    directory: PathBuf,
    max_size: u64,
    max_age: Duration,
    metrics: Metrics,
    /// Held while we live.
    _lock: File,
    sealed: Vec<(Place, u64)>,
    active: Option<Active>,
}

/// The segment that is appended to.
struct Active {
    place: Place,
    records: File,
    index: File,
    /// Octets of the records on disk; frames and entries that wait come behind.
    at: u64,
    frames: Vec<u8>,
    entries: Vec<u8>,
    books: HashSet<u64>,
}

impl Keeper {
    /// Takes a directory, which is made if it is not there, and mends what a crash left.
    ///
    /// # Errors
    /// The disk; another process that writes there.
    pub(super) fn open(directory: &Path, settings: &Settings, metrics: Metrics, now: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(PRIVATE_DIRECTORY).create(directory)?;
        let lock = Place::append(&directory.join(LOCK))?;
        lock.try_lock().map_err(|why| io::Error::other(format!("{}: {why}", directory.display())))?;
        let mut keeper = Self {
            directory: directory.to_owned(),
            max_size: settings.max_size.0,
            max_age: settings.max_age,
            metrics,
            _lock: lock,
            sealed: Vec::new(),
            active: None,
        };
        let mut places = Place::all(directory)?;
        // Earlier ones were whole when the last one was begun.
        let last = places.pop();
        keeper.sealed = places.into_iter().map(|place| (place.clone(), place.size())).collect();
        if let Some(place) = last
            && let Some(contents) = place.recover()?
        {
            let records = Place::append(&place.records())?;
            let index = Place::append(&place.index())?;
            let books = contents.entries.iter().filter(|entry| entry.kind == Kind::Rulebook);
            let books = books.filter_map(|entry| u64::try_from(entry.client).ok()).collect();
            let (frames, entries) = Default::default();
            keeper.active = Some(Active { place, records, index, at: contents.sound, frames, entries, books });
        }
        keeper.tidy(now);
        Ok(keeper)
    }

    /// Takes a record; [`Keeper::flush`] writes it. `book` is the text of its rulebook.
    ///
    /// # Errors
    /// The disk; nothing of it is then in the segment.
    pub(super) fn append(&mut self, record: &Record, book: &[u8], now: u64) -> io::Result<()> {
        if self.active.as_ref().is_none_or(|active| self.is_full(active, now)) {
            self.begin(now)?;
        }
        let active = self.active.as_mut().ok_or_else(|| io::Error::other("no segment"))?;
        let contents = serde_json::to_vec(record)?;
        let frame = segment::frame(Kind::Record, &contents)?;
        if active.books.insert(record.judgement.book) {
            let entry = Entry::of_rulebook(record.judgement.book, active.end(), book.len() as u32);
            active.push(&segment::frame(Kind::Rulebook, book)?, entry);
        }
        let entry = Entry::of_record(record, active.end(), contents.len() as u32);
        active.push(&frame, entry);
        Ok(())
    }

    /// Writes what was taken.
    ///
    /// # Errors
    /// The disk. What had been taken is lost, and the segment is given up.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Some(active) = &mut self.active else { return Ok(()) };
        let flushed = active.flush();
        if flushed.is_err()
            && let Some(broken) = self.active.take()
        {
            // Half a frame at the end of it would hide those behind it.
            let _ = broken.records.set_len(broken.at);
            let size = broken.place.size();
            self.sealed.push((broken.place, size));
        }
        flushed
    }

    /// Removes what is too old, and the oldest of what is too much; measures the rest. Call it when all is written.
    pub(super) fn tidy(&mut self, now: u64) {
        let age = u64::try_from(self.max_age.as_millis()).unwrap_or(u64::MAX);
        let longest = LONGEST_SEGMENT.as_millis() as u64;
        if let Some(ended) = self.active.take_if(|active| active.place.created.saturating_add(longest) < now) {
            let size = ended.end() + ended.indexed();
            self.sealed.push((ended.place, size));
        }
        loop {
            let active = self.active.as_ref().map_or(0, |active| active.end() + active.indexed());
            let total = self.sealed.iter().map(|(_, size)| size).sum::<u64>() + active;
            let next = self.sealed.get(1).map(|(place, _)| place.created);
            let next = next.or(self.active.as_ref().map(|active| active.place.created));
            let ended = |place: &Place| next.unwrap_or(place.created.saturating_add(longest));
            let too_old = self.sealed.first().is_some_and(|(place, _)| ended(place).saturating_add(age) < now);
            let oldest = self.sealed.first().map(|(place, _)| place).filter(|_| too_old || total > self.max_size);
            let Some(oldest) = oldest else {
                self.measure(total);
                return;
            };
            if let Err(why) = oldest.remove() {
                tracing::warn!(segment = %oldest.records().display(), %why, "records.not_removed");
            }
            self.metrics.removed.inc();
            self.sealed.remove(0);
        }
    }

    fn measure(&self, total: u64) {
        let set = |gauge: &prometheus::IntGauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        let active = self.active.as_ref().map(|active| active.place.created);
        let oldest = self.sealed.first().map(|(place, _)| place.created).or(active);
        set(&self.metrics.bytes, total);
        set(&self.metrics.segments, (self.sealed.len() + usize::from(active.is_some())) as u64);
        set(&self.metrics.oldest, oldest.unwrap_or_default() / 1000);
    }

    fn is_full(&self, active: &Active, now: u64) -> bool {
        let most = (self.max_size / PARTS).clamp(SMALLEST_SEGMENT, LARGEST_SEGMENT);
        let longest = LONGEST_SEGMENT.min(self.max_age).as_millis() as u64;
        active.end() >= most || now.saturating_sub(active.place.created) >= longest
    }

    fn begin(&mut self, now: u64) -> io::Result<()> {
        self.flush()?;
        // A clock that was set back must not bring the segments out of order.
        let last = self.active.as_ref().map(|active| &active.place).or(self.sealed.last().map(|(place, _)| place));
        let after_last = last.map_or(0, |last| last.created + 1);
        if let Some(full) = self.active.take() {
            let size = full.end() + full.indexed();
            // Who loses power loses the last segment at most.
            full.records.sync_data()?;
            self.sealed.push((full.place, size));
        }
        let place = Place::new(&self.directory, after_last.max(now));
        let mut records = Place::append(&place.records())?;
        records.write_all(&MAGIC)?;
        let index = Place::append(&place.index())?;
        let (frames, entries, books) = Default::default();
        self.active = Some(Active { place, records, index, at: MAGIC.len() as u64, frames, entries, books });
        self.tidy(now);
        Ok(())
    }
}

impl Active {
    /// Where the next frame begins.
    fn end(&self) -> u64 {
        self.at + self.frames.len() as u64
    }

    /// Octets of the index on disk.
    fn indexed(&self) -> u64 {
        fs::metadata(self.place.index()).map_or(0, |metadata| metadata.len())
    }

    fn push(&mut self, frame: &[u8], entry: Entry) {
        self.frames.extend(frame);
        self.entries.extend(entry.to_octets());
    }

    fn flush(&mut self) -> io::Result<()> {
        self.records.write_all(&self.frames)?;
        self.at += self.frames.len() as u64;
        self.frames.clear();
        self.index.write_all(&self.entries)?;
        self.entries.clear();
        Ok(())
    }
}
