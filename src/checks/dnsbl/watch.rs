//! What is watched while a list answers: losses that open a breaker, and what is worth an alert.

use std::time::Duration;

use tokio::time::Instant;

use super::health::{Alert, Event, Reason};

/// Questions in a row without an answer that open the breaker.
const FAILURES: u32 = 10;
/// How long the breaker stays open before one question is let through.
pub(super) const BREAK: Duration = Duration::from_secs(30);
/// Questions over which it is judged whether a list answers.
const ENOUGH_QUESTIONS: u32 = 40;
/// Answers over which it is judged whether a list fires constantly.
const ENOUGH_ANSWERS: u32 = 200;
/// Answers over which it is judged whether a list is slow.
const ENOUGH_TIMES: u32 = 16;

/// Stops questions for a short time after a run of losses.
#[derive(Clone, Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// Since when it is open, and when the next question may try.
    open: Option<(Instant, Instant)>,
}

/// How many questions are lost.
#[derive(Clone, Debug, Default)]
pub(super) struct Silence {
    questions: u32,
    answered: u32,
    pub(super) alert: bool,
}

/// How many answers are listings.
#[derive(Clone, Debug, Default)]
pub(super) struct Firing {
    answers: u32,
    listed: u32,
    pub(super) alert: bool,
}

/// How long answers take.
#[derive(Clone, Debug, Default)]
pub(super) struct Slowness {
    times: u32,
    /// Moving average.
    mean: Duration,
    pub(super) alert: bool,
}

impl Breaker {
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Reason> {
        match &mut self.open {
            Some((_, next)) if now < *next => Err(Reason::NoAnswer),
            Some((_, next)) => {
                *next = now + BREAK;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// An answer closes it, unless the question left before it was opened.
    pub(super) fn answered(&mut self, now: Instant, asked: Instant) -> Option<Event> {
        self.failures = 0;
        let (since, _) = self.open.filter(|(since, _)| *since <= asked)?;
        self.open = None;
        Some(Event::Resumed { reason: Reason::NoAnswer, after: now.saturating_duration_since(since) })
    }

    pub(super) fn failed(&mut self, now: Instant) -> Option<Event> {
        self.failures = self.failures.saturating_add(1);
        match &mut self.open {
            Some((_, next)) => *next = now + BREAK,
            None if self.failures >= FAILURES => return self.open(now),
            None => {}
        }
        None
    }

    pub(super) fn open(&mut self, now: Instant) -> Option<Event> {
        if self.is_open() {
            return None;
        }
        self.open = Some((now, now + BREAK));
        Some(Event::Suspended(Reason::NoAnswer))
    }
}

impl Silence {
    /// Below 70 % of answers is unreliable, above 90 % it is over; older questions count less and less. True
    /// if it is below 20 %: each session would wait for nothing.
    pub(super) fn asked(&mut self, is_answered: bool) -> (Option<Event>, bool) {
        self.questions += 1;
        self.answered += u32::from(is_answered);
        if self.questions < ENOUGH_QUESTIONS {
            return (None, false);
        }
        let (share, all) = (self.answered * 100, self.questions);
        (self.questions, self.answered) = (self.questions / 2, self.answered / 2);
        (switch(&mut self.alert, Alert::Unreliable, share < all * 70, share > all * 90), share < all * 20)
    }

    pub(super) fn forget(&mut self) {
        (self.questions, self.answered) = (0, 0);
    }
}

impl Firing {
    /// Above 95 % is constant, below 90 % it is over; older answers count less and less.
    pub(super) fn answered(&mut self, listed: bool) -> Option<Event> {
        self.answers += 1;
        self.listed += u32::from(listed);
        if self.answers < ENOUGH_ANSWERS {
            return None;
        }
        let (share, all) = (self.listed * 100, self.answers);
        (self.answers, self.listed) = (self.answers / 2, self.listed / 2);
        switch(&mut self.alert, Alert::ConstantFiring, share > all * 95, share < all * 90)
    }
}

impl Slowness {
    /// Above half of the deadline is slow, below a quarter it is over.
    pub(super) fn answered(&mut self, took: Duration, deadline: Duration) -> Option<Event> {
        self.times = self.times.saturating_add(1).min(ENOUGH_TIMES);
        self.mean = self.mean.mul_f64(1.0 - 1.0 / f64::from(self.times)) + took / self.times;
        if self.times < ENOUGH_TIMES {
            return None;
        }
        switch(&mut self.alert, Alert::Slow, self.mean > deadline / 2, self.mean < deadline / 4)
    }
}

fn switch(alert: &mut bool, which: Alert, raise: bool, clear: bool) -> Option<Event> {
    if raise && !*alert {
        *alert = true;
        return Some(Event::Raised(which));
    }
    if clear && *alert {
        *alert = false;
        return Some(Event::Cleared(which));
    }
    None
}
