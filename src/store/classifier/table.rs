//! The table that every home has in memory. To weigh waits for nobody; lessons come one at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::{Lesson, LessonId, Taught, TaughtCount, Weighed};
use crate::classifier::{self, BINS, SIZE};
use crate::clock::seconds;

/// Octets of what is remembered of a lesson, as it is written down.
pub(in crate::store) const NOTED: usize = 18;

/// What a message has added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Noted {
    /// To each of its cells.
    step: i32,
    /// Of how many cells: of another number it was not.
    cells: u32,
    is_spam: bool,
    /// The class of its margin before.
    bin: u8,
    /// When, in seconds since 1970.
    at: u64,
}

/// What has changed, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Change {
    Cell(u32, i32),
    Lesson(LessonId, Option<Noted>),
    /// Of a class of margins: ham and spam.
    Class(u8, [u32; 2]),
}

/// The table of one home.
pub(in crate::store) struct Teachbook {
    cells: Box<[AtomicI32]>,
    classes: [[AtomicU32; 2]; BINS],
    lessons: Mutex<Lessons>,
}

/// Messages that can be taken back.
pub(in crate::store) struct Lessons {
    bound: usize,
    known: HashMap<LessonId, (u64, Noted)>,
    /// In the order in which they came.
    order: BTreeMap<u64, LessonId>,
    next: u64,
    used: usize,
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
        let mut cells = Vec::with_capacity(SIZE);
        cells.resize_with(SIZE, AtomicI32::default);
        let lessons = Lessons { bound: bound.max(1), known: HashMap::new(), order: BTreeMap::new(), next: 0, used: 0 };
        let book = Self { cells: cells.into(), classes: Default::default(), lessons: Mutex::new(lessons) };
        let mut lessons = Vec::new();
        let mut used = 0;
        for change in known {
            match change {
                Change::Cell(cell, weight) => {
                    if let Some(place) = book.cells.get(cell as usize) {
                        place.store(weight, Ordering::Relaxed);
                        used += usize::from(weight != 0);
                    }
                }
                Change::Class(bin, counts) => {
                    let class = book.classes.get(usize::from(bin)).into_iter().flatten();
                    class.zip(counts).for_each(|(place, count)| place.store(count, Ordering::Relaxed));
                }
                Change::Lesson(id, Some(noted)) => lessons.push((id, noted)),
                Change::Lesson(_, None) => {}
            }
        }
        lessons.sort_by_key(|(id, noted)| (noted.at, *id));
        let mut table = book.lock();
        table.used = used;
        for (id, noted) in lessons {
            table.put(id, noted);
        }
        drop(table);
        book
    }

    /// Lessons, for as long as one takes.
    pub(in crate::store) fn lock(&self) -> MutexGuard<'_, Lessons> {
        self.lessons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::store) fn weigh(&self, cells: &[u32]) -> Weighed {
        let taught = self.classes.each_ref().map(|class| class.each_ref().map(|count| count.load(Ordering::Relaxed)));
        Weighed { weights: cells.iter().map(|cell| self.read(*cell)).collect(), taught }
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
        let margin = classifier::margin(lesson.cells.iter().map(|cell| self.read(*cell)));
        let before = known.map_or(0, |noted| noted.step);
        let step = classifier::lesson(lesson.is_spam, margin, before, lesson.cells.len());
        self.step(lessons, &lesson.cells, step - before, &mut changes);
        let noted = match known {
            Some(noted) => {
                taught = Taught::Again;
                Noted { step, ..noted }
            }
            None => {
                let bin = classifier::bin(margin) as u8;
                self.count(bin, lesson.is_spam, 1, &mut changes);
                Noted { step, cells: number, is_spam: lesson.is_spam, bin, at: seconds(at) }
            }
        };
        lessons.put(lesson.id, noted);
        changes.push(Change::Lesson(lesson.id, Some(noted)));
        while lessons.known.len() > lessons.bound {
            let Some((_, oldest)) = lessons.order.pop_first() else { break };
            lessons.known.remove(&oldest);
            changes.push(Change::Lesson(oldest, None));
        }
        (taught, changes)
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
        self.count(noted.bin, noted.is_spam, -1, changes);
        // A release that finds other features in the message cannot undo what an earlier one has done with it.
        if u32::try_from(cells.len()).is_ok_and(|number| number == noted.cells) {
            self.step(lessons, cells, noted.step.saturating_neg(), changes);
        }
        Taught::Unlearned
    }

    pub(in crate::store) fn count_all(&self, lessons: &Lessons) -> TaughtCount {
        let total = |kind: usize| {
            let counts = self.classes.iter().filter_map(|class| class.get(kind));
            counts.map(|count| u64::from(count.load(Ordering::Relaxed))).sum()
        };
        TaughtCount { ham: total(0), spam: total(1), lessons: lessons.known.len(), cells: lessons.used }
    }

    fn read(&self, cell: u32) -> i32 {
        self.cells.get(cell as usize).map_or(0, |place| place.load(Ordering::Relaxed))
    }

    fn step(&self, lessons: &mut Lessons, cells: &[u32], step: i32, changes: &mut Vec<Change>) {
        if step == 0 {
            return;
        }
        for cell in cells {
            let Some(place) = self.cells.get(*cell as usize) else { continue };
            let before = place.load(Ordering::Relaxed);
            let after = classifier::stepped(before, step);
            place.store(after, Ordering::Relaxed);
            lessons.used = lessons.used + usize::from(after != 0) - usize::from(before != 0);
            changes.push(Change::Cell(*cell, after));
        }
    }

    fn count(&self, bin: u8, is_spam: bool, number: i32, changes: &mut Vec<Change>) {
        let Some(class) = self.classes.get(usize::from(bin)) else { return };
        let [ham, spam] = class;
        let place = if is_spam { spam } else { ham };
        place.store(place.load(Ordering::Relaxed).saturating_add_signed(number), Ordering::Relaxed);
        changes.push(Change::Class(bin, [ham, spam].map(|count| count.load(Ordering::Relaxed))));
    }
}

// === impl Lessons ===

impl Lessons {
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
