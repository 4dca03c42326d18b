//! Where what is found is kept: each once, in order, normalised, bounded.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use url::{Host, Url};

use super::{Links, MAX_ADDRESSES, MAX_HOSTS};
use crate::message::encoding::percent;
use crate::message::model::Origin;
use crate::units::canonical;

/// Candidates that are looked at: the work for a message that repeats itself.
const MAX_CANDIDATES: usize = 20_000;
/// Octets of a host as written; percent encoding makes it up to three times as long as it is.
const MAX_WRITTEN_HOST: usize = 1024;
/// Octets of a domain name (RFC 1035 2.3.4).
const MAX_NAME: usize = 253;
/// Octets of one of its labels.
const MAX_LABEL: usize = 63;
/// Octets of a local part (RFC 5321 4.5.3.1.1).
const MAX_LOCAL_PART: usize = 64;

/// Hosts as written of which the normal form is remembered.
const MAX_REMEMBERED: usize = 200;
/// Links that are kept as they stand: the first, and as many of the last.
const MAX_WRITTEN: usize = 250;
/// Octets of one of them.
const MAX_LENGTH: usize = 4096;

/// A link as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::message) struct Written {
    pub(in crate::message) origin: Origin,
    pub(in crate::message) target: String,
    /// The text that it is shown as.
    pub(in crate::message) shown: String,
    /// The page that it stands in, counted from 1; 0 for what stands in none.
    pub(in crate::message) page: usize,
}

#[derive(Default)]
pub(in crate::message) struct Collector {
    links: Links,
    written: Vec<Written>,
    /// The last of those that there was no room for,
    last: VecDeque<Written>,
    /// and how many of them were dropped again.
    dropped: usize,
    /// Pages that began,
    pages: usize,
    /// the one that is being read, or 0,
    page: usize,
    /// and where links of pages start that do not say it themselves.
    bases: HashMap<usize, String>,
    /// What the links are that are found next; `None` where they lead nowhere.
    origin: Option<Origin>,
    normal: HashMap<String, Option<String>>,
    seen_hosts: HashSet<Arc<str>>,
    seen_addresses: HashSet<Arc<str>>,
    candidates: usize,
}

impl Collector {
    /// Something was left out.
    pub(in crate::message) fn cut(&mut self) {
        self.links.truncated = true;
    }

    /// True once nothing more can be kept: reading on would be of no use.
    pub(in crate::message) fn is_full(&self) -> bool {
        self.candidates >= MAX_CANDIDATES
            || (self.links.hosts.len() >= MAX_HOSTS && self.links.addresses.len() >= MAX_ADDRESSES)
    }

    /// Keeps a host as [`normal_host`] returned it.
    pub(super) fn host(&mut self, host: &str) {
        keep(&mut self.links.hosts, &mut self.seen_hosts, host, MAX_HOSTS, &mut self.links.truncated);
    }

    /// Keeps a mail address; true if it is one.
    pub(super) fn address(&mut self, local: &str, domain: &str) -> bool {
        let local = local.trim_matches(['"', '\'']);
        let fits = |character: char| {
            !character.is_whitespace() && !character.is_control() && !"<>()[],;:\\\"@".contains(character)
        };
        if local.is_empty() || local.len() > MAX_LOCAL_PART || !local.chars().all(fits) {
            return false;
        }
        let address = format!("{}@{domain}", local.to_lowercase());
        keep(&mut self.links.addresses, &mut self.seen_addresses, &address, MAX_ADDRESSES, &mut self.links.truncated);
        true
    }

    /// The normal form of a host as it stands in a link, without userinfo and port: percent encoding
    /// undone, A-labels, lower case, no trailing dot; numbers in any notation become an address.
    /// `None` if no mail program could go there, or only within a local network.
    pub(super) fn normal_host(&mut self, written: &str) -> Option<String> {
        self.candidates += 1;
        if written.is_empty() || written.len() > MAX_WRITTEN_HOST {
            return None;
        }
        if self.candidates > MAX_CANDIDATES {
            self.cut();
            return None;
        }
        self.remembered(written)
    }

    /// The same of a host that was looked at before.
    pub(in crate::message) fn remembered(&mut self, written: &str) -> Option<String> {
        if written.is_empty() || written.len() > MAX_WRITTEN_HOST {
            return None;
        }
        if let Some(known) = self.normal.get(written) {
            return known.clone();
        }
        let normal = normal(written);
        if self.normal.len() < MAX_REMEMBERED {
            self.normal.insert(written.to_owned(), normal.clone());
        }
        normal
    }

