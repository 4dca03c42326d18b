//! The addresses that a message points to, as rules about them expect them.

use std::collections::{BTreeSet, HashSet};

use xxhash_rust::xxh3::xxh3_64;

use super::markup::starts_ignoring_case as starts;
use super::text::Texts;

/// Addresses of one message, at most, as they stand.
pub(super) const MOST: usize = 2_000;
/// Octets of one.
pub(super) const LONGEST: usize = 2_048;
/// Octets of the name of a host (RFC 1035 2.3.4).
pub(super) const HOST_MOST: usize = 253;
/// Addresses within addresses that are followed.
const REDIRECTIONS_MOST: usize = 8;
/// Octets of the name in an address of mail.
const LOCAL_MOST: usize = 251;

/// All addresses, as they stand and as they are when undone, each once.
pub(super) fn of(texts: &Texts) -> BTreeSet<String> {
    let mut found = Found::default();
    for line in &texts.body {
        let line = String::from_utf8_lossy(line);
        in_text(&line, &mut found);
    }
    for page in &texts.pages {
        page.uris.iter().for_each(|uri| found.add(uri));
    }
    found.forms
}

/// Addresses in all their forms.
#[derive(Default)]
struct Found {
    forms: BTreeSet<String>,
    /// Those that were undone, as they stood. Many may have the same beginning, which is all that is kept.
    known: HashSet<u64>,
}

impl Found {
    /// Adds an address as it stands, and as programs would open it.
    fn add(&mut self, uri: &str) {
        let uri = &uri[..uri.floor_char_boundary(LONGEST)];
        if self.known.len() >= MOST || self.forms.len() >= MOST || !self.known.insert(xxh3_64(uri.as_bytes())) {
            return;
        }
        let mut waiting = vec![uri.to_owned()];
        let mut at = 0;
        while at < waiting.len().min(REDIRECTIONS_MOST) && self.forms.len() < MOST {
            let uri = waiting[at].replace(['\n', '\r'], "");
            let uri = uri.trim();
            at += 1;
            if uri.is_empty() {
                continue;
            }
            let mut forms = BTreeSet::from([uri.to_owned()]);
            let is_local =
                uri.len() == 1 || uri.starts_with(['#', '?', '&']) || (uri.starts_with('/') && !uri.starts_with("//"));
            if starts(uri, "mailto:") || uri.split(':').next().is_some_and(|start| start.contains('@')) {
                mail_forms(uri, &mut forms);
            } else if !is_local {
                waiting.extend(web_forms(uri, &mut forms));
            }
            self.forms.extend(forms.into_iter().map(|mut form| {
                form.truncate(form.floor_char_boundary(LONGEST));
                form
            }));
        }
    }
}

/// An address of mail without what stands behind it.
fn mail_forms(uri: &str, forms: &mut BTreeSet<String>) {
    let Some(sign) = uri.find('@') else { return };
    if let Some(at) = uri[sign..].find('?').filter(|at| *at > 1) {
        forms.insert(uri[..sign + at].to_owned());
    }
    if let Some(at) = uri[sign..].find(['?', '&']).filter(|at| *at > 1 && uri[sign + at..].starts_with('&')) {
        forms.insert(uri[..sign + at].to_owned());
    }
    if uri.contains("%20") {
        let mut plain = if starts(uri, "mailto:") { &uri[7..] } else { uri };
        while let Some(rest) = plain.strip_prefix("%20") {
            plain = rest;
        }
        if let Some((local, host)) = plain.split_once('@') {
            let host = host.split(['?', '&', '%']).next().unwrap_or_default();
            if !local.is_empty() && !host.is_empty() {
                forms.insert(format!("mailto:{local}@{host}"));
            }
        }
    }
}

