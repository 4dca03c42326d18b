//! The cache over a network that counts: how often is a question really sent, and who gets what?

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::*;

/// Answers every A question after `takes`, by the first label of its name.
#[derive(Clone, Default)]
struct Counting {
    sent: Arc<AtomicUsize>,
    takes: Duration,
}

impl Network for Counting {
    async fn ask(&self, question: &Question) -> Result<Response, LookupError> {
        self.sent.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
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
            "broken" => Err(LookupError::ServerFailure),
            "panics" => panic!("as asked for"),
            other => panic!("no answer for {other}"),
        }
    }
}

fn cache(takes_ms: u64, settings: Settings) -> (Cache<Counting>, Arc<AtomicUsize>) {
    let network = Counting { takes: Duration::from_millis(takes_ms), ..Counting::default() };
    let sent = network.sent.clone();
    (Cache::new(network, &settings, Arc::new(Metrics::new())), sent)
}

#[tokio::test(start_paused = true)]
async fn answers_hold_as_long_as_they_say_within_bounds() {
    for (name, kept_s, gone_s) in [
        ("minute.example", 59, 61),
        ("zero.example", 4, 6),
        ("year.example", 86_399, 86_401),
        ("nothing.example", 599, 601),
        ("nowhere.example", 899, 901),
        ("soaless.example", 29, 31),
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
async fn errors_reach_all_who_wait_and_are_forgotten() {
    let (dns, sent) = cache(50, Settings::default());
    let replies = join_all((0..3).map(|_| dns.a("broken.example"))).await;
    assert!(replies.iter().all(|reply| *reply == Err(LookupError::ServerFailure)));
    assert_eq!(dns.a("broken.example").await, Err(LookupError::ServerFailure));
    assert_eq!(sent.load(Ordering::SeqCst), 2);
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
    let (dns, _) = cache(0, Settings { cache_entries: 8 * SHARDS, ..Settings::default() });
    for number in 0..1000 {
        dns.a("minute.used.example").await.expect("an answer");
        dns.a(&format!("minute.{number}.example")).await.expect("an answer");
    }
    let kept: usize = dns.shared.shards.iter().map(|shard| shard.lock().expect("no panic").known.len()).sum();
    assert!(kept <= 8 * SHARDS, "{kept}");
    assert!(dns.a("minute.used.example").await.expect("an answer").cached);
}

#[tokio::test]
async fn what_is_no_name_is_never_sent() {
    let (dns, sent) = cache(0, Settings::default());
    assert_eq!(dns.a("a\tb").await, Err(LookupError::NotAName));
    assert_eq!(sent.load(Ordering::SeqCst), 0);
}
