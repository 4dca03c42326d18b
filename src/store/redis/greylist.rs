//! Triplets in Redis.
//!
//! Triplets of one crowd (see [`crate::store::Holder`]) lie together, crowds in [`BUCKETS`] buckets, each in one
//! slot of a cluster and with its share of the bound. Within a bucket room is given up as in the other homes.
//! For operators a list looks through all buckets; nothing is kept for that.

use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use super::RedisStore;
use super::failure::Failure;
use super::script::{Call, scripts};
use crate::clock::seconds;
use crate::store::metrics::Operation;
use crate::store::triplets::{ENTRY, Entry, KEY};
use crate::store::{Greylist, Secret, StoreError, TripletEvent, TripletKey, TripletRecord, WantedTriplets};

scripts! {
    LOOK = "greylist_look.lua";
    NOTE = "greylist_note.lua";
    LIST = "greylist_list.lua";
}

/// Into so many parts triplets are divided.
const BUCKETS: u64 = 256;
/// The least that a bucket may hold.
const LEAST: usize = 16;
/// A list may take so much longer than other operations.
const PATIENCE: u32 = 20;
/// What a crowd is called, and in which bucket it is.
struct Crowd {
    bucket: u64,
    name: String,
}

// === impl Crowd ===

impl Crowd {
    fn of(key: &TripletKey) -> Self {
        let first = *key.holder().crowd().start();
        // Neighbours are spread, or one provider's networks would share one bucket.
        let bucket = first.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56 & (BUCKETS - 1);
        Self { bucket, name: format!("{first:x}") }
    }
}

impl RedisStore {
    /// Whether the clock has leapt of late.
    fn is_doubted(&self, now: u64) -> bool {
        let mut doubt = self.doubt.lock().unwrap_or_else(PoisonError::into_inner);
        doubt.mind(now);
        doubt.is_doubted(now)
    }

    fn bucket(&self, number: u64) -> String {
        format!("{}{{g{number:02x}}}", self.link.prefix())
    }

    /// A call for each bucket, with the positions of what it is about.
    fn by_bucket<'k>(&self, keys: impl Iterator<Item = &'k TripletKey>) -> Vec<(Crowd, Vec<usize>)> {
        let mut buckets: Vec<(Crowd, Vec<usize>)> = Vec::with_capacity(1);
        for (at, key) in keys.enumerate() {
            let crowd = Crowd::of(key);
            match buckets.iter_mut().find(|(known, _)| known.bucket == crowd.bucket) {
                Some((_, positions)) => positions.push(at),
                None => buckets.push((crowd, vec![at])),
            }
        }
        buckets
    }

    async fn look(&self, keys: &[TripletKey], at: SystemTime) -> Result<Vec<Option<TripletRecord>>, Failure> {
        let is_doubted = self.is_doubted(seconds(at));
        let buckets = self.by_bucket(keys.iter());
        let call = |(crowd, positions): &(Crowd, Vec<usize>)| {
            let keys = positions.iter().filter_map(|at| keys.get(*at));
            keys.fold(LOOK.at(self.bucket(crowd.bucket)), |call, key| {
                call.arg(Crowd::of(key).name).arg(&key.encode()[..])
            })
        };
        let calls: Vec<Call> = buckets.iter().map(call).collect();
        let answers: Vec<Vec<Option<Vec<u8>>>> = self.link.ask(&calls).await?;
        let mut known = vec![None; keys.len()];
        for ((_, positions), answer) in buckets.iter().zip(answers) {
            for (position, packed) in positions.iter().zip(answer) {
                let record = packed.and_then(|packed| record(&packed));
                if let Some(place) = known.get_mut(*position) {
                    *place = record.filter(|record| is_doubted || record.until >= at);
                }
            }
        }
        Ok(known)
    }

    async fn note(&self, events: &[(TripletKey, TripletEvent)], at: SystemTime) -> Result<u64, Failure> {
        let now = seconds(at);
        let is_doubted = self.is_doubted(now);
        let bound = self.settings.triplets.div_ceil(BUCKETS as usize).max(LEAST);
        let call = |(crowd, positions): &(Crowd, Vec<usize>)| {
            let call = NOTE.at(self.bucket(crowd.bucket)).arg(now).arg(u8::from(is_doubted)).arg(bound);
            let events = positions.iter().filter_map(|at| events.get(*at));
            events.fold(call, |call, (key, event)| {
                let (event, keep) = words(*event);
                call.arg(Crowd::of(key).name).arg(&key.encode()[..]).arg(event).arg(keep.as_secs())
            })
        };
        let calls: Vec<Call> = self.by_bucket(events.iter().map(|(key, _)| key)).iter().map(call).collect();
        Ok(self.link.ask::<u64>(&calls).await?.into_iter().sum())
    }

    async fn list(&self, wanted: WantedTriplets, at: SystemTime) -> Result<Vec<(TripletKey, TripletRecord)>, Failure> {
        let call =
            |bucket| LIST.at(self.bucket(bucket)).arg(u8::from(wanted.waiting)).arg(wanted.most).arg(seconds(at));
        let calls: Vec<Call> = (0..BUCKETS).map(call).collect();
        let answers: Vec<Vec<Vec<u8>>> = self.link.ask_within(&calls, self.deadline * PATIENCE).await?;
        let mut found = Vec::new();
        for answer in answers {
            for pair in answer.chunks_exact(2) {
                let [key, packed] = pair else { continue };
                let Ok(key) = <[u8; KEY]>::try_from(&key[..]) else { continue };
                found.extend(record(packed).map(|record| (TripletKey::decode(&key), record)));
            }
        }
        Ok(found)
    }
}

