//! Files that come, change and go, and what is answered meanwhile.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::dns::LookupError;
use crate::dns::question::{Kind, Question, Response};
use crate::dns::zones::{Format, read};
use crate::units::reversed_labels;

fn settings(directory: &tempfile::TempDir, name: &str, format: Format, file: &str) -> Settings {
    Settings { name: name.into(), format, files: vec![directory.path().join(file)], max_entries: 1000 }
}

fn write(directory: &tempfile::TempDir, file: &str, text: &str) {
    // As one should: another file in its place, so that nobody reads half of it.
    let (new, path) = (directory.path().join("new"), directory.path().join(file));
    std::fs::write(&new, text).expect("a file");
    std::fs::rename(new, path).expect("renamed");
}

fn ask(zones: &LocalZones, name: &str) -> Option<Result<Response, LookupError>> {
    zones.current().ask(&Question::new(Kind::A, name).expect(name))
}

fn found(zones: &LocalZones, name: &str) -> Option<bool> {
    ask(zones, name).map(|answer| answer.expect("loaded").exists)
}

#[test]
fn the_longest_zone_answers_and_its_parts_are_one() {
    let directory = tempfile::tempdir().expect("a directory");
    write(&directory, "four", "192.0.2.1\n");
    write(&directory, "six", "2001:db8::/32\n");
    write(&directory, "hosts", "192.0.2.77 www.bl.example\n");
    let zones = LocalZones::new(Metrics::new());
    zones.load(&[
        settings(&directory, "bl.example", Format::Hosts, "hosts"),
        settings(&directory, "ip.bl.example", Format::Ip4Set, "four"),
        settings(&directory, "ip.bl.example", Format::Ip6Trie, "six"),
    ]);
    let six = format!("{}ip.bl.example", reversed_labels("2001:db8::1".parse().expect("address")));
    for (name, exists) in [
        ("www.bl.example", Some(true)),
        ("1.2.0.192.ip.bl.example", Some(true)),
        ("2.2.0.192.ip.bl.example", Some(false)),
        (six.as_str(), Some(true)),
        ("ip.bl.example", Some(true)),
        ("elsewhere.bl.example", Some(false)),
        ("example", None),
        ("xbl.example", None),
        ("bl.example.org", None),
    ] {
        assert_eq!(found(&zones, name), exists, "{name}");
    }
    let current = zones.current();
    let names = |addr: &str| current.names_of(&Question::names_of(addr.parse().expect(addr)));
    assert!(names("192.0.2.77").is_some_and(|answer| answer.expect("loaded").exists));
    assert!(names("192.0.2.78").is_none(), "its names are somebody else's");
}

#[test]
fn a_file_that_looks_like_an_accident_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let good: String = (1..=20).map(|last| format!("192.0.2.{last}\n")).collect();
    write(&directory, "list", &good);
    let zones = LocalZones::new(Metrics::new());
    let settings = [settings(&directory, "bl.example", Format::Ip4Set, "list")];
    zones.load(&settings);
    for (what, accident) in
        [("empty", String::new()), ("comments", "# 2026\n".to_owned()), ("another list", "a.example\n".repeat(20))]
    {
        write(&directory, "list", &accident);
        assert_eq!(zones.refresh(), 1, "{what}");
        assert_eq!(found(&zones, "20.2.0.192.bl.example"), Some(true), "{what}");
        assert_eq!(zones.refresh(), 0, "{what}: it is not looked at again");
    }
    std::fs::remove_file(directory.path().join("list")).expect("it was there");
    zones.refresh();
    zones.load(&settings);
    assert_eq!(found(&zones, "20.2.0.192.bl.example"), Some(true), "gone");
    write(&directory, "list", "192.0.2.1\n192.0.2.2\n");
    zones.refresh();
    assert_eq!(found(&zones, "20.2.0.192.bl.example"), Some(false), "a good one counts");
    assert_eq!(found(&zones, "2.2.0.192.bl.example"), Some(true));
}

