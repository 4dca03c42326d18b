//! Whether somebody is over a limit, and the words for it.

use std::time::Duration;

use super::{Limit, Unit};
use crate::store::Taken;
use crate::units::ByteSize;

/// What is said of somebody who is over `limit`, given that a look at the bucket found `taken`, and that so many
/// units are on the way which nobody has taken yet; `None` if there is room for one more.
pub fn judge(limit: &Limit, taken: &Taken, pending: u32) -> Option<String> {
    if taken.is_within && taken.left > pending {
        return None;
    }
    let allowance = &limit.allowance;
    let more = u64::from(pending.saturating_sub(taken.left));
    let per_unit = allowance.per / allowance.units.max(1);
    let wait = taken.wait.saturating_add(per_unit.saturating_mul(u32::try_from(more).unwrap_or(u32::MAX)));
    // Who waits that long finds a full bucket, or has paid all debt.
    let wait = wait.clamp(Duration::from_secs(1), allowance.per.saturating_mul(2).max(Duration::from_secs(1)));
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let what = match limit.of {
        Unit::Bytes => ByteSize(u64::from(allowance.units) << 10).to_string(),
        other => format!("{} {}", allowance.units, noun(other)),
    };
    Some(format!("more than {what} in {}, try again in {seconds} seconds", span(allowance.per)))
}

fn noun(unit: Unit) -> &'static str {
    match unit {
        Unit::Connections => "connections",
        Unit::Transactions => "transactions",
        Unit::Recipients => "recipients",
        Unit::UnknownRecipients => "unknown recipients",
        Unit::Errors => "errors",
        Unit::Bytes => "octets",
        Unit::AuthFailures => "failed authentications",
    }
}

/// A time in the largest unit that it is a whole number of.
fn span(time: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let seconds = time.as_secs().max(1);
    let whole = UNITS.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit));
    let (number, unit) = whole.map_or((seconds, "second"), |(unit, name)| (seconds / unit, name));
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::super::{Answer, Subject};
    use super::*;
    use crate::scoring::Symbol;
    use crate::store::Allowance;
    use crate::units::{CidrSet, DomainSet};

    fn limit(of: Unit, units: u32, seconds: u64) -> Limit {
        Limit {
            name: "some".into(),
            symbol: Symbol::known("RATE_SOME"),
            per: Subject::Client,
            of,
            allowance: Allowance { units, per: Duration::from_secs(seconds) },
            then: Answer::Defer,
            outgoing: false,
            shadow: false,
            exempt_networks: CidrSet::default(),
            exempt_domains: DomainSet::default(),
        }
    }

    #[test]
    fn there_must_be_room_for_one_more() {
        let hour = limit(Unit::Recipients, 100, 3600);
        let over = |seconds| Some(format!("more than 100 recipients in 1 hour, try again in {seconds} seconds"));
        for (is_within, wait_ms, left, pending, expected) in [
            (true, 0, 100, 0, None),
            (true, 0, 100, 99, None),
            (true, 0, 100, 100, over(1)),
            (true, 0, 1, 0, None),
            (false, 35_000, 0, 0, over(35)),
            (false, 35_001, 0, 0, over(36)),
            (false, 0, 0, 0, over(1)),
            // One unit comes back in 36 seconds; five are on the way.
            (false, 35_000, 0, 5, over(35 + 5 * 36)),
            (true, 0, 2, 5, over(3 * 36)),
            (false, 10_000_000, 0, 9999, over(7200)),
        ] {
            let taken = Taken { is_within, wait: Duration::from_millis(wait_ms), left };
            assert_eq!(judge(&hour, &taken, pending), expected, "{taken:?} {pending}");
        }
    }

    #[test]
    fn limits_are_said_in_round_words() {
        let taken = Taken { is_within: false, wait: Duration::from_secs(5), left: 0 };
        for (of, units, seconds, expected) in [
            (Unit::UnknownRecipients, 20, 600, "more than 20 unknown recipients in 10 minutes"),
            (Unit::Connections, 1, 86_400, "more than 1 connections in 1 day"),
            (Unit::Errors, 7, 61, "more than 7 errors in 61 seconds"),
            (Unit::Transactions, 9, 7200, "more than 9 transactions in 2 hours"),
            (Unit::Bytes, 1 << 20, 3600, "more than 1 GiB in 1 hour"),
        ] {
            let said = judge(&limit(of, units, seconds), &taken, 0).expect("over it");
            assert_eq!(said, format!("{expected}, try again in 5 seconds"));
        }
    }
}
