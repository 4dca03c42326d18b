//! A hop as the admin page writes it and `gatepost forwarders` reads it.

use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::store::HopRecord;

/// What is known about a hop, in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// The organizational domain of its clients' confirmed names, or their network.
    pub hop: Arc<str>,
    /// Messages whose author's signature survived where SPF did not pass.
    pub forwarded: u64,
    /// Messages whose author's signature is broken.
    pub broken: u64,
    /// Messages that nothing authenticates although their author asks for it.
    pub unauthenticated: u64,
    /// Messages that it sends in its own right.
    pub direct: u64,
    /// Author domains of what was forwarded, up to a bound.
    pub author_domains: Vec<Arc<str>>,
    /// The first message.
    pub first: Timestamp,
    /// The last message.
    pub last: Timestamp,
}

impl From<&HopRecord> for Hop {
    fn from(record: &HopRecord) -> Self {
        let [forwarded, broken, unauthenticated, direct] = record.counts;
        Self {
            hop: record.hop.clone(),
            forwarded,
            broken,
            unauthenticated,
            direct,
            author_domains: record.author_domains.clone(),
            first: timestamp(record.first),
            last: timestamp(record.last),
        }
    }
}

/// Times beyond the calendar are nobody's.
fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}
