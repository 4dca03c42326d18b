//! spamassassin.toml.

use super::super::macros::{Real, section};

section! {
    /// spamassassin.toml: rules of SpamAssassin that run as they are.
    pub struct SpamAssassinFile {
        /// The rules.
        spamassassin: SpamAssassin = SpamAssassin::default(),
    }
}

section! {
    /// Rules of SpamAssassin.
    pub struct SpamAssassin {
        /// Files, in the order in which they are read; relative to the directory of rules, `*` stands for any name.
        files: Vec<String> = Vec::new(),
        /// What one rule weighs at most, whatever its `score` says, unless weights.toml names it. SpamAssassin's scores
        /// are made for a limit of 5 points and go up to 1000; the promises of policy.toml hold for this.
        highest: Real = Real(5.0),
    }
}
