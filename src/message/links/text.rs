//! Text as its reader sees it: links with and without a scheme, mail addresses, and either of them written
//! so that no machine finds them.

use std::borrow::Cow;

use memchr::memmem;

use super::collector::{Collector, has_known_suffix};
use super::reference;

/// Octets of text without white space that are looked at as one piece. It bounds how far any search
/// within a link can run.
const MAX_WORD: usize = 4096;

/// Suffixes of names that are suffixes of files more often: such a name needs more to be a link.
const FILE_SUFFIXES: [&str; 6] = ["md", "mov", "py", "rs", "sh", "zip"];

/// Whether a name without a scheme before it is a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::message) enum Bare {
    /// It is, if its suffix is known.
    Link,
    /// It is not: this is code.
    Code,
}

/// Reads text.
pub(in crate::message) fn scan(text: &str, bare: Bare, found: &mut Collector) {
    let text = visible(text);
    let text = undisguised(&text);
    let is_ascii = text.is_ascii();
    if is_ascii && bare == Bare::Code && !found.is_full() && !leads_anywhere(text.as_bytes()) {
        return;
    }
    let between = |character: char| {
        character.is_whitespace() || character.is_control() || matches!(character, '<' | '>' | '"' | '`' | '|')
    };
    if !is_ascii {
        text.split(between).all(|word| scan_pieces(word, bare, found));
        return;
    }
    let ends = |octet: &u8| *octet <= b' ' || matches!(octet, 0x7f | b'<' | b'>' | b'"' | b'`' | b'|');
    let mut rest = &*text;
    while !rest.is_empty() {
        // Most words are nothing but words.
        let mut is_more = found.is_full();
        let is_end = |octet: &u8| {
            is_more |= matches!(octet, b'.' | b':' | b'@');
            ends(octet)
        };
        let (word, after) = rest.split_at(rest.as_bytes().iter().position(is_end).unwrap_or(rest.len()));
        if is_more && !scan_pieces(word, bare, found) {
            return;
        }
        rest = after.get(1..).unwrap_or_default();
    }
}

/// Reads what stands between white space; false if nothing more can be kept.
fn scan_pieces(word: &str, bare: Bare, found: &mut Collector) -> bool {
    if word.len() <= 3 {
        return true;
    }
    let mut rest = word;
    while !rest.is_empty() {
        if found.is_full() {
            found.cut();
            return false;
        }
        let (piece, after) = rest.split_at(rest.floor_char_boundary(MAX_WORD));
        scan_word(piece, bare, found);
        rest = after;
    }
    true
}

/// True if there may be a scheme or an address in code.
fn leads_anywhere(code: &[u8]) -> bool {
    memchr::memchr2(b'@', b'\\', code).is_some() || memmem::find(code, b"//").is_some()
}

/// Text without the characters that nobody sees.
fn visible(text: &str) -> Cow<'_, str> {
    let is_unseen = |character: char| {
        matches!(character, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
    };
    if text.is_ascii() || !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(|character| !is_unseen(*character)).collect())
}

/// Text with `[.]`, `(dot)`, `[at]` and the like undone. What comes of it is a link only where the result is.
fn undisguised(text: &str) -> Cow<'_, str> {
    const DISGUISES: [(&str, char); 9] = [
        (".", '.'),
        ("dot", '.'),
        ("DOT", '.'),
        (":", ':'),
        ("://", ':'),
        ("@", '@'),
        ("at", '@'),
        ("AT", '@'),
        ("/", '/'),
    ];
    let mut out = String::new();
    let mut copied = 0;
    for (at, opening) in text.match_indices(['[', '(', '{']) {
        let closing = match opening {
            "[" => ']',
            "(" => ')',
            _ => '}',
        };
        let rest = text.get(at + 1..).unwrap_or_default();
        let disguise = DISGUISES.iter().find_map(|(written, meant)| {
            let after = rest.strip_prefix(written)?.strip_prefix(closing)?;
            Some((after, *written, *meant))
        });
        let Some((after, written, meant)) = disguise else { continue };
        out.push_str(text.get(copied..at).unwrap_or_default());
        let mut after = after;
        if written.len() > 1 && written != "://" {
            out.truncate(out.trim_end_matches(' ').len());
            after = after.trim_start_matches(' ');
        }
        out.push(meant);
        if written == "://" {
            out.push_str("//");
        }
        copied = text.len() - after.len();
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// A link without the punctuation of the sentence that it stands in.
fn ended(link: &str) -> &str {
    link.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '}', '\'', '*'])
}

