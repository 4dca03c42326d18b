//! Whether a DNS server is of use: judged by what it did last, and by nothing else. Time comes in.
//!
//! A server that fails several times in a row is put aside for a time that grows. When that is over
//! one question is copied to it; one answer, of whatever kind, and it is back.

use std::time::Duration;

use tokio::time::Instant;

/// The standing of one server.
#[derive(Debug, Default)]
pub(super) struct Health {
    silences: u32,
    failures: u32,
    answered_at: Option<Instant>,
    aside: Option<Aside>,
}

/// Put aside.
#[derive(Debug)]
struct Aside {
    until: Instant,
    wait: Duration,
}

/// A change that is worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It answers again.
    Up,
    /// It is put aside.
    Down,
}

/// So many questions in a row without any reply.
const SILENCES: u32 = 3;

/// So many in a row without an answer, SERVFAIL and REFUSED included. These may be about the names
/// that are asked for, so it takes more of them.
const FAILURES: u32 = 10;

/// The first time aside, and the longest.
const ASIDE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl Health {
    /// True unless it is put aside.
    pub(super) fn is_up(&self) -> bool {
        self.aside.is_none()
    }

    /// It had an answer.
    pub(super) fn answered(&mut self, now: Instant) -> Option<Change> {
        let was_aside = self.aside.is_some();
        *self = Self { answered_at: Some(now), ..Self::default() };
        was_aside.then_some(Change::Up)
    }

    /// It had none for a question of `begun`; `silent` if it did not say anything that could be read.
    pub(super) fn failed(&mut self, silent: bool, begun: Instant, now: Instant) -> Option<Change> {
        // What was asked before the last answer tells nothing new; while it is aside it waits long
        // enough for whatever was on its way, and for the copies.
        if self.aside.is_some() || self.answered_at.is_some_and(|answered_at| begun < answered_at) {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        self.silences = if silent { self.silences.saturating_add(1) } else { 0 };
        if self.silences < SILENCES && self.failures < FAILURES {
            return None;
        }
        self.aside = Some(Aside { until: now + ASIDE.0, wait: ASIDE.0 });
        Some(Change::Down)
    }

    /// True if a question should be copied to it: it is aside and its time is over. The next time
    /// begins with that, twice as long, whether or not anything comes of the copy.
    pub(super) fn claim_probe(&mut self, now: Instant) -> bool {
        let Some(aside) = self.aside.as_mut().filter(|aside| aside.until <= now) else { return false };
        aside.wait = (aside.wait * 2).min(ASIDE.1);
        aside.until = now + aside.wait;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn failures_in_a_row_put_a_server_aside_and_one_answer_brings_it_back() {
        for (silent, enough) in [(true, SILENCES), (false, FAILURES)] {
            let (now, mut health) = (Instant::now(), Health::default());
            for _ in 1..enough {
                assert_eq!(health.failed(silent, now, now), None);
            }
            assert_eq!(health.answered(now), None, "never was down");
            for _ in 1..enough {
                assert_eq!(health.failed(silent, now, now), None);
            }
            assert_eq!(health.failed(silent, now, now), Some(Change::Down));
            assert_eq!(health.failed(silent, now, now), None, "said once");
            assert!(!health.is_up());
            assert_eq!(health.answered(now), Some(Change::Up));
            assert!(health.is_up());
        }
    }

    #[test]
    fn a_question_sent_before_the_last_answer_says_nothing_new() {
        let (begun, mut health) = (Instant::now(), Health::default());
        let now = begun + seconds(1);
        assert_eq!(health.answered(now), None);
        for _ in 0..2 * FAILURES {
            assert_eq!(health.failed(true, begun, now + seconds(1)), None);
        }
        assert!(health.is_up());
    }

    #[test]
    fn errors_between_silences_show_that_it_is_alive() {
        let (now, mut health) = (Instant::now(), Health::default());
        for turn in 1..FAILURES {
            assert_eq!(health.failed(turn % 3 != 0, now, now), None);
        }
        assert_eq!(health.failed(false, now, now), Some(Change::Down), "but of no use");
    }

    #[test]
    fn probes_come_one_at_a_time_and_ever_more_rarely() {
        let (mut now, mut health) = (Instant::now(), Health::default());
        assert!(!health.claim_probe(now), "up");
        while health.failed(true, now, now).is_none() {}
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(!health.claim_probe(now + seconds(wait) - Duration::from_millis(1)), "{wait}");
            now += seconds(wait);
            assert!(health.claim_probe(now), "{wait}");
            assert!(!health.claim_probe(now), "{wait}");
            assert_eq!(health.failed(true, now, now + seconds(1)), None, "{wait}");
        }
        health.answered(now);
        while health.failed(true, now, now).is_none() {}
        assert!(health.claim_probe(now + seconds(1)), "the waits begin anew");
    }
}
