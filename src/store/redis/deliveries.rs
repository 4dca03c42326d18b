//! Deliveries in Redis: one set, in one slot, because it has one bound. Memory has those of this proxy as well.

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
    fn delivery_call(&self, script: &'static Script) -> Call {
        script.at(format!("{}{{deliveries}}", self.link.prefix()))
    }

    async fn look_for_deliveries(&self, keys: &[DeliveryKey], at: SystemTime) -> Result<Vec<bool>, Failure> {
        let call = self.delivery_call(&LOOK).arg(seconds(at));
        self.link.ask_one(keys.iter().fold(call, |call, key| call.arg(name(key)))).await
    }
}

/// The name of one in the set.
fn name(key: &DeliveryKey) -> Vec<u8> {
    key.0.to_be_bytes().to_vec()
}

impl Deliveries for RedisStore {
    fn delivered_look<'a>(
        &'a self,
        keys: &'a [DeliveryKey],
        at: SystemTime,
    ) -> BoxFuture<'a, Result<Vec<bool>, StoreError>> {
        Box::pin(async move {
            let local = self.local.delivered_look(keys, at).await?;
            match self.try_shared(Operation::DeliveredLook, self.look_for_deliveries(keys, at)).await {
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
            let (now, lasts) = (seconds(at), lifetime.as_secs().max(1));
            let most = self.settings.deliveries.max(1);
            let call = self.delivery_call(&NOTE).arg(now).arg(now.saturating_add(lasts)).arg(lasts).arg(most);
            let call = keys.iter().fold(call, |call, key| call.arg(name(key)));
            // Here as well, and first: nobody waits for long, and a Redis that is away when the client comes again would cost
            // a second copy.
            let local = self.local.delivered_note(keys, lifetime, at).await;
            self.try_shared(Operation::DeliveredNote, self.link.ask_one::<bool>(call)).await;
            local
        })
    }

    fn delivered_drop(&self, keys: Vec<DeliveryKey>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let call = keys.iter().fold(self.delivery_call(&DROP), |call, key| call.arg(name(key)));
            let local = self.local.delivered_drop(keys).await;
            self.try_shared(Operation::DeliveredDrop, self.link.ask_one::<bool>(call)).await;
            local
        })
    }
}
