//! Lists in every weather: what sessions see of them, and what operators do.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::future::{BoxFuture, join_all};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::sleep;

use super::super::health::Answered;
use super::super::{CodePattern, Dnsbl, Points, Settings, Shared, Subject, Test, Thing, points, source, tester};
use super::*;
use crate::checks::Check;
use crate::checks::auth::{self, Authenticator};
use crate::checks::client_name::ClientNames;
use crate::dns::question::{Network, Question, Records, Response};
use crate::dns::{self, Answer, Lookup, LookupError, Mx};
use crate::facts::ClientFacts;
use crate::scoring::{Outcome, Skip, Symbol};

const BREAK: Duration = Duration::from_secs(30);
const CLEAN: [u8; 4] = [192, 0, 2, 1];
const SPAMMER: [u8; 4] = [192, 0, 2, 66];

/// How the servers of a list are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    /// It lists the spammer and its test point.
    Fine,
    /// It refuses questions of public resolvers.
    Refuses,
    /// It lists everything.
    ListsEverything,
    /// It lists nothing.
    ListsNothing,
    /// Its servers fail.
    Fails,
    /// Nobody answers.
    Silent,
    /// It is right, and slow.
    Slow,
    /// Its domain was sold, and every name leads to a shop.
    Parked,
}

/// The zone of one list, and nothing else.
struct Zone(Mutex<Weather>);

impl Zone {
    fn set(&self, weather: Weather) {
        *lock(&self.0) = weather;
    }

    async fn answer(&self, name: &str) -> Result<Answer<Ipv4Addr>, LookupError> {
        let listed = ["66.2.0.192.list.example", "2.0.0.127.list.example"].contains(&name);
        let weather = *lock(&self.0);
        let code = match weather {
            Weather::Fine => listed.then_some([127, 0, 0, 2]),
            Weather::Slow => {
                sleep(Duration::from_millis(1500)).await;
                listed.then_some([127, 0, 0, 2])
            }
            Weather::Refuses => Some([127, 255, 255, 254]),
            Weather::ListsEverything => Some([127, 0, 0, 2]),
            Weather::ListsNothing => None,
            Weather::Fails => return Err(LookupError::ServerFailure),
            Weather::Silent => {
                sleep(Duration::from_secs(3)).await;
                return Err(LookupError::Timeout);
            }
            Weather::Parked => Some([198, 51, 100, 80]),
        };
        let records = code.map(Ipv4Addr::from).into_iter().collect();
        Ok(Answer { records, exists: code.is_some(), cached: false })
    }
}

fn nothing<T: Send + 'static>() -> BoxFuture<'static, Result<Answer<T>, LookupError>>
where
    Arc<[T]>: From<[T; 0]>,
{
    Box::pin(async { Err(LookupError::ServerFailure) })
}

impl Lookup for Zone {
    fn a<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Ipv4Addr>, LookupError>> {
        Box::pin(self.answer(name))
    }
    fn aaaa<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Answer<Ipv6Addr>, LookupError>> {
        nothing()
    }
    fn ptr(&self, _: IpAddr) -> BoxFuture<'_, Result<Answer<Arc<str>>, LookupError>> {
        nothing()
    }
    fn txt<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Answer<Arc<str>>, LookupError>> {
        nothing()
    }
    fn mx<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Answer<Mx>, LookupError>> {
        nothing()
    }
    fn ns<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Answer<Arc<str>>, LookupError>> {
        nothing()
    }
}

/// A site with one list, and somebody who tests it.
struct Site {
    zone: Arc<Zone>,
    shared: Shared,
    check: Option<Dnsbl<source::Client>>,
    registry: prometheus::Registry,
}

fn settings() -> Settings {
    let any: CodePattern = "*".parse().expect("a pattern");
    Settings { codes: vec![(any, Symbol::known("LISTED"))], ..Settings::new("test", "list.example") }
}

fn site(weather: Weather) -> Site {
    let zone = Arc::new(Zone(Mutex::new(weather)));
    site_of(zone.clone(), zone)
}

fn site_of(zone: Arc<Zone>, dns: Arc<dyn Lookup>) -> Site {
    let registry = prometheus::Registry::new();
    let metrics = Metrics::new();
    metrics.register(&registry).expect("names that are free");
    let shared = Shared {
        client_names: ClientNames::new(1, dns.clone()),
        authenticator: Authenticator::new(auth::Settings::default(), dns.clone()),
        skipped: Arc::default(),
        lists: Lists::new(metrics),
        dns,
    };
    tokio::spawn(tester::run(Arc::downgrade(&shared.lists), shared.dns.clone()));
    let check = Some(Dnsbl::new(settings(), source::Client, &shared));
    Site { zone, shared, check, registry }
}

