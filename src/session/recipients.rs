//! Recipients by name: whom checks must not keep from their mail.

use std::collections::HashSet;

use crate::smtp::ForwardPath;

/// Local parts (at any domain) and whole addresses, without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientMatcher {
    locals: HashSet<Box<str>>,
    addresses: HashSet<Box<str>>,
}

impl RecipientMatcher {
    /// Adds `postmaster`, or `sales@example.org`. The error says what is wrong with it.
    pub fn insert(&mut self, recipient: &str) -> Result<(), String> {
        let wrong =
            || format!("`{recipient}` is neither a local part nor an address, such as abuse or abuse@example.org");
        let fits = |local: &str| !local.is_empty() && !local.contains(|c: char| c.is_whitespace() || c.is_control());
        match recipient.rsplit_once('@') {
            Some((local, domain)) => {
                let domain = idna::domain_to_ascii(domain).ok().filter(|domain| !domain.is_empty());
                let domain = domain.filter(|_| fits(local)).ok_or_else(wrong)?;
                self.addresses.insert(format!("{}@{domain}", local.to_lowercase()).into());
            }
            None if fits(recipient) => {
                self.locals.insert(recipient.to_lowercase().into());
            }
            None => return Err(wrong()),
        }
        Ok(())
    }

    /// True if it is one of them.
    pub fn contains(&self, recipient: &ForwardPath) -> bool {
        match recipient {
            ForwardPath::Postmaster(_) => self.locals.contains("postmaster"),
            ForwardPath::Mailbox(mailbox) => {
                let local = mailbox.unquoted_local().to_lowercase();
                self.locals.contains(local.as_str())
                    || (!self.addresses.is_empty() && self.addresses.contains(mailbox.folded().as_str()))
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.locals.len() + self.addresses.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postmaster_without_a_domain_is_a_recipient_too() {
        let mut matcher = RecipientMatcher::default();
        for good in ["postmaster", "Abuse@Example.ORG"] {
            matcher.insert(good).expect(good);
        }
        assert!(matcher.contains(&ForwardPath::Postmaster("PostMaster".to_owned())));
        for bad in ["", "a b", "@example.org", "abuse@"] {
            assert!(matcher.insert(bad).is_err(), "{bad}");
        }
        assert_eq!(matcher.len(), 2);
    }
}
