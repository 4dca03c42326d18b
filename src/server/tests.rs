//! The server with a scripted dialogue in place of sessions.

use std::sync::Mutex;

use prometheus::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::reload as reloading;
use super::*;
use crate::net::{BoxIo, Refused};
use crate::session::Incoming;
use crate::units::CidrSet;

/// How a session takes being told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Ends when it has heard of draining.
    Obedient,
    /// Needs so many seconds more.
    Slow(u64),
    /// Hears nothing but the cut.
    Stubborn,
    /// Hears nothing.
    Deaf,
    /// Dies at once.
    Panics,
}

struct Script(Manner);

impl Dialogue for Script {
    async fn serve(self: Arc<Self>, mut incoming: Incoming, drain: CancellationToken) {
        let early = incoming.early.escape_ascii().to_string();
        let check = if incoming.health_check { " check" } else { "" };
        let greeting = format!("220 {} at {}{check} [{early}]\r\n", incoming.peer, incoming.local);
        incoming.io.write_all(greeting.as_bytes()).await.expect("the client listens");
        match self.0 {
            Manner::Obedient => drain.cancelled().await,
            Manner::Slow(seconds) => {
                drain.cancelled().await;
                sleep(Duration::from_secs(seconds)).await;
            }
            Manner::Stubborn => incoming.cut.cancelled().await,
            Manner::Deaf => std::future::pending().await,
            Manner::Panics => panic!("as the script says"),
        }
        incoming.io.write_all(b"421\r\n").await.expect("the client listens");
    }

    async fn refuse(self: Arc<Self>, mut io: BoxIo, why: Refused) {
        io.write_all(format!("421 {}\r\n", why.label()).as_bytes()).await.expect("the client listens");
    }

    fn header_patience(&self) -> Duration {
        Duration::from_secs(5)
    }
}

fn listener() -> listener::Settings {
    listener::Settings {
        role: crate::facts::Role::Edge,
        xforward_networks: CidrSet::default(),
        relayed_commands: listener::RelayedCommands::default(),
        command_networks: CidrSet::default(),
        networks: CidrSet::default(),
        auth_without_tls: false,
        pool: None,
        name: "edge".into(),
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: Vec::new(),
        proxy_protocol: false,
        proxy_networks: CidrSet::default(),
        xclient_networks: CidrSet::default(),
    }
}

fn networks(text: &str) -> CidrSet {
    std::iter::once(CidrSet::parse_network(text).expect(text)).collect()
}

fn plan(listener: listener::Settings) -> Plan {
    Plan {
        listeners: vec![listener],
        accept: AcceptLimits { sessions: 10, sessions_per_client: 2, sessions_per_network: 100 },
        admin: None,
        drain: Duration::from_secs(30),
        watch: Vec::new(),
    }
}

/// A running server, and how to reach into it.
struct Running {
    intake: Arc<Intake<Script>>,
    listener: Arc<Listener>,
    address: SocketAddr,
    admin: Option<SocketAddr>,
    orders: mpsc::Sender<Order>,
    registry: Registry,
    ended: tokio::task::JoinHandle<Ended>,
}

fn start_with(plan: Plan, manner: Manner, loader: Loader) -> Running {
    let registry = Registry::new();
    let (orders, receiver) = mpsc::channel(4);
    let backends: BackendsReady = Arc::new(|| 1);
    let dialogue = Arc::new(Script(manner));
    let server = Server::bind(plan, Inherited::default(), registry.clone(), dialogue, loader, backends).expect("bind");
    Running {
        intake: Arc::clone(&server.intake),
        listener: Arc::clone(&server.listeners[0].0),
        address: server.addresses()[0],
        admin: server.admin_address(),
        orders,
        registry,
        ended: tokio::spawn(server.run(receiver)),
    }
}

fn start(plan: Plan, manner: Manner) -> Running {
    start_with(plan, manner, Arc::new(|_| Err(reloading::Refused::because("nothing to load"))))
}

