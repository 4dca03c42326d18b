//! spamassassin.toml.

use super::super::macros::section;

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
    }
}
