//! What every home of the store must do; all pass the same battery.

mod blocks;
mod campaigns;
mod classifier;
mod deliveries;
mod greylist;
mod rates;
mod reputation;

use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use prometheus::Registry;
use tempfile::TempDir;

use super::*;
use crate::clock::Clock;
use crate::facts::{AuthResult, DmarcPolicy, DmarcRecord};
use blocks::who_is_blocked_is_so_until_it_is_over_or_taken_back;
use campaigns::{
    an_attachment_leads_to_its_campaign, campaigns_are_counted_and_found_again,
    what_is_learned_of_a_message_holds_for_its_campaign,
};
use classifier::{lessons_count_once_and_can_be_taken_back, of_too_many_lessons_the_oldest_stay_learned};
use deliveries::{deliveries_are_known_until_they_are_dropped_or_old, of_too_many_deliveries_the_first_are_forgotten};
use greylist::{
    triplets_are_looked_up_together_as_they_were_noted, triplets_of_one_network_displace_no_others,
    what_triplets_were_told_is_believed_within_reason,
};
use rates::{buckets_that_are_in_use_outlive_a_flood, takings_are_answered_in_their_order_and_alone};
use reputation::{many_networks_displace_nobody_who_is_well_known, reputations_fade_and_are_reset};

/// A clock that goes when it is told to.
#[derive(Debug)]
pub(super) struct Hands(Mutex<SystemTime>);

impl Hands {
    pub(super) fn at(time: SystemTime) -> Arc<Self> {
        Arc::new(Self(Mutex::new(time)))
    }

    fn set(&self, time: SystemTime) {
        *self.0.lock().expect("no panic") = time;
    }
}

impl Clock for Hands {
    fn now(&self) -> SystemTime {
        *self.0.lock().expect("no panic")
    }
}

/// Midnight of a day long after 1970.
pub(super) fn day(number: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs((20_000 + number) * record::DAY)
}

fn hour(number: u64) -> Duration {
    Duration::from_secs(number * 3600)
}

pub(super) fn metrics() -> Metrics {
    Metrics::register(&Registry::new()).expect("registered once")
}

pub(super) fn sighting(hop: &str, author: &str, kind: SightingKind, at: SystemTime) -> Sighting {
    Sighting { hop: hop.into(), author_domain: author.into(), kind, at }
}

pub(super) fn observation(domain: &str, source: &str, at: SystemTime) -> DmarcObservation {
    let record = DmarcRecord {
        domain: domain.into(),
        policy: DmarcPolicy::Reject,
        subdomain_policy: DmarcPolicy::Quarantine,
        nonexistent_policy: DmarcPolicy::Reject,
        strict_dkim: true,
        strict_spf: false,
        testing: false,
        rua: vec![("reports@example.org".to_owned(), Some(1000)), ("more@example.org".to_owned(), None)],
        failure_options: "0".to_owned(),
    };
    let row = DmarcRow {
        source: source.parse().expect(source),
        header_from: domain.into(),
        envelope_from: "".into(),
        disposition: Disposition::None,
        overridden: Some(Override::JudgedAsAWhole),
        spf_aligned: false,
        dkim_aligned: true,
        spf: ("hop.example".into(), AuthResult::SoftFail),
        dkim: vec![
            (domain.into(), "s1".to_owned(), AuthResult::Pass),
            ("b.example".into(), "s2".to_owned(), AuthResult::PermError),
        ],
    };
    DmarcObservation { record, row, at }
}

/// What is due half an hour after `at`, looked at and put back.
pub(super) async fn batches(store: &dyn Store, at: SystemTime) -> Vec<DmarcBatch> {
    store.flush().await.expect("safe");
    let (now, mut claimed) = (at + REPORT_GRACE, Vec::new());
    for id in store.dmarc_due(now).await.expect("readable") {
        claimed.push(store.dmarc_claim(id, now).await.expect("readable").expect("nobody has it"));
        store.dmarc_put_back(id).await.expect("written");
    }
    claimed
}

