//! Many messages side by side, in bounded memory, told in their order.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Duration, Instant};

use crate::cli::Failed;

/// Results that may wait for one that takes longer.
const AHEAD: usize = 1024;
/// Results that a worker tells together: whoever prints them need not be woken for each.
const TOGETHER: usize = 16;
/// None of them waits longer for the others, once the next is there.
const LONGEST: Duration = Duration::from_millis(50);

/// How many of which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Told.
    pub done: usize,
    /// Could not be read.
    pub failed: usize,
    /// Somebody ended it before its end.
    pub interrupted: bool,
}

/// What hands out work; asked by one worker at a time.
pub trait Source: Send + 'static {
    /// One piece of work.
    type Work: Send;
    /// The next piece, if there is one.
    fn next(&mut self) -> Option<Result<Self::Work, Failed>>;
}

impl<W: Send, I: Iterator<Item = Result<W, Failed>> + Send + 'static> Source for I {
    type Work = W;
    fn next(&mut self) -> Option<Result<W, Failed>> {
        Iterator::next(self)
    }
}

/// Does the work of `source` with `workers` tasks, and tells each result in the order of the work. It ends with the
/// work, when `stop` is set, or with the first error of `tell`. What cannot be read is told to `fail`.
///
/// # Errors
/// Those of `tell`.
pub async fn run<S, R, D, F>(
    source: S,
    workers: usize,
    stop: Arc<AtomicBool>,
    work: D,
    mut tell: impl FnMut(R) -> Result<(), Failed>,
    mut fail: impl FnMut(Failed),
) -> Result<Outcome, Failed>
where
    S: Source,
    R: Send + 'static,
    D: Fn(S::Work) -> F + Clone + Send + 'static,
    F: Future<Output = Result<R, Failed>> + Send,
{
    let source = Arc::new(Mutex::new((0_usize, source)));
    let room = Arc::new(Semaphore::new(AHEAD));
    let (sender, mut results) = mpsc::channel::<Vec<_>>(AHEAD);
    for _ in 0..workers.max(1) {
        let (source, room, sender, stop, work) =
            (source.clone(), room.clone(), sender.clone(), stop.clone(), work.clone());
        tokio::spawn(async move {
            let (mut done, mut told) = (Vec::new(), Instant::now());
            loop {
                let permit = match room.try_acquire() {
                    Ok(permit) => permit,
                    // Room comes with the results that are told, and these may be the next.
                    Err(_) => {
                        let told = sender.send(std::mem::take(&mut done)).await;
                        let (Ok(()), Ok(permit)) = (told, room.acquire().await) else { return };
                        permit
                    }
                };
                permit.forget();
                let piece = if stop.load(Ordering::Relaxed) { None } else { take(&source) };
                let is_last = piece.is_none();
                if let Some((number, piece)) = piece {
                    done.push(match piece {
                        Ok(piece) => (number, caught(work(piece)).await),
                        Err(why) => (number, Err(why)),
                    });
                }
                if is_last || done.len() >= TOGETHER || told.elapsed() > LONGEST {
                    if sender.send(std::mem::take(&mut done)).await.is_err() || is_last {
                        return;
                    }
                    told = Instant::now();
                }
            }
        });
    }
    drop(sender);
    let (mut waiting, mut due, mut outcome) = (BTreeMap::new(), 0, Outcome::default());
    while let Some(done) = results.recv().await {
        waiting.extend(done);
        while let Some(result) = waiting.remove(&due) {
            due += 1;
            room.add_permits(1);
            match result {
                Ok(result) => {
                    tell(result)?;
                    outcome.done += 1;
                }
                Err(why) => {
                    fail(why);
                    outcome.failed += 1;
                }
            }
        }
    }
    outcome.interrupted = stop.load(Ordering::Relaxed);
    Ok(outcome)
}

/// What the work comes to; if it panics, that.
async fn caught<R>(work: impl Future<Output = Result<R, Failed>>) -> Result<R, Failed> {
    let mistake = || Failed("a mistake in this program kept one message from being judged".to_owned());
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| Err(mistake()))
}

/// The next piece of work with its number.
fn take<S: Source>(source: &Mutex<(usize, S)>) -> Option<(usize, Result<S::Work, Failed>)> {
    let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
    let piece = source.1.next()?;
    let number = source.0;
    source.0 += 1;
    Some((number, piece))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn results_are_told_in_order_and_the_rest_waits_for_a_slow_one() {
        let work = |number: usize| async move {
            tokio::time::sleep(Duration::from_millis(if number == 0 { 60_000 } else { 1 })).await;
            if number == 7 { Err(Failed("seven".to_owned())) } else { Ok(number) }
        };
        let (mut told, mut failures) = (Vec::new(), Vec::new());
        let tell = |number| {
            told.push(number);
            Ok(())
        };
        let fail = |why: Failed| failures.push(why.0);
        let outcome = run((0..3000).map(Ok), 4, Arc::default(), work, tell, fail).await.expect("told");
        assert_eq!(outcome, Outcome { done: 2999, failed: 1, interrupted: false });
        assert!(told.is_sorted() && failures == ["seven"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_costs_one_result_and_no_other() {
        let work = |number: usize| async move {
            assert_ne!(number, 1500, "planned");
            Ok(number)
        };
        let (mut told, mut failures) = (0, 0);
        let tell = |_| {
            told += 1;
            Ok(())
        };
        let fail = |_| failures += 1;
        let outcome = run((0..3000).map(Ok), 4, Arc::default(), work, tell, fail).await.expect("told");
        assert_eq!(outcome, Outcome { done: 2999, failed: 1, interrupted: false });
        assert_eq!((told, failures), (2999, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn it_stops_when_told() {
        let stop = Arc::new(AtomicBool::new(false));
        let tell = |number: usize| {
            stop.store(number >= 10, Ordering::Relaxed);
            Ok(())
        };
        let work = |number| async move { Ok(number) };
        let outcome = run((0..1_000_000).map(Ok), 2, stop.clone(), work, tell, |_| {}).await.expect("told");
        assert!(outcome.interrupted && outcome.done < 10_000, "{outcome:?}");
    }
}