/// One word: links with a scheme, and what lies between them.
fn scan_word(word: &str, bare: Bare, found: &mut Collector) {
    let mut rest = word;
    while let Some((start, authority)) = next_scheme(rest) {
        plain(rest.get(..start).unwrap_or_default(), bare, found);
        let after = web(rest.get(authority..).unwrap_or_default(), found);
        let link = rest.get(start..rest.len() - after.len()).unwrap_or_default();
        found.link_here(ended(link));
        rest = after;
    }
    plain(rest, bare, found);
}

/// Where the next scheme begins, and the authority behind it.
fn next_scheme(text: &str) -> Option<(usize, usize)> {
    for (colon, _) in text.match_indices(':') {
        let rest = text.get(colon + 1..)?;
        if !(rest.starts_with("//") || rest.starts_with("\\\\")) {
            continue;
        }
        // A scheme that is glued to a word before it is one all the same.
        let scheme = (3..=5)
            .rev()
            .filter_map(|length| colon.checked_sub(length))
            .find(|start| text.get(*start..colon).is_some_and(reference::is_web));
        if let Some(start) = scheme {
            let slashes = rest.len() - rest.trim_start_matches(['/', '\\']).len();
            return Some((start, colon + 1 + slashes));
        }
    }
    None
}

/// A link behind its `http://`. Returns what does not belong to it.
fn web<'t>(text: &'t str, found: &mut Collector) -> &'t str {
    let end = text.find(['/', '\\', '?', '#']).unwrap_or(text.len());
    let authority = text.get(..end).unwrap_or_default();
    let host_start = authority.rfind('@').map_or(0, |at| at + 1);
    let host = authority.get(host_start..).unwrap_or_default();
    if host.starts_with('[') {
        let length = host.find(']').map_or(host.len(), |at| at + 1);
        if let Some(host) = found.normal_host(host.get(..length).unwrap_or_default()) {
            found.host(&host);
        }
        return text.get(host_start + length..).unwrap_or_default();
    }
    let length = host.find(|character| !is_of_host(character) && character != '%').unwrap_or(host.len());
    let (host, after) = host.split_at(length);
    let port = after.strip_prefix(':').map_or(0, |port| 1 + port.bytes().take_while(u8::is_ascii_digit).count());
    let name = linked_host(host, found);
    if after.len() > port {
        return text.get(host_start + length + port..).unwrap_or_default();
    }
    let path = text.get(end..).unwrap_or_default();
    reference::behind(name.as_deref().unwrap_or_default(), path, found);
    ""
}

/// Keeps the host of a link in text. Where writing without spaces goes on behind the link, programs differ
/// in where it ends: the reading that makes a registered name counts.
fn linked_host(written: &str, found: &mut Collector) -> Option<String> {
    let written = written.trim_matches(['.', '-']);
    let whole = found.normal_host(written);
    let ascii = written.find(|character: char| !character.is_ascii());
    let host = match (whole, ascii) {
        (Some(whole), Some(end)) if !has_known_suffix(&whole) => {
            let part = found.normal_host(written.get(..end).unwrap_or_default().trim_end_matches(['.', '-']));
            part.filter(|part| has_known_suffix(part)).or(Some(whole))
        }
        (None, Some(end)) => found.normal_host(written.get(..end).unwrap_or_default().trim_end_matches(['.', '-'])),
        (whole, _) => whole,
    };
    if let Some(host) = &host {
        found.host(host);
    }
    host
}

/// Text without schemes: addresses and, unless it is code, names.
fn plain(text: &str, bare: Bare, found: &mut Collector) {
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let Some(start) = rest.find(is_of_word) else { return };
        let rest = rest.get(start..).unwrap_or_default();
        let run = rest.get(..rest.find(|character| !is_of_word(character)).unwrap_or(rest.len())).unwrap_or_default();
        let before = text.get(..at + start).unwrap_or_default().chars().next_back();
        at += start + run.len();
        if run.contains('@') {
            addresses(run, found);
        } else if bare == Bare::Link && run.contains(is_dot) && !matches!(before, Some('/' | '\\' | '%')) {
            let after = text.get(at..).unwrap_or_default();
            if bare_name(run, after, found) {
                // The rest is its path.
                reference::behind("", after, found);
                return;
            }
        }
    }
}

