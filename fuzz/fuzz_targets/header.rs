//! A message: fields lie side by side up to the border of the header section, and removing forged fields
//! leaves a message without forged fields and with the same body.

#![no_main]

use gatepost::message::fields::{count_received, forged_ranges};
use gatepost::message::header::{Fields, body_offset};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let border = body_offset(octets);
    let (section, body) = octets.split_at(border);
    let mut end = 0;
    for field in Fields::new(octets) {
        assert_eq!(field.start, end);
        assert!(!field.name.is_empty() && field.name.iter().all(u8::is_ascii_graphic));
        end = field.end;
    }
    assert!(matches!(&section[end..], b"" | b"\n" | b"\r\n"));
    assert_eq!(Fields::new(section).count(), Fields::new(octets).count());
    assert!(count_received(section, "mx.example.org").total <= Fields::new(section).count());

    let forged = forged_ranges(section, "mx.example.org");
    let (mut kept, mut at) = (Vec::new(), 0);
    for range in forged {
        assert!(range.start >= at && range.end > range.start && range.end <= end);
        kept.extend_from_slice(&section[at..range.start]);
        at = range.end;
    }
    kept.extend_from_slice(&section[at..]);
    let border = kept.len();
    kept.extend_from_slice(body);
    assert_eq!(body_offset(&kept), border);
    assert!(forged_ranges(&kept, "mx.example.org").is_empty());
});
