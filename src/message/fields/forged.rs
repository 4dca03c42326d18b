//! Fields that only we may write but somebody else wrote, and Received fields that tell of a loop.

use std::ops::Range;

use crate::message::header::{Field, Fields};
use crate::smtp::Domain;

/// The fields of `section` that are to be removed before ours are added: every X-Spam-* field, and each
/// Authentication-Results that claims our `authserv_id` (RFC 8601 5). Ranges are whole fields, in order.
pub fn forged_ranges(section: &[u8], authserv_id: &str) -> Vec<Range<usize>> {
    let forged = |field: &Field<'_>| {
        let spam = field.name.get(..7).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"X-Spam-"));
        spam || field.is("Authentication-Results") && claims(field.value, authserv_id)
    };
    Fields::new(section).filter(forged).map(|field| field.start..field.end).collect()
}

/// Received fields of a message, for telling loops (RFC 5321 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceivedCount {
    /// All of them.
    pub total: usize,
    /// Those `by` our own host name.
    pub ours: usize,
}

/// Counts the Received fields of `section`.
pub fn count_received(section: &[u8], hostname: &str) -> ReceivedCount {
    let mut count = ReceivedCount::default();
    for field in Fields::new(section).filter(|field| field.is("Received")) {
        count.total += 1;
        if by(field.value).is_some_and(|name| same_host(&name, hostname)) {
            count.ours += 1;
        }
    }
    count
}

/// True if the authserv-id of an Authentication-Results value is `authserv_id`.
fn claims(value: &[u8], authserv_id: &str) -> bool {
    let names_us = |value: &[u8]| Words { rest: value }.next().is_some_and(|word| same_host(&word, authserv_id));
    // Control characters have no place there: some readers take them for white space, some drop them.
    let kept = |octet: &u8| !octet.is_ascii_control() || b"\t\r\n".contains(octet);
    names_us(value) || names_us(&value.iter().copied().filter(kept).collect::<Vec<u8>>())
}

/// The host name behind `by`. A HELO name that is itself `by` does not mislead.
fn by(value: &[u8]) -> Option<Vec<u8>> {
    let mut words = Words { rest: value }.peekable();
    if words.next_if(|word| word.eq_ignore_ascii_case(b"from")).is_some() {
        words.next();
    }
    words.find(|word| word.eq_ignore_ascii_case(b"by"))?;
    words.next()
}

/// As host names where both are, else to the letter but for case.
fn same_host(word: &[u8], ours: &str) -> bool {
    let Ok(word) = std::str::from_utf8(word) else { return false };
    match (Domain::parse(word), Domain::parse(ours)) {
        (Ok(word), Ok(ours)) => word == ours,
        _ => word.eq_ignore_ascii_case(ours),
    }
}

/// The words of a structured field up to the first `;`: comments and folding skipped, quoted strings undone
/// (RFC 5322 3.2). What is left open at the end counts as closed there.
struct Words<'a> {
    rest: &'a [u8],
}

impl Iterator for Words<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        self.rest = skip_comments(self.rest);
        let mut word = Vec::new();
        let (mut quoted, mut any) = (false, false);
        while let Some((&octet, tail)) = self.rest.split_first() {
            match octet {
                b'"' => quoted = !quoted,
                b'\\' if quoted => {
                    word.extend(tail.first());
                    self.rest = tail.get(1..).unwrap_or_default();
                    continue;
                }
                b'(' | b';' if !quoted => break,
                _ if !quoted && is_space(octet) => break,
                b'\r' | b'\n' => {}
                other => word.push(other),
            }
            any = true;
            self.rest = tail;
        }
        any.then_some(word)
    }
}

/// White space, and control characters, which count as such.
fn is_space(octet: u8) -> bool {
    octet == b' ' || octet.is_ascii_control()
}

/// Skips white space and comments, which nest.
fn skip_comments(octets: &[u8]) -> &[u8] {
    let (mut depth, mut escaped) = (0_usize, false);
    let end = octets.iter().position(|&octet| match octet {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' if depth > 0 => {
            escaped = true;
            false
        }
        b'(' => {
            depth += 1;
            false
        }
        b')' if depth > 0 => {
            depth -= 1;
            false
        }
        _ => depth == 0 && !is_space(octet),
    });
    end.and_then(|end| octets.get(end..)).unwrap_or_default()
}
