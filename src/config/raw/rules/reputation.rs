//! reputation.toml.

use super::super::macros::{Real, section};

section! {
    /// reputation.toml: what senders earn, and how fast that is forgotten.
    pub struct ReputationFile {
        /// After so many days a message counts half.
        #[schemars(range(min = 1, max = 3650))]
        half_life_days: u64 = 14,
        /// Messages before anything is said.
        #[schemars(range(min = 1, max = 10_000))]
        minimum: u64 = 5,
        /// Wanted and unwanted messages of doubt, added to each sum.
        prior: Real = Real(2.0),
        /// Delivered mail with a lower score, in points, is wanted mail.
        good_below: Real = Real(2.0),
    }
}
