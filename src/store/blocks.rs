//! Who may send nothing for now, because the operator said so: the answer to a stolen password at three in the morning.
//!
//! Few, short-lived, and set by hand: all are in memory, whatever the home, and are looked up without waiting.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::record::time;
use crate::clock::seconds;
use crate::smtp::Mailbox;

/// So many at a time; who is blocked for good belongs on the mail server, or into trust.toml.
pub const MOST_BLOCKS: usize = 10_000;
/// Octets of the reason that is kept.
const LONGEST_REASON: usize = 500;
/// Octets of a user's name.
const LONGEST_NAME: usize = 320;

/// Who is blocked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blocked {
    /// Who has authenticated by that name, in lower case.
    User(Arc<str>),
    /// The reverse-path, in lower case.
    Sender(Arc<str>),
    /// A client.
    Client(IpAddr),
}

/// Since when, until when, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// When it was said.
    pub since: SystemTime,
    /// Nobody is blocked any more from then on; `None`: until it is taken back.
    pub until: Option<SystemTime>,
    /// What the operator wrote, for other operators and the log.
    pub why: String,
}

/// Neither `user:NAME`, nor `sender:ADDRESS`, nor `client:ADDRESS`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of user:NAME, sender:ADDRESS, client:ADDRESS")]
pub struct NotBlockable(String);

/// Who may send nothing.
pub trait Blocks: Send + Sync + 'static {
    /// Blocks somebody, from now on; what was said of the same before is replaced. Once it returns, a crash does not undo
    /// it where the home outlives the process.
    ///
    /// # Errors
    /// If [`MOST_BLOCKS`] are blocked already, or the home did not take it. Even so it may be in force at this proxy.
    fn block(&self, whom: Blocked, block: Block) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Takes it back: false if nobody had said so.
    fn unblock(&self, whom: Blocked) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// The first of these who is blocked at that time. Never waits.
    fn blocked(&self, whom: &[Blocked], at: SystemTime) -> Option<(Blocked, Block)>;

    /// All who are blocked, in their order.
    fn blocks(&self, at: SystemTime) -> Vec<(Blocked, Block)>;
}

/// The form in files and in Redis; the key is the text of [`Blocked`].
#[derive(Serialize, Deserialize)]
struct Written {
    since: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    why: String,
}

/// All of them in memory.
#[derive(Default)]
pub(super) struct BlockTable(Mutex<BTreeMap<Blocked, Block>>);

/// An entry as a home keeps it; `None`: gone.
pub(super) type BlockChange = (String, Option<Vec<u8>>);

// === impl Blocked ===

impl Blocked {
    /// The user of that name.
    pub fn user(name: &str) -> Self {
        Self::User(name.to_lowercase().into())
    }

    /// The reverse-path of that mailbox.
    pub fn sender(mailbox: &Mailbox) -> Self {
        Self::Sender(mailbox.to_string().to_lowercase().into())
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::Sender(address) => write!(f, "sender:{address}"),
            Self::Client(address) => write!(f, "client:{address}"),
        }
    }
}

impl FromStr for Blocked {
    type Err = NotBlockable;

    fn from_str(text: &str) -> Result<Self, NotBlockable> {
        let wrong = || NotBlockable(text.chars().take(LONGEST_NAME).collect());
        match text.split_once(':') {
            Some(("user", name)) if (1..=LONGEST_NAME).contains(&name.len()) => Ok(Self::user(name)),
            Some(("sender", address)) => {
                Mailbox::parse(address).map(|mailbox| Self::sender(&mailbox)).map_err(|_| wrong())
            }
            Some(("client", address)) => {
                let address: IpAddr = address.parse().map_err(|_| wrong())?;
                Ok(Self::Client(address.to_canonical()))
            }
            _ => Err(wrong()),
        }
    }
}

// === impl Block ===

impl Block {
    /// True if it is in force at that time.
    pub fn holds(&self, at: SystemTime) -> bool {
        self.until.is_none_or(|until| at < until)
    }

    fn shortened(mut self) -> Self {
        self.why.truncate(self.why.floor_char_boundary(LONGEST_REASON));
        self
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let written = Written { since: seconds(self.since), until: self.until.map(seconds), why: self.why.clone() };
        serde_json::to_vec(&written).expect("numbers and text are JSON")
    }

