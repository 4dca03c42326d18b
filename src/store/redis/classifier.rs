//! What the classifier was taught, by all proxies.
//!
//! Every proxy has the whole table in memory, so that to judge a message asks nobody ([`shared`]). A lesson asks what is
//! known of the message, and of some that are learned again, works out what each should add, and has one script change
//! it all, unless somebody else was faster; cells are numbers that add up in any order.
//!
//! While Redis is away, messages are judged by what was heard of so far; what is taught meanwhile this proxy alone
//! knows, beside the rest, until it ends or is taught it again.

mod shared;

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;

use super::RedisStore;
use super::failure::Failure;
use super::link::Link;
use super::script::{Call, scripts};
use crate::classifier::{Cell, SIZE};
use crate::store::StoreError;
use crate::store::classifier::table::{AGAIN_OPPOSITE, AGAIN_SAME, KEPT, LARGEST, NOTED, Noted, decode, encode};
use crate::store::classifier::{Lesson, LessonId, Taught, TaughtCount, Teachings, Weighed};
use crate::store::metrics::{Operation, Outcome};
use shared::Shared;

scripts! {
    BEGIN = "taught_begin.lua";
    SETTLE = "taught_settle.lua";
}

/// How often a lesson is tried while others are faster.
const ATTEMPTS: usize = 8;

/// What one proxy needs for that.
pub(super) struct Teaching {
    shared: Arc<Shared>,
}

/// Of one lesson, what it adds so far and from now on.
struct Change {
    lesson: Lesson,
    before: Option<Noted>,
    after: Option<Noted>,
    /// It is learned again from time to time.
    is_kept: bool,
}

// === impl Teaching ===

impl Teaching {
    /// Knows nothing yet, and begins to hear of what is known.
    pub(super) fn new(link: &Link) -> Self {
        let shared = Arc::new(Shared::new());
        link.spawn(shared::follow(link.weak(), Arc::downgrade(&shared)));
        Self { shared }
    }

    /// What all know of these cells.
    pub(super) fn weigh(&self, cells: &[u32]) -> Weighed {
        self.shared.board.weigh(cells)
    }

    /// What a message should add now, if it has added something (`before`).
    fn settled(&self, lesson: &Lesson, before: Option<Noted>, at: SystemTime) -> Noted {
        let is_same = |noted: &Noted| noted.cells as usize == lesson.cells.len();
        let before = before.filter(is_same);
        let known = before.filter(|noted| noted.is_spam == lesson.is_spam);
        self.shared.board.settled(lesson, before.map_or(0, |noted| noted.step), known, at)
    }
}

// === impl Change ===

impl Change {
    /// As the script takes it.
    fn add_to(&self, call: &mut Call) {
        let step = |noted: &Option<Noted>| {
            // Of another number of cells it was not: what it has added stays.
            noted.filter(|noted| noted.cells as usize == self.lesson.cells.len()).map_or(0, |noted| noted.step)
        };
        let (before, after) = (step(&self.before), step(&self.after));
        let mass = |step: i32| i64::from(Cell::default().with(step).mass);
        let class = |noted: &Option<Noted>| noted.map_or(-1, |noted| shared::class(noted.bin, noted.is_spam));
        let (less, more) = match (class(&self.before), class(&self.after)) {
            (less, more) if less == more => (-1, -1),
            changed => changed,
        };
        let octets = |noted: &Option<Noted>| noted.map_or(Vec::new(), |noted| noted.encode().to_vec());
        call.push(&self.lesson.id.0.to_be_bytes()[..]);
        call.push(self.after.map_or(0, |noted| noted.at));
        call.push(u8::from(self.lesson.is_spam));
        call.push(octets(&self.before));
        call.push(octets(&self.after));
        call.push(&encode(&self.lesson.cells)[..]);
        call.push(i64::from(after) - i64::from(before));
        call.push(mass(after) - mass(before));
        call.push(less);
        call.push(more);
        call.push(u8::from(self.is_kept));
    }
}

impl RedisStore {
    async fn learn_shared(&self, lesson: &Lesson, at: SystemTime) -> Result<Taught, Failure> {
        for _ in 0..ATTEMPTS {
            let born = self.hear_of_lessons().await?;
            let [same, opposite] = [u8::from(lesson.is_spam), u8::from(!lesson.is_spam)];
            let begin = self.begin(lesson.id).arg(opposite).arg(AGAIN_OPPOSITE).arg(same).arg(AGAIN_SAME);
            let answer: Vec<Vec<u8>> = self.link.ask_one(begin).await?;
            let (known, again) = answer.split_first().ok_or(Failure::UNREADABLE)?;
            let before = noted(known);
            let taught = match before {
                None => Taught::New,
                Some(noted) if noted.is_spam == lesson.is_spam => Taught::Again,
                Some(_) => Taught::Corrected,
            };
            let is_kept = taught != Taught::Again && lesson.cells.len() <= LARGEST;
            let after = Some(self.teaching.settled(lesson, before, at));
            let mut changes = vec![Change { lesson: lesson.clone(), before, after, is_kept }];
            changes.extend(self.learned_again(again, lesson.id));
            if self.settle(&born, &changes).await? {
                return Ok(taught);
            }
        }
        Err(Failure::CONTENDED)
    }

