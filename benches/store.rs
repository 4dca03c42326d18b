//! What it costs to remember: greylist triplets and digests of campaigns, in each home.
//!
//!     cargo bench --bench store -- memory file redis=redis://127.0.0.1:6379
//!
//! `TRIPLETS` (1,000,000; 0: none) and `DIGESTS` (10,000,000 in memory and in the file, 1,000,000 in Redis) say how many. Prints
//! operations per second and the 99th percentile of an operation over each tenth of the filling, so that a cost that grows
//! would be seen; then look-ups, memory, disk, and the same while everything expires.

#![allow(clippy::print_stdout, reason = "it is what a benchmark is for")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gatepost::clock;
use gatepost::similarity::{Digest, LENGTH};
use gatepost::store::redis::Mode;
use gatepost::store::{
    self, CampaignSighting, Fingerprint, Holder, Metrics, RedisSettings, Settings, Store, StoreError, TripletEvent,
    TripletKey,
};
use prometheus::Registry;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

/// Parts of the filling that are measured each by itself.
const PARTS: usize = 10;
const WINDOW: Duration = Duration::from_secs(48 * 3600);

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(usual)
}

#[tokio::main]
async fn main() {
    let given: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let homes = if given.is_empty() { vec!["memory".to_owned(), "file".to_owned()] } else { given };
    for home in homes {
        let directory = tempfile::tempdir_in(".").expect("a directory");
        triplets(&home, directory.path()).await;
        digests(&home, &directory.path().join("digests")).await;
    }
}

fn open(home: &str, directory: &Path, settings: Settings) -> Arc<dyn Store> {
    let metrics = Metrics::register(&Registry::new()).expect("once");
    let settings = match home.split_once('=') {
        None if home == "memory" => settings,
        None if home == "file" => Settings { path: Some(directory.join("store.redb")), ..settings },
        Some(("redis", url)) => {
            let redis = RedisSettings {
                urls: vec![url.to_owned()],
                mode: Mode::Standalone,
                username: None,
                password: None,
                sentinel_password: None,
                tls_ca: None,
                prefix: "bench:".to_owned(),
                deadline: Duration::from_millis(200),
            };
            Settings { redis: Some(redis), ..settings }
        }
        _ => panic!("memory, file or redis=URL"),
    };
    store::open(&settings, clock::system(), metrics)
}

async fn triplets(home: &str, directory: &Path) {
    let count = number("TRIPLETS", 1_000_000);
    if count == 0 {
        return;
    }
    let store = open(home, directory, Settings { triplets: count, ..Settings::default() });
    let secret = store.greylist_secret();
    let key = |number: usize| {
        let network = u32::try_from(number / 3 % 0xff_ffff).expect("24 bits") << 8;
        let holder = Holder::network(std::net::Ipv4Addr::from(network).into());
        TripletKey::new(&secret, holder, &format!("sender{number}@sender.example"), "user@ours.example")
    };
    println!("{home}: {count} triplets");
    let before = resident();
    let began = SystemTime::now();
    let attempt = TripletEvent::Attempt(WINDOW);
    fill(
        &*store,
        count,
        |number| (key(number), began),
        async |store, (key, at)| {
            store.greylist_look(&[key], at).await.map(drop)?;
            store.greylist_note(vec![(key, attempt)], at).await
        },
    )
    .await;
    size(directory, before, count);
    let mut random = StdRng::seed_from_u64(7);
    measure("look-ups of what is there", 100_000.min(count), async |_| {
        let known = store.greylist_look(&[key(random.random_range(0..count))], began).await.expect("readable");
        assert!(known[0].is_some() || home.starts_with("redis"), "it was noted");
    })
    .await;
    // All that is there has expired, and new ones come in.
    let later = began + WINDOW + WINDOW;
    measure("notes while everything expires", 100_000.min(count), async |number| {
        store.greylist_note(vec![(key(count + number), attempt)], later).await.unwrap_or_default();
    })
    .await;
    let _ = store.flush().await;
}

