//! What is sent after DATA: blocks of any size give the same octets, and a reader that knows nothing but
//! RFC 5321 4.5.2 gets the message back.

#![no_main]

use gatepost::smtp::data::{DataEncoder, Framing, encode};
use gatepost::smtp::{DataDecoder, DataStep, NewlinePolicy};
use libfuzzer_sys::fuzz_target;

/// The plainest reader there is: lines end with CRLF, a line `.` ends the message, a leading dot goes.
fn read(wire: &[u8]) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    let mut rest = wire;
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let (line, tail) = rest.split_at(end + 2);
        if line == b".\r\n" {
            return tail.is_empty().then_some(message);
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        rest = tail;
    }
}

fuzz_target!(|message: &[u8]| {
    let mut wire = Vec::new();
    encode(message, &mut wire);
    for step in [1, 2, 5] {
        let (mut encoder, mut blocks) = (DataEncoder::new(), Vec::new());
        message.chunks(step).for_each(|block| encoder.encode(block, &mut blocks));
        encoder.finish(&mut blocks);
        assert_eq!(blocks, wire);
    }
    let mut closed = message.to_vec();
    if !message.is_empty() && !message.ends_with(b"\r\n") {
        closed.extend_from_slice(b"\r\n");
    }
    assert_eq!(read(&wire).as_ref(), Some(&closed));
    let mut decoded = Vec::new();
    match DataDecoder::new(Framing::Dot, NewlinePolicy::Keep).decode(&wire, &mut decoded) {
        Ok(step) => {
            assert_eq!(step, DataStep::End { consumed: wire.len() });
            assert_eq!(decoded, closed);
        }
        // Refused for bare line ends or NULs: those are in the message, not made by us.
        Err(_) => {
            assert!(closed.contains(&0) || String::from_utf8_lossy(&closed).replace("\r\n", "").contains(['\r', '\n']))
        }
    }
});
