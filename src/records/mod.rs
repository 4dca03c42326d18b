//! What became of every transaction, and why: decision records on disk, [explained](../docs/records.md).
//!
//! A [`Recorder`] takes them without waiting and writes them in a thread of its own; an [`Archive`] reads them, also
//! while they are written. A record is data: what weighs and decides is known to others.
//!
//! Failure: whatever happens to records, mail does not notice. What does not fit into the queue, or cannot be written,
//! is lost and counted. What a crash tore is cut off when the next process opens the directory.

mod archive;
mod filter;
mod id;
mod index;
mod keeper;
mod lines;
mod metrics;
mod output;
mod record;
mod recorder;
mod recovery;
mod redact;
mod rulebook;
mod segment;
mod sift;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

pub use archive::{Archive, Bookmark, Found};
pub use filter::{Filter, Whose};
pub use id::{NoId, TransactionId};
pub use lines::{Finding, Line, LineOutcome, Lines};
pub use metrics::Metrics;
pub use record::{
    Addressee, Authenticated, Client, Decided, Envelope, Fate, Judgement, MessageSeen, Record, Refusal, domain_of,
};
pub use recorder::{Recorder, Written};
pub use redact::Redact;
pub use rulebook::{Looks, OnRoster, Rulebook};

use crate::units::ByteSize;

/// Where records go, and how long they stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The directory of segments; `None`: they are not kept.
    pub directory: Option<PathBuf>,
    /// Octets of all segments; beyond that the oldest goes.
    pub max_size: ByteSize,
    /// Older segments go.
    pub max_age: Duration,
    /// Records that wait to be written; beyond that they are lost.
    pub queue: usize,
    /// Octets of them, in memory; beyond that, too.
    pub queue_memory: ByteSize,
    /// What nobody is to read.
    pub redact: Redact,
    /// Where records go as lines of JSON, too.
    pub json: Json,
}

/// Where lines of JSON go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Json {
    /// Nowhere.
    #[default]
    Off,
    /// Standard output.
    Stdout,
    /// The end of this file, which may be renamed at any time: then it is made anew.
    File(PathBuf),
}

impl Settings {
    /// True if there is anywhere to write to.
    pub fn are_wanted(&self) -> bool {
        self.directory.is_some() || self.json != Json::Off
    }
}
