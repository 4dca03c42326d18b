//! One link: what a mail program would open, with the tricks that hide it undone and told.

use std::net::Ipv4Addr;

use psl::domain_str;

use super::scripts::{self, Script};
use super::{Link, Origin, Trick};
use crate::message::encoding;
use crate::message::fold::is_invisible;
use crate::message::links::{Collector, Written};

/// Octets of a target that are kept.
const MAX_TARGET: usize = 2048;
/// Times that percent encoding is undone to find a link within a link.
const MAX_DECODINGS: usize = 3;
/// Letters and digits that are escaped before it is more than a slip.
const FEW_ESCAPES: usize = 3;

/// A link as programs read it; `None` if it leads nowhere beyond the message.
pub(super) fn of(written: &Written, found: &mut Collector) -> Option<Link> {
    let mut tricks = Vec::new();
    let clean = cleaned(&written.target, &mut tricks);
    let (scheme, rest) = scheme_of(&clean, written.origin)?;
    let mut link = Link { origin: written.origin, shown: written.shown.as_str().into(), ..Link::default() };
    match &*scheme {
        "http" | "https" | "ftp" | "ftps" | "ws" | "wss" => web(&mut link, &scheme, rest, &mut tricks, found),
        "mailto" => mailto(&mut link, rest, found),
        "cid" | "mid" => return None,
        // What is in the message is not fetched.
        "data" if written.origin == Origin::Picture => return None,
        _ => link.target = clipped(&format!("{scheme}:{rest}")).into(),
    }
    link.scheme = scheme.into();
    link.domain = registered(&link.host).into();
    link.tricks = tricks;
    Some(link)
}

/// The registered domain of a host in its normal form; empty for addresses and suffixes.
pub(super) fn registered(host: &str) -> &str {
    let is_address = host.starts_with('[') || host.contains(':') || host.parse::<Ipv4Addr>().is_ok();
    if is_address { "" } else { domain_str(host).unwrap_or_default() }
}

fn trick(tricks: &mut Vec<Trick>, trick: Trick) {
    if !tricks.contains(&trick) {
        tricks.push(trick);
    }
}

/// A target without what browsers drop, and what nobody sees.
fn cleaned(target: &str, tricks: &mut Vec<Trick>) -> String {
    let target = target.trim_matches(|c: char| c <= ' ' || c == '\u{a0}');
    let is_dropped = |c: char| c.is_control() || is_invisible(c);
    if target.contains(is_dropped) {
        trick(tricks, Trick::Broken);
        return target.chars().filter(|c| !is_dropped(*c)).collect();
    }
    target.to_owned()
}

/// The scheme in lower case as a program understands it, and what follows it.
fn scheme_of(link: &str, origin: Origin) -> Option<(String, &str)> {
    let is_slash = |c: char| matches!(c, '/' | '\\');
    if link.starts_with(is_slash) {
        // Without a scheme it is that of the page, of which there is none.
        return link.get(1..).filter(|rest| rest.starts_with(is_slash)).map(|rest| ("http".to_owned(), rest));
    }
    let (scheme, rest) = match link.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
        // Some programs go to a name that stands alone.
        _ if matches!(origin, Origin::Anchor | Origin::Form) && looks_like_a_name(link) => ("http".to_owned(), link),
        _ => return None,
    };
    let scheme = match &*scheme {
        "hxxp" | "h**p" => "http".to_owned(),
        "hxxps" | "h**ps" => "https".to_owned(),
        _ => scheme,
    };
    Some((scheme, rest))
}

/// A name with a dot is a host with a port.
fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.len() <= 20
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-*".contains(c))
}

fn looks_like_a_name(link: &str) -> bool {
    let name = link.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let is_name = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let suffix = psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.is_known());
    name.contains('.') && name.chars().all(is_name) && suffix && !name.ends_with(".html")
}

