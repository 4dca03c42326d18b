//! From the things that a session shows to the questions that a list is asked: normal names, reversed
//! addresses, each once, and never more than so many.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::Settings;
use super::subject::{Subject, Thing};
use crate::units::{canonical, is_local_scope, registered_domain, reversed_labels};

/// Octets of a name in DNS, dots included (RFC 1035 2.3.4).
const MAX_NAME: usize = 253;

/// Which forms of a name are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// The name as it is, and the registered domain above it.
    Both,
    /// The name as it is.
    Host,
    /// The registered domain.
    Registered,
}

/// Names that are never asked about, with everything below them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped(HashSet<Arc<str>>);

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name that is looked up.
    pub name: String,
    /// What it is about, as people know it.
    pub about: String,
}

/// The questions to a list about one client or message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Those that are asked.
    pub questions: Vec<Question>,
    /// How many more there would have been.
    pub left_out: usize,
}

/// The questions to the list about `things`, in their order, each once, at most `settings.questions`. Of what
/// a message shows they are a fair choice; of anything else the first.
pub fn questions(things: &[Thing], settings: &Settings, skipped: &Skipped) -> Chosen {
    let mut questions: Vec<Question> = Vec::new();
    let mut known: HashSet<String> = HashSet::new();
    let about = things.iter().flat_map(|thing| match thing {
        Thing::Address(addr) => address(*addr, settings),
        Thing::Name(name) => names(name, settings.names, skipped),
        Thing::Digest { label, shown } => vec![(label.clone(), shown.clone())],
    });
    for (label, about) in about {
        let name = format!("{label}.{}", settings.zone);
        if name.len() <= MAX_NAME && known.insert(name.clone()) {
            questions.push(Question { name, about });
        }
    }
    let left_out = questions.len().saturating_sub(settings.questions);
    match settings.of {
        Subject::Url | Subject::EmailHash => fair_choice(&mut questions, settings.questions),
        _ => questions.truncate(settings.questions),
    }
    Chosen { questions, left_out }
}

/// Keeps at most `most`, in their order: a half from both ends by turns, the rest at random. Whoever wrote the
/// message chose the order, and cannot hide behind others what he put nowhere in particular.
pub(super) fn fair_choice<T>(all: &mut Vec<T>, most: usize) {
    if all.len() <= most {
        return;
    }
    let at_the_ends = most.div_ceil(2);
    let (front, back) = (at_the_ends.div_ceil(2), at_the_ends / 2);
    let mut between: Vec<usize> = (front..all.len() - back).collect();
    let mut kept: HashSet<usize> = (0..front).chain(all.len() - back..all.len()).collect();
    while kept.len() < most && !between.is_empty() {
        kept.insert(between.swap_remove(rand::random_range(..between.len())));
    }
    let mut at = 0..;
    all.retain(|_| at.next().is_some_and(|at| kept.contains(&at)));
}

fn address(addr: IpAddr, settings: &Settings) -> Vec<(String, String)> {
    let addr = canonical(addr);
    let lists_family = if addr.is_ipv4() { settings.ipv4 } else { settings.ipv6 };
    if !lists_family || is_local_scope(addr) {
        return Vec::new();
    }
    vec![(reversed_labels(addr).trim_end_matches('.').to_owned(), addr.to_string())]
}

fn names(written: &str, forms: Names, skipped: &Skipped) -> Vec<(String, String)> {
    let Some(host) = normal_name(written).filter(|host| !skipped.contains(host)) else { return Vec::new() };
    let domain = registered_domain(&host);
    let wanted = match forms {
        Names::Host => vec![host.as_str()],
        // What is a public suffix itself has no registered domain; it is asked about as it is.
        Names::Registered => vec![domain.unwrap_or(&host)],
        Names::Both => [Some(host.as_str()), domain].into_iter().flatten().collect(),
    };
    wanted.into_iter().map(|name| (name.to_owned(), name.to_owned())).collect()
}

/// The name in A-labels and lower case without a trailing dot; `None` for what is no public name:
/// addresses and address literals, a single label, labels that no host has. Underscores pass.
pub fn normal_name(written: &str) -> Option<String> {
    let written = written.strip_suffix('.').unwrap_or(written);
    let name = match written.is_ascii() {
        true => written.to_ascii_lowercase(),
        false => idna::domain_to_ascii(written).ok()?,
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
    };
    let last_is_number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|octet| octet.is_ascii_digit()));
    let fits = name.len() <= MAX_NAME && name.contains('.') && name.split('.').all(is_label) && !last_is_number;
    fits.then_some(name)
}

impl Skipped {
    /// Of names in any spelling, also with a dot before them; what is no name is left out.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().map(|name| name.trim_start_matches('.'));
        Self(names.filter_map(normal_name).map(Into::into).collect())
    }

    /// True if the normal name `host`, or a name above it, is not asked about.
    pub fn contains(&self, host: &str) -> bool {
        let mut rest = Some(host);
        while let Some(name) = rest {
            if self.0.contains(name) {
                return true;
            }
            rest = name.split_once('.').map(|(_, above)| above);
        }
        false
    }
}

#[cfg(test)]
mod tests;
