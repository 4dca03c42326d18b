//! What every home of the store must do; both pass the same battery.

use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use prometheus::Registry;
use tempfile::TempDir;

use super::*;
use crate::clock::Clock;
use crate::facts::{AuthResult, DmarcPolicy};

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
    DmarcObservation {
        record,
        source: source.parse().expect(source),
        header_from: domain.into(),
        envelope_from: "".into(),
        disposition: DmarcPolicy::None,
        overridden: Some(("trusted_forwarder", "known".to_owned())),
        spf_aligned: false,
        dkim_aligned: true,
        spf: ("hop.example".into(), true, AuthResult::SoftFail),
        dkim: vec![
            (domain.into(), "s1".to_owned(), AuthResult::Pass),
            ("b.example".into(), "s2".to_owned(), AuthResult::PermError),
        ],
        at,
    }
}

/// One kind of home, as the battery opens it.
trait Home {
    fn open(settings: &Settings, clock: Arc<dyn Clock>) -> (Arc<dyn Store>, Option<TempDir>);
}

struct Memory;
struct Embedded;

impl Home for Memory {
    fn open(settings: &Settings, clock: Arc<dyn Clock>) -> (Arc<dyn Store>, Option<TempDir>) {
        (Arc::new(MemoryStore::new(settings, clock, metrics())), None)
    }
}