impl Site {
    async fn asks(&self, addr: [u8; 4]) -> Outcome {
        let facts = ClientFacts::new(addr.into(), "edge".into(), "mx.example.net".into(), None);
        Check::run(self.check.as_ref().expect("a list"), &facts).await
    }

    /// Clients for so many minutes, one of each kind every ten seconds; how often an outcome came.
    async fn clients(&self, minutes: u64) -> BTreeMap<String, usize> {
        let mut outcomes = BTreeMap::new();
        for _ in 0..minutes * 6 {
            for (who, addr) in [("clean", CLEAN), ("spammer", SPAMMER)] {
                let outcome = self.asks(addr).await;
                *outcomes.entry(format!("{who} {}", outcome.label())).or_default() += 1;
            }
            sleep(Duration::from_secs(10)).await;
        }
        outcomes
    }

    /// The value of a metric, or no number if there is none; all of its children with these label values together.
    fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let families = self.registry.gather();
        let Some(family) = families.iter().find(|family| family.name() == name) else { return f64::NAN };
        let fits = |metric: &&prometheus::proto::Metric| {
            labels.iter().all(|label| metric.get_label().iter().any(|pair| pair.value() == *label))
        };
        let value =
            |metric: &prometheus::proto::Metric| metric.get_counter().get_value() + metric.get_gauge().get_value();
        family.get_metric().iter().filter(fits).map(value).sum()
    }
}

/// Only words that the table below knows.
fn told(outcomes: &BTreeMap<String, usize>) -> Vec<&str> {
    outcomes.keys().map(String::as_str).collect()
}

#[tokio::test(start_paused = true)]
async fn no_weather_makes_a_clean_client_a_listed_one() {
    let suspended = &["clean skipped", "spammer skipped"][..];
    for (weather, seen, reason) in [
        (Weather::Fine, &["clean clear", "spammer found"][..], None),
        (Weather::Slow, &["clean clear", "spammer found"], None),
        (Weather::Refuses, suspended, Some("error_code")),
        (Weather::Parked, suspended, Some("error_code")),
        (Weather::ListsEverything, suspended, Some("lists_everything")),
        (Weather::ListsNothing, suspended, Some("lists_nothing")),
    ] {
        let site = site(weather);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(told(&site.clients(60).await), seen, "{weather:?} from the start");
        assert_eq!(site.metric("gatepost_list_up", &["test"]), f64::from(u8::from(reason.is_none())), "{weather:?}");
        if let Some(reason) = reason {
            assert_eq!(
                site.metric("gatepost_list_suspensions_total", &["test", reason]),
                1.0,
                "{weather:?}, said once"
            );
        }
        site.zone.set(Weather::Fine);
        sleep(Duration::from_secs(400)).await;
        assert_eq!(told(&site.clients(5).await), ["clean clear", "spammer found"], "{weather:?} is over");
        assert_eq!(site.metric("gatepost_list_up", &["test"]), 1.0);
    }
}

