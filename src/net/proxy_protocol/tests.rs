use std::time::Duration;

use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::*;

/// A version 2 header with these command, family and body.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("short").to_be_bytes();
    [V2_START, &[command, family], &length, body].concat()
}

fn client(client: &str, local: &str) -> Header {
    Header::Client { client: client.parse().expect(client), local: local.parse().expect(local) }
}

const V4_BODY: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 2, 0xC3, 0x50, 0, 25];

fn v6_body(source: &str) -> Vec<u8> {
    let source: std::net::Ipv6Addr = source.parse().expect(source);
    let local: std::net::Ipv6Addr = "2001:db8::25".parse().expect("address");
    [&source.octets()[..], &local.octets(), &50_000_u16.to_be_bytes(), &25_u16.to_be_bytes()].concat()
}

fn good_headers() -> Vec<(Vec<u8>, Header)> {
    vec![
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 50000 25\r\n".to_vec(), client("192.0.2.1:50000", "198.51.100.2:25")),
        (
            b"PROXY TCP6 2001:db8::1 2001:db8::25 50000 25\r\n".to_vec(),
            client("[2001:db8::1]:50000", "[2001:db8::25]:25"),
        ),
        (
            b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 50000 25\r\n".to_vec(),
            client("192.0.2.1:50000", "198.51.100.2:25"),
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), Header::Local),
        (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(), Header::Local),
        (v2(0x21, 0x11, V4_BODY), client("192.0.2.1:50000", "198.51.100.2:25")),
        (v2(0x21, 0x11, &[V4_BODY, &[4, 0, 2, 0, 0]].concat()), client("192.0.2.1:50000", "198.51.100.2:25")),
        (v2(0x21, 0x21, &v6_body("2001:db8::1")), client("[2001:db8::1]:50000", "[2001:db8::25]:25")),
        (v2(0x21, 0x21, &v6_body("::ffff:192.0.2.1")), client("192.0.2.1:50000", "[2001:db8::25]:25")),
        (v2(0x20, 0x00, b""), Header::Local),
        (v2(0x20, 0x11, b""), Header::Local),
        (v2(0x20, 0x11, V4_BODY), Header::Local),
        (v2(0x21, 0x00, b"whatever"), Header::Local),
        (v2(0x21, 0x31, &[0; 216]), Header::Local),
    ]
}

#[test]
fn a_header_is_found_at_its_last_byte_and_not_before() {
    for (bytes, header) in good_headers() {
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]), Ok(Step::NeedMore), "{:?} cut at {cut}", bytes.escape_ascii().to_string());
        }
        let whole = Ok(Step::Ready { header, consumed: bytes.len() });
        assert_eq!(parse(&bytes), whole);
        let followed = [&bytes[..], b"EHLO client.example\r\n"].concat();
        assert_eq!(parse(&followed), whole, "what follows is the client's");
    }
}

#[test]
fn what_is_no_header_is_refused() {
    let endless = [V1_START, &[b'A'; 200]].concat();
    let late_end = [V1_START, b"UNKNOWN ", &[b'x'; 100], b"\r\n"].concat();
    let long = [V2_START, &[0x21, 0x11, 0x80, 0x00]].concat();
    for (bytes, error) in [
        (&b"EHLO client.example\r\n"[..], HeaderError::Missing),
        (b"PROXYTCP4 ", HeaderError::Missing),
        (b"proxy TCP4 ", HeaderError::Missing),
        (b"\r\nQUIT\r\n", HeaderError::Missing),
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 50000\r\n", HeaderError::Malformed),
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 50000 25 x\r\n", HeaderError::Malformed),
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 50000 65536\r\n", HeaderError::Malformed),
        (b"PROXY TCP4 2001:db8::1 2001:db8::2 50000 25\r\n", HeaderError::Malformed),
        (b"PROXY TCP6 192.0.2.1 198.51.100.2 50000 25\r\n", HeaderError::Malformed),
        (b"PROXY UDP4 192.0.2.1 198.51.100.2 50000 25\r\n", HeaderError::Malformed),
        (b"PROXY UNKNOWNS\r\n", HeaderError::Malformed),
        (b"PROXY \r\n", HeaderError::Malformed),
        (b"PROXY TCP4 192.0.2.1\r\n198.51.100.2 50000 25\r\n", HeaderError::Malformed),
        (&endless, HeaderError::TooLong),
        (&late_end, HeaderError::TooLong),
        (&long, HeaderError::TooLong),
        (&v2(0x22, 0x11, V4_BODY), HeaderError::Malformed),
        (&v2(0x11, 0x11, V4_BODY), HeaderError::Malformed),
        (&v2(0x21, 0x12, V4_BODY), HeaderError::Malformed),
        (&v2(0x21, 0x11, b"short"), HeaderError::Malformed),
        (&v2(0x21, 0x11, b""), HeaderError::Malformed),
        (&v2(0x21, 0x21, V4_BODY), HeaderError::Malformed),
        (&v2(0x21, 0x41, V4_BODY), HeaderError::Malformed),
    ] {
        assert_eq!(parse(bytes), Err(error), "{}", bytes.escape_ascii());
    }
}

