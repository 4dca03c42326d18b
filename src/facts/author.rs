//! Whom a message names as its author. In doubt nobody: what one reader could take for another domain is
//! either listed with the others or makes the field unparsable, so that DMARC never passes on one of them.
//! What can be read in such a field is kept, so that nobody is spared the policy of whom he shows.

use std::sync::Arc;

use super::Author;
use crate::message::Message;
use crate::message::address::{self, Address, Mailbox, domain_name};

/// Domains that are listed at most; what several domains mean, two of them say already.
const MAX_DOMAINS: usize = 64;
/// Addresses that are listed at most.
const MAX_ADDRESSES: usize = 1000;

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
        let read = match address::parse(value) {
            Ok(list) => match &*mailboxes(list) {
                [] => Some(Self::NoAddress),
                mailboxes => Self::of_mailboxes(mailboxes),
            },
            Err(_) => address::claims(value).and_then(|claims| Self::of_mailboxes(&claims)),
        };
        read.unwrap_or_else(|| Self::unparsable(value))
    }

    /// All addresses that the From fields name, as `local@domain`: without the quotes of the local part, the
    /// domain in A-labels and lower case. Those whose domain is none are left out; of too many, the first.
    pub fn addresses(message: &Message) -> Vec<String> {
        let fields = message.fields().filter(|field| field.is("From")).take(MAX_DOMAINS);
        let named = fields.flat_map(|field| match address::parse(field.value) {
            Ok(list) => mailboxes(list),
            Err(_) => address::claims(field.value).unwrap_or_default(),
        });
        let shown = named.filter_map(|mailbox| {
            let local = mailbox.local.strip_prefix('"').and_then(|local| local.strip_suffix('"'));
            Some(format!("{}@{}", local.unwrap_or(&mailbox.local), domain_name(&mailbox.domain)?))
        });
        shown.take(MAX_ADDRESSES).collect()
    }

    fn unparsable(value: &[u8]) -> Self {
        let mut domains = Vec::new();
        address::readable(value).into_iter().for_each(|domain| add(&mut domains, &domain.into()));
        if domains.is_empty() { Self::Unparsable } else { Self::Obscure(domains) }
    }

    /// `None` without any, or if the domain of one is none.
    fn of_mailboxes(mailboxes: &[Mailbox]) -> Option<Self> {
        let first = mailboxes.first()?;
        let mut domains: Vec<Arc<str>> = Vec::new();
        for mailbox in mailboxes {
            add(&mut domains, &domain_name(&mailbox.domain)?.into());
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