pub(super) async fn hops(store: &dyn Store) -> Vec<HopRecord> {
    store.flush().await.expect("safe");
    store.hops(WantedHops::ALL).await.expect("readable")
}

/// One kind of home, as the battery opens it.
trait Home {
    /// Its bounds hold for parts of it, and so for the whole only about.
    const IS_DIVIDED: bool = false;

    /// False, with a word, if it cannot be had here.
    fn is_here() -> bool {
        true
    }

    fn open_counting(settings: &Settings, clock: Arc<dyn Clock>, metrics: Metrics) -> (Arc<dyn Store>, Ground);

    fn open(settings: &Settings, clock: Arc<dyn Clock>) -> (Arc<dyn Store>, Ground) {
        Self::open_counting(settings, clock, metrics())
    }
}

/// What a home stands on, and what is gone after a test.
type Ground = Option<Box<dyn std::any::Any>>;

struct Memory;
struct Embedded;
struct Redis;
struct RedisCluster;

impl Home for Memory {
    fn open_counting(settings: &Settings, clock: Arc<dyn Clock>, metrics: Metrics) -> (Arc<dyn Store>, Ground) {
        (Arc::new(MemoryStore::new(settings, clock, metrics)), None)
    }
}

impl Home for Embedded {
    fn open_counting(settings: &Settings, clock: Arc<dyn Clock>, metrics: Metrics) -> (Arc<dyn Store>, Ground) {
        let directory = TempDir::new().expect("a temporary directory");
        let path = directory.path().join("store.redb");
        let store = EmbeddedStore::open(&path, settings, clock, metrics).expect("a new file");
        (Arc::new(store), Some(Box::new(directory)))
    }
}

impl Home for Redis {
    const IS_DIVIDED: bool = true;

    fn is_here() -> bool {
        redis::tests::server::is_here()
    }

    fn open_counting(settings: &Settings, clock: Arc<dyn Clock>, metrics: Metrics) -> (Arc<dyn Store>, Ground) {
        let (store, ground) = redis::tests::open(settings, clock, metrics);
        (Arc::new(store), Some(ground))
    }
}

impl Home for RedisCluster {
    const IS_DIVIDED: bool = true;

    fn is_here() -> bool {
        redis::tests::server::is_here()
    }

    fn open_counting(settings: &Settings, clock: Arc<dyn Clock>, metrics: Metrics) -> (Arc<dyn Store>, Ground) {
        let (store, ground) = redis::tests::cluster::open(settings, clock, metrics);
        (Arc::new(store), Some(ground))
    }
}

/// A batch in short: its domain, the source and messages of each row, what was left out.
type Summary<'b> = (&'b str, Vec<(String, u64)>, u64);

fn summary(batches: &[DmarcBatch]) -> Vec<Summary<'_>> {
    let of = |batch: &DmarcBatch| {
        let mut rows: Vec<_> = batch.rows.iter().map(|(row, count)| (row.source.to_string(), *count)).collect();
        rows.sort();
        rows
    };
    batches.iter().map(|batch| (&*batch.domain, of(batch), batch.left_out)).collect()
}

