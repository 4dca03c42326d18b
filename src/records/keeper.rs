//! The segments of one directory as their only writer sees them: appended to, begun, removed when they are too old or
//! too many.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::index::{Entry, Kind};
use super::recovery::recover;
use super::segment::{self, Contents, MAGIC, Place};
use super::{Metrics, Record, Settings};
use crate::clock::doubt::{DOUBT, Doubt};

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
    /// Nothing is too old by a clock that has just leapt.
    doubt: Doubt,
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
    /// Records among those frames.
    waiting: u64,
    books: HashSet<u64>,
}

/// Why a record is not kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotKept {
    /// It alone: the next one may be.
    #[error("{0}")]
    Unfit(io::Error),
    /// No segment takes any.
    #[error("{0}")]
    Disk(#[from] io::Error),
}

impl Keeper {
    /// Takes a directory, which is made if what it is to lie in is there, and mends what a crash left.
    ///
    /// # Errors
    /// The disk; another process that writes there.
    pub(super) fn open(directory: &Path, settings: &Settings, metrics: Metrics, now: u64) -> io::Result<Self> {
        match DirBuilder::new().mode(PRIVATE_DIRECTORY).create(directory) {
            Err(_there) if directory.is_dir() => {}
            made => made?,
        }
        let lock = Place::append(&directory.join(LOCK))?;
        lock.try_lock().map_err(|why| io::Error::other(format!("{}: {why}", directory.display())))?;
        let places = Place::all(directory)?.into_iter();
        let mut keeper = Self {
            directory: directory.to_owned(),
            max_size: settings.max_size.0,
            max_age: settings.max_age,
            metrics,
            doubt: Doubt::new(now / 1000),
            _lock: lock,
            sealed: places.map(|place| (place.clone(), place.size())).collect(),
            active: None,
        };
        // First, because what is mended may need room.
        keeper.tidy(now);
        // Earlier ones were whole when the last one was begun.
        if let Some((last, size)) = keeper.sealed.pop() {
            keeper.resume(last, size);
        }
        keeper.tidy(now);
        Ok(keeper)
    }

    /// Goes on with the last segment. One that cannot be mended is left as it is, and another begun.
    fn resume(&mut self, place: Place, size: u64) {
        match recover(&place).and_then(|contents| contents.map(|known| Active::resumed(&place, known)).transpose()) {
            Ok(active) => self.active = active,
            Err(why) => {
                tracing::warn!(segment = %place.records().display(), %why, "records.not_mended");
                self.sealed.push((place, size));
            }
        }
    }

    /// Takes a record; [`Keeper::flush`] writes it. `book` is the text of its rulebook. Until then it is neither written
    /// nor lost; then it is counted as the one or the other.
    ///
    /// # Errors
    /// Nothing of it is then in the segment, and it is not counted.
    pub(super) fn append(&mut self, record: &Record, book: &[u8], now: u64) -> Result<(), NotKept> {
        let contents = serde_json::to_vec(record).map_err(|why| NotKept::Unfit(why.into()))?;
        let frame = segment::frame(Kind::Record, &contents).map_err(NotKept::Unfit)?;
        let book_frame = segment::frame(Kind::Rulebook, book).map_err(NotKept::Unfit)?;
        self.doubt.mind(now / 1000);
        if self.active.as_ref().is_none_or(|active| self.is_full(active, now)) {
            self.begin(now)?;
        }
        let active = self.active.as_mut().ok_or_else(|| io::Error::other("no segment"))?;
        if active.books.insert(record.judgement.book) {
            let entry = Entry::of_rulebook(record.judgement.book, active.end(), book.len() as u32);
            active.push(&book_frame, entry);
        }
        let entry = Entry::of_record(record, active.end(), contents.len() as u32);
        active.push(&frame, entry);
        active.waiting += 1;
        Ok(())
    }