    fn decode(octets: &[u8]) -> Option<Self> {
        let Written { since, until, why } = serde_json::from_slice(octets).ok()?;
        Some(Self { since: time(since), until: until.map(time), why }.shortened())
    }
}

// === impl BlockTable ===

impl BlockTable {
    /// With what a home has kept; what cannot be read is left out.
    pub(super) fn new(kept: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let table = Self::default();
        table.replace(kept);
        table
    }

    /// Forgets all, and takes these.
    pub(super) fn replace(&self, kept: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let read = kept.into_iter().filter_map(|(whom, block)| Some((whom.parse().ok()?, Block::decode(&block)?)));
        *self.lock() = read.take(MOST_BLOCKS).collect();
    }

    /// Says what is to be written: the new one, and those gone that no longer hold. `None` if there is no room.
    pub(super) fn block(&self, whom: Blocked, block: Block) -> Option<Vec<BlockChange>> {
        let (mut table, block) = (self.lock(), block.shortened());
        let gone: Vec<Blocked> =
            table.iter().filter(|(_, known)| !known.holds(block.since)).map(|(whom, _)| whom.clone()).collect();
        gone.iter().for_each(|whom| drop(table.remove(whom)));
        if table.len() >= MOST_BLOCKS && !table.contains_key(&whom) {
            return None;
        }
        let mut changes: Vec<BlockChange> = gone.iter().map(|whom| (whom.to_string(), None)).collect();
        changes.push((whom.to_string(), Some(block.encode())));
        table.insert(whom, block);
        Some(changes)
    }

    /// True if it was there.
    pub(super) fn unblock(&self, whom: &Blocked) -> bool {
        self.lock().remove(whom).is_some()
    }

    pub(super) fn blocked(&self, whom: &[Blocked], at: SystemTime) -> Option<(Blocked, Block)> {
        let table = self.lock();
        whom.iter()
            .find_map(|whom| table.get(whom).filter(|block| block.holds(at)).map(|block| (whom.clone(), block.clone())))
    }

    pub(super) fn all(&self, at: SystemTime) -> Vec<(Blocked, Block)> {
        let table = self.lock();
        table.iter().filter(|(_, block)| block.holds(at)).map(|(whom, block)| (whom.clone(), block.clone())).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Blocked, Block>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// There is no room for another one.
pub(super) fn full() -> StoreError {
    StoreError::Unavailable(format!("{MOST_BLOCKS} are blocked already; take some back first"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn who_can_be_blocked_is_written_as_it_is_read() {
        for (text, expected) in [
            ("user:Alice@Example.ORG", Some("user:alice@example.org")),
            ("user:with:colon", Some("user:with:colon")),
            ("sender:Bob@b.example", Some("sender:bob@b.example")),
            ("client:192.0.2.7", Some("client:192.0.2.7")),
            ("client:::ffff:192.0.2.7", Some("client:192.0.2.7")),
            ("client:2001:db8::1", Some("client:2001:db8::1")),
            ("user:", None),
            ("sender:nobody", None),
            ("client:192.0.2.0/24", None),
            ("alice", None),
        ] {
            let read = text.parse::<Blocked>();
            assert_eq!(read.as_ref().ok().map(ToString::to_string).as_deref(), expected, "{text}: {read:?}");
        }
    }

    #[test]
    fn a_full_table_makes_room_of_what_no_longer_holds_alone() {
        let (table, at) = (BlockTable::default(), |seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        let block = |since, until: Option<u64>| Block { since: at(since), until: until.map(at), why: "x".repeat(600) };
        for number in 0..MOST_BLOCKS {
            assert!(table.block(Blocked::user(&number.to_string()), block(1, Some(10))).is_some());
        }
        assert_eq!(table.block(Blocked::user("new"), block(9, None)), None);
        assert!(table.block(Blocked::user("7"), block(9, None)).is_some(), "who is known takes no more room");
        let changes = table.block(Blocked::user("new"), block(10, None)).expect("room");
        assert_eq!((changes.len(), table.len()), (MOST_BLOCKS, 2));
        let (_, kept) = &table.all(at(99))[1];
        assert_eq!((kept.why.len(), Block::decode(&kept.encode()).as_ref()), (LONGEST_REASON, Some(kept)));
    }
}
