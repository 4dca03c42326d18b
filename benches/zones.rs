//! A local zone of a million entries: what loading takes, how much memory, how fast answers are, and that none
//! is missed while the zone is exchanged. Figures for `docs/dns.md`.
//!
//! `ZONE_ENTRIES=100000 cargo bench --bench zones` for another number.

#![allow(clippy::print_stdout, reason = "it is what a benchmark is for")]

use std::fmt::Write;
use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::FutureExt;
use gatepost::dns::zones::{Format, LocalZones, Metrics, Settings, read};
use gatepost::dns::{FixedDns, Local, Lookup};
use tokio::time::Instant;

const ZONE: &str = "bl.example.org";
const LOOKUPS: u32 = 1_000_000;

fn main() {
    let entries = std::env::var("ZONE_ENTRIES").ok().and_then(|entries| entries.parse().ok()).unwrap_or(1_000_000);
    let directory = tempfile::tempdir().expect("a directory");
    println!("{entries} entries, {LOOKUPS} questions, half of them listed\n");
    println!("{:<34}{:>10}{:>14}{:>16}", "zone", "load s", "bytes/entry", "questions/s");
    for (what, format, line) in LISTS {
        let file = directory.path().join("list");
        let lines: String = (0..entries).map(line).collect();
        std::fs::write(&file, lines).expect("a file");
        one(what, *format, &file, entries);
    }
    exchange(directory.path(), entries);
}

type Line = fn(u32) -> String;

const LISTS: &[(&str, Format, Line)] = &[
    ("ip4set, single addresses", Format::Ip4Set, |index| format!("{}\n", addr(index))),
    ("ip4set, ten values", Format::Ip4Set, |index| format!("{} :{}:see $\n", addr(index), index % 10)),
    ("ip4set, ranges of eight", Format::Ip4Set, |index| {
        let first = u32::from(addr(index)) & !7;
        format!("{}-{}\n", Ipv4Addr::from(first), Ipv4Addr::from(first | 7))
    }),
    ("ip4trie, /24 in ten values", Format::Ip4Trie, |index| {
        format!("{}/24 :{}\n", Ipv4Addr::from(u32::from(addr(index)) & !255), index % 10)
    }),
    ("ip6trie, /64", Format::Ip6Trie, |index| format!("{}/64\n", Ipv6Addr::from(network(index)))),
    ("dnset, names of ten letters", Format::DnSet, |index| format!(".{}\n", name(index))),
    ("hosts", Format::Hosts, |index| format!("{}.{ZONE} A {}\n", name(index), addr(index))),
];

/// Scattered over the whole, no two alike.
fn addr(index: u32) -> Ipv4Addr {
    Ipv4Addr::from(index.wrapping_mul(2_654_435_761))
}

fn network(index: u32) -> u128 {
    0x2001_0db8 << 96 | u128::from(u32::from(addr(index))) << 64
}

fn name(index: u32) -> String {
    format!("{:010x}.example", u64::from(index).wrapping_mul(0x9e_3779_b97f) & 0xff_ffff_ffff)
}

fn question(format: Format, index: u32) -> String {
    let mut out = String::new();
    match format {
        Format::Ip4Set | Format::Ip4Trie => {
            let [a, b, c, d] = addr(index).octets();
            let _ = write!(out, "{d}.{c}.{b}.{a}.");
        }
        Format::Ip6Trie => {
            for octet in network(index).to_le_bytes() {
                let _ = write!(out, "{:x}.{:x}.", octet & 15, octet >> 4);
            }
        }
        Format::DnSet | Format::Hosts => {
            let _ = write!(out, "{}.", name(index));
        }
    }
    out + ZONE
}

fn settings(format: Format, file: &Path, entries: u32) -> Settings {
    Settings { name: ZONE.into(), format, files: vec![file.to_owned()], max_entries: 3 * entries as usize }
}

fn one(what: &str, format: Format, file: &Path, entries: u32) {
    let settings = settings(format, file, entries);
    let begun = Instant::now();
    let (contents, report) = read(&settings).expect("a good list");
    let load = begun.elapsed().as_secs_f64();
    assert_eq!((contents.entries(), report.broken), (entries as usize, 0));
    let bytes = contents.bytes() as f64 / f64::from(entries);
    let zones = LocalZones::new(Metrics::new());
    zones.load(&[settings]);
    let dns = Local::new(Arc::new(zones), Arc::new(FixedDns::new()));
    // Every second one lies beyond the list.
    let names: Vec<String> = (0..LOOKUPS).map(|index| question(format, shuffled(index, 2 * entries))).collect();
    let begun = Instant::now();
    for name in &names {
        black_box(ask(&dns, name));
    }
    let rate = f64::from(LOOKUPS) / begun.elapsed().as_secs_f64();
    println!("{what:<34}{load:>10.2}{bytes:>14.1}{rate:>16.0}");
}

/// The questions come in no order.
fn shuffled(index: u32, below: u32) -> u32 {
    (u64::from(index) * 7_368_787 % u64::from(below)) as u32
}

fn ask(dns: &Local, name: &str) -> bool {
    dns.a(name).now_or_never().expect("answered at once").expect("loaded").exists
}

/// Two readers ask all the time while the zone is read again and exchanged.
fn exchange(directory: &Path, entries: u32) {
    let file = directory.join("exchanged");
    let write = |round: u32| {
        let lines = (0..entries).map(|index| format!("{} :{}:\n", addr(index), round % 2 + 2));
        std::fs::write(&file, lines.collect::<String>()).expect("a file");
    };
    write(0);
    let zones = Arc::new(LocalZones::new(Metrics::new()));
    zones.load(&[settings(Format::Ip4Set, &file, entries)]);
    let dns = Local::new(Arc::clone(&zones), Arc::new(FixedDns::new()));
    let (over, asked, missed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let mut reloads = 0;
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (dns, over, asked, missed) = (&dns, &over, &asked, &missed);
            scope.spawn(move || {
                for round in 0_u32.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let listed = ask(dns, &question(Format::Ip4Set, shuffled(2 * round + reader, entries)));
                    missed.fetch_add(u64::from(!listed), Ordering::Relaxed);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 1..=10 {
            write(round);
            reloads += zones.refresh();
        }
        over.store(true, Ordering::Relaxed);
    });
    println!("\n{reloads} reloads under load: {} questions, {} missed", asked.into_inner(), missed.into_inner());
}