/// What follows `http:`, as browsers read it (the URL standard): slashes of either kind, any number of them.
fn web(link: &mut Link, scheme: &str, rest: &str, tricks: &mut Vec<Trick>, found: &mut Collector) {
    let trimmed = rest.trim_start_matches(['/', '\\']);
    let slashes = rest.strip_suffix(trimmed).unwrap_or_default();
    let end = trimmed.find(['/', '\\', '?', '#']).unwrap_or(trimmed.len());
    let (authority, path) = trimmed.split_at(end);
    let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    if !user.is_empty() {
        trick(tricks, Trick::UserInfo);
    }
    let (written, port) = host_and_port(place);
    if written.contains([' ', '\t']) {
        trick(tricks, Trick::Broken);
    }
    if written.contains('%') {
        trick(tricks, Trick::Escaped);
    }
    let normal = found.remembered(written);
    let host = normal.clone().unwrap_or_else(|| written.to_ascii_lowercase());
    if host.parse::<Ipv4Addr>().is_ok() && host != written {
        trick(tricks, Trick::NumericHost);
    }
    if has_mixed_scripts(&host) {
        trick(tricks, Trick::MixedScripts);
    }
    let before_query = path.split(['?', '#']).next().unwrap_or_default();
    if slashes.contains('\\') || before_query.contains('\\') {
        trick(tricks, Trick::Backslashes);
    }
    let is_odd = |port: &str| !port.is_empty() && !matches!(port, "80" | "443");
    if is_odd(port) {
        trick(tricks, Trick::OddPort);
    }
    let (opened, escapes) = unescaped(path, before_query.len());
    if escapes > FEW_ESCAPES {
        trick(tricks, Trick::Escaped);
    }
    let literal = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.clone() };
    let port = if port.is_empty() { String::new() } else { format!(":{port}") };
    link.target = clipped(&format!("{scheme}://{literal}{port}{opened}")).into();
    link.leads_to = leads_to(normal.as_deref().unwrap_or_default(), path).map(|target| clipped(&target).into());
    if normal.is_some() {
        link.host = host.into();
    }
}

fn host_and_port(place: &str) -> (&str, &str) {
    match place.find(']') {
        Some(end) if place.starts_with('[') => {
            let (host, port) = place.split_at(end + 1);
            (host, port.trim_start_matches(':'))
        }
        _ => place.split_once(':').unwrap_or((place, "")),
    }
}

/// Labels of which the letters are of scripts that no language mixes.
fn has_mixed_scripts(host: &str) -> bool {
    if !host.contains("xn--") {
        return false;
    }
    let (name, _) = idna::domain_to_unicode(host);
    name.split('.').any(|label| {
        let mut seen: Vec<Script> = label.chars().filter_map(scripts::of).collect();
        seen.sort_unstable();
        seen.dedup();
        // Japanese and Chinese names are written with Latin letters, too.
        let eastern = |script: &Script| matches!(script, Script::Han | Script::Kana | Script::Hangul);
        if seen.iter().any(eastern) {
            seen.retain(|script| !eastern(script) && *script != Script::Latin);
            return !seen.is_empty();
        }
        seen.len() > 1
    })
}