impl Greylist for RedisStore {
    fn greylist_secret(&self) -> Secret {
        self.link.shared().secret.clone()
    }

    fn greylist_look<'a>(
        &'a self,
        keys: &'a [TripletKey],
        at: SystemTime,
    ) -> BoxFuture<'a, Result<Vec<Option<TripletRecord>>, StoreError>> {
        Box::pin(async move {
            let known = self.try_shared(Operation::GreylistLook, self.look(keys, at)).await;
            // What memory noted while Redis was gone still counts.
            match known {
                Some(known) if !self.has_local() => Ok(known),
                Some(known) => {
                    let local = self.local.greylist_look(keys, at).await?;
                    Ok(known.into_iter().zip(local).map(|(shared, local)| shared.or(local)).collect())
                }
                None => self.local.greylist_look(keys, at).await,
            }
        })
    }

    fn greylist_note(
        &self,
        events: Vec<(TripletKey, TripletEvent)>,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let displaced = self.try_shared(Operation::GreylistNote, self.note(&events, at)).await;
            if let Some(displaced) = displaced {
                self.metrics.displace(displaced);
            }
            // What is forgotten is forgotten in both.
            let is_loss = |event: &TripletEvent| matches!(event, TripletEvent::Spam | TripletEvent::Drop);
            match displaced {
                Some(_) if !self.has_local() || !events.iter().any(|(_, event)| is_loss(event)) => Ok(()),
                Some(_) => {
                    let losses = events.into_iter().filter(|(_, event)| is_loss(event)).collect();
                    self.local.greylist_note(losses, at).await
                }
                None => self.local.greylist_note(events, at).await,
            }
        })
    }

    fn greylist_list(
        &self,
        wanted: WantedTriplets,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<Vec<(TripletKey, TripletRecord)>, StoreError>> {
        Box::pin(async move {
            let shared = self.try_shared(Operation::GreylistList, self.list(wanted, at)).await;
            let mut found = shared.unwrap_or_default();
            if self.has_local() {
                let local = self.local.greylist_list(wanted, at).await?;
                let known: std::collections::HashSet<TripletKey> = found.iter().map(|(key, _)| *key).collect();
                found.extend(local.into_iter().filter(|(key, _)| !known.contains(key)));
            }
            found.sort_by(|(a, one), (b, other)| other.last.cmp(&one.last).then_with(|| a.cmp(b)));
            found.truncate(wanted.most);
            Ok(found)
        })
    }
}

fn record(packed: &[u8]) -> Option<TripletRecord> {
    let packed: &[u8; ENTRY] = packed.try_into().ok()?;
    Some(Entry::decode(packed).record())
}

/// What the scripts call an event, and how long it is remembered.
fn words(event: TripletEvent) -> (&'static str, Duration) {
    match event {
        TripletEvent::Attempt(keep) => ("attempt", keep),
        TripletEvent::Delivery(keep) => ("delivery", keep),
        TripletEvent::Credit(keep) => ("credit", keep),
        TripletEvent::Spam => ("spam", Duration::ZERO),
        TripletEvent::Pass(keep) => ("pass", keep),
        TripletEvent::Drop => ("drop", Duration::ZERO),
    }
}
