//! The only cache of DNS answers, in front of whatever asks the network.
//!
//! Promises: a question is on its way at most once, however many ask it; an asker that goes away
//! takes nothing from the others, since the question travels in a task of its own; no more than
//! the set number of questions travel at one time. How many wait for one answer is bounded by the
//! sessions alone: each costs a place in a list. Memory is bounded in answers, octets and records.
//!
//! Failure: errors are handed to all who wait and held for a moment, so that a hundred sessions do
//! not wait for the same dead name one after another (RFC 9520). While an expired answer is not too
//! old it takes the place of an error, and of an answer that takes too long (RFC 8767).

mod shelf;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};

use self::shelf::{Known, Memory, Shelf};
use super::question::{Kind, Network, Question, Records, Response};
use super::{Answer, Freshness, Heard, Lookup, LookupError, Metrics, Mx, Origin, Settings};

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
    stale: Duration,
    /// How long a fresh answer is waited for if there is a stale one.
    patience: Duration,
    metrics: Arc<Metrics>,
}

/// What is known and what is being asked, under one lock: nobody falls between the two.
struct Shard {
    shelf: Shelf,
    asked: HashMap<Question, Waiting>,
}

type Waiting = watch::Receiver<Option<Reply>>;

type Reply = Result<Known, LookupError>;

/// Where a question stands when it is asked.
enum Place {
    Fresh(Known),
    /// Expired, and nothing better is to be had soon.
    Stale(Known),
    /// On its way: somebody else's question, or our own; with what will do if it fails.
    Asked {
        waiting: Waiting,
        joined: bool,
        stale: Option<Known>,
    },
    Failed(LookupError),
}

/// A question on its way. However it ends, a panic included, nobody waits for it afterwards.
struct Flight<N: Network> {
    shared: Arc<Shared<N>>,
    question: Question,
    reply: watch::Sender<Option<Reply>>,
    landed: bool,
    _permit: OwnedSemaphorePermit,
}

/// Locks are held for well under a microsecond: with so many, two threads hardly ever meet.
const SHARDS: usize = 64;

/// A shard of fewer answers than this would forget by bad luck what others have room for.
const SHARD_AT_LEAST: usize = 16;

/// No message of DNS has addresses or texts of more octets than this, however small each is; none of them is
/// left out, since one that is missing would be evidence. Names may take more, since a message can repeat a
/// long one by two octets: of names, nobody looks at as many as there is room for.
const OCTETS: usize = 192 * 1024;

/// Even an answer that may not be kept (TTL 0, or a negative one without SOA: RFC 2308 5) serves the checks of
/// the session that asked.
const SHORTEST: Duration = Duration::from_secs(5);

/// How long a question that failed is not asked again (RFC 9520 3.2: 1 s to 5 min; RFC 8767 5).
const FAILED: Duration = Duration::from_secs(5);

impl<N: Network> Cache<N> {
    /// An empty cache before `network`.
    pub fn new(network: N, settings: &Settings, metrics: Arc<Metrics>) -> Self {
        let shards = (settings.cache_entries / SHARD_AT_LEAST).clamp(1, SHARDS);
        let each = NonZeroUsize::new(settings.cache_entries / shards).unwrap_or(NonZeroUsize::MIN);
        let shard = || Mutex::new(Shard { shelf: Shelf::new(each), asked: HashMap::new() });
        let shared = Shared {
            network,
            shards: (0..shards).map(|_| shard()).collect(),
            hasher: RandomState::new(),
            permits: Arc::new(Semaphore::new(settings.in_flight.clamp(1, Semaphore::MAX_PERMITS))),
            ttl_max: settings.ttl_max,
            negative_ttl_max: settings.negative_ttl_max,
            stale: settings.stale,
            patience: settings.timeout,
            metrics,
        };
        Self { shared: Arc::new(shared) }
    }