#[tokio::test(start_paused = true)]
async fn weather_that_changes_finds_no_clean_client_either() {
    for weather in [Weather::Refuses, Weather::Parked, Weather::ListsEverything, Weather::Fails, Weather::Silent] {
        for minutes in [2, 7, 20] {
            let site = site(Weather::Fine);
            site.clients(minutes).await;
            site.zone.set(weather);
            let seen = site.clients(30).await;
            assert!(!seen.contains_key("clean found"), "{weather:?} after {minutes} minutes: {seen:?}");
            site.zone.set(Weather::Fine);
            sleep(Duration::from_secs(400)).await;
            assert_eq!(told(&site.clients(2).await), ["clean clear", "spammer found"], "{weather:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn servers_that_fail_cost_few_sessions_any_time() {
    for (weather, outcome) in [(Weather::Fails, "failed"), (Weather::Silent, "timed_out")] {
        let site = site(Weather::Fine);
        site.clients(1).await;
        site.zone.set(weather);
        let seen = site.clients(60).await;
        let of = |outcome: &str| seen.iter().filter(|(seen, _)| seen.ends_with(outcome)).map(|(_, count)| count).sum();
        let (waited, skipped): (usize, usize) = (of(outcome), of("skipped"));
        assert_eq!(waited + skipped, 720, "{weather:?}: {seen:?}");
        assert!((100..150).contains(&waited), "{weather:?}: ten, then one in half a minute: {seen:?}");
        assert_eq!(site.metric("gatepost_list_suspensions_total", &["no_answer"]), 1.0, "said once");
        assert_eq!(site.metric("gatepost_list_up", &["test"]), 0.0);
        site.zone.set(Weather::Fine);
        sleep(BREAK).await;
        assert_eq!(told(&site.clients(5).await), ["clean clear", "spammer found"]);
        assert_eq!(site.metric("gatepost_list_up", &["test"]), 1.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_in_a_flood_raises_an_alert_and_goes_on() {
    let site = site(Weather::Fine);
    for _ in 0..300 {
        assert_eq!(site.asks(SPAMMER).await.label(), "found");
    }
    assert_eq!(site.metric("gatepost_list_alert", &["test", "constant_firing"]), 1.0);
    assert_eq!(site.metric("gatepost_list_up", &["test"]), 1.0);
    assert_eq!(site.metric("gatepost_list_answers_total", &["test", "listed"]), 300.0);
    for _ in 0..200 {
        assert_eq!(site.asks(CLEAN).await.label(), "clear");
    }
    assert_eq!(site.metric("gatepost_list_alert", &["test", "constant_firing"]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_reload_neither_forgives_nor_forgets() {
    let mut site = site(Weather::ListsEverything);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(site.asks(CLEAN).await, Outcome::Skipped(Skip::Suspended("lists_everything")));
    // Other symbols and weights are the same list; the old rule set goes when the new one is there.
    let changed = Settings { shadow: true, codes: Vec::new(), ..settings() };
    site.check = Some(Dnsbl::new(changed, source::Client, &site.shared));
    assert_eq!(site.asks(CLEAN).await, Outcome::Skipped(Skip::Suspended("lists_everything")));
    assert_eq!(site.shared.lists.alive().len(), 1);
    assert_eq!(site.metric("gatepost_list_suspensions_total", &["test"]), 1.0);
    // Another zone is another list.
    let other = Settings { zone: "other.example".into(), ..settings() };
    site.check = Some(Dnsbl::new(other, source::Client, &site.shared));
    assert_eq!(site.shared.lists.alive().len(), 1);
    site.check = None;
    assert_eq!(site.shared.lists.alive().len(), 0);
    assert!(site.metric("gatepost_list_up", &["test"]).is_nan(), "out of sight");
}

#[tokio::test(start_paused = true)]
async fn a_rule_set_that_is_refused_leaves_nothing_behind() {
    let site = site(Weather::Fine);
    drop(site.shared.lists.monitor(points::plan(&Settings { zone: "typo.example".into(), ..settings() })));
    let alive = site.shared.lists.alive();
    assert_eq!(alive.iter().map(|list| list.plan().zone.as_str()).collect::<Vec<_>>(), ["list.example"]);
    assert_eq!(site.metric("gatepost_list_up", &["test"]), 1.0);
}

/// The zone behind the network, as our cache sees it: every answer holds for a quarter of an hour.
struct Far(Arc<Zone>, Arc<AtomicUsize>);

impl Network for Far {
    async fn ask(&self, question: &Question) -> Result<Response, LookupError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_millis(20)).await;
        let answer = self.0.answer(question.name()).await?;
        let ttl = Some(Duration::from_secs(900));
        Ok(Response { records: Records::A(answer.records), exists: answer.exists, ttl })
    }
}

/// A site whose answers pass through the cache, and the number of questions sent.
fn site_with_memory(settings: &dns::Settings) -> (Site, Arc<AtomicUsize>) {
    let (zone, sent) = (Arc::new(Zone(Mutex::new(Weather::Fine))), Arc::new(AtomicUsize::new(0)));
    let network = Far(zone.clone(), sent.clone());
    let cache = dns::cache::Cache::new(network, settings, Arc::new(dns::Metrics::new()));
    (site_of(zone, Arc::new(cache)), sent)
}

#[tokio::test(start_paused = true)]
async fn no_listing_is_confirmed_from_memory() {
    for weather in [Weather::ListsEverything, Weather::Parked, Weather::Refuses] {
        let (site, _) = site_with_memory(&dns::Settings::default());
        sleep(Duration::from_secs(5)).await;
        assert_eq!(site.asks(SPAMMER).await.label(), "found");
        site.zone.set(weather);
        sleep(Duration::from_secs(11)).await;
        assert_eq!(
            site.asks(CLEAN).await.label(),
            if weather == Weather::ListsEverything { "skipped" } else { "failed" }
        );
        assert_eq!(site.asks([192, 0, 2, 2]).await.label(), "skipped", "{weather:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_of_test_points_closes_no_breaker() {
    let (site, _) = site_with_memory(&dns::Settings::default());
    sleep(Duration::from_secs(5)).await;
    site.zone.set(Weather::Fails);
    for last in 1..=10 {
        assert_eq!(site.asks([192, 0, 2, last]).await.label(), "failed");
    }
    assert_eq!(site.metric("gatepost_list_up", &["test"]), 0.0);
    let list = site.shared.lists.alive().remove(0);
    tester::round(&list, &site.shared.dns).await;
    assert_eq!(site.metric("gatepost_list_up", &["test"]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn an_expired_listing_is_none() {
    let (site, _) = site_with_memory(&dns::Settings::default());
    sleep(Duration::from_secs(5)).await;
    assert_eq!(site.asks(SPAMMER).await.label(), "found");
    site.zone.set(Weather::Fails);
    sleep(Duration::from_secs(901)).await;
    for _ in 0..3 {
        assert_ne!(site.asks(SPAMMER).await.label(), "found");
    }
}

#[tokio::test(start_paused = true)]
async fn ten_sessions_that_wait_for_one_answer_are_one_failure() {
    let (site, _) = site_with_memory(&dns::Settings::default());
    sleep(Duration::from_secs(5)).await;
    site.zone.set(Weather::Fails);
    join_all((0..20).map(|_| site.asks(CLEAN))).await;
    join_all((0..20).map(|_| site.asks(CLEAN))).await;
    assert_eq!(site.metric("gatepost_list_up", &["test"]), 1.0);
}

#[tokio::test(start_paused = true)]
async fn all_who_want_a_listing_confirmed_share_one_round() {
    let (site, sent) = site_with_memory(&dns::Settings::default());
    sleep(Duration::from_secs(60)).await;
    site.zone.set(Weather::ListsEverything);
    let before = sent.load(Ordering::SeqCst);
    let outcomes = join_all((2..7).map(|last| site.asks([192, 0, 2, last]))).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Skipped(Skip::Suspended("lists_everything"))));
    assert_eq!(sent.load(Ordering::SeqCst) - before, 5 + 2, "five clients and two test points");
    site.zone.set(Weather::Fine);
    // A quarter of an hour is what the addresses are remembered for.
    sleep(Duration::from_secs(70)).await;
    assert_eq!(site.metric("gatepost_list_up", &["test"]), 1.0, "tested again after 30 s, and no later");
}

#[tokio::test(start_paused = true)]
async fn a_message_of_many_links_is_one_failure() {
    let (site, _) = site_with_memory(&dns::Settings::default());
    let settings =
        Settings { of: Subject::Url, points: Points { test: Test::None, ..Points::default() }, ..settings() };
    let check = Dnsbl::new(settings, source::Client, &site.shared);
    sleep(Duration::from_secs(5)).await;
    site.zone.set(Weather::Fails);
    let names: Vec<Thing> = (0..10).map(|number| Thing::Name(format!("a{number}.example").into())).collect();
    assert_eq!(check.look(&names).await.label(), "failed");
    assert!(check.monitored.admit().is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_is_the_list_that_is_asked() {
    let mut site = site(Weather::ListsEverything);
    sleep(Duration::from_secs(1)).await;
    let other = || Settings { zone: "other.example".into(), ..settings() };
    // A rule set that was refused, and had another list of that name.
    drop(Dnsbl::new(other(), source::Client, &site.shared));
    assert_eq!(site.metric("gatepost_list_up", &["test"]), 0.0);
    // One that is in force, while a session still holds the old.
    let old = site.check.replace(Dnsbl::new(other(), source::Client, &site.shared));
    let of_old = Arc::clone(&old.expect("a list").monitored);
    assert_eq!(site.metric("gatepost_list_up", &["test"]), 1.0);
    for _ in 0..200 {
        let note = Note { answer: Answered::Listed, origin: Origin::Asked, took: Duration::ZERO, again: false };
        of_old.answered(note);
    }
    assert_eq!(site.metric("gatepost_list_alert", &["test", "constant_firing"]), 0.0);
    assert_eq!(site.metric("gatepost_list_up", &["test"]), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_list_is_asked_before_its_first_test() {
    let site = site(Weather::Slow);
    assert_eq!(site.asks(CLEAN).await, Outcome::Clear);
}
