//! The value of a From field. Whoever is read where there is one reading only is among those whom anybody
//! could see; one author has a domain that DNS can hold, and another one beside him is never lost.

#![no_main]

use gatepost::facts::Author;
use gatepost::message::address::{Address, claims, domain_name, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &[u8]| {
    if let (Ok(list), Some(claims)) = (parse(value), claims(value)) {
        for address in list {
            let mailboxes = match address {
                Address::Mailbox(mailbox) => mailbox.into_iter().collect(),
                Address::Group(members) => members,
            };
            for mailbox in mailboxes {
                // What DNS cannot hold is nobody's domain: such a field is unparsable as a whole.
                let seen = claims.iter().any(|claim| claim.domain == mailbox.domain);
                assert!(seen || domain_name(&mailbox.domain).is_none());
            }
        }
    }
    let author = Author::of_field(value);
    for domain in author.domains() {
        assert_eq!(domain_name(domain).as_deref(), Some(&**domain));
    }
    if let Author::SeveralDomains(domains) = &author {
        assert!(domains.len() > 1);
    }
    let beside = Author::of_field(&[value, b", x@beside.test"].concat());
    if let Author::One { domain, .. } = &beside {
        assert!(domain.ends_with("beside.test"));
    }
    assert!(!matches!(beside, Author::NoAddress));
});
