//! The only cache of DNS answers, in front of whatever asks the network.
//!
//! Promises: a question is on its way at most once, however many ask it; an asker that goes away
//! takes nothing from the others, since the question travels in a task of its own; no more than
//! the set number of questions travel at one time.
//!
//! Failure: errors are handed to all who wait and then forgotten.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use lru::LruCache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::question::{Kind, Network, Question, Records, Response};
use super::{Answer, Lookup, LookupError, Metrics, Mx, Settings};

/// A [`Lookup`] over a [`Network`].
pub struct Cache<N> {
    shared: Arc<Shared<N>>,
}

struct Shared<N> {
    network: N,
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    permits: Arc<Semaphore>,
    ttl_max: Duration,
    negative_ttl_max: Duration,
    metrics: Arc<Metrics>,
}

/// What is known and what is being asked, under one lock: nobody falls between the two.
struct Shard {
    known: LruCache<Question, Known>,
    asked: HashMap<Question, watch::Receiver<Option<Reply>>>,
}

#[derive(Clone, Debug)]
struct Known {
    records: Records,
    exists: bool,
    until: Instant,
}

type Reply = Result<Known, LookupError>;

/// Where a question stands when it is asked.
enum Place {
    Known(Known),
    Asked(watch::Receiver<Option<Reply>>),
}

/// A question on its way. However it ends, a panic included, nobody waits for it afterwards.
struct Flight<N: Network> {
    shared: Arc<Shared<N>>,
    question: Question,
    reply: watch::Sender<Option<Reply>>,
    landed: bool,
    _permit: OwnedSemaphorePermit,
}

/// Locks held for well under a microsecond: a few shards are enough.
const SHARDS: usize = 8;

/// Even an answer that may not be kept (TTL 0) serves the checks of the session that asked.
const SHORTEST: Duration = Duration::from_secs(5);

/// How long "no such record" holds if the answer does not say.
const NEGATIVE_WITHOUT_TTL: Duration = Duration::from_secs(30);

impl<N: Network> Cache<N> {
    /// An empty cache before `network`.
    pub fn new(network: N, settings: &Settings, metrics: Arc<Metrics>) -> Self {
        let each = NonZeroUsize::new(settings.cache_entries / SHARDS).unwrap_or(NonZeroUsize::MIN);
        let shard = || Mutex::new(Shard { known: LruCache::new(each), asked: HashMap::new() });
        let shared = Shared {
            network,
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: RandomState::new(),
            permits: Arc::new(Semaphore::new(settings.in_flight.clamp(1, Semaphore::MAX_PERMITS))),
            ttl_max: settings.ttl_max,
            negative_ttl_max: settings.negative_ttl_max,
            metrics,
        };
        Self { shared: Arc::new(shared) }
    }

    /// The answer with whether it came from memory.
    async fn ask(&self, question: Question) -> Result<(Known, bool), LookupError> {
        let mut reply = match self.shared.place(&question)? {
            Place::Known(known) => return Ok((known, true)),
            Place::Asked(reply) => reply,
        };
        // The sender goes away without a word only if the network's code panicked.
        let landed = reply.wait_for(Option::is_some).await.map_err(|_| LookupError::Unreachable)?;
        landed.clone().unwrap_or(Err(LookupError::Unreachable)).map(|known| (known, false))
    }

    async fn answer<T>(
        &self,
        question: Result<Question, LookupError>,
        pick: fn(Records) -> Option<Arc<[T]>>,
    ) -> Result<Answer<T>, LookupError> {
        let (known, cached) = self.ask(question?).await?;
        Ok(Answer { records: pick(known.records).unwrap_or_else(|| [].into()), exists: known.exists, cached })
    }
}

