//! The cache over a network that counts: how often is a question really sent, and who gets what?

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::*;

/// Answers every A question after `takes`, by the first label of its name; while it fails, nothing.
#[derive(Clone, Default)]
struct Counting {
    sent: Arc<AtomicUsize>,
    takes: Duration,
    fails: Arc<Mutex<Option<LookupError>>>,
    down: Arc<AtomicBool>,
}

impl Network for Counting {
    async fn ask(&self, question: &Question) -> Result<Response, LookupError> {
        self.sent.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        if let Some(why) = *self.fails.lock().expect("no panic") {
            return Err(why);
        }
        let none = |exists, ttl| Ok(Response { records: Records::none(Kind::A), exists, ttl });
        let some = |ttl| {
            let records = Records::A([Ipv4Addr::new(192, 0, 2, 1)].into());
            Ok(Response { records, exists: true, ttl: Some(Duration::from_secs(ttl)) })
        };
        match question.name().split('.').next().unwrap_or_default() {
            "minute" => some(60),
            "zero" => some(0),
            "year" => some(31_536_000),
            "nothing" => none(true, Some(Duration::from_secs(600))),
            "nowhere" => none(false, Some(Duration::from_secs(86_400))),
            "soaless" => none(false, None),
            "many" => {
                let records = Records::A((0..4000).map(Ipv4Addr::from).collect());
                Ok(Response { records, exists: true, ttl: Some(Duration::from_secs(60)) })
            }
            "broken" => Err(LookupError::ServerFailure),
            "panics" => panic!("as asked for"),
            other => panic!("no answer for {other}"),
        }
    }

    fn is_down(&self) -> bool {
        self.down.load(Ordering::SeqCst)
    }
}

fn cache(takes_ms: u64, settings: Settings) -> (Cache<Counting>, Arc<AtomicUsize>) {
    let network = Counting { takes: Duration::from_millis(takes_ms), ..Counting::default() };
    let sent = network.sent.clone();
    (Cache::new(network, &settings, Arc::new(Metrics::new())), sent)
}

/// A cache that has an answer for `name`, expired by one second, before a network that now fails.
async fn expired(name: &str, takes_ms: u64, settings: Settings) -> (Cache<Counting>, Counting) {
    let network = Counting { takes: Duration::from_millis(takes_ms), ..Counting::default() };
    let dns = Cache::new(network.clone(), &settings, Arc::new(Metrics::new()));
    dns.a(name).await.expect(name);
    let Memory::Fresh(known) = dns.shared.shard(&question(name)).shelf.recall(&question(name), Instant::now()) else {
        panic!("{name} was kept")
    };
    tokio::time::advance(known.until - Instant::now() + Duration::from_secs(1)).await;
    *network.fails.lock().expect("no panic") = Some(LookupError::Timeout);
    network.sent.store(0, Ordering::SeqCst);
    (dns, network)
}

fn question(name: &str) -> Question {
    Question::new(Kind::A, name).expect("a name")
}