    /// What the links are that are found next.
    pub(in crate::message) fn set_origin(&mut self, origin: Option<Origin>) {
        self.origin = origin;
    }

    /// Keeps a link as it stands. Its number, if it was kept.
    pub(super) fn link(&mut self, origin: Option<Origin>, target: &str) -> Option<usize> {
        let origin = origin?;
        let target = target.get(..target.floor_char_boundary(MAX_LENGTH)).unwrap_or(target).to_owned();
        let written = Written { origin, target, shown: String::new(), page: self.page };
        if self.written.len() < MAX_WRITTEN {
            self.written.push(written);
            return Some(self.written.len() - 1);
        }
        if self.last.len() == MAX_WRITTEN {
            self.last.pop_front();
            self.dropped += 1;
        }
        self.last.push_back(written);
        Some(MAX_WRITTEN + self.dropped + self.last.len() - 1)
    }

    /// The same of a link that is found next.
    pub(super) fn link_here(&mut self, target: &str) {
        self.link(self.origin, target);
    }

    /// A page begins.
    pub(super) fn begin_page(&mut self) {
        self.pages += 1;
        self.page = self.pages;
    }

    /// The page ends.
    pub(super) fn end_page(&mut self) {
        self.page = 0;
    }

    /// Links of the page that do not say it themselves start here. The first that says so counts.
    pub(super) fn base(&mut self, base: &str) {
        if self.page > 0 && base.len() <= MAX_LENGTH {
            self.bases.entry(self.page).or_insert_with(|| base.to_owned());
        }
    }

    /// Says what text a link is shown as.
    pub(super) fn show(&mut self, link: usize, shown: String) {
        let written = match link.checked_sub(MAX_WRITTEN) {
            None => self.written.get_mut(link),
            Some(at) => at.checked_sub(self.dropped).and_then(|at| self.last.get_mut(at)),
        };
        if let Some(written) = written {
            written.shown = shown;
        }
    }

    /// The links as they stand; true beside them if there were more.
    pub(in crate::message) fn take_written(&mut self) -> (Vec<Written>, bool) {
        let mut written = std::mem::take(&mut self.written);
        written.extend(std::mem::take(&mut self.last));
        for one in &mut written {
            if let Some(target) = self.bases.get(&one.page).and_then(|base| based(base, &one.target)) {
                one.target = target;
            }
        }
        (written, self.dropped > 0)
    }

    pub(in crate::message) fn into_links(self) -> Links {
        self.links
    }
}

/// A target that says nothing of its host, from where the page has its links start.
fn based(base: &str, target: &str) -> Option<String> {
    let target = target.trim();
    let has_scheme = target.split_once(':').is_some_and(|(scheme, _)| {
        scheme.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet))
    });
    let has_host = target.get(..2).is_some_and(|start| start.chars().all(|c| matches!(c, '/' | '\\')));
    if target.is_empty() || target.starts_with('#') || has_scheme || has_host {
        return None;
    }
    let base = Url::parse(base.trim()).ok().filter(|base| matches!(base.scheme(), "http" | "https"))?;
    base.join(target).ok().map(String::from)
}

/// The normal form of a host, see [`Collector::normal_host`].
fn normal(written: &str) -> Option<String> {
    // Encoding a label into an A-label takes time that grows with the square of its length.
    let labels = if written.contains('%') { percent(written).into() } else { Cow::Borrowed(written) };
    if labels.split('.').any(|label| label.len() > MAX_LABEL && label.chars().count() > MAX_LABEL) {
        return None;
    }
    match Host::parse(written).ok()? {
        Host::Ipv4(address) => Some(address.to_string()),
        Host::Ipv6(address) => Some(canonical(address.into()).to_string()),
        Host::Domain(mut name) => {
            name.truncate(name.trim_end_matches('.').len());
            let label = |label: &str| {
                !label.is_empty()
                    && label.len() <= MAX_LABEL
                    && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
            };
            (name.len() <= MAX_NAME && name.contains('.') && name.split('.').all(label)).then_some(name)
        }
    }
}

fn keep(kept: &mut Vec<Arc<str>>, seen: &mut HashSet<Arc<str>>, new: &str, limit: usize, truncated: &mut bool) {
    if seen.contains(new) {
        return;
    }
    if kept.len() >= limit {
        *truncated = true;
        return;
    }
    let new: Arc<str> = new.into();
    seen.insert(new.clone());
    kept.push(new);
}

/// True if a name ends in a suffix under which names are registered: without a scheme before it, only such
/// a name is a link.
pub(super) fn has_known_suffix(name: &str) -> bool {
    psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.is_known())
}
