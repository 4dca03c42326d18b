//! Reads records where they lie, whether a proxy writes there or not.
//!
//! Finds by index: of a million records it reads a hundred octets each, and of those that fit the rest. What cannot be
//! read (damage; a segment that was removed meanwhile) is passed over and counted.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::filter::{Filter, Sieve};
use super::id::TransactionId;
use super::index::{Entry, Kind, LENGTH};
use super::record::Record;
use super::rulebook::Rulebook;
use super::segment::{self, Place};
use super::sift;

/// A transaction's record is written when it ends: no transaction lasts longer than this.
const LONGEST_TRANSACTION_MILLIS: u64 = 86_400_000;
/// Rulebooks that are kept in memory while reading.
const MOST_BOOKS: usize = 64;

/// The records in one directory.
pub struct Archive {
    directory: PathBuf,
    books: HashMap<u64, Arc<Rulebook>>,
    /// Frames that could not be read.
    pub unreadable: usize,
}

/// A record with the rules by which it was judged.
#[derive(Clone, Debug)]
pub struct Found {
    /// The record.
    pub record: Record,
    /// `None`: lost, or damaged.
    pub book: Option<Arc<Rulebook>>,
}

/// How far somebody who follows has read.
#[derive(Clone, Debug, Default)]
pub struct Bookmark {
    created: u64,
    entries: u64,
}

/// An open segment.
struct Open {
    file: File,
    entries: Vec<Entry>,
}