/// An address of the web as programs open it; what it redirects to, where it says so.
fn web_forms(uri: &str, forms: &mut BTreeSet<String>) -> Option<String> {
    let mut plain = uri.replace('\\', "/");
    let is_web = |text: &str| ["http:", "https:"].into_iter().find(|scheme| starts(text, scheme)).map(str::len);
    if let Some(length) = is_web(&plain) {
        let rest = plain[length..].strip_prefix('/').unwrap_or(&plain[length..]);
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        plain = format!("{}//{rest}", &plain[..length]);
    }
    plain = unescaped(&plain);
    let scheme = plain.split(':').next().unwrap_or_default();
    let has_scheme = plain.contains(':')
        && !scheme.is_empty()
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if !has_scheme {
        plain.insert_str(0, if plain.starts_with("ftp.") { "ftp://" } else { "http://" });
    }
    // What was no scheme as it stood has perhaps no host behind it.
    let Some(scheme) = is_web(&plain).filter(|length| plain[*length..].starts_with("//")) else {
        forms.insert(plain);
        return None;
    };
    let host_at = scheme + 2;
    let host_end = plain[host_at..].find(['/', '?', '#']).map_or(plain.len(), |length| host_at + length);
    if host_end > host_at && plain[host_end..].starts_with(['?', '#']) {
        plain.insert(host_end, '/');
    }
    forms.insert(plain.clone());
    let (proto, rest) = (&plain[..host_at], &plain[host_end..]);
    let authority = &plain[host_at..host_end];
    let (has_user, server) = authority.rsplit_once('@').map_or((false, authority), |(_, server)| (true, server));
    let (host, port) = server.split_once(':').map_or((server, ""), |(host, port)| (host, port));
    let default = if starts(proto, "https") { "443" } else { "80" };
    if port == default {
        forms.insert(format!("{proto}{host}{rest}"));
    }
    let port_part = &server[host.len()..];
    let alphanumeric = host.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    if alphanumeric.len() < host.len() {
        forms.insert(format!("{proto}{alphanumeric}{port_part}{rest}"));
    }
    let is_number = !host.is_empty() && host.bytes().all(|octet| octet.is_ascii_digit());
    if let Some(number) = host.parse::<u32>().ok().filter(|_| is_number) {
        forms.insert(format!("{proto}{}{port_part}{rest}", std::net::Ipv4Addr::from(number)));
    } else if !host.contains('.')
        && !host.is_empty()
        && !has_user
        && default == "80"
        && port.is_empty()
        && host != "localhost"
    {
        forms.insert(format!("{proto}www.{host}.com{rest}"));
    }
    redirection(rest)
}

/// The address in the path of another.
fn redirection(rest: &str) -> Option<String> {
    let lower = rest.to_ascii_lowercase();
    let at = lower.match_indices("http").map(|(at, _)| at).find(|at| {
        let behind = &lower[at + 4..];
        behind.strip_prefix('s').unwrap_or(behind).starts_with(':')
    })?;
    let inner = rest[at..].split(['&', '#']).next().unwrap_or_default();
    inner.contains('.').then(|| inner.to_owned())
}

