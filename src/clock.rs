//! Wall-clock time as a port. Monotonic time is `tokio::time`'s, which tests can pause.

use std::sync::Arc;
use std::time::SystemTime;

/// Where wall-clock time comes from; read once per transaction.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> SystemTime;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The clock that production code is built with.
pub fn system() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}
