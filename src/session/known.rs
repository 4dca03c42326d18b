//! Recipients that exist, by a map, for backends that take mail for anybody (DECISIONS 33).
//!
//! Whom the map does not know is refused at RCPT, so that nobody bounces his mail later. A map that is empty, or has
//! not been written for too long, refuses nobody for good.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use crate::smtp::{Domain, ForwardPath};
use crate::units::DomainSet;

/// Every map. Of several for one domain it is enough to stand in one.
#[derive(Clone, Debug, Default)]
pub struct KnownRecipients(Vec<Arc<RecipientList>>);

/// The recipients of some domains.
#[derive(Clone, Debug, Default)]
pub struct RecipientList {
    domains: DomainSet,
    /// What separates a user from what he has put behind his name.
    delimiter: Option<char>,
    /// After that it is believed no more.
    fresh_until: Option<SystemTime>,
    /// Whole addresses, and local parts at any of the domains.
    exact: HashSet<Box<str>>,
    patterns: Vec<Pattern>,
}

/// What a map says of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existence {
    /// There is such a recipient.
    Known,
    /// There is none.
    Unknown,
    /// Nobody should go by this map.
    Doubtful,
}

/// A local part with `*` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    parts: Vec<Box<str>>,
    /// At this domain, or at any.
    domain: Option<Box<str>>,
}

/// Patterns of one list: every recipient is held against all of them.
const MOST_PATTERNS: usize = 1000;

impl RecipientList {
    /// Nobody yet, in these domains.
    pub fn new(domains: DomainSet, delimiter: Option<char>, fresh_until: Option<SystemTime>) -> Self {
        Self { domains, delimiter, fresh_until, ..Self::default() }
    }

    /// Adds `ann`, `ann@example.org`, `sales-*`, or `*@example.org`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn insert(&mut self, entry: &str) -> Result<(), String> {
        let wrong = || format!("`{entry}` is no recipient: write ann@example.org, or ann; * stands for anything");
        let (local, domain) = entry.rsplit_once('@').map_or((entry, None), |(local, domain)| (local, Some(domain)));
        if local.is_empty() || local.len() > 256 || local.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong());
        }
        let domain = match domain {
            None => None,
            Some(domain) => {
                let ascii = idna::domain_to_ascii(domain.trim_end_matches('.')).map_err(|_| wrong())?;
                if !self.domains.contains(&ascii) {
                    return Err(format!("`{entry}` lies in no domain of this map"));
                }
                Some(ascii)
            }
        };
        let local = local.to_lowercase();
        if local.contains('*') {
            if self.patterns.len() == MOST_PATTERNS {
                return Err(format!("there are more than {MOST_PATTERNS} patterns"));
            }
            let parts = local.split('*').map(Into::into).collect();
            self.patterns.push(Pattern { parts, domain: domain.map(Into::into) });
        } else {
            self.exact.insert(domain.map_or(local.clone(), |domain| format!("{local}@{domain}")).into());
        }
        Ok(())
    }

    /// True if it knows nobody.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.patterns.is_empty()
    }

    fn look(&self, local: &str, domain: &str, now: SystemTime) -> Existence {
        let user = self.delimiter.and_then(|delimiter| local.split_once(delimiter)).map(|(user, _)| user);
        let knows = |local: &str| {
            self.exact.contains(local)
                || self.exact.contains(format!("{local}@{domain}").as_str())
                || self.patterns.iter().any(|pattern| pattern.fits(local, domain))
        };
        if knows(local) || user.is_some_and(|user| !user.is_empty() && knows(user)) {
            Existence::Known
        } else if self.is_empty() || self.fresh_until.is_some_and(|until| now > until) {
            Existence::Doubtful
        } else {
            Existence::Unknown
        }
    }
}

