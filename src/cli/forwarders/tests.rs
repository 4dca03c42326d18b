use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock;
use crate::store::{
    self, EmbeddedStore, Forwarders as _, HopRecord, Metrics, Settings, Sighting, SightingKind, Store as _,
};
use crate::telemetry::admin::{self, Health, Pages, Readiness};

const THRESHOLDS: Thresholds = Thresholds { messages: 20, domains: 3, share: 95, days: 2 };

fn hop(name: &str, counts: [u64; 4], domains: usize, days: u64) -> Hop {
    let first = UNIX_EPOCH + Duration::from_secs(20_698 * 86_400);
    let author_domains = (0..domains).map(|number| format!("{number}.example").into()).collect();
    let last = first + Duration::from_secs(days * 86_400);
    Hop::from(&HopRecord { hop: name.into(), counts, author_domains, first, last })
}

#[test]
fn a_hop_is_proposed_on_good_evidence_only() {
    for (about, counts, domains, days, proposed) in [
        ("enough of everything", [20, 0, 0, 0], 3, 2, true),
        ("its own mail does not count", [20, 0, 0, 9000], 3, 2, true),
        ("one in twenty is broken", [95, 5, 0, 0], 3, 2, true),
        ("one more", [95, 6, 0, 0], 3, 2, false),
        ("a spoofer uses it too", [95, 0, 6, 0], 3, 2, false),
        ("too few messages", [19, 0, 0, 0], 3, 2, false),
        ("too few authors", [500, 0, 0, 0], 2, 2, false),
        ("too short a time", [500, 0, 0, 0], 30, 1, false),
        ("nothing forwarded", [0, 0, 0, 500], 30, 9, false),
    ] {
        assert_eq!(THRESHOLDS.are_met_by(&hop("a.example", counts, domains, days)), proposed, "{about}");
    }
    let lax = Thresholds { messages: 0, domains: 0, share: 1, days: 0 };
    assert!(!lax.are_met_by(&hop("a.example", [0; 4], 0, 0)), "without evidence nobody is proposed");
}

#[test]
fn the_table_ends_in_what_to_paste() {
    let hops = [
        hop("forwarder.example", [214, 2, 0, 31], 37, 19),
        hop("192.0.2.0/24", [60, 0, 0, 0], 64, 3),
        hop("spoofed.example", [214, 0, 100, 0], 37, 19),
    ];
    let text = text(&hops, THRESHOLDS);
    let expected = r#"HOP                FORWARDED  BROKEN  UNAUTHENTICATED  DIRECT  DOMAINS  FIRST       LAST
forwarder.example  214        2       0                31      37       2026-09-02  2026-09-21  proposed
192.0.2.0/24       60         0       0                0       64+      2026-09-02  2026-09-05  proposed
spoofed.example    214        0       100              0       37       2026-09-02  2026-09-21

# For trust.toml, if you know them; nothing is applied by itself.

[[forwarder]]
client_names = [".forwarder.example"]  # evidence: 214 messages of 37 domains from 2026-09-02 to 2026-09-21
reason = "forwards mail with its signatures intact"

[[forwarder]]
networks = ["192.0.2.0/24"]  # evidence: 60 messages of 64+ domains from 2026-09-02 to 2026-09-05
reason = "forwards mail with its signatures intact"
"#;
    assert_eq!(text, expected);
    assert_eq!(super::text(&[], THRESHOLDS), "No hop is known to forward mail.\n");
}

#[test]
fn json_says_the_same() {
    let hops = [hop("forwarder.example", [214, 2, 0, 31], 3, 19)];
    let value: serde_json::Value = serde_json::from_str(&json(&hops, THRESHOLDS).expect("text")).expect("JSON");
    let expected = serde_json::json!([{
        "hop": "forwarder.example", "forwarded": 214, "broken": 2, "unauthenticated": 0, "direct": 31,
        "author_domains": ["0.example", "1.example", "2.example"],
        "first": "2026-09-02T00:00:00Z", "last": "2026-09-21T00:00:00Z", "proposed": true,
    }]);
    assert_eq!(value, expected);
}

struct Well;

impl Health for Well {
    fn readiness(&self) -> Readiness {
        Readiness { listening: true, backends_ready: 1, draining: false, rules_from_snapshot: false }
    }
}

/// A configuration with a store in `directory` and admin pages at `admin`.
fn configuration(directory: &std::path::Path, admin: SocketAddr) -> PathBuf {
    let text = format!(
        r#"
hostname = "mx.example"
[[listen]]
address = "127.0.0.1:2525"
[relay]
domains = ["ours.example"]
[backend]
identity = "none"
[[backend.member]]
address = "127.0.0.1:2526"
[store]
path = "store.redb"
[admin]
address = "{admin}"
"#
    );
    let path = directory.join("gatepost.toml");
    std::fs::write(&path, text).expect("writable");
    path
}

async fn shown(config: PathBuf) -> Result<String, String> {
    let arguments = Arguments { config, json: false, all: true, limit: 10, thresholds: THRESHOLDS };
    let ran = tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        run(&arguments, &mut out).map(|()| String::from_utf8(out).expect("text")).map_err(|Failed(why)| why)
    });
    ran.await.expect("no panic")
}

#[tokio::test]
async fn the_running_proxy_is_asked_and_otherwise_its_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let config = configuration(directory.path(), address);
    let settings = Settings::default();
    let file = directory.path().join("store.redb");
    let metrics = Metrics::register(&Registry::new()).expect("registered once");
    let store = EmbeddedStore::open(&file, &settings, clock::system(), metrics).expect("a new file");
    let store = Arc::new(store);
    let sighting = Sighting {
        hop: "forwarder.example".into(),
        author_domain: "author.example".into(),
        kind: SightingKind::Forwarded,
        at: SystemTime::now(),
    };
    store.sighted(sighting).await.expect("queued");
    store.flush().await.expect("written");

    listener.set_nonblocking(true).expect("possible");
    let listener = tokio::net::TcpListener::from_std(listener).expect("within a runtime");
    let stop = CancellationToken::new();
    let pages = Pages::new(Registry::new(), Arc::new(Well), Some(store.clone()));
    let page = tokio::spawn(admin::run(listener, pages, stop.clone()));
    let asked = shown(config.clone()).await.expect("the proxy answers");
    assert!(asked.contains("forwarder.example  1 "), "{asked}");

    stop.cancel();
    page.await.expect("no panic").expect("it ends well");
    let taken = shown(config.clone()).await.expect_err("nobody answers, and the file is taken");
    assert!(taken.contains("no proxy answers at") && taken.contains("open in another process"), "{taken}");

    drop(store);
    assert_eq!(shown(config).await.expect("the file is free"), asked);
}

#[tokio::test]
async fn who_remembers_in_memory_alone_must_be_asked() {
    let loaded = crate::config::parse_text(include_str!("../../../config/demo.toml")).expect("it loads");
    let config = Config { admin: None, ..loaded.config };
    assert_eq!(config.store, store::Settings::default());
    let Failed(why) = known(&config, WantedHops::ALL).expect_err("nobody knows");
    assert!(why.contains("[admin] address") && why.contains("[store] path"), "{why}");
}
