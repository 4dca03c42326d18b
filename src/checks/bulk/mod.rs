//! Messages that many others are like (`docs/similarity.md`): honest bulk mail, or one text from everywhere.
//!
//! [`Bulk`] finds the campaign that a message belongs to and says what speaks for or against it, by who sends
//! it: how many networks and domains, how much of it authenticated, what operators and traps said. That a
//! message is one of many says nothing by itself. What is remembered is written once the fate of the message
//! is known; nothing is learned from our own verdicts, so that they cannot feed on themselves.
//!
//! Mail with the null reverse-path is not looked at: the same words of a bounce come from every mail server.
//!
//! Failure: a store that cannot be asked accuses nobody, and is said as the outcome of the check.

mod check;
mod fingerprint;
pub mod judge;

pub use check::{Bulk, Ports};
pub use fingerprint::{fingerprint, fingerprint_of};
pub use judge::Judgement;

use crate::units::DomainSet;

/// What an administrator can set about it (`rules/bulk.toml`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So many messages before this one make it bulk mail.
    pub copies: u64,
    /// From so many networks before this one, of unrelated domains and unauthenticated, it is a campaign.
    pub networks: u64,
    /// So many authenticated domains that send one text are a campaign, too.
    pub domains: u64,
    /// A short text must come from so many times as many.
    pub short_text_factor: u64,
    /// So many authenticated domains at most send legitimate bulk mail: one's own, and those who send for it.
    pub few_domains: u64,
    /// So much of legitimate bulk mail is authenticated, in percent.
    pub authenticated_percent: u64,
    /// So many trap recipients condemn what one authenticated sender sends; of others the first one does.
    pub traps: u64,
    /// Domains whose mail is never part of a campaign if it is authenticated as theirs.
    pub transactional: DomainSet,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            copies: 10,
            networks: 4,
            domains: 5,
            short_text_factor: 8,
            few_domains: 3,
            authenticated_percent: 90,
            traps: 3,
            transactional: DomainSet::default(),
        }
    }
}