    /// The answer with whether it came from memory. Counted when there is one: who goes away before
    /// that was answered by nobody.
    async fn ask(&self, question: Question) -> Result<(Known, bool), LookupError> {
        let metrics = &self.shared.metrics;
        let (waiting, joined, stale) = match self.shared.place(&question) {
            Place::Fresh(known) => {
                metrics.hit.inc();
                return Ok((known, true));
            }
            Place::Stale(known) => {
                metrics.stale.inc();
                return Ok((known, true));
            }
            Place::Failed(why) => {
                metrics.failed.inc();
                return Err(why);
            }
            Place::Asked { waiting, joined, stale } => (waiting, joined, stale),
        };
        let reply = match &stale {
            Some(_) => timeout(self.shared.patience, landed(waiting)).await.unwrap_or(Err(LookupError::Timeout)),
            None => landed(waiting).await,
        };
        if let (Err(_), Some(known)) = (&reply, stale) {
            metrics.stale.inc();
            return Ok((known, true));
        }
        if joined {
            metrics.joined.inc()
        } else {
            metrics.miss.inc()
        }
        reply.map(|known| (known, false))
    }

    /// As [`Lookup::hear_a`] promises: nothing expired, and with whose question it was.
    async fn hear(&self, question: &Question, freshness: Freshness, within: Duration) -> (Reply, Origin) {
        let metrics = &self.shared.metrics;
        let (waiting, joined) = match self.shared.place_of_the_fresh(question, freshness) {
            Ok(way) => way,
            Err(Ok(known)) => {
                metrics.hit.inc();
                return (Ok(known), Origin::Memory);
            }
            Err(Err(why)) => {
                metrics.failed.inc();
                return (Err(why), Origin::Memory);
            }
        };
        let reply = timeout(within, landed(waiting)).await.unwrap_or(Err(LookupError::Timeout));
        if joined {
            metrics.joined.inc();
            return (reply, Origin::Joined);
        }
        metrics.miss.inc();
        (reply, Origin::Asked)
    }

    async fn answer<T>(
        &self,
        question: Result<Question, LookupError>,
        pick: fn(Records) -> Arc<[T]>,
    ) -> Result<Answer<T>, LookupError> {
        let (known, cached) = self.ask(question?).await?;
        Ok(Answer { records: pick(known.records), exists: known.exists, cached })
    }
}

/// Waits for the answer to a question on its way.
async fn landed(mut waiting: Waiting) -> Reply {
    // The sender goes away without a word only if the network's code panicked.
    let reply = waiting.wait_for(Option::is_some).await.map_err(|_| LookupError::Unreachable)?;
    reply.clone().unwrap_or(Err(LookupError::Unreachable))
}

impl<N: Network> Shared<N> {
    /// Finds the question in memory or on its way, or sends it off.
    fn place(self: &Arc<Self>, question: &Question) -> Place {
        let mut shard = self.shard(question);
        let stale = match shard.shelf.recall(question, Instant::now()) {
            Memory::Fresh(known) => return Place::Fresh(known),
            Memory::Wanting { stale: Some(known), failed: Some(_) } => return Place::Stale(known),
            Memory::Wanting { stale: None, failed: Some(why) } => return Place::Failed(why),
            Memory::Wanting { stale, failed: None } => stale,
        };
        match (self.way(shard, question), stale) {
            (Ok(_), Some(known)) if self.network.is_down() => Place::Stale(known),
            (Ok((waiting, joined)), stale) => Place::Asked { waiting, joined, stale },
            (Err(_), Some(known)) => Place::Stale(known),
            (Err(why), None) => Place::Failed(why),
        }
    }

    /// As [`Self::place`], for who wants nothing expired, and perhaps nothing remembered: the way that the
    /// question takes, or what is known of it.
    fn place_of_the_fresh(
        self: &Arc<Self>,
        question: &Question,
        freshness: Freshness,
    ) -> Result<(Waiting, bool), Reply> {
        let mut shard = self.shard(question);
        if freshness == Freshness::Holds {
            match shard.shelf.recall(question, Instant::now()) {
                Memory::Fresh(known) => return Err(Ok(known)),
                Memory::Wanting { failed: Some(why), .. } => return Err(Err(why)),
                Memory::Wanting { failed: None, .. } => {}
            }
        }
        self.way(shard, question).map_err(Err)
    }

