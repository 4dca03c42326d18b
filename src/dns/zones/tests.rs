//! Zones as their administrators see them: what is in the file, what is asked, what is answered.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;
use crate::dns::question::{Kind, Records};
use crate::units::reversed_labels;

const ZONE: &str = "bl.example";

fn read_text(format: Format, text: &str) -> (Contents, Report) {
    let mut reader = Reader::new(format, ZONE, 1000);
    reader.read("list", &mut text.as_bytes()).expect("memory");
    reader.finish()
}

fn contents(format: Format, text: &str) -> Contents {
    let (contents, report) = read_text(format, text);
    assert_eq!(report.shown, [], "{text}");
    contents
}

/// The answer in words: records with commas between them, `-` for a name without records, nothing for none.
fn answer(contents: &Contents, kind: Kind, name: &str) -> Option<String> {
    let response = contents.ask(&Question::new(kind, name).expect(name), ZONE);
    let words = |names: &[Arc<str>]| names.join(",");
    let records = match &response.records {
        Records::A(addrs) => addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        Records::Aaaa(addrs) => addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        Records::Ptr(names) | Records::Txt(names) | Records::Ns(names) => words(names),
        Records::Mx(hosts) => {
            hosts.iter().map(|(number, host)| format!("{number} {host}")).collect::<Vec<_>>().join(",")
        }
    };
    response.exists.then(|| if response.records.is_empty() { "-".to_owned() } else { records })
}

fn listed(contents: &Contents, addr: &str) -> Option<String> {
    let name = format!("{}{ZONE}", reversed_labels(addr.parse().expect(addr)));
    answer(contents, Kind::A, &name)
}

fn text_of(contents: &Contents, addr: &str) -> Option<String> {
    let name = format!("{}{ZONE}", reversed_labels(addr.parse().expect(addr)));
    answer(contents, Kind::Txt, &name)
}

#[test]
fn ip4set_lists_addresses_networks_and_ranges_with_their_values() {
    let list = contents(
        Format::Ip4Set,
        "$SOA 3600 ns.example hostmaster.example 0 1h 10m 5d 1h\n\
         $NS 1d ns.example\n$TTL 10m\n#$TIMESTAMP 0\n; comment\n# comment\n\n\
         127.0.0.2\n\
         :127.0.0.3:listed, see https://bl.example/?$\n\
         192.0.2.1\r\n\
         \t192.0.2.2   :5:relay $\n\
         192.0.2.3   open proxy\n\
         192.0.2.4   :6:\n\
         192.0.2.5   # by hand\n\
         192.0.2.6:7\n\
         198.51.100.0/25\n\
         !198.51.100.7\n\
         203.0.113\n\
         10.0.0.250-10.0.1.3\n\
         192.0.2.1 :9:twice\n",
    );
    for (addr, code, text) in [
        ("127.0.0.2", Some("127.0.0.2"), Some("-")),
        ("127.0.0.1", None, None),
        ("192.0.2.1", Some("127.0.0.3,127.0.0.9"), Some("listed, see https://bl.example/?192.0.2.1,twice")),
        ("192.0.2.2", Some("127.0.0.5"), Some("relay 192.0.2.2")),
        ("192.0.2.3", Some("127.0.0.3"), Some("open proxy")),
        ("192.0.2.4", Some("127.0.0.6"), Some("-")),
        ("192.0.2.5", Some("127.0.0.3"), Some("listed, see https://bl.example/?192.0.2.5")),
        ("192.0.2.6", Some("127.0.0.7"), Some("-")),
        ("198.51.100.0", Some("127.0.0.3"), Some("listed, see https://bl.example/?198.51.100.0")),
        ("198.51.100.7", None, None),
        ("198.51.100.128", None, None),
        ("203.0.113.255", Some("127.0.0.3"), Some("listed, see https://bl.example/?203.0.113.255")),
        ("10.0.0.249", None, None),
        ("10.0.0.250", Some("127.0.0.3"), Some("listed, see https://bl.example/?10.0.0.250")),
        ("10.0.1.3", Some("127.0.0.3"), Some("listed, see https://bl.example/?10.0.1.3")),
        ("10.0.1.4", None, None),
        ("2001:db8::1", None, None),
    ] {
        assert_eq!(listed(&list, addr).as_deref(), code, "{addr}");
        assert_eq!(text_of(&list, addr).as_deref(), text, "{addr}");
    }
    assert_eq!(list.entries(), 12);
}

