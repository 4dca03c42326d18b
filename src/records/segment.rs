//! One segment: a file of frames, and beside it a file of their index entries.
//!
//! A frame is its length, its kind and a checksum, then JSON. Both files only grow. Whoever writes has a frame on disk
//! before its entry; so after a crash the frames tell what the index must be, and what follows the last sound frame is
//! cut off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::index::{Entry, Kind, LENGTH};
use super::record::Record;

/// What a segment begins with; the last octet is the version of the format.
pub(super) const MAGIC: [u8; 8] = *b"GPREC\0\0\x01";
/// Length, kind and checksum of a frame.
const HEAD: usize = 4 + 1 + 8;
/// A frame that claims to be longer is none.
const LONGEST: u32 = 64 << 20;
const RECORDS: &str = "rec";
const INDEX: &str = "idx";
/// Records tell who writes to whom: for their owner alone.
pub(super) const PRIVATE_FILE: u32 = 0o600;

/// Where a segment lies. Its name is when it was begun, in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    directory: PathBuf,
    pub(super) created: u64,
}

/// What a segment is found to hold.
pub(super) struct Contents {
    /// In the order in which they were written.
    pub(super) entries: Vec<Entry>,
    /// Where the last sound frame ends.
    pub(super) sound: u64,
}

impl Place {
    pub(super) fn new(directory: &Path, created: u64) -> Self {
        Self { directory: directory.to_owned(), created }
    }

    /// All segments of a directory, the oldest first.
    pub(super) fn all(directory: &Path) -> io::Result<Vec<Self>> {
        let mut places = Vec::new();
        for file in fs::read_dir(directory)? {
            let path = file?.path();
            let name = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            if let Some(created) = name.filter(|_| path.extension().is_some_and(|end| end == RECORDS)) {
                places.push(Self::new(directory, created));
            }
        }
        places.sort_by_key(|place| place.created);
        Ok(places)
    }

    pub(super) fn records(&self) -> PathBuf {
        self.with(RECORDS)
    }

    pub(super) fn index(&self) -> PathBuf {
        self.with(INDEX)
    }

    pub(super) fn with(&self, end: &str) -> PathBuf {
        self.directory.join(format!("{:014}.{end}", self.created))
    }

    /// Octets of both files.
    pub(super) fn size(&self) -> u64 {
        let of = |path: PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
        of(self.records()) + of(self.index())
    }

    /// Takes both files away.
    pub(super) fn remove(&self) -> io::Result<()> {
        let gone = |path: PathBuf| match fs::remove_file(path) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
            _ => Ok(()),
        };
        // Without its records an index is not looked at; the other way round it would be made again.
        gone(self.records()).and_then(|()| gone(self.index()))
    }

    /// The entries of its index, whether the frames are what they say or not. One that is lost has none.
    pub(super) fn indexed(&self) -> io::Result<Vec<Entry>> {
        match fs::read(self.index()) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            octets => Ok(entries(&octets?).collect()),
        }
    }

    /// The same by another name. The index first: without one a segment is read all the same.
    ///
    /// # Errors
    /// The disk. It may then have lost its index, which its frames make up for.
    pub(super) fn rename(&self, created: u64) -> io::Result<Self> {
        let renamed = Self { directory: self.directory.clone(), created };
        match fs::rename(self.index(), renamed.index()) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
        fs::rename(self.records(), renamed.records())?;
        Ok(renamed)
    }

    /// Opens a file of it to append to.
    pub(super) fn append(path: &Path) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).mode(PRIVATE_FILE).open(path)
    }

    /// What it holds by its index, and behind that by its frames. Changes nothing.
    ///
    /// # Errors
    /// The disk; a file that is no segment.
    pub(super) fn contents(&self) -> io::Result<Contents> {
        let file = File::open(self.records())?;
        let length = file.metadata()?.len();
        if !matches!(Form::of(&file)?, Form::Ours) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no segment of records, or of another version"));
        }
        let mut entries = self.indexed()?;
        // An index that got to the disk before the frames that it tells of, when the power failed.
        while entries.last().is_some_and(|last| last.end() > length || read_frame(&file, last).is_err()) {
            entries.pop();
        }
        let indexed = entries.last().map_or(MAGIC.len() as u64, Entry::end);
        let sound = scan(&file, indexed, &mut entries)?;
        Ok(Contents { entries, sound })
    }
}

impl Entry {
    /// Where its frame ends.
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(HEAD as u64).saturating_add(self.length.into())
    }
}

