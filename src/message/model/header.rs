//! The header section of the message: its fields decoded, and what is unusual about them.

use std::sync::Arc;

use super::{Field, Oddity};
use crate::message::{Message, charset, words};

/// Fields that are kept,
const MAX_FIELDS: usize = 2000;
/// and as many more of those that stand once.
const MAX_BEYOND: usize = 50;
/// Octets of all values that are kept.
const MAX_VALUES: usize = 512 * 1024;
/// Octets of a line (RFC 5322 2.1.1).
const MAX_LINE: usize = 998;
/// Fields that stand once at most (RFC 5322 3.6).
const ONCE: [&str; 11] =
    ["From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To", "References", "Subject", "Date"];

/// What a header section says.
#[derive(Default)]
pub(super) struct Header {
    pub(super) fields: Vec<Field>,
    pub(super) oddities: Vec<(Oddity, Arc<str>)>,
    pub(super) is_cut: bool,
}

/// Reads the header section of a message.
pub(super) fn of(message: &Message) -> Header {
    let mut header = Header::default();
    let mut counts = [0_u32; ONCE.len()];
    let mut values = 0;
    let mut beyond = 0;
    for field in message.fields() {
        let once = ONCE.iter().position(|once| field.is(once));
        if header.fields.len() >= MAX_FIELDS || values > MAX_VALUES {
            header.is_cut = true;
            header.odd(Oddity::TooMuch, "header fields");
            // Programs find these wherever they stand.
            if once.is_none() || beyond == MAX_BEYOND {
                continue;
            }
            beyond += 1;
        }
        let name = charset::text(field.name);
        if let Some(count) = once.and_then(|at| counts.get_mut(at)) {
            *count += 1;
            if *count == 2 {
                header.odd(Oddity::DuplicateField, &name);
            }
        }
        let start = field.end - line_end(message.octets(), field.end) - field.value.len();
        // The name is followed by the colon, at once.
        if start != field.start + field.name.len() + 1 {
            header.odd(Oddity::BrokenField, &format!("white space behind {name}"));
        }
        let decoded = words::decoded(field.value);
        values += decoded.text.len();
        header.is_cut |= decoded.is_cut;
        if let Some(broken) = decoded.broken {
            header.odd(Oddity::BrokenEncodedWord, &format!("{name}: {broken}"));
        }
        if super::has_control(&decoded.text, b"\t") {
            header.odd(Oddity::ControlCharacters, &name);
        }
        header.fields.push(Field {
            name: name.into(),
            raw: start..start + field.value.len(),
            value: decoded.text.into(),
        });
    }
    let mut eight_bit = message.fields().filter(|field| !field.value.is_ascii());
    if !message.header_section().is_ascii()
        && let Some(field) = eight_bit.next()
    {
        header.odd(Oddity::EightBitHeader, &String::from_utf8_lossy(field.name));
    }
    if let Some(length) = long_line(message.octets()) {
        header.odd(Oddity::LongLine, &format!("{length} octets"));
    }
    header
}

impl Header {
    fn odd(&mut self, oddity: Oddity, evidence: &str) {
        if !self.oddities.iter().any(|(known, _)| *known == oddity) {
            self.oddities.push((oddity, evidence.chars().take(super::reader::MAX_EVIDENCE).collect::<String>().into()));
        }
    }
}

/// Octets of the line end before `end`.
fn line_end(octets: &[u8], end: usize) -> usize {
    let before = octets.get(..end).unwrap_or_default();
    match before {
        [.., b'\r', b'\n'] => 2,
        [.., b'\n'] => 1,
        // What ends with the message loses a bare CR all the same.
        [.., b'\r'] => 1,
        _ => 0,
    }
}

/// The length of the first line that is too long.
fn long_line(octets: &[u8]) -> Option<usize> {
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', octets).chain([octets.len()]) {
        if end - start > MAX_LINE + 1 {
            return Some(end - start);
        }
        start = end + 1;
        if start > octets.len() {
            break;
        }
    }
    None
}
