//! Is a list fit to be asked? Its state as a value: told what was answered and when, it says what changes.
//!
//! Test points that are answered wrongly and error codes suspend a list. It comes back after two rounds
//! of test points in which everything was as it should be. A run of questions without any answer, or hardly
//! any answers among many questions, open a breaker for a short time. Constant firing, slowness and lost
//! answers only raise an alert: in a flood the best list fires all the time, and is right (DECISIONS 36).

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::time::Instant;

use super::watch::{Breaker, Firing, Silence, Slowness};
use crate::dns::Origin;

/// The shortest and the longest time between tests of a list that is suspended, or not yet known to be fit.
pub const RETRY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(300));
/// How long a round of test points vouches for listings.
const VOUCHED: Duration = Duration::from_secs(10);
/// Rounds of tests in a row that bring a list back.
const PASSES: u8 = 2;
/// The health of one list.
#[derive(Clone, Debug)]
pub struct Health {
    interval: Duration,
    deadline: Duration,
    state: State,
    /// Time to the next test while the list is not fit. Grows with failures, and with relapses.
    retry: Duration,
    /// A suspension before this is a relapse.
    on_parole_until: Option<Instant>,
    next_test: Instant,
    last_test: Option<Instant>,
    /// When it was suspended or resumed last. Rounds of test points that began before say nothing new.
    changed: Option<Instant>,
    breaker: Breaker,
    silence: Silence,
    firing: Firing,
    slowness: Slowness,
}

#[derive(Clone, Debug)]
enum State {
    /// Not tested yet: asked, since nothing speaks against it.
    Untested,
    Fit,
    Suspended {
        reason: Reason,
        since: Instant,
        passed: u8,
    },
}

/// Why a list is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It answered with a code that means an error.
    ErrorCode(Ipv4Addr),
    /// It lists what must not be listed.
    ListsEverything,
    /// It does not list what must be listed.
    ListsNothing,
    /// It did not answer many times in a row, or hardly ever.
    NoAnswer,
}

/// What is worth a look, and no reason to stop asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alert {
    /// It lists nearly everything that it is asked about.
    ConstantFiring,
    /// Its answers take most of its deadline.
    Slow,
    /// Many questions have no answer.
    Unreliable,
}

/// A change, to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is not asked any more.
    Suspended(Reason),
    /// It is asked again.
    Resumed {
        /// Why it was not.
        reason: Reason,
        /// For how long.
        after: Duration,
    },
    /// Something is worth a look.
    Raised(Alert),
    /// It has passed.
    Cleared(Alert),
}

/// What came of one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Listed.
    Listed,
    /// Not listed.
    NotListed,
    /// A code that means an error.
    Error(Ipv4Addr),
    /// No answer in time, or a failure of its servers.
    NoAnswer,
}

/// What came of one question of a session, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// What came of it.
    pub answer: Answered,
    /// Where that comes from: what is remembered says nothing about the list now.
    pub origin: Origin,
    /// How long it took.
    pub took: Duration,
    /// Another question of the same client or message had no answer already: what one of them costs the list
    /// is one failure.
    pub again: bool,
}

/// One round of test points.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Of what must be listed.
    pub listed: Vec<Answered>,
    /// Of what must not be listed.
    pub not_listed: Vec<Answered>,
}

/// What a round of test points says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// All is as it should be.
    Fit,
    /// This is wrong.
    Unfit(Reason),
    /// Something had no answer, and nothing is wrong.
    Unknown,
}

impl Health {
    /// Of a list that was not tested yet and may be asked; its first test is due at once.
    pub fn new(interval: Duration, deadline: Duration, now: Instant) -> Self {
        Self {
            interval,
            deadline,
            state: State::Untested,
            retry: RETRY.0,
            on_parole_until: None,
            next_test: now,
            last_test: None,
            changed: None,
            breaker: Breaker::default(),
            silence: Silence::default(),
            firing: Firing::default(),
            slowness: Slowness::default(),
        }
    }

