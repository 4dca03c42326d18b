//! Whom a message names as its author. In doubt nobody: what one reader could take for another domain is
//! either listed with the others or makes the field unparsable, so that DMARC never passes on one of them.

use std::sync::Arc;

use super::Author;
use crate::message::Message;
use crate::message::address::{self, Address, Mailbox, domain_name};

/// Domains that are listed at most; what several domains mean, two of them say already.
const MAX_DOMAINS: usize = 64;

impl Author {
    /// Reads the From fields of a message.
    pub fn of(message: &Message) -> Self {
        let mut fields = message.fields().filter(|field| field.is("From"));
        match (fields.next(), fields.next()) {
            (None, _) => Self::Missing,
            (Some(only), None) => Self::of_field(only.value),
            (Some(first), Some(second)) => {
                let all = [first, second].into_iter().chain(fields).take(MAX_DOMAINS);
                let mut domains = Vec::new();
                for field in all {
                    Self::of_field(field.value).domains().iter().for_each(|domain| add(&mut domains, domain));
                }
                Self::SeveralFields(domains)
            }
        }
    }

    /// Reads the value of the only From field.
    pub fn of_field(value: &[u8]) -> Self {
        match address::parse(value) {
            Ok(list) => Self::of_mailboxes(&mailboxes(list)).unwrap_or(Self::NoAddress),
            Err(_) => address::claims(value).and_then(|claims| Self::of_mailboxes(&claims)).unwrap_or(Self::Unparsable),
        }
    }

    /// `None` without any.
    fn of_mailboxes(mailboxes: &[Mailbox]) -> Option<Self> {
        let first = mailboxes.first()?;
        let mut domains: Vec<Arc<str>> = Vec::new();
        for mailbox in mailboxes {
            match domain_name(&mailbox.domain) {
                Some(domain) => add(&mut domains, &domain.into()),
                None => return Some(Self::Unparsable),
            }
        }
        Some(match <[Arc<str>; 1]>::try_from(domains) {
            Ok([domain]) => Self::One { address: format!("{}@{}", first.local, first.domain), domain },
            Err(domains) => Self::SeveralDomains(domains),
        })
    }
}

/// All of a list, those in groups included.
fn mailboxes(list: Vec<Address>) -> Vec<Mailbox> {
    let of = |address| match address {
        Address::Mailbox(mailbox) => mailbox.into_iter().collect(),
        Address::Group(members) => members,
    };
    list.into_iter().flat_map(of).collect()
}

fn add(domains: &mut Vec<Arc<str>>, domain: &Arc<str>) {
    if domains.len() < MAX_DOMAINS && !domains.contains(domain) {
        domains.push(domain.clone());
    }
}

#[cfg(test)]
mod tests;
