//! Links that lead elsewhere than they say.

use std::collections::BTreeSet;

use super::Seen;
use crate::message::model::{Link, Origin};
use crate::scoring::{Finding, Symbol};
use crate::units::registered_domain;

pub(super) fn judge(seen: &Seen<'_>) -> Vec<Finding> {
    if seen.is_answer() {
        return Vec::new();
    }
    let finding = |symbol: &'static str, evidence: String| Finding::new(Symbol::known(symbol), evidence);
    let is_from_list = seen.has("List-Id");
    let mut findings = Vec::new();
    let mut anchors = seen.model.links.iter().filter(|link| link.origin == Origin::Anchor && !link.host.is_empty());
    if !is_from_list && let Some((shown, link)) = anchors.clone().find_map(|link| Some((lie(link)?, link))) {
        findings.push(finding("LINK_TEXT_LIES", format!("shows {shown}, leads to {}", link.host)));
    }
    let (own, authors) = (seen.own(), seen.authors());
    let of = |link: &Link| if link.domain.is_empty() { link.host.to_string() } else { link.domain.to_string() };
    if let Some(first) = anchors.next().map(of)
        && !authors.contains(&first.as_str())
        && anchors.clone().next().is_some()
        && anchors.all(|link| of(link) == first)
    {
        findings.push(finding("LINKS_TO_ONE_PLACE", first));
    }
    let shown = seen.model.links.iter().filter(|link| matches!(link.origin, Origin::Anchor | Origin::Text));
    let targets: BTreeSet<String> = shown.filter(|link| !link.host.is_empty()).map(of).collect();
    if !is_from_list
        && let Some(first) = targets.first()
        && !targets.iter().any(|target| own.contains(&target.as_str()))
    {
        findings.push(finding("LINKS_ALL_FOREIGN", first.clone()));
    }
    findings
}

/// The domain that the text of a link shows, where it leads to another one.
fn lie(link: &Link) -> Option<String> {
    let text = link.shown.trim().to_lowercase();
    if text.contains(char::is_whitespace) || link.domain.is_empty() {
        return None;
    }
    let text = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(&text);
    let host = text.split(['/', '?', '#', ':']).next()?.trim_matches(|c: char| !c.is_alphanumeric());
    let is_host = !host.contains('@') && host.split('.').all(|label| !label.is_empty());
    let shown = registered_domain(host).filter(|_| is_host)?;
    (shown != &*link.domain).then(|| shown.to_owned())
}
