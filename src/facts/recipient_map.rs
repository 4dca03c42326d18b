//! Recipients by address and by domain, each with a number; the most specific pattern counts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::smtp::{Domain, ForwardPath};

/// Patterns of recipients, each with a number. The order in which they came does not matter: an address counts
/// before its domain, a domain before those that it lies in, and of these the innermost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientMap {
    /// Local part in lower case, `@`, domain in A-labels.
    addresses: HashMap<Box<str>, usize>,
    domains: HashMap<Box<str>, usize>,
    /// Domains whose subdomains are meant.
    suffixes: HashMap<Box<str>, usize>,
}

impl RecipientMap {
    /// Adds `ann@example.org`; `@example.org`, `*@example.org` or `example.org` for a domain; `.example.org`, with `@`
    /// or `*@` before it or not, for all its subdomains.
    ///
    /// # Errors
    /// What is wrong with it; that it is there already.
    pub fn insert(&mut self, pattern: &str, number: usize) -> Result<(), String> {
        let pattern = pattern.trim();
        let wrong = || {
            format!(
                "`{pattern}` is no recipient: write ann@example.org, @example.org for a domain, .example.org for all \
                 its subdomains"
            )
        };
        let (local, domain) = pattern.rsplit_once('@').unwrap_or(("", pattern));
        let (map, key) = if local.is_empty() || local == "*" {
            let (map, name) = match domain.strip_prefix("*.").or_else(|| domain.strip_prefix('.')) {
                Some(name) => (&mut self.suffixes, name),
                None if pattern.contains('@') || domain.contains('.') => (&mut self.domains, domain),
                None => return Err(wrong()),
            };
            let name = idna::domain_to_ascii(name.trim_end_matches('.')).map_err(|_| wrong())?;
            if name.is_empty() || name.contains(['*', ' ', '[']) {
                return Err(wrong());
            }
            (map, name)
        } else {
            let path = ForwardPath::parse(pattern).ok().filter(|_| !local.contains('*')).ok_or_else(wrong)?;
            (&mut self.addresses, address(&path).ok_or_else(wrong)?)
        };
        match map.entry(key.into()) {
            Entry::Vacant(free) => {
                free.insert(number);
                Ok(())
            }
            Entry::Occupied(_) => Err(format!("`{pattern}` stands here, or elsewhere, already")),
        }
    }

    /// The number of the most specific pattern that `path` fits.
    pub fn get(&self, path: &ForwardPath) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        let mailbox = path.mailbox().filter(|mailbox| matches!(mailbox.domain(), Domain::Name(_)))?;
        let domain = mailbox.domain().to_ascii_lower();
        let own = || address(path).and_then(|address| self.addresses.get(address.as_str()));
        // From the left: the longest, and so the innermost, comes first.
        let mut around = domain.match_indices('.').filter_map(|(at, _)| domain.get(at + 1..));
        own()
            .or_else(|| self.domains.get(domain.as_str()))
            .or_else(|| around.find_map(|domain| self.suffixes.get(domain)))
            .copied()
    }

    /// True if there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.domains.is_empty() && self.suffixes.is_empty()
    }
}

fn address(path: &ForwardPath) -> Option<String> {
    let mailbox = path.mailbox().filter(|mailbox| matches!(mailbox.domain(), Domain::Name(_)))?;
    Some(mailbox.folded())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_pattern_counts_in_whatever_order_they_came() {
        let mut patterns = vec![
            (".example.net", 0),
            (".b.example.net", 1),
            ("@c.b.example.net", 2),
            ("Ann@C.b.example.net", 3),
            ("*@example.org", 4),
            ("example.com", 5),
            ("@.münchen.example", 6),
        ];
        for _ in 0..2 {
            let mut map = RecipientMap::default();
            assert!(map.is_empty());
            for (pattern, number) in &patterns {
                map.insert(pattern, *number).expect(pattern);
            }
            for (path, expected) in [
                ("x@a.example.net", Some(0)),
                ("x@example.net", None),
                ("x@b.example.net", Some(0)),
                ("x@a.b.example.net", Some(1)),
                ("x@a.c.b.example.net", Some(1)),
                ("x@C.B.example.net", Some(2)),
                ("\"ann\"@c.b.example.net", Some(3)),
                ("x@example.org", Some(4)),
                ("x@sub.example.org", None),
                ("x@example.com", Some(5)),
                ("x@sub.xn--mnchen-3ya.example", Some(6)),
                ("postmaster", None),
                ("x@[192.0.2.1]", None),
            ] {
                assert_eq!(map.get(&ForwardPath::parse(path).expect(path)), expected, "{path}");
            }
            patterns.reverse();
        }
    }

    #[test]
    fn what_is_no_pattern_or_stands_there_twice_is_refused() {
        let mut map = RecipientMap::default();
        map.insert("@example.org", 0).expect("a domain");
        map.insert("ann@example.org", 0).expect("an address");
        for wrong in [
            "",
            "@",
            ".",
            "ann",
            "an*@example.org",
            "a@[192.0.2.1]",
            "example.org",
            "*@Example.org.",
            "ANN@example.org",
        ] {
            assert!(map.insert(wrong, 1).is_err(), "{wrong}");
        }
    }
}
