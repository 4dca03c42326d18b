//! What one proxy is taught, all of them know.

use super::failures::{another, until};
use super::*;
use crate::classifier::Cell;
use crate::store::{Lesson, LessonId, Taught, Teachings};

/// Another proxy, which waits for a busy machine.
fn proxy(server: &RedisServer) -> (RedisStore, Metrics) {
    another(server, |redis| redis.deadline = PATIENT)
}

fn lesson(id: u128, is_spam: bool) -> Lesson {
    let cells = vec![u32::from(is_spam), 77, 1000 + id as u32, 1_000_000];
    Lesson { id: LessonId(id), is_spam, cells }
}

async fn learn(store: &RedisStore, id: u128, is_spam: bool) -> Taught {
    store.classifier_learn(lesson(id, is_spam), day(0)).await.expect("never a failure")
}

async fn unlearn(store: &RedisStore, id: u128, is_spam: bool) -> Taught {
    store.classifier_unlearn(LessonId(id), lesson(id, is_spam).cells).await.expect("never a failure")
}

/// What a message says, without its number.
fn said(store: &RedisStore) -> Vec<Cell> {
    store.teaching.weigh(&[0, 1, 77, 1_000_000]).held
}

async fn counted(store: &RedisStore) -> (u64, u64, usize) {
    let count = store.classifier_count().await.expect("never a failure");
    (count.ham, count.spam, count.lessons)
}

#[tokio::test]
async fn what_one_proxy_is_taught_the_others_know_and_can_take_back() {
    if !server::is_here() {
        return;
    }
    let server = RedisServer::start(&[]);
    let ((one, _), (two, _)) = (proxy(&server), proxy(&server));
    for id in 0..20 {
        let (store, is_spam) = (if id % 3 == 0 { &one } else { &two }, id % 2 == 0);
        assert_eq!(learn(store, id, is_spam).await, Taught::New);
    }
    until("they agree", || said(&one) == said(&two)).await;
    assert!(said(&one)[0].weight() < -0.5 && said(&one)[1].weight() > 0.5, "{:?}", said(&one));
    assert_eq!((counted(&one).await, counted(&two).await), ((10, 10, 20), (10, 10, 20)));
    // Who comes later loads all of it.
    let (three, _) = proxy(&server);
    until("it is loaded", || said(&three) == said(&one)).await;
    // It counts once, whoever is told so.
    assert_eq!(learn(&three, 0, true).await, Taught::Again);
    let corrected = Lesson { is_spam: true, ..lesson(1, false) };
    assert_eq!(one.classifier_learn(corrected, day(0)).await.expect("never a failure"), Taught::Corrected);
    assert_eq!(counted(&one).await, (9, 11, 20));
    for id in 0..20 {
        assert_eq!(unlearn(&two, id, id % 2 == 0).await, Taught::Unlearned, "{id}");
    }
    assert_eq!(unlearn(&one, 0, true).await, Taught::Unknown);
    until("nothing remains", || [&one, &two, &three].map(said) == [(); 3].map(|()| vec![Cell::default(); 4])).await;
    assert_eq!(counted(&two).await, (0, 0, 0));
}

#[tokio::test]
async fn lessons_at_the_same_time_add_up() {
    if !server::is_here() {
        return;
    }
    let server = RedisServer::start(&[]);
    let ((one, _), (two, _)) = (proxy(&server), proxy(&server));
    let teach = async |store: &RedisStore, first: u128| {
        for id in first..first + 20 {
            // Some are taught to both.
            learn(store, id % 30, id % 2 == 0).await;
        }
    };
    tokio::join!(teach(&one, 0), teach(&two, 15));
    until("they agree", || said(&one) == said(&two)).await;
    assert_eq!(counted(&one).await, (15, 15, 30));
    for id in 0..30 {
        assert_eq!(unlearn(&one, id, id % 2 == 0).await, Taught::Unlearned, "{id}");
    }
    until("nothing remains", || said(&two).iter().all(|cell| !cell.is_known())).await;
}

#[tokio::test]
async fn without_redis_what_is_known_judges_and_one_learns_alone() {
    if !server::is_here() {
        return;
    }
    let mut server = RedisServer::start(&[]);
    let (store, metrics) = proxy(&server);
    learn(&store, 0, true).await;
    let known = said(&store);
    server.kill();
    until("Redis is gone", || !store.link.is_up()).await;
    assert_eq!(said(&store), known);
    assert_eq!(learn(&store, 2, true).await, Taught::New);
    assert!(metrics.redis.fallbacks.get() > 0);
    let weighed = store.classifier_weigh(&lesson(2, true).cells).await.expect("never a failure");
    assert!(weighed.held.iter().all(|cell| cell.is_known()), "{weighed:?}");
    // Another server in its place knows nothing: it is told what all knew.
    server.restart();
    until("Redis is back", || store.link.is_up()).await;
    // What was learned alone counts once when all have learned it.
    assert_eq!(learn(&store, 2, true).await, Taught::New);
    let (ham, spam, _) = counted(&store).await;
    assert_eq!((ham, spam), (0, 2));
    let (other, _) = proxy(&server);
    until("it is told", || said(&other) == said(&store)).await;
}
