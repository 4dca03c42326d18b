//! Sets of addresses: overlapping networks with ranks become disjoint spans, and those sorted arrays.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::packed::Packed;
use super::value::{EXCLUDED, Interner};

/// An address as a number.
pub(super) trait Key: Copy + Ord {
    fn next(self) -> Option<Self>;
    fn previous(self) -> Option<Self>;
}

macro_rules! keys {
    ($($number:ty),*) => {$(
        impl Key for $number {
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn previous(self) -> Option<Self> {
                self.checked_sub(1)
            }
        }
    )*};
}
keys!(u32, u64, u128);

/// What a file says about the addresses from `start` to `end`, both included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<K> {
    pub(super) start: K,
    pub(super) end: K,
    /// The highest rank at an address decides about it.
    pub(super) rank: u8,
    /// [`EXCLUDED`], or the number of a value.
    pub(super) value: u32,
}

/// What lies over one address: by rank, how often each value.
#[derive(Default)]
struct Active(BTreeMap<u8, BTreeMap<u32, usize>>);

/// Puts pieces into disjoint spans in ascending order, each with the set of values that holds there:
/// those of the highest rank, nothing if one of them is an exclusion.
///
/// Linear in the number of pieces but for sorting, whatever overlaps: the values at one address are bounded.
pub(super) fn flatten<K: Key>(pieces: &mut [Piece<K>], interner: &mut Interner, emit: &mut dyn FnMut(K, K, u32)) {
    pieces.sort_unstable_by_key(|piece| piece.start);
    let mut joined = Joined { pending: None, emit };
    let mut active = Active::default();
    let mut ends = BinaryHeap::new();
    let mut from = None;
    for (index, piece) in pieces.iter().enumerate() {
        while let Some(Reverse((end, rank, value))) = ends.pop() {
            if end >= piece.start {
                ends.push(Reverse((end, rank, value)));
                break;
            }
            from = joined.close(from, end, &active, interner);
            active.remove(rank, value);
        }
        if !active.is_empty() {
            if let Some(before) = piece.start.previous() {
                joined.close(from, before, &active, interner);
            }
        } else if pieces.get(index + 1).is_none_or(|next| next.start > piece.end) {
            // Nothing else here, as nearly always.
            if let Some(set) = interner.set(std::iter::once(piece.value)).filter(|_| piece.value != EXCLUDED) {
                joined.push(piece.start, piece.end, set);
            }
            continue;
        }
        active.add(piece.rank, piece.value);
        ends.push(Reverse((piece.end, piece.rank, piece.value)));
        from = Some(piece.start);
    }
    while let Some(Reverse((end, rank, value))) = ends.pop() {
        from = joined.close(from, end, &active, interner);
        active.remove(rank, value);
    }
    joined.flush();
}

impl Active {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, rank: u8, value: u32) {
        *self.0.entry(rank).or_default().entry(value).or_default() += 1;
    }

    fn remove(&mut self, rank: u8, value: u32) {
        let Some(values) = self.0.get_mut(&rank) else { return };
        if let Some(count) = values.get_mut(&value) {
            *count -= 1;
            if *count == 0 {
                values.remove(&value);
            }
        }
        if values.is_empty() {
            self.0.remove(&rank);
        }
    }

    fn set(&self, interner: &mut Interner) -> Option<u32> {
        let (_, values) = self.0.last_key_value()?;
        if values.contains_key(&EXCLUDED) { None } else { interner.set(values.keys().copied()) }
    }
}

/// Joins neighbours that say the same.
struct Joined<'a, K> {
    pending: Option<(K, K, u32)>,
    emit: &'a mut dyn FnMut(K, K, u32),
}

impl<K: Key> Joined<'_, K> {
    /// What is active holds from `from` to `end`; returns where the next span begins.
    fn close(&mut self, from: Option<K>, end: K, active: &Active, interner: &mut Interner) -> Option<K> {
        let start = from?;
        if start <= end
            && let Some(set) = active.set(interner)
        {
            self.push(start, end, set);
        }
        end.next().map(|next| next.max(start))
    }

    fn push(&mut self, start: K, end: K, set: u32) {
        match &mut self.pending {
            Some((_, last, same)) if *same == set && last.next() == Some(start) => *last = end,
            _ => {
                self.flush();
                self.pending = Some((start, end, set));
            }
        }
    }

    fn flush(&mut self) {
        if let Some((start, end, set)) = self.pending.take() {
            (self.emit)(start, end, set);
        }
    }
}

/// Disjoint spans as sorted arrays: one number for a single address, two for several.
#[derive(Debug)]
pub(super) struct Spans<K> {
    singles: Box<[K]>,
    single_sets: Packed,
    ranges: Box<[(K, K)]>,
    range_sets: Packed,
}

/// Takes spans in ascending order.
#[derive(Debug)]
pub(super) struct SpansBuilder<K> {
    singles: Vec<K>,
    single_sets: Vec<u32>,
    ranges: Vec<(K, K)>,
    range_sets: Vec<u32>,
}

impl<K: Key> SpansBuilder<K> {
    pub(super) fn new() -> Self {
        Self { singles: Vec::new(), single_sets: Vec::new(), ranges: Vec::new(), range_sets: Vec::new() }
    }

    pub(super) fn push(&mut self, start: K, end: K, set: u32) {
        if start == end {
            self.singles.push(start);
            self.single_sets.push(set);
        } else {
            self.ranges.push((start, end));
            self.range_sets.push(set);
        }
    }

    pub(super) fn finish(self) -> Spans<K> {
        Spans {
            singles: self.singles.into_boxed_slice(),
            single_sets: Packed::new(self.single_sets),
            ranges: self.ranges.into_boxed_slice(),
            range_sets: Packed::new(self.range_sets),
        }
    }
}

impl<K: Key> Spans<K> {
    /// The set of values at `key`; logarithmic.
    pub(super) fn find(&self, key: K) -> Option<u32> {
        if let Ok(index) = self.singles.binary_search(&key) {
            return self.single_sets.get(index);
        }
        let index = self.ranges.partition_point(|(start, _)| *start <= key).checked_sub(1)?;
        let (_, end) = self.ranges.get(index)?;
        if key <= *end { self.range_sets.get(index) } else { None }
    }

    /// Memory in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.singles) + self.single_sets.bytes() + size_of_val(&*self.ranges) + self.range_sets.bytes()
    }
}