async fn counts_hops<H: Home>() {
    let clock = Hands::at(day(0));
    let (store, _directory) = H::open(&Settings::default(), clock);
    use SightingKind::{Broken, Direct, Forwarded, Unauthenticated};
    for (hop, author, kind, at) in [
        ("quiet.example", "a.example", Forwarded, day(0)),
        ("busy.example", "a.example", Forwarded, day(0) + hour(1)),
        ("busy.example", "b.example", Forwarded, day(0)),
        ("busy.example", "a.example", Forwarded, day(0) + hour(3)),
        ("busy.example", "c.example", Broken, day(0) + hour(2)),
        ("busy.example", "d.example", Unauthenticated, day(0) + hour(2)),
        ("busy.example", "d.example", Direct, day(0) + hour(2)),
        ("busy.example", "d.example", Direct, day(0) + hour(2)),
    ] {
        store.sighted(sighting(hop, author, kind, at)).await.expect("counted");
    }
    let known = hops(&*store).await;
    let busy = HopRecord {
        hop: "busy.example".into(),
        counts: [3, 1, 1, 2],
        author_domains: vec!["a.example".into(), "b.example".into()],
        first: day(0),
        last: day(0) + hour(3),
    };
    assert_eq!(known.first(), Some(&busy));
    assert_eq!(known.iter().map(|hop| &*hop.hop).collect::<Vec<_>>(), ["busy.example", "quiet.example"]);
    store.sighted(sighting("noise.example", "a.example", Broken, day(0))).await.expect("counted");
    assert_eq!(hops(&*store).await.len(), 3);
    for (forwarding, most, expected) in [(true, 9, 2), (true, 1, 1), (false, 9, 3), (false, 0, 0)] {
        let some = store.hops(WantedHops { forwarding, most }).await.expect("readable");
        assert_eq!(some.len(), expected, "{forwarding} {most}");
        assert!(some.first().is_none_or(|hop| &*hop.hop == "busy.example"));
    }
}

async fn noise_displaces_noise<H: Home>() {
    let clock = Hands::at(day(0));
    let (store, _directory) = H::open(&Settings { hops: 32, ..Settings::default() }, clock);
    for _ in 0..5 {
        store.sighted(sighting("honest.example", "a.example", SightingKind::Forwarded, day(0))).await.expect("counted");
    }
    for number in 0..200 {
        let noise =
            sighting(&format!("{number}.example"), "a.example", SightingKind::Unauthenticated, day(0) + hour(number));
        store.sighted(noise).await.expect("counted");
    }
    let known = hops(&*store).await;
    assert!(known.len() <= 32, "{}", known.len());
    assert_eq!(&*known[0].hop, "honest.example");
    assert!(known.iter().any(|hop| &*hop.hop == "199.example"), "the latest noise displaces older noise");
    let many = (0..300).map(|number| format!("{number}.example"));
    for author in many {
        store.sighted(sighting("honest.example", &author, SightingKind::Forwarded, day(0))).await.expect("counted");
    }
    let known = hops(&*store).await;
    assert_eq!((known[0].counts[0], known[0].author_domains.len()), (305, record::AUTHOR_DOMAINS));
}

async fn forgets_what_is_old<H: Home>() {
    let clock = Hands::at(day(0));
    // Reports are kept until they can have been delivered, however short the memory.
    let settings = Settings { retention: Duration::from_secs(2 * record::DAY), ..Settings::default() };
    let metrics = metrics();
    let (store, _directory) = H::open_counting(&settings, clock.clone(), metrics.clone());
    store.sighted(sighting("old.example", "a.example", SightingKind::Forwarded, day(0))).await.expect("counted");
    store.dmarc_observed(observation("old.example", "192.0.2.1", day(0))).await.expect("counted");
    clock.set(day(2));
    assert_eq!(hops(&*store).await.len(), 1);
    assert_eq!(batches(&*store, day(4)).await.len(), 1);
    clock.set(day(7));
    assert_eq!(hops(&*store).await, []);
    assert_eq!(batches(&*store, day(7)).await, []);
    // The clock says so twice, and both are forgotten, step by step.
    for hours in 0..5 {
        clock.set(day(7) + hour(hours));
        let late = sighting("new.example", "a.example", SightingKind::Forwarded, day(7));
        store.sighted(late).await.expect("counted");
        store.flush().await.expect("safe");
    }
    assert_eq!(metrics.lost(), [1, 0], "nobody had fetched the report");
    clock.set(day(0));
    assert_eq!(hops(&*store).await.len(), 1, "what was forgotten does not come back");
}

