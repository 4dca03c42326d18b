//! Local zones before everything else: their names are answered here and are never asked on the network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::question::{Kind, Question, Records};
use super::zones::LocalZones;
use super::{Answer, Freshness, Heard, Lookup, LookupError, Mx, Origin};

/// Answers for the local zones, and hands on all other questions.
pub struct Local {
    zones: Arc<LocalZones>,
    next: Arc<dyn Lookup>,
}

impl Local {
    /// Puts `zones` before `next`.
    pub fn new(zones: Arc<LocalZones>, next: Arc<dyn Lookup>) -> Self {
        Self { zones, next }
    }

    /// `None` if no zone is responsible. Waits for nothing.
    fn answer<T>(
        &self,
        kind: Kind,
        name: &str,
        pick: fn(Records) -> Arc<[T]>,
    ) -> Option<Result<Answer<T>, LookupError>> {
        let zones = self.zones.current();
        if zones.is_empty() {
            return None;
        }
        // What is no name is for the next to refuse.
        let question = Question::new(kind, name).ok()?;
        let response = zones.ask(&question)?;
        Some(response.map(|response| Answer {
            records: pick(response.records),
            exists: response.exists,
            cached: false,
        }))
    }
}

fn ready<'a, T: Send + Sync + 'a>(
    answer: Result<Answer<T>, LookupError>,
) -> BoxFuture<'a, Result<Answer<T>, LookupError>> {
    Box::pin(std::future::ready(answer))
}

impl Lookup for Local {
    fn a<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Ipv4Addr>, LookupError>> {
        self.answer(Kind::A, name, Records::into_a).map_or_else(|| self.next.a(name), ready)
    }

    fn hear_a<'a>(&'a self, name: &'a str, freshness: Freshness, within: Duration) -> BoxFuture<'a, Heard<Ipv4Addr>> {
        match self.answer(Kind::A, name, Records::into_a) {
            Some(answer) => Box::pin(std::future::ready(Heard { answer, origin: Origin::Asked })),
            None => self.next.hear_a(name, freshness, within),
        }
    }

    fn aaaa<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Ipv6Addr>, LookupError>> {
        self.answer(Kind::Aaaa, name, Records::into_aaaa).map_or_else(|| self.next.aaaa(name), ready)
    }

    fn ptr(&self, addr: IpAddr) -> BoxFuture<'_, Result<Answer<Arc<str>>, LookupError>> {
        let zones = self.zones.current();
        if zones.is_empty() {
            return self.next.ptr(addr);
        }
        match zones.names_of(&Question::names_of(addr)) {
            Some(Ok(response)) => {
                ready(Ok(Answer { records: response.records.into_texts(), exists: response.exists, cached: false }))
            }
            Some(Err(error)) => ready(Err(error)),
            None => self.next.ptr(addr),
        }
    }

    fn txt<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Arc<str>>, LookupError>> {
        self.answer(Kind::Txt, name, Records::into_texts).map_or_else(|| self.next.txt(name), ready)
    }

    fn mx<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Mx>, LookupError>> {
        self.answer(Kind::Mx, name, Records::into_mx).map_or_else(|| self.next.mx(name), ready)
    }

    fn ns<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Arc<str>>, LookupError>> {
        self.answer(Kind::Ns, name, Records::into_texts).map_or_else(|| self.next.ns(name), ready)
    }
}

#[cfg(test)]
mod tests;
