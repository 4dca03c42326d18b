//! Who has a message already, of those whom its client will send it to again: a backend that answers for each
//! recipient (LMTP) has taken it for some and not for others.
//!
//! A home keeps for each such delivery that it happened, until the client has surely given up. Nothing says of what
//! message and whom: a key is a digest of both.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use futures_util::future::BoxFuture;
use lru::LruCache;

use super::StoreError;
use crate::clock::seconds;

/// Names one delivery: a message of a sender, to one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey(pub(super) u128);

/// Deliveries that clients do not know of.
///
/// Each operation is atomic for each key, and one round trip however many there are.
pub trait Deliveries: Send + Sync + 'static {
    /// Which of `keys` were noted, in their order. Never waits for a disk.
    fn delivered_look<'a>(
        &'a self,
        keys: &'a [DeliveryKey],
        at: SystemTime,
    ) -> BoxFuture<'a, Result<Vec<bool>, StoreError>>;

    /// Notes them for so long.
    fn delivered_note(
        &self,
        keys: Vec<DeliveryKey>,
        lifetime: Duration,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Forgets them: the client knows.
    fn delivered_drop(&self, keys: Vec<DeliveryKey>) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// A key and until when it is kept, in seconds since 1970; `None` if it is forgotten.
pub(super) type Change = (DeliveryKey, Option<u64>);

/// The table in memory that every home has. Beyond the bound the oldest go.
pub(super) struct Delivered {
    table: Mutex<LruCache<DeliveryKey, u64>>,
    most: NonZeroUsize,
}

// === impl DeliveryKey ===

impl DeliveryKey {
    /// The delivery of the message with this digest from `sender` to `recipient`.
    pub fn new(message: &[u8], sender: &str, recipient: &str) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [message, sender.as_bytes(), recipient.as_bytes()] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let digest = context.finish();
        Self(digest.as_ref().first_chunk().map_or(0, |octets| u128::from_le_bytes(*octets)))
    }
}

// === impl Delivered ===

impl Delivered {
    /// At most `most`, once [`Delivered::make_room`] was called; what was `known` comes in any order.
    pub(super) fn new(most: usize, mut known: Vec<(DeliveryKey, u64)>) -> Self {
        let most = NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN);
        let mut table = LruCache::new(NonZeroUsize::new(known.len()).map_or(most, |known| known.max(most)));
        known.sort_by_key(|(_, until)| *until);
        for (key, until) in known {
            table.push(key, until);
        }
        Self { table: Mutex::new(table), most }
    }

    /// Forgets what is too much: the bound may be another than the last time.
    pub(super) fn make_room(&self) -> Vec<Change> {
        let mut table = self.lock();
        let too_many = table.len().saturating_sub(self.most.get());
        let gone = (0..too_many).filter_map(|_| table.pop_lru()).map(|(key, _)| (key, None)).collect();
        table.resize(self.most);
        gone
    }

    pub(super) fn look(&self, keys: &[DeliveryKey], at: SystemTime) -> Vec<bool> {
        let (now, table) = (seconds(at), self.lock());
        keys.iter().map(|key| table.peek(key).is_some_and(|until| *until > now)).collect()
    }

    /// What has changed: what was noted, and what had to go for it.
    pub(super) fn note(&self, keys: &[DeliveryKey], lifetime: Duration, at: SystemTime) -> Vec<Change> {
        let (now, mut table) = (seconds(at), self.lock());
        let until = now.saturating_add(lifetime.as_secs());
        let mut changes = Vec::with_capacity(keys.len());
        while table.peek_lru().is_some_and(|(_, until)| *until <= now) {
            changes.extend(table.pop_lru().map(|(key, _)| (key, None)));
        }
        for &key in keys {
            let displaced = table.push(key, until).filter(|(other, _)| *other != key);
            changes.extend(displaced.map(|(other, _)| (other, None)));
            changes.push((key, Some(until)));
        }
        changes
    }

    /// What was there.
    pub(super) fn drop(&self, keys: &[DeliveryKey]) -> Vec<Change> {
        let mut table = self.lock();
        keys.iter().filter(|key| table.pop(*key).is_some()).map(|key| (*key, None)).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<DeliveryKey, u64>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