    /// Joins the question if it is on its way, and sends it off if it is not. True if it is joined.
    fn way(
        self: &Arc<Self>,
        mut shard: MutexGuard<'_, Shard>,
        question: &Question,
    ) -> Result<(Waiting, bool), LookupError> {
        if let Some(waiting) = shard.asked.get(question).cloned() {
            return Ok((waiting, true));
        }
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            self.metrics.count(question.kind(), &Err(LookupError::Overloaded));
            return Err(LookupError::Overloaded);
        };
        let (reply, waiting) = watch::channel(None);
        shard.asked.insert(question.clone(), waiting.clone());
        // The flight takes the lock when it ends, and might end at once.
        drop(shard);
        self.metrics.in_flight.inc();
        let flight = Flight { shared: self.clone(), question: question.clone(), reply, landed: false, _permit: permit };
        tokio::spawn(flight.travel());
        Ok((waiting, false))
    }

    fn shard(&self, question: &Question) -> MutexGuard<'_, Shard> {
        let place = self.hasher.hash_one(question) as usize % self.shards.len();
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, mut response: Response) -> Known {
        if response.records.truncate(OCTETS) {
            self.metrics.cut.inc();
        }
        let lifetime = if response.records.is_empty() {
            response.ttl.unwrap_or(SHORTEST).max(SHORTEST).min(self.negative_ttl_max)
        } else {
            response.ttl.unwrap_or(SHORTEST).max(SHORTEST).min(self.ttl_max)
        };
        let until = Instant::now() + lifetime;
        Known { records: response.records, exists: response.exists, until, stale_until: until + self.stale }
    }
}

impl<N: Network> Flight<N> {
    async fn travel(mut self) {
        let begun = Instant::now();
        let response = self.shared.network.ask(&self.question).await;
        self.shared.metrics.duration.observe(begun.elapsed().as_secs_f64());
        self.shared.metrics.count(self.question.kind(), &response);
        let reply = response.map(|response| self.shared.known(response));
        {
            let mut shard = self.shared.shard(&self.question);
            shard.asked.remove(&self.question);
            let question = self.question.clone();
            match &reply {
                Ok(known) => shard.shelf.keep(question, known.clone()),
                Err(why) => shard.shelf.keep_failure(question, *why, Instant::now() + FAILED),
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
        Box::pin(self.answer(Question::new(Kind::A, name), Records::into_a))
    }

    fn hear_a<'a>(&'a self, name: &'a str, freshness: Freshness, within: Duration) -> BoxFuture<'a, Heard<Ipv4Addr>> {
        Box::pin(async move {
            let (reply, origin) = match Question::new(Kind::A, name) {
                Ok(question) => self.hear(&question, freshness, within).await,
                Err(why) => (Err(why), Origin::Asked),
            };
            let cached = origin == Origin::Memory;
            let answer = reply.map(|known| Answer { records: known.records.into_a(), exists: known.exists, cached });
            Heard { answer, origin }
        })
    }

    fn aaaa<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Ipv6Addr>, LookupError>> {
        Box::pin(self.answer(Question::new(Kind::Aaaa, name), Records::into_aaaa))
    }

    fn ptr(&self, addr: IpAddr) -> BoxFuture<'_, Result<Answer<Arc<str>>, LookupError>> {
        Box::pin(self.answer(Ok(Question::names_of(addr)), Records::into_texts))
    }

    fn txt<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Arc<str>>, LookupError>> {
        Box::pin(self.answer(Question::new(Kind::Txt, name), Records::into_texts))
    }

    fn mx<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Mx>, LookupError>> {
        Box::pin(self.answer(Question::new(Kind::Mx, name), Records::into_mx))
    }

    fn ns<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Arc<str>>, LookupError>> {
        Box::pin(self.answer(Question::new(Kind::Ns, name), Records::into_texts))
    }
}

#[cfg(test)]
mod tests;