#[test]
fn in_an_ip4set_the_narrowest_whole_network_decides() {
    let list = contents(
        Format::Ip4Set,
        ":2:\n10/8 :8:\n10.1/16 :16:\n!10.1.2/24\n10.1.2.3 :32:\n!10.1.2.4\n10.1.2.4 :32:\n10.2.0.0/15 :15:\n",
    );
    for (addr, code) in [
        ("10.9.9.9", Some("127.0.0.8")),
        ("10.1.9.9", Some("127.0.0.16")),
        ("10.1.2.9", None),
        ("10.1.2.3", Some("127.0.0.32")),
        ("10.1.2.4", None),
        ("10.3.1.1", Some("127.0.0.15")),
    ] {
        assert_eq!(listed(&list, addr).as_deref(), code, "{addr}");
    }
}

#[test]
fn in_tries_the_longest_prefix_decides() {
    let list = contents(
        Format::Ip4Trie,
        "0/0 :1:\n10/8 :8:\n!10.1/16\n10.1.2.0/25 :25:\n10.1.2.0-10.1.2.63 :26:\n10.1.2.3 :32:\n10.1.2.3 :33:\n",
    );
    for (addr, code) in [
        ("9.0.0.1", Some("127.0.0.1")),
        ("10.0.0.1", Some("127.0.0.8")),
        ("10.1.0.1", None),
        ("10.1.2.127", Some("127.0.0.25")),
        ("10.1.2.63", Some("127.0.0.26")),
        ("10.1.2.3", Some("127.0.0.32")),
        ("255.255.255.255", Some("127.0.0.1")),
    ] {
        assert_eq!(listed(&list, addr).as_deref(), code, "{addr}");
    }
    let list = contents(
        Format::Ip6Trie,
        ":2:$ is bad\n2001:db8::/32\n!2001:db8:1::/48\n2001:db8:1:2 :64:\n2001:db8:1:2::1 :128:host $\n::/0 :1:\n",
    );
    for (addr, code, text) in [
        ("2001:db8::1", Some("127.0.0.2"), Some("2001:db8::1 is bad")),
        ("2001:db8:1::1", None, None),
        ("2001:db8:1:2::2", Some("127.0.0.64"), Some("-")),
        ("2001:db8:1:2::1", Some("127.0.0.128"), Some("host 2001:db8:1:2::1")),
        ("ffff::", Some("127.0.0.1"), Some("-")),
        ("192.0.2.1", None, None),
    ] {
        assert_eq!(listed(&list, addr).as_deref(), code, "{addr}");
        assert_eq!(text_of(&list, addr).as_deref(), text, "{addr}");
    }
}

