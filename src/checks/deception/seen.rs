//! A message as this check sees it.

use std::borrow::Cow;

use crate::message::Model;
use crate::units::registered_domain;

/// Who wrote, to whom, and what.
#[derive(Debug)]
pub struct Seen<'m> {
    /// The message.
    pub model: &'m Model,
    /// The mailboxes of From, as people see them.
    pub from: Vec<Mailbox>,
    /// The domain of the reverse-path; empty if it is null.
    pub sender_domain: String,
    /// The accepted recipients.
    pub recipients: Vec<String>,
    is_answer: bool,
    is_from_list: bool,
}

/// A name with its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mailbox {
    /// The display name; empty if there is none.
    pub name: String,
    /// The address in lower case; empty if there is none.
    pub address: String,
}

impl<'m> Seen<'m> {
    /// A message with its envelope.
    pub fn new(model: &'m Model, sender: &str, recipients: Vec<String>) -> Self {
        let from = model.fields_named("From").map(|field| Mailbox::of_field(&field.value)).collect();
        let sender_domain = sender.rsplit_once('@').map_or("", |(_, domain)| domain).to_lowercase();
        let (is_answer, is_from_list) = (model.answers(&sender_domain), model.came_by_list(&sender_domain));
        Self { model, from, sender_domain, recipients, is_answer, is_from_list }
    }

    /// The Subject; empty without one.
    pub(super) fn subject(&self) -> Cow<'m, str> {
        self.model.subject()
    }

    /// The registered domains of the author and of the reverse-path.
    pub(super) fn own(&self) -> Vec<&str> {
        let senders = [self.sender_domain.as_str()];
        let domains = self.from.iter().map(Mailbox::domain).chain(senders);
        domains.filter_map(registered_domain).collect()
    }

    /// The registered domains of the author.
    pub(super) fn authors(&self) -> Vec<&str> {
        self.from.iter().map(Mailbox::domain).filter_map(registered_domain).collect()
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.model.fields_named(field).next().is_some()
    }

    /// It belongs to a thread: whoever answers, writes of others and to others.
    pub(super) fn is_answer(&self) -> bool {
        self.is_answer
    }

    /// A list brought it.
    pub(super) fn is_from_list(&self) -> bool {
        self.is_from_list
    }
}

impl Mailbox {
    /// What stands before the last `<` is the name.
    pub(super) fn of_field(value: &str) -> Self {
        let (name, address) = match value.rsplit_once('<') {
            Some((name, rest)) => (name, rest.split('>').next().unwrap_or_default()),
            None => ("", value.split(['(', ',']).next().unwrap_or_default()),
        };
        Self {
            name: name.trim().trim_matches(['"', '\'']).trim().to_owned(),
            address: address.trim().trim_matches(['"', '<', '>']).to_lowercase(),
        }
    }

    /// What stands behind the `@`.
    pub(super) fn domain(&self) -> &str {
        self.address.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}
