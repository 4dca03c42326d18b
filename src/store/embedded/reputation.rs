//! Reputations: memory answers, and the file hears of what has changed.

use std::time::SystemTime;

use futures_util::future::{self, BoxFuture};

use super::super::earned::EarnedChange;
use super::super::metrics::{Operation, Outcome};
use super::super::{Fading, ReputationRecord, Reputations, Reputed, StoreError};
use super::writer::{Order, Work};
use super::{CHANGES_AT_ONCE, EmbeddedStore};

impl Reputations for EmbeddedStore {
    fn reputation_look<'a>(
        &'a self,
        whose: &'a [Reputed],
        fading: Fading,
        at: SystemTime,
    ) -> BoxFuture<'a, Result<Vec<Option<ReputationRecord>>, StoreError>> {
        self.metrics.count(Operation::ReputationLook, Outcome::Ok);
        Box::pin(future::ready(Ok(self.reputables.lock().look(whose, fading, at))))
    }

    fn reputation_note(
        &self,
        whose: Vec<Reputed>,
        good: f64,
        bad: f64,
        fading: Fading,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut table = self.reputables.lock();
        let changes = table.note(&whose, [good, bad], fading, at);
        let count = table.count();
        // Under the lock, so that the file hears of changes in their order; queueing never waits.
        let ordered = self.write_reputations(changes, Operation::ReputationNote);
        drop(table);
        self.metrics.show_reputations(count);
        Box::pin(future::ready(ordered))
    }

    fn reputation_list(
        &self,
        most: usize,
        fading: Fading,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<Vec<(Reputed, ReputationRecord)>, StoreError>> {
        self.metrics.count(Operation::ReputationList, Outcome::Ok);
        Box::pin(async move { Ok(self.reputables.list(most, fading, at).await) })
    }

    fn reputation_reset(&self, whose: Vec<Reputed>) -> BoxFuture<'_, Result<usize, StoreError>> {
        let mut table = self.reputables.lock();
        let changes = table.reset(&whose);
        let (forgotten, count) = (changes.len(), table.count());
        let ordered = self.write_reputations(changes, Operation::ReputationReset);
        drop(table);
        self.metrics.show_reputations(count);
        Box::pin(future::ready(ordered.map(|()| forgotten)))
    }
}

impl EmbeddedStore {
    /// Queues what has changed; counted here only if there is nothing to write.
    pub(super) fn write_reputations(&self, changes: Vec<EarnedChange>, operation: Operation) -> Result<(), StoreError> {
        if changes.is_empty() {
            self.metrics.count(operation, Outcome::Ok);
        }
        let orders = changes
            .chunks(CHANGES_AT_ONCE)
            .map(|some| Order { work: Work::Reputations(some.to_vec(), operation), committed: None });
        orders.map(|order| self.order(order)).fold(Ok(()), Result::and)
    }
}