#[test]
fn a_dnset_lists_names_and_what_is_below_them() {
    let list = contents(
        Format::DnSet,
        ":2:$ is listed\n\
         alone.example\n.all.example :3:\n*.below.example :4:\n!good.all.example\n!.better.all.example\n\
         bad.better.all.example :5:\n.com :6:\n*.twice.example :7:\n*.twice.example :8:\ntwice.example :9:\n",
    );
    for (name, code) in [
        ("alone.example", Some("127.0.0.2")),
        ("Alone.EXAMPLE", Some("127.0.0.2")),
        ("www.alone.example", None),
        ("notalone.example", None),
        ("all.example", Some("127.0.0.3")),
        ("a.b.c.all.example", Some("127.0.0.3")),
        ("below.example", None),
        ("a.below.example", Some("127.0.0.4")),
        ("a.b.below.example", Some("127.0.0.4")),
        ("good.all.example", None),
        ("www.good.all.example", Some("127.0.0.3")),
        ("better.all.example", None),
        ("www.better.all.example", None),
        ("bad.better.all.example", Some("127.0.0.5")),
        ("very.bad.better.all.example", None),
        ("anything.com", Some("127.0.0.6")),
        ("twice.example", Some("127.0.0.9")),
        ("a.twice.example", Some("127.0.0.7,127.0.0.8")),
        ("example", None),
    ] {
        assert_eq!(answer(&list, Kind::A, &format!("{name}.{ZONE}")).as_deref(), code, "{name}");
    }
    assert_eq!(answer(&list, Kind::Txt, "alone.example.bl.example").as_deref(), Some("alone.example is listed"));
}

#[test]
fn hosts_hold_records_and_addresses_with_names() {
    let hosts = contents(
        Format::Hosts,
        "# our own\n$TTL 60\n\
         192.0.2.1  mail.bl.example mx.bl.example mail  # the old one\n\
         192.0.2.1  other.bl.example\n\
         2001:db8::1 mail.bl.example\n\
         0.0.0.0 blocked.bl.example\n\
         @ MX 10 Mail.BL.example.\n@ TXT \"v=spf1 \" \"mx -all\"\nbl.example ns ns.elsewhere.example\n\
         a.b.c.bl.example A 192.0.2.9\nnull.bl.example MX 0 .\n",
    );
    for (kind, name, records) in [
        (Kind::A, "mail.bl.example", Some("192.0.2.1")),
        (Kind::Aaaa, "mail.bl.example", Some("2001:db8::1")),
        (Kind::A, "mx.bl.example", Some("192.0.2.1")),
        (Kind::A, "blocked.bl.example", Some("0.0.0.0")),
        (Kind::Mx, "bl.example", Some("10 mail.bl.example")),
        (Kind::Mx, "null.bl.example", Some("0 ")),
        (Kind::Txt, "bl.example", Some("v=spf1 mx -all")),
        (Kind::Ns, "bl.example", Some("ns.elsewhere.example")),
        (Kind::A, "bl.example", Some("-")),
        (Kind::A, "b.c.bl.example", Some("-")),
        (Kind::Txt, "c.bl.example", Some("-")),
        (Kind::A, "x.c.bl.example", None),
    ] {
        assert_eq!(answer(&hosts, kind, name).as_deref(), records, "{kind:?} {name}");
    }
    for (addr, name) in
        [("192.0.2.1", Some("mail.bl.example")), ("2001:db8::1", Some("mail.bl.example")), ("0.0.0.0", None)]
    {
        let found = hosts.names_of(&Question::names_of(addr.parse().expect(addr)));
        let names: Option<Vec<Arc<str>>> = found.map(|found| match found.records {
            Records::Ptr(names) => names.to_vec(),
            _ => Vec::new(),
        });
        assert_eq!(names, name.map(|name| vec![name.into()]), "{addr}");
    }
}

#[test]
fn what_is_in_no_file_is_not_there() {
    for (format, test_point) in [
        (Format::Ip4Set, "2.0.0.127"),
        (Format::Ip4Trie, "2.0.0.127"),
        (Format::DnSet, "test"),
        (Format::Hosts, "test"),
    ] {
        let empty = contents(format, "");
        assert_eq!(answer(&empty, Kind::A, &format!("{test_point}.{ZONE}")), None, "{format:?}");
        assert_eq!(answer(&empty, Kind::A, ZONE).as_deref(), Some("-"), "{format:?}: the zone itself exists");
    }
}

