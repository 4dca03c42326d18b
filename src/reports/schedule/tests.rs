use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use prometheus::Registry;
use tokio::time::sleep;

use super::*;
use crate::dns::{FixedDns, LookupError};
use crate::reports::sample;
use crate::store::{MemoryStore, Metrics as StoreMetrics, Settings as StoreSettings};

const OWN: &str = "rua@author.example";

/// Wall-clock time that goes with the paused one; it begins in the evening of the hundredth day.
struct Evening {
    began: Instant,
    days_late: u64,
}

impl Clock for Evening {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs((101 + self.days_late) * sample::DAY - 1800) + self.began.elapsed()
    }
}

/// Takes down to whom and what, and answers as told; in the end it takes everything.
#[derive(Clone, Default)]
struct Book {
    answers: Arc<Mutex<VecDeque<Delivered>>>,
    parcels: Arc<Mutex<Vec<Parcel>>>,
}

impl Delivery for Book {
    fn deliver(&self, parcel: Parcel) -> BoxFuture<'_, Delivered> {
        let answer = self.answers.lock().expect("a book").pop_front().unwrap_or(Delivered::Taken);
        self.parcels.lock().expect("a book").push(parcel);
        Box::pin(std::future::ready(answer))
    }
}

struct World {
    store: Arc<MemoryStore>,
    dns: Arc<FixedDns>,
    clock: Arc<Evening>,
    book: Book,
    metrics: Metrics,
    stop: CancellationToken,
}

impl World {
    async fn new(rua: &[(&str, Option<u64>)], dns: FixedDns, answers: impl IntoIterator<Item = Delivered>) -> Self {
        Self::late(0, rua, dns, answers).await
    }

    /// One in which the proxy comes back days after the end of the day.
    async fn late(
        days_late: u64,
        rua: &[(&str, Option<u64>)],
        dns: FixedDns,
        answers: impl IntoIterator<Item = Delivered>,
    ) -> Self {
        let registry = Registry::new();
        let clock = Arc::new(Evening { began: Instant::now(), days_late });
        let store_metrics = StoreMetrics::register(&registry).expect("constant names");
        let store = Arc::new(MemoryStore::new(&StoreSettings::default(), clock.clone(), store_metrics));
        store.dmarc_observed(sample::observation(rua)).await.expect("a row");
        let book = Book { answers: Arc::new(Mutex::new(answers.into_iter().collect())), ..Book::default() };
        let metrics = Metrics::register(&registry).expect("constant names");
        let mut world = Self { store, dns: Arc::new(dns), clock, book, metrics, stop: CancellationToken::new() };
        world.restart();
        world
    }

    /// Ends whoever sends, and begins anew on the same store.
    fn restart(&mut self) {
        self.stop.cancel();
        self.stop = CancellationToken::new();
        let schedule = Schedule {
            settings: sample::settings(),
            store: self.store.clone(),
            dns: self.dns.clone(),
            delivery: Box::new(self.book.clone()),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
        };
        tokio::spawn(schedule.run(self.stop.clone()));
    }

    fn sent(&self) -> Vec<String> {
        self.book.parcels.lock().expect("a book").iter().map(|parcel| parcel.to.to_string()).collect()
    }

    async fn waiting(&self) -> usize {
        self.store.dmarc_due(self.clock.now()).await.expect("batches").len()
    }
}

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

