//! Reputations in Redis.
//!
//! Neighbours lie in one of [`BUCKETS`] buckets, each in one slot of a cluster and with its share of the bound, so
//! that a sender of many networks displaces those of its bucket at most, those with the least evidence first.
//! For operators a list looks at the best of all buckets.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use xxhash_rust::xxh3::xxh3_64;

use super::RedisStore;
use super::failure::Failure;
use super::script::{Call, Script, scripts};
use crate::clock::seconds;
use crate::store::earned::{LONGEST_KEY, neighbourhood};
use crate::store::metrics::Operation;
use crate::store::record::time;
use crate::store::{Fading, ReputationRecord, Reputations, Reputed, StoreError};

scripts! {
    LOOK = "reputation_common.lua" "reputation_look.lua";
    NOTE = "reputation_common.lua" "reputation_note.lua";
    LIST = "reputation_common.lua" "reputation_list.lua";
    RESET = "reputation_common.lua" "reputation_reset.lua";
}

/// Into so many parts reputations are divided.
const BUCKETS: u64 = 256;
/// The least that a bucket may hold.
const LEAST: usize = 16;
/// A list may take so much longer than other operations.
const PATIENCE: u32 = 20;
/// Of a bucket a list shows so many at most.
const LISTED: usize = 10_000;

impl RedisStore {
    fn reputation_call(&self, script: &'static Script, key: &str) -> Call {
        let (name, number) = neighbourhood(key);
        let bucket = xxh3_64(format!("{name} {number}").as_bytes()) % BUCKETS;
        script.at(format!("{}{{e{bucket:02x}}}", self.link.prefix())).arg(key)
    }

    async fn look_at_reputations(
        &self,
        whose: &[Reputed],
        fading: Fading,
        at: SystemTime,
    ) -> Result<Vec<Option<ReputationRecord>>, Failure> {
        let call = |one: &Reputed| {
            self.reputation_call(&LOOK, &one.key()).arg(seconds(at)).arg(fading.half_life.as_secs().max(1))
        };
        let calls: Vec<Call> = whose.iter().map(call).collect();
        let answers: Vec<Vec<String>> = self.link.ask(&calls).await?;
        Ok(answers.iter().map(|answer| record(answer)).collect())
    }

    async fn note_reputations(
        &self,
        whose: &[Reputed],
        [good, bad]: [f64; 2],
        fading: Fading,
        at: SystemTime,
    ) -> Result<u64, Failure> {
        let bound = self.settings.reputations.div_ceil(BUCKETS as usize).max(LEAST);
        let clean = |evidence: f64| if evidence > 0.0 { evidence.min(1.0) } else { 0.0 };
        let keys = whose.iter().map(Reputed::key).filter(|key| key.len() <= LONGEST_KEY);
        let call = |key: Arc<str>| {
            let call = self.reputation_call(&NOTE, &key).arg(seconds(at)).arg(fading.half_life.as_secs().max(1));
            call.arg(clean(good)).arg(clean(bad)).arg(bound)
        };
        let calls: Vec<Call> = keys.map(call).collect();
        Ok(self.link.ask::<u64>(&calls).await?.into_iter().sum())
    }

    async fn list_reputations(
        &self,
        most: usize,
        fading: Fading,
        at: SystemTime,
    ) -> Result<Vec<(Reputed, ReputationRecord)>, Failure> {
        let call = |bucket| {
            let call = LIST.at(format!("{}{{e{bucket:02x}}}", self.link.prefix())).arg(most.min(LISTED));
            call.arg(seconds(at)).arg(fading.half_life.as_secs().max(1))
        };
        let calls: Vec<Call> = (0..BUCKETS).map(call).collect();
        let answers: Vec<Vec<Vec<String>>> = self.link.ask_within(&calls, self.deadline * PATIENCE).await?;
        let read = |answer: Vec<String>| {
            let (key, rest) = answer.split_first()?;
            Some((Reputed::of_key(&key.as_str().into()), record(rest)?))
        };
        Ok(answers.into_iter().flatten().filter_map(read).collect())
    }

    async fn reset_reputations(&self, whose: &[Reputed]) -> Result<usize, Failure> {
        let calls: Vec<Call> = whose.iter().map(|one| self.reputation_call(&RESET, &one.key())).collect();
        Ok(self.link.ask::<usize>(&calls).await?.into_iter().sum())
    }
}

impl Reputations for RedisStore {
    fn reputation_look<'a>(
        &'a self,
        whose: &'a [Reputed],
        fading: Fading,
        at: SystemTime,
    ) -> BoxFuture<'a, Result<Vec<Option<ReputationRecord>>, StoreError>> {
        Box::pin(async move {
            let shared = self.look_at_reputations(whose, fading, at);
            match self.try_shared(Operation::ReputationLook, shared).await {
                Some(known) if !self.has_local() => Ok(known),
                Some(known) => {
                    let local = self.local.reputation_look(whose, fading, at).await?;
                    Ok(known.into_iter().zip(local).map(|(shared, local)| shared.or(local)).collect())
                }
                None => self.local.reputation_look(whose, fading, at).await,
            }
        })
    }

    fn reputation_note(
        &self,
        whose: Vec<Reputed>,
        good: f64,
        bad: f64,
        fading: Fading,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let shared = self.note_reputations(&whose, [good, bad], fading, at);
            match self.try_shared(Operation::ReputationNote, shared).await {
                Some(displaced) => {
                    self.metrics.displace_reputations(displaced);
                    Ok(())
                }
                None => self.local.reputation_note(whose, good, bad, fading, at).await,
            }
        })
    }

    fn reputation_list(
        &self,
        most: usize,
        fading: Fading,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<Vec<(Reputed, ReputationRecord)>, StoreError>> {
        Box::pin(async move {
            let shared = self.list_reputations(most, fading, at);
            let mut found = self.try_shared(Operation::ReputationList, shared).await.unwrap_or_default();
            if self.has_local() {
                let known: HashSet<Reputed> = found.iter().map(|(whose, _)| whose.clone()).collect();
                let local = self.local.reputation_list(most, fading, at).await?;
                found.extend(local.into_iter().filter(|(whose, _)| !known.contains(whose)));
            }
            let evidence = |record: &ReputationRecord| record.good + record.bad;
            found.sort_by(|(a, one), (b, other)| evidence(other).total_cmp(&evidence(one)).then_with(|| a.cmp(b)));
            found.truncate(most);
            Ok(found)
        })
    }

    fn reputation_reset(&self, whose: Vec<Reputed>) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            match self.try_shared(Operation::ReputationReset, self.reset_reputations(&whose)).await {
                Some(reset) if !self.has_local() => Ok(reset),
                Some(reset) => Ok(reset.max(self.local.reputation_reset(whose).await?)),
                None => self.local.reputation_reset(whose).await,
            }
        })
    }
}

fn record(fields: &[String]) -> Option<ReputationRecord> {
    let [good, bad, first, last] = fields else { return None };
    let moment = |text: &String| Some(time(text.parse().ok()?));
    let evidence = |text: &String| text.parse::<f64>().ok().filter(|evidence| evidence.is_finite());
    Some(ReputationRecord { good: evidence(good)?, bad: evidence(bad)?, first: moment(first)?, last: moment(last)? })
}
