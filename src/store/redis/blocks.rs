//! Who is blocked: one hash, of which every proxy has a copy in memory.
//!
//! A block is said in Redis first, and holds at all proxies within two seconds. While Redis is away the last copy
//! holds, and nothing can be changed: the operator hears it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use super::RedisStore;
use super::failure::Failure;
use super::link::{Link, State, WeakLink};
use crate::store::blocks::{BlockTable, full};
use crate::store::metrics::{Operation, Outcome};
use crate::store::{Block, Blocked, Blocks, StoreError};

/// Between two looks at what others have said.
const INTERVAL: Duration = Duration::from_secs(2);

/// The copy.
pub(super) struct Blocking {
    table: Arc<BlockTable>,
}

impl Blocking {
    /// Knows nobody yet, and begins to hear.
    pub(super) fn new(link: &Link) -> Self {
        let table = Arc::new(BlockTable::default());
        link.spawn(follow(link.weak(), Arc::downgrade(&table)));
        Self { table }
    }
}

/// Hears what others have said until nobody needs it any more.
async fn follow(link: WeakLink, table: Weak<BlockTable>) {
    loop {
        let (Some(link), Some(table)) = (link.upgrade(), table.upgrade()) else { return };
        // A failure was counted where it happened; another look follows.
        let _ = hear(&link, &table).await;
        drop((link, table));
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn hear(link: &State, table: &BlockTable) -> Result<(), Failure> {
    let mut ask = redis::cmd("HGETALL");
    ask.arg(key(link.prefix()));
    let all: HashMap<String, Vec<u8>> = link.query(&ask).await?;
    table.replace(all);
    Ok(())
}

fn key(prefix: &str) -> String {
    format!("{prefix}{{blocks}}")
}

impl RedisStore {
    async fn block_shared(&self, whom: &Blocked, block: &Block) -> Result<bool, Failure> {
        // What others have said since the last look must not be lost where room is made.
        hear(self.link.state(), &self.blocking.table).await?;
        let Some(changes) = self.blocking.table.block(whom.clone(), block.clone()) else { return Ok(false) };
        for (whom, kept) in changes {
            let mut change = redis::cmd(if kept.is_some() { "HSET" } else { "HDEL" });
            change.arg(key(self.link.prefix())).arg(whom).arg(kept);
            self.link.query::<u64>(&change).await?;
        }
        Ok(true)
    }

    async fn unblock_shared(&self, whom: &Blocked) -> Result<bool, Failure> {
        let mut forget = redis::cmd("HDEL");
        forget.arg(key(self.link.prefix())).arg(whom.to_string());
        let gone = self.link.query::<u64>(&forget).await? > 0;
        Ok(self.blocking.table.unblock(whom) || gone)
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
        self.blocking.table.blocked(whom, at)
    }

    fn blocks(&self, at: SystemTime) -> Vec<(Blocked, Block)> {
        self.blocking.table.all(at)
    }
}
