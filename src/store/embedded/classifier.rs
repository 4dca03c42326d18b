//! What the classifier was taught: memory answers, and the file hears of what has changed. Who teaches waits until it is
//! on disk, so that what was said to be learned is.

use std::time::SystemTime;

use futures_util::future::{self, BoxFuture};
use tokio::sync::oneshot;

use super::super::StoreError;
use super::super::classifier::table::Change;
use super::super::classifier::{Lesson, LessonId, Taught, TaughtCount, Teachings, Weighed};
use super::super::metrics::{Operation, Outcome};
use super::writer::{Order, Work};
use super::{EmbeddedStore, gone};

impl Teachings for EmbeddedStore {
    fn classifier_weigh<'a>(&'a self, cells: &'a [u32]) -> BoxFuture<'a, Result<Weighed, StoreError>> {
        self.metrics.count(Operation::ClassifierWeigh, Outcome::Ok);
        Box::pin(future::ready(Ok(self.teachbook.weigh(cells))))
    }

    fn classifier_learn(&self, lesson: Lesson, at: SystemTime) -> BoxFuture<'_, Result<Taught, StoreError>> {
        let mut lessons = self.teachbook.lock();
        let (taught, changes) = self.teachbook.learn(&mut lessons, &lesson, at);
        // Under the lock, so that the file hears of changes in their order; queueing never waits.
        let ordered = self.keep_taught(changes, Operation::ClassifierLearn);
        self.metrics.show_taught(self.teachbook.count_all(&lessons));
        drop(lessons);
        Box::pin(async move { until_kept(ordered?).await.map(|()| taught) })
    }

    fn classifier_unlearn(&self, id: LessonId, cells: Vec<u32>) -> BoxFuture<'_, Result<Taught, StoreError>> {
        let (mut lessons, mut changes) = (self.teachbook.lock(), Vec::new());
        let taught = self.teachbook.unlearn(&mut lessons, id, &cells, &mut changes);
        if taught == Taught::Unknown {
            self.metrics.count(Operation::ClassifierUnlearn, Outcome::Absent);
            return Box::pin(future::ready(Ok(taught)));
        }
        let ordered = self.keep_taught(changes, Operation::ClassifierUnlearn);
        self.metrics.show_taught(self.teachbook.count_all(&lessons));
        drop(lessons);
        Box::pin(async move { until_kept(ordered?).await.map(|()| taught) })
    }

    fn classifier_count(&self) -> BoxFuture<'_, Result<TaughtCount, StoreError>> {
        let count = self.teachbook.count_all(&self.teachbook.lock());
        self.metrics.show_taught(count);
        Box::pin(future::ready(Ok(count)))
    }
}

type Kept = oneshot::Receiver<Result<Outcome, StoreError>>;

impl EmbeddedStore {
    fn keep_taught(&self, changes: Vec<Change>, operation: Operation) -> Result<Kept, StoreError> {
        let (committed, kept) = oneshot::channel();
        self.order(Order { work: Work::Taught(changes, operation), committed: Some(committed) })?;
        Ok(kept)
    }
}

async fn until_kept(kept: Kept) -> Result<(), StoreError> {
    kept.await.unwrap_or_else(|_| Err(gone())).map(drop)
}
