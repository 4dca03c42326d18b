//! A balancer's octets: what is read does not depend on how they came, never reaches beyond the header,
//! and a header that we write ourselves is read back.

#![no_main]

use std::net::SocketAddr;

use gatepost::backend::{Identity, machine};
use gatepost::net::proxy_protocol::{Header, Step, parse};
use libfuzzer_sys::fuzz_target;

/// No header that we take is longer.
const LONGEST: usize = 4096;

fuzz_target!(|input: ((u32, u16, u128, u16), &[u8])| {
    let ((v4, v4_port, v6, v6_port), octets) = input;
    let whole = parse(octets);
    let grown = (0..=octets.len()).map(|end| parse(&octets[..end])).find(|step| *step != Ok(Step::NeedMore));
    assert_eq!(grown.unwrap_or(Ok(Step::NeedMore)), whole, "how the octets are cut must not matter");
    match whole {
        Ok(Step::Ready { header, consumed }) => {
            assert!(consumed <= octets.len() && consumed <= LONGEST);
            if let Header::Client { client, local } = header {
                assert_eq!(client.ip(), client.ip().to_canonical());
                assert_eq!(local.ip(), local.ip().to_canonical());
            }
        }
        Ok(Step::NeedMore) => assert!(octets.len() < LONGEST),
        Err(_) => {}
    }
    for addr in [SocketAddr::from((v4.to_be_bytes(), v4_port)), SocketAddr::from((v6.to_be_bytes(), v6_port))] {
        let identity = Identity {
            addr,
            local: addr,
            name: None,
            helo: String::new(),
            extended: true,
            ident: None,
            forwarded: None,
        };
        let mut written = machine::proxy_v2(Some(&identity));
        let length = written.len();
        written.extend_from_slice(octets);
        let canonical = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        let header = Header::Client { client: canonical, local: canonical };
        assert_eq!(parse(&written), Ok(Step::Ready { header, consumed: length }));
    }
});
