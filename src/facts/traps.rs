//! Recipients that nobody uses: who writes to them has guessed, bought or stolen the address.

use std::collections::HashSet;

use crate::smtp::{Domain, ForwardPath};
use crate::units::DomainSet;

/// Addresses, and domains all of whose addresses are traps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traps {
    /// Local part in lower case, `@`, domain in A-labels.
    addresses: HashSet<Box<str>>,
    domains: DomainSet,
}

impl Traps {
    /// Adds `old-user@example.org`, `*@trap.example.org`, or `*@.example.org` for all subdomains.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn insert(&mut self, pattern: &str) -> Result<(), String> {
        let wrong = || format!("`{pattern}` is no address, such as old-user@example.org, nor *@trap.example.org");
        let (local, domain) = pattern.trim().rsplit_once('@').ok_or_else(wrong)?;
        if local == "*" {
            return self.domains.insert(domain);
        }
        if local.contains('*') {
            return Err(format!("`{pattern}`: a star stands for a whole local part"));
        }
        match ForwardPath::parse(pattern.trim()).map_err(|_| wrong())? {
            ForwardPath::Mailbox(mailbox) if matches!(mailbox.domain(), Domain::Name(_)) => {
                self.addresses.insert(mailbox.folded().into());
                Ok(())
            }
            _ => Err(wrong()),
        }
    }

    /// True if `path` is one.
    pub fn contains(&self, path: &ForwardPath) -> bool {
        let Some(mailbox) = path.mailbox().filter(|_| !self.is_empty()) else { return false };
        let Domain::Name(_) = mailbox.domain() else { return false };
        self.domains.contains(&mailbox.domain().to_ascii_lower()) || self.addresses.contains(&*mailbox.folded())
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.domains.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_whole_domains_are_traps() {
        let mut traps = Traps::default();
        assert!(traps.is_empty());
        for pattern in ["Old-User@Example.org", "*@trap.example.org", "*@.many.example.org"] {
            traps.insert(pattern).expect(pattern);
        }
        for (path, expected) in [
            ("old-user@example.ORG", true),
            ("\"old-user\"@example.org", true),
            ("user@example.org", false),
            ("old-user@other.example.org", false),
            ("anybody@trap.example.org", true),
            ("anybody@a.many.example.org", true),
            ("anybody@many.example.org", false),
            ("postmaster", false),
            ("old-user@[192.0.2.1]", false),
        ] {
            assert_eq!(traps.contains(&ForwardPath::parse(path).expect(path)), expected, "{path}");
        }
        for pattern in ["nobody", "", "@example.org", "old-*@example.org", "a@[192.0.2.1]", "*@", "postmaster"] {
            assert!(traps.insert(pattern).is_err(), "{pattern}");
        }
    }
}
