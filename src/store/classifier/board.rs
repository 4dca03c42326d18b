//! Cells and counts in memory, which everybody reads without waiting and one writes at a time.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::SystemTime;

use super::table::Noted;
use super::{Lesson, Weighed};
use crate::classifier::{self, BINS, Cell, SIZE};
use crate::clock::seconds;

/// Octets of all of it, as [`Board::octets`] tells it.
pub(in crate::store) const OCTETS: usize = 8 * SIZE + 8 * BINS;

/// Cells of features, and of how many messages were which class of margins.
pub(in crate::store) struct Board {
    /// Sum and mass in one, so that nobody reads half a lesson.
    cells: Box<[AtomicU64]>,
    classes: [[AtomicU32; 2]; BINS],
    used: AtomicUsize,
}

impl Board {
    /// An empty one.
    pub(in crate::store) fn new() -> Self {
        let mut cells = Vec::with_capacity(SIZE);
        cells.resize_with(SIZE, AtomicU64::default);
        Self { cells: cells.into(), classes: Default::default(), used: AtomicUsize::new(0) }
    }

    pub(in crate::store) fn weigh(&self, cells: &[u32]) -> Weighed {
        let taught = self.classes.each_ref().map(|class| class.each_ref().map(|count| count.load(Ordering::Relaxed)));
        Weighed { held: cells.iter().map(|cell| self.read(*cell)).collect(), taught }
    }

    pub(in crate::store) fn read(&self, cell: u32) -> Cell {
        self.cells.get(cell as usize).map_or(Cell::default(), |place| unpacked(place.load(Ordering::Relaxed)))
    }

    /// Has a cell hold something else; cells that there are not hold nothing.
    pub(in crate::store) fn set(&self, cell: u32, held: Cell) {
        let Some(place) = self.cells.get(cell as usize) else { return };
        let before = unpacked(place.swap(packed(held), Ordering::Relaxed));
        match (before.is_known(), held.is_known()) {
            (false, true) => drop(self.used.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(self.used.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
    }

    /// Counts of a class: ham and spam.
    pub(in crate::store) fn class(&self, bin: u8) -> [u32; 2] {
        self.classes
            .get(usize::from(bin))
            .map_or([0; 2], |class| class.each_ref().map(|one| one.load(Ordering::Relaxed)))
    }

    pub(in crate::store) fn set_class(&self, bin: u8, counts: [u32; 2]) {
        let class = self.classes.get(usize::from(bin)).into_iter().flatten();
        class.zip(counts).for_each(|(place, count)| place.store(count, Ordering::Relaxed));
    }

    /// Counts one more, or one less, in a class.
    pub(in crate::store) fn count(&self, bin: u8, is_spam: bool, number: i32) {
        let [ham, spam] = self.class(bin);
        let counts = match is_spam {
            true => [ham, spam.saturating_add_signed(number)],
            false => [ham.saturating_add_signed(number), spam],
        };
        self.set_class(bin, counts);
    }

    /// All that were counted: ham and spam.
    pub(in crate::store) fn totals(&self) -> [u64; 2] {
        (0..BINS).fold([0, 0], |[all_ham, all_spam], bin| {
            let [ham, spam] = self.class(bin as u8);
            [all_ham + u64::from(ham), all_spam + u64::from(spam)]
        })
    }

    /// Cells that hold something.
    pub(in crate::store) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// What a message should add now, in place of what it has added: `before`, as the same if it is `known`.
    pub(in crate::store) fn settled(
        &self,
        lesson: &Lesson,
        before: i32,
        known: Option<Noted>,
        at: SystemTime,
    ) -> Noted {
        // Judged by what the others have taught.
        let weight = |cell: &u32| self.read(*cell).without(before).weight();
        let margin = classifier::margin(&lesson.cells, lesson.cells.iter().map(weight));
        Noted {
            step: classifier::lesson(lesson.is_spam, margin, known.map(|noted| noted.step), lesson.cells.len()),
            cells: u32::try_from(lesson.cells.len()).unwrap_or(u32::MAX),
            is_spam: lesson.is_spam,
            bin: classifier::bin(margin) as u8,
            at: known.map_or_else(|| seconds(at), |noted| noted.at),
        }
    }

    /// All of it, each number with its most significant octet first: sum and mass of each cell, ham and spam of each
    /// class.
    pub(in crate::store) fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(OCTETS);
        octets.extend(self.cells.iter().flat_map(|cell| cell.load(Ordering::Relaxed).to_be_bytes()));
        octets.extend((0..BINS).flat_map(|bin| self.class(bin as u8)).flat_map(u32::to_be_bytes));
        octets
    }

    /// The reverse of [`Board::octets`]; what is missing at the end is nothing.
    pub(in crate::store) fn load(&self, octets: &[u8]) {
        let (cells, classes) = octets.split_at(octets.len().min(8 * SIZE));
        let mut cells = cells.as_chunks().0.iter();
        for cell in 0..SIZE as u32 {
            self.set(cell, cells.next().map_or(Cell::default(), |octets| unpacked(u64::from_be_bytes(*octets))));
        }
        let mut counts = classes.as_chunks().0.iter().map(|octets| u32::from_be_bytes(*octets));
        for bin in 0..BINS as u8 {
            self.set_class(bin, [(); 2].map(|()| counts.next().unwrap_or(0)));
        }
    }
}

fn packed(held: Cell) -> u64 {
    u64::from(held.sum.cast_unsigned()) << 32 | u64::from(held.mass)
}

fn unpacked(octets: u64) -> Cell {
    Cell { sum: ((octets >> 32) as u32).cast_signed(), mass: octets as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_is_loaded() {
        let (one, other) = (Board::new(), Board::new());
        for (cell, sum) in [(0, i32::MIN), (77, -1), (SIZE as u32 - 1, 5), (u32::MAX, 1)] {
            one.set(cell, Cell { sum, mass: 3 });
        }
        one.count(3, true, 1);
        one.count(BINS as u8 - 1, false, 1);
        other.set(5, Cell { sum: 1, mass: 1 });
        let octets = one.octets();
        assert_eq!(octets.len(), OCTETS);
        other.load(&octets);
        let cells = [0, 5, 77, SIZE as u32 - 1, u32::MAX];
        assert_eq!(other.weigh(&cells), one.weigh(&cells));
        assert_eq!((other.used(), other.totals()), (3, [1, 1]));
        other.load(&octets[..16]);
        assert_eq!((other.used(), other.totals()), (1, [0, 0]));
    }
}