impl Home for Embedded {
    fn open(settings: &Settings, clock: Arc<dyn Clock>) -> (Arc<dyn Store>, Option<TempDir>) {
        let directory = TempDir::new().expect("a temporary directory");
        let path = directory.path().join("store.redb");
        let store = EmbeddedStore::open(&path, settings, clock, metrics()).expect("a new file");
        (Arc::new(store), Some(directory))
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
    let hops = store.hops().await.expect("readable");
    let busy = HopRecord {
        hop: "busy.example".into(),
        counts: [3, 1, 1, 2],
        author_domains: vec!["a.example".into(), "b.example".into()],
        first: day(0),
        last: day(0) + hour(3),
    };
    assert_eq!(hops.first(), Some(&busy));
    assert_eq!(hops.iter().map(|hop| &*hop.hop).collect::<Vec<_>>(), ["busy.example", "quiet.example"]);
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
    let hops = store.hops().await.expect("readable");
    assert!(hops.len() <= 32, "{}", hops.len());
    assert_eq!(&*hops[0].hop, "honest.example");
    assert!(hops.iter().any(|hop| &*hop.hop == "199.example"), "the latest noise displaces older noise");
    let many = (0..300).map(|number| format!("{number}.example"));
    for author in many {
        store.sighted(sighting("honest.example", &author, SightingKind::Forwarded, day(0))).await.expect("counted");
    }
    let hops = store.hops().await.expect("readable");
    assert_eq!((hops[0].counts[0], hops[0].author_domains.len()), (305, record::AUTHOR_DOMAINS));
}

async fn forgets_what_is_old<H: Home>() {
    let clock = Hands::at(day(0));
    let settings = Settings { retention: Duration::from_secs(5 * record::DAY), ..Settings::default() };
    let (store, _directory) = H::open(&settings, clock.clone());
    store.sighted(sighting("old.example", "a.example", SightingKind::Forwarded, day(0))).await.expect("counted");
    store.dmarc_observed(observation("old.example", "192.0.2.1", day(0))).await.expect("counted");
    clock.set(day(4));
    assert_eq!(store.hops().await.expect("readable").len(), 1);
    assert_eq!(store.dmarc_due(day(4)).await.expect("readable").len(), 1);
    clock.set(day(7));
    assert_eq!(store.hops().await.expect("readable"), []);
    assert_eq!(store.dmarc_due(day(7)).await.expect("readable"), []);
    store.sighted(sighting("new.example", "a.example", SightingKind::Forwarded, day(7))).await.expect("counted");
    clock.set(day(0));
    assert_eq!(store.hops().await.expect("readable").len(), 1, "what was forgotten does not come back");
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
    assert_eq!(store.dmarc_due(day(0) + hour(23)).await.expect("readable"), [], "the day is not over");
    let due = store.dmarc_due(day(1)).await.expect("readable");
    let one = |source: &str, count| (source.to_owned(), count);
    assert_eq!(
        summary(&due),
        [
            ("a.example", vec![one("192.0.2.1", 2), one("192.0.2.2", 1)], 0),
            ("b.example", vec![one("2001:db8::1", 1)], 0)
        ]
    );
    assert_eq!((due[0].begin, due[0].end), (day(0), day(1)));
    assert_eq!(due[1].rows, [(observation("b.example", "2001:db8::1", day(0)), 1)], "nothing of a row is lost");
    assert_eq!(due[1].record, observation("b.example", "192.0.2.9", day(0)).record);

    store.dmarc_done(due[0].id).await.expect("forgotten");
    store.dmarc_done(due[0].id).await.expect("twice is once");
    let left = store.dmarc_due(day(2)).await.expect("readable");
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
    let due = store.dmarc_due(day(1)).await.expect("readable");
    assert_eq!((&due[0].record, &due[0].rows), (&after.record, &vec![(after.clone(), 2)]));
}

async fn nobody_takes_anothers_share_of_rows<H: Home>() {
    let clock = Hands::at(day(0));
    let (store, _directory) = H::open(&Settings { report_rows: 1000, ..Settings::default() }, clock);
    // One source with signatures of ever new names takes a tenth of the domain's share, which is a tenth.
    for number in 0..50 {
        let mut junk = observation("a.example", "192.0.2.66", day(0));
        junk.dkim[0].1 = format!("s{number}");
        store.dmarc_observed(junk).await.expect("counted");
    }
    for number in 0..150 {
        let source = format!("192.0.2.{}", number % 250);
        let mut row = observation("a.example", &source, day(0));
        row.header_from = "sub.a.example".into();
        store.dmarc_observed(row).await.expect("counted");
    }
    store.dmarc_observed(observation("b.example", "192.0.2.1", day(0))).await.expect("counted");
    let due = store.dmarc_due(day(1)).await.expect("readable");
    let summary: Vec<_> = due.iter().map(|batch| (&*batch.domain, batch.rows.len(), batch.left_out)).collect();
    assert_eq!(summary, [("a.example", 100, 100), ("b.example", 1, 0)]);
    let of_one = due[0].rows.iter().filter(|(row, _)| row.source.to_string() == "192.0.2.66").count();
    assert_eq!(of_one, 10);
}

async fn where_rows_are_short_the_longest_report_gives<H: Home>() {
    let clock = Hands::at(day(0));
    let (store, _directory) = H::open(&Settings { report_rows: 200, ..Settings::default() }, clock);
    // Ten domains with as many rows as one may have use all there are.
    for domain in 0..10 {
        for number in 0..20 {
            let row = observation(&format!("{domain}.example"), &format!("192.0.{number}.1"), day(0));
            store.dmarc_observed(row).await.expect("counted");
        }
    }
    store.dmarc_observed(observation("late.example", "192.0.2.1", day(0))).await.expect("counted");
    let due = store.dmarc_due(day(1)).await.expect("readable");
    assert_eq!(due.iter().map(|batch| batch.rows.len()).sum::<usize>(), 196);
    assert_eq!(due.iter().map(|batch| batch.left_out).sum::<u64>(), 5);
    assert!(due.iter().any(|batch| &*batch.domain == "late.example" && batch.rows.len() == 1));
    // Days later nobody has fetched anything: the old gives way to the new, one report after the other.
    for number in 0..20 {
        store.dmarc_observed(observation("new.example", &format!("192.0.{number}.1"), day(5))).await.expect("counted");
    }
    let due = store.dmarc_due(day(6)).await.expect("readable");
    assert!(due.iter().any(|batch| &*batch.domain == "new.example" && batch.rows.len() == 20));
    assert!(due.iter().map(|batch| batch.rows.len()).sum::<usize>() <= 200);
}

async fn what_is_beyond_all_measure_is_left_out<H: Home>() {
    let clock = Hands::at(day(0));
    let (store, _directory) = H::open(&Settings::default(), clock);
    let mut record = observation("a.example", "192.0.2.1", day(0));
    record.record.rua = vec![("x".repeat(5000), None)];
    let mut row = observation("b.example", "192.0.2.1", day(0));
    row.dkim = vec![("d".repeat(5000).into(), "s".to_owned(), AuthResult::Fail)];
    store.dmarc_observed(record).await.expect("no failure");
    store.dmarc_observed(row).await.expect("no failure");
    store.sighted(sighting(&"h".repeat(300), "a.example", SightingKind::Forwarded, day(0))).await.expect("no failure");
    assert_eq!(summary(&store.dmarc_due(day(1)).await.expect("readable")), [("b.example", vec![], 1)]);
    assert_eq!(store.hops().await.expect("readable"), []);
    store.flush().await.expect("safe");
}

macro_rules! battery {
    ($($home:ident in $module:ident: [$($test:ident),* $(,)?]);* $(;)?) => {$(
        mod $module {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test::<super::$home>().await;
                }
            )*
        }
    )*};
    ($($home:ident in $module:ident),* => $tests:tt) => { battery! { $($home in $module: $tests);* } };
}

battery! { Memory in memory, Embedded in embedded => [
    counts_hops,
    noise_displaces_noise,
    forgets_what_is_old,
    equal_rows_are_counted_together,
    a_record_that_changes_is_reported_as_last_seen,
    nobody_takes_anothers_share_of_rows,
    where_rows_are_short_the_longest_report_gives,
    what_is_beyond_all_measure_is_left_out,
] }
