//! A file as a whole: how full it is, all of it as lines of text, and a file made of such lines.
//!
//! The text has a first line that says what it is, one line for each entry, and a last one with their number, so
//! that one that was cut short is recognised. Keys and values are as the tables hold them, in base64; the names of
//! tables carry a version, so that what another release wrote goes back into the tables that it came from.

use std::io::{self, BufRead, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use data_encoding::BASE64;
use redb::{
    Error, Key, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, TableError,
    TableHandle, Value, WriteTransaction,
};
use serde::{Deserialize, Serialize};

use super::super::upkeep::TableInfo;
use super::file::OpenError;
use super::tables::{self, ALL};

/// What the first line says.
const FORMAT: &str = "gatepost-store";
const VERSION: u32 = 1;
/// Octets of the longest line that is read.
const LONGEST_LINE: u64 = 4 << 20;

/// Why something was not exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file cannot be opened.
    #[error("{0}")]
    Closed(#[from] OpenError),
    /// It failed later.
    #[error("{0}")]
    Store(#[from] Error),
    /// The text could not be read or written.
    #[error("{0}")]
    Text(#[from] io::Error),
    /// The text is not what was exported.
    #[error("line {line}: {why}")]
    Malformed {
        /// Which line, from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// There is something in the file already.
    #[error("the store holds {0} entries already; with --replace they are forgotten")]
    NotEmpty(u64),
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, untagged)]
enum Line {
    Head { format: String, version: u32 },
    Entry { table: String, key: String, value: String },
    End { entries: u64 },
}

/// Who is told of entries, as octets.
type Tell<'t> = dyn FnMut(&[u8], &[u8]) -> Result<(), ArchiveError> + 't;

/// A table, whatever it holds.
pub(super) trait Kept: Sync {
    fn name(&self) -> &str;
    /// `None` if the file has no such table.
    fn info(&self, transaction: &ReadTransaction) -> Result<Option<TableInfo>, Error>;
    /// Tells of each entry, in their order.
    fn each(&self, transaction: &ReadTransaction, tell: &mut Tell<'_>) -> Result<(), ArchiveError>;
    fn count(&self, transaction: &WriteTransaction) -> Result<u64, Error>;
    fn clear(&self, transaction: &WriteTransaction) -> Result<(), Error>;
    /// Puts an entry into it; why it is none of its.
    fn put(&self, transaction: &WriteTransaction, key: &[u8], value: &[u8]) -> Result<(), String>;
}

/// The same as [`TableDefinition`], for lists of tables.
pub(super) struct Table<K: Key + 'static, V: Value + 'static>(pub(super) TableDefinition<'static, K, V>);

impl<K: Key + Sync, V: Value + Sync> Table<K, V> {
    fn open(&self, transaction: &ReadTransaction) -> Result<Option<ReadOnlyTable<K, V>>, Error> {
        match transaction.open_table(self.0) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }
}

impl<K: Key + Sync, V: Value + Sync> Kept for Table<K, V> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn info(&self, transaction: &ReadTransaction) -> Result<Option<TableInfo>, Error> {
        let Some(table) = self.open(transaction)? else { return Ok(None) };
        let stats = table.stats()?;
        Ok(Some(TableInfo {
            name: self.name().to_owned(),
            entries: table.len()?,
            stored: Some(stats.stored_bytes()),
            unused: Some(stats.fragmented_bytes()),
        }))
    }

    fn each(&self, transaction: &ReadTransaction, tell: &mut Tell<'_>) -> Result<(), ArchiveError> {
        let Some(table) = self.open(transaction)? else { return Ok(()) };
        for entry in table.iter().map_err(Error::from)? {
            let (key, value) = entry.map_err(Error::from)?;
            tell(K::as_bytes(&key.value()).as_ref(), V::as_bytes(&value.value()).as_ref())?;
        }
        Ok(())
    }

    fn count(&self, transaction: &WriteTransaction) -> Result<u64, Error> {
        Ok(transaction.open_table(self.0)?.len()?)
    }

    fn clear(&self, transaction: &WriteTransaction) -> Result<(), Error> {
        transaction.delete_table(self.0)?;
        transaction.open_table(self.0)?;
        Ok(())
    }

    fn put(&self, transaction: &WriteTransaction, key: &[u8], value: &[u8]) -> Result<(), String> {
        let fits = |width: Option<usize>, octets: &[u8]| width.is_none_or(|width| width == octets.len());
        if !fits(K::fixed_width(), key) || !fits(V::fixed_width(), value) {
            return Err(format!("an entry of {} has another length", self.name()));
        }
        // The library takes for granted that octets are of the table's types, and panics where they are not.
        let put = catch_unwind(AssertUnwindSafe(|| -> Result<(), Error> {
            let mut table = transaction.open_table(self.0)?;
            table.insert(K::from_bytes(key), V::from_bytes(value))?;
            Ok(())
        }));
        match put {
            Ok(done) => done.map_err(|why| why.to_string()),
            Err(_panic) => Err(format!("this is no entry of {}", self.name())),
        }
    }
}

/// What is in the file.
pub(super) fn info(transaction: &ReadTransaction) -> Result<Vec<TableInfo>, Error> {
    let infos = ALL.iter().filter_map(|table| table.info(transaction).transpose());
    infos.collect()
}

/// Writes all of it; how many entries.
pub(super) fn export(transaction: &ReadTransaction, out: &mut dyn Write) -> Result<u64, ArchiveError> {
    let mut write = |line: &Line| -> Result<(), ArchiveError> {
        serde_json::to_writer(&mut *out, line).map_err(io::Error::from)?;
        Ok(out.write_all(b"\n")?)
    };
    write(&Line::Head { format: FORMAT.to_owned(), version: VERSION })?;
    let mut entries = 0;
    for table in ALL {
        table.each(transaction, &mut |key, value| {
            entries += 1;
            let (key, value) = (BASE64.encode(key), BASE64.encode(value));
            write(&Line::Entry { table: table.name().to_owned(), key, value })
        })?;
    }
    write(&Line::End { entries })?;
    out.flush()?;
    Ok(entries)
}

/// Takes in what was exported; how many entries. What is in the file already goes if it may be replaced: entries
/// without the secret that they are keyed with would be of no use.
pub(super) fn import(
    transaction: &WriteTransaction,
    text: &mut dyn BufRead,
    replace: bool,
) -> Result<u64, ArchiveError> {
    let mut held = 0;
    for table in ALL.iter().filter(|table| table.name() != tables::SECRETS_NAME) {
        held += table.count(transaction)?;
    }
    if held > 0 && !replace {
        return Err(ArchiveError::NotEmpty(held));
    }
    for table in ALL {
        table.clear(transaction)?;
    }
    let mut lines = Lines { text, number: 0 };
    match lines.next()? {
        Some(Line::Head { format, version: VERSION }) if format == FORMAT => {}
        Some(Line::Head { version, .. }) if version > VERSION => {
            return Err(lines.malformed("it was exported by a later release of this program"));
        }
        _ => return Err(lines.malformed("this is no export of a store")),
    }
    let mut entries = 0;
    loop {
        match lines.next()? {
            Some(Line::Entry { table, key, value }) => {
                let known = ALL.iter().find(|known| known.name() == table);
                let known = known.ok_or_else(|| lines.malformed(format!("there is no table {table:?}")))?;
                let octets =
                    |text: String| BASE64.decode(text.as_bytes()).map_err(|why| lines.malformed(why.to_string()));
                known.put(transaction, &octets(key)?, &octets(value)?).map_err(|why| lines.malformed(why))?;
                entries += 1;
            }
            Some(Line::End { entries: said }) if said == entries => return Ok(entries),
            Some(Line::End { entries: said }) => {
                return Err(lines.malformed(format!("{said} entries were exported, here are {entries}")));
            }
            Some(Line::Head { .. }) => return Err(lines.malformed("here begins another export")),
            None => return Err(lines.malformed("the end is missing: it was cut short")),
        }
    }
}

/// Lines of text, one after the other.
struct Lines<'t> {
    text: &'t mut dyn BufRead,
    number: u64,
}

impl Lines<'_> {
    fn next(&mut self) -> Result<Option<Line>, ArchiveError> {
        self.number += 1;
        let mut line = Vec::new();
        (&mut *self.text).take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        match serde_json::from_slice(&line) {
            Ok(line) => Ok(Some(line)),
            Err(_) if !line.ends_with(b"\n") => Err(self.malformed("it ends in the middle: it was cut short")),
            Err(_) => Err(self.malformed("this is no line of an export")),
        }
    }

    fn malformed(&self, why: impl Into<String>) -> ArchiveError {
        ArchiveError::Malformed { line: self.number, why: why.into() }
    }
}
