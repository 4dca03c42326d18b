//! The file: opened by one process at a time, read by many threads, opened again when its disk has failed.

use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{Builder, Database, DatabaseError, Durability, ReadTransaction, ReadableDatabase, WriteTransaction};

use super::super::upkeep::{Info, TableInfo};
use super::tables::{self, ForReading, ForWriting, Known, SomeClusters, load};
use super::upkeep::{self, ArchiveError};

/// Pages of the file that are kept in memory.
const CACHE: usize = 16 << 20;
/// What a file of the library begins with is shorter than that.
const HEADER: usize = 4096;
/// No file that was never finished is larger.
const LARGEST_UNFINISHED: u64 = 64 << 20;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// One process at a time.
    #[error("{0} is open in another process: every proxy needs a file of its own")]
    InUse(PathBuf),
    /// Anything else.
    #[error("{path} cannot be used: {why}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// How a database is opened.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// A database that may be away for a while.
pub(super) struct File {
    path: PathBuf,
    opener: Opener,
    database: RwLock<Option<Database>>,
}

impl File {
    /// Opens a file, which is made if there is none, for us and nobody else.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let place = path.to_owned();
        let opener = move || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            // It tells who writes to whom.
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = options.open(&place)?;
            forget_unfinished(&file)?;
            Builder::new().set_cache_size(CACHE).create_file(file)
        };
        Self::over(path, Box::new(opener))
    }

    /// Opens whatever `opener` opens; `path` is its name.
    pub(super) fn over(path: &Path, opener: Opener) -> Result<Self, OpenError> {
        let file = Self { path: path.to_owned(), opener, database: RwLock::new(None) };
        file.reopen()?;
        Ok(file)
    }

    /// Closes it if it is open, and opens it.
    pub(super) fn reopen(&self) -> Result<(), OpenError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        *database = None;
        *database = Some(guarded(&self.path, || {
            let database = (self.opener)()?;
            make_tables(&database)?;
            Ok(database)
        })?);
        Ok(())
    }

    /// The secrets, and what memory holds; read once, at the start.
    pub(super) fn known(&self) -> Result<Known, OpenError> {
        guarded(&self.path, || {
            let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
            let transaction = begin(database.as_ref().ok_or(redb::Error::DatabaseClosed)?)?;
            let known = load(&transaction)?;
            transaction.commit()?;
            Ok(known)
        })
    }

    /// Reads within one consistent state.
    pub(super) fn read<T>(&self, act: impl FnOnce(&ForReading) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or(redb::Error::DatabaseClosed)?;
        let transaction: ReadTransaction = database.begin_read()?;
        act(&ForReading::open(&transaction)?)
    }

    /// See [`tables::clusters`].
    pub(super) fn clusters(&self, place: u32, hash: u64, most: usize) -> Result<SomeClusters, redb::Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let transaction = database.as_ref().ok_or(redb::Error::DatabaseClosed)?.begin_read()?;
        tables::clusters(&transaction, place, hash, most)
    }

    /// Changes all that `act` changes, or nothing; on disk when it returns.
    pub(super) fn write<T>(
        &self,
        act: impl FnOnce(&mut ForWriting<'_>) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let transaction = begin(database.as_ref().ok_or(redb::Error::DatabaseClosed)?)?;
        let done = act(&mut ForWriting::open(&transaction)?)?;
        transaction.commit()?;
        Ok(done)
    }

    /// Gives the room back that its pages do not need.
    pub(super) fn compact(&self) -> Result<(), redb::Error> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        database.as_mut().ok_or(redb::Error::DatabaseClosed)?.compact()?;
        Ok(())
    }

    /// What is in it, and its octets.
    pub(super) fn info(&self) -> Result<Info, redb::Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let tables = upkeep::info(&database.as_ref().ok_or(redb::Error::DatabaseClosed)?.begin_read()?)?;
        info_of(&self.path, tables)
    }

    /// Takes in what was exported, or nothing of it.
    pub(super) fn import(&self, text: &mut dyn BufRead, replace: bool) -> Result<u64, ArchiveError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let transaction = begin(database.as_ref().ok_or(redb::Error::DatabaseClosed)?)?;
        let entries = upkeep::import(&transaction, text, replace)?;
        transaction.commit().map_err(redb::Error::from)?;
        Ok(entries)
    }
}

