//! Files of SpamAssassin rules: whatever is in one, it is read to its end, and what runs can be run.

#![no_main]

use gatepost::pattern::Budget;
use gatepost::spamassassin::{Envelope, RuleSet};
use libfuzzer_sys::fuzz_target;

const MESSAGE: &[u8] = b"From: A <a@b.test>\nSubject: =?utf-8?q?free_m=C3=B6ney?=\nContent-Type: text/html\n\n\
    <a href=\"http://x.test/\">https://y.test</a> aaaa <b>free</b> money www.z.test\n";

fuzz_target!(|octets: &[u8]| {
    // The first line ends the rules: what follows is a message.
    let end = octets.windows(5).position(|five| five == b"\n---\n");
    let (rules, message) = end.map_or((octets, MESSAGE), |at| (&octets[..at], &octets[at + 5..]));
    let mut open = |name: &str| Err(format!("{name} is not there"));
    let set = RuleSet::read(&[("fuzz.cf".to_owned(), rules.to_vec())], &mut open);
    let report = set.report();
    assert!(report.lost <= report.mass + 1e-6);
    assert!(report.kinds.values().all(|(runs, all)| runs <= all));
    let mut budget = Budget::of_steps(200_000);
    let hits = set.hits(message, &Envelope::default(), 0, &mut budget);
    assert!(hits.iter().all(|hit| hit.count > 0));
});
