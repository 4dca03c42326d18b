//! What the patterns may cost one message.

use std::fmt;
use std::sync::Arc;

/// Steps that the backtracking engine may take where it tries for the first, the second and the last time. It does not
/// say how many it took, so each try costs what it may take: most need no more than the first.
pub(super) const STEPS_PER_TRY: [usize; 3] = [100, 2_000, 50_000];
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
    /// Who was late once stays so.
    was_late: bool,
    stopped: u32,
}

impl Budget {
    /// `steps` for one message.
    pub fn of_steps(steps: u64) -> Self {
        Self { steps, is_late: None, was_late: false, stopped: 0 }
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

    /// True once it is too late to begin anything.
    pub fn is_late(&mut self) -> bool {
        self.was_late = self.was_late || self.is_late.as_ref().is_some_and(|is_late| is_late());
        self.was_late
    }

    /// Something that was not begun or not ended: it is late, or cannot be done.
    pub fn stop(&mut self) {
        self.stopped = self.stopped.saturating_add(1);
    }

    /// Whether a run may begin; one that may not is counted.
    pub(super) fn admits(&mut self, backtracks: bool) -> bool {
        let is_over = (backtracks && self.steps == 0) || self.is_late();
        if is_over {
            self.stop();
        }
        !is_over
    }

    /// A try that may have taken so many steps.
    pub(super) fn spend(&mut self, steps: usize) {
        self.steps = self.steps.saturating_sub(steps as u64);
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
