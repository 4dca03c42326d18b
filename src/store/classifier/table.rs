//! The table that every home has in memory. To weigh waits for nobody; lessons come one at a time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::board::Board;
use super::{Lesson, LessonId, Taught, TaughtCount, Weighed};
use crate::classifier::{Cell, SIZE};

/// Octets of what is remembered of a lesson, as it is written down.
pub(in crate::store) const NOTED: usize = 18;

/// Messages of each kind that are learned again from time to time,
pub(in crate::store) const KEPT: usize = 2048;
/// unless they have more cells than this.
pub(in crate::store) const LARGEST: usize = 4096;
/// With each lesson so many of the other kind are learned again,
pub(in crate::store) const AGAIN_OPPOSITE: usize = 2;
/// and so many of its own.
pub(in crate::store) const AGAIN_SAME: usize = 1;

/// What a message has added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Noted {
    /// To each of its cells.
    pub(in crate::store) step: i32,
    /// Of how many cells: of another number it was not.
    pub(in crate::store) cells: u32,
    pub(in crate::store) is_spam: bool,
    /// The class of its margin before.
    pub(in crate::store) bin: u8,
    /// When, in seconds since 1970.
    pub(in crate::store) at: u64,
}

/// What has changed, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Change {
    Cell(u32, Cell),
    Lesson(LessonId, Option<Noted>),
    /// Of a class of margins: ham and spam.
    Class(u8, [u32; 2]),
    /// The cells of a lesson that will be learned again; `None`: no more.
    Kept(LessonId, Option<Arc<[u8]>>),
}

/// The table of one home.
pub(in crate::store) struct Teachbook {
    board: Board,
    lessons: Mutex<Lessons>,
}

/// Messages that can be taken back.
pub(in crate::store) struct Lessons {
    bound: usize,
    known: HashMap<LessonId, (u64, Noted)>,
    /// In the order in which they came.
    order: BTreeMap<u64, LessonId>,
    next: u64,
    /// Of ham and of spam, what is learned again, the next one first: which, and its cells (see [`encode`]).
    kept: [VecDeque<(LessonId, Arc<[u8]>)>; 2],
}

// === impl Noted ===

impl Noted {
    pub(in crate::store) fn encode(&self) -> [u8; NOTED] {
        let mut octets = [0; NOTED];
        let (step, cells, at) = (self.step.to_le_bytes(), self.cells.to_le_bytes(), self.at.to_le_bytes());
        let all = step.iter().chain(&cells).chain(&at).copied().chain([u8::from(self.is_spam), self.bin]);
        octets.iter_mut().zip(all).for_each(|(place, octet)| *place = octet);
        octets
    }

    pub(in crate::store) fn decode(octets: &[u8; NOTED]) -> Self {
        let [s0, s1, s2, s3, c0, c1, c2, c3, a0, a1, a2, a3, a4, a5, a6, a7, is_spam, bin] = *octets;
        Self {
            step: i32::from_le_bytes([s0, s1, s2, s3]),
            cells: u32::from_le_bytes([c0, c1, c2, c3]),
            at: u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]),
            is_spam: is_spam != 0,
            bin,
        }
    }
}

// === impl Teachbook ===

impl Teachbook {
    /// With `known`, which a file has told; at most `bound` lessons can be taken back.
    pub(in crate::store) fn new(bound: usize, known: impl IntoIterator<Item = Change>) -> Self {
        let book = Self { board: Board::new(), lessons: Mutex::new(Lessons::new(bound)) };
        let (mut lessons, mut kept) = (Vec::new(), Vec::new());
        for change in known {
            match change {
                Change::Cell(cell, held) => book.board.set(cell, held),
                Change::Class(bin, counts) => book.board.set_class(bin, counts),
                Change::Lesson(id, Some(noted)) => lessons.push((id, noted)),
                Change::Kept(id, Some(cells)) => kept.push((id, cells)),
                Change::Lesson(_, None) | Change::Kept(_, None) => {}
            }
        }
        lessons.sort_by_key(|(id, noted)| (noted.at, *id));
        let mut table = book.lock();
        for (id, noted) in lessons {
            table.put(id, noted);
        }
        for (id, cells) in kept {
            if let Some(is_spam) = table.known.get(&id).map(|(_, noted)| noted.is_spam) {
                table.kept(is_spam).push_back((id, cells));
            }
        }
        drop(table);
        book
    }

