//! A cluster on loopback: three masters, each with a replica, one of which dies.

use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::time::Instant;

use super::*;
use crate::store::{Greylist, Holder, TripletEvent, TripletKey};

/// A cluster is made within that.
const MADE: Duration = Duration::from_secs(60);
const KEEP: Duration = Duration::from_secs(86_400);
const DEADLINE: Duration = Duration::from_millis(300);
/// Triplets that are noted before a master dies.
const TRIPLETS: u32 = 300;

/// Three masters and three replicas.
pub(in crate::store) struct Cluster {
    nodes: Vec<RedisServer>,
    ports: Vec<u16>,
}

impl Cluster {
    fn start() -> Self {
        let listeners: Vec<TcpListener> =
            (0..12).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
        let ports: Vec<u16> = listeners.iter().map(|open| open.local_addr().expect("bound").port()).collect();
        drop(listeners);
        let (ports, buses) = ports.split_at(6);
        let start = |(port, bus): (&u16, &u16)| {
            let (port, bus) = (port.to_string(), bus.to_string());
            let place = ["--port", &port, "--cluster-port", &bus, "--bind", "127.0.0.1"];
            let cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
            // A replica whose master has died begins at once.
            let replica = ["--repl-ping-replica-period", "1", "--cluster-replica-validity-factor", "0"];
            RedisServer::start(&[&place[..], &cluster, &replica].concat())
        };
        let cluster = Self { nodes: ports.iter().zip(buses).map(start).collect(), ports: ports.to_vec() };
        let addresses = cluster.ports.iter().map(|port| format!("127.0.0.1:{port}"));
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(addresses).args(["--cluster-replicas", "1", "--cluster-yes"]);
        let made = create.output().expect("redis-cli is there");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        let began = Instant::now();
        while !cluster.is_well(0..6) || cluster.masters().len() != 3 || !cluster.is_replicated() {
            assert!(began.elapsed() < MADE, "the cluster does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        cluster
    }

    /// One that all tests which run at the same time share.
    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(Self::start());
            *shared = Arc::downgrade(&cluster);
            cluster
        })
    }

    fn settings(&self, prefix: String) -> RedisSettings {
        let urls = self.ports.iter().take(3).map(|port| format!("redis://127.0.0.1:{port}")).collect();
        RedisSettings { urls, mode: Mode::Cluster, prefix, ..settings(&self.nodes[0]) }
    }

    fn is_well(&self, mut nodes: impl Iterator<Item = usize>) -> bool {
        nodes.all(|node| {
            let info = self.nodes[node].say("CLUSTER INFO");
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6")
        })
    }

    fn masters(&self) -> Vec<usize> {
        (0..6).filter(|node| self.nodes[*node].say("ROLE").contains("master")).collect()
    }

    /// True once the replicas have what their masters have.
    fn is_replicated(&self) -> bool {
        let masters = self.masters();
        let keys = |node: &usize| {
            let size = self.nodes[*node].say("DBSIZE");
            size.trim().trim_start_matches(':').parse::<u64>().expect("a number")
        };
        let replicas: Vec<usize> = (0..6).filter(|node| !masters.contains(node)).collect();
        let are_linked =
            replicas.iter().all(|node| self.nodes[*node].say("INFO replication").contains("master_link_status:up"));
        are_linked && masters.iter().map(keys).sum::<u64>() == replicas.iter().map(keys).sum::<u64>()
    }
}

/// A store in a part of its own of a cluster, for the battery.
pub(in crate::store) fn open(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
) -> (RedisStore, Box<dyn std::any::Any>) {
    let cluster = Cluster::shared();
    let redis = cluster.settings(format!("{:x}:", rand::random::<u64>()));
    let store = RedisStore::open(&redis, settings, clock, metrics.clone()).expect("an address");
    (store, Box::new((Answered { metrics }, cluster)))
}

fn key(store: &RedisStore, number: u32) -> TripletKey {
    let holder = Holder::network(std::net::Ipv4Addr::from_bits(0x0a00_0000 | number << 8).into());
    TripletKey::new(&store.greylist_secret(), holder, "a@sender.example", "user@ours.example")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_dies_costs_nobody_more_than_the_deadline() {
    if !server::is_here() {
        return;
    }
    let mut cluster = tokio::task::spawn_blocking(Cluster::start).await.expect("no panic");
    let redis = RedisSettings { deadline: DEADLINE, ..cluster.settings("gatepost:".to_owned()) };
    let open = |metrics: Metrics| {
        RedisStore::open(&redis, &Settings::default(), Hands::at(day(0)), metrics).expect("an address")
    };
    let metrics_of_one = metrics();
    let store = open(metrics_of_one.clone());
    for number in 0..TRIPLETS {
        let events = vec![(key(&store, number), TripletEvent::Attempt(KEEP))];
        store.greylist_note(events, day(0)).await.expect("noted");
    }
    assert_eq!(metrics_of_one.redis.fallbacks.get(), 0);
    let began = Instant::now();
    while !cluster.is_replicated() {
        assert!(began.elapsed() < MADE, "the replicas do not follow");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let masters = cluster.masters();
    let dead = masters[1];
    cluster.nodes[dead].kill();
    // Operations go on, whatever the cluster does, until all of them are done by Redis again.
    let (began, mut slowest, mut in_a_row, mut number) = (Instant::now(), Duration::ZERO, 0, 0);
    while in_a_row < 200 {
        assert!(began.elapsed() < MADE, "the cluster does not come back");
        let before = (Instant::now(), metrics_of_one.redis.fallbacks.get());
        let key = key(&store, TRIPLETS + number % 1000);
        let done = match number % 2 {
            0 => store.greylist_note(vec![(key, TripletEvent::Attempt(KEEP))], day(0)).await,
            _ => store.greylist_look(&[key], day(0)).await.map(drop),
        };
        done.expect("never a failure");
        slowest = slowest.max(before.0.elapsed());
        in_a_row = if metrics_of_one.redis.fallbacks.get() == before.1 { in_a_row + 1 } else { 0 };
        number += 1;
        // As fast as mail comes, and slow enough for the cluster on a small machine.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(slowest < DEADLINE * 3, "{slowest:?}");
    assert!(store.link.is_up() && metrics_of_one.redis.fallbacks.get() > 0, "a master was dead for a while");
    // A proxy that remembers nothing itself finds what was noted before.
    let metrics_of_two = metrics();
    let two = open(metrics_of_two.clone());
    for number in 0..TRIPLETS {
        let known = two.greylist_look(&[key(&two, number)], day(0)).await.expect("readable");
        assert!(known[0].is_some(), "{number}");
    }
    assert_eq!(metrics_of_two.redis.fallbacks.get(), 0);
}
