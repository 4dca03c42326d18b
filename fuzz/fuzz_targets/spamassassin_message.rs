//! A message before imported rules, as it is and as a page: whatever is in it, the rules are run to their end, and say
//! the same each time.

#![no_main]

use std::sync::LazyLock;

use gatepost::pattern::Budget;
use gatepost::spamassassin::{Envelope, Hit, RuleSet};
use libfuzzer_sys::fuzz_target;

static RULES: LazyLock<RuleSet> = LazyLock::new(|| {
    let rules = include_bytes!("../spamassassin_message.cf").to_vec();
    let mut open = |name: &str| Err(format!("{name} is not there"));
    let set = RuleSet::read(&[("fuzz.cf".to_owned(), rules)], &mut open);
    let report = set.report();
    assert!(report.unsupported.is_empty() && report.problems.is_empty(), "{report:#?}");
    set
});

fn hits(message: &[u8]) -> Vec<Hit<'static>> {
    let envelope = Envelope { from: Some("a@b.test".to_owned()), ..Envelope::default() };
    RULES.hits(message, &envelope, 1_033_639_200, &mut Budget::of_steps(200_000))
}

fuzz_target!(|octets: &[u8]| {
    let found = hits(octets);
    assert!(found.iter().all(|hit| hit.count > 0));
    assert_eq!(hits(octets), found);
    let head = b"Content-Type: text/html; charset=utf-8\n\n".as_slice();
    hits(&[head, octets].concat());
});
