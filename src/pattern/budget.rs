//! What the patterns may cost one message.

use std::fmt;
use std::sync::Arc;

/// Steps that the backtracking engine may take in one run.
pub(super) const STEPS_PER_RUN: usize = 50_000;
/// Steps that it may take for one message, unless told otherwise: about 50 ms.
const STEPS_PER_MESSAGE: u64 = 2_000_000;

/// What the patterns may cost one message: steps of the backtracking engine, and time.
///
/// The linear engine costs no steps. Who has run out gets no match from patterns that need the backtracking engine;
/// who is late gets none from any.
#[derive(Clone)]
pub struct Budget {
    steps: u64,
    is_late: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    stopped: u32,
}

impl Budget {
    /// `steps` for one message.
    pub fn of_steps(steps: u64) -> Self {
        Self { steps, is_late: None, stopped: 0 }
    }

    /// The same, and nothing is begun once `is_late` says so.
    #[must_use]
    pub fn until(mut self, is_late: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.is_late = Some(Arc::new(is_late));
        self
    }

    /// True if some pattern was not run to its end, so that a match may be missing.
    pub fn ran_out(&self) -> bool {
        self.stopped > 0
    }

    /// Runs that were not begun or not ended.
    pub fn stopped(&self) -> u32 {
        self.stopped
    }

    /// Whether a run may begin; one that may not is counted.
    pub(super) fn admits(&mut self, backtracks: bool) -> bool {
        let is_over = (backtracks && self.steps == 0) || self.is_late.as_ref().is_some_and(|is_late| is_late());
        self.stopped += u32::from(is_over);
        !is_over
    }

    /// A run that went to its end over so many octets.
    pub(super) fn spend(&mut self, octets: usize) {
        // The engine does not say how many steps it took; it looks at each octet about once where nothing goes wrong.
        self.steps = self.steps.saturating_sub(octets as u64 / 8 + 1);
    }

    /// A run that cannot be: the expression cannot be compiled.
    pub(super) fn miss(&mut self) {
        self.stopped += 1;
    }

    /// A run that took all the steps that one may take.
    pub(super) fn give_up(&mut self) {
        self.steps = self.steps.saturating_sub(STEPS_PER_RUN as u64);
        self.stopped += 1;
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::of_steps(STEPS_PER_MESSAGE)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("steps", &self.steps).field("stopped", &self.stopped).finish_non_exhaustive()
    }
}
