//! How Redis can fail, and that nobody waits for it, and that it comes back by itself.

use tokio::time::Instant;

use super::*;
use crate::similarity::{Content, Digest};
use crate::store::{
    CampaignSighting, Campaigns, Deliveries, DeliveryKey, Fingerprint, Greylist, Holder, Reports, StoreError,
    TripletEvent, TripletKey, TripletRecord,
};

/// Of these tests: short, and yet longer than a busy machine pauses.
const DEADLINE: Duration = Duration::from_millis(250);
/// Who waits longer has not been spared.
const MUCH_LONGER: Duration = Duration::from_millis(750);
/// Something must happen within that.
const SOON: Duration = Duration::from_secs(30);
const KEEP: Duration = Duration::from_secs(86_400);

struct Bench {
    server: RedisServer,
    store: RedisStore,
    metrics: Metrics,
}

impl Bench {
    fn new(options: &[&str]) -> Self {
        Self::with(RedisServer::start(options), |_| ())
    }

    fn with(server: RedisServer, change: impl FnOnce(&mut RedisSettings)) -> Self {
        let (store, metrics) = another(&server, change);
        Self { server, store, metrics }
    }

    /// Notes an attempt of a network's, which never takes long.
    async fn note(&self, network: u8) {
        let began = Instant::now();
        let events = vec![(key(&self.store, network), TripletEvent::Attempt(KEEP))];
        self.store.greylist_note(events, day(0)).await.expect("never a failure");
        assert!(began.elapsed() < MUCH_LONGER, "{:?}", began.elapsed());
    }

    async fn knows(&self, network: u8) -> bool {
        let began = Instant::now();
        let known = look(&self.store, network).await;
        assert!(began.elapsed() < MUCH_LONGER, "{:?}", began.elapsed());
        known.is_some()
    }

    async fn until_up(&self) {
        until("Redis is back", || self.store.link.is_up()).await;
    }

    async fn until_down(&self) {
        until("Redis is gone", || !self.store.link.is_up()).await;
    }

    fn failed(&self, kind: Kind) -> u64 {
        self.metrics.redis.failed(kind)
    }

    fn fallbacks(&self) -> u64 {
        self.metrics.redis.fallbacks.get()
    }
}

/// Another proxy on the same server.
pub(super) fn another(server: &RedisServer, change: impl FnOnce(&mut RedisSettings)) -> (RedisStore, Metrics) {
    let (mut redis, metrics) = (settings(server), metrics());
    redis.deadline = DEADLINE;
    change(&mut redis);
    let store = RedisStore::open(&redis, &Settings::default(), Hands::at(day(0)), metrics.clone());
    (store.expect("an address"), metrics)
}

fn key(store: &RedisStore, network: u8) -> TripletKey {
    let holder = Holder::network(std::net::Ipv4Addr::new(192, 0, network, 0).into());
    TripletKey::new(&store.greylist_secret(), holder, "a@sender.example", "user@ours.example")
}

async fn look(store: &RedisStore, network: u8) -> Option<TripletRecord> {
    store.greylist_look(&[key(store, network)], day(0)).await.expect("never a failure").remove(0)
}

pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < SOON, "{what}: not yet");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