    /// What those add that are learned again (see `taught_begin.lua`).
    fn learned_again(&self, again: &[Vec<u8>], but: LessonId) -> impl Iterator<Item = Change> {
        again.as_chunks().0.iter().filter_map(move |[id, known, cells]| {
            let id = LessonId(u128::from_be_bytes(id[..].try_into().ok()?));
            let before = noted(known)?;
            let lesson = Lesson { id, is_spam: before.is_spam, cells: decode(cells) };
            if id == but || lesson.cells.len() != before.cells as usize {
                return None;
            }
            let after = self.teaching.settled(&lesson, Some(before), SystemTime::UNIX_EPOCH);
            (after != before).then_some(Change { lesson, before: Some(before), after: Some(after), is_kept: false })
        })
    }

    async fn unlearn_shared(&self, id: LessonId, cells: &[u32]) -> Result<Taught, Failure> {
        for _ in 0..ATTEMPTS {
            let born = self.hear_of_lessons().await?;
            let answer: Vec<Vec<u8>> = self.link.ask_one(self.begin(id)).await?;
            let Some(before) = answer.first().and_then(|known| noted(known)) else { return Ok(Taught::Unknown) };
            let lesson = Lesson { id, is_spam: before.is_spam, cells: cells.to_vec() };
            let change = Change { lesson, before: Some(before), after: None, is_kept: false };
            if self.settle(&born, &[change]).await? {
                return Ok(Taught::Unlearned);
            }
        }
        Err(Failure::CONTENDED)
    }

    fn begin(&self, id: LessonId) -> Call {
        BEGIN.at(shared::base(self.link.prefix())).arg(&id.0.to_be_bytes()[..])
    }

    async fn hear_of_lessons(&self) -> Result<Vec<u8>, Failure> {
        self.teaching.shared.catch_up(self.link.state()).await
    }

    /// False if somebody else was faster with the first of them.
    async fn settle(&self, born: &[u8], changes: &[Change]) -> Result<bool, Failure> {
        let mut call = SETTLE.at(shared::base(self.link.prefix())).arg(born).arg(shared::KEPT.as_secs());
        call = call.arg(self.settings.lessons.max(1)).arg(KEPT).arg(shared::ENTRIES).arg(SIZE);
        changes.iter().for_each(|change| change.add_to(&mut call));
        let done: Vec<u8> = self.link.ask_one::<Vec<i64>>(call).await?.into_iter().map(|done| done as u8).collect();
        self.hear_of_lessons().await?;
        Ok(done.first() == Some(&1))
    }

    async fn lessons_shared(&self) -> Result<usize, Failure> {
        let mut count = redis::cmd("HLEN");
        count.arg(format!("{}lessons", shared::base(self.link.prefix())));
        self.link.query(&count).await
    }

    /// Of both what all know and what we alone know.
    async fn count_taught(&self, lessons: usize) -> Result<TaughtCount, StoreError> {
        let [ham, spam] = self.teaching.shared.board.totals();
        let mut count = TaughtCount { ham, spam, lessons, cells: self.teaching.shared.board.used() };
        if self.has_local() {
            let local = self.local.classifier_count().await?;
            count.ham += local.ham;
            count.spam += local.spam;
            count.lessons += local.lessons;
        }
        self.metrics.show_taught(count);
        Ok(count)
    }
}

impl Teachings for RedisStore {
    fn classifier_weigh<'a>(&'a self, cells: &'a [u32]) -> BoxFuture<'a, Result<Weighed, StoreError>> {
        Box::pin(async move {
            let mut weighed = self.teaching.weigh(cells);
            if self.has_local() {
                add(&mut weighed, &self.local.classifier_weigh(cells).await?);
            } else {
                self.metrics.count(Operation::ClassifierWeigh, Outcome::Ok);
            }
            Ok(weighed)
        })
    }

    fn classifier_learn(&self, lesson: Lesson, at: SystemTime) -> BoxFuture<'_, Result<Taught, StoreError>> {
        Box::pin(async move {
            match self.try_shared(Operation::ClassifierLearn, self.learn_shared(&lesson, at)).await {
                Some(taught) => {
                    if self.has_local() {
                        // All know it now: it counts once.
                        self.local.classifier_unlearn(lesson.id, lesson.cells).await?;
                    }
                    Ok(taught)
                }
                None => self.local.classifier_learn(lesson, at).await,
            }
        })
    }

    fn classifier_unlearn(&self, id: LessonId, cells: Vec<u32>) -> BoxFuture<'_, Result<Taught, StoreError>> {
        Box::pin(async move {
            let shared = self.try_shared(Operation::ClassifierUnlearn, self.unlearn_shared(id, &cells)).await;
            let local =
                if self.has_local() { self.local.classifier_unlearn(id, cells).await? } else { Taught::Unknown };
            Ok(shared.filter(|shared| *shared != Taught::Unknown).unwrap_or(local))
        })
    }

    fn classifier_count(&self) -> BoxFuture<'_, Result<TaughtCount, StoreError>> {
        Box::pin(async move {
            let lessons = self.lessons_shared().await.unwrap_or(0);
            self.count_taught(lessons).await
        })
    }
}

fn noted(octets: &[u8]) -> Option<Noted> {
    <&[u8; NOTED]>::try_from(octets).ok().map(Noted::decode)
}

/// Tables add up.
fn add(weighed: &mut Weighed, other: &Weighed) {
    for (held, more) in weighed.held.iter_mut().zip(&other.held) {
        held.sum = held.sum.saturating_add(more.sum);
        held.mass = held.mass.saturating_add(more.mass);
    }
    let counts = weighed.taught.iter_mut().flatten().zip(other.taught.iter().flatten());
    counts.for_each(|(count, more)| *count = count.saturating_add(*more));
}
