//! Whether two rule sets differ by more than chance, and by more than they may.
//!
//! Shares are bounded by Wilson's score interval (Wilson 1927), the difference of two of them by Newcombe's hybrid of
//! two such intervals (Newcombe 1998, method 10). What one client sends is alike, so transactions are fewer witnesses
//! than their number says: they count for their number divided by the design effect (Kish 1965), which is how much more
//! groups of clients differ than chance would have them. Looks are repeated, a tenth more transactions apart; each is
//! made with so high a confidence that even a hundred of them seldom see what is not there.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ledger::{GROUPS, Group, Ledger, Pairs, Tally};

/// Standard deviations that count as certain: 99.95 % on one side.
const CERTAIN: f64 = 3.29;

/// Groups of clients in an arm below which it is no sample of anybody.
const FEWEST_GROUPS: usize = 8;

/// How far new rules may differ from old ones; shares are from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Transactions that the new rules must have decided before anything is concluded.
    pub min_transactions: u64,
    /// How many more of all transactions they may reject.
    pub more_rejects: f64,
    /// How many more of all transactions they may defer.
    pub more_defers: f64,
    /// How many fewer of all transactions they may reject.
    pub fewer_rejects: f64,
}

/// What drifts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    MoreRejects,
    MoreDefers,
    FewerRejects,
}

/// By which comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum How {
    /// The same transactions by both rule sets.
    Pairs,
    /// Transactions of different clients.
    Arms,
}

/// New rules differ more than they may.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    pub(super) what: What,
    pub(super) by: How,
    /// At least so much, of all transactions.
    pub(super) at_least: f64,
    pub(super) bound: f64,
}

/// New rules may differ more than they may without that it could have been seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unseen {
    pairs: Pairs,
    /// Of clients, in the arm that has fewer.
    groups: usize,
    /// Files that say otherwise what is looked for, if it is for them alone.
    looks: Option<String>,
}

impl Bounds {
    /// A bound written in percent.
    ///
    /// # Errors
    /// It is negative, or more than 100.
    pub fn percent(percent: f64) -> Result<f64, String> {
        match (0.0..=100.0).contains(&percent) {
            true => Ok(percent / 100.0),
            false => Err(format!("{percent} is no bound: write 0 to 100 percent")),
        }
    }

    /// Transactions before anything is concluded, as they can be configured.
    ///
    /// # Errors
    /// Too few to conclude anything from, or so many that nobody waits for them.
    pub fn transactions(count: u64) -> Result<u64, String> {
        match (20..=1_000_000).contains(&count) {
            true => Ok(count),
            false => Err(format!("{count} is no number of transactions for a trial: write 20 to 1000000")),
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self { min_transactions: 200, more_rejects: 0.01, more_defers: 0.05, fewer_rejects: 0.10 }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            What::MoreRejects => "more transactions are rejected",
            What::MoreDefers => "more transactions are deferred",
            What::FewerRejects => "fewer transactions are rejected",
        };
        let by = match self.by {
            How::Pairs => "the same transactions by both rule sets",
            How::Arms => "clients of the canary against all others",
        };
        write!(f, "at least {:.1} % {what}, and {:.1} % may be ({by})", self.at_least * 100.0, self.bound * 100.0)
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pairs { compared, unsure, .. } = self.pairs;
        match &self.looks {
            None => write!(f, "{unsure} of {compared} transactions could not be compared")?,
            Some(files) => write!(f, "what {files} looked for before was not looked for in the same transactions")?,
        }
        write!(f, ", and only {} groups of clients came: try a larger share, or for longer", self.groups)
    }
}

/// What might have been seen of more clients. `looks`: files that say otherwise what is looked for.
pub(super) fn unseen(ledger: &Ledger, bounds: &Bounds, looks: &[String]) -> Option<Unseen> {
    let (groups, pairs) = (fewest_groups(&ledger.canary, &ledger.control), ledger.pairs);
    if groups >= FEWEST_GROUPS {
        return None;
    }
    let too_few = pairs.compared - pairs.unsure < bounds.min_transactions;
    let is_unsure = too_few || by_pairs(&ledger.pairs_at_worst, bounds).is_some();
    let looks = (!looks.is_empty()).then(|| looks.join(", "));
    (is_unsure || looks.is_some()).then(|| Unseen { pairs, groups, looks: looks.filter(|_| !is_unsure) })
}

fn fewest_groups(canary: &Tally, control: &Tally) -> usize {
    canary.occupied().count().min(control.occupied().count())
}

/// The first bound that is certainly passed.
pub(super) fn of(ledger: &Ledger, bounds: &Bounds) -> Option<Drift> {
    by_pairs(&ledger.pairs, bounds).or_else(|| by_arms(&ledger.canary, &ledger.control, bounds))
}