#[test]
fn broken_lines_are_counted_shown_and_left_out() {
    let text = "192.0.2.1\n192.0.2.256 :2:x\n  192.0.2.2 :x:\n$NOSUCH\n#$NOSUCH\n$MAXRANGE4 /24\n10/8\n$MAXRANGE4 /8\n\
                10/8\n$DATASET dnset @\n$DATASET ip4set:a @\n!\n192.0.2.9\n";
    let (list, report) = read_text(Format::Ip4Set, text);
    let shown: Vec<String> = report.shown.iter().map(ToString::to_string).collect();
    let expected = [
        "list:2:1: `192.0.2.256` is no IPv4 address or network",
        "list:3:14: here belongs a return code, such as 127.0.0.2 or 2",
        "list:4:2: $NOSUCH is no directive",
        "list:7:1: covers more addresses than $MAXRANGE4 allows",
        "list:9:1: covers more addresses than $MAXRANGE4 allows",
        "list:10:10: this zone is read as ip4set: split the file",
        "list:12:2: `` is no IPv4 address or network",
    ];
    assert_eq!(shown, expected);
    assert_eq!((report.lines, report.broken, list.entries()), (12, 7, 2));
    let (_, report) = read_text(Format::Ip4Set, &"x\n".repeat(100));
    assert_eq!((report.lines, report.broken, report.shown.len()), (100, 100, 20));
}

#[test]
fn defaults_end_with_their_file() {
    let mut reader = Reader::new(Format::Ip4Set, ZONE, 1000);
    for (name, text) in [("a", "\u{feff}:5:five\n192.0.2.1\n"), ("b", "192.0.2.2\n192.0.2.3 text")] {
        reader.read(name, &mut text.as_bytes()).expect("memory");
    }
    let (list, report) = reader.finish();
    assert_eq!(report.shown, []);
    for (addr, code) in [("192.0.2.1", "127.0.0.5"), ("192.0.2.2", "127.0.0.2"), ("192.0.2.3", "127.0.0.2")] {
        assert_eq!(listed(&list, addr).as_deref(), Some(code), "{addr}");
    }
}

#[test]
fn the_examples_for_administrators_are_read_without_a_broken_line() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/dns.md");
    let document = std::fs::read_to_string(path).expect("the document");
    for format in [Format::Ip4Set, Format::Ip6Trie, Format::DnSet, Format::Hosts] {
        let (_, section) = document.split_once(&format!("### `{}`\n", format.word())).expect(format.word());
        let (_, example) = section.split_once("```text\n").expect(format.word());
        let (example, _) = example.split_once("```").expect(format.word());
        let zone = if format == Format::Hosts { "lan.example.org" } else { ZONE };
        let mut reader = Reader::new(format, zone, 1000);
        reader.read("docs/dns.md", &mut example.as_bytes()).expect("memory");
        let (contents, report) = reader.finish();
        assert_eq!(report.shown, [], "{}", format.word());
        assert!(contents.entries() > 3, "{}", format.word());
    }
}

/// An entry as a model: first and last address, and its value or `None` for an exclusion.
type ModelEntry = (u32, u32, Option<u8>);

/// Addresses in a small part of the whole, so that entries meet; some at the very ends.
fn address() -> impl Strategy<Value = u32> {
    let edges = prop_oneof![Just(0), Just(u32::MAX), Just(255), Just(256), Just(u32::MAX - 255)];
    prop_oneof![4 => 0_u32..2048, 2 => (0_u32..4).prop_map(|block| block << 24), 1 => 0_u32..1 << 26, 1 => edges]
}

fn entries() -> impl Strategy<Value = Vec<ModelEntry>> {
    let value = proptest::option::weighted(0.8, 1_u8..5);
    let single = (address(), value.clone()).prop_map(|(addr, value)| (addr, addr, value));
    let range = (address(), address(), value).prop_map(|(a, b, value)| (a.min(b), a.max(b), value));
    proptest::collection::vec(prop_oneof![single, range], 0..40)
}

fn written((start, end, value): &ModelEntry) -> String {
    let (start, end) = (Ipv4Addr::from(*start), Ipv4Addr::from(*end));
    value.map_or_else(|| format!("!{start}-{end}\n"), |value| format!("{start}-{end} :{value}:\n"))
}

