//! Who pretends to be somebody else: names and domains that imitate known ones, links that show another domain
//! than they lead to, answers that go astray. What compares parts of a message with each other stands here; what
//! only looks for something is a rule file's.

mod author;
mod brands;
mod check;
mod links;
mod seen;
mod settings;

pub use check::Deception;
pub use seen::{Mailbox, Seen};
pub use settings::Settings;

use crate::scoring::Finding;

/// Everything that this check may find.
pub const SYMBOLS: [&str; 11] = [
    "BRAND_NAME_FOREIGN",
    "BRAND_SUBJECT_FOREIGN",
    "BRAND_IN_DOMAIN",
    "LOOKALIKE_DOMAIN",
    "NAME_SHOWS_ADDRESS",
    "NAME_IS_RECIPIENT",
    "MESSAGE_ID_FOREIGN",
    "TEXT_FREEMAIL_CONTACT",
    "LINK_TEXT_LIES",
    "LINKS_TO_ONE_PLACE",
    "LINKS_ALL_FOREIGN",
];

/// What of a message pretends to be something else.
pub fn judge(settings: &Settings, seen: &Seen<'_>) -> Vec<Finding> {
    let mut findings = brands::judge(settings, seen);
    findings.extend(author::judge(settings, seen));
    findings.extend(links::judge(seen));
    findings
}

#[cfg(test)]
mod tests;
