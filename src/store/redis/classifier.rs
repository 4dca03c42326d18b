//! What the classifier was taught. Each proxy has its own table; see `docs/classifier.md`.

use std::time::SystemTime;

use futures_util::future::BoxFuture;

use super::RedisStore;
use crate::store::StoreError;
use crate::store::classifier::{Lesson, LessonId, Taught, TaughtCount, Teachings, Weighed};

impl Teachings for RedisStore {
    fn classifier_weigh<'a>(&'a self, cells: &'a [u32]) -> BoxFuture<'a, Result<Weighed, StoreError>> {
        self.local.classifier_weigh(cells)
    }

    fn classifier_learn(&self, lesson: Lesson, at: SystemTime) -> BoxFuture<'_, Result<Taught, StoreError>> {
        self.local.classifier_learn(lesson, at)
    }

    fn classifier_unlearn(&self, id: LessonId, cells: Vec<u32>) -> BoxFuture<'_, Result<Taught, StoreError>> {
        self.local.classifier_unlearn(id, cells)
    }

    fn classifier_count(&self) -> BoxFuture<'_, Result<TaughtCount, StoreError>> {
        self.local.classifier_count()
    }
}
