//! Who is blocked, in memory.

use std::time::SystemTime;

use futures_util::future::{self, BoxFuture};

use super::super::blocks::full;
use super::super::metrics::{Operation, Outcome};
use super::super::{Block, Blocked, Blocks, StoreError};
use super::MemoryStore;

impl Blocks for MemoryStore {
    fn block(&self, whom: Blocked, block: Block) -> BoxFuture<'_, Result<(), StoreError>> {
        let done = self.blocked.block(whom, block).map(drop).ok_or_else(full);
        self.metrics.count(Operation::Block, if done.is_ok() { Outcome::Ok } else { Outcome::LeftOut });
        Box::pin(future::ready(done))
    }

    fn unblock(&self, whom: Blocked) -> BoxFuture<'_, Result<bool, StoreError>> {
        let was_there = self.blocked.unblock(&whom);
        self.metrics.count(Operation::Unblock, if was_there { Outcome::Ok } else { Outcome::Absent });
        Box::pin(future::ready(Ok(was_there)))
    }

    fn blocked(&self, whom: &[Blocked], at: SystemTime) -> Option<(Blocked, Block)> {
        self.blocked.blocked(whom, at)
    }

    fn blocks(&self, at: SystemTime) -> Vec<(Blocked, Block)> {
        self.blocked.all(at)
    }
}
