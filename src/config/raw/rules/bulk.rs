//! bulk.toml.

use super::super::macros::section;

section! {
    /// bulk.toml: what many messages that say the same are.
    pub struct BulkFile {
        /// So many messages before this one make it bulk mail.
        #[schemars(range(min = 1, max = 1_000_000))]
        bulk_copies: u64 = 10,
        /// Networks that have sent an unauthenticated text before the message that is called a campaign.
        #[schemars(range(min = 1, max = 100_000))]
        campaign_networks: u64 = 4,
        /// Authenticated domains that have done so.
        #[schemars(range(min = 2, max = 100_000))]
        campaign_domains: u64 = 5,
        /// A short text must come from so many times as many.
        #[schemars(range(min = 1, max = 1000))]
        short_text_factor: u64 = 8,
        /// Domains that authenticate legitimate bulk mail, at most.
        #[schemars(range(min = 1, max = 1000))]
        few_domains: u64 = 3,
        /// How much of legitimate bulk mail is authenticated, in percent.
        #[schemars(range(min = 1, max = 100))]
        authenticated_percent: u64 = 90,
        /// Trap recipients that condemn what few authenticated domains send.
        #[schemars(range(min = 1, max = 1_000_000))]
        traps: u64 = 3,
        /// Registered domains whose mail is never part of a campaign if it is authenticated as theirs.
        transactional: Vec<String> = Vec::new(),
    }
}