/// Bytes that get past the beginning often enough.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let starts = prop_oneof![
        Just(Vec::new()),
        Just(b"PROXY TCP4 ".to_vec()),
        Just(b"PROXY UNKNOWN".to_vec()),
        Just([V2_START, &[0x21, 0x11, 0]].concat()),
        Just([V2_START, &[0x20]].concat()),
        (0..good_headers().len()).prop_map(|index| good_headers().swap_remove(index).0),
    ];
    let tail =
        prop_oneof![proptest::collection::vec(any::<u8>(), 0..300), "[0-9. \r\n]{0,140}".prop_map(String::into_bytes)];
    (starts, tail).prop_map(|(start, tail)| [start, tail].concat())
}

proptest! {
    #[test]
    fn how_the_bytes_are_cut_does_not_matter(bytes in bytes()) {
        let whole = parse(&bytes);
        for cut in 0..bytes.len() {
            let part = parse(&bytes[..cut]);
            prop_assert!(part == Ok(Step::NeedMore) || part == whole, "{part:?} at {cut}, {whole:?} at the end");
        }
    }

    #[test]
    fn no_more_is_consumed_than_came_and_no_address_is_mapped(bytes in bytes()) {
        if let Ok(Step::Ready { header, consumed }) = parse(&bytes) {
            prop_assert!(consumed <= bytes.len() && consumed <= V2_LONGEST);
            if let Header::Client { client, local } = header {
                prop_assert_eq!(canonical(client.ip()), client.ip());
                prop_assert_eq!(canonical(local.ip()), local.ip());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_behind_the_header_are_handed_on() {
    for step in [1, 7, 1000] {
        let (mut near, mut far) = tokio::io::duplex(4096);
        let sent = b"PROXY TCP4 192.0.2.1 198.51.100.2 50000 25\r\nEHLO x\r\n";
        let writer = async {
            for piece in sent.chunks(step) {
                far.write_all(piece).await.expect("open");
                tokio::task::yield_now().await;
            }
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        let (read, ()) = tokio::join!(read_header(&mut near, deadline), writer);
        let (header, mut early) = read.expect("a header");
        assert_eq!(header, client("192.0.2.1:50000", "198.51.100.2:25"));
        drop(far);
        near.read_to_end(&mut early).await.expect("open");
        assert_eq!(early, b"EHLO x\r\n", "in pieces of {step}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_that_does_not_come_ends_the_connection() {
    let (mut near, mut far) = tokio::io::duplex(64);
    far.write_all(b"PROXY TCP4 ").await.expect("open");
    let (began, patience) = (Instant::now(), Duration::from_secs(5));
    let late = read_header(&mut near, began + patience).await;
    assert!(matches!(late, Err(ReadError::TimedOut)) && began.elapsed() == patience);
    drop(far);
    let closed = read_header(&mut near, Instant::now() + patience).await;
    assert!(matches!(closed, Err(ReadError::Closed)));
}
