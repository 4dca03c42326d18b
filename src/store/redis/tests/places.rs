//! Where Redis can be: behind TLS, or wherever sentinels say.

use std::net::TcpListener;

use super::*;
use crate::store::{Forwarders, SightingKind};

/// Something must happen within that.
const SOON: Duration = Duration::from_secs(30);

fn free_port() -> String {
    let open = TcpListener::bind("127.0.0.1:0").expect("a free port");
    open.local_addr().expect("bound").port().to_string()
}

fn open_at(redis: &RedisSettings) -> RedisStore {
    RedisStore::open(redis, &Settings::default(), Hands::at(day(0)), metrics()).expect("an address")
}

#[tokio::test]
async fn tls_is_with_the_roots_that_are_named_and_no_others() {
    if !server::is_here() {
        return;
    }
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let file = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let (chain, key) = (file("chain.pem", pair.cert.pem()), file("key.pem", pair.signing_key.serialize_pem()));
    let port = free_port();
    let tls = ["--tls-port", &port, "--tls-cert-file", &chain, "--tls-key-file", &key, "--tls-auth-clients", "no"];
    let server = RedisServer::start(&[&tls[..], &["--tls-ca-cert-file", &chain]].concat());
    let mut redis = RedisSettings {
        urls: vec![format!("rediss://localhost:{port}")],
        tls_ca: Some(pair.cert.pem()),
        ..settings(&server)
    };
    assert!(open_at(&redis).link.is_up());
    redis.tls_ca = None;
    assert!(!open_at(&redis).link.is_up(), "the system does not know it");
}

#[tokio::test]
async fn the_master_is_where_sentinels_say() {
    if !server::is_here() {
        return;
    }
    let [one, two, watch] = [(); 3].map(|()| free_port());
    let local = ["--bind", "127.0.0.1"];
    let first = RedisServer::start(&[&["--port", &one][..], &local].concat());
    let replica = ["--port", &two, "--replicaof", &format!("127.0.0.1 {one}"), "--repl-diskless-sync-delay", "0"];
    let second = RedisServer::start(&[&replica[..], &local].concat());
    let sentinel = RedisServer::sentinel(&format!(
        "port {watch}\nbind 127.0.0.1\nsentinel monitor gate 127.0.0.1 {one} 1\n\
         sentinel down-after-milliseconds gate 1000\nsentinel failover-timeout gate 5000\n"
    ));
    let redis = RedisSettings {
        urls: vec![format!("redis://127.0.0.1:{watch}")],
        mode: Mode::Sentinel { master: "gate".to_owned() },
        deadline: Duration::from_millis(300),
        ..settings(&first)
    };
    let store = open_at(&redis);
    assert!(store.link.is_up());
    let shared = store.link.shared().campaign_key;
    let began = tokio::time::Instant::now();
    while !sentinel.say("SENTINEL FAILOVER gate").starts_with("+OK") {
        assert!(began.elapsed() < SOON, "the sentinel does not know the replica");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while !second.say("ROLE").contains("master") || !first.say("ROLE").contains("slave") {
        assert!(began.elapsed() < SOON, "there is no other master");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The one that was master takes no write any more, so what Redis has taken the other one has.
    loop {
        let before = store.metrics.redis.fallbacks.get();
        let seen = crate::store::battery::sighting("hop.example", "a.example", SightingKind::Direct, day(0));
        store.sighted(seen).await.expect("never a failure");
        if store.metrics.redis.fallbacks.get() == before {
            break;
        }
        assert!(began.elapsed() < SOON, "it is not found");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(second.say("KEYS battery:{hops}*").contains("hop.example"));
    assert_eq!(store.link.shared().campaign_key, shared);
}