fn by_pairs(pairs: &Pairs, bounds: &Bounds) -> Option<Drift> {
    let least = |count: u64| wilson(count as f64, pairs.compared as f64).0;
    let found = [
        (What::MoreRejects, least(pairs.newly_rejected), bounds.more_rejects),
        (What::MoreDefers, least(pairs.newly_deferred), bounds.more_defers),
        (What::FewerRejects, least(pairs.no_longer_rejected), bounds.fewer_rejects),
    ];
    first(found, How::Pairs)
}

fn by_arms(canary: &Tally, control: &Tally, bounds: &Bounds) -> Option<Drift> {
    if fewest_groups(canary, control) < FEWEST_GROUPS {
        return None;
    }
    let rejects = difference(canary, control, |group| group.rejects);
    let defers = difference(canary, control, |group| group.defers);
    let found = [
        (What::MoreRejects, rejects.0, bounds.more_rejects),
        (What::MoreDefers, defers.0, bounds.more_defers),
        (What::FewerRejects, -rejects.1, bounds.fewer_rejects),
    ];
    first(found, How::Arms)
}

fn first(found: [(What, f64, f64); 3], by: How) -> Option<Drift> {
    let passed = found.into_iter().find(|(_, at_least, bound)| at_least > bound);
    passed.map(|(what, at_least, bound)| Drift { what, by, at_least, bound })
}

/// Bounds of a share, of which `count` of `of` are a sample.
fn wilson(count: f64, of: f64) -> (f64, f64) {
    if of <= 0.0 {
        return (0.0, 1.0);
    }
    let (share, square) = (count / of, CERTAIN * CERTAIN);
    let middle = share + square / (2.0 * of);
    let width = CERTAIN * (share * (1.0 - share) / of + square / (4.0 * of * of)).sqrt();
    let scale = 1.0 + square / of;
    ((middle - width).max(0.0) / scale, ((middle + width) / scale).min(1.0))
}

/// Bounds of how much more of the one than of the other arm `counts`.
fn difference(one: &Tally, other: &Tally, counts: impl Fn(&Group) -> u64) -> (f64, f64) {
    let (first, second) = (Spread::of(one, &counts), Spread::of(other, &counts));
    let chance = first.by_chance + second.by_chance;
    let effect = if chance > 0.0 { ((first.seen + second.seen) / chance).max(1.0) } else { 1.0 };
    let effect = effect * stretch(first.witnesses.min(second.witnesses) - 1.0).powi(2);
    let interval = |spread: &Spread| wilson(spread.share * spread.of / effect, spread.of / effect);
    let ((low, high), (low_other, high_other)) = (interval(&first), interval(&second));
    let difference = first.share - second.share;
    let below = (first.share - low).hypot(high_other - second.share);
    let above = (high - first.share).hypot(second.share - low_other);
    (difference - below, difference + above)
}

/// How much wider an interval is whose variance is known from so few groups: Student's t over the normal quantile, by the
/// expansion of Cornish and Fisher (1938).
fn stretch(freedom: f64) -> f64 {
    let (square, freedom) = (CERTAIN * CERTAIN, freedom.max(1.0));
    1.0 + (square + 1.0) / (4.0 * freedom) + (5.0 * square * square + 16.0 * square + 3.0) / (96.0 * freedom * freedom)
}

/// A share of an arm, and the variance of it: as chance would have it, and as groups of clients show it.
struct Spread {
    share: f64,
    of: f64,
    by_chance: f64,
    seen: f64,
    /// Groups of one size that would say as much (Kish 1965): fewer than there are, where some send most of the mail.
    witnesses: f64,
}

impl Spread {
    fn of(tally: &Tally, counts: &impl Fn(&Group) -> u64) -> Self {
        let sum = tally.sum();
        let of = sum.transactions as f64;
        if of <= 0.0 {
            return Self { share: 0.0, of, by_chance: 0.0, seen: 0.0, witnesses: 0.0 };
        }
        let share = counts(&sum) as f64 / of;
        let occupied: Vec<&Group> = tally.occupied().collect();
        let groups = occupied.len().clamp(2, GROUPS) as f64;
        let residue = |group: &&Group| (counts(group) as f64 - share * group.transactions as f64).powi(2);
        let seen = occupied.iter().map(residue).sum::<f64>() * groups / (groups - 1.0) / (of * of);
        let squares: f64 = occupied.iter().map(|group| (group.transactions as f64).powi(2)).sum();
        Self { share, of, by_chance: share * (1.0 - share) / of, seen, witnesses: of * of / squares }
    }
}
