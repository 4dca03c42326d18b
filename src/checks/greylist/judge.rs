//! How we stand with a sender, by what is remembered.

use std::time::{Duration, SystemTime};

use super::Settings;
use crate::store::TripletRecord;

/// How we stand with a sender, as far as one recipient is concerned; the better, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It has never tried, or not within the window.
    New,
    /// It tries again too soon.
    Early {
        /// When it first tried, counted backwards.
        age: Duration,
    },
    /// It has come again in time.
    Retried {
        /// After so long.
        age: Duration,
    },
    /// It has delivered before.
    Delivered {
        /// So many messages.
        messages: u32,
    },
    /// Whatever it sends passes: it has delivered enough.
    Passes {
        /// So many messages.
        messages: u32,
    },
    /// An operator let it pass.
    ByHand,
}

impl Standing {
    /// True if it need not come again.
    pub fn is_known(self) -> bool {
        self >= Self::Retried { age: Duration::ZERO }
    }

    /// How long it has to wait from now.
    pub fn wait(self, settings: &Settings) -> Duration {
        match self {
            Self::New => settings.delay,
            Self::Early { age } => settings.delay.saturating_sub(age).max(Duration::from_secs(1)),
            _ => Duration::ZERO,
        }
    }
}

/// How we stand at `now` with somebody who holds this `triplet`; `None` where nothing is remembered any more.
pub fn judge(
    settings: &Settings,
    now: SystemTime,
    holder: Option<&TripletRecord>,
    triplet: Option<&TripletRecord>,
) -> Standing {
    let passes = |record: &&TripletRecord| record.by_hand || record.deliveries >= settings.pass_after;
    if let Some(record) = holder.filter(passes) {
        return if record.by_hand { Standing::ByHand } else { Standing::Passes { messages: record.deliveries } };
    }
    let Some(triplet) = triplet else { return Standing::New };
    // A clock that went back makes nobody wait longer than anew.
    let age = now.duration_since(triplet.first).unwrap_or(Duration::ZERO);
    match triplet {
        TripletRecord { by_hand: true, .. } => Standing::ByHand,
        TripletRecord { deliveries: 1.., .. } => Standing::Delivered { messages: triplet.deliveries },
        _ if age < settings.delay => Standing::Early { age },
        _ if age <= settings.window => Standing::Retried { age },
        _ => Standing::New,
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_790_000_000 + seconds)
    }

    fn record(first: u64, deliveries: u32, by_hand: bool) -> TripletRecord {
        TripletRecord { first: at(first), last: at(first), until: at(1 << 20), attempts: 1, deliveries, by_hand }
    }

    #[test]
    fn standing_follows_from_age_and_deliveries() {
        let settings = Settings::default();
        let age = Duration::from_secs;
        let hours = |number: u64| number * 3600;
        for (holder, triplet, now, expected, wait) in [
            (None, None, 0, Standing::New, 180),
            (None, Some(record(0, 0, false)), 0, Standing::Early { age: age(0) }, 180),
            (None, Some(record(0, 0, false)), 100, Standing::Early { age: age(100) }, 80),
            (None, Some(record(0, 0, false)), 180, Standing::Retried { age: age(180) }, 0),
            (None, Some(record(0, 0, false)), hours(48), Standing::Retried { age: age(hours(48)) }, 0),
            (None, Some(record(0, 0, false)), hours(48) + 1, Standing::New, 180),
            (None, Some(record(50, 0, false)), 0, Standing::Early { age: age(0) }, 180),
            (None, Some(record(0, 1, false)), hours(900), Standing::Delivered { messages: 1 }, 0),
            (None, Some(record(0, 0, true)), 0, Standing::ByHand, 0),
            (Some(record(0, 4, false)), None, 0, Standing::New, 180),
            (Some(record(0, 5, false)), None, 0, Standing::Passes { messages: 5 }, 0),
            (Some(record(0, 0, true)), None, 0, Standing::ByHand, 0),
        ] {
            let standing = judge(&settings, at(now), holder.as_ref(), triplet.as_ref());
            assert_eq!(standing, expected, "{holder:?} {triplet:?} {now}");
            assert_eq!(standing.wait(&settings), age(wait), "{standing:?}");
            assert_eq!(standing.is_known(), wait == 0, "{standing:?}");
        }
    }
}
