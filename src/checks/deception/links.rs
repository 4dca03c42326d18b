//! Links that lead elsewhere than they say.

use std::collections::BTreeSet;

use super::Seen;
use crate::message::model::{Link, Origin};
use crate::scoring::{Finding, Symbol};
use crate::units::registered_domain;

/// Words of what a link is shown as.
const MAX_WORDS: usize = 50;

pub(super) fn judge(seen: &Seen<'_>) -> Vec<Finding> {
    if seen.is_answer() {
        return Vec::new();
    }
    let finding = |symbol: &'static str, evidence: String| Finding::new(Symbol::known(symbol), evidence);
    let is_from_list = seen.is_from_list();
    let mut findings = Vec::new();
    let mut anchors = seen.model.links.iter().filter(|link| link.origin == Origin::Anchor && !link.host.is_empty());
    if !is_from_list && let Some((shown, link)) = anchors.clone().find_map(|link| Some((lie(link)?, link))) {
        findings.push(finding("LINK_TEXT_LIES", format!("shows {shown}, leads to {}", link.host)));
    }
    let (own, authors) = (seen.own(), seen.authors());
    let of = |link: &Link| if link.domain.is_empty() { link.host.to_string() } else { link.domain.to_string() };
    if let Some(first) = anchors.next().map(of)
        && !authors.iter().any(|author| is_of_house(&first, author))
        && anchors.clone().next().is_some()
        && anchors.all(|link| of(link) == first)
    {
        findings.push(finding("LINKS_TO_ONE_PLACE", first));
    }
    let leads = |link: &&Link| matches!(link.origin, Origin::Anchor | Origin::Text | Origin::Form);
    let shown = seen.model.links.iter().filter(leads);
    let targets: BTreeSet<String> = shown.filter(|link| !link.host.is_empty()).map(of).collect();
    if !is_from_list
        && let Some(first) = targets.first()
        && !targets.iter().any(|target| own.iter().any(|own| is_of_house(target, own)))
    {
        findings.push(finding("LINKS_ALL_FOREIGN", first.clone()));
    }
    findings
}

/// Top levels under which, beside those of countries, a house has its other domains. Under those that cost next to
/// nothing strangers have the same name.
const OF_HOUSES: [&str; 5] = ["com", "net", "org", "info", "biz"];

/// True if two registered domains are one, or bear the same name under the top levels of countries or of old:
/// `house.com` and `house.de`.
fn is_of_house(one: &str, other: &str) -> bool {
    let split = |domain: &str| {
        let (label, suffix) = domain.split_once('.')?;
        let top = suffix.rsplit('.').next()?;
        let is_usual = top.len() == 2 || OF_HOUSES.contains(&top);
        (is_usual && label.bytes().any(|octet| octet.is_ascii_alphabetic())).then(|| label.to_owned())
    };
    one == other || split(one).is_some_and(|label| Some(label) == split(other))
}

/// The domain that the text of a link shows, where it leads to another one. Among other words only what cannot be
/// meant otherwise is an address: the name of a house has a dot in it, too.
fn lie(link: &Link) -> Option<String> {
    if link.domain.is_empty() {
        return None;
    }
    let text = link.shown.to_lowercase();
    let words = text.split_whitespace().take(MAX_WORDS);
    let is_alone = words.clone().count() == 1;
    let shown = words.filter_map(|word| domain_shown(word, is_alone)).collect::<Vec<_>>();
    // Who shows the true one among others shows it.
    let is_true = shown.iter().any(|domain| *domain == &*link.domain);
    shown.first().filter(|_| !is_true).map(|domain| (*domain).to_owned())
}

/// The domain that a word shows, if it is an address or, alone, the name of a host.
fn domain_shown(word: &str, is_alone: bool) -> Option<&str> {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    let after = word.strip_prefix("https://").or_else(|| word.strip_prefix("http://"));
    if !is_alone && after.is_none() && !word.starts_with("www.") {
        return None;
    }
    let host = after.unwrap_or(word).split(['/', '?', '#', ':']).next()?.trim_matches(|c: char| !c.is_alphanumeric());
    let is_host = !host.contains('@') && host.split('.').all(|label| !label.is_empty());
    registered_domain(host).filter(|_| is_host)
}
