//! Deliveries: memory answers, and the file has them before anybody goes by it.

use std::time::{Duration, SystemTime};

use futures_util::future::{self, BoxFuture};

use super::super::metrics::{Operation, Outcome};
use super::super::{Deliveries, DeliveryKey, StoreError};
use super::EmbeddedStore;
use super::writer::{Order, Work};

impl Deliveries for EmbeddedStore {
    fn delivered_look<'a>(
        &'a self,
        keys: &'a [DeliveryKey],
        at: SystemTime,
    ) -> BoxFuture<'a, Result<Vec<bool>, StoreError>> {
        self.metrics.count(Operation::DeliveredLook, Outcome::Ok);
        Box::pin(future::ready(Ok(self.delivered.look(keys, at))))
    }

    /// On disk when it returns: the client is told to come again, and a proxy that has forgotten would deliver twice.
    fn delivered_note(
        &self,
        keys: Vec<DeliveryKey>,
        lifetime: Duration,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let changes = self.delivered.note(&keys, lifetime, at);
        self.metrics.show_deliveries(self.delivered.count());
        Box::pin(async move { self.commit(Work::Delivered(changes, Operation::DeliveredNote)).await.map(drop) })
    }

    fn delivered_drop(&self, keys: Vec<DeliveryKey>) -> BoxFuture<'_, Result<(), StoreError>> {
        let changes = self.delivered.drop(&keys);
        self.metrics.show_deliveries(self.delivered.count());
        let work = Work::Delivered(changes, Operation::DeliveredDrop);
        Box::pin(future::ready(self.order(Order { work, committed: None })))
    }
}
