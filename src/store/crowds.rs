//! Who has how much of something, so that whoever has most gives first when room is short.

use std::collections::{BTreeSet, HashMap};

/// Counts by crowd, which is whatever is counted together: a network, the pairs of a domain.
#[derive(Default)]
pub(super) struct Crowds {
    counts: HashMap<u64, u32>,
    /// Those with more than one, the largest last.
    crowded: BTreeSet<(u32, u64)>,
}

impl Crowds {
    /// One more, or one less.
    pub(super) fn change(&mut self, crowd: u64, by: i32) {
        let count = self.counts.entry(crowd).or_insert(0);
        if *count > 1 {
            self.crowded.remove(&(*count, crowd));
        }
        *count = count.saturating_add_signed(by);
        match *count {
            0 => drop(self.counts.remove(&crowd)),
            1 => {}
            many => drop(self.crowded.insert((many, crowd))),
        }
    }

    /// The largest; `None` if nobody has more than one.
    pub(super) fn largest(&self) -> Option<u64> {
        self.crowded.last().map(|(_, crowd)| *crowd)
    }

    /// All counts, once it is sure that they agree with each other.
    #[cfg(test)]
    pub(super) fn counts(&self) -> &HashMap<u64, u32> {
        let many = self.counts.iter().filter(|(_, count)| **count > 1).map(|(crowd, count)| (*count, *crowd));
        assert_eq!(many.collect::<BTreeSet<_>>(), self.crowded);
        &self.counts
    }
}
