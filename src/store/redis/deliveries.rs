//! Deliveries in Redis: a key each, which expires by itself. There is no bound but that.

use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use super::RedisStore;
use super::failure::Failure;
use super::script::{Call, Script, scripts};
use crate::clock::seconds;
use crate::store::metrics::Operation;
use crate::store::{Deliveries, DeliveryKey, StoreError};

scripts! {
    LOOK = "delivered_look.lua";
    NOTE = "delivered_note.lua";
    DROP = "delivered_drop.lua";
}

impl RedisStore {
    fn delivery_call(&self, script: &'static Script, key: DeliveryKey) -> Call {
        script.at(format!("{}{{d{:032x}}}", self.link.prefix(), key.0))
    }

    async fn ask_of_deliveries(&self, calls: Vec<Call>) -> Result<Vec<bool>, Failure> {
        self.link.ask(&calls).await
    }
}

impl Deliveries for RedisStore {
    fn delivered_look<'a>(
        &'a self,
        keys: &'a [DeliveryKey],
        at: SystemTime,
    ) -> BoxFuture<'a, Result<Vec<bool>, StoreError>> {
        Box::pin(async move {
            let calls = keys.iter().map(|key| self.delivery_call(&LOOK, *key).arg(seconds(at))).collect();
            let local = self.local.delivered_look(keys, at).await?;
            match self.try_shared(Operation::DeliveredLook, self.ask_of_deliveries(calls)).await {
                Some(known) => Ok(known.into_iter().zip(local).map(|(shared, local)| shared || local).collect()),
                None => Ok(local),
            }
        })
    }

    fn delivered_note(
        &self,
        keys: Vec<DeliveryKey>,
        lifetime: Duration,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let until = seconds(at).saturating_add(lifetime.as_secs());
            let call = |key: &DeliveryKey| self.delivery_call(&NOTE, *key).arg(until).arg(lifetime.as_secs().max(1));
            let calls = keys.iter().map(call).collect();
            self.try_shared(Operation::DeliveredNote, self.ask_of_deliveries(calls)).await;
            // Here as well: a Redis that is away when the client comes again would cost a second copy.
            self.local.delivered_note(keys, lifetime, at).await
        })
    }

    fn delivered_drop(&self, keys: Vec<DeliveryKey>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let calls = keys.iter().map(|key| self.delivery_call(&DROP, *key)).collect();
            self.try_shared(Operation::DeliveredDrop, self.ask_of_deliveries(calls)).await;
            self.local.delivered_drop(keys).await
        })
    }
}
