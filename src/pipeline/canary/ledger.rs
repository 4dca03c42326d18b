//! What is counted of a trial.

use serde::{Deserialize, Serialize};

use crate::verdict::Verdict;

/// Groups of clients within an arm. What comes from one client is alike: how much groups differ tells how far.
pub(super) const GROUPS: usize = 64;

/// Until the next look so many more transactions, as a part of those that were counted.
const GROWTH: u64 = 10;

/// One side of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm {
    /// Clients judged by the new rules.
    Canary,
    /// All others.
    Control,
}

/// Transactions of an arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// Those that were decided.
    pub transactions: u64,
    /// Forwarded, as far as it was for the rules to say.
    pub forwards: u64,
    /// Deferred.
    pub defers: u64,
    /// Rejected.
    pub rejects: u64,
    /// The mean score of messages, in points; absent without any.
    pub mean_score: Option<f64>,
}

/// Transactions that the new rules decided, decided again by the old ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairs {
    /// All of them.
    pub compared: u64,
    /// Those of which nobody knows what the old rules would have come to.
    pub unsure: u64,
    /// Rejected by the new rules alone.
    pub newly_rejected: u64,
    /// Deferred by the new rules, forwarded by the old ones.
    pub newly_deferred: u64,
    /// Rejected by the old rules alone.
    pub no_longer_rejected: u64,
}

/// What was counted of a trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Clients judged by the new rules.
    pub canary: Sums,
    /// All others.
    pub control: Sums,
    /// The same transactions by both.
    pub pairs: Pairs,
    /// The mean score that the old rules give the messages of the canary, in points, as far as it is known; absent
    /// without any.
    pub mean_score_otherwise: Option<f64>,
}

/// Transactions of a group of clients.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Group {
    pub(super) transactions: u64,
    pub(super) defers: u64,
    pub(super) rejects: u64,
}

/// All that is counted of one side.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) groups: [Group; GROUPS],
    score: Mean,
}

/// A mean score.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    /// In hundredths.
    sum: i64,
    count: u64,
}

/// All that is counted of a trial; of fixed size.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) canary: Tally,
    pub(super) control: Tally,
    pub(super) pairs: Pairs,
    /// The same, had the old rules decided otherwise wherever it is unsure what they had come to.
    pub(super) pairs_at_worst: Pairs,
    score_otherwise: Mean,
    /// Transactions of the canary's arm at which it is looked at again.
    next_look: u64,
}

impl Arm {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Control => "control",
        }
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self { groups: [Group::default(); GROUPS], score: Mean::default() }
    }
}

impl Mean {
    fn add(&mut self, score: i32) {
        self.sum += i64::from(score);
        self.count += 1;
    }

    /// In points.
    fn get(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64 / 100.0)
    }
}

impl Pairs {
    fn count(&mut self, new: Verdict, old: Option<Verdict>) {
        self.compared += 1;
        match (new, old) {
            (_, None) => self.unsure += 1,
            (Verdict::Reject, Some(Verdict::Forward | Verdict::Defer)) => self.newly_rejected += 1,
            (Verdict::Defer, Some(Verdict::Forward)) => self.newly_deferred += 1,
            (Verdict::Forward | Verdict::Defer, Some(Verdict::Reject)) => self.no_longer_rejected += 1,
            _ => {}
        }
    }
}

impl Tally {
    /// Groups of which somebody came.
    pub(super) fn occupied(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(|group| group.transactions > 0)
    }

    /// Over all groups.
    pub(super) fn sum(&self) -> Group {
        self.groups.iter().fold(Group::default(), |sum, group| Group {
            transactions: sum.transactions + group.transactions,
            defers: sum.defers + group.defers,
            rejects: sum.rejects + group.rejects,
        })
    }

    fn sums(&self) -> Sums {
        let Group { transactions, defers, rejects } = self.sum();
        let forwards = transactions - defers - rejects;
        Sums { transactions, forwards, defers, rejects, mean_score: self.score.get() }
    }
}

impl Ledger {
    /// Counts a transaction of a client of the group that `hash` names.
    pub(super) fn count(&mut self, arm: Arm, verdict: Verdict, score: Option<i32>, hash: u64) {
        let tally = match arm {
            Arm::Canary => &mut self.canary,
            Arm::Control => &mut self.control,
        };
        if let Some(group) = tally.groups.get_mut((hash % GROUPS as u64) as usize) {
            group.transactions += 1;
            group.defers += u64::from(verdict == Verdict::Defer);
            group.rejects += u64::from(verdict == Verdict::Reject);
        }
        if let Some(score) = score {
            tally.score.add(score);
        }
    }

    /// Takes what the old rules give a message of the canary.
    pub(super) fn score_otherwise(&mut self, score: i32) {
        self.score_otherwise.add(score);
    }

    /// Counts what the new rules said, and what the old ones do.
    pub(super) fn pair(&mut self, new: Verdict, old: Option<Verdict>) {
        self.pairs.count(new, old);
        let other = if new == Verdict::Forward { Verdict::Reject } else { Verdict::Forward };
        self.pairs_at_worst.count(new, old.or(Some(other)));
    }

    /// True if the canary's arm has `least` transactions, and a tenth more than when this was last true.
    pub(super) fn is_due(&mut self, least: u64) -> bool {
        let counted = self.canary.sum().transactions;
        let is_due = counted >= least.max(self.next_look);
        if is_due {
            self.next_look = counted + (counted / GROWTH).max(1);
        }
        is_due
    }

    pub(super) fn figures(&self) -> Figures {
        Figures {
            canary: self.canary.sums(),
            control: self.control.sums(),
            pairs: self.pairs,
            mean_score_otherwise: self.score_otherwise.get(),
        }
    }
}
