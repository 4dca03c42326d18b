//! Wall-clock time as a port. Monotonic time is `tokio::time`'s, which tests can pause.

pub mod doubt;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

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

/// Whole seconds since 1970; a time before that is 1970.
pub fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The clock that production code is built with.
pub fn system() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}
