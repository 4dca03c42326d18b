//! A DMARC policy record: unknown tags change nothing, what reports are sent to is a mail address, and a
//! record that asks for something says so.

#![no_main]

use gatepost::checks::auth::dmarc::Record;
use gatepost::facts::DmarcPolicy;
use gatepost::smtp::Mailbox;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let text = format!("v=DMARC1;{}", String::from_utf8_lossy(octets));
    let _ = Record::parse(&String::from_utf8_lossy(octets));
    let record = Record::parse(&text).expect("it begins as one");
    assert_eq!(Record::parse(&format!("{text};unknown=1")).as_ref(), Some(&record));
    for (address, _) in &record.rua {
        assert!(Mailbox::parse(address).is_ok());
    }
    if let Some(policies) = record.policies {
        let lower = text.to_ascii_lowercase();
        for policy in [policies.domain, policies.subdomains, policies.nonexistent] {
            assert!(policy == DmarcPolicy::None || lower.contains(policy.as_str()));
        }
    }
});