/// A path with the letters and digits written as they are up to `end`; slashes lean forward there.
fn unescaped(path: &str, end: usize) -> (String, usize) {
    let (before, query) = path.split_at(end);
    let mut out = String::with_capacity(path.len());
    let mut escapes = 0;
    let mut rest = before;
    while let Some(at) = rest.find(['%', '\\']) {
        out.push_str(rest.get(..at).unwrap_or_default());
        let found = rest.get(at..).unwrap_or_default();
        let octet = found.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match octet {
            _ if found.starts_with('\\') => {
                out.push('/');
                rest = found.get(1..).unwrap_or_default();
            }
            Some(octet) if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) => {
                escapes += 1;
                out.push(char::from(octet));
                rest = found.get(3..).unwrap_or_default();
            }
            _ => {
                out.push('%');
                rest = found.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out.push_str(query);
    (out, escapes)
}

fn mailto(link: &mut Link, rest: &str, found: &mut Collector) {
    let (to, query) = rest.split_once('?').unwrap_or((rest, ""));
    let to = encoding::percent(to);
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    link.target = clipped(&format!("mailto:{}{query}", to.trim())).into();
    let first = to.split(',').next().unwrap_or_default().trim().trim_end_matches('>');
    if let Some((_, domain)) = first.rsplit_once('@') {
        link.host = found.remembered(domain).unwrap_or_default().into();
    }
}

/// The link that the path or the query of a link to `host` names.
fn leads_to(host: &str, path: &str) -> Option<String> {
    if path.len() < 8 {
        return None;
    }
    // Most have nothing in them that could be one.
    if memchr::memchr2(b':', b'%', path.as_bytes()).is_none() && !path.contains("aHR0c") && !path.contains("u=http") {
        return None;
    }
    // These write `-` for `%` and `_` for `/`.
    if matches!(host, "urldefense.proofpoint.com" | "urldefense.com")
        && let Some((_, target)) = path.split_once("u=http")
    {
        let target = target.split('&').next().unwrap_or_default();
        return Some(encoding::percent(&format!("http{}", target.replace('-', "%").replace('_', "/"))));
    }
    let mut text = path.get(..path.floor_char_boundary(2 * MAX_TARGET)).unwrap_or(path).to_owned();
    for decoded in 0..=MAX_DECODINGS {
        if let Some(target) = in_clear(&text, decoded > 0) {
            return Some(target);
        }
        if let Some(target) = in_base64(&text) {
            return Some(target);
        }
        if !text.contains('%') {
            break;
        }
        // Of a query each parameter is decoded for itself: what is escaped in it does not end it.
        let parameters: Vec<&str> = text.split(['&', '?', ';']).collect();
        let named =
            parameters.iter().map(|parameter| encoding::percent(parameter)).find(|one| in_clear(one, true).is_some());
        text = named.unwrap_or_else(|| encoding::percent(&text));
    }
    None
}

/// A link in `text`: up to the next parameter, or to the end where its own are in it.
fn in_clear(text: &str, is_decoded: bool) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let at = ["http:", "https:"].iter().filter_map(|scheme| {
        let at = lower.find(scheme)?;
        let after = lower.get(at + scheme.len()..)?;
        // One slash is left where paths were tidied up.
        after.starts_with(['/', '\\']).then_some(at)
    });
    let at = at.min()?;
    let target = text.get(at..)?;
    let end = if is_decoded { None } else { target.find(['&', ';']) };
    let end = end.or_else(|| target.find(|c: char| c.is_whitespace() || c.is_control() || "\"'<>".contains(c)));
    let target = target.get(..end.unwrap_or(target.len()))?;
    (target.len() > "http://a".len()).then(|| target.to_owned())
}

/// A link in base64, at the beginning of a parameter or of a piece of the path.
fn in_base64(text: &str) -> Option<String> {
    let at = text.find("aHR0c")?;
    let rest = text.get(at..)?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+/-_".contains(c))).unwrap_or(rest.len());
    let octets = encoding::base64(rest.get(..end)?.as_bytes(), MAX_TARGET);
    in_clear(&String::from_utf8_lossy(&octets), true)
}

fn clipped(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TARGET)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link(target: &str) -> Option<Link> {
        let written = Written { origin: Origin::Anchor, target: target.to_owned(), shown: String::new(), page: 0 };
        of(&written, &mut Collector::default())
    }

    #[test]
    fn what_opens() {
        for (written, target, host, domain) in [
            ("http://www.example.co.uk/x", "http://www.example.co.uk/x", "www.example.co.uk", "example.co.uk"),
            (" HTTPS://Example.COM/A?b#c ", "https://example.com/A?b#c", "example.com", "example.com"),
            ("http://a.test@evil.example/x", "http://evil.example/x", "evil.example", "evil.example"),
            ("http://0x7f.1/", "http://127.0.0.1/", "127.0.0.1", ""),
            ("http://192.0.2.1:8080/", "http://192.0.2.1:8080/", "192.0.2.1", ""),
            ("http://[2001:db8::1]/", "http://[2001:db8::1]/", "2001:db8::1", ""),
            ("//example.com/x", "http://example.com/x", "example.com", "example.com"),
            ("http:\\\\example.com\\x?a\\b", "http://example.com/x?a\\b", "example.com", "example.com"),
            ("ht\ntp://exam\u{200b}ple.com", "http://example.com", "example.com", "example.com"),
            (
                "http://b\u{fc}cher.example",
                "http://xn--bcher-kva.example",
                "xn--bcher-kva.example",
                "xn--bcher-kva.example",
            ),
            ("hxxps://example.com", "https://example.com", "example.com", "example.com"),
            ("http://example.com/%61%2Fb%20?%61", "http://example.com/a%2Fb%20?%61", "example.com", "example.com"),
            ("www.example.com/x", "http://www.example.com/x", "www.example.com", "example.com"),
            ("mailto:A@Example.org?subject=x", "mailto:A@Example.org?subject=x", "example.org", "example.org"),
            ("tel:+1", "tel:+1", "", ""),
            ("javascript:x()", "javascript:x()", "", ""),
            ("data:text/html,x", "data:text/html,x", "", ""),
            ("http://com/", "http://com/", "", ""),
            ("http://user.github.io/", "http://user.github.io/", "user.github.io", "user.github.io"),
        ] {
            let link = link(written).expect(written);
            assert_eq!((&*link.target, &*link.host, &*link.domain), (target, host, domain), "{written}");
        }
        for nowhere in ["", "#top", "page.html", "/path", "cid:x@y", "?a=b"] {
            assert_eq!(link(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn tricks_are_told() {
        for (written, tricks) in [
            ("http://example.com/%20?x=%61%61%61%61%61", &[][..]),
            ("https://bank.test@evil.example/", &[Trick::UserInfo]),
            ("http://2130706433/", &[Trick::NumericHost]),
            ("http://0300.0.2.1/", &[Trick::NumericHost]),
            ("http://192.0.2.1/", &[]),
            ("http://%65xample.com/", &[Trick::Escaped]),
            ("http://example.com/%61%62%63%64%65", &[Trick::Escaped]),
            ("http://exa\tmple.com/", &[Trick::Broken]),
            ("http://p\u{430}ypal.example/", &[Trick::MixedScripts]),
            ("http://\u{440}\u{443}.example/", &[]),
            ("http://example.com\\x", &[Trick::Backslashes]),
            ("http://example.com:8443/", &[Trick::OddPort]),
            ("http://example.com:443/", &[]),
        ] {
            assert_eq!(link(written).expect(written).tricks, tricks, "{written}");
        }
    }

    #[test]
    fn redirectors_name_their_target() {
        for (written, target) in [
            ("https://r.example/?url=https://evil.test/a&x=1", Some("https://evil.test/a")),
            ("https://r.example/?url=https%3A%2F%2Fevil.test%2Fa%3Fb%3D1%26c&x=1", Some("https://evil.test/a?b=1&c")),
            ("https://r.example/?u=https%253A%252F%252Fevil.test%252F&x=1", Some("https://evil.test/")),
            ("https://r.example/web/2020/http://evil.test/x", Some("http://evil.test/x")),
            ("https://r.example/l/aHR0cHM6Ly9ldmlsLnRlc3QvYQ/x", Some("https://evil.test/a")),
            ("https://urldefense.proofpoint.com/v2/url?u=http-3A__evil.test_a&d=1", Some("http://evil.test/a")),
            ("https://r.example/?url=x", None),
            ("https://r.example/", None),
        ] {
            assert_eq!(link(written).expect(written).leads_to.as_deref(), target, "{written}");
        }
    }

    proptest! {
        #[test]
        fn any_target_is_read(target in "(http|https|:|//|\\\\|@|%4|%61|a\\.example|\\[|\\]|[ -~]|\\PC){0,30}") {
            link(&target);
        }
    }
}
