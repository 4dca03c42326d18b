use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::store::{HopRecord, StoreError};
use futures_util::future::BoxFuture;

const READY: Readiness = Readiness { listening: true, backends_ready: 2, draining: false, rules_from_snapshot: false };

struct Fixed(Mutex<Readiness>);

impl Health for Fixed {
    fn readiness(&self) -> Readiness {
        *self.0.lock().expect("no panic")
    }
}

struct Admin {
    address: SocketAddr,
    health: Arc<Fixed>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<io::Result<()>>,
}

async fn admin() -> Admin {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let (address, stop) = (listener.local_addr().expect("bound"), CancellationToken::new());
    let health = Arc::new(Fixed(Mutex::new(READY)));
    let registry = metrics::registry().expect("constant names");
    let pages = Pages::new(registry, health.clone(), None);
    let task = tokio::spawn(run(listener, pages, stop.clone()));
    Admin { address, health, stop, task }
}

async fn request(address: SocketAddr, line: &str) -> String {
    request_of(address, line, "127.0.0.1:9125").await
}

async fn request_of(address: SocketAddr, line: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connect");
    let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("write");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    answer
}

#[tokio::test]
async fn what_tells_more_than_monitoring_needs_is_not_told_to_who_asks_for_a_name() {
    let admin = admin().await;
    for (line, host, status) in [
        ("GET /metrics", "gatepost.internal:9125", 200),
        ("GET /forwarders", "gatepost.internal:9125", 421),
        ("POST /greylist/pass", "rebound.example", 421),
        ("GET /greylist", "LocalHost:9125", 200),
        ("GET /greylist", "[::1]:9125", 200),
        ("GET /greylist", "", 421),
    ] {
        let answer = request_of(admin.address, line, host).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line} {host}: {answer}");
    }
}

#[tokio::test]
async fn pages_answer_in_their_own_words() {
    let admin = admin().await;
    for (line, status, holds) in [
        ("GET /metrics", 200, "gatepost_build_info"),
        ("GET /metrics", 200, "content-type: text/plain; version=0.0.4"),
        ("GET /healthz", 200, "ok\n"),
        ("GET /readyz", 200, r#"{"ready":true,"listening":true,"backends_ready":2,"draining":false}"#),
        ("GET /forwarders", 200, "[]"),
        ("GET /forwarders?all=true&limit=5", 200, "[]"),
        ("GET /forwarders?limit=many", 400, ""),
        ("GET /forwarders?al=true", 400, ""),
        ("POST /forwarders", 405, ""),
        ("GET /greylist", 200, "[]"),
        ("GET /greylist?waiting=true&limit=5", 200, "[]"),
        ("GET /greylist?limit=-1", 400, ""),
        ("GET /greylist/pass", 405, ""),
        ("POST /greylist/pass", 415, ""),
        ("GET /reputation?limit=5", 200, "[]"),
        ("GET /reputation?limit=-1", 400, ""),
        ("GET /reputation/reset", 405, ""),
        ("POST /reputation/reset", 415, ""),
        ("GET /blocks", 200, "[]"),
        ("GET /blocks/add", 405, ""),
        ("POST /blocks/add", 415, ""),
        ("GET /bulk", 200, "[]"),
        ("GET /bulk?limit=5", 200, "[]"),
        ("GET /bulk/show?id=beef", 200, "[]"),
        ("GET /classifier", 200, r#""lessons":0"#),
        ("GET /classifier/teach", 405, ""),
        ("POST /classifier/teach", 415, ""),
        ("GET /learn", 405, ""),
        ("POST /learn", 415, ""),
        ("GET /", 404, ""),
        ("POST /readyz", 405, ""),
        ("GET /metrics/../etc/passwd", 404, ""),
    ] {
        let answer = request(admin.address, line).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(holds), "{line}: {answer}");
    }
}

#[tokio::test]
async fn readiness_names_the_first_obstacle() {
    let admin = admin().await;
    for (readiness, reason) in [
        (Readiness { draining: true, ..READY }, "draining"),
        (Readiness { listening: false, ..READY }, "listeners not bound"),
        (Readiness { backends_ready: 0, ..READY }, "no backend ready"),
    ] {
        *admin.health.0.lock().expect("no panic") = readiness;
        let answer = request(admin.address, "GET /readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains(reason), "{reason}: {answer}");
        assert!(request(admin.address, "GET /healthz").await.starts_with("HTTP/1.1 200"), "alive all the same");
    }
}

#[tokio::test]
async fn it_ends_when_told_even_with_a_connection_that_says_nothing() {
    let admin = admin().await;
    let silent = TcpStream::connect(admin.address).await.expect("connect");
    assert!(request(admin.address, "GET /healthz").await.starts_with("HTTP/1.1 200"));
    admin.stop.cancel();
    admin.task.await.expect("no panic").expect("no error");
    drop(silent);
}

#[tokio::test]
async fn silent_connections_make_room_when_their_time_is_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("bound");
    let router = Router::new().route("/healthz", get(async || "ok\n"));
    let bounded = Bounded::new(listener, 2, Duration::from_millis(50));
    tokio::spawn(serve(bounded, router).into_future());
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(TcpStream::connect(address).await.expect("connect"));
    }
    assert!(request(address, "GET /healthz").await.starts_with("HTTP/1.1 200"), "as soon as they are gone");
}