async fn a_clock_that_leaps_for_a_moment_destroys_nothing<H: Home>() {
    let clock = Hands::at(day(0));
    let (store, _directory) = H::open(&Settings::default(), clock.clone());
    let honest = || sighting("honest.example", "a.example", SightingKind::Forwarded, day(0));
    store.sighted(honest()).await.expect("counted");
    store.dmarc_observed(observation("a.example", "192.0.2.1", day(0))).await.expect("counted");
    for (leap, back) in [(day(120), day(0) + hour(1)), (day(1000), day(0) + hour(3)), (day(0), day(0) + hour(5))] {
        for time in [leap, leap + hour(0), back, back + hour(1)] {
            clock.set(time);
            store.sighted(sighting("other.example", "a.example", SightingKind::Direct, day(0))).await.expect("counted");
            store.flush().await.expect("safe");
        }
    }
    assert_eq!(hops(&*store).await.len(), 2);
    assert_eq!(batches(&*store, day(1)).await.len(), 1);
}

async fn a_claim_closes_a_batch_and_is_one_caller_s_for_a_while<H: Home>() {
    let clock = Hands::at(day(0));
    let (store, _directory) = H::open(&Settings::default(), clock);
    let observed = || observation("a.example", "192.0.2.1", day(0));
    store.dmarc_observed(observed()).await.expect("counted");
    let now = day(1) + REPORT_GRACE;
    store.flush().await.expect("safe");
    assert_eq!(
        store.dmarc_due(now - Duration::from_secs(1)).await.expect("readable"),
        [0; 0],
        "some are still under way"
    );
    let [id] = store.dmarc_due(now).await.expect("readable")[..] else { panic!("one batch") };
    assert_eq!(store.dmarc_claim(id, day(1)).await.expect("readable"), None, "not due yet");
    let first = store.dmarc_claim(id, now).await.expect("readable").expect("nobody has it");
    // Later mail of the same day does not change it, nor is it lost with it.
    store.dmarc_observed(observed()).await.expect("counted");
    store.flush().await.expect("safe");
    assert_eq!(store.dmarc_claim(id, now).await.expect("readable"), None, "somebody has it");
    let [other] = store.dmarc_due(now).await.expect("readable")[..] else { panic!("the later one") };
    assert_ne!(other, id);
    store.dmarc_settled(id, "rua@a.example".into()).await.expect("noted");
    let again = store.dmarc_claim(id, now + LEASE).await.expect("readable").expect("whoever had it is gone");
    assert_eq!((&again.rows, &*again.settled[0]), (&first.rows, "rua@a.example"));
    store.dmarc_done(id).await.expect("forgotten");
    let later = batches(&*store, day(1)).await;
    assert_eq!(summary(&later), [("a.example", vec![("192.0.2.1".to_owned(), 1)], 0)]);
    assert_eq!(store.dmarc_claim(99, now).await.expect("readable"), None);
}

async fn equal_rows_are_counted_together<H: Home>() {
    let clock = Hands::at(day(0));
    let (store, _directory) = H::open(&Settings::default(), clock);
    for (domain, source, at) in [
        ("a.example", "192.0.2.1", day(0)),
        ("a.example", "192.0.2.1", day(0) + hour(23)),
        ("a.example", "192.0.2.2", day(0) + hour(5)),
        ("b.example", "2001:db8::1", day(0)),
        ("a.example", "192.0.2.1", day(1)),
    ] {
        store.dmarc_observed(observation(domain, source, at)).await.expect("counted");
    }
    assert_eq!(batches(&*store, day(0) + hour(23)).await, [], "the day is not over");
    let due = batches(&*store, day(1)).await;
    let one = |source: &str, count| (source.to_owned(), count);
    assert_eq!(
        summary(&due),
        [
            ("a.example", vec![one("192.0.2.1", 2), one("192.0.2.2", 1)], 0),
            ("b.example", vec![one("2001:db8::1", 1)], 0)
        ]
    );
    assert_eq!((due[0].begin, due[0].end), (day(0), day(1)));
    assert_eq!(due[1].rows, [(observation("b.example", "2001:db8::1", day(0)).row, 1)], "nothing of a row is lost");
    assert_eq!(due[1].record, observation("b.example", "192.0.2.9", day(0)).record);

    store.dmarc_done(due[0].id).await.expect("forgotten");
    store.dmarc_done(due[0].id).await.expect("twice is once");
    let left = batches(&*store, day(2)).await;
    assert_eq!(
        left.iter().map(|batch| (&*batch.domain, batch.begin)).collect::<Vec<_>>(),
        [("b.example", day(0)), ("a.example", day(1))]
    );
}

