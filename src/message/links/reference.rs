//! One link: the host that it leads to, and the hosts that are hidden behind that one.

use std::borrow::Cow;

use super::collector::Collector;
use super::text;
use crate::message::encoding;

/// Octets of one link that are looked at.
const MAX_LENGTH: usize = 8192;
/// Links within one link.
const MAX_NESTED: usize = 20;
/// Times that percent encoding is undone to find them.
const MAX_DECODINGS: usize = 3;

/// Schemes that lead to a host, and the ways in which people write them so that nobody clicks.
const WEB_SCHEMES: [&str; 10] = ["http", "https", "ftp", "ftps", "ws", "wss", "hxxp", "hxxps", "h**p", "h**ps"];

/// True if `scheme`, in any case, leads to a host.
pub(super) fn is_web(scheme: &str) -> bool {
    WEB_SCHEMES.iter().any(|web| web.eq_ignore_ascii_case(scheme))
}

/// Reads the value of an attribute that holds a link.
pub(super) fn attribute(value: &str, found: &mut Collector) {
    let value = value.trim_matches(|character: char| character <= ' ');
    let link: String = clipped(value).chars().filter(|character| !matches!(character, '\t' | '\r' | '\n')).collect();
    match scheme_of(&link) {
        Some((scheme, rest)) if is_web(scheme) => web(rest, found),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("mailto") => mailto(rest, found),
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("data") || scheme.eq_ignore_ascii_case("cid") => {}
        Some((_, rest)) => nested(rest, found),
        None if is_slash(link.as_bytes().first()) && is_slash(link.as_bytes().get(1)) => web(&link, found),
        None => text::bare_link(&link, found),
    }
}

/// The scheme of a link and what follows its colon. A name with a dot is a host with a port.
fn scheme_of(link: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = link.split_once(':')?;
    let fits = |character: char| character.is_ascii_alphanumeric() || "+-*".contains(character);
    (!scheme.is_empty() && scheme.chars().all(fits)).then_some((scheme, rest))
}

fn is_slash(octet: Option<&u8>) -> bool {
    matches!(octet, Some(b'/' | b'\\'))
}

/// What follows `http:`. As browsers do it, any number of slashes of either kind begins the authority,
/// and its host is behind the last `@`.
fn web(rest: &str, found: &mut Collector) {
    let rest = rest.trim_start_matches(['/', '\\']);
    let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = found.normal_host(host_of(authority));
    if let Some(host) = &host {
        found.host(host);
    }
    behind(host.as_deref().unwrap_or_default(), path, found);
}

/// The host of an authority (RFC 3986 3.2), userinfo and port taken off.
fn host_of(authority: &str) -> &str {
    let host = authority.rsplit('@').next().unwrap_or_default();
    match host.find(']') {
        Some(end) if host.starts_with('[') => host.get(..=end).unwrap_or(host),
        _ => host.split(':').next().unwrap_or_default(),
    }
}

/// Hosts within the path, query and fragment of a link to `host`: redirectors name their target there.
pub(super) fn behind(host: &str, path: &str, found: &mut Collector) {
    if path.len() < 8 {
        return;
    }
    let path = clipped(path);
    // This one writes `-` for `%` and `_` for `/`.
    if matches!(host, "urldefense.proofpoint.com" | "urldefense.com")
        && let Some((_, target)) = path.split_once("u=http")
    {
        let target = target.split('&').next().unwrap_or_default();
        nested(&format!("http{}", target.replace('-', "%").replace('_', "/")), found);
    }
    nested(path, found);
}

/// Every link within `text`, whether it stands there in clear, percent-encoded or in base64.
fn nested(text: &str, found: &mut Collector) {
    let mut text = Cow::Borrowed(clipped(text));
    let mut seen = 0;
    for _ in 0..=MAX_DECODINGS {
        seen += nested_in_clear(&text, MAX_NESTED - seen.min(MAX_NESTED), found);
        // `http` in base64, at the start of a parameter.
        for (at, _) in text.match_indices("aHR0c").take(MAX_NESTED) {
            let rest = text.get(at..).unwrap_or_default();
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+/-_".contains(c))).unwrap_or(rest.len());
            let hidden = encoding::base64(rest.get(..end).unwrap_or_default().as_bytes(), MAX_LENGTH);
            seen += nested_in_clear(&String::from_utf8_lossy(&hidden), MAX_NESTED - seen.min(MAX_NESTED), found);
        }
        if seen >= MAX_NESTED {
            found.cut();
            return;
        }
        if !text.contains('%') {
            return;
        }
        text = Cow::Owned(encoding::percent(&text));
    }
}

fn nested_in_clear(text: &str, limit: usize, found: &mut Collector) -> usize {
    let mut count = 0;
    for (at, _) in text.match_indices(':') {
        let before = text.get(..at).unwrap_or_default().as_bytes();
        let is_http = ["http", "https"].iter().any(|scheme| {
            before
                .len()
                .checked_sub(scheme.len())
                .and_then(|start| before.get(start..))
                .is_some_and(|end| end.eq_ignore_ascii_case(scheme.as_bytes()))
        });
        let rest = text.get(at + 1..).unwrap_or_default();
        if !is_http || !is_slash(rest.as_bytes().first()) {
            continue;
        }
        let rest = rest.trim_start_matches(['/', '\\']);
        let end = rest.find(|c: char| "/\\?#&;,\"'<>()|".contains(c) || c.is_whitespace()).unwrap_or(rest.len());
        if count == limit {
            return count;
        }
        if let Some(host) = found.normal_host(host_of(rest.get(..end).unwrap_or_default())) {
            found.host(&host);
            count += 1;
        }
    }
    count
}

/// What follows `mailto:` (RFC 6068): addresses before the query, and in its to, cc and bcc.
fn mailto(rest: &str, found: &mut Collector) {
    let (to, query) = rest.split_once('?').unwrap_or((rest, ""));
    addresses(&encoding::percent(to), found);
    for (name, value) in query.split('&').filter_map(|parameter| parameter.split_once('=')) {
        if ["to", "cc", "bcc"].iter().any(|known| name.eq_ignore_ascii_case(known)) {
            addresses(&encoding::percent(value), found);
        }
    }
    nested(query, found);
}

/// Addresses of a list such as that of Reply-To, with names or without.
pub(super) fn addresses(list: &str, found: &mut Collector) {
    for address in list.split([',', ';']).take(super::MAX_ADDRESSES) {
        let address = address.trim();
        let address = address.rsplit('<').next().unwrap_or_default();
        let address = address.split('>').next().unwrap_or_default().trim();
        if let Some((local, domain)) = address.rsplit_once('@')
            && let Some(domain) = found.normal_host(domain)
        {
            found.address(local, &domain);
        }
    }
}

/// The beginning of `text` that is looked at.
fn clipped(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_LENGTH)).unwrap_or(text)
}