    /// Writes what was taken.
    ///
    /// # Errors
    /// The disk. What had been taken is lost, and the segment is given up.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Some(active) = &mut self.active else { return Ok(()) };
        let flushed = active.flush();
        let waiting = std::mem::take(&mut active.waiting);
        let counted = if flushed.is_ok() { &self.metrics.written } else { &self.metrics.failed };
        counted.inc_by(waiting);
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
        self.doubt.mind(now / 1000);
        let age = u64::try_from(self.max_age.as_millis()).unwrap_or(u64::MAX);
        let longest = LONGEST_SEGMENT.as_millis() as u64;
        if let Some(ended) = self.active.take_if(|active| active.place.created.saturating_add(longest) < now) {
            let size = ended.end() + ended.indexed();
            self.sealed.push((ended.place, size));
        }
        let is_doubted = self.doubt.is_doubted(now / 1000);
        // Those that cannot be removed stay, and are tried again the next time.
        let mut stuck = 0;
        loop {
            let active = self.active.as_ref().map_or(0, |active| active.end() + active.indexed());
            let total = self.sealed.iter().map(|(_, size)| size).sum::<u64>() + active;
            let next = self.sealed.get(stuck + 1).map(|(place, _)| place.created);
            let next = next.or(self.active.as_ref().map(|active| active.place.created));
            let is_old = |place: &Place| {
                let ended = next.unwrap_or(place.created.saturating_add(longest));
                !is_doubted && ended.saturating_add(age) < now
            };
            let oldest = self.sealed.get(stuck).map(|(place, _)| place);
            let Some(oldest) = oldest.filter(|place| is_old(place) || total > self.max_size) else {
                self.measure(total);
                return;
            };
            match oldest.remove() {
                Ok(()) => {
                    self.metrics.removed.inc();
                    self.sealed.remove(stuck);
                }
                Err(why) => {
                    if stuck == 0 {
                        tracing::warn!(segment = %oldest.records().display(), %why, "records.not_removed");
                    }
                    stuck += 1;
                }
            }
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
        let lasted = now.saturating_sub(active.place.created);
        active.end() >= most || lasted >= longest || self.is_to_come(&active.place, now)
    }

    /// Named by a clock that was wrong, as far as we know by one that is right again.
    fn is_to_come(&self, place: &Place, now: u64) -> bool {
        place.created > now.saturating_add(DOUBT * 1000) && !self.doubt.is_doubted(now / 1000)
    }

    /// Gives sealed segments that were begun in the future names of now, in their order: otherwise they, and all that
    /// are begun after them, would not grow old before that time has come.
    fn bring_back(&mut self, now: u64) {
        let first = self.sealed.partition_point(|(place, _)| !self.is_to_come(place, now));
        let floor =
            first.checked_sub(1).and_then(|last| self.sealed.get(last)).map_or(0, |(place, _)| place.created + 1);
        let count = self.sealed.len().saturating_sub(first) as u64;
        let names = now.saturating_sub(count).max(floor)..;
        for ((place, _), created) in self.sealed.iter_mut().skip(first).zip(names) {
            match place.rename(created) {
                Ok(renamed) => *place = renamed,
                Err(why) => {
                    tracing::warn!(segment = %place.records().display(), %why, "records.not_renamed");
                    // Those behind it must stay behind it.
                    return;
                }
            }
        }
    }

    fn begin(&mut self, now: u64) -> io::Result<()> {
        self.flush()?;
        if let Some(full) = self.active.take() {
            let size = full.end() + full.indexed();
            // Who loses power loses the last segment at most.
            let synced = full.records.sync_data();
            self.sealed.push((full.place, size));
            synced?;
        }
        self.bring_back(now);
        // A clock that was set back must not bring the segments out of order.
        let after_last = self.sealed.last().map_or(0, |(last, _)| last.created + 1);
        let place = Place::new(&self.directory, after_last.max(now));
        let mut records = Place::append(&place.records())?;
        records.write_all(&MAGIC)?;
        let index = Place::append(&place.index())?;
        let (frames, entries, waiting, books) = Default::default();
        self.active = Some(Active { place, records, index, at: MAGIC.len() as u64, frames, entries, waiting, books });
        self.tidy(now);
        Ok(())
    }
}

impl Active {
    /// Goes on behind what is there.
    fn resumed(place: &Place, known: Contents) -> io::Result<Self> {
        let (records, index) = (Place::append(&place.records())?, Place::append(&place.index())?);
        let books = known.entries.iter().filter(|entry| entry.kind == Kind::Rulebook);
        let books = books.filter_map(|entry| u64::try_from(entry.client).ok()).collect();
        let (frames, entries, waiting) = Default::default();
        Ok(Self { place: place.clone(), records, index, at: known.sound, frames, entries, waiting, books })
    }

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
