//! Who is blocked: one hash, of which every proxy has a copy in memory.
//!
//! A block is said in Redis first, and holds at all proxies within two seconds. While Redis is away the last copy
//! holds, and nothing can be changed: the operator hears it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::RedisStore;
use super::failure::Failure;
use super::link::{Link, State, WeakLink};
use crate::store::blocks::{BlockTable, full};
use crate::store::metrics::{Operation, Outcome};
use crate::store::{Block, Blocked, Blocks, StoreError};

/// Between two looks at what others have said.
const INTERVAL: Duration = Duration::from_secs(2);

/// The copy of what is in Redis.
#[derive(Default)]
struct Copy {
    table: BlockTable,
    /// Held by whoever asks Redis and changes the table: an answer from before a change must not undo it.
    changing: Mutex<()>,
}

/// Who is blocked, for all.
pub(super) struct Blocking {
    copy: Arc<Copy>,
}

impl Blocking {
    /// Knows nobody yet, and begins to hear.
    pub(super) fn new(link: &Link) -> Self {
        let copy = Arc::<Copy>::default();
        link.spawn(follow(link.weak(), Arc::downgrade(&copy)));
        Self { copy }
    }
}

/// Hears what others have said until nobody needs it any more.
async fn follow(link: WeakLink, copy: Weak<Copy>) {
    loop {
        let (Some(link), Some(copy)) = (link.upgrade(), copy.upgrade()) else { return };
        // A failure was counted where it happened; another look follows.
        let _ = copy.hear(&link).await;
        drop((link, copy));
        tokio::time::sleep(INTERVAL).await;
    }
}

impl Copy {
    /// Takes over what others have said, once nobody else changes it.
    async fn hear(&self, link: &State) -> Result<(), Failure> {
        let _changing = self.changing.lock().await;
        self.hear_now(link).await
    }

    /// The same, for who holds `changing`.
    async fn hear_now(&self, link: &State) -> Result<(), Failure> {
        let mut ask = redis::cmd("HGETALL");
        ask.arg(key(link.prefix()));
        let all: HashMap<String, Vec<u8>> = link.query(&ask).await?;
        self.table.replace(all);
        Ok(())
    }
}

fn key(prefix: &str) -> String {
    format!("{prefix}{{blocks}}")
}

impl RedisStore {
    async fn block_shared(&self, whom: &Blocked, block: &Block) -> Result<bool, Failure> {
        let Blocking { copy } = &self.blocking;
        let _changing = copy.changing.lock().await;
        // What others have said since the last look must not be lost where room is made.
        copy.hear_now(self.link.state()).await?;
        let Some(changes) = copy.table.block(whom.clone(), block.clone()) else { return Ok(false) };
        for (whom, kept) in changes {
            let mut change = redis::cmd(if kept.is_some() { "HSET" } else { "HDEL" });
            change.arg(key(self.link.prefix())).arg(whom).arg(kept);
            self.link.query::<u64>(&change).await?;
        }
        Ok(true)
    }

    async fn unblock_shared(&self, whom: &Blocked) -> Result<bool, Failure> {
        let Blocking { copy } = &self.blocking;
        let _changing = copy.changing.lock().await;
        let mut forget = redis::cmd("HDEL");
        forget.arg(key(self.link.prefix())).arg(whom.to_string());
        let gone = self.link.query::<u64>(&forget).await? > 0;
        Ok(copy.table.unblock(whom) || gone)
    }

    fn said<T>(&self, operation: Operation, said: Result<T, Failure>) -> Result<T, StoreError> {
        said.map_err(|why| {
            self.metrics.count(operation, Outcome::Failed);
            StoreError::Unavailable(format!("Redis: {why}"))
        })
    }
}

impl Blocks for RedisStore {
    fn block(&self, whom: Blocked, block: Block) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let has_room = self.said(Operation::Block, self.block_shared(&whom, &block).await)?;
            self.metrics.count(Operation::Block, if has_room { Outcome::Ok } else { Outcome::LeftOut });
            has_room.then_some(()).ok_or_else(full)
        })
    }

    fn unblock(&self, whom: Blocked) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let was_there = self.said(Operation::Unblock, self.unblock_shared(&whom).await)?;
            self.metrics.count(Operation::Unblock, if was_there { Outcome::Ok } else { Outcome::Absent });
            Ok(was_there)
        })
    }

    fn blocked(&self, whom: &[Blocked], at: SystemTime) -> Option<(Blocked, Block)> {
        self.blocking.copy.table.blocked(whom, at)
    }

    fn blocks(&self, at: SystemTime) -> Vec<(Blocked, Block)> {
        self.blocking.copy.table.all(at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::super::tests::{open, server};
    use super::*;
    use crate::store::Settings;
    use crate::store::battery::{Hands, metrics};

    #[tokio::test]
    async fn what_was_asked_before_a_block_does_not_undo_it() {
        if !server::is_here() {
            return;
        }
        let (store, _server) = open(&Settings::default(), Hands::at(UNIX_EPOCH), metrics());
        let (alice, link) = (Blocked::user("alice"), store.link.state());
        let block = Block { since: UNIX_EPOCH, until: None, why: "stolen".to_owned() };
        let copy = &store.blocking.copy;
        let (said, _, _) = tokio::join!(store.block(alice.clone(), block), copy.hear(link), copy.hear(link));
        said.expect("taken");
        assert!(store.blocked(std::slice::from_ref(&alice), UNIX_EPOCH).is_some());
        let (said, _, _) = tokio::join!(store.unblock(alice.clone()), copy.hear(link), copy.hear(link));
        assert_eq!((said, store.blocks(UNIX_EPOCH)), (Ok(true), Vec::new()));
    }
}
