//! An administrator's rule file, and a message: either rules that judge the message whatever is in it, or problems
//! that each say where and why.

#![no_main]

use gatepost::checks::rules::{Phase, Sample};
use gatepost::config::Content;
use gatepost::pattern::Budget;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (text, message) = input.split_once('\0').unwrap_or((input, ""));
    match Content::of_text(text) {
        Ok((content, _)) => {
            let Ok(sample) = Sample::parse(message) else { return };
            let mut budget = Budget::default();
            for phase in [Phase::Envelope, Phase::Message] {
                for finding in content.set.judge(phase, &sample.view(), &mut budget) {
                    assert!(content.symbols.contains(&finding.symbol));
                }
            }
            assert!(content.test().iter().all(|tested| tested.failures.is_empty()));
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            assert!(!problems.render(false).is_empty());
        }
    }
});