/// The entries of an index; an unfinished one at its end is left out.
pub(super) fn entries(octets: &[u8]) -> impl Iterator<Item = Entry> {
    let (whole, _unfinished) = octets.as_chunks::<LENGTH>();
    whole.iter().map_while(Entry::of_octets)
}

/// A frame around `contents`.
pub(super) fn frame(kind: Kind, contents: &[u8]) -> io::Result<Vec<u8>> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "a record is too long");
    let length = u32::try_from(contents.len()).ok().filter(|length| *length <= LONGEST).ok_or_else(too_long)?;
    let mut frame = Vec::with_capacity(HEAD + contents.len());
    frame.extend(length.to_le_bytes());
    frame.push(kind.code());
    frame.extend(checksum(kind.code(), contents).to_le_bytes());
    frame.extend(contents);
    Ok(frame)
}

/// The contents of the frame that `entry` names.
pub(super) fn read_frame(file: &File, entry: &Entry) -> io::Result<Vec<u8>> {
    let damaged =
        |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("a frame at {}: {what}", entry.offset));
    if entry.length > LONGEST {
        return Err(damaged("too long"));
    }
    let mut octets = vec![0; HEAD + entry.length as usize];
    file.read_exact_at(&mut octets, entry.offset)?;
    let (head, rest) = octets.split_first_chunk::<HEAD>().ok_or_else(|| damaged("no head"))?;
    let head = Head::of(head).filter(|head| head.length == entry.length && head.kind == entry.kind);
    let head = head.ok_or_else(|| damaged("another one"))?;
    if checksum(head.kind.code(), rest) != head.checksum {
        return Err(damaged("its checksum does not fit"));
    }
    octets.drain(..HEAD);
    Ok(octets)
}

struct Head {
    length: u32,
    kind: Kind,
    checksum: u64,
}

impl Head {
    fn of(octets: &[u8; HEAD]) -> Option<Self> {
        let (length, rest) = octets.split_first_chunk()?;
        let (kind, rest) = rest.split_first()?;
        let (checksum, _) = rest.split_first_chunk()?;
        let (length, checksum) = (u32::from_le_bytes(*length), u64::from_le_bytes(*checksum));
        Some(Self { length, kind: Kind::of_code(*kind)?, checksum }).filter(|head| head.length <= LONGEST)
    }
}

fn checksum(kind: u8, contents: &[u8]) -> u64 {
    let mut sum = Xxh3::new();
    sum.update(&[kind]);
    sum.update(contents);
    sum.digest()
}

/// What a file is by the first of its octets.
pub(super) enum Form {
    /// A segment.
    Ours,
    /// Too short to be anything: it was begun, and nothing more.
    Unborn,
    /// Another version's, or nothing that we know.
    Foreign,
}

impl Form {
    /// # Errors
    /// The disk.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let mut magic = [0; MAGIC.len()];
        match file.read_exact_at(&mut magic, 0) {
            Ok(()) if magic == MAGIC => Ok(Self::Ours),
            Ok(()) => Ok(Self::Foreign),
            Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => Ok(Self::Unborn),
            Err(why) => Err(why),
        }
    }
}

/// Adds the entries of the frames from `from` on, up to one that is not sound; returns where the last sound one ends.
///
/// # Errors
/// The disk.
pub(super) fn scan(file: &File, from: u64, entries: &mut Vec<Entry>) -> io::Result<u64> {
    let mut reader = BufReader::with_capacity(1 << 18, From { file, at: from });
    let (mut at, mut head, mut contents) = (from, [0; HEAD], Vec::new());
    loop {
        match reader.read_exact(&mut head) {
            Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => break,
            other => other?,
        }
        let Some(known) = Head::of(&head) else { break };
        contents.clear();
        let length = u64::from(known.length);
        if (&mut reader).take(length).read_to_end(&mut contents)? as u64 != length
            || checksum(known.kind.code(), &contents) != known.checksum
        {
            break;
        }
        let entry = match known.kind {
            Kind::Rulebook => Some(Entry::of_rulebook(super::Rulebook::digest(&contents), at, known.length)),
            Kind::Record => match serde_json::from_slice::<Record>(&contents) {
                Ok(record) => Some(Entry::of_record(&record, at, known.length)),
                // Sound, and of a later version that knows more: it is passed over.
                Err(_unknown) => None,
            },
        };
        entries.extend(entry);
        at += HEAD as u64 + length;
    }
    Ok(at)
}

/// A file from some place on, without moving what others read.
struct From<'f> {
    file: &'f File,
    at: u64,
}

impl Read for From<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
