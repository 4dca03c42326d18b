//! The last looks at a proxy: enough of them to say what has happened in the last minute.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::samples::Samples;

/// Looks that are kept, whatever the window and the interval are.
const MOST: usize = 720;
const BEGAN: &str = "process_start_time_seconds";

/// Looks at the metrics of one proxy, the latest last.
#[derive(Debug)]
pub(super) struct History {
    window: Duration,
    looks: VecDeque<(Instant, Samples)>,
}

impl History {
    /// Of so long ago at most.
    pub(super) fn new(window: Duration) -> Self {
        Self { window, looks: VecDeque::new() }
    }

    /// Keeps a look, and forgets those that are older than anybody asks for. Those at another process count for nothing.
    pub(super) fn add(&mut self, at: Instant, samples: Samples) {
        let is_another = self.looks.back().is_some_and(|(_, known)| known.value(BEGAN) != samples.value(BEGAN));
        if is_another {
            self.looks.clear();
        }
        self.looks.push_back((at, samples));
        // The oldest one within the window, and the one before it, which is as old as the window is long.
        while self.looks.len() > MOST || self.looks.get(1).is_some_and(|(next, _)| at - *next >= self.window) {
            self.looks.pop_front();
        }
    }

    /// The latest look.
    pub(super) fn latest(&self) -> Option<&Samples> {
        self.looks.back().map(|(_, samples)| samples)
    }

    /// The look to compare the latest with, and by how many seconds it is older; `None` if there is one alone.
    pub(super) fn before(&self) -> Option<(&Samples, f64)> {
        let [(from, older), .., (to, _)] = [self.looks.front()?, self.looks.back()?];
        (to > from).then(|| (older, (*to - *from).as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(began: u32, sessions: u32) -> Samples {
        Samples::parse(&format!("{BEGAN} {began}\ngatepost_sessions_total {sessions}\n"))
    }

    #[test]
    fn the_latest_look_is_compared_with_one_that_is_as_old_as_the_window() {
        let start = Instant::now();
        let mut history = History::new(Duration::from_secs(10));
        assert!(history.latest().is_none() && history.before().is_none());
        for (second, expected) in
            [(0, None), (4, Some((0, 4.0))), (8, Some((0, 8.0))), (12, Some((0, 12.0))), (16, Some((4, 12.0)))]
        {
            history.add(start + Duration::from_secs(second), page(1, u32::try_from(second).expect("few")));
            let before = history.before().map(|(older, seconds)| (older.value("gatepost_sessions_total"), seconds));
            let expected = expected.map(|(sessions, seconds): (u32, f64)| (Some(f64::from(sessions)), seconds));
            assert_eq!(before, expected, "{second}");
        }
    }

    #[test]
    fn a_proxy_that_began_anew_has_no_past() {
        let start = Instant::now();
        let mut history = History::new(Duration::from_secs(10));
        history.add(start, page(1, 500));
        history.add(start + Duration::from_secs(1), page(2, 3));
        assert!(history.before().is_none());
        assert_eq!(history.latest(), Some(&page(2, 3)));
    }

    #[test]
    fn looks_are_bounded() {
        let start = Instant::now();
        let mut history = History::new(Duration::MAX);
        for millis in 0..2 * MOST {
            history.add(start + Duration::from_millis(millis as u64), page(1, 1));
        }
        assert_eq!(history.looks.len(), MOST);
    }
}
