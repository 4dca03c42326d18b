//! Who is blocked: memory answers, and the file has it before the operator hears that it is done.

use std::time::SystemTime;

use futures_util::future::BoxFuture;

use super::super::blocks::full;
use super::super::metrics::{Operation, Outcome};
use super::super::{Block, Blocked, Blocks, StoreError};
use super::EmbeddedStore;
use super::writer::Work;

impl Blocks for EmbeddedStore {
    fn block(&self, whom: Blocked, block: Block) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let Some(changes) = self.blocked.block(whom, block) else {
                self.metrics.count(Operation::Block, Outcome::LeftOut);
                return Err(full());
            };
            self.commit(Work::Blocks(changes, Operation::Block)).await.map(drop)
        })
    }

    fn unblock(&self, whom: Blocked) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            if !self.blocked.unblock(&whom) {
                self.metrics.count(Operation::Unblock, Outcome::Absent);
                return Ok(false);
            }
            self.commit(Work::Blocks(vec![(whom.to_string(), None)], Operation::Unblock)).await.map(|_| true)
        })
    }

    fn blocked(&self, whom: &[Blocked], at: SystemTime) -> Option<(Blocked, Block)> {
        self.blocked.blocked(whom, at)
    }

    fn blocks(&self, at: SystemTime) -> Vec<(Blocked, Block)> {
        self.blocked.all(at)
    }
}
