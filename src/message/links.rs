//! The hosts and mail addresses that a message shows to its reader: links in its text and HTML parts.

use std::sync::Arc;

use super::Message;

/// What a message points to, each once, in order of appearance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Hosts of links: names in A-labels and lower case without a trailing dot, or addresses.
    pub hosts: Vec<Arc<str>>,
    /// Mail addresses, lower case: in the text, in `mailto:` links, and in Reply-To.
    pub addresses: Vec<Arc<str>>,
    /// True if the bounds left something out.
    pub truncated: bool,
}

impl Links {
    /// Reads a message.
    pub fn of(_message: &Message) -> Self {
        Self::default()
    }
}
