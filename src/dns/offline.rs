//! No network: no question leaves this machine, and none is ever answered.
//!
//! Whoever asks waits for good. Whoever runs him sees by [`questions`] that this is what he waits for, and gives up
//! on him at once: a check that would have to ask has neither found nothing nor failed, it was not able to look.
//! Names of addresses are different: many ask for them beside other things, so that they are told at once that there
//! is no answer.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::BoxFuture;

use super::{Answer, Lookup, LookupError, Mx};

thread_local! {
    static QUESTIONS: Cell<u64> = const { Cell::new(0) };
}

/// Never answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offline;

/// How often somebody on this thread asked for an answer that will not come. It grows with each time that a
/// question is polled: if it grew while a future was, that future waits for the network.
pub fn questions() -> u64 {
    QUESTIONS.with(Cell::get)
}

fn never<'a, T: 'a>() -> BoxFuture<'a, Result<Answer<T>, LookupError>> {
    Box::pin(poll_fn(|_| {
        count();
        Poll::Pending
    }))
}

fn count() {
    QUESTIONS.with(|questions| questions.set(questions.get() + 1));
}

impl Lookup for Offline {
    fn a<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Result<Answer<Ipv4Addr>, LookupError>> {
        never()
    }

    fn aaaa<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Result<Answer<Ipv6Addr>, LookupError>> {
        never()
    }

    fn ptr(&self, _addr: IpAddr) -> BoxFuture<'_, Result<Answer<Arc<str>>, LookupError>> {
        Box::pin(poll_fn(|_| {
            count();
            Poll::Ready(Err(LookupError::Unreachable))
        }))
    }

    fn txt<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Result<Answer<Arc<str>>, LookupError>> {
        never()
    }

    fn mx<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Result<Answer<Mx>, LookupError>> {
        never()
    }

    fn ns<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Result<Answer<Arc<str>>, LookupError>> {
        never()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn who_asks_waits_and_is_seen_waiting() {
        let before = questions();
        assert!(Offline.a("mail.example").now_or_never().is_none());
        assert!(questions() > before);
        let before = questions();
        assert_eq!(Offline.ptr([192, 0, 2, 1].into()).now_or_never(), Some(Err(LookupError::Unreachable)));
        assert!(questions() > before);
    }
}
