//! Chunks: any split gives the same message; dots mean nothing; what passed can be sent on with DATA.

#![no_main]

use gatepost::smtp::data::{Framing, encode};
use gatepost::smtp::{DataDecoder, DataError, DataStep, NewlinePolicy, NewlineStats};
use libfuzzer_sys::fuzz_target;

fn decode(octets: &[u8], policy: NewlinePolicy, step: usize) -> (Result<Vec<u8>, DataError>, NewlineStats) {
    let mut decoder = DataDecoder::new(Framing::Counted, policy);
    let mut out = Vec::new();
    for chunk in octets.chunks(step) {
        match decoder.decode(chunk, &mut out) {
            Ok(told) => assert_eq!(told, DataStep::More),
            Err(error) => return (Err(error), decoder.stats()),
        }
    }
    let finished = decoder.finish(&mut out).map(|()| out);
    (finished, decoder.stats())
}

fuzz_target!(|octets: &[u8]| {
    for policy in [NewlinePolicy::Normalize, NewlinePolicy::Reject, NewlinePolicy::Keep] {
        let told = decode(octets, policy, octets.len().max(1));
        for step in [1, 2, 3, 7] {
            assert_eq!(decode(octets, policy, step), told);
        }
        let (Ok(message), stats) = told else { continue };
        if policy == NewlinePolicy::Keep || stats == NewlineStats::default() {
            assert_eq!(message, octets);
        }
        if policy == NewlinePolicy::Keep {
            continue;
        }
        let mut wire = Vec::new();
        encode(&message, &mut wire);
        let (mut decoder, mut read) = (DataDecoder::new(Framing::Dot, NewlinePolicy::Reject), Vec::new());
        assert_eq!(decoder.decode(&wire, &mut read), Ok(DataStep::End { consumed: wire.len() }));
        assert!(read.starts_with(&message) && matches!(&read[message.len()..], b"" | b"\r\n"));
    }
});
