//! Buckets in Redis: a key each, which expires when the bucket is full. There is no bound but that.

use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use super::RedisStore;
use super::failure::Failure;
use super::script::{Call, scripts};
use crate::store::metrics::Operation;
use crate::store::rates::micros;
use crate::store::{Rates, StoreError, Taken, Taking};

scripts! {
    TAKE = "rates_take.lua";
}

impl RedisStore {
    async fn take(&self, takings: &[Taking], at: SystemTime) -> Result<Vec<Taken>, Failure> {
        let now = micros(at);
        let call = |taking: &Taking| {
            let Taking { key, allowance, units, into_debt } = taking;
            TAKE.at(format!("{}{{r{:x}:{:x}}}", self.link.prefix(), key.limit, key.whom))
                .arg(now)
                .arg(allowance.span())
                .arg(allowance.cost((*units).max(1)))
                .arg(u8::from(*units > 0))
                .arg(u8::from(*into_debt))
        };
        // Buckets may lie in different slots: a call each, sent together.
        let calls: Vec<Call> = takings.iter().map(call).collect();
        let answers: Vec<(bool, u64, u64)> = self.link.ask(&calls).await?;
        let taken = takings.iter().zip(answers).map(|(taking, (is_within, lacks, wanted))| {
            let allowance = taking.allowance;
            let wait = Duration::from_micros(wanted.saturating_sub(allowance.span()));
            Taken { is_within, wait, left: allowance.left(lacks) }
        });
        Ok(taken.collect())
    }
}

impl Rates for RedisStore {
    fn rates_take(&self, takings: Vec<Taking>, at: SystemTime) -> BoxFuture<'_, Result<Vec<Taken>, StoreError>> {
        Box::pin(async move {
            match self.try_shared(Operation::RatesTake, self.take(&takings, at)).await {
                Some(taken) => Ok(taken),
                None => self.local.rates_take(takings, at).await,
            }
        })
    }
}