/// Keeps the names in a run of characters without a scheme; true if a path follows the last of them.
fn bare_name(run: &str, after: &str, found: &mut Collector) -> bool {
    // `object.name(argument)` and its like.
    if after.starts_with(['(', '[', '=']) {
        return false;
    }
    let has_path = after == "/" || (after.len() > 1 && after.starts_with(['/', '?']));
    let run = run.trim_matches(['.', '-', '+', '~', '\'']);
    let path = if has_path { after } else { "" };
    let mut keep = |name: &str| {
        let is_link = keep_bare(name, has_path, found);
        if is_link {
            found.link_here(ended(&format!("http://{name}{path}")));
        }
        is_link
    };
    let mut is_link = keep(run);
    if !is_link && !run.is_ascii() {
        // Languages that write without spaces put a link right between their words.
        for part in run.split(|character: char| !character.is_ascii()) {
            is_link |= keep(part.trim_matches(['.', '-']));
        }
    }
    is_link && has_path
}

fn keep_bare(name: &str, has_path: bool, found: &mut Collector) -> bool {
    if !name.contains(is_dot) || name.len() < 4 {
        return false;
    }
    let (_, suffix) = name.rsplit_once(is_dot).unwrap_or_default();
    let is_www = name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."));
    if !is_www && name.contains('_') {
        return false;
    }
    if !is_www && !has_path {
        // `sentence.It goes on`, and names of files.
        let is_sentence = suffix.len() == 2
            && suffix.starts_with(|c: char| c.is_ascii_uppercase())
            && suffix.ends_with(|c: char| c.is_ascii_lowercase());
        if is_sentence || FILE_SUFFIXES.iter().any(|file| suffix.eq_ignore_ascii_case(file)) {
            return false;
        }
    }
    // Most text with a dot in it ends here, before it costs anything.
    if suffix.is_ascii() && !has_known_suffix(&suffix.to_ascii_lowercase()) {
        return false;
    }
    match found.normal_host(name) {
        Some(host) if has_known_suffix(&host) => {
            found.host(&host);
            true
        }
        _ => false,
    }
}

/// A link in an attribute that has no scheme: relative, or a name that some programs go to.
pub(super) fn bare_link(link: &str, found: &mut Collector) {
    let end = link.find(|character| !is_of_host(character)).unwrap_or(link.len());
    let (name, after) = link.split_at(end);
    let port = after.strip_prefix(':').map_or(0, |port| 1 + port.bytes().take_while(u8::is_ascii_digit).count());
    let path = after.get(port..).unwrap_or_default();
    keep_bare(name.trim_end_matches('.'), path.starts_with(['/', '?', '#']), found);
    reference::behind("", path, found);
}

/// Mail addresses in a run of characters with at least one `@`.
fn addresses(run: &str, found: &mut Collector) {
    let mut parts = run.split('@');
    let mut local = parts.next().unwrap_or_default();
    for domain in parts {
        if !local.is_empty() {
            address(local, domain, found);
        }
        local = domain;
    }
}

fn address(local: &str, domain: &str, found: &mut Collector) {
    let domain = domain.trim_matches(['.', '-', '\'', '~', '+']);
    let domain = domain.split(['\'', '~', '+']).next().unwrap_or_default();
    let written_on = domain.find(|character: char| !character.is_ascii());
    let known = |name: Option<String>| name.filter(|name| has_known_suffix(name));
    let mut name = if domain.contains(is_dot) { known(found.normal_host(domain)) } else { None };
    if let (None, Some(end)) = (&name, written_on) {
        name = known(found.normal_host(domain.get(..end).unwrap_or_default().trim_end_matches(['.', '-'])));
    }
    let Some(name) = name else { return };
    let local = local.trim_matches(['.', '\'']);
    let ascii = local.rsplit(|character: char| !character.is_ascii()).next().unwrap_or_default();
    found.address(if ascii.is_empty() { local } else { ascii }, &name);
}

/// Characters of names, and those that Unicode has for dots (UTS 46 4).
fn is_of_host(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(character, '-' | '_')
        || is_dot(character)
        || (!character.is_ascii() && character.is_alphanumeric())
}

fn is_dot(character: char) -> bool {
    matches!(character, '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}')
}

fn is_of_word(character: char) -> bool {
    is_of_host(character) || matches!(character, '@' | '+' | '~' | '\'')
}