impl Archive {
    /// The records in `directory`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(directory: &Path) -> io::Result<Self> {
        Place::all(directory)?;
        Ok(Self { directory: directory.to_owned(), books: HashMap::new(), unreadable: 0 })
    }

    /// The record of that name.
    ///
    /// # Errors
    /// The directory.
    pub fn find(&mut self, id: TransactionId) -> io::Result<Option<Found>> {
        let places = Place::all(&self.directory)?;
        // It was written after it began: into the segment of that time, or a later one.
        let first = places.partition_point(|place| place.created <= id.millis()).saturating_sub(1);
        let (before, after) = places.split_at(first);
        for place in after.iter().chain(before.iter().rev()) {
            let Some(open) = self.open_segment(place) else { continue };
            let found = open.entries.iter().rfind(|entry| entry.kind == Kind::Record && entry.id == id).copied();
            if let Some(found) = found.and_then(|entry| self.read(&open, &entry)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The latest `most` records that fit, in the order in which they ended.
    ///
    /// # Errors
    /// The directory.
    pub fn latest(&mut self, filter: &Filter, most: usize) -> io::Result<Vec<Found>> {
        let places = self.in_time(filter)?;
        let sieve = filter.sieve();
        let mut found = Vec::new();
        for place in places.iter().rev() {
            if found.len() >= most {
                break;
            }
            let Some(open) = self.sift(place, &sieve) else { continue };
            for entry in open.entries.iter().rev().filter(|entry| entry.kind == Kind::Record) {
                if found.len() >= most {
                    break;
                }
                found.extend(self.read(&open, entry).filter(|found| filter.holds(&found.record)));
            }
        }
        found.reverse();
        Ok(found)
    }

    /// Shows every record that fits, in the order in which they ended, until `take` has enough.
    ///
    /// # Errors
    /// The directory.
    pub fn each(&mut self, filter: &Filter, mut take: impl FnMut(Found) -> ControlFlow<()>) -> io::Result<()> {
        let sieve = filter.sieve();
        for place in self.in_time(filter)? {
            let Some(open) = self.sift(&place, &sieve) else { continue };
            for entry in open.entries.iter().filter(|entry| entry.kind == Kind::Record) {
                let found = self.read(&open, entry).filter(|found| filter.holds(&found.record));
                if found.is_some_and(|found| take(found).is_break()) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The end as it is now: what comes behind it is new.
    ///
    /// # Errors
    /// The directory.
    pub fn end(&self) -> io::Result<Bookmark> {
        let Some(last) = Place::all(&self.directory)?.pop() else { return Ok(Bookmark::default()) };
        let entries = std::fs::metadata(last.index()).map_or(0, |metadata| metadata.len() / LENGTH as u64);
        Ok(Bookmark { created: last.created, entries })
    }

    /// What has come since, and fits.
    ///
    /// # Errors
    /// The directory.
    pub fn news(&mut self, since: &mut Bookmark, filter: &Filter) -> io::Result<Vec<Found>> {
        let sieve = filter.sieve();
        let mut news = Vec::new();
        let places = Place::all(&self.directory)?;
        if let Some(last) = places.last().filter(|last| last.created < since.created) {
            // What was named by a clock that was ahead has got another name, and another segment was begun.
            *since = Bookmark { created: last.created, entries: 0 };
        }
        for place in places {
            if place.created < since.created {
                continue;
            }
            if place.created > since.created {
                *since = Bookmark { created: place.created, entries: 0 };
            }
            let (Ok(file), Ok(index)) = (File::open(place.records()), File::open(place.index())) else { continue };
            let from = since.entries * LENGTH as u64;
            let new = index.metadata()?.len().saturating_sub(from);
            let mut octets = vec![0; usize::try_from(new).unwrap_or_default()];
            index.read_exact_at(&mut octets, from)?;
            let open = Open { file, entries: segment::entries(&octets).collect() };
            since.entries += open.entries.len() as u64;
            // Its rulebook may lie before the bookmark.
            let book = |entry: &&Entry| entry.kind == Kind::Rulebook;
            self.take_books(&open.file, open.entries.iter().filter(book));
            for entry in open.entries.iter().filter(|entry| sieve.lets_through(entry)) {
                let mut found = self.read(&open, entry);
                if found.as_ref().is_some_and(|found| found.book.is_none())
                    && let Some(whole) = self.open_segment(&place)
                {
                    found = self.read(&whole, entry);
                }
                news.extend(found.filter(|found| filter.holds(&found.record)));
            }
        }
        Ok(news)
    }

    /// Segments that may hold records of the wanted time.
    fn in_time(&self, filter: &Filter) -> io::Result<Vec<Place>> {
        let places = Place::all(&self.directory)?;
        let ends: Vec<u64> = places.iter().skip(1).map(|next| next.created).chain([u64::MAX]).collect();
        let late_enough = |end: u64| filter.since.is_none_or(|since| end > since);
        let early_enough = |place: &Place| {
            filter.until.is_none_or(|until| place.created <= until.saturating_add(LONGEST_TRANSACTION_MILLIS))
        };
        let places = places.into_iter().zip(ends);
        Ok(places.filter(|(place, end)| late_enough(*end) && early_enough(place)).map(|(place, _)| place).collect())
    }

    /// With those entries that may be wanted, and the rulebooks that they need.
    fn sift(&mut self, place: &Place, sieve: &Sieve<'_>) -> Option<Open> {
        let sifted = sift::sift(place, |entry| entry.kind == Kind::Rulebook || sieve.lets_through(entry));
        self.opened(place, sifted)
    }

    fn open_segment(&mut self, place: &Place) -> Option<Open> {
        let opened = place.contents().and_then(|contents| Ok((File::open(place.records())?, contents.entries)));
        self.opened(place, opened)
    }

    fn opened(&mut self, place: &Place, opened: io::Result<(File, Vec<Entry>)>) -> Option<Open> {
        match opened {
            Ok((file, entries)) => Some(Open { file, entries }),
            // Removed between our two looks: it was too old.
            Err(why) if why.kind() == io::ErrorKind::NotFound => None,
            Err(why) => {
                tracing::warn!(segment = %place.records().display(), %why, "records.unreadable");
                self.unreadable += 1;
                None
            }
        }
    }

    fn read(&mut self, open: &Open, entry: &Entry) -> Option<Found> {
        let frame = segment::read_frame(&open.file, entry);
        let record = frame.and_then(|contents| Ok(serde_json::from_slice::<Record>(&contents)?));
        let Ok(record) = record else {
            self.unreadable += 1;
            return None;
        };
        let digest = record.judgement.book;
        if !self.books.contains_key(&digest) {
            let is_it = |entry: &&Entry| entry.kind == Kind::Rulebook && entry.client == u128::from(digest);
            self.take_books(&open.file, open.entries.iter().filter(is_it));
        }
        let book = self.books.get(&digest).cloned();
        Some(Found { record, book })
    }

    fn take_books<'e>(&mut self, file: &File, entries: impl Iterator<Item = &'e Entry>) {
        for entry in entries {
            let book = segment::read_frame(file, entry).and_then(|contents| Ok(serde_json::from_slice(&contents)?));
            match (u64::try_from(entry.client), book) {
                (Ok(digest), Ok(book)) => {
                    if self.books.len() >= MOST_BOOKS {
                        self.books.clear();
                    }
                    self.books.insert(digest, Arc::new(book));
                }
                _ => self.unreadable += 1,
            }
        }
    }
}
