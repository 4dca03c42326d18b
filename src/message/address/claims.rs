//! Every mailbox that some mail program could see in a field, however it reads it.
//!
//! Looked at with and without its comments, and with and without the white space within domains. What
//! stands in quotes counts too, since where quotes end is what programs disagree about.

use super::token::{comment_length, is_atext, quoted_inside};
use super::{MAX_FIELD, MAX_MAILBOXES, Mailbox, domain_name, unfolded};

/// Every mailbox that anybody could see in the value of a field; `None` if that cannot be told: no `@`,
/// an `@` without a domain, control characters, addresses hidden in encoded words, or too much of all.
pub fn claims(value: &[u8]) -> Option<Vec<Mailbox>> {
    let text = unfolded(value).ok()?;
    if hides_address(&text) {
        return None;
    }
    let bare = without_comments(&text);
    let mut found = Vec::new();
    collect(&text, bare != text, &mut found)?;
    if bare != text {
        collect(&bare, false, &mut found)?;
    }
    (!found.is_empty()).then_some(found)
}

/// The domains (A-labels, lower case) that can be read in a value of which [`claims`] cannot tell what it
/// names: control characters count as white space and as nothing, comments as text and as nothing. There may
/// be others that cannot be read.
pub fn readable(value: &[u8]) -> Vec<String> {
    let value = value.get(..MAX_FIELD).unwrap_or(value);
    let spaced: Vec<u8> = value.iter().map(|octet| if octet.is_ascii_control() { b' ' } else { *octet }).collect();
    let closed: Vec<u8> = value.iter().copied().filter(|octet| !octet.is_ascii_control()).collect();
    let mut domains: Vec<String> = Vec::new();
    for text in [without_comments(&spaced), without_comments(&closed), spaced, closed] {
        for behind in text.split(|octet| *octet == b'@').skip(1).take(MAX_MAILBOXES) {
            let behind = behind.trim_ascii_start();
            let length = behind.iter().position(|&octet| !is_of_name(octet)).unwrap_or(behind.len());
            for domain in [behind.get(..length).unwrap_or_default().to_vec(), joined(behind)] {
                let domain = String::from_utf8(domain).ok().and_then(|domain| domain_name(&domain));
                domains.extend(domain.filter(|domain| !domains.contains(domain)));
            }
        }
    }
    domains
}

/// Adds what stands around each `@`. With `leave_comments`, an `@` before a comment is left to the
/// reading without comments.
fn collect(text: &[u8], leave_comments: bool, found: &mut Vec<Mailbox>) -> Option<()> {
    let mut before = 0;
    while let Some(at) = text.get(before..)?.iter().position(|&octet| octet == b'@').map(|at| at + before) {
        let local = last_word(text.get(before..at)?);
        let behind = text.get(at + 1..)?.trim_ascii_start();
        before = at + 1;
        if leave_comments && behind.first() == Some(&b'(') {
            continue;
        }
        let length = behind.iter().position(|&octet| !is_of_name(octet)).unwrap_or(behind.len());
        let (domain, rest) = behind.split_at_checked(length)?;
        if domain.is_empty() || rest.first().is_some_and(|&next| !may_follow(next)) || found.len() >= MAX_MAILBOXES {
            return None;
        }
        found.push(mailbox(local, domain.to_vec())?);
        let joined = joined(behind);
        if joined != domain {
            found.push(mailbox(local, joined)?);
        }
    }
    Some(())
}

fn mailbox(local: &[u8], domain: Vec<u8>) -> Option<Mailbox> {
    let local = String::from_utf8_lossy(local).into_owned();
    Some(Mailbox { name: String::new(), local, domain: String::from_utf8(domain).ok()? })
}

/// The domain at the beginning of `text` to whoever removes white space first.
fn joined(text: &[u8]) -> Vec<u8> {
    text.iter()
        .copied()
        .take_while(|&octet| octet == b' ' || is_of_name(octet))
        .filter(|&octet| octet != b' ')
        .collect()
}

fn is_of_name(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet >= 0x80 || matches!(octet, b'.' | b'-' | b'_')
}

/// What may stand behind a domain so that everybody sees its end there. Outlook's `'a@b.example'` is one.
fn may_follow(octet: u8) -> bool {
    octet == b'\'' || (!is_atext(octet) && octet != b'\\')
}

/// What could be a local part at the end of `text`.
fn last_word(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii_end();
    let start = text.iter().rposition(|&octet| !is_atext(octet) && octet != b'.').map_or(0, |at| at + 1);
    text.get(start..).unwrap_or_default()
}

/// The text as it is to whoever honours comments (RFC 5322 3.2.2).
fn without_comments(text: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    let mut rest = text;
    // Once one has no end, none has: nothing is searched twice.
    let (mut comments_end, mut quotes_end) = (true, true);
    while let Some(&first) = rest.first() {
        let comment = if first == b'(' && comments_end { comment_length(rest) } else { None };
        let quoted = if first == b'"' && quotes_end { quoted_inside(rest) } else { None };
        comments_end &= first != b'(' || comment.is_some();
        quotes_end &= first != b'"' || quoted.is_some();
        let length = comment.or(quoted.map(|inside| inside.len() + 2)).unwrap_or(1);
        if comment.is_none() {
            kept.extend_from_slice(rest.get(..length).unwrap_or_default());
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    kept
}

/// True if an encoded word (RFC 2047) shows an address once decoded, or may do so.
fn hides_address(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(start) = rest.windows(2).position(|pair| pair == b"=?") {
        rest = rest.get(start + 2..).unwrap_or_default();
        let mut parts = rest.splitn(4, |&octet| octet == b'?');
        let (Some(charset), Some(encoding), Some(payload)) = (parts.next(), parts.next(), parts.next()) else {
            return false;
        };
        let shows = match encoding {
            [b'q' | b'Q'] => payload.contains(&b'@') || payload.windows(3).any(|code| code == b"=40"),
            [b'b' | b'B'] => base64(payload).is_none_or(|octets| octets.contains(&b'@')),
            _ => continue,
        };
        if shows || is_wide(charset) {
            return true;
        }
    }
    false
}

/// True for charsets in which `@` may be another octet: UTF-7, UTF-16 and their like.
fn is_wide(charset: &[u8]) -> bool {
    let (family, kind) = charset.split_at_checked(4).unwrap_or_default();
    family.eq_ignore_ascii_case(b"unic") || (family.eq_ignore_ascii_case(b"utf-") && !kind.starts_with(b"8"))
}

/// The octets of base64 (RFC 4648 4), padding or none; `None` if it is no such thing.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|&octet| octet != b'=').map_or(0, |last| last + 1);
    let (mut octets, mut bits, mut count) = (Vec::with_capacity(text.len()), 0_u32, 0_u32);
    for octet in text.get(..end)?.iter().filter(|octet| **octet != b' ') {
        let value = match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 & 0xffff | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            octets.push((bits >> count & 0xff) as u8);
        }
    }
    Some(octets)
}