#[test]
fn a_zone_that_was_never_read_has_no_answer_until_there_is_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let zones = LocalZones::new(Metrics::new());
    zones.load(&[settings(&directory, "bl.example", Format::Ip4Set, "list")]);
    assert_eq!(ask(&zones, "1.2.0.192.bl.example"), Some(Err(LookupError::ServerFailure)));
    write(&directory, "list", "192.0.2.1\n");
    assert_eq!(zones.refresh(), 1);
    assert_eq!(found(&zones, "1.2.0.192.bl.example"), Some(true));
}

#[test]
fn what_could_not_be_read_a_moment_ago_is_read_again_though_no_file_has_changed() {
    let directory = tempfile::tempdir().expect("a directory");
    let zones = LocalZones::new(Metrics::new());
    // It opens, and cannot be read: whatever the reason, it says nothing about an entry.
    std::fs::create_dir(directory.path().join("list")).expect("a directory");
    zones.load(&[settings(&directory, "bl.example", Format::Ip4Set, "list")]);
    assert_eq!((zones.refresh(), zones.refresh()), (1, 1));
    std::fs::remove_dir(directory.path().join("list")).expect("it was there");
    assert_eq!((zones.refresh(), zones.refresh()), (1, 0), "what is not there is waited for");
}

#[test]
fn more_entries_than_allowed_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    write(&directory, "list", "192.0.2.1\n192.0.2.2\n192.0.2.3\n");
    for (max_entries, taken) in [(2, false), (3, true)] {
        let settings = Settings { max_entries, ..settings(&directory, "bl.example", Format::Ip4Set, "list") };
        assert_eq!(read(&settings).is_ok(), taken, "{max_entries}");
    }
}

#[test]
fn only_changed_files_are_read_again_and_zones_come_and_go() {
    let directory = tempfile::tempdir().expect("a directory");
    write(&directory, "a", "192.0.2.1\n");
    write(&directory, "b", "192.0.2.1\n");
    let registry = prometheus::Registry::new();
    let metrics = Metrics::new();
    metrics.register(&registry).expect("once");
    let zones = LocalZones::new(metrics);
    let both = [
        settings(&directory, "a.example", Format::Ip4Set, "a"),
        settings(&directory, "b.example", Format::Ip4Set, "b"),
    ];
    zones.load(&both);
    write(&directory, "b", "192.0.2.2\n");
    assert_eq!(zones.refresh(), 1);
    zones.load(&both);
    assert_eq!(found(&zones, "2.2.0.192.b.example"), Some(true));
    let text = || prometheus::TextEncoder::new().encode_to_string(&registry.gather()).expect("consistent");
    for line in [
        "gatepost_dns_zone_entries{zone=\"a.example\"} 1",
        "gatepost_dns_zone_reloads_total{result=\"applied\",zone=\"a.example\"} 1",
        "gatepost_dns_zone_reloads_total{result=\"applied\",zone=\"b.example\"} 2",
        "gatepost_dns_zone_queries_total{result=\"records\",zone=\"b.example\"} 1",
    ] {
        assert!(text().contains(line), "{line} in\n{}", text());
    }
    zones.load(&both[..1]);
    assert_eq!(found(&zones, "2.2.0.192.b.example"), None);
    assert!(!text().contains("b.example"), "what is gone is not shown");
}

#[test]
fn no_answer_is_missed_while_zones_are_exchanged() {
    let directory = tempfile::tempdir().expect("a directory");
    let list = |code: u8| -> String {
        let lines = (0..2000_u32).map(|index| format!("{} :{code}:\n", Ipv4Addr::from(index * 7919)));
        std::iter::once("192.0.2.1 :2:\n".to_owned()).chain(lines).collect()
    };
    write(&directory, "list", &list(3));
    let zones = LocalZones::new(Metrics::new());
    zones.load(&[Settings { max_entries: 5000, ..settings(&directory, "bl.example", Format::Ip4Set, "list") }]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(found(&zones, "1.2.0.192.bl.example"), Some(true));
                    assert_eq!(found(&zones, "1.2.0.193.bl.example"), Some(false));
                    assert_eq!(found(&zones, "bl.example.org"), None);
                }
            });
        }
        for round in 0..30 {
            write(&directory, "list", &list(round % 2 + 3));
            assert_eq!(zones.refresh(), 1);
        }
        over.store(true, Ordering::Relaxed);
    });
}
