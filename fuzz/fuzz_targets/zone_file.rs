//! A file of a local zone: every line is taken or counted as broken, whatever is in it, and whatever was taken
//! can be asked.

#![no_main]

use gatepost::dns::question::{Kind, Question};
use gatepost::dns::zones::{Format, Reader};
use libfuzzer_sys::fuzz_target;

const ZONE: &str = "bl.example";

fuzz_target!(|octets: &[u8]| {
    let Some((choice, mut text)) = octets.split_first() else { return };
    let format = Format::ALL[usize::from(*choice) % Format::ALL.len()];
    // Names in the file are what is asked afterwards.
    let lossy = String::from_utf8_lossy(text).into_owned();
    let mut reader = Reader::new(format, ZONE, 1000);
    reader.read("fuzz", &mut text).expect("memory has no errors");
    let full = reader.is_full();
    let (contents, report) = reader.finish();
    assert!(report.broken <= report.lines);
    assert!(full || contents.entries() as u64 + report.broken <= report.lines);
    assert!(report.shown.len() as u64 == report.broken.min(20));
    assert!(report.shown.iter().all(|broken| broken.line >= 1 && broken.column >= 1 && !broken.reason.is_empty()));

    let fixed = ["2.0.0.127", "1.2.0.192", "255.255.255.255", "0.0.0.0", "test", "a.b.c.d.e.f"].map(str::to_owned);
    let words = lossy.split(|c: char| c.is_whitespace() || c == '!').take(50).map(str::to_owned);
    let nibbles = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2".to_owned();
    for word in words.chain(fixed).chain([nibbles]) {
        for name in [format!("{word}.{ZONE}"), word] {
            for kind in Kind::ALL {
                let Ok(question) = Question::new(kind, &name) else { continue };
                let response = contents.ask(&question, ZONE);
                assert!(response.exists || response.records.is_empty());
            }
        }
    }
});