#[tokio::test(start_paused = true)]
async fn answers_hold_as_long_as_they_say_within_bounds() {
    for (name, kept_s, gone_s) in [
        ("minute.example", 59, 61),
        ("zero.example", 4, 6),
        ("year.example", 86_399, 86_401),
        ("nothing.example", 599, 601),
        ("nowhere.example", 899, 901),
        ("soaless.example", 4, 6),
    ] {
        let (dns, sent) = cache(0, Settings::default());
        let first = dns.a(name).await.expect(name);
        assert!(!first.cached, "{name}");
        tokio::time::advance(Duration::from_secs(kept_s)).await;
        let second = dns.a(name).await.expect(name);
        assert_eq!((second.cached, &second.records, second.exists), (true, &first.records, first.exists), "{name}");
        assert_eq!(sent.load(Ordering::SeqCst), 1, "{name}");
        tokio::time::advance(Duration::from_secs(gone_s - kept_s)).await;
        assert!(!dns.a(name).await.expect(name).cached, "{name}");
        assert_eq!(sent.load(Ordering::SeqCst), 2, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_negative_answer_tells_a_missing_name_from_a_missing_record() {
    let (dns, _) = cache(0, Settings::default());
    for (name, exists) in [("nothing.example", true), ("nowhere.example", false)] {
        let answer = dns.a(name).await.expect(name);
        assert_eq!((answer.records.len(), answer.exists), (0, exists), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_askers_send_one_question() {
    let (dns, sent) = cache(50, Settings::default());
    let answers = join_all((0..100).map(|_| dns.a("Minute.example."))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.records.len() == 1)));
    assert_eq!(sent.load(Ordering::SeqCst), 1);
    let metrics = &dns.shared.metrics;
    assert_eq!((metrics.miss.get(), metrics.joined.get(), metrics.in_flight.get()), (1, 99, 0));
}

#[tokio::test(start_paused = true)]
async fn an_asker_that_goes_away_takes_nothing_from_the_others() {
    let (dns, sent) = cache(50, Settings::default());
    let dns = Arc::new(dns);
    let leader = tokio::spawn({
        let dns = dns.clone();
        async move { dns.a("minute.example").await }
    });
    tokio::task::yield_now().await;
    let follower = tokio::spawn({
        let dns = dns.clone();
        async move { dns.a("minute.example").await }
    });
    tokio::task::yield_now().await;
    leader.abort();
    assert!(follower.await.expect("not cancelled").is_ok());
    assert_eq!(sent.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_waited_for_is_kept() {
    let (dns, sent) = cache(50, Settings::default());
    assert!(tokio::time::timeout(Duration::from_millis(10), dns.a("minute.example")).await.is_err());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(dns.a("minute.example").await.expect("known").cached);
    assert_eq!(sent.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn errors_reach_all_who_wait_and_are_held_for_a_moment() {
    let (dns, sent) = cache(50, Settings::default());
    let replies = join_all((0..3).map(|_| dns.a("broken.example"))).await;
    assert!(replies.iter().all(|reply| *reply == Err(LookupError::ServerFailure)));
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(dns.a("broken.example").await, Err(LookupError::ServerFailure));
    }
    assert_eq!((begun.elapsed(), sent.load(Ordering::SeqCst)), (Duration::ZERO, 1));
    assert_eq!(dns.shared.metrics.failed.get(), 100);
    tokio::time::advance(FAILED).await;
    assert_eq!(dns.a("broken.example").await, Err(LookupError::ServerFailure));
    assert_eq!(sent.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_of_one_name_and_one_type() {
    let (dns, sent) = cache(0, Settings::default());
    assert!(dns.a("broken.example").await.is_err());
    assert!(dns.aaaa("broken.example").await.is_err());
    assert!(dns.a("minute.broken.example").await.is_ok());
    assert_eq!(sent.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn expired_answers_serve_while_the_network_fails_and_no_longer_than_agreed() {
    for name in ["minute.example", "nothing.example", "nowhere.example"] {
        for why in [LookupError::Timeout, LookupError::ServerFailure, LookupError::Unreachable] {
            let (dns, network) = expired(name, 50, Settings::default()).await;
            *network.fails.lock().expect("no panic") = Some(why);
            let (first, second) = (dns.a(name).await, dns.a(name).await);
            for answer in [first, second] {
                let answer = answer.expect(name);
                assert_eq!((answer.cached, answer.exists), (true, name != "nowhere.example"), "{name}, {why}");
                assert_eq!(answer.records.is_empty(), name != "minute.example", "{name}, {why}");
            }
            assert_eq!(network.sent.load(Ordering::SeqCst), 1, "{name}: not asked again at once");
            assert_eq!(dns.shared.metrics.stale.get(), 2, "{name}");

            tokio::time::advance(Duration::from_secs(3590)).await;
            assert!(dns.a(name).await.is_ok(), "{name}, {why}");
            tokio::time::advance(Duration::from_secs(20)).await;
            assert_eq!(dns.a(name).await, Err(why), "{name}: not for ever");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_staleness_an_expired_answer_is_none() {
    let (dns, _) = expired("minute.example", 0, Settings { stale: Duration::ZERO, ..Settings::default() }).await;
    assert_eq!(dns.a("minute.example").await, Err(LookupError::Timeout));
}

#[tokio::test(start_paused = true)]
async fn a_network_that_is_back_is_believed_again() {
    let (dns, network) = expired("minute.example", 0, Settings::default()).await;
    assert!(dns.a("minute.example").await.expect("stale").cached);
    *network.fails.lock().expect("no panic") = None;
    tokio::time::advance(FAILED).await;
    assert!(!dns.a("minute.example").await.expect("fresh").cached);
    assert!(dns.a("minute.example").await.expect("fresh").cached);
    let metrics = &dns.shared.metrics;
    assert_eq!((metrics.stale.get(), metrics.hit.get(), metrics.miss.get()), (1, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn an_expired_answer_is_waited_for_one_attempt_long() {
    let (dns, network) = expired("minute.example", 10_000, Settings::default()).await;
    *network.fails.lock().expect("no panic") = None;
    let begun = Instant::now();
    assert!(dns.a("minute.example").await.expect("stale").cached);
    assert_eq!(begun.elapsed(), Settings::default().timeout);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(dns.a("minute.example").await.expect("what came late").cached);
    assert_eq!(dns.shared.metrics.hit.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_servers_that_are_known_to_be_down() {
    let (dns, network) = expired("minute.example", 1000, Settings::default()).await;
    network.down.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    for _ in 0..3 {
        assert!(dns.a("minute.example").await.expect("stale").cached);
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    tokio::task::yield_now().await;
    assert_eq!(network.sent.load(Ordering::SeqCst), 1, "asked all the same");
}

#[tokio::test(start_paused = true)]
async fn an_expired_answer_serves_when_too_many_questions_are_on_their_way() {
    let (dns, network) = expired("minute.example", 50, Settings { in_flight: 1, ..Settings::default() }).await;
    *network.fails.lock().expect("no panic") = None;
    let (other, stale) = tokio::join!(dns.a("minute.other.example"), dns.a("minute.example"));
    assert_eq!((other.map(|answer| answer.cached), stale.map(|answer| answer.cached)), (Ok(false), Ok(true)));
}

#[tokio::test(start_paused = true)]
async fn no_address_of_thousands_is_left_out() {
    let (dns, _) = cache(0, Settings::default());
    for cached in [false, true] {
        let answer = dns.a("many.example").await.expect("an answer");
        assert_eq!((answer.records.len(), answer.cached), (4000, cached));
    }
    assert_eq!(dns.shared.metrics.cut.get(), 0);
}

#[test]
fn of_names_without_end_the_first_are_kept() {
    let long: Arc<str> = "x".repeat(250).into();
    for make in [Records::Ptr as fn(_) -> _, Records::Ns] {
        let mut records: Records = make(vec![long.clone(); 5000].into());
        assert!(records.truncate(OCTETS));
        assert!(records.octets() <= OCTETS && records.len() > 500);
        assert!(!records.truncate(OCTETS), "once");
    }
    // What the largest message of DNS can hold of the smallest texts.
    let mut texts = Records::Txt(vec!["".into(); 65_535 / 13].into());
    assert!(!texts.truncate(OCTETS));
}

/// As a list hears of an answer: whether there is one, and where it comes from.
async fn heard(dns: &Cache<Counting>, name: &str, freshness: Freshness) -> (Result<bool, LookupError>, Origin) {
    let heard = dns.hear_a(name, freshness, Duration::from_secs(2)).await;
    (heard.answer.map(|answer| answer.exists), heard.origin)
}

#[tokio::test(start_paused = true)]
async fn who_wants_to_know_how_it_is_now_is_never_answered_from_memory() {
    for (name, exists) in [("minute.example", true), ("nowhere.example", false)] {
        let (dns, sent) = cache(50, Settings::default());
        assert_eq!(heard(&dns, name, Freshness::Now).await, (Ok(exists), Origin::Asked), "{name}");
        assert_eq!(heard(&dns, name, Freshness::Holds).await, (Ok(exists), Origin::Memory), "{name}");
        let (first, second) = tokio::join!(heard(&dns, name, Freshness::Now), heard(&dns, name, Freshness::Now));
        assert_eq!((first, second), ((Ok(exists), Origin::Asked), (Ok(exists), Origin::Joined)), "{name}");
        assert_eq!(sent.load(Ordering::SeqCst), 2, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_now_is_what_is_remembered() {
    let (dns, sent) = cache(50, Settings::default());
    dns.a("minute.example").await.expect("an answer");
    tokio::time::advance(Duration::from_secs(50)).await;
    assert_eq!(heard(&dns, "minute.example", Freshness::Now).await, (Ok(true), Origin::Asked));
    tokio::time::advance(Duration::from_secs(50)).await;
    assert!(dns.a("minute.example").await.expect("an answer").cached);
    assert_eq!(sent.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_news_to_one_asker_only() {
    let (dns, sent) = cache(50, Settings::default());
    let ask = |freshness| heard(&dns, "broken.example", freshness);
    let failed = Err(LookupError::ServerFailure);
    let (first, second) = tokio::join!(ask(Freshness::Holds), ask(Freshness::Holds));
    assert_eq!((first, second), ((failed, Origin::Asked), (failed, Origin::Joined)));
    assert_eq!(ask(Freshness::Holds).await, (failed, Origin::Memory));
    assert_eq!(ask(Freshness::Now).await, (failed, Origin::Asked));
    assert_eq!(sent.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn an_expired_answer_is_never_one_of_a_list() {
    for (takes_ms, why) in [(50, LookupError::Timeout), (10_000, LookupError::Timeout)] {
        let (dns, network) = expired("minute.example", takes_ms, Settings::default()).await;
        network.down.store(takes_ms == 50, Ordering::SeqCst);
        assert_eq!(heard(&dns, "minute.example", Freshness::Holds).await, (Err(why), Origin::Asked));
        assert!(dns.a("minute.example").await.expect("others take it").cached);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_network_strands_nobody() {
    let (dns, sent) = cache(50, Settings::default());
    for _ in 0..2 {
        assert_eq!(dns.a("panics.example").await, Err(LookupError::Unreachable));
    }
    assert_eq!(sent.load(Ordering::SeqCst), 2);
    assert_eq!(dns.shared.metrics.in_flight.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn questions_beyond_the_bound_are_refused_and_others_still_join() {
    let (dns, sent) = cache(50, Settings { in_flight: 2, ..Settings::default() });
    let names = ["minute.a.example", "minute.b.example", "minute.c.example", "minute.a.example"];
    let replies = join_all(names.map(|name| dns.a(name))).await;
    let fate: Vec<_> = replies.iter().map(|reply| reply.as_ref().map(|_| ()).map_err(|why| *why)).collect();
    assert_eq!(fate, [Ok(()), Ok(()), Err(LookupError::Overloaded), Ok(())]);
    assert_eq!(sent.load(Ordering::SeqCst), 2);
    assert!(dns.a("minute.c.example").await.is_ok(), "the bound is on what travels, not on what was asked");
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_and_keeps_what_was_used_last() {
    for (cache_entries, shards) in [(0, 1), (100, 6), (8 * SHARDS * SHARD_AT_LEAST, SHARDS)] {
        let (dns, _) = cache(0, Settings { cache_entries, ..Settings::default() });
        assert_eq!(dns.shared.shards.len(), shards);
        for number in 0..2000 {
            dns.a("minute.used.example").await.expect("an answer");
            dns.a(&format!("minute.{number}.example")).await.expect("an answer");
        }
        let kept: usize = dns.shared.shards.iter().map(|shard| shard.lock().expect("no panic").shelf.len()).sum();
        assert!(kept <= cache_entries.max(1), "{kept} of {cache_entries}");
        assert_eq!(dns.a("minute.used.example").await.expect("an answer").cached, cache_entries > 0);
    }
}

#[tokio::test]
async fn what_is_no_name_is_never_sent() {
    let (dns, sent) = cache(0, Settings::default());
    assert_eq!(dns.a("a\tb").await, Err(LookupError::NotAName));
    assert_eq!(sent.load(Ordering::SeqCst), 0);
}
