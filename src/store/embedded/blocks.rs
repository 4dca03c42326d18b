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
            let is_known = self.blocked.unblock(&whom);
            // Whether it is in memory or not: a removal that the file did not take must do what it says when it is repeated.
            let work = Work::Blocks(vec![(whom.to_string(), None)], Operation::Unblock);
            Ok(self.commit(work).await? == Outcome::Ok || is_known)
        })
    }

    fn blocked(&self, whom: &[Blocked], at: SystemTime) -> Option<(Blocked, Block)> {
        self.blocked.blocked(whom, at)
    }

    fn blocks(&self, at: SystemTime) -> Vec<(Blocked, Block)> {
        self.blocked.all(at)
    }
}
