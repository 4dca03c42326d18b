//! What operators do with a home as a whole: look how full it is, and give back the room that it does not need.

use futures_util::future::{self, BoxFuture};
use serde::{Deserialize, Serialize};

use super::StoreError;

/// How full a home is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// `memory`, `file` or `redis`.
    pub home: String,
    /// Where it is, if it has a place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Octets of the file, its free pages included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub octets: Option<u64>,
    /// What is in it.
    pub tables: Vec<TableInfo>,
}

/// One kind of things that are remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableInfo {
    /// Its name, with the version of its form.
    pub name: String,
    /// How many there are.
    pub entries: u64,
    /// Octets of keys and values, where they are in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<u64>,
    /// Octets of pages that this table has and does not need.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unused: Option<u64>,
}

/// What became of a file that was compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compacted {
    /// Its octets before.
    pub before: u64,
    /// And after.
    pub after: u64,
}

impl TableInfo {
    /// A table that is in memory.
    pub(super) fn in_memory(name: &str, entries: usize) -> Self {
        Self { name: name.to_owned(), entries: entries as u64, stored: None, unused: None }
    }
}

/// What operators do with a home.
pub trait Upkeep: Send + Sync + 'static {
    /// How full it is. Takes a while where much is remembered.
    fn info(&self) -> BoxFuture<'_, Result<Info, StoreError>>;

    /// Gives room back to the system. What is to be written meanwhile waits.
    fn compact(&self) -> BoxFuture<'_, Result<Compacted, StoreError>> {
        Box::pin(future::ready(Err(StoreError::Unavailable("there is no file to compact".to_owned()))))
    }
}