async fn a_record_that_changes_is_reported_as_last_seen<H: Home>() {
    let clock = Hands::at(day(0));
    let (store, _directory) = H::open(&Settings::default(), clock);
    let before = observation("a.example", "192.0.2.1", day(0));
    let mut after = before.clone();
    after.record.policy = DmarcPolicy::None;
    store.dmarc_observed(before).await.expect("counted");
    store.dmarc_observed(after.clone()).await.expect("counted");
    let due = batches(&*store, day(1)).await;
    assert_eq!((&due[0].record, &due[0].rows), (&after.record, &vec![(after.row.clone(), 2)]));
}

async fn nobody_takes_anothers_share_of_rows<H: Home>() {
    let clock = Hands::at(day(0));
    let (store, _directory) = H::open(&Settings { report_rows: 1000, ..Settings::default() }, clock);
    // One source with signatures of ever new names takes a tenth of the domain's share, which is a tenth.
    for number in 0..50 {
        let mut junk = observation("a.example", "192.0.2.66", day(0));
        junk.row.dkim[0].1 = format!("s{number}");
        store.dmarc_observed(junk).await.expect("counted");
    }
    for number in 0..150 {
        let source = format!("192.0.2.{}", number % 250);
        let mut row = observation("a.example", &source, day(0));
        row.row.header_from = "sub.a.example".into();
        store.dmarc_observed(row).await.expect("counted");
    }
    store.dmarc_observed(observation("b.example", "192.0.2.1", day(0))).await.expect("counted");
    let due = batches(&*store, day(1)).await;
    let summary: Vec<_> = due.iter().map(|batch| (&*batch.domain, batch.rows.len(), batch.left_out)).collect();
    assert_eq!(summary, [("a.example", 100, 100), ("b.example", 1, 0)]);
    let of_one = due[0].rows.iter().filter(|(row, _)| row.source.to_string() == "192.0.2.66").count();
    assert_eq!(of_one, 10);
}

async fn where_rows_are_short_the_longest_report_gives<H: Home>() {
    let (clock, metrics) = (Hands::at(day(0)), metrics());
    let settings = Settings { report_rows: 200, ..Settings::default() };
    let (store, _directory) = H::open_counting(&settings, clock, metrics.clone());
    // Ten domains with as many rows as one may have use all there are.
    for domain in 0..10 {
        for number in 0..20 {
            let row = observation(&format!("{domain}.example"), &format!("192.0.{number}.1"), day(0));
            store.dmarc_observed(row).await.expect("counted");
        }
    }
    store.dmarc_observed(observation("late.example", "192.0.2.1", day(0))).await.expect("counted");
    let due = batches(&*store, day(1)).await;
    assert_eq!(due.iter().map(|batch| batch.rows.len()).sum::<usize>(), 196);
    assert_eq!(due.iter().map(|batch| batch.left_out).sum::<u64>(), 5);
    assert!(due.iter().any(|batch| &*batch.domain == "late.example" && batch.rows.len() == 1));
    // Days later nobody has fetched anything: the old gives way to the new, one report after the other.
    for number in 0..20 {
        store.dmarc_observed(observation("new.example", &format!("192.0.{number}.1"), day(5))).await.expect("counted");
    }
    let due = batches(&*store, day(6)).await;
    assert!(due.iter().any(|batch| &*batch.domain == "new.example" && batch.rows.len() == 20));
    assert!(due.iter().map(|batch| batch.rows.len()).sum::<usize>() <= 200);
    let [expired, displaced] = metrics.lost();
    assert!(expired == 0 && displaced > 0, "no report goes unsaid");
}