    /// Lessons, for as long as one takes.
    pub(in crate::store) fn lock(&self) -> MutexGuard<'_, Lessons> {
        self.lessons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::store) fn weigh(&self, cells: &[u32]) -> Weighed {
        self.board.weigh(cells)
    }

    /// Learns; tells what has changed.
    pub(in crate::store) fn learn(
        &self,
        lessons: &mut Lessons,
        lesson: &Lesson,
        at: SystemTime,
    ) -> (Taught, Vec<Change>) {
        let mut changes = Vec::new();
        let mut taught = Taught::New;
        let number = u32::try_from(lesson.cells.len()).unwrap_or(u32::MAX);
        let mut known = lessons.known.get(&lesson.id).map(|(_, noted)| *noted);
        if known.is_some_and(|noted| noted.is_spam != lesson.is_spam || noted.cells != number) {
            let was_opposite = known.is_some_and(|noted| noted.is_spam != lesson.is_spam);
            if self.unlearn(lessons, lesson.id, &lesson.cells, &mut changes) == Taught::Unlearned && was_opposite {
                taught = Taught::Corrected;
            }
            known = None;
        }
        taught = if known.is_some() { Taught::Again } else { taught };
        self.settle(lessons, lesson, known, at, &mut changes);
        self.replay(lessons, lesson.is_spam, &mut changes);
        lessons.keep(lesson, &mut changes);
        while lessons.known.len() > lessons.bound {
            let Some((_, oldest)) = lessons.order.pop_first() else { break };
            lessons.known.remove(&oldest);
            changes.push(Change::Lesson(oldest, None));
            lessons.forget(oldest, &mut changes);
        }
        (taught, changes)
    }

    /// Has a message add what it should add now, in place of what it has added.
    fn settle(
        &self,
        lessons: &mut Lessons,
        lesson: &Lesson,
        known: Option<Noted>,
        at: SystemTime,
        changes: &mut Vec<Change>,
    ) {
        let noted = self.board.settled(lesson, known.map_or(0, |known| known.step), known, at);
        if known == Some(noted) {
            return;
        }
        if known.is_none_or(|known| known.bin != noted.bin) {
            if let Some(known) = known {
                self.count(known.bin, known.is_spam, -1, changes);
            }
            self.count(noted.bin, noted.is_spam, 1, changes);
        }
        self.step(&lesson.cells, known.map_or(0, |known| known.step), noted.step, changes);
        lessons.put(lesson.id, noted);
        changes.push(Change::Lesson(lesson.id, Some(noted)));
    }

    /// Learns some messages again that were learned before: whoever teaches all ham first and all spam after it is
    /// understood as if both came by turns.
    fn replay(&self, lessons: &mut Lessons, is_spam: bool, changes: &mut Vec<Change>) {
        for (kind, times) in [(!is_spam, AGAIN_OPPOSITE), (is_spam, AGAIN_SAME)] {
            for _ in 0..times.min(lessons.kept(kind).len()) {
                let Some((id, cells)) = lessons.kept(kind).pop_front() else { break };
                let lesson = Lesson { id, is_spam: kind, cells: decode(&cells) };
                lessons.kept(kind).push_back((id, cells));
                let Some((_, noted)) = lessons.known.get(&id).copied() else { continue };
                if lesson.cells.len() == noted.cells as usize && noted.is_spam == kind {
                    self.settle(lessons, &lesson, Some(noted), SystemTime::UNIX_EPOCH, changes);
                }
            }
        }
    }

    /// Takes back; what has changed is added to `changes`.
    pub(in crate::store) fn unlearn(
        &self,
        lessons: &mut Lessons,
        id: LessonId,
        cells: &[u32],
        changes: &mut Vec<Change>,
    ) -> Taught {
        let Some((_, noted)) = lessons.known.get(&id).copied() else { return Taught::Unknown };
        lessons.take(id);
        changes.push(Change::Lesson(id, None));
        lessons.forget(id, changes);
        self.count(noted.bin, noted.is_spam, -1, changes);
        // A release that finds other features in the message cannot undo what an earlier one has done with it.
        if u32::try_from(cells.len()).is_ok_and(|number| number == noted.cells) {
            self.step(cells, noted.step, 0, changes);
        }
        Taught::Unlearned
    }

    pub(in crate::store) fn count_all(&self, lessons: &Lessons) -> TaughtCount {
        let [ham, spam] = self.board.totals();
        TaughtCount { ham, spam, lessons: lessons.known.len(), cells: self.board.used() }
    }

    /// Has a lesson add another step than before.
    fn step(&self, cells: &[u32], before: i32, step: i32, changes: &mut Vec<Change>) {
        if step == before {
            return;
        }
        for cell in cells.iter().filter(|cell| (**cell as usize) < SIZE) {
            let after = self.board.read(*cell).without(before).with(step);
            self.board.set(*cell, after);
            changes.push(Change::Cell(*cell, after));
        }
    }

    fn count(&self, bin: u8, is_spam: bool, number: i32, changes: &mut Vec<Change>) {
        self.board.count(bin, is_spam, number);
        changes.push(Change::Class(bin, self.board.class(bin)));
    }
}

// === impl Lessons ===

impl Lessons {
    fn new(bound: usize) -> Self {
        let (known, order) = (HashMap::new(), BTreeMap::new());
        Self { bound: bound.max(1), known, order, next: 0, kept: Default::default() }
    }