    /// Whether questions may be sent. While the breaker is open, one is let through from time to time.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&mut self, now: Instant) -> Result<(), Reason> {
        if let State::Suspended { reason, .. } = self.state {
            return Err(reason);
        }
        self.breaker.admit(now)
    }

    /// True if it is neither suspended nor cut off by the breaker.
    pub fn is_up(&self) -> bool {
        !self.is_suspended() && !self.breaker.is_open()
    }

    /// True if it answered wrongly, and did not yet show that it is well again.
    pub fn is_suspended(&self) -> bool {
        self.suspended().is_some()
    }

    /// Why it is suspended, if it is.
    pub fn suspended(&self) -> Option<Reason> {
        match self.state {
            State::Suspended { reason, .. } => Some(reason),
            State::Untested | State::Fit => None,
        }
    }

    /// All alerts, with whether they are raised.
    pub fn alerts(&self) -> [(Alert, bool); 3] {
        Alert::ALL.map(|alert| {
            let raised = match alert {
                Alert::ConstantFiring => self.firing.alert,
                Alert::Slow => self.slowness.alert,
                Alert::Unreliable => self.silence.alert,
            };
            (alert, raised)
        })
    }

    /// True if the last round of test points is too old to vouch for a listing. Whoever has one asks them
    /// first: a list that began to list everything a moment ago refuses nobody.
    pub fn is_stale(&self, now: Instant) -> bool {
        self.last_test.is_none_or(|last| last + VOUCHED <= now)
    }

    /// Whether its test points are to be asked now. A round that was begun and is never heard of again
    /// is due again after a while.
    ///
    /// # Errors
    /// When they are.
    pub fn begin_test(&mut self, now: Instant) -> Result<(), Instant> {
        if now < self.next_test {
            return Err(self.next_test);
        }
        self.next_test = now + RETRY.0;
        Ok(())
    }

    /// Takes note of what came of a question of a session.
    pub fn answered(&mut self, now: Instant, note: Note) -> Vec<Event> {
        let mut events = Vec::new();
        let is_answer = note.answer != Answered::NoAnswer;
        if is_answer && note.origin != Origin::Memory {
            let asked = now.checked_sub(note.took).unwrap_or(now);
            events.extend(self.answers(now, asked));
        }
        if note.origin == Origin::Asked {
            if !is_answer && !note.again {
                events.extend(self.breaker.failed(now));
            }
            let (event, hardly_ever) = self.silence.asked(is_answer);
            events.extend(event);
            if hardly_ever {
                events.extend(self.breaker.open(now));
            }
            if is_answer {
                events.extend(self.slowness.answered(note.took, self.deadline));
            }
        }
        match note.answer {
            Answered::Error(code) if note.origin != Origin::Memory => {
                events.extend(self.suspend(now, Reason::ErrorCode(code)));
            }
            Answered::Listed | Answered::NotListed if note.origin == Origin::Asked => {
                let event = self.firing.answered(note.answer == Answered::Listed);
                // Why so often, its test points may know.
                if event == Some(Event::Raised(Alert::ConstantFiring)) {
                    self.next_test = self.next_test.min(now);
                }
                events.extend(event);
            }
            _ => {}
        }
        events
    }

    /// It answers a question that was asked at `asked`.
    fn answers(&mut self, now: Instant, asked: Instant) -> Option<Event> {
        let event = self.breaker.answered(now, asked)?;
        // What was lost before is no reason to cut it off once more.
        self.silence.forget();
        Some(event)
    }

    /// Takes note of a round of test points that was begun at `begun`; of none that was begun before the list
    /// was suspended or resumed. `jitter` (0 to 1) spreads the tests of many lists.
    pub fn tested(&mut self, now: Instant, begun: Instant, round: &Round, jitter: f64) -> Vec<Event> {
        let mut events = Vec::new();
        // Of an instant that both share nobody knows which came first.
        if self.changed.is_some_and(|changed| begun <= changed) {
            return events;
        }
        self.last_test = Some(now);
        let somebody_answers = round.all().any(|answer| answer != Answered::NoAnswer);
        if somebody_answers {
            events.extend(self.answers(now, begun));
        }
        match round.opinion() {
            Opinion::Fit => events.extend(self.passed(now)),
            Opinion::Unfit(reason) => {
                if let State::Suspended { reason: known, passed, .. } = &mut self.state {
                    (*known, *passed) = (reason, 0);
                    self.retry = (self.retry * 2).min(RETRY.1);
                } else {
                    events.extend(self.suspend(now, reason));
                }
            }
            Opinion::Unknown => self.retry = (self.retry * 2).min(RETRY.1),
        }
        let wait = match self.state {
            State::Fit => self.interval,
            State::Suspended { passed: 1.., .. } => RETRY.0,
            State::Untested | State::Suspended { .. } => self.retry,
        };
        self.next_test = now + wait.mul_f64(0.9 + 0.2 * jitter.clamp(0.0, 1.0));
        events
    }

    fn passed(&mut self, now: Instant) -> Option<Event> {
        match &mut self.state {
            State::Suspended { passed, .. } if *passed + 1 < PASSES => {
                *passed += 1;
                None
            }
            State::Suspended { reason, since, .. } => {
                let event = Event::Resumed { reason: *reason, after: now.saturating_duration_since(*since) };
                self.state = State::Fit;
                self.changed = Some(now);
                self.on_parole_until = Some(now + self.interval);
                Some(event)
            }
            State::Untested | State::Fit => {
                self.state = State::Fit;
                if self.on_parole_until.is_none_or(|until| until <= now) {
                    self.retry = RETRY.0;
                }
                None
            }
        }
    }

    /// `None` if it is suspended already: what was asked before still comes in.
    fn suspend(&mut self, now: Instant, reason: Reason) -> Option<Event> {
        if self.is_suspended() {
            return None;
        }
        let relapse = self.on_parole_until.is_some_and(|until| now < until);
        self.retry = if relapse { (self.retry * 2).min(RETRY.1) } else { RETRY.0 };
        self.state = State::Suspended { reason, since: now, passed: 0 };
        self.changed = Some(now);
        self.next_test = now + self.retry;
        Some(Event::Suspended(reason))
    }
}

