//! The addresses that a message points to, as rules about them expect them.

use std::collections::BTreeSet;

use super::text::Texts;

/// Addresses of one message, at most.
const MOST: usize = 2_000;
/// Octets of one.
const LONGEST: usize = 2_048;

/// All addresses, as they stand and as they are when undone, each once.
pub(super) fn of(texts: &Texts) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in texts.body.iter() {
        let line = String::from_utf8_lossy(line);
        in_text(&line, &mut found);
    }
    for page in &texts.pages {
        for (_, uri) in &page.uris {
            if !uri.starts_with('#') && !starts(uri, "cid:") {
                add(uri, &mut found);
            }
        }
    }
    found
}

fn starts(text: &str, with: &str) -> bool {
    text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

fn add(uri: &str, found: &mut BTreeSet<String>) {
    if uri.is_empty() || found.len() >= MOST {
        return;
    }
    let mut end = uri.len().min(LONGEST);
    while !uri.is_char_boundary(end) {
        end -= 1;
    }
    let uri = &uri[..end];
    found.insert(uri.to_owned());
    let mut plain = uri.replace(['\r', '\n', '\t'], "");
    if plain.contains('%') {
        plain = unescaped(&plain);
    }
    let opened = plain.clone();
    if let Some((scheme, rest)) = opened.split_once(':') {
        if matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
            let rest = rest.trim_start_matches(['/', '\\']);
            plain = format!("{}://{rest}", scheme.to_ascii_lowercase());
            if !rest.is_empty() && !rest.contains(['/', '?']) {
                found.insert(format!("{plain}/"));
            }
        }
    }
    // What an address redirects to, where it says so.
    let inner: Vec<usize> = ["http://", "https://"]
        .iter()
        .flat_map(|scheme| plain.match_indices(scheme).map(|(at, _)| at).collect::<Vec<_>>())
        .filter(|at| *at > 0)
        .collect();
    for at in inner {
        found.insert(plain[at..].to_owned());
    }
    found.insert(plain);
}

fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let octets = text.as_bytes();
    let mut at = 0;
    let digit = |at: usize| octets.get(at).and_then(|octet| (*octet as char).to_digit(16));
    while at < octets.len() {
        match (octets[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) if high * 16 + low >= 0x20 => {
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

fn in_text(line: &str, found: &mut BTreeSet<String>) {
    for token in line.split(is_end).filter(|token| token.len() > 3) {
        let mut at = 0;
        // Only a few addresses stand in one word.
        for _ in 0..8 {
            match first_in(token, at) {
                Some((start, end, uri)) => {
                    if let Some(uri) = uri {
                        add(&uri, found);
                    }
                    at = end.max(start + 1);
                }
                None => break,
            }
        }
    }
}

/// The first address from `from` on: where it begins and ends, and as it is opened.
fn first_in(token: &str, from: usize) -> Option<(usize, usize, Option<String>)> {
    let rest = token.get(from..)?;
    let lower = rest.to_ascii_lowercase();
    let is_edge = |at: usize| !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let scheme = ["http://", "https://", "ftp://", "www", "ftp.", "mailto:"]
        .iter()
        .flat_map(|scheme| lower.match_indices(scheme).map(|(at, _)| at).filter(|at| is_edge(*at)).take(1))
        .filter(|at| !lower[*at..].starts_with("www") || is_www(&lower[*at..]))
        .min();
    let mail = rest.find('@').filter(|at| *at > 0);
    match (scheme, mail) {
        (Some(start), mail) if mail.is_none_or(|mail| start < mail) => {
            let raw = trimmed(&rest[start..]);
            let uri = if lower[start..].starts_with("www") {
                Some(format!("http://{raw}"))
            } else if lower[start..].starts_with("ftp.") {
                Some(format!("ftp://{raw}"))
            } else if lower[start..].starts_with("mailto:") {
                raw.contains('@').then(|| raw.to_owned())
            } else {
                (raw.len() > 8).then(|| raw.to_owned())
            };
            Some((from + start, from + rest.len(), uri))
        }
        (_, Some(at)) => {
            let local_start = rest[..at].rfind([',', '(', '\'', '@', ':']).map_or(0, |before| before + 1);
            let behind = &rest[at + 1..];
            let length = behind.find(|c: char| matches!(c, ',' | '(' | '\'') || !c.is_ascii()).unwrap_or(behind.len());
            let raw = trimmed(&rest[local_start..at + 1 + length]);
            let host = raw.split_once('@').map(|(_, host)| host.split(['?', '&']).next().unwrap_or_default());
            let is_mail = host.is_some_and(|host| has_known_suffix(host)) && raw.is_ascii();
            Some((from + local_start, from + at + 1 + length, is_mail.then(|| format!("mailto:{raw}"))))
        }
        _ => {
            let start = rest.find(|c: char| c.is_ascii_alphanumeric())?;
            let raw = trimmed(&rest[start..]);
            let host = raw.split(['/', ':']).next().unwrap_or_default().trim_end_matches('.');
            let is_host = host.contains('.')
                && host.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_'))
                && has_known_suffix(host);
            is_host.then(|| (from + start, from + rest.len(), Some(format!("http://{raw}"))))
        }
    }
}

fn is_www(text: &str) -> bool {
    let digits = text[3..].bytes().take_while(u8::is_ascii_digit).count();
    digits <= 2 && text[3 + digits..].starts_with('.')
}

fn has_known_suffix(host: &str) -> bool {
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
