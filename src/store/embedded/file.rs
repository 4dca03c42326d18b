//! The file: opened by one process at a time, read by many threads, opened again when its disk has failed.

use std::fs::OpenOptions;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{Builder, Database, DatabaseError, Durability, ReadTransaction, ReadableDatabase, WriteTransaction};

use super::tables::{ForReading, ForWriting};

/// Pages of the file that are kept in memory.
const CACHE: usize = 16 << 20;

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
            Builder::new().set_cache_size(CACHE).create_file(options.open(&place)?)
        };
        Self::over(path, Box::new(opener))
    }

    /// Opens a file that must be there.
    pub(super) fn open_existing(path: &Path) -> Result<Self, OpenError> {
        let place = path.to_owned();
        Self::over(path, Box::new(move || Builder::new().set_cache_size(CACHE).open(&place)))
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
        let unusable = |why: String| OpenError::Unusable { path: self.path.clone(), why };
        // A file that is none of ours must not end the program, whatever the library thinks of it.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let database = (self.opener)().map_err(|why| match why {
                DatabaseError::DatabaseAlreadyOpen => OpenError::InUse(self.path.clone()),
                why => unusable(why.to_string()),
            })?;
            make_tables(&database).map_err(|why| unusable(why.to_string()))?;
            Ok(database)
        }));
        *database = Some(opened.unwrap_or_else(|_panic| Err(unusable("it is damaged".to_owned())))?);
        Ok(())
    }

    /// Reads within one consistent state.
    pub(super) fn read<T>(&self, act: impl FnOnce(&ForReading) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or(redb::Error::DatabaseClosed)?;
        let transaction: ReadTransaction = database.begin_read()?;
        act(&ForReading::open(&transaction)?)
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
    transaction.commit()?;
    Ok(())
}