fn later() -> Delivered {
    Delivered::Later("451".to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_day_is_reported_once_after_it_has_ended() {
    let world = World::new(&[(OWN, None)], FixedDns::new(), []).await;
    sleep(Duration::from_secs(1700)).await;
    assert!(world.sent().is_empty(), "the day is not over");
    sleep(hours(5)).await;
    assert_eq!(world.sent(), [OWN]);
    assert_eq!((world.waiting().await, world.metrics.counted(Fortune::Sent)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_taken_is_tried_again_and_the_rest_is_not_repeated() {
    let rua = [(OWN, None), ("two@author.example", None), (OWN, None)];
    let world = World::new(&rua, FixedDns::new(), [Delivered::Taken, later(), later()]).await;
    sleep(hours(2)).await;
    assert_eq!(world.waiting().await, 1, "done only after delivery");
    sleep(hours(4)).await;
    assert_eq!(world.sent(), [OWN, "two@author.example", "two@author.example", "two@author.example"]);
    assert_eq!(world.waiting().await, 0);
    let names: HashSet<String> =
        world.book.parcels.lock().expect("a book").iter().map(|parcel| parcel.file_name.clone()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_repeats_nothing() {
    let rua = [(OWN, None), ("two@author.example", None)];
    let mut world = World::new(&rua, FixedDns::new(), [Delivered::Taken, later()]).await;
    sleep(hours(2)).await;
    world.restart();
    sleep(hours(2)).await;
    assert_eq!(world.sent(), [OWN, "two@author.example", "two@author.example"]);
    assert_eq!(world.waiting().await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_report_is_sent_is_reported_by_itself() {
    let world = World::new(&[(OWN, None)], FixedDns::new(), [later()]).await;
    sleep(hours(2)).await;
    world.store.dmarc_observed(sample::observation(&[(OWN, None)])).await.expect("a row");
    sleep(hours(4)).await;
    assert_eq!(world.sent(), [OWN, OWN, OWN]);
    let names: Vec<String> =
        world.book.parcels.lock().expect("a book").iter().map(|parcel| parcel.file_name.clone()).collect();
    assert!(names[0] == names[1] && names[1] != names[2], "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_late_is_tried_once() {
    let world = World::late(5, &[(OWN, None)], FixedDns::new(), []).await;
    sleep(hours(1)).await;
    assert_eq!((world.sent().len(), world.metrics.counted(Fortune::Expired)), (1, 0));
    let world = World::late(5, &[(OWN, None)], FixedDns::new(), [later()]).await;
    sleep(hours(5)).await;
    assert_eq!((world.sent().len(), world.metrics.counted(Fortune::Expired), world.waiting().await), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_nothing() {
    let world = World::new(&[(OWN, None)], FixedDns::new(), []).await;
    let mut beyond = sample::observation(&[("rua@other.example", None)]);
    beyond.record.domain = "other.example".into();
    beyond.row.dkim = vec![("d".repeat(5000).into(), "s".to_owned(), crate::facts::AuthResult::Fail)];
    world.store.dmarc_observed(beyond).await.expect("left out");
    sleep(hours(5)).await;
    assert_eq!(world.sent(), [OWN]);
    assert_eq!((world.metrics.counted(Fortune::Empty), world.waiting().await), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_final() {
    let world = World::new(&[(OWN, None)], FixedDns::new(), [Delivered::Refused("550".to_owned())]).await;
    sleep(hours(5)).await;
    assert_eq!((world.sent().len(), world.waiting().await), (1, 0));
    assert_eq!(world.metrics.counted(Fortune::Refused), 1);
}

#[tokio::test(start_paused = true)]
async fn after_three_days_nobody_cares() {
    let world = World::new(&[(OWN, None)], FixedDns::new(), vec![later(); 200]).await;
    sleep(hours(70)).await;
    assert_eq!(world.waiting().await, 1);
    sleep(hours(6)).await;
    assert_eq!((world.waiting().await, world.metrics.counted(Fortune::Expired)), (0, 1));
    let tries = world.sent().len();
    sleep(hours(5)).await;
    assert_eq!(world.sent().len(), tries);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_written_to_who_has_not_asked() {
    let dns = FixedDns::new()
        .txt("author.example._report._dmarc.reports.example", ["v=DMARC1; rua=mailto:better@reports.example"])
        .fail("author.example._report._dmarc.sick.example", LookupError::Timeout);
    let rua = [
        ("a@victim.example", None),
        ("a@reports.example", None),
        ("no address", None),
        ("small@author.example", Some(10)),
        ("a@sick.example", None),
        ("beyond@author.example", None),
    ];
    let world = World::new(&rua, dns, []).await;
    sleep(hours(2)).await;
    assert_eq!(world.sent(), ["better@reports.example"]);
    assert_eq!(world.waiting().await, 1, "DNS may know more another time");
    for fortune in [Fortune::Unwanted, Fortune::Sent, Fortune::Unusable, Fortune::TooLarge] {
        assert_eq!(world.metrics.counted(fortune), 1, "{fortune:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_told() {
    let world = World::new(&[(OWN, None)], FixedDns::new(), []).await;
    world.stop.cancel();
    sleep(hours(5)).await;
    assert!(world.sent().is_empty());
}