impl Running {
    /// A connection from `peer` that needs no network, so that time can stand still.
    fn connect(&self, peer: &str) -> DuplexStream {
        let (near, far) = tokio::io::duplex(4096);
        let local = SocketAddr::from(([198, 51, 100, 2], 25));
        self.intake.take_io(self.listener.current(), Box::new(near), peer.parse().expect(peer), local);
        far
    }

    fn counter(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).expect(name);
        let labelled = |metric: &&prometheus::proto::Metric| {
            label.is_empty() || metric.get_label().iter().any(|pair| pair.value() == label)
        };
        family.get_metric().iter().find(labelled).expect(label).get_counter().get_value()
    }
}

async fn line(io: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\n") {
        match io.read_u8().await {
            Ok(byte) => text.push(byte),
            Err(_closed) => break,
        }
    }
    String::from_utf8(text).expect("text").trim_end().to_owned()
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_transactions_but_not_for_ever() {
    for (manner, seconds, cut) in
        [(Manner::Obedient, 0, 0), (Manner::Slow(10), 10, 0), (Manner::Stubborn, 30, 1), (Manner::Deaf, 32, 1)]
    {
        let server = start(plan(listener()), manner);
        let mut client = server.connect("192.0.2.1:4000");
        assert_eq!(line(&mut client).await, "220 192.0.2.1:4000 at 198.51.100.2:25 []");
        let began = Instant::now();
        server.orders.send(Order::Stop).await.expect("obeys");
        assert_eq!(server.ended.await.expect("no panic"), Ended { cut }, "{manner:?}");
        assert_eq!(began.elapsed().as_secs(), seconds, "{manner:?}");
        let farewell = if manner == Manner::Deaf { "" } else { "421" };
        assert_eq!(line(&mut client).await, farewell, "{manner:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn stop_said_twice_waits_for_no_transaction() {
    let server = start(plan(listener()), Manner::Stubborn);
    let mut client = server.connect("192.0.2.1:4000");
    line(&mut client).await;
    let began = Instant::now();
    for _ in 0..2 {
        server.orders.send(Order::Stop).await.expect("obeys");
    }
    assert_eq!(server.ended.await.expect("no panic"), Ended { cut: 1 });
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(line(&mut client).await, "421");
}

#[tokio::test]
async fn a_server_on_a_real_socket_answers_tells_and_ends() {
    let admin = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let server = start(Plan { admin, ..plan(listener()) }, Manner::Obedient);
    let mut client = TcpStream::connect(server.address).await.expect("connect");
    let (own, greeting) = (client.local_addr().expect("bound"), line(&mut client).await);
    assert_eq!(greeting, format!("220 {own} at {} []", server.address));
    let mut page = TcpStream::connect(server.admin.expect("an admin page")).await.expect("connect");
    page.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("write");
    assert_eq!(line(&mut page).await, "HTTP/1.1 200 OK");
    server.orders.send(Order::Stop).await.expect("obeys");
    assert_eq!(line(&mut client).await, "421");
    server.ended.await.expect("no panic");
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

#[tokio::test(start_paused = true)]
async fn who_may_not_have_a_session_is_told_why() {
    let accept = AcceptLimits { sessions: 3, sessions_per_client: 2, sessions_per_network: 100 };
    let server = start(Plan { accept, ..plan(listener()) }, Manner::Obedient);
    let mut held = Vec::new();
    for (peer, answer) in [
        ("192.0.2.1:1", "220"),
        ("192.0.2.1:2", "220"),
        ("192.0.2.1:3", "421 sessions_per_client"),
        ("[::ffff:192.0.2.1]:4", "421 sessions_per_client"),
        ("192.0.2.2:5", "220"),
        ("192.0.2.3:6", "421 sessions"),
    ] {
        let mut client = server.connect(peer);
        let said = line(&mut client).await;
        assert!(said.starts_with(answer), "{peer}: {said}");
        held.push(client);
    }
    assert_eq!(server.counter("gatepost_connections_refused_total", "sessions"), 1.0);
    assert_eq!(server.counter("gatepost_connections_refused_total", "sessions_per_client"), 2.0);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_panics_gives_its_place_back() {
    let server = start(plan(listener()), Manner::Panics);
    for _ in 0..20 {
        let mut client = server.connect("192.0.2.1:4000");
        assert!(line(&mut client).await.starts_with("220"), "there is room each time");
        assert_eq!(line(&mut client).await, "", "closed");
    }
    assert_eq!(server.counter("gatepost_session_panics_total", ""), 20.0);
    assert_eq!(server.intake.gate.sessions(), 0);
}

fn behind_balancer() -> listener::Settings {
    listener::Settings { proxy_protocol: true, proxy_networks: networks("10.0.0.0/8"), ..listener() }
}

#[tokio::test(start_paused = true)]
async fn behind_a_balancer_the_header_names_the_client() {
    let server = start(plan(behind_balancer()), Manner::Obedient);
    for (peer, sent, answer) in [
        ("10.0.0.1:1", "PROXY TCP4 192.0.2.1 203.0.113.25 4000 25\r\n", "220 192.0.2.1:4000 at 203.0.113.25:25 []"),
        (
            "10.0.0.1:2",
            "PROXY TCP4 192.0.2.9 203.0.113.25 4000 25\r\nEHLO x\r\n",
            r"220 192.0.2.9:4000 at 203.0.113.25:25 [EHLO x\r\n]",
        ),
        ("10.0.0.1:3", "PROXY UNKNOWN\r\n", "220 10.0.0.1:3 at 198.51.100.2:25 check []"),
        ("10.0.0.1:4", "EHLO client.example\r\n", ""),
        ("10.0.0.1:5", "PROXY TCP4 192.0.2.1\r\n", ""),
        ("10.0.0.1:6", "PROXY ", ""),
        ("192.0.2.66:7", "PROXY TCP4 192.0.2.1 203.0.113.25 4000 25\r\n", ""),
    ] {
        let mut client = server.connect(peer);
        let _ = client.write_all(sent.as_bytes()).await;
        assert_eq!(line(&mut client).await, answer, "{peer} {sent}");
    }
    for (outcome, count) in
        [("client", 2.0), ("local", 1.0), ("missing", 1.0), ("malformed", 1.0), ("timed_out", 1.0), ("untrusted", 1.0)]
    {
        assert_eq!(server.counter("gatepost_proxy_headers_total", outcome), count, "{outcome}");
    }
}

#[tokio::test(start_paused = true)]
async fn behind_a_balancer_clients_are_counted_and_the_balancer_is_not() {
    let server = start(plan(behind_balancer()), Manner::Obedient);
    let mut held = Vec::new();
    for (client, answer) in
        [("192.0.2.1", "220"), ("192.0.2.1", "220"), ("192.0.2.1", "421 sessions_per_client"), ("192.0.2.2", "220")]
    {
        let mut io = server.connect("10.0.0.1:1");
        let header = format!("PROXY TCP4 {client} 203.0.113.25 4000 25\r\n");
        io.write_all(header.as_bytes()).await.expect("read");
        let said = line(&mut io).await;
        assert!(said.starts_with(answer), "{client}: {said}");
        held.push(io);
    }
    for _ in 0..4 {
        let mut io = server.connect("10.0.0.1:1");
        io.write_all(b"PROXY UNKNOWN\r\n").await.expect("read");
        assert!(line(&mut io).await.starts_with("220 10.0.0.1:1"), "health checks are not limited per client");
        held.push(io);
    }
}

/// A loader that hands out what lies in its place, and a note of what was applied.
struct Shelf {
    next: Mutex<Option<Plan>>,
    /// Why nothing can be put in force, though it could be read.
    forbidden: Mutex<Option<&'static str>>,
    applied: AtomicBool,
}

fn shelf() -> (Arc<Shelf>, Loader) {
    let shelf =
        Arc::new(Shelf { next: Mutex::default(), forbidden: Mutex::default(), applied: AtomicBool::new(false) });
    let taken = Arc::clone(&shelf);
    let loader: Loader = Arc::new(move |_| {
        let none = || reloading::Refused::because("gatepost.toml:1:1: what is this?");
        let plan = taken.next.lock().expect("no panic").take().ok_or_else(none)?;
        let applied = Arc::clone(&taken);
        let apply = Box::new(move || {
            if let Some(why) = *applied.forbidden.lock().expect("no panic") {
                return Err(reloading::Refused::because(why));
            }
            applied.applied.store(true, Ordering::Relaxed);
            Ok(())
        });
        Ok(Candidate { plan, about: reloading::Loaded::default(), apply })
    });
    (shelf, loader)
}

/// Reloads, and waits until that is done.
async fn reload(server: &Running, outcome: &str) {
    let before = server.counter("gatepost_reloads_total", outcome);
    server.orders.send(Order::Reload).await.expect("obeys");
    while server.counter("gatepost_reloads_total", outcome) == before {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_good_reload_acts_on_new_connections() {
    let (shelf, loader) = shelf();
    let server = start_with(plan(listener()), Manner::Obedient, loader);
    let mut next = plan(listener::Settings { xclient_networks: networks("10.0.0.0/8"), ..listener() });
    next.accept.sessions_per_client = 0;
    *shelf.next.lock().expect("no panic") = Some(next);
    let mut before = server.connect("192.0.2.1:1");
    assert!(line(&mut before).await.starts_with("220"));
    reload(&server, "applied").await;
    assert!(shelf.applied.load(Ordering::Relaxed));
    assert_eq!(server.listener.current().settings.xclient_networks, networks("10.0.0.0/8"));
    assert_eq!(line(&mut server.connect("192.0.2.2:1")).await, "421 sessions_per_client");
}

#[tokio::test]
async fn a_refused_reload_changes_nothing_whatever_was_wrong() {
    let (shelf, loader) = shelf();
    let server = start_with(plan(listener()), Manner::Obedient, loader);
    let missing = listener::TlsFiles { certificate: "/nowhere/chain.pem".into(), key: "/nowhere/key.pem".into() };
    let mut without_certificate = plan(listener::Settings { tls: vec![missing], ..listener() });
    without_certificate.accept.sessions_per_client = 0;
    let mut forbidden = plan(listener());
    forbidden.accept.sessions_per_client = 0;
    let attempts = [(None, None), (Some(without_certificate), None), (Some(forbidden), Some("on trial"))];
    for (number, (bad, why)) in attempts.into_iter().enumerate() {
        *shelf.next.lock().expect("no panic") = bad;
        *shelf.forbidden.lock().expect("no panic") = why;
        reload(&server, "refused").await;
        assert!(!shelf.applied.load(Ordering::Relaxed));
        assert!(server.listener.current().settings.tls.is_empty());
        assert!(line(&mut server.connect(&format!("192.0.2.{number}:1"))).await.starts_with("220"));
    }
}

#[tokio::test]
async fn what_is_watched_is_watched_until_something_else_can_be() {
    let directory = tempfile::tempdir().expect("a directory");
    let orders = mpsc::channel(1).0;
    let watching = |file: PathBuf| Plan { watch: vec![file], ..plan(listener()) };
    let mut watch = None;
    watch_anew(&watching(directory.path().join("gatepost.toml")), &mut watch, &orders);
    assert!(watch.is_some());
    watch_anew(&watching(directory.path().join("nowhere/gatepost.toml")), &mut watch, &orders);
    assert!(watch.is_some(), "the old one");
    watch_anew(&plan(listener()), &mut watch, &orders);
    assert!(watch.is_none(), "nothing is to be watched");
}

#[tokio::test]
async fn an_address_in_use_ends_the_start_and_says_which() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("bound");
    let plan = plan(listener::Settings { address, ..listener() });
    let dialogue = Arc::new(Script(Manner::Obedient));
    let loader: Loader = Arc::new(|_| Err(reloading::Refused::because("")));
    let server = Server::bind(plan, Inherited::default(), Registry::new(), dialogue, loader, Arc::new(|| 1));
    let error = server.err().expect("in use").to_string();
    assert!(error.contains("`edge`") && error.contains(&address.to_string()), "{error}");
}
