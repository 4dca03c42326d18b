//! What one shard of the cache remembers: answers, bounded in number and in octets, the least used
//! going first; and failures, for a moment, on a board of their own so that they push no answer out.

use std::num::NonZeroUsize;

use lru::LruCache;
use tokio::time::Instant;

use crate::dns::LookupError;
use crate::dns::question::{Question, Records};

/// An answer and how long it may be given.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) records: Records,
    pub(super) exists: bool,
    /// Fresh until then.
    pub(super) until: Instant,
    /// Better than nothing until then (RFC 8767).
    pub(super) stale_until: Instant,
}

/// What is remembered of a question.
pub(super) enum Memory {
    /// An answer that holds.
    Fresh(Known),
    /// None that holds: perhaps an expired one, perhaps that asking failed a moment ago.
    Wanting { stale: Option<Known>, failed: Option<LookupError> },
}

/// The memory of one shard.
pub(super) struct Shelf {
    known: LruCache<Question, Known>,
    failed: LruCache<Question, (LookupError, Instant)>,
    octets: usize,
    octets_max: usize,
}

/// What an answer takes beside its octets: two places in tables, the links, the counts.
const OVERHEAD: usize = 192;

/// On average. Long texts are few among addresses, and whoever sends many of them pushes out his own.
const OCTETS_PER_ANSWER: usize = 512;

/// A small shelf, too, has room for the largest message of DNS.
const OCTETS_AT_LEAST: usize = 80 * 1024;

impl Shelf {
    /// An empty shelf for so many answers. Memory is taken as it is used.
    pub(super) fn new(answers: NonZeroUsize) -> Self {
        let (mut known, mut failed) = (LruCache::unbounded(), LruCache::unbounded());
        known.resize(answers);
        failed.resize(answers.min(NonZeroUsize::MIN.saturating_add(answers.get() / 4)));
        let octets_max = answers.get().saturating_mul(OCTETS_PER_ANSWER).max(OCTETS_AT_LEAST);
        Self { known, failed, octets: 0, octets_max }
    }

    /// Looks a question up, and forgets what is of no use to anybody any more.
    pub(super) fn recall(&mut self, question: &Question, now: Instant) -> Memory {
        let stale = match self.known.get(question) {
            Some(known) if known.until > now => return Memory::Fresh(known.clone()),
            Some(known) if known.stale_until > now => Some(known.clone()),
            Some(_) => {
                self.forget(question);
                None
            }
            None => None,
        };
        let failed = match self.failed.get(question) {
            Some((why, until)) if *until > now => Some(*why),
            Some(_) => {
                self.failed.pop(question);
                None
            }
            None => None,
        };
        Memory::Wanting { stale, failed }
    }

    /// Remembers an answer, unless it alone is more than there is room for.
    pub(super) fn keep(&mut self, question: Question, known: Known) {
        self.failed.pop(&question);
        self.forget(&question);
        let octets = weight(&question, &known);
        if octets > self.octets_max {
            return;
        }
        self.octets += octets;
        if let Some((question, known)) = self.known.push(question, known) {
            self.octets -= weight(&question, &known);
        }
        while self.octets > self.octets_max {
            let Some((question, known)) = self.known.pop_lru() else { return };
            self.octets -= weight(&question, &known);
        }
    }

    /// Remembers until then that there is no answer to be had. An older answer stays.
    pub(super) fn keep_failure(&mut self, question: Question, why: LookupError, until: Instant) {
        self.failed.put(question, (why, until));
    }

    fn forget(&mut self, question: &Question) {
        if let Some(known) = self.known.pop(question) {
            self.octets -= weight(question, &known);
        }
    }
}

fn weight(question: &Question, known: &Known) -> usize {
    OVERHEAD + question.name().len() + known.records.octets()
}

#[cfg(test)]
impl Shelf {
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::dns::question::Kind;

    fn question(number: u8) -> Question {
        Question::new(Kind::Txt, &format!("{number}.example")).expect("a name")
    }

    fn text(octets: usize, until: Instant) -> Known {
        let records = Records::Txt(["x".repeat(octets).into()].into());
        Known { records, exists: true, until, stale_until: until }
    }

    proptest! {
        #[test]
        fn the_octets_are_the_sum_of_what_is_there_and_bounded(
            answers in 1..40_usize,
            kept in prop::collection::vec((any::<u8>(), 0..100_000_usize, any::<bool>()), 0..100),
        ) {
            let now = Instant::now();
            let later = now + Duration::from_secs(60);
            let mut shelf = Shelf::new(NonZeroUsize::new(answers).expect("not zero"));
            for (number, octets, fresh) in kept {
                shelf.keep(question(number), text(octets, if fresh { later } else { now }));
                shelf.recall(&question(number ^ 1), now);
                let sum: usize = shelf.known.iter().map(|(question, known)| weight(question, known)).sum();
                prop_assert_eq!(shelf.octets, sum);
                prop_assert!(shelf.octets <= shelf.octets_max && shelf.known.len() <= answers);
            }
        }
    }

    #[test]
    fn failures_push_no_answer_out_and_an_answer_ends_a_failure() {
        let now = Instant::now();
        let until = now + Duration::from_secs(60);
        let mut shelf = Shelf::new(NonZeroUsize::new(8).expect("not zero"));
        let answer =
            || Known { records: Records::A([Ipv4Addr::LOCALHOST].into()), exists: true, until, stale_until: until };
        shelf.keep(question(0), answer());
        for number in 1..=255 {
            shelf.keep_failure(question(number), LookupError::Timeout, until);
        }
        assert!(matches!(shelf.recall(&question(0), now), Memory::Fresh(_)));
        assert!(shelf.failed.len() <= 8);
        assert!(matches!(
            shelf.recall(&question(255), now),
            Memory::Wanting { stale: None, failed: Some(LookupError::Timeout) }
        ));
        shelf.keep(question(255), answer());
        assert!(matches!(shelf.recall(&question(255), now), Memory::Fresh(_)));
        assert!(matches!(shelf.recall(&question(255), until), Memory::Wanting { stale: None, failed: None }));
    }

    #[test]
    fn what_is_too_large_for_the_shelf_is_not_kept_and_takes_nobodys_place() {
        let now = Instant::now();
        let until = now + Duration::from_secs(60);
        let mut shelf = Shelf::new(NonZeroUsize::new(8).expect("not zero"));
        shelf.keep(question(0), text(10, until));
        shelf.keep(question(1), text(OCTETS_AT_LEAST, until));
        assert!(matches!(shelf.recall(&question(0), now), Memory::Fresh(_)));
        assert!(matches!(shelf.recall(&question(1), now), Memory::Wanting { .. }));
    }
}