/// The largest of the whole /8, /16, /24 and /32 networks around `addr` that lies in an entry.
fn block(addr: u32, (start, end, _): &ModelEntry) -> Option<u32> {
    [8, 16, 24, 32].into_iter().find(|bits| {
        let host = u32::MAX.checked_shr(*bits).unwrap_or(0);
        *start <= addr & !host && addr | host <= *end
    })
}

/// What an ip4set says about an address, from its definition.
fn model(entries: &[ModelEntry], addr: u32) -> BTreeSet<u8> {
    let narrowest = entries.iter().filter_map(|entry| block(addr, entry)).max();
    let decisive = entries.iter().filter(|entry| narrowest.is_some() && block(addr, entry) == narrowest);
    let values: Option<BTreeSet<u8>> = decisive.map(|(_, _, value)| *value).collect();
    values.unwrap_or_default()
}

fn codes(list: &Contents, addr: u32) -> BTreeSet<u8> {
    let name = format!("{}{ZONE}", reversed_labels(IpAddr::V4(addr.into())));
    match list.ask(&Question::new(Kind::A, &name).expect("a name"), ZONE).records {
        Records::A(codes) => codes.iter().map(|code| code.octets()[3]).collect(),
        _ => BTreeSet::new(),
    }
}

proptest! {
    #[test]
    fn an_ip4set_says_what_its_definition_says(entries in entries(), probes in proptest::collection::vec(address(), 20)) {
        let list = contents(Format::Ip4Set, &entries.iter().map(written).collect::<String>());
        let edges = entries.iter().flat_map(|(start, end, _)| {
            [start.wrapping_sub(1), *start, *end, end.wrapping_add(1), start & !255, end | 255]
        });
        for addr in edges.chain(probes) {
            prop_assert_eq!(codes(&list, addr), model(&entries, addr), "{}", Ipv4Addr::from(addr));
        }
    }

    #[test]
    fn an_ip6trie_obeys_the_longest_prefix(
        entries in proptest::collection::vec((0_u128..256, 0_u8..=10, proptest::option::of(1_u8..5)), 0..30),
    ) {
        // Ten bits in the middle of an address, four before and six behind the middle.
        let place = |small: u128| small << 58;
        let mut text = String::new();
        let mut known = std::collections::BTreeMap::new();
        for (small, free, value) in entries {
            let (network, length) = (small >> free << free, 70 - free);
            let addr = std::net::Ipv6Addr::from(place(network));
            text += &value.map_or_else(|| format!("!{addr}/{length}\n"), |value| format!("{addr}/{length} :{value}:\n"));
            known.entry((free, network)).or_insert(value);
        }
        let list = contents(Format::Ip6Trie, &text);
        for small in 0..256 {
            let addr = std::net::Ipv6Addr::from(place(small) + 5);
            let said = (0..=10_u8).find_map(|free| known.get(&(free, small >> free << free)).copied()).flatten();
            let expected = said.map(|value| format!("127.0.0.{value}"));
            prop_assert_eq!(listed(&list, &addr.to_string()), expected, "{}", addr);
        }
    }
}

#[test]
fn a_large_list_takes_few_octets_for_each_entry() {
    let mut text = String::from(":127.0.0.2:listed, see https://bl.example/?$\n");
    for index in 0..50_000_u32 {
        // Odd numbers scattered over the whole, each its own neighbourhood.
        let addr = Ipv4Addr::from(index.wrapping_mul(2_654_435_761) | 1);
        let value = if index % 10 == 0 { " :4:relay" } else { "" };
        text += &format!("{addr}{value}\n");
    }
    let mut reader = Reader::new(Format::Ip4Set, ZONE, 1_000_000);
    reader.read("list", &mut text.as_bytes()).expect("memory");
    let (list, _) = reader.finish();
    let per_entry = list.bytes() as f64 / list.entries() as f64;
    assert!(per_entry < 6.0, "{per_entry}");
}
