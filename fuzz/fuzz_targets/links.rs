//! A message: whatever it is, what it points to is found without a panic (this ends at
//! those that the reading catches, too), normal, each once, and bounded.

#![no_main]

use std::collections::HashSet;

use gatepost::message::links::{MAX_ADDRESSES, MAX_HOSTS};
use gatepost::message::{Links, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let links = Links::of(&Message::new(octets.to_vec(), octets.len() as u64));
    assert!(links.hosts.len() <= MAX_HOSTS && links.addresses.len() <= MAX_ADDRESSES);
    let fits = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"-_.:".contains(&octet);
    for host in &links.hosts {
        // Two characters: the address `::`.
        assert!((2..=253).contains(&host.len()) && host.bytes().all(fits) && !host.ends_with('.'), "{host}");
    }
    for address in &links.addresses {
        let (local, domain) = address.rsplit_once('@').expect("an address");
        assert!(!local.is_empty() && domain.contains('.') && domain.bytes().all(fits), "{address}");
    }
    let distinct: HashSet<_> = links.hosts.iter().chain(&links.addresses).collect();
    assert_eq!(distinct.len(), links.hosts.len() + links.addresses.len());
});
