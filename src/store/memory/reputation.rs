//! Reputations in memory.

use std::time::SystemTime;

use futures_util::future::{self, BoxFuture};

use super::super::metrics::{Operation, Outcome};
use super::super::{Fading, ReputationRecord, Reputations, Reputed, StoreError};
use super::MemoryStore;

impl Reputations for MemoryStore {
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
        table.note(&whose, [good, bad], fading, at);
        let count = table.count();
        drop(table);
        self.metrics.show_reputations(count);
        self.metrics.count(Operation::ReputationNote, Outcome::Ok);
        Box::pin(future::ready(Ok(())))
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
        let forgotten = table.reset(&whose).len();
        let count = table.count();
        drop(table);
        self.metrics.show_reputations(count);
        self.metrics.count(Operation::ReputationReset, Outcome::Ok);
        Box::pin(future::ready(Ok(forgotten)))
    }
}
