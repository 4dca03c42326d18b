//! A clock that leaps is not believed for a while: nothing expires meanwhile.

/// A clock that has gone further since the last event is not believed; in seconds.
pub const LEAP: u64 = 6 * 3600;
/// For so long; in seconds.
pub const DOUBT: u64 = 3600;

/// Whether the clock is to be believed.
pub struct Doubt {
    /// The time of the last event.
    seen_at: u64,
    /// The clock is not believed before.
    until: u64,
}

impl Doubt {
    /// After a start there is doubt, too: a machine may not know the time yet.
    pub fn new(now: u64) -> Self {
        Self { seen_at: now, until: now.saturating_add(DOUBT) }
    }

    /// Takes note of the time of an event.
    pub fn mind(&mut self, now: u64) {
        if now > self.seen_at.saturating_add(LEAP) || now.saturating_add(DOUBT) < self.seen_at {
            self.until = now.saturating_add(DOUBT);
        }
        self.seen_at = now;
    }

    /// True while nothing should be thought old.
    pub fn is_doubted(&self, now: u64) -> bool {
        now < self.until
    }
}
