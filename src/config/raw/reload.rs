//! How a changed configuration takes the place of the one in force.

use super::macros::{Real, section};

section! {
    /// How a changed configuration takes the place of the one in force.
    pub struct Reload {
        /// Load whatever changes in the files, at once. Without it they are loaded at SIGHUP and by `gatepost reload`,
        /// so that rules can be tested and tried before they judge everybody.
        watch: bool = true,
        /// How `gatepost reload --canary` tries new rules, unless it is told otherwise.
        canary: Canary = Canary::default(),
    }
}

section! {
    /// A trial of new rules on some clients.
    pub struct Canary {
        /// Percent of the clients that the new rules judge.
        share_percent: Real = Real(5.0),
        /// How long.
        #[schemars(range(min = 1, max = 10080))]
        minutes: u64 = 30,
        /// Transactions that the new rules must have decided before anything is concluded.
        #[schemars(range(min = 20, max = 1000000))]
        min_transactions: u64 = 200,
        /// The trial ends, and the old rules judge everybody again, when the new ones certainly reject more: by so many
        /// points of percent of all transactions.
        more_rejects_percent: Real = Real(1.0),
        /// The same when they certainly defer more.
        more_defers_percent: Real = Real(5.0),
        /// The same when they certainly reject less.
        fewer_rejects_percent: Real = Real(10.0),
        /// Have them judge everybody when the time is over. Without it the trial goes on until somebody says so.
        promote: bool = true,
    }
}
