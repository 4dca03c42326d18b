//! Deliveries in memory.

use std::time::{Duration, SystemTime};

use futures_util::future::{self, BoxFuture};

use super::super::metrics::{Operation, Outcome};
use super::super::{Deliveries, DeliveryKey, StoreError};
use super::MemoryStore;

impl Deliveries for MemoryStore {
    fn delivered_look<'a>(
        &'a self,
        keys: &'a [DeliveryKey],
        at: SystemTime,
    ) -> BoxFuture<'a, Result<Vec<bool>, StoreError>> {
        self.metrics.count(Operation::DeliveredLook, Outcome::Ok);
        Box::pin(future::ready(Ok(self.delivered.look(keys, at))))
    }

    fn delivered_note(
        &self,
        keys: Vec<DeliveryKey>,
        lifetime: Duration,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.delivered.note(&keys, lifetime, at);
        self.metrics.show_deliveries(self.delivered.count());
        self.metrics.count(Operation::DeliveredNote, Outcome::Ok);
        Box::pin(future::ready(Ok(())))
    }

    fn delivered_drop(&self, keys: Vec<DeliveryKey>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.delivered.drop(&keys);
        self.metrics.show_deliveries(self.delivered.count());
        self.metrics.count(Operation::DeliveredDrop, Outcome::Ok);
        Box::pin(future::ready(Ok(())))
    }
}
