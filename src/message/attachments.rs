//! What is attached to a message, as exact hashes of its decoded octets.
//!
//! Only what says something when it is found again: a small file may be a vCard or a card of the calendar that
//! everybody sends, and a small picture somebody's logo. Everything is bounded, as in `parts`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Message;
use super::parts::{self, Form, Place, Reader};

/// Attachments of one message that are hashed.
pub const MAX_ATTACHMENTS: usize = 16;
/// Octets that an attachment has at least.
const LEAST: usize = 1024;
/// The same of a picture.
const LEAST_OF_A_PICTURE: usize = 32 * 1024;
/// Octets of all attachments that are hashed.
const MOST: usize = 8 << 20;

/// The hashes of what is attached to a message, under `key`: each once, as far as the message is in memory.
pub fn hashes(message: &Message, key: u64) -> Vec<u64> {
    let mut collector = Collector { key, hashes: Vec::new(), left: MOST };
    // A panic ends the reading and keeps what was read.
    let _ = catch_unwind(AssertUnwindSafe(|| parts::read(message, &mut collector)));
    collector.hashes
}

struct Collector {
    key: u64,
    hashes: Vec<u64>,
    left: usize,
}

impl Collector {
    fn add(&mut self, octets: &[u8], least: usize) {
        self.left = self.left.saturating_sub(octets.len());
        if octets.len() < least || self.hashes.len() == MAX_ATTACHMENTS {
            return;
        }
        let hash = xxh3_64_with_seed(octets, self.key);
        if !self.hashes.contains(&hash) {
            self.hashes.push(hash);
        }
    }
}

impl Reader for Collector {
    fn is_full(&self) -> bool {
        self.left == 0 || self.hashes.len() == MAX_ATTACHMENTS
    }

    fn cut(&mut self) {}

    fn text(&mut self, text: &str, _form: Form, place: Place) {
        if place == Place::Attached {
            self.add(text.as_bytes(), LEAST);
        }
    }

    fn room_for_files(&self) -> usize {
        self.left
    }

    fn file(&mut self, octets: &[u8], is_picture: bool) {
        self.add(octets, if is_picture { LEAST_OF_A_PICTURE } else { LEAST });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(parts: &[(&str, &str, usize)]) -> Message {
        let mut octets = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n".to_vec();
        for (kind, fill, length) in parts {
            octets.extend(format!("--b\r\nContent-Type: {kind}\r\n\r\n{}\r\n", fill.repeat(*length)).into_bytes());
        }
        octets.extend(b"--b--\r\n");
        let len = octets.len() as u64;
        Message::new(octets, len)
    }

    #[test]
    fn what_is_large_enough_is_hashed_once() {
        const HTML: &str = "text/html\r\nContent-Disposition: attachment";
        for (parts, expected) in [
            (&[][..], 0),
            (&[("application/pdf", "a", 2000)], 1),
            (&[("application/pdf", "a", 900)], 0),
            (&[("image/png", "a", 2000)], 0),
            (&[("image/png", "a", 40_000)], 1),
            (&[(HTML, "a", 2000)], 1),
            (&[("text/html", "a", 2000)], 0),
            (&[("application/pdf", "a", 2000), ("application/zip", "a", 2000), ("application/pdf", "b", 2000)], 2),
        ] {
            assert_eq!(hashes(&message(parts), 7).len(), expected, "{parts:?}");
        }
    }

    #[test]
    fn an_encoding_is_undone_and_the_key_counts() {
        let base64 = "application/pdf\r\nContent-Transfer-Encoding: base64";
        let first = hashes(&message(&[(base64, "YWFh", 1000)]), 7);
        assert_eq!(hashes(&message(&[(base64, "YWFh\r\n", 1000)]), 7), first);
        assert_ne!(hashes(&message(&[(base64, "YWFi", 1000)]), 7), first);
        assert_ne!(hashes(&message(&[(base64, "YWFh", 1000)]), 8), first);
    }
}