macro_rules! against_a_server {
    ($($(#[$about:meta])* async fn $name:ident() $body:block)*) => {$(
        $(#[$about])*
        #[tokio::test]
        async fn $name() {
            if server::is_here() $body
        }
    )*};
}

against_a_server! {
    async fn what_one_proxy_notes_the_other_knows() {
        let one = Bench::new(&[]);
        let (two, _) = another(&one.server, |_| ());
        assert_eq!(key(&one.store, 1), key(&two, 1), "they share a secret");
        one.note(1).await;
        assert!(look(&two, 1).await.is_some());
        let (stranger, _) = another(&one.server, |redis| redis.prefix = "other:".to_owned());
        assert_ne!(key(&one.store, 1), key(&stranger, 1));
    }

    async fn a_campaign_over_two_proxies_is_one() {
        let one = Bench::new(&[]);
        let (two, _) = another(&one.server, |_| ());
        let text: String = (0..40_u8).map(|number| format!("word{} ", "abcdefghij".repeat(1 + usize::from(number % 5)) + &"k".repeat(number.into()))).collect();
        let digest = Digest::of(&Content { text: &text, ..Content::default() }, one.store.campaign_key());
        let fingerprint = Fingerprint { digest, attachments: vec![7] };
        let sighting = |network| CampaignSighting {
            fingerprint: fingerprint.clone(),
            network,
            sender_domain: Some(format!("{network}.example").into()),
            authenticated: None,
            is_aligned: false,
            has_list_id: false,
            has_unsubscribe: false,
            known_recipients: 1,
            unknown_recipients: 0,
            traps: 0,
            is_deferred: false,
        };
        // Both meet it before they have heard of each other.
        let both = (one.store.campaign_note(sighting(1), day(0)), two.campaign_note(sighting(2), day(0)));
        assert_eq!(tokio::join!(both.0, both.1), (Ok(()), Ok(())));
        let name = async |store: &RedisStore| {
            let found = store.campaign_look(&fingerprint, day(0)).await;
            found.expect("never a failure").map(|campaign| campaign.id)
        };
        let began = Instant::now();
        while name(&one.store).await.is_none() || name(&one.store).await != name(&two).await {
            assert!(began.elapsed() < SOON, "they do not agree");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for network in 3..6 {
            let store = if network % 2 == 0 { &one.store } else { &two };
            store.campaign_note(sighting(network), day(0)).await.expect("never a failure");
        }
        let found = two.campaign_look(&fingerprint, day(0)).await.expect("never a failure").expect("known");
        assert!(found.volume >= 4 && found.networks == found.volume && found.sender_domains == found.volume, "{found:?}");
        // Who starts later hears of it all the same.
        let (late, _) = another(&one.server, |_| ());
        let began = Instant::now();
        while name(&late).await != Some(found.id) {
            assert!(began.elapsed() < SOON, "it has not heard of it");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn whoever_does_not_wait_for_a_delivery_to_be_noted_is_known_to_have_it_all_the_same() {
        let bench = Bench::new(&[]);
        let keys = vec![DeliveryKey::new(b"message", "a@sender.example", "b@ours.example")];
        bench.server.signal("STOP");
        let noted = bench.store.delivered_note(keys.clone(), KEEP, day(0));
        assert!(tokio::time::timeout(Duration::from_millis(1), noted).await.is_err());
        assert_eq!(bench.store.delivered_look(&keys, day(0)).await, Ok(vec![true]));
        bench.server.signal("CONT");
    }

    async fn a_server_that_says_nothing_is_not_waited_for() {
        let bench = Bench::new(&[]);
        bench.note(1).await;
        bench.server.signal("STOP");
        for network in 2..6 {
            bench.note(network).await;
        }
        bench.until_down().await;
        let began = Instant::now();
        for network in 2..6 {
            assert!(bench.knows(network).await, "memory does");
        }
        assert!(began.elapsed() < DEADLINE, "nobody waits any more");
        assert!(bench.failed(Kind::Timeout) >= 3 && bench.fallbacks() >= 8);
        bench.server.signal("CONT");
        bench.until_up().await;
        assert!(bench.knows(1).await && bench.knows(5).await, "what either knows is known");
        let before = bench.fallbacks();
        bench.note(7).await;
        assert!(bench.knows(7).await && bench.fallbacks() == before);
    }

    async fn a_server_that_was_killed_is_used_again_when_it_is_back() {
        let mut bench = Bench::new(&[]);
        bench.note(1).await;
        let before = key(&bench.store, 1);
        bench.server.kill();
        bench.note(2).await;
        bench.until_down().await;
        assert!(bench.knows(2).await);
        assert!(bench.failed(Kind::Connection) >= 1);
        bench.server.restart();
        bench.until_up().await;
        assert_eq!(key(&bench.store, 1), before, "a server that has forgotten the secret is told it again");
        assert!(!bench.knows(1).await && bench.knows(2).await);
        bench.note(3).await;
        let (two, _) = another(&bench.server, |_| ());
        assert!(look(&two, 3).await.is_some());
    }

    async fn a_server_that_is_not_there_stops_no_start() {
        let mut server = RedisServer::start(&[]);
        server.kill();
        let began = Instant::now();
        let mut bench = Bench::with(server, |_| ());
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        bench.note(1).await;
        assert!(bench.knows(1).await && !bench.store.link.is_up());
        bench.server.restart();
        bench.until_up().await;
        bench.note(2).await;
        let (two, _) = another(&bench.server, |_| ());
        assert!(look(&two, 2).await.is_some());
    }

    async fn a_replica_is_no_home() {
        let bench = Bench::new(&[]);
        bench.note(1).await;
        bench.server.say("REPLICAOF 127.0.0.1 1");
        bench.note(2).await;
        bench.until_down().await;
        assert!(bench.knows(2).await, "what one step has written the next must find");
        assert!(bench.failed(Kind::ReadOnly) >= 1);
        bench.server.say("REPLICAOF NO ONE");
        bench.until_up().await;
        assert!(bench.knows(1).await && bench.knows(2).await);
    }

    async fn nor_is_a_master_without_the_replicas_it_needs() {
        let bench = Bench::new(&[]);
        bench.server.say("CONFIG SET min-replicas-to-write 1");
        bench.note(1).await;
        bench.until_down().await;
        assert!(bench.knows(1).await && bench.failed(Kind::ReadOnly) >= 1);
        bench.server.say("CONFIG SET min-replicas-to-write 0");
        bench.until_up().await;
    }

    async fn a_server_without_memory_is_given_up_until_it_has_some() {
        let bench = Bench::new(&[]);
        bench.note(1).await;
        bench.server.say("CONFIG SET maxmemory-policy noeviction");
        bench.server.say("CONFIG SET maxmemory 1");
        bench.note(2).await;
        bench.until_down().await;
        assert!(bench.knows(2).await && bench.failed(Kind::Memory) >= 1);
        bench.server.say("CONFIG SET maxmemory 0");
        bench.until_up().await;
        assert!(bench.knows(1).await && bench.knows(2).await);
    }

    async fn a_wrong_password_is_a_failure_and_the_right_one_is_none() {
        let bench = Bench::with(RedisServer::start(&["--requirepass", "right"]), |redis| {
            redis.password = Some(Password::new("wrong"));
        });
        assert!(!bench.store.link.is_up() && bench.failed(Kind::Access) >= 1);
        bench.note(1).await;
        assert!(bench.knows(1).await);
        let (two, metrics) = another(&bench.server, |redis| redis.password = Some(Password::new("right")));
        assert!(two.link.is_up() && metrics.redis.fallbacks.get() == 0);
        assert!(!format!("{:?}", Password::new("right")).contains("right"));
        assert_eq!(look(&two, 1).await, None);
    }

    async fn what_fails_alone_is_done_alone_by_memory() {
        let bench = Bench::new(&[]);
        // Somebody has put something else where the hops should be.
        bench.server.say("SET battery:{hops}:last nonsense");
        let seen = crate::store::battery::sighting("hop.example", "a.example", crate::store::SightingKind::Direct, day(0));
        crate::store::Forwarders::sighted(&bench.store, seen).await.expect("never a failure");
        assert_eq!((bench.failed(Kind::Other), bench.fallbacks(), bench.store.link.is_up()), (1, 1, true));
        assert_eq!(crate::store::battery::hops(&bench.store).await.len(), 1);
        bench.note(1).await;
        assert_eq!(bench.fallbacks(), 1);
    }

    async fn whoever_is_done_with_a_report_hears_that_it_was_not_noted() {
        let mut bench = Bench::new(&[]);
        let observed = |source| crate::store::battery::observation("a.example", source, day(0));
        bench.store.dmarc_observed(observed("192.0.2.1")).await.expect("counted");
        let later = day(1) + crate::store::REPORT_GRACE;
        let [id] = bench.store.dmarc_due(later).await.expect("readable")[..] else { panic!("one report") };
        let (two, _) = another(&bench.server, |_| ());
        assert!(two.dmarc_claim(id, later).await.expect("readable").is_some());
        assert_eq!(bench.store.dmarc_claim(id, later).await, Ok(None), "one at a time");
        bench.server.kill();
        bench.until_down().await;
        assert!(matches!(two.dmarc_done(id).await, Err(StoreError::Unavailable(_))));
        // What is observed meanwhile is a report of memory's.
        bench.store.dmarc_observed(observed("192.0.2.2")).await.expect("counted");
        let [local] = bench.store.dmarc_due(later).await.expect("readable")[..] else { panic!("one report") };
        assert!(local != id && bench.store.dmarc_claim(local, later).await.expect("readable").is_some());
    }
}