async fn digests(home: &str, directory: &Path) {
    let usual = if home.starts_with("redis") { 1_000_000 } else { 10_000_000 };
    let count = number("DIGESTS", usual);
    if count == 0 {
        return;
    }
    std::fs::create_dir(directory).expect("a directory");
    let store =
        open(home, directory, Settings { digests: count, campaigns: count.div_ceil(10), ..Settings::default() });
    println!("{home}: {count} digests");
    let before = resident();
    let began = SystemTime::now();
    let sighting = |number: usize| CampaignSighting {
        fingerprint: Fingerprint { digest: digest(number as u64), attachments: Vec::new() },
        network: number as u64 % 100_000,
        sender_domain: Some(format!("sender{}.example", number % 10_000).into()),
        authenticated: None,
        is_aligned: false,
        has_list_id: false,
        has_unsubscribe: false,
        known_recipients: 1,
        unknown_recipients: 0,
        traps: 0,
        is_deferred: false,
    };
    fill(&*store, count, sighting, async |store, sighting| {
        store.campaign_look(&sighting.fingerprint, began).await.map(drop)?;
        store.campaign_note(sighting, began).await
    })
    .await;
    size(directory, before, count);
    let mut random = StdRng::seed_from_u64(7);
    measure("clusters found", 20_000.min(count), async |_| {
        // The latest: cards are fewer than digests.
        let number = random.random_range(count - count.div_ceil(20)..count);
        let fingerprint = Fingerprint { digest: digest(number as u64), attachments: Vec::new() };
        assert!(store.campaign_look(&fingerprint, began).await.expect("readable").is_some(), "it was noted");
    })
    .await;
    let later = began + Duration::from_secs(30 * 86_400);
    measure("notes while everything expires", 100_000.min(count), async |number| {
        store.campaign_note(sighting(count + number), later).await.unwrap_or_default();
    })
    .await;
    let _ = store.flush().await;
}

/// A digest like no other: of a hundred words.
fn digest(number: u64) -> Digest {
    let mut octets = [0; LENGTH];
    StdRng::seed_from_u64(number).fill(&mut octets[..]);
    octets[0] = 1;
    octets[1] = 106;
    Digest::from_octets(octets).expect("the layout")
}

/// Notes `count` things, and waits from time to time until they are where they belong.
async fn fill<T: Clone>(
    store: &dyn Store,
    count: usize,
    what: impl Fn(usize) -> T,
    note: impl AsyncFn(&dyn Store, T) -> Result<(), StoreError>,
) {
    for part in 0..PARTS {
        let (from, to) = (count * part / PARTS, count * (part + 1) / PARTS);
        let mut times = Vec::with_capacity(to - from);
        let began = Instant::now();
        for number in from..to {
            let thing = what(number);
            let asked = Instant::now();
            // A full queue means that the disk is behind: this is where a filter would forget.
            while note(store, thing.clone()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            times.push(asked.elapsed());
        }
        store.flush().await.expect("written");
        println!("  {:>9} to {:>9}: {}", from, to, summary(began.elapsed(), &mut times));
    }
}

async fn measure(name: &str, count: usize, mut act: impl AsyncFnMut(usize)) {
    let mut times = Vec::with_capacity(count);
    let began = Instant::now();
    for number in 0..count {
        let asked = Instant::now();
        act(number).await;
        times.push(asked.elapsed());
    }
    println!("  {name}: {}", summary(began.elapsed(), &mut times));
}

fn summary(whole: Duration, times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let rate = times.len() as f64 / whole.as_secs_f64();
    format!("{rate:.0}/s, median {:.1?}, p99 {:.1?}, longest {:.1?}", at(0.5), at(0.99), at(1.0))
}

fn size(directory: &Path, before: u64, count: usize) {
    let grown = resident().saturating_sub(before);
    let disk = std::fs::metadata(directory.join("store.redb")).map_or(0, |file| file.len());
    let each = |octets: u64| octets as f64 / count as f64;
    println!(
        "  memory {} MiB ({:.0} octets each), file {} MiB ({:.0} each)",
        grown >> 20,
        each(grown),
        disk >> 20,
        each(disk)
    );
}

/// Octets of memory that this process has.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default();
    pages * 4096
}