/// With such escapes undone as stand for signs that can be seen.
fn unescaped(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let octets = text.as_bytes();
    let mut at = 0;
    let digit = |at: usize| octets.get(at).and_then(|octet| (*octet as char).to_digit(16));
    while at < octets.len() {
        match (octets[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) if (0x21..0x7f).contains(&(high * 16 + low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (octet, _, _) => {
                out.push(octet);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn is_end(c: char) -> bool {
    c.is_whitespace() || matches!(c, '>' | '<' | '"' | '`' | '}' | ']' | '{' | '[' | '|' | '\u{1b}' | '\u{a0}')
}

fn in_text(line: &str, found: &mut Found) {
    let tokens = line.split(is_end).filter(|token| token.len() > 3 && token.contains(['.', '@', ':']));
    for token in tokens {
        let mut at = 0;
        // Only a few addresses stand in one word.
        for _ in 0..8 {
            let Some((end, uri)) = next_in(token, at) else { break };
            if let Some(uri) = uri.filter(|uri| leads_somewhere(uri)) {
                found.add(&uri);
            }
            at = end;
        }
    }
}

/// The next address of a word from `from` on: where it ends, and as it is opened if it is one.
fn next_in(token: &str, from: usize) -> Option<(usize, Option<String>)> {
    let mut before = token[..from].chars().next_back();
    for (offset, c) in token[from..].char_indices() {
        let at = from + offset;
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let is_edge =
            at == 0 || before.is_some_and(|before| is_word(before) != is_word(c) || matches!(before, '\'' | ',' | '('));
        let last = before.replace(c);
        if !is_edge {
            continue;
        }
        let rest = &token[at..];
        if is_known_scheme(rest) {
            return Some((token.len(), opened(rest)));
        }
        if let Some(length) = mail_length(rest) {
            return Some((at + length, opened(&rest[..length]).filter(|uri| uri.contains('@'))));
        }
        let may_begin = at == 0 || last.is_some_and(|last| last.is_ascii_punctuation() && !"%-._".contains(last));
        if may_begin && is_host(rest) {
            return Some((token.len(), opened(rest)));
        }
    }
    None
}

fn is_known_scheme(rest: &str) -> bool {
    let is_long = |text: &str, length: usize| text.len() > length;
    ["http://", "https://", "ftp://", "ftp."].iter().any(|scheme| starts(rest, scheme) && is_long(rest, scheme.len()))
        || (starts(rest, "www") && is_www(rest))
}

fn is_www(text: &str) -> bool {
    let digits = text[3..].bytes().take_while(u8::is_ascii_digit).count();
    digits <= 2 && text[3 + digits..].starts_with('.') && text.len() > 4 + digits
}

/// The length of the address of mail that begins here.
fn mail_length(rest: &str) -> Option<usize> {
    let is_over = |c: char| matches!(c, ',' | '(' | '\'') || !c.is_ascii();
    let start = if starts(rest, "mailto:") {
        7
    } else {
        let local = rest[..rest.floor_char_boundary(LOCAL_MOST + 1)].find(|c: char| c == '@' || is_over(c))?;
        if !(1..=LOCAL_MOST).contains(&local) || !rest[local..].starts_with('@') {
            return None;
        }
        local + 1
    };
    let length = rest[start..].find(is_over).unwrap_or(rest.len() - start);
    (length > 0).then_some(start + length)
}

/// Whether a word is the name of a host, perhaps with a port and a path.
fn is_host(rest: &str) -> bool {
    let length =
        rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))).unwrap_or(rest.len());
    let host = &rest[..length];
    let name = host.strip_suffix('.').unwrap_or(host);
    let behind = rest[length..]
        .strip_prefix(':')
        .map_or(&rest[length..], |port| port.trim_start_matches(|c: char| c.is_ascii_digit()));
    (behind.is_empty() || (behind.starts_with('/') && behind.len() > 1))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && has_known_suffix(name)
}

/// What is opened where a text says so.
fn opened(raw: &str) -> Option<String> {
    let raw = trimmed(raw);
    let scheme_only = raw.split_once(':').is_some_and(|(_, rest)| rest.trim_matches('/').is_empty());
    if raw.is_empty() || scheme_only {
        return None;
    }
    if ["http:", "https:", "ftp:", "mailto:"].iter().any(|scheme| starts(raw, scheme)) {
        return Some(raw.to_owned());
    }
    let scheme = if starts(raw, "ftp.") {
        "ftp://"
    } else if starts(raw, "www") && is_www(raw)
        || raw.find('/').is_some_and(|slash| raw[slash + 1..].find('@').is_some_and(|at| at > 0))
    {
        "http://"
    } else if let Some((_, host)) = raw.split_once('@') {
        let is_mail = host.find('.').is_some_and(|dot| dot > 0);
        let known = ["skype:", "email:", "e-mail:", "mail:", ":"].iter().find(|known| starts(raw, known));
        let raw = known.map_or(raw, |known| raw[known.len()..].trim_start_matches(':'));
        return is_mail.then(|| format!("mailto:{raw}"));
    } else if raw.contains('.') {
        "http://"
    } else {
        return None;
    };
    Some(format!("{scheme}{raw}"))
}

/// Whether the host is one that can be.
fn leads_somewhere(uri: &str) -> bool {
    let host = match starts(uri, "mailto:") {
        true => uri.split_once('@').map(|(_, host)| {
            let host = host.split(['?', '>', '&']).next().unwrap_or_default();
            host.trim_end_matches("%20").to_ascii_lowercase()
        }),
        false => host(&unescaped(uri)),
    };
    host.is_some_and(|host| {
        let host = host.trim_end_matches('.');
        host.parse::<std::net::IpAddr>().is_ok() || has_known_suffix(host)
    })
}

fn has_known_suffix(host: &str) -> bool {
    if host.len() > HOST_MOST {
        return false;
    }
    let host = host.to_ascii_lowercase();
    psl::suffix(host.as_bytes()).is_some_and(|suffix| suffix.is_known() && suffix.as_bytes().len() < host.len())
}

/// Without what ends a sentence.
fn trimmed(raw: &str) -> &str {
    let raw = match raw.find('(') {
        None => raw.split(')').next().unwrap_or(raw),
        Some(_) => raw,
    };
    raw.trim_end_matches(|c: char| "-~!@#^&*()_+=:;'?,.".contains(c))
}

/// The host of an address, in lower case.
pub(super) fn host(uri: &str) -> Option<String> {
    let (_, rest) = uri.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?.rsplit('@').next()?.split(':').next()?;
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}
