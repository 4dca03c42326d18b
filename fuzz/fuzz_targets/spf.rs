//! An SPF record, or a text of macros: what was read holds printable ASCII only, is read the same with
//! more spaces between its terms, and expands to a name or a line of bounded length.

#![no_main]

use std::time::UNIX_EPOCH;

use gatepost::checks::auth::spf::macros::{MacroString, Values};
use gatepost::checks::auth::spf::record::{Mechanism, Record, Selected, select};
use libfuzzer_sys::fuzz_target;

fn expand(text: &MacroString) {
    for addr in ["192.0.2.3", "2001:db8::cb01"] {
        let values = Values {
            addr: addr.parse().expect("address"),
            local_part: "strong-bad",
            sender_domain: "email.example.com",
            domain: "email.example.com",
            helo: "[192.0.2.3]",
            client_name: "unknown",
            receiver: "mx.example.org",
            at: UNIX_EPOCH,
        };
        if let Ok(name) = text.expand_name(&values) {
            assert!(name.len() <= 253 || !name.contains('.'));
        }
        if let Ok(text) = text.expand_text(&values) {
            assert!(text.len() <= 400 && text.bytes().all(|octet| matches!(octet, b' '..=b'~')));
        }
    }
}

fuzz_target!(|octets: &[u8]| {
    // As the resolver hands texts on.
    let text = String::from_utf8_lossy(octets);
    for read in [MacroString::domain_spec, MacroString::modifier, MacroString::explanation] {
        if let Ok(read) = read(&text) {
            expand(&read);
        }
    }
    let texts = [text.as_ref().into()];
    if let Selected::One(text) = select(&texts) {
        let Ok(record) = Record::parse(text) else { return };
        assert_eq!(Record::parse(&format!("{}  ", text.replace(' ', "  "))).as_ref(), Ok(&record));
        for directive in &record.directives {
            assert!(directive.text.bytes().all(|octet| octet.is_ascii_graphic()));
            match &directive.mechanism {
                Mechanism::Include(target) | Mechanism::Exists(target) => expand(target),
                Mechanism::A(target, _) | Mechanism::Mx(target, _) | Mechanism::Ptr(target) => {
                    target.iter().for_each(expand);
                }
                Mechanism::All | Mechanism::Ip4(_) | Mechanism::Ip6(_) => {}
            }
        }
        record.redirect.iter().chain(&record.explanation).for_each(expand);
    }
});