    fn kept(&mut self, is_spam: bool) -> &mut VecDeque<(LessonId, Arc<[u8]>)> {
        let [ham, spam] = &mut self.kept;
        if is_spam { spam } else { ham }
    }

    /// Has a message learned again from time to time. Whose turn is next goes when there are too many: the ages of
    /// those that stay are mixed.
    fn keep(&mut self, lesson: &Lesson, changes: &mut Vec<Change>) {
        let kept = self.kept(lesson.is_spam);
        if lesson.cells.len() > LARGEST || kept.iter().any(|(id, _)| *id == lesson.id) {
            return;
        }
        if kept.len() >= KEPT
            && let Some((gone, _)) = kept.pop_front()
        {
            changes.push(Change::Kept(gone, None));
        }
        let cells = encode(&lesson.cells);
        kept.push_back((lesson.id, cells.clone()));
        changes.push(Change::Kept(lesson.id, Some(cells)));
    }

    fn forget(&mut self, id: LessonId, changes: &mut Vec<Change>) {
        for kept in &mut self.kept {
            let before = kept.len();
            kept.retain(|(one, _)| *one != id);
            if kept.len() < before {
                changes.push(Change::Kept(id, None));
            }
        }
    }

    fn put(&mut self, id: LessonId, noted: Noted) {
        let place = self.known.get(&id).map_or(self.next, |(place, _)| *place);
        self.next = self.next.max(place + 1);
        self.known.insert(id, (place, noted));
        self.order.insert(place, id);
    }

    fn take(&mut self, id: LessonId) {
        if let Some((place, _)) = self.known.remove(&id) {
            self.order.remove(&place);
        }
    }
}

/// Cells in order, each as the distance from the one before, seven bits to an octet.
pub(in crate::store) fn encode(cells: &[u32]) -> Arc<[u8]> {
    let (mut octets, mut last) = (Vec::with_capacity(cells.len() * 2), 0);
    for cell in cells {
        let mut distance = cell.wrapping_sub(last);
        last = *cell;
        while distance >= 0x80 {
            octets.push(distance as u8 | 0x80);
            distance >>= 7;
        }
        octets.push(distance as u8);
    }
    octets.into()
}

/// What [`encode`] was given. Of octets that it has not written, something.
pub(in crate::store) fn decode(octets: &[u8]) -> Vec<u32> {
    let (mut cells, mut last, mut distance, mut shift) = (Vec::with_capacity(octets.len() / 2), 0u32, 0u32, 0);
    for octet in octets {
        distance |= u32::from(octet & 0x7F).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if octet & 0x80 == 0 {
            last = last.wrapping_add(distance);
            cells.push(last);
            (distance, shift) = (0, 0);
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;
    use crate::classifier;

    proptest! {
        #[test]
        fn cells_are_kept_as_they_are(cells in btree_set(any::<u32>(), 0..300), octets in vec(any::<u8>(), 0..100)) {
            let cells: Vec<u32> = cells.into_iter().collect();
            prop_assert_eq!(decode(&encode(&cells)), cells);
            decode(&octets);
        }
    }

    /// Fifty of each kind: one feature tells them apart, another is the message's own.
    fn lesson(number: u32) -> Lesson {
        let is_spam = number % 2 == 1;
        Lesson { id: LessonId(number.into()), is_spam, cells: vec![u32::from(is_spam), 7, 100 + number] }
    }

    fn taught(numbers: impl IntoIterator<Item = u32>) -> Teachbook {
        let book = Teachbook::new(1000, []);
        for number in numbers {
            book.learn(&mut book.lock(), &lesson(number), SystemTime::UNIX_EPOCH);
        }
        book
    }

    #[test]
    fn in_which_order_it_is_taught_matters_little() {
        let margin = |book: &Teachbook, cells: &[u32]| {
            classifier::margin(cells, book.weigh(cells).held.iter().map(|cell| cell.weight()))
        };
        for numbers in
            [(0..100).collect(), (0..100).rev().collect(), sorted(|number| number % 2), sorted(|number| 1 - number % 2)]
        {
            let book = taught(numbers);
            let (ham, spam) = (margin(&book, &[0, 7, 900]), margin(&book, &[1, 7, 900]));
            assert!(ham < -0.2 && spam > 0.2, "{ham} {spam}");
        }
    }

    fn sorted(by: impl Fn(&u32) -> u32) -> Vec<u32> {
        let mut numbers: Vec<u32> = (0..100).collect();
        numbers.sort_by_key(by);
        numbers
    }

    #[test]
    fn when_all_is_taken_back_nothing_remains() {
        let book = taught(0..100);
        for number in 0..100 {
            book.unlearn(&mut book.lock(), LessonId(number.into()), &lesson(number).cells, &mut Vec::new());
        }
        let cells: Vec<u32> = (0..300).collect();
        assert_eq!(book.weigh(&cells), Teachbook::new(1, []).weigh(&cells));
        assert!(book.lock().kept.iter().all(VecDeque::is_empty));
    }
}