impl Pattern {
    fn fits(&self, local: &str, domain: &str) -> bool {
        if self.domain.as_deref().is_some_and(|own| own != domain) {
            return false;
        }
        let Some((first, others)) = self.parts.split_first() else { return false };
        let Some((last, middle)) = others.split_last() else { return false };
        let Some(mut rest) = local.strip_prefix(&**first) else { return false };
        for part in middle {
            match rest.find(&**part) {
                Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        rest.ends_with(&**last)
    }
}

impl KnownRecipients {
    /// With one more list.
    pub fn push(&mut self, list: RecipientList) {
        self.0.push(Arc::new(list));
    }

    /// What is said of `path`; `None` if no map is about its domain. There is a postmaster everywhere (RFC 5321 4.5.1).
    pub fn look(&self, path: &ForwardPath, now: SystemTime) -> Option<Existence> {
        if self.0.is_empty() {
            return None;
        }
        let mailbox = path.mailbox().filter(|mailbox| matches!(mailbox.domain(), Domain::Name(_)))?;
        let domain = mailbox.domain().to_ascii_lower();
        let mut lists = self.0.iter().filter(|list| list.domains.contains(&domain)).peekable();
        lists.peek()?;
        let local = mailbox.unquoted_local().to_lowercase();
        if local == "postmaster" {
            return Some(Existence::Known);
        }
        let mut said = Existence::Unknown;
        for list in lists {
            match list.look(&local, &domain, now) {
                Existence::Known => return Some(Existence::Known),
                Existence::Doubtful => said = Existence::Doubtful,
                Existence::Unknown => {}
            }
        }
        Some(said)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn list(entries: &[&str], fresh_until: Option<SystemTime>) -> RecipientList {
        let mut domains = DomainSet::default();
        for domain in ["ours.example", ".sub.ours.example", "xn--mnchen-3ya.example"] {
            domains.insert(domain).expect(domain);
        }
        let mut list = RecipientList::new(domains, Some('+'), fresh_until);
        for entry in entries {
            list.insert(entry).expect(entry);
        }
        list
    }

    fn look(list: RecipientList, path: &str) -> Option<Existence> {
        let mut known = KnownRecipients::default();
        known.push(list);
        known.look(&ForwardPath::parse(path).expect(path), UNIX_EPOCH + Duration::from_secs(1000))
    }

    #[test]
    fn who_stands_in_the_map_exists_and_nobody_else() {
        let entries =
            ["Ann@Ours.Example", "bob", "sales-*@ours.example", "a*b*c", "*@a.sub.ours.example", "eve@münchen.example"];
        for (path, expected) in [
            ("ann@ours.example", Some(Existence::Known)),
            ("ANN@OURS.EXAMPLE", Some(Existence::Known)),
            ("\"ann\"@ours.example", Some(Existence::Known)),
            ("ann+list@ours.example", Some(Existence::Known)),
            ("ann@b.sub.ours.example", Some(Existence::Unknown)),
            ("bob@b.sub.ours.example", Some(Existence::Known)),
            ("sales-north@ours.example", Some(Existence::Known)),
            ("sales-@ours.example", Some(Existence::Known)),
            ("sales@ours.example", Some(Existence::Unknown)),
            ("presales-x@ours.example", Some(Existence::Unknown)),
            ("axbyc@ours.example", Some(Existence::Known)),
            ("abc@ours.example", Some(Existence::Known)),
            ("acb@ours.example", Some(Existence::Unknown)),
            ("+x@ours.example", Some(Existence::Unknown)),
            ("anybody@a.sub.ours.example", Some(Existence::Known)),
            ("anybody@b.sub.ours.example", Some(Existence::Unknown)),
            ("eve@xn--mnchen-3ya.example", Some(Existence::Known)),
            ("postmaster@ours.example", Some(Existence::Known)),
            ("nobody@theirs.example", None),
            ("postmaster", None),
            ("ann@[192.0.2.1]", None),
        ] {
            assert_eq!(look(list(&entries, None), path), expected, "{path}");
        }
        assert!(list(&[], None).insert("ann@theirs.example").is_err());
        for wrong in ["", "@ours.example", "a b@ours.example", "a@b c"] {
            assert!(list(&[], None).insert(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_map_that_is_empty_or_old_refuses_nobody_for_good() {
        let at = |second| Some(UNIX_EPOCH + Duration::from_secs(second));
        assert_eq!(look(list(&[], None), "ann@ours.example"), Some(Existence::Doubtful));
        for (fresh_until, expected) in [(at(1000), Existence::Unknown), (at(999), Existence::Doubtful)] {
            assert_eq!(look(list(&["ann"], fresh_until), "bob@ours.example"), Some(expected));
            assert_eq!(look(list(&["ann"], fresh_until), "ann@ours.example"), Some(Existence::Known));
        }
        let mut both = KnownRecipients::default();
        both.push(list(&["ann"], None));
        both.push(list(&[], None));
        let bob = ForwardPath::parse("bob@ours.example").expect("a path");
        assert_eq!(both.look(&bob, UNIX_EPOCH), Some(Existence::Doubtful), "he may stand in the other one");
    }
}
