//! Maps: lists of addresses, domains, networks and patterns in files of their own.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::units::CidrSet;

/// Entries of one map at most.
pub const MAX_ENTRIES: usize = 1_000_000;
/// Patterns of one map at most: each of them is run.
pub const MAX_PATTERNS: usize = 2000;
/// Octets of a domain (RFC 1035 2.3.4): what is longer is none, and none of the names above it is looked for.
const DOMAIN_MOST: usize = 253;
/// Octets of an address in text, its brackets and its zone included.
const ADDRESS_MOST: usize = 64;
/// Octets of a letter for each octet of the same in lower case, at most.
const SHRINKS: usize = 3;

/// The entries of one file.
#[derive(Clone, Default)]
pub struct Map {
    /// How rules name it.
    pub name: String,
    /// Whole values, in lower case.
    words: HashSet<Box<str>>,
    /// Octets of the longest of them.
    longest: usize,
    /// Domains that are in it with all that lies below.
    domains: HashSet<Box<str>>,
    /// Domains of which only what lies below is in it.
    suffixes: HashSet<Box<str>>,
    networks: CidrSet,
    /// Regular expressions.
    patterns: Vec<String>,
    entries: usize,
}

/// Why a line of a map is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Where it begins in the text.
    pub at: usize,
    /// Its length in octets.
    pub length: usize,
    /// What is wrong.
    pub reason: String,
}

impl Map {
    /// Reads a file: one entry in each line, `#` begins a comment. What cannot be read is told to `broken`.
    pub fn read(name: &str, text: &str, broken: &mut dyn FnMut(Broken)) -> Self {
        let mut map = Self { name: name.to_owned(), ..Self::default() };
        let mut networks = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let entry = without_comment(line).trim();
            let at = start + (line.len() - line.trim_start().len());
            start += line.len();
            if entry.is_empty() {
                continue;
            }
            let mut fail = |reason: String| broken(Broken { at, length: entry.len(), reason });
            if map.entries >= MAX_ENTRIES {
                fail(format!("is one entry too many: a map has at most {MAX_ENTRIES}"));
                break;
            }
            match map.insert(entry, &mut networks) {
                Ok(()) => map.entries += 1,
                Err(reason) => fail(reason),
            }
        }
        map.networks = networks.into_iter().collect();
        map.longest = map.words.iter().map(|word| word.len()).max().unwrap_or(0);
        map
    }

    fn insert(&mut self, entry: &str, networks: &mut Vec<IpNet>) -> Result<(), String> {
        if let Some(rest) = entry.strip_prefix('/') {
            let (pattern, flags) = rest.rsplit_once('/').ok_or("a pattern must end with `/` or `/i`")?;
            let flags = match flags {
                "" => "",
                "i" => "(?i)",
                other => return Err(format!("`{other}` is no flag of a pattern: only `i` is")),
            };
            if self.patterns.len() >= MAX_PATTERNS {
                return Err(format!("is one pattern too many: a map has at most {MAX_PATTERNS}"));
            }
            self.patterns.push(format!("{flags}{pattern}"));
            return Ok(());
        }
        if entry.contains(char::is_whitespace) {
            return Err("is more than one word: each entry has a line of its own".to_owned());
        }
        if let Ok(network) = entry.parse::<IpNet>() {
            networks.push(network);
        } else if let Ok(addr) = entry.parse::<IpAddr>() {
            networks.push(addr.into());
        } else if let Some((local, domain)) = entry.rsplit_once('@').filter(|(local, _)| !local.is_empty()) {
            self.words.insert(format!("{}@{}", local.to_lowercase(), ascii(domain)?).into());
        } else if let Some(below) = entry.strip_prefix("*.").or_else(|| entry.strip_prefix('.')) {
            self.suffixes.insert(ascii(below)?.into());
        } else if entry.contains('.') && !entry.contains('/') {
            self.domains.insert(ascii(entry.trim_start_matches('@'))?.into());
        } else {
            self.words.insert(entry.to_lowercase().into());
        }
        Ok(())
    }

    /// Entries of all kinds.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// True if it has none.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Its regular expressions, which are run with those of the rules.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// True if an entry other than a pattern fits the value.
    pub fn contains(&self, value: &str) -> bool {
        let value = value.trim();
        if value.len() <= self.longest.saturating_mul(SHRINKS) && self.words.contains(&*value.to_lowercase()) {
            return true;
        }
        if !self.networks.is_empty()
            && value.len() <= ADDRESS_MOST
            && let Ok(addr) = value.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>()
        {
            return self.networks.contains(addr.to_canonical());
        }
        let domain = value.rsplit_once('@').map_or(value, |(_, domain)| domain).trim_end_matches('.');
        if domain.len() > DOMAIN_MOST || (self.domains.is_empty() && self.suffixes.is_empty()) {
            return false;
        }
        let domain = &*domain.to_lowercase();
        let below = || domain.match_indices('.').filter_map(|(at, _)| domain.get(at + 1..));
        self.domains.contains(domain) || below().any(|name| self.domains.contains(name) || self.suffixes.contains(name))
    }
}