impl<N: Network> Shared<N> {
    /// Finds the question in memory or on its way, or sends it off.
    fn place(self: &Arc<Self>, question: &Question) -> Result<Place, LookupError> {
        let mut shard = self.shard(question);
        match shard.known.get(question) {
            Some(known) if known.until > Instant::now() => {
                self.metrics.hit.inc();
                return Ok(Place::Known(known.clone()));
            }
            Some(_) => drop(shard.known.pop(question)),
            None => {}
        }
        if let Some(reply) = shard.asked.get(question) {
            self.metrics.joined.inc();
            return Ok(Place::Asked(reply.clone()));
        }
        self.metrics.miss.inc();
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            self.metrics.count(question.kind(), &Err(LookupError::Overloaded));
            return Err(LookupError::Overloaded);
        };
        let (sender, receiver) = watch::channel(None);
        shard.asked.insert(question.clone(), receiver.clone());
        drop(shard);
        self.metrics.in_flight.inc();
        let flight =
            Flight { shared: self.clone(), question: question.clone(), reply: sender, landed: false, _permit: permit };
        tokio::spawn(flight.travel());
        Ok(Place::Asked(receiver))
    }

    fn shard(&self, question: &Question) -> MutexGuard<'_, Shard> {
        let place = self.hasher.hash_one(question) as usize % SHARDS;
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, response: Response) -> Known {
        let lifetime = if response.records.is_empty() {
            response.ttl.unwrap_or(NEGATIVE_WITHOUT_TTL).max(SHORTEST).min(self.negative_ttl_max)
        } else {
            response.ttl.unwrap_or(SHORTEST).max(SHORTEST).min(self.ttl_max)
        };
        Known { records: response.records, exists: response.exists, until: Instant::now() + lifetime }
    }
}

impl<N: Network> Flight<N> {
    async fn travel(mut self) {
        let begun = Instant::now();
        let response = self.shared.network.ask(&self.question).await;
        self.shared.metrics.duration.observe(begun.elapsed().as_secs_f64());
        self.shared.metrics.count(self.question.kind(), &response);
        let reply = response.map(|response| self.shared.keep(response));
        {
            let mut shard = self.shared.shard(&self.question);
            shard.asked.remove(&self.question);
            if let Ok(known) = &reply {
                shard.known.put(self.question.clone(), known.clone());
            }
        }
        self.landed = true;
        // Nobody may be left who waits; the answer is kept for the next.
        self.reply.send_replace(Some(reply));
    }
}

impl<N: Network> Drop for Flight<N> {
    fn drop(&mut self) {
        self.shared.metrics.in_flight.dec();
        // Once landed, the entry of that question belongs to somebody else.
        if !self.landed {
            self.shared.shard(&self.question).asked.remove(&self.question);
        }
    }
}

impl<N: Network> Lookup for Cache<N> {
    fn a<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Ipv4Addr>, LookupError>> {
        Box::pin(self.answer(Question::new(Kind::A, name), |records| match records {
            Records::A(records) => Some(records),
            _ => None,
        }))
    }

    fn aaaa<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Ipv6Addr>, LookupError>> {
        Box::pin(self.answer(Question::new(Kind::Aaaa, name), |records| match records {
            Records::Aaaa(records) => Some(records),
            _ => None,
        }))
    }

    fn ptr(&self, addr: IpAddr) -> BoxFuture<'_, Result<Answer<Arc<str>>, LookupError>> {
        Box::pin(self.answer(Ok(Question::names_of(addr)), |records| match records {
            Records::Ptr(records) => Some(records),
            _ => None,
        }))
    }

    fn txt<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Arc<str>>, LookupError>> {
        Box::pin(self.answer(Question::new(Kind::Txt, name), |records| match records {
            Records::Txt(records) => Some(records),
            _ => None,
        }))
    }

    fn mx<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Mx>, LookupError>> {
        Box::pin(self.answer(Question::new(Kind::Mx, name), |records| match records {
            Records::Mx(records) => Some(records),
            _ => None,
        }))
    }

    fn ns<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Arc<str>>, LookupError>> {
        Box::pin(self.answer(Question::new(Kind::Ns, name), |records| match records {
            Records::Ns(records) => Some(records),
            _ => None,
        }))
    }
}

#[cfg(test)]
mod tests;
