//! The hosts and mail addresses that a message shows to its reader: links in its text and HTML parts.
//!
//! What is looked for is what a mail program would make of the message, in every reading that mail
//! programs are known to have: a host too many costs a question to a list, a host too few is an evasion.
//!
//! Everything here is bounded and runs in time proportional to the octets looked at. A panic within ends
//! the reading, keeps what was found, and counts as `truncated`.

mod collector;
mod html;
mod reference;
mod text;

use std::sync::Arc;

use super::model::Origin;
use super::{Message, Model, words};
pub(super) use collector::{Collector, Written};
pub(super) use html::Sink;
pub(super) use text::{Bare, scan};

/// Hosts that are kept of one message.
pub const MAX_HOSTS: usize = 500;
/// Mail addresses that are kept of one message.
pub const MAX_ADDRESSES: usize = 200;

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
    /// Reads a message, as far as it is in memory.
    pub fn of(message: &Message) -> Self {
        Model::of(message).found
    }
}

/// Reply-To and Subject fields of a message that are read; there should be one of each.
const MAX_SHOWN_FIELDS: usize = 10;

/// Reads the fields that mail programs show or answer to.
pub(super) fn header(message: &Message, found: &mut Collector) {
    let shown = message.fields().filter(|field| field.is("Reply-To") || field.is("Subject"));
    for field in shown.take(MAX_SHOWN_FIELDS) {
        let value = words::decoded(field.value).text;
        found.set_origin(Some(Origin::Header));
        match field.is("Subject") {
            true => text::scan(&value, Bare::Link, found),
            false => reference::addresses(&value, found),
        }
    }
}

#[cfg(test)]
mod tests;
