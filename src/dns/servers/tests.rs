//! Servers that behave as they are told: who is asked, how long it takes, what becomes of their standing.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::*;
use crate::dns::question::{Kind, Records};

/// What a server does with every question. An attempt that meets silence ends by itself, as it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Answer,
    Fail,
    Silence,
    Garbage,
}

#[derive(Clone)]
struct Told {
    does: Arc<Mutex<Does>>,
    asked: Arc<AtomicUsize>,
}

const TIMEOUT: Duration = Duration::from_secs(1);

impl Told {
    fn to(does: Does) -> Self {
        Self { does: Arc::new(Mutex::new(does)), asked: Arc::default() }
    }

    fn now(&self, does: Does) {
        *self.does.lock().expect("no panic") = does;
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

impl Network for Told {
    async fn ask(&self, _question: &Question) -> Result<Response, LookupError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let does = *self.does.lock().expect("no panic");
        match does {
            Does::Answer => Ok(Response { records: Records::none(Kind::A), exists: false, ttl: None }),
            Does::Fail => Err(LookupError::ServerFailure),
            Does::Garbage => Err(LookupError::Unreachable),
            Does::Silence => {
                tokio::time::sleep(TIMEOUT).await;
                Err(LookupError::Timeout)
            }
        }
    }
}

fn servers<const N: usize>(does: [Does; N], attempts: usize) -> (Servers<Told>, [Told; N]) {
    let told = does.map(Told::to);
    let labelled = told.iter().enumerate().map(|(index, told)| (index.to_string(), told.clone()));
    let settings = Settings { timeout: TIMEOUT, attempts, ..Settings::default() };
    (Servers::new(labelled, &settings, &Metrics::new()), told)
}

fn question() -> Question {
    Question::new(Kind::A, "mail.example").expect("a name")
}

async fn fate(servers: &Servers<Told>) -> Result<(), LookupError> {
    servers.ask(&question()).await.map(|_| ())
}

async fn outlast<const N: usize>(servers: &Servers<Told>, questions: usize) -> [bool; N] {
    let question = question();
    join_all((0..questions).map(|_| servers.ask(&question))).await;
    std::array::from_fn(|index| servers.servers[index].health().is_up())
}

#[tokio::test(start_paused = true)]
async fn the_first_that_has_an_answer_is_the_last_that_is_asked() {
    use Does::{Answer, Fail, Garbage, Silence};
    let late = Err(LookupError::Timeout);
    let error = Err(LookupError::ServerFailure);
    let garbage = Err(LookupError::Unreachable);
    for (does, attempts, expected, asked, seconds) in [
        ([Answer, Answer], 2, Ok(()), [1, 0], 0),
        ([Fail, Answer], 2, Ok(()), [1, 1], 0),
        ([Fail, Answer], 1, Ok(()), [1, 1], 0),
        ([Silence, Answer], 2, Ok(()), [1, 1], 1),
        ([Garbage, Answer], 2, Ok(()), [1, 1], 0),
        ([Fail, Fail], 2, error, [1, 1], 0),
        ([Fail, Silence], 2, error, [1, 1], 1),
        ([Silence, Fail], 2, error, [1, 1], 1),
        ([Silence, Silence], 2, late, [1, 1], 2),
        ([Silence, Silence], 3, late, [2, 2], 3),
        ([Garbage, Garbage], 2, garbage, [1, 1], 0),
    ] {
        let (servers, told) = servers(does, attempts);
        let begun = Instant::now();
        assert_eq!(fate(&servers).await, expected, "{does:?}");
        assert_eq!((told.each_ref().map(Told::asked), begun.elapsed().as_secs()), (asked, seconds), "{does:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_server_is_asked_again_if_it_said_nothing() {
    for (does, attempts, asked) in
        [(Does::Silence, 1, 1), (Does::Silence, 3, 3), (Does::Garbage, 3, 3), (Does::Fail, 3, 1)]
    {
        let (servers, [told]) = servers([does], attempts);
        let begun = Instant::now();
        assert!(fate(&servers).await.is_err());
        assert_eq!(told.asked(), asked, "{does:?}");
        let most = TIMEOUT * u32::try_from(attempts).expect("few") + GRACE;
        assert!(begun.elapsed() <= most, "{does:?}: {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn more_servers_than_attempts_do_not_make_a_question_longer() {
    let (servers, told) = servers([Does::Silence; 5], 2);
    let begun = Instant::now();
    assert_eq!(fate(&servers).await, Err(LookupError::Timeout));
    assert!(begun.elapsed() <= 2 * TIMEOUT + GRACE, "{:?}", begun.elapsed());
    assert_eq!(told.each_ref().map(Told::asked), [1, 1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_server_costs_a_few_questions_their_time_and_then_nobody() {
    let (servers, [dead, alive]) = servers([Does::Silence, Does::Answer], 2);
    assert_eq!(outlast(&servers, 100).await, [false, true]);
    assert_eq!((servers.servers[0].metrics.up.get(), servers.servers[1].metrics.up.get()), (0, 1));
    dead.asked();
    alive.asked();
    let begun = Instant::now();
    for _ in 0..50 {
        assert_eq!(fate(&servers).await, Ok(()));
    }
    assert_eq!((begun.elapsed(), dead.asked(), alive.asked()), (Duration::ZERO, 0, 50));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_back_is_found_by_a_copy_of_a_question() {
    let (servers, [first, second]) = servers([Does::Silence, Does::Answer], 2);
    assert_eq!(outlast(&servers, 3).await, [false, true]);
    first.asked();

    tokio::time::advance(Duration::from_secs(1)).await;
    let begun = Instant::now();
    for _ in 0..10 {
        assert_eq!(fate(&servers).await, Ok(()));
    }
    assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waits for the copy");
    tokio::time::sleep(2 * TIMEOUT).await;
    assert_eq!(first.asked(), 1, "one copy");
    assert!(!servers.servers[0].health().is_up());

    first.now(Does::Answer);
    assert_eq!(fate(&servers).await, Ok(()));
    tokio::task::yield_now().await;
    assert!(servers.servers[0].health().is_up());
    first.asked();
    second.asked();
    assert_eq!(fate(&servers).await, Ok(()));
    assert_eq!((first.asked(), second.asked()), (1, 0), "the first is the first again");
}

#[tokio::test(start_paused = true)]
async fn if_all_are_aside_all_are_asked_at_once_and_the_first_answer_counts() {
    let (servers, told) = servers([Does::Silence; 3], 2);
    while !servers.is_down() {
        outlast::<3>(&servers, 10).await;
    }
    let _ = told.each_ref().map(Told::asked);
    let begun = Instant::now();
    assert_eq!(fate(&servers).await, Err(LookupError::Timeout));
    assert!(begun.elapsed() <= TIMEOUT + GRACE, "{:?}", begun.elapsed());
    assert_eq!(told.each_ref().map(Told::asked), [1, 1, 1]);

    told[2].now(Does::Answer);
    let begun = Instant::now();
    assert_eq!(fate(&servers).await, Ok(()));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(!servers.is_down(), "back at the first answer, without a wait");
}

#[tokio::test(start_paused = true)]
async fn a_few_broken_names_do_not_put_a_server_aside_and_a_refusal_of_everything_does() {
    let (servers, [told]) = servers([Does::Fail], 2);
    assert_eq!(outlast(&servers, 9).await, [true]);
    told.now(Does::Answer);
    assert_eq!(outlast(&servers, 1).await, [true]);
    told.now(Does::Fail);
    assert_eq!(outlast(&servers, 20).await, [false]);
    assert_eq!(fate(&servers).await, Err(LookupError::ServerFailure), "asked all the same");
    told.now(Does::Answer);
    assert_eq!(fate(&servers).await, Ok(()));
    assert!(servers.servers[0].health().is_up());
}
