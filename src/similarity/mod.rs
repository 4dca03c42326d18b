//! Messages that are alike: the fingerprint of what a message says, and the index that finds those of the
//! last hours or days that say the same.
//!
//! 1. [`crate::message::Text`] is what a person sees. Of it the message's `own` lines count, without quotations
//!    and footers, reduced to words that survive rewriting (`normal`).
//! 2. A [`Digest`] is 128 octets: samples of the set of words by keyed hashes, the size of that set, and samples
//!    of the domains of links and of the tags of HTML. It reveals no text to who has not got the key.
//! 3. [`Digest::similarity`] estimates from two digests how many words the messages share, and
//!    [`Digest::alike`] decides, more strictly the less text there is ([`Evidence`]).
//! 4. An [`Index`] finds what is alike among millions without looking at each.
//!
//! What a digest means is fixed by golden values in the tests: digests of all releases with the same version
//! are comparable. Alike is not unwanted: newsletters are alike, too.

mod common;
mod digest;
mod index;
mod normal;
mod own;
mod similar;

pub use digest::{Content, Digest, LENGTH};
pub use index::{BYTES_PER_ENTRY, Found, Gone, Index, Kept, Limits, MAX_ENTRIES, Match, Recorded};
pub use similar::Evidence;

use std::collections::BTreeSet;

use crate::message::{Links, Text};
use crate::units::registered_domain;

/// The key of sites that have none of their own: digests of such sites are comparable, and whoever guesses a
/// text can tell whether a digest is that of it.
pub const DEFAULT_KEY: u64 = 0x6761_7465_706f_7374;

/// By what a message is found to belong to others; under one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Of what a reader sees.
    pub digest: Digest,
    /// Of each attachment, exactly; bounded by who makes it.
    pub attachments: Vec<u64>,
}

impl Fingerprint {
    /// True if there is nothing to find the message by.
    pub fn is_empty(&self) -> bool {
        self.digest.is_empty() && self.attachments.is_empty()
    }
}

impl Digest {
    /// The fingerprint of a message under the key of the site.
    pub fn of_message(text: &Text, links: &Links, key: u64) -> Self {
        let domains: BTreeSet<&str> =
            links.hosts.iter().map(|host| registered_domain(host).unwrap_or(host.as_ref())).collect();
        let domains: Vec<&str> = domains.into_iter().collect();
        let of = |text: &str, tags| Self::of(&Content { text, tags, domains: &domains }, key);
        let shown = of(&text.shown, &text.tags);
        // HTML that says little may be a picture of what the plain text says.
        if shown.evidence() < Evidence::Fair && !text.other.is_empty() {
            let other = of(&text.other, &text.tags);
            // Behind a picture that comes from elsewhere anything can be written that nobody reads.
            let is_same = !text.has_picture || digest::overlaps(&text.shown, &text.other);
            if other.evidence() > shown.evidence() && is_same {
                return other;
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests;
