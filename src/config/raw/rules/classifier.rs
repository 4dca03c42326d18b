//! classifier.toml.

use super::super::macros::section;

section! {
    /// classifier.toml: when the classifier says something.
    pub struct ClassifierFile {
        /// So many messages must have been learned as spam, and as many as ham, before anything is said.
        #[schemars(range(min = 1, max = 1_000_000))]
        minimum: u64 = 50,
        /// Confidence grows with what was learned beyond that: from a half, and by half of what is missing with each
        /// so many.
        #[schemars(range(min = 1, max = 1_000_000))]
        growth: u64 = 50,
        /// The share of a message's features that must be known before anything is said, in percent.
        #[schemars(range(min = 0, max = 100))]
        unfamiliar_percent: u64 = 20,
        /// From which share on nothing is held back, in percent.
        #[schemars(range(min = 1, max = 100))]
        familiar_percent: u64 = 50,
        /// How many times worse it is to take wanted mail for unwanted than the reverse.
        #[schemars(range(min = 1, max = 1_000))]
        caution: u64 = 7,
        /// Mail to trap recipients is learned as spam.
        learn_from_traps: bool = false,
    }
}
