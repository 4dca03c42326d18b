//! What was found of conditions, counted.

use super::condition::{Condition, Matcher};
use crate::scoring::Tri;

/// Letters of what was found that evidence shows.
const EXCERPT: usize = 40;

/// What is counted for a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counting {
    /// Every match.
    Matches,
    /// Values with a match.
    Values,
    /// Patterns with a match.
    Distinct,
}

/// What was counted.
pub(super) struct Found {
    counts: Vec<u64>,
    /// What was found first, or the beginning of it.
    firsts: Vec<Option<Box<[u8]>>>,
    /// Of these there may be more: an expression was not run to its end.
    stopped: Vec<bool>,
    /// The value in which a slot found something last, so that it counts once.
    last: Vec<u32>,
}

impl Counting {
    pub(super) fn of(condition: &Condition) -> Self {
        match &condition.matcher {
            Matcher::Phrases(_) => Counting::Distinct,
            _ if condition.target.is_text() => Counting::Matches,
            _ => Counting::Values,
        }
    }
}

impl Found {
    /// Nothing yet, of so many conditions.
    pub(super) fn nothing(slots: usize) -> Self {
        Self {
            counts: vec![0; slots],
            firsts: vec![None; slots],
            stopped: vec![false; slots],
            last: vec![u32::MAX; slots],
        }
    }

    /// All counts so far.
    pub(super) fn counts(&self) -> Vec<u64> {
        self.counts.clone()
    }

    /// A short part of what was found first for a condition.
    pub(super) fn excerpt(&self, slot: usize) -> Option<Box<str>> {
        self.firsts.get(slot)?.as_ref().map(|octets| excerpt(octets))
    }

    /// Takes back the matches that were counted since, to count those of another spelling of the same text; says what
    /// was counted. What counts once in a value or a message counts once in both.
    pub(super) fn begin_again(&mut self, countings: &[Counting], before: Vec<u64>) -> Vec<u64> {
        let written = self.counts.clone();
        for ((count, before), counting) in self.counts.iter_mut().zip(before).zip(countings) {
            if *counting == Counting::Matches {
                *count = before;
            }
        }
        written
    }

    /// Of two spellings the one counts in which more was found.
    pub(super) fn keep_more(&mut self, written: &[u64]) {
        for (count, written) in self.counts.iter_mut().zip(written) {
            *count = (*count).max(*written);
        }
    }

    pub(super) fn count(&self, slot: usize) -> u64 {
        self.counts.get(slot).copied().unwrap_or(0)
    }

    /// Whether what was found satisfies a condition.
    pub(super) fn holds(&self, slot: usize, condition: &Condition) -> Tri {
        condition.holds(self.count(slot), self.stopped.get(slot) == Some(&true))
    }

    /// There may be more than was found.
    pub(super) fn stop(&mut self, slot: usize) {
        self.stopped.get_mut(slot).into_iter().for_each(|stopped| *stopped = true);
    }

    pub(super) fn set(&mut self, slot: usize, number: u64) {
        if let (Some(count), Some(first)) = (self.counts.get_mut(slot), self.firsts.get_mut(slot)) {
            *count = number;
            *first = Some(number.to_string().into_bytes().into());
        }
    }

    pub(super) fn count_one<'v>(
        &mut self,
        slot: usize,
        counting: Counting,
        index: u32,
        what: impl FnOnce() -> &'v [u8],
    ) {
        let (Some(count), Some(last), Some(first)) =
            (self.counts.get_mut(slot), self.last.get_mut(slot), self.firsts.get_mut(slot))
        else {
            return;
        };
        if counting == Counting::Values && *last == index {
            return;
        }
        *last = index;
        *count += 1;
        first.get_or_insert_with(|| {
            let octets = what();
            octets.get(..EXCERPT * 4).unwrap_or(octets).into()
        });
    }
}

/// A short part of what was found, without anything that a terminal or a log would obey.
fn excerpt(octets: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(octets);
    let mut letters = text.trim().chars();
    let mut shown: String = letters.by_ref().take(EXCERPT).flat_map(char::escape_debug).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown.into()
}