async fn a_long_row_counts_as_several<H: Home>() {
    let clock = Hands::at(day(0));
    let (store, _directory) = H::open(&Settings { report_rows: 1000, ..Settings::default() }, clock);
    for number in 0..200 {
        let mut long = observation("a.example", &format!("192.0.{number}.1"), day(0));
        long.row.dkim[0].1 = "s".repeat(3000);
        store.dmarc_observed(long).await.expect("counted");
    }
    let due = batches(&*store, day(1)).await;
    // The share of the domain is a hundred rows of 512 octets.
    assert!((10..=17).contains(&due[0].rows.len()), "{}", due[0].rows.len());
    assert_eq!(due[0].rows.len() as u64 + due[0].left_out, 200);
}

async fn what_is_beyond_all_measure_is_left_out<H: Home>() {
    let clock = Hands::at(day(0));
    let (store, _directory) = H::open(&Settings::default(), clock);
    let mut record = observation("a.example", "192.0.2.1", day(0));
    record.record.rua = vec![("x".repeat(5000), None)];
    let mut row = observation("b.example", "192.0.2.1", day(0));
    row.row.dkim = vec![("d".repeat(5000).into(), "s".to_owned(), AuthResult::Fail)];
    store.dmarc_observed(record).await.expect("no failure");
    store.dmarc_observed(row).await.expect("no failure");
    store.sighted(sighting(&"h".repeat(300), "a.example", SightingKind::Forwarded, day(0))).await.expect("no failure");
    assert_eq!(summary(&batches(&*store, day(1)).await), [("b.example", vec![], 1)]);
    assert_eq!(hops(&*store).await, []);
    store.flush().await.expect("safe");
}

macro_rules! battery {
    ($($home:ident in $module:ident: [$($test:ident),* $(,)?]);* $(;)?) => {$(
        mod $module {
            $(
                #[tokio::test]
                async fn $test() {
                    if <super::$home as super::Home>::is_here() {
                        super::$test::<super::$home>().await;
                    }
                }
            )*
        }
    )*};
    ($($home:ident in $module:ident),* => $tests:tt) => { battery! { $($home in $module: $tests);* } };
}

battery! { Memory in memory, Embedded in embedded, Redis in redis_server, RedisCluster in redis_cluster => [
    counts_hops,
    noise_displaces_noise,
    forgets_what_is_old,
    equal_rows_are_counted_together,
    a_record_that_changes_is_reported_as_last_seen,
    nobody_takes_anothers_share_of_rows,
    where_rows_are_short_the_longest_report_gives,
    a_clock_that_leaps_for_a_moment_destroys_nothing,
    a_claim_closes_a_batch_and_is_one_caller_s_for_a_while,
    a_long_row_counts_as_several,
    what_is_beyond_all_measure_is_left_out,
    triplets_are_looked_up_together_as_they_were_noted,
    what_triplets_were_told_is_believed_within_reason,
    triplets_of_one_network_displace_no_others,
    takings_are_answered_in_their_order_and_alone,
    buckets_that_are_in_use_outlive_a_flood,
    reputations_fade_and_are_reset,
    deliveries_are_known_until_they_are_dropped_or_old,
    of_too_many_deliveries_the_first_are_forgotten,
    lessons_count_once_and_can_be_taken_back,
    of_too_many_lessons_the_oldest_stay_learned,
    many_networks_displace_nobody_who_is_well_known,
    campaigns_are_counted_and_found_again,
    what_is_learned_of_a_message_holds_for_its_campaign,
    an_attachment_leads_to_its_campaign,
    who_is_blocked_is_so_until_it_is_over_or_taken_back,
] }