/// A store that is asked, and never answers.
#[derive(Default)]
struct Silent(Mutex<Vec<WantedHops>>);

impl Forwarders for Silent {
    fn sighted(&self, _: crate::store::Sighting) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn hops(&self, wanted: WantedHops) -> BoxFuture<'_, Result<Vec<HopRecord>, StoreError>> {
        self.0.lock().expect("no panic").push(wanted);
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn all_hops_are_told_to_one_at_a_time() {
    let store = Arc::new(Silent::default());
    let registry = metrics::registry().expect("constant names");
    let health = Arc::new(Fixed(Mutex::new(READY)));
    let pages = Pages::new(registry, health, Some(store.clone()));
    let ask = |pages: Pages| forwarders_page(State(pages), Query(Asked { all: false, limit: 7 }));
    let first = ask(pages.clone());
    tokio::pin!(first);
    assert!(futures_util::poll!(&mut first).is_pending());
    assert_eq!(ask(pages).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(*store.0.lock().expect("no panic"), [WantedHops { forwarding: true, most: 7 }]);
}

#[tokio::test]
async fn triplets_are_told_and_changed_by_hand() {
    let clock = crate::clock::system();
    let store_metrics = crate::store::Metrics::register(&Registry::new()).expect("registered once");
    let store =
        Arc::new(crate::store::MemoryStore::new(&crate::store::Settings::default(), clock.clone(), store_metrics));
    let settings = Box::new(crate::checks::greylist::Settings::default);
    let desk = Arc::new(greylist::Desk { store, settings, clock });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let (address, stop) = (listener.local_addr().expect("bound"), CancellationToken::new());
    let health = Arc::new(Fixed(Mutex::new(READY)));
    let registry = metrics::registry().expect("constant names");
    let pages = Pages::new(registry, health, None).with_greylist(Some(desk));
    tokio::spawn(run(listener, pages, stop.clone()));
    let post = async |page: &str, kind: &str, body: &str| {
        let mut stream = TcpStream::connect(address).await.expect("connect");
        let head = format!("POST {page} HTTP/1.0\r\nContent-Type: {kind}\r\nContent-Length: {}", body.len());
        stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.expect("write");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        answer
    };
    let meant = r#"{"client":"192.0.2.7","sender":"a@x.example","recipient":"b@ours.example"}"#;
    let json = "application/json";
    let show = "GET /greylist/show?client=192.0.2.99&sender=a%40x.example&recipient=B%40ours.example";
    assert!(request(address, show).await.ends_with("\r\n\r\n[]"));
    // A form is what a web page could send.
    assert!(post("/greylist/pass", "text/plain", meant).await.contains(" 415 "));
    assert!(post("/greylist/pass", json, r#"{"sender":"a@x.example"}"#).await.contains(" 400 "));
    assert!(post("/greylist/pass", json, r#"{"client":"nobody"}"#).await.contains(" 400 "));
    assert!(post("/greylist/pass", json, meant).await.contains("by hand"));
    let told = request(address, show).await;
    assert!(told.contains(r#""holder":"192.0.2.0""#) && told.contains(r#""state":"by hand""#), "{told}");
    assert!(request(address, "GET /greylist").await.contains("by hand"));
    let key = told.split(r#""key":""#).nth(1).and_then(|rest| rest.split('"').next()).expect("a key");
    assert!(request(address, &format!("GET /greylist/show?key={key}")).await.contains("by hand"));
    assert!(post("/greylist/drop", json, &format!(r#"{{"key":"{key}"}}"#)).await.ends_with("[]"));
    assert!(request(address, "GET /greylist").await.ends_with("[]"));
    stop.cancel();
}

#[tokio::test]
async fn reputations_are_told_and_reset() {
    use crate::store::{Fading, Reputations, Reputed};

    let clock = crate::clock::system();
    let store_metrics = crate::store::Metrics::register(&Registry::new()).expect("registered once");
    let store =
        Arc::new(crate::store::MemoryStore::new(&crate::store::Settings::default(), clock.clone(), store_metrics));
    let network = Reputed::Network("192.0.2.0/24".into());
    let (domain, pair) =
        (Reputed::Domain("a.example".into()), Reputed::Pair("a.example".into(), "192.0.2.0/24".into()));
    for _ in 0..9 {
        let whose = vec![network.clone(), domain.clone(), pair.clone()];
        store.reputation_note(whose, 0.0, 1.0, Fading::default(), clock.now()).await.expect("noted");
    }
    let settings = Box::new(crate::checks::reputation::Settings::default);
    let desk = Arc::new(reputation::Desk { store, settings, clock });
    let health = Arc::new(Fixed(Mutex::new(READY)));
    let registry = metrics::registry().expect("constant names");
    let pages = Pages::new(registry, health, None).with_reputation(Some(desk));
    let entries = |answer: String| -> Vec<reputation::Entry> {
        let body = answer.split("\r\n\r\n").nth(1).expect("a body");
        serde_json::from_str(body).unwrap_or_else(|why| panic!("{answer}: {why}"))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let (address, stop) = (listener.local_addr().expect("bound"), CancellationToken::new());
    tokio::spawn(run(listener, pages, stop.clone()));
    let post = async |body: &str| {
        let mut stream = TcpStream::connect(address).await.expect("connect");
        let head = "POST /reputation/reset HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length:";
        stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await.expect("write");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        answer
    };
    for (whose, expected) in [
        ("", 3),
        ("?limit=2", 2),
        ("?whose=192.0.2.77", 2),
        ("?whose=192.0.2.0/24", 2),
        ("?whose=mail.A.example", 2),
        ("?whose=b.example", 0),
    ] {
        let known = entries(request(address, &format!("GET /reputation{whose}")).await);
        assert_eq!(known.len(), expected, "{whose}: {known:?}");
        assert!(known.iter().all(|entry| entry.bad > 8.9 && entry.estimate.is_some_and(|share| share > 0.8)));
    }
    assert!(request(address, "GET /reputation?whose=nobody").await.contains("neither a network nor a domain"));
    assert!(post(r#"{"whose":"b.example"}"#).await.ends_with(r#"{"forgotten":0}"#));
    assert!(post(r#"{"who":"a.example"}"#).await.contains(" 422 "));
    assert!(post(r#"{"whose":"a.example"}"#).await.ends_with(r#"{"forgotten":2}"#));
    assert!(post("{}").await.ends_with(r#"{"forgotten":1}"#));
    assert_eq!(entries(request(address, "GET /reputation").await), []);
    stop.cancel();
}

#[tokio::test]
async fn campaigns_are_told_and_learned() {
    let clock = crate::clock::system();
    let store_metrics = crate::store::Metrics::register(&Registry::new()).expect("registered once");
    let store =
        Arc::new(crate::store::MemoryStore::new(&crate::store::Settings::default(), clock.clone(), store_metrics));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let (address, stop) = (listener.local_addr().expect("bound"), CancellationToken::new());
    let health = Arc::new(Fixed(Mutex::new(READY)));
    let registry = metrics::registry().expect("constant names");
    let pages = Pages::new(registry, health, None).with_bulk(Some(Arc::new(bulk::Desk { store, clock })));
    tokio::spawn(run(listener, pages, stop.clone()));
    let learn = async |spam, message: &str| {
        let body = serde_json::to_string(&bulk::Lesson::new(spam, message.as_bytes())).expect("JSON");
        let mut stream = TcpStream::connect(address).await.expect("connect");
        let head = format!("POST /learn HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
        stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.expect("write");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        answer
    };
    let text = "Subject: x\n\nA text of some words which many have sent to everybody whom they could think of.\n";
    let told = learn(true, text).await;
    assert!(told.contains(r#""volume":0"#) && told.contains(r#""spam":1,"ham":0"#), "{told}");
    let id = told.split(r#""id":""#).nth(1).and_then(|rest| rest.split('"').next()).expect("a name").to_owned();
    let told = learn(false, &text.replace("Subject: x", "Subject: y").replace('\n', "\r\n")).await;
    assert!(told.contains(&id) && told.contains(r#""spam":1,"ham":1"#), "{told}");
    for (line, status, holds) in [
        ("GET /bulk", 200, id.as_str()),
        ("GET /bulk/show?id=beef", 200, "[]"),
        ("GET /bulk/show?id=nothing", 400, "`nothing` names no campaign"),
        (&format!("GET /bulk/show?id={id}"), 200, r#""ham":1"#),
    ] {
        let answer = request(address, line).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(holds), "{line}: {answer}");
    }
    assert!(learn(true, "Subject: x\n\n").await.contains(" 422 "));
    stop.cancel();
}
