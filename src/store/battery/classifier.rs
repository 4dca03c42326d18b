//! What every home must do with what the classifier was taught.

use super::*;
use crate::classifier::Cell;

fn lesson(id: u128, is_spam: bool, cells: &[u32]) -> Lesson {
    Lesson { id: LessonId(id), is_spam, cells: cells.to_vec() }
}

async fn learn(store: &dyn Store, lesson: Lesson, at: SystemTime) -> Taught {
    store.classifier_learn(lesson, at).await.expect("written")
}

pub(super) async fn lessons_count_once_and_can_be_taken_back<H: Home>() {
    let (store, _directory) = H::open(&Settings::default(), Hands::at(day(0)));
    let cells = [1, 5, 900_000];
    let empty = store.classifier_weigh(&cells).await.expect("readable");
    assert_eq!(empty.held, [Cell::default(); 3]);
    assert_eq!(learn(&*store, lesson(1, true, &cells), day(0)).await, Taught::New);
    let once = store.classifier_weigh(&cells).await.expect("readable");
    assert!(once.held.iter().all(|cell| cell.weight() > 0.0), "{once:?}");
    assert_eq!(learn(&*store, lesson(1, true, &cells), day(1)).await, Taught::Again);
    let twice = store.classifier_weigh(&cells).await.expect("readable");
    let close = once.held.iter().zip(&twice.held).all(|(once, twice)| once.sum.abs_diff(twice.sum) <= 2);
    assert!(close && once.taught == twice.taught, "{once:?} {twice:?}");
    let count = store.classifier_count().await.expect("readable");
    assert_eq!(count, TaughtCount { spam: 1, ham: 0, lessons: 1, cells: 3 });
    assert_eq!(learn(&*store, lesson(2, false, &[5, 6]), day(1)).await, Taught::New);
    assert_eq!(learn(&*store, lesson(1, false, &cells), day(2)).await, Taught::Corrected);
    let count = store.classifier_count().await.expect("readable");
    assert_eq!((count.spam, count.ham, count.lessons), (0, 2, 2));
    for (id, cells) in [(1, &cells[..]), (2, &[5, 6])] {
        let unlearned = store.classifier_unlearn(LessonId(id), cells.to_vec()).await;
        assert_eq!(unlearned, Ok(Taught::Unlearned));
    }
    assert_eq!(store.classifier_unlearn(LessonId(2), vec![5, 6]).await, Ok(Taught::Unknown));
    assert_eq!(store.classifier_weigh(&cells).await, Ok(empty));
    assert_eq!(store.classifier_count().await, Ok(TaughtCount::default()));
}

pub(super) async fn of_too_many_lessons_the_oldest_stay_learned<H: Home>() {
    let settings = Settings { lessons: 100, ..Settings::default() };
    let (store, _directory) = H::open(&settings, Hands::at(day(0)));
    for number in 0..150u32 {
        let lesson = lesson(number.into(), number % 2 == 0, &[number, 1000, 2_000_000_000]);
        learn(&*store, lesson, day(u64::from(number))).await;
    }
    let count = store.classifier_count().await.expect("readable");
    assert_eq!((count.spam, count.ham, count.lessons), (75, 75, 100));
    assert_eq!(store.classifier_unlearn(LessonId(10), vec![10]).await, Ok(Taught::Unknown));
    let weighed = store.classifier_weigh(&[10, 2_000_000_000]).await.expect("readable");
    assert!(weighed.held[0].is_known() && !weighed.held[1].is_known(), "{weighed:?}");
}
