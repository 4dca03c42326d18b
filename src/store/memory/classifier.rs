//! What the classifier was taught, in memory.

use std::time::SystemTime;

use futures_util::future::{self, BoxFuture};

use super::super::StoreError;
use super::super::classifier::{Lesson, LessonId, Taught, TaughtCount, Teachings, Weighed};
use super::super::metrics::{Operation, Outcome};
use super::MemoryStore;

impl Teachings for MemoryStore {
    fn classifier_weigh<'a>(&'a self, cells: &'a [u32]) -> BoxFuture<'a, Result<Weighed, StoreError>> {
        self.metrics.count(Operation::ClassifierWeigh, Outcome::Ok);
        Box::pin(future::ready(Ok(self.teachbook.weigh(cells))))
    }

    fn classifier_learn(&self, lesson: Lesson, at: SystemTime) -> BoxFuture<'_, Result<Taught, StoreError>> {
        let mut lessons = self.teachbook.lock();
        let (taught, _) = self.teachbook.learn(&mut lessons, &lesson, at);
        self.metrics.show_taught(self.teachbook.count_all(&lessons));
        drop(lessons);
        self.metrics.count(Operation::ClassifierLearn, Outcome::Ok);
        Box::pin(future::ready(Ok(taught)))
    }

    fn classifier_unlearn(&self, id: LessonId, cells: Vec<u32>) -> BoxFuture<'_, Result<Taught, StoreError>> {
        let mut lessons = self.teachbook.lock();
        let taught = self.teachbook.unlearn(&mut lessons, id, &cells, &mut Vec::new());
        self.metrics.show_taught(self.teachbook.count_all(&lessons));
        drop(lessons);
        let outcome = if taught == Taught::Unknown { Outcome::Absent } else { Outcome::Ok };
        self.metrics.count(Operation::ClassifierUnlearn, outcome);
        Box::pin(future::ready(Ok(taught)))
    }

    fn classifier_count(&self) -> BoxFuture<'_, Result<TaughtCount, StoreError>> {
        let count = self.teachbook.count_all(&self.teachbook.lock());
        self.metrics.show_taught(count);
        Box::pin(future::ready(Ok(count)))
    }
}
