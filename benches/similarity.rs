//! What it costs to take the fingerprint of a message, and to find its cluster among many.
//!
//! `SIMILARITY_ENTRIES=10000000 cargo bench --bench similarity` for another number of digests than a million;
//! ten millions take 3.5 GB and some minutes to file.

#![allow(clippy::print_stdout, reason = "it is what a benchmark is for")]

use std::sync::LazyLock;
use std::time::Duration;

use divan::Bencher;
use gatepost::message::{Links, Message, Text};
use gatepost::similarity::{BYTES_PER_ENTRY, DEFAULT_KEY, Digest, Index, LENGTH, Limits};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const NOW: Duration = Duration::from_secs(3600);
/// Octets of the message whose fingerprint is taken.
const MESSAGE: usize = 10 * 1024;

fn main() {
    println!("{BYTES_PER_ENTRY} bytes per entry, {LENGTH} of them the digest; {} entries", entries());
    divan::main();
}

fn entries() -> usize {
    std::env::var("SIMILARITY_ENTRIES").ok().and_then(|entries| entries.parse().ok()).unwrap_or(1_000_000)
}

/// Words of usual lengths, some of them often, with signs between them.
fn prose(random: &mut StdRng) -> String {
    let mut prose = String::new();
    while prose.len() < MESSAGE - 200 {
        let rank = (900.0_f64).powf(random.random::<f64>()) as u64;
        let mut letters = StdRng::seed_from_u64(rank);
        let length = letters.random_range(2..10);
        prose.extend((0..length).map(|_| char::from(letters.random_range(b'a'..=b'z'))));
        prose.push_str(match random.random_range(0..20) {
            0 => ", ",
            1 => ".\r\n",
            _ => " ",
        });
    }
    prose
}

fn message(html: bool) -> Message {
    let prose = prose(&mut StdRng::seed_from_u64(1));
    let octets = match html {
        false => format!("Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{prose}"),
        true => format!("Content-Type: text/html\r\n\r\n<html><body><p>{}</body>", prose.replace('.', ".</p><p>")),
    };
    let len = octets.len() as u64;
    Message::new(octets.into_bytes(), len)
}

#[divan::bench(args = [false, true])]
fn text_of_10_kb(bencher: Bencher, html: bool) {
    let message = message(html);
    bencher.bench(|| Text::of(&message));
}

#[divan::bench]
fn digest_of_10_kb(bencher: Bencher) {
    let text = Text::of(&message(false));
    bencher.bench(|| Digest::of_message(&text, &Links::default(), DEFAULT_KEY));
}

#[divan::bench]
fn similarity_of_two(bencher: Bencher) {
    let mut random = StdRng::seed_from_u64(2);
    let (ours, theirs) = (digest(&mut random), digest(&mut random));
    bencher.bench(|| divan::black_box(&ours).similarity(divan::black_box(&theirs)));
}

/// As good as that of any text of 150 words.
fn digest(random: &mut StdRng) -> Digest {
    let mut octets: [u8; LENGTH] = random.random();
    (octets[0], octets[1]) = (1, 116);
    Digest::from_octets(octets).expect("a digest of this version")
}

static FULL: LazyLock<Index> = LazyLock::new(|| {
    let mut index = Index::new(Limits { entries: entries(), window: 24 * NOW, step: NOW });
    let mut random = StdRng::seed_from_u64(3);
    for cluster in 0..entries() {
        index.record(&digest(&mut random), cluster as u64, NOW);
    }
    index
});

/// Digests that are asked for one after another.
const ASKED: usize = 50_000;

fn find(bencher: Bencher, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let digests: Vec<Digest> = (0..ASKED.min(entries())).map(|_| digest(&mut random)).collect();
    let index = &*FULL;
    let mut at = 0;
    bencher.bench_local(move || {
        at = (at + 1) % digests.len();
        index.nearest(&digests[at], NOW)
    });
}

#[divan::bench]
fn find_a_cluster_among_all(bencher: Bencher) {
    find(bencher, 3);
}

#[divan::bench]
fn find_none_among_all(bencher: Bencher) {
    find(bencher, 4);
}
