//! The names in an archive: whatever the octets say, they are listed within bounds, each once, without ends that are
//! dropped where files are unpacked; the same however the file is encoded in the message. The first octet says as which
//! kind of file the others begin, so that the readers of all kinds are reached.

#![no_main]

use std::collections::HashSet;

use gatepost::message::model::Attachment;
use gatepost::message::{Message, Model};
use libfuzzer_sys::fuzz_target;

/// What files begin with that have names in them, and nothing at all.
const BEGINNINGS: [&[u8]; 8] = [
    b"",
    b"PK\x03\x04",
    b"Rar!\x1a\x07\0",
    b"Rar!\x1a\x07\x01\0",
    b"\x1f\x8b\x08\x08",
    b"MSCF",
    b"7z\xbc\xaf\x27\x1c",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
];

fuzz_target!(|octets: &[u8]| {
    let Some((kind, octets)) = octets.split_first() else { return };
    let beginning = BEGINNINGS[usize::from(*kind) % BEGINNINGS.len()];
    let file = [beginning, octets].concat();
    let binary = attached("binary", &file);
    let encoded = attached("base64", base64(&file).as_bytes());
    assert_eq!(binary.as_ref().map(said), encoded.as_ref().map(said));
    for file in &binary {
        assert!(file.entries.len() <= 600 && file.entries.iter().all(|name| name.len() <= 3 * 512));
        assert!(file.entries.iter().all(|name| !name.is_empty() && !name.ends_with(['.', ' ', '\0'])));
        assert_eq!(file.entries.iter().collect::<HashSet<_>>().len(), file.entries.len());
    }
});

/// What is told of a file.
fn said(file: &Attachment) -> (&str, bool, bool, usize, u64, Vec<String>) {
    let entries = file.entries.iter().map(ToString::to_string).collect();
    (file.detected, file.is_encrypted, file.has_macros, file.octets, file.hash, entries)
}

/// The file of a message that is nothing else.
fn attached(encoding: &str, body: &[u8]) -> Option<Attachment> {
    let head = format!(
        "Content-Type: application/octet-stream; name=a.bin\r\nContent-Disposition: attachment\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n"
    );
    let whole = [head.as_bytes(), body].concat();
    let len = whole.len() as u64;
    Model::of(&Message::new(whole, len)).attachments.into_iter().next()
}

fn base64(octets: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let bits = three.iter().chain([&0, &0]).take(3).fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet));
        let letter = |at: usize| if at <= three.len() { LETTERS[(bits >> (18 - 6 * at) & 63) as usize] } else { b'=' };
        [0, 1, 2, 3].map(|at| char::from(letter(at)))
    };
    let letters: Vec<char> = octets.chunks(3).flat_map(group).collect();
    letters.chunks(76).map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join("\r\n")
}
