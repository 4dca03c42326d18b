//! Domains and whole subtrees of domains, as administrators write them.

/// Domains: exact names and `.suffix` patterns (all subdomains), in A-label lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainSet {
    names: std::collections::HashSet<Box<str>>,
    suffixes: std::collections::HashSet<Box<str>>,
}

impl DomainSet {
    /// Adds `example.org`, or `.example.org` / `*.example.org` for all its subdomains.
    pub fn insert(&mut self, pattern: &str) -> Result<(), String> {
        let (suffix, name) = match pattern.trim().strip_prefix("*.").or_else(|| pattern.trim().strip_prefix('.')) {
            Some(name) => (true, name),
            None => (false, pattern.trim()),
        };
        let name = idna::domain_to_ascii(name.trim_end_matches('.')).ok().filter(|name| !name.is_empty()).ok_or_else(
            || format!("`{pattern}` is no domain: write example.org, or .example.org for its subdomains"),
        )?;
        if suffix {
            self.suffixes.insert(name.into())
        } else {
            self.names.insert(name.into())
        };
        Ok(())
    }

    /// True if `domain` (A-labels, lower case, no trailing dot) is in it.
    pub fn contains(&self, domain: &str) -> bool {
        self.names.contains(domain)
            || domain
                .match_indices('.')
                .any(|(at, _)| domain.get(at + 1..).is_some_and(|rest| self.suffixes.contains(rest)))
    }

    /// How many patterns it holds.
    pub fn len(&self) -> usize {
        self.names.len() + self.suffixes.len()
    }

    /// True if it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
