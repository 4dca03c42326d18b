//! The DNS tree walk (RFC 9989 4.10): which records lie between a domain and the root, and which domain
//! of them is the organization's.

use std::collections::HashMap;
use std::sync::Arc;

use super::record::{Psd, Record};
use crate::dns::{Lookup, LookupError};

/// Labels from which on every parent is asked: with the domain itself, eight questions at most.
const MAX_LABELS: usize = 7;

/// Asks for records, for each name once. Lives for one message.
pub struct Walker<'d> {
    dns: &'d dyn Lookup,
    known: HashMap<String, Option<Arc<Record>>>,
}

/// The records found on the way up from a domain.
#[derive(Clone, Debug)]
pub struct Walk {
    start: String,
    /// With the names they were found at, the longest first.
    found: Vec<(String, Arc<Record>)>,
}

/// The names at which a walk from `domain` asks, in order: the domain itself, then its parents of at most
/// seven labels.
pub fn targets(domain: &str) -> impl Iterator<Item = &str> {
    let labels = domain.split('.').count();
    let parents = domain.match_indices('.').zip((1..labels).rev()).filter(|(_, left)| *left <= MAX_LABELS);
    std::iter::once(domain).chain(parents.filter_map(|((dot, _), _)| domain.get(dot + 1..)))
}

impl<'d> Walker<'d> {
    /// Asks `dns`.
    pub fn new(dns: &'d dyn Lookup) -> Self {
        Self { dns, known: HashMap::new() }
    }

    /// Where names are looked up.
    pub fn dns(&self) -> &'d dyn Lookup {
        self.dns
    }

    /// The record at a domain. Several are none (RFC 9989 4.10), and so is one at a name that DNS cannot hold.
    ///
    /// # Errors
    /// DNS trouble: it is not known whether there is one.
    pub async fn record(&mut self, domain: &str) -> Result<Option<Arc<Record>>, LookupError> {
        if let Some(known) = self.known.get(domain) {
            return Ok(known.clone());
        }
        let records = match self.dns.txt(&format!("_dmarc.{domain}")).await {
            Ok(answer) => answer.records,
            Err(LookupError::NotAName) => Arc::default(),
            Err(why) => return Err(why),
        };
        let mut valid = records.iter().filter_map(|text| Record::parse(text));
        let record = match (valid.next(), valid.next()) {
            (Some(only), None) => Some(Arc::new(only)),
            _ => None,
        };
        self.known.insert(domain.to_owned(), record.clone());
        Ok(record)
    }

    /// Walks up from `domain` until a record says where the organization ends, or to the top.
    ///
    /// # Errors
    /// DNS trouble anywhere on the way.
    pub async fn walk(&mut self, domain: &str) -> Result<Walk, LookupError> {
        let mut found = Vec::new();
        for target in targets(domain) {
            if let Some(record) = self.record(target).await? {
                let is_end = record.psd != Psd::Unknown;
                found.push((target.to_owned(), record));
                if is_end {
                    break;
                }
            }
        }
        Ok(Walk { start: domain.to_owned(), found })
    }
}

impl Walk {
    /// The organizational domain of the domain where the walk began (RFC 9989 4.10.2).
    pub fn organization(&self) -> &str {
        match self.found.last() {
            None => &self.start,
            Some((name, record)) if record.psd == Psd::Yes && *name != self.start => self.child_of(name),
            Some((name, _)) => name,
        }
    }

    /// The record that applies to the domain where the walk began, with where it was found: its own, its
    /// organization's, or its public suffix's (RFC 9989 4.10.1).
    pub fn policy(&self) -> Option<(&str, &Arc<Record>)> {
        let at = |wanted: &str| self.found.iter().find(|(name, _)| name == wanted);
        let found = at(&self.start).or_else(|| at(self.organization())).or(self.found.last())?;
        Some((&found.0, &found.1))
    }

    /// The name on the way up that is one label longer than its parent `name`.
    fn child_of(&self, name: &str) -> &str {
        let above = self.start.len().saturating_sub(name.len() + 1);
        let begin = self.start.get(..above).and_then(|prefix| prefix.rfind('.')).map_or(0, |dot| dot + 1);
        self.start.get(begin..).unwrap_or(&self.start)
    }
}