impl PartialEq for Map {
    /// Maps of one rule set have different names.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.entries == other.entries
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map({}, {} entries)", self.name, self.entries)
    }
}

/// A `#` within a word or a pattern is none.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') {
        return "";
    }
    match line.find(" #").or_else(|| line.find("\t#")) {
        Some(at) => line.get(..at).unwrap_or(line),
        None => line,
    }
}

fn ascii(domain: &str) -> Result<String, String> {
    let name = idna::domain_to_ascii(domain.trim_end_matches('.')).ok().filter(|name| !name.is_empty());
    name.ok_or_else(|| format!("`{domain}` is no domain"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_addresses_domains_networks_words_and_patterns() {
        let text = "# who\nUser@Example.org   # a comment\nexample.net\n.example.com\n192.0.2.0/24\n2001:db8::1\n\
                    exe\nbücher.example\n/^pay(pal)?$/i\n\n";
        let map = Map::read("maps/x.txt", text, &mut |broken| panic!("{broken:?}"));
        assert_eq!((map.len(), map.patterns()), (8, &["(?i)^pay(pal)?$".to_owned()][..]));
        for (value, expected) in [
            ("user@example.org", true),
            ("USER@EXAMPLE.ORG", true),
            ("other@example.org", false),
            ("example.net", true),
            ("mail.example.net", true),
            ("badexample.net", false),
            ("anybody@mail.example.net", true),
            ("example.com", false),
            ("a.example.com", true),
            ("192.0.2.77", true),
            ("[192.0.2.77]", true),
            ("198.51.100.1", false),
            ("2001:db8::1", true),
            ("EXE", true),
            ("a.exe", false),
            ("xn--bcher-kva.example", true),
            ("", false),
        ] {
            assert_eq!(map.contains(value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_too_long_to_be_a_domain_is_in_no_map() {
        let map = Map::read("m", "example.net\n.example.com\nuser@example.org\n", &mut |broken| panic!("{broken:?}"));
        for suffix in [".example.net", ".example.com"] {
            let long = |octets: usize| format!("{}a{suffix}", "a.".repeat((octets - suffix.len()) / 2));
            let [fits, too_long] = [DOMAIN_MOST, DOMAIN_MOST + 2].map(long);
            assert!(fits.len() <= DOMAIN_MOST && too_long.len() > DOMAIN_MOST);
            assert!(map.contains(&fits) && !map.contains(&too_long), "{suffix}");
            // The local part is none of it.
            assert!(map.contains(&format!("{}@{fits}", "x".repeat(1000))), "{suffix}");
        }
    }

    #[test]
    fn what_is_no_entry_is_told_with_its_place() {
        for (text, at, reason) in [
            ("a.example\ntwo words\n", 10, "more than one word"),
            ("/unclosed\n", 0, "must end with"),
            ("  /x/g\n", 2, "no flag"),
            ("@@\n", 0, "no domain"),
        ] {
            let mut seen = Vec::new();
            Map::read("m", text, &mut |broken| seen.push(broken));
            assert_eq!((seen.len(), seen[0].at), (1, at), "{text}");
            assert!(seen[0].reason.contains(reason), "{seen:?}");
        }
    }
}
