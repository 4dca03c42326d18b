//! A message: its text is read within bounds and without a panic (this ends at those that the reading catches,
//! too); its digest is the same each time, like itself, survives storing, and is found again.

#![no_main]

use std::time::Duration;

use gatepost::message::text::{MAX_TAGS, MAX_TEXT};
use gatepost::message::{Links, Message, Text};
use gatepost::similarity::{DEFAULT_KEY, Digest, Index, Limits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let message = Message::new(octets.to_vec(), octets.len() as u64);
    let text = Text::of(&message);
    assert!(text.shown.len() <= 2 * MAX_TEXT && text.other.len() <= 2 * MAX_TEXT && text.tags.len() <= MAX_TAGS);
    let links = Links::default();
    let digest = Digest::of_message(&text, &links, DEFAULT_KEY);
    assert_eq!(digest, Digest::of_message(&text, &links, DEFAULT_KEY));
    assert_eq!(Digest::from_octets(*digest.octets()), Some(digest));
    let other = Digest::of_message(&Text { shown: text.other, ..Text::default() }, &links, DEFAULT_KEY);
    assert_eq!(digest.similarity(&other), other.similarity(&digest));
    let day = Duration::from_secs(24 * 60 * 60);
    let mut index = Index::new(Limits { entries: 4, window: day, step: day });
    index.record(&digest, 1, day);
    assert_eq!(index.nearest(&digest, day).map(|found| found.cluster), (!digest.is_empty()).then_some(1));
});
