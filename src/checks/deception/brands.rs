//! Known houses: named by strangers, within the domains of strangers, or nearly spelt.

use std::collections::BTreeSet;

use super::settings::{Settings, folded};
use super::{Seen, seen::Mailbox};
use crate::message::model::Origin;
use crate::scoring::{Finding, Symbol};
use crate::units::registered_domain;

/// A word of a house that is found within other words, if it is at least so long.
const LONG: usize = 6;

pub(super) fn judge(settings: &Settings, seen: &Seen<'_>) -> Vec<Finding> {
    let authors = seen.authors();
    let is_own = |name: &str, domains: &[String]| {
        authors.iter().any(|author| is_of(author, domains) || is_of_country(author, name))
    };
    let stranger = |text: &str| {
        let mut houses = settings.named(text);
        houses.find(|(name, domains)| !authors.is_empty() && !is_own(name, domains)).map(|(name, _)| name.clone())
    };
    let mut findings = Vec::new();
    if let Some(name) = seen.from.iter().find_map(|mailbox| stranger(&mailbox.name)) {
        findings.push(found("BRAND_NAME_FOREIGN", &name, authors.first()));
    }
    let is_from_list = seen.is_from_list();
    if !seen.is_answer()
        && !is_from_list
        && let Some(name) = stranger(&seen.subject())
    {
        findings.push(found("BRAND_SUBJECT_FOREIGN", &name, authors.first()));
    }
    findings.extend(domains(settings, seen));
    findings
}

/// True if a registered domain is one of these, in which `*` stands for letters, figures and hyphens.
fn is_of(registered: &str, domains: &[String]) -> bool {
    domains.iter().any(|domain| match domain.split_once('*') {
        None => domain == registered,
        Some((start, end)) => registered
            .strip_prefix(start)
            .and_then(|rest| rest.strip_suffix(end))
            .is_some_and(|between| !between.is_empty() && !between.contains('.')),
    })
}

/// True if a registered domain bears the name alone, under the top level of a country: `name.com.au`, `name.fr`.
fn is_of_country(registered: &str, name: &str) -> bool {
    let is_country = registered.rsplit('.').next().is_some_and(|top| top.len() == 2);
    let label = registered.split('.').next().unwrap_or_default();
    is_country && label.bytes().filter(|octet| *octet != b'-').eq(name.bytes().filter(|octet| *octet != b' '))
}

fn found(symbol: &'static str, name: &str, author: Option<&&str>) -> Finding {
    Finding::new(Symbol::known(symbol), format!("{name}, but from {}", author.unwrap_or(&"nobody")))
}

/// The domains that a message shows.
fn domains(settings: &Settings, seen: &Seen<'_>) -> Vec<Finding> {
    let links = seen.model.links.iter();
    let links = links.filter(|link| matches!(link.origin, Origin::Anchor | Origin::Text | Origin::Form));
    let hosts: BTreeSet<&str> = seen.from.iter().map(Mailbox::domain).chain(links.map(|link| &*link.host)).collect();
    let mut findings = Vec::new();
    // Many hosts are of one domain, which is looked at once.
    let mut known = BTreeSet::new();
    let mut named = hosts.iter().filter(|host| {
        let is_first = registered_domain(host).is_some_and(|domain| known.insert(domain));
        is_first || host.split(['.', '-']).any(|token| settings.begins_name(token))
    });
    if let Some((host, name)) = named.find_map(|host| Some((*host, within(settings, host)?))) {
        findings.push(Finding::new(Symbol::known("BRAND_IN_DOMAIN"), format!("{name} in {host}")));
    }
    let mut known = BTreeSet::new();
    let mut likely = hosts.iter().filter(|host| registered_domain(host).is_some_and(|domain| known.insert(domain)));
    if let Some((host, like)) = likely.find_map(|host| Some((*host, imitated(settings, host)?))) {
        findings.push(Finding::new(Symbol::known("LOOKALIKE_DOMAIN"), format!("{host} looks like {like}")));
    }
    findings
}

/// The house whose name stands in a host that is not its own.
fn within<'s>(settings: &'s Settings, host: &str) -> Option<&'s str> {
    let registered = registered_domain(host)?;
    let label = registered.split('.').next()?;
    let tokens: Vec<&str> = host.split(['.', '-']).collect();
    let is_in = |name: &str| {
        name.len() > 3 && (tokens.contains(&name) || (name.len() >= LONG && label.contains(name) && label != name))
    };
    let mut houses = settings.brands.iter().filter(|(name, _)| !name.contains(' ') && is_in(name));
    // What bears the name alone is its own under another top level.
    let is_strange = |domains: &[String], name: &str| label != name && !is_of(registered, domains);
    houses.find(|(name, domains)| is_strange(domains, name)).map(|(name, _)| name.as_str())
}

/// The domain that one is meant to read instead of this one.
fn imitated<'s>(settings: &'s Settings, host: &str) -> Option<&'s str> {
    let registered = registered_domain(host)?;
    let label = registered.split('.').next()?;
    let (unicode, _) = idna::domain_to_unicode(label);
    let looks = folded(&unicode).replace(' ', "");
    let looks = looks.replace("rn", "m").replace("vv", "w").replace(['1', '|'], "l").replace('0', "o");
    let own = |domains: &Vec<String>| is_of(registered, domains);
    // Folding takes hyphens for blanks.
    let looks_like = |known: &str| looks.bytes().eq(known.bytes().filter(|octet| *octet != b'-'));
    let like = |(known, domains): (&'s String, &'s Vec<String>)| {
        let is_like = label != known && !own(domains) && (looks_like(known) || is_neighbour(label, known));
        is_like.then(|| domains.first().map(String::as_str)).flatten()
    };
    settings.protected.iter().filter_map(like).min()
}

/// True if one letter was added, left out, changed, or exchanged with its neighbour.
fn is_neighbour(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len().abs_diff(other.len()) > 1 {
        return false;
    }
    let before = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one, other) = (one.get(before..).unwrap_or_default(), other.get(before..).unwrap_or_default());
    let after = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    let (one, other) = (one.get(..one.len() - after), other.get(..other.len() - after));
    match (one.unwrap_or_default(), other.unwrap_or_default()) {
        // Only one letter more or less: a name in the plural is a name of its own.
        ([letter], []) | ([], [letter]) => *letter != b's',
        ([_], [_]) => true,
        ([a, b], [c, d]) => a == d && b == c,
        _ => false,
    }
}
