//! What follows DATA: any split gives the same message; a message that passed has one reading only.

#![no_main]

use gatepost::smtp::data::{Framing, encode};
use gatepost::smtp::{DataDecoder, DataError, DataStep, NewlinePolicy, NewlineStats};
use libfuzzer_sys::fuzz_target;

/// The message, and how many octets it took if it ended.
type Told = (Result<(Vec<u8>, Option<usize>), DataError>, NewlineStats);

fn decode(octets: &[u8], policy: NewlinePolicy, step: usize) -> Told {
    let mut decoder = DataDecoder::new(Framing::Dot, policy);
    let (mut out, mut taken) = (Vec::new(), 0);
    for piece in octets.chunks(step) {
        match decoder.decode(piece, &mut out) {
            Ok(DataStep::More) => taken += piece.len(),
            Ok(DataStep::End { consumed }) => return (Ok((out, Some(taken + consumed))), decoder.stats()),
            Err(error) => return (Err(error), decoder.stats()),
        }
    }
    (Ok((out, None)), decoder.stats())
}

fuzz_target!(|octets: &[u8]| {
    for policy in [NewlinePolicy::Normalize, NewlinePolicy::Reject, NewlinePolicy::Keep] {
        let told = decode(octets, policy, octets.len().max(1));
        for step in [1, 2, 3, 7] {
            assert_eq!(decode(octets, policy, step), told);
        }
        let (Ok((message, Some(taken))), stats) = told else { continue };
        // The end is CRLF.CRLF, or .CRLF where the message is empty.
        assert!(octets[..taken].ends_with(b"\r\n.\r\n") || &octets[..taken] == b".\r\n");
        if policy == NewlinePolicy::Keep {
            continue;
        }
        for (at, &octet) in message.iter().enumerate() {
            assert!(octet != b'\r' || message.get(at + 1) == Some(&b'\n'));
            assert!(octet != b'\n' || at > 0 && message[at - 1] == b'\r');
        }
        assert!(policy == NewlinePolicy::Normalize || stats == NewlineStats::default());
        // The backend finds the same end, however it reads line ends.
        let mut wire = Vec::new();
        encode(&message, &mut wire);
        let lines: Vec<&[u8]> = wire.split(|&octet| octet == b'\n').collect();
        let end = lines.iter().position(|line| matches!(*line, b"." | b".\r"));
        assert_eq!(end, Some(lines.len() - 2));
        assert_eq!(decode(&wire, policy, wire.len()).0, Ok((message, Some(wire.len()))));
    }
});