impl Round {
    /// What it says. Without any points all is as it should be.
    pub fn opinion(&self) -> Opinion {
        let error = self.all().find_map(|answer| match answer {
            Answered::Error(code) => Some(Reason::ErrorCode(code)),
            _ => None,
        });
        let everything = self.not_listed.contains(&Answered::Listed).then_some(Reason::ListsEverything);
        let nothing = self.listed.contains(&Answered::NotListed).then_some(Reason::ListsNothing);
        match error.or(everything).or(nothing) {
            Some(reason) => Opinion::Unfit(reason),
            None if self.all().any(|answer| answer == Answered::NoAnswer) => Opinion::Unknown,
            None => Opinion::Fit,
        }
    }

    fn all(&self) -> impl Iterator<Item = Answered> {
        self.listed.iter().chain(&self.not_listed).copied()
    }
}

impl Reason {
    /// One of each kind.
    pub const ALL: [Reason; 4] =
        [Self::ErrorCode(Ipv4Addr::UNSPECIFIED), Self::ListsEverything, Self::ListsNothing, Self::NoAnswer];

    /// The word for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::ErrorCode(_) => "error_code",
            Self::ListsEverything => "lists_everything",
            Self::ListsNothing => "lists_nothing",
            Self::NoAnswer => "no_answer",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ErrorCode(code) => write!(f, "it answers {code}, which is an error"),
            Self::ListsEverything => f.write_str("it lists what must not be listed"),
            Self::ListsNothing => f.write_str("it does not list what must be listed"),
            Self::NoAnswer => f.write_str("it does not answer"),
        }
    }
}

impl Alert {
    /// All of them.
    pub const ALL: [Alert; 3] = [Self::ConstantFiring, Self::Slow, Self::Unreliable];

    /// The word for logs and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::ConstantFiring => "constant_firing",
            Self::Slow => "slow",
            Self::Unreliable => "unreliable",
        }
    }
}

impl Answered {
    /// The word for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::NotListed => "not_listed",
            Self::Error(_) => "error",
            Self::NoAnswer => "no_answer",
        }
    }
}

#[cfg(test)]
mod tests;
