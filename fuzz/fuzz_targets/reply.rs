//! A backend's octets: the answer does not depend on how they came, is bounded, and what was read goes out
//! as it came.

#![no_main]

use gatepost::smtp::reply::{MAX_REPLY, MAX_REPLY_LINES};
use gatepost::smtp::{Extensions, Step, parse_reply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let whole = parse_reply(octets);
    let grown = (0..=octets.len()).map(|end| parse_reply(&octets[..end])).find(|step| *step != Ok(Step::NeedMore));
    assert_eq!(grown.unwrap_or(Ok(Step::NeedMore)), whole);
    match whole {
        Ok(Step::Ready { value: reply, consumed }) => {
            assert!(consumed <= MAX_REPLY && reply.lines().count() <= MAX_REPLY_LINES);
            let mut wire = Vec::new();
            reply.write(true, &mut wire);
            assert_eq!(parse_reply(&wire), Ok(Step::Ready { value: reply.clone(), consumed: wire.len() }));
            // A last line of a code alone gains the space that it lacked; nothing else changes.
            let mut came = octets[..consumed].to_vec();
            if came.len() + 1 == wire.len() {
                came.insert(consumed - 2, b' ');
            }
            assert_eq!(came, wire);
            let log = reply.to_log();
            assert!(log.chars().count() <= 512 && !log.contains(char::is_control));
            let offered = Extensions::from_reply(&reply);
            assert_eq!(offered.intersection(&offered).iter().count(), offered.iter().count());
            let _ = reply.enhanced_in_text();
        }
        Ok(Step::NeedMore) => assert!(octets.len() < MAX_REPLY),
        Err(_) => {}
    }
});