/// What is in a file that no process has open, and its octets.
pub(super) fn info_at(path: &Path) -> Result<Info, OpenError> {
    read_at(path, |transaction| info_of(path, upkeep::info(&transaction)?))
}

/// All of a file that no process has open, as lines of text.
pub(super) fn export_at(path: &Path, out: &mut dyn Write) -> Result<Result<u64, ArchiveError>, OpenError> {
    read_at(path, |transaction| Ok(upkeep::export(&transaction, out)))
}

fn info_of(path: &Path, tables: Vec<TableInfo>) -> Result<Info, redb::Error> {
    let octets = Some(fs::metadata(path)?.len());
    Ok(Info { home: "file".to_owned(), place: Some(path.display().to_string()), octets, tables })
}

/// Reads a file that no process writes to, and leaves it as it is; but what a killed process left must be
/// repaired before anybody can read it.
pub(super) fn look<T>(path: &Path, act: impl FnOnce(&ForReading) -> Result<T, redb::Error>) -> Result<T, OpenError> {
    read_at(path, |transaction| act(&ForReading::open(&transaction)?))
}

fn read_at<T>(path: &Path, act: impl FnOnce(ReadTransaction) -> Result<T, redb::Error>) -> Result<T, OpenError> {
    guarded(path, || match Builder::new().set_cache_size(CACHE).open_read_only(path) {
        Err(DatabaseError::RepairAborted) => {
            let repaired = Builder::new().set_cache_size(CACHE).open(path)?;
            act(repaired.begin_read()?)
        }
        database => act(database?.begin_read()?),
    })
}

/// A file that is none of ours must not end the program, whatever the library thinks of it.
fn guarded<T>(path: &Path, act: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, OpenError> {
    let unusable = |why: String| OpenError::Unusable { path: path.to_owned(), why };
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(redb::Error::DatabaseAlreadyOpen)) => Err(OpenError::InUse(path.to_owned())),
        Ok(Err(why)) => Err(unusable(why.to_string())),
        Err(_panic) => Err(unusable("it is damaged".to_owned())),
    }
}

/// Empties a file whose making was cut short, by a kill or a full disk. The library makes it long first and
/// says last whose it is; one without that word it refuses for good.
fn forget_unfinished(mut file: &fs::File) -> Result<(), DatabaseError> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(DatabaseError::DatabaseAlreadyOpen),
        // Without locks nobody knows whether it is being made at this moment.
        Err(TryLockError::Error(_)) => return Ok(()),
    }
    let length = file.metadata()?.len();
    if (1..=LARGEST_UNFINISHED).contains(&length) && is_unfinished(file)? {
        file.set_len(0)?;
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(())
}

/// True if it begins with nothing where the library's mark belongs, and nothing follows the header either.
fn is_unfinished(mut file: &fs::File) -> io::Result<bool> {
    const MARK: usize = 9;
    let mut octets = vec![0; 64 << 10];
    let mut at = 0;
    file.seek(SeekFrom::Start(0))?;
    loop {
        let read = file.read(&mut octets)?;
        let is_other = |(index, octet): (usize, &u8)| *octet != 0 && !(MARK..HEADER).contains(&(at + index));
        if octets.iter().take(read).enumerate().any(is_other) {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
        at += read;
    }
}

fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    // What a process leaves that was killed is open again within a millisecond.
    transaction.set_quick_repair(true);
    Ok(transaction)
}

fn make_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = begin(database)?;
    ForWriting::open(&transaction)?;
    let was_taught = tables::forget_outdated(&transaction)?;
    transaction.commit()?;
    if was_taught {
        tracing::warn!(
            "the classifier was taught by an earlier release, which looked at messages in another way: that is \
             forgotten, teach it again with `gatepost learn`"
        );
    }
    Ok(())
}
