//! The real resolver against real servers on loopback: one that is as it should be, and ones that are
//! silent, broken, lying, or come and go.

#[path = "dns_hickory/mannered.rs"]
mod mannered;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gatepost::dns::{Lookup, LookupError, Metrics, Resolver, Settings};
use hickory_server::Server;
use hickory_server::proto::rr::rdata::{A, AAAA, CNAME, MX, PTR, SOA, TXT};
use hickory_server::proto::rr::{Name, RData, Record};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use tokio::net::{TcpListener, UdpSocket};

use mannered::{Manner, Mannered};

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

fn zone(origin: &str, records: Vec<(&str, RData)>) -> Arc<InMemoryZoneHandler> {
    let mut zone = InMemoryZoneHandler::empty(name(origin), ZoneType::Primary, AxfrPolicy::Deny);
    let soa = SOA::new(name("ns.example."), name("admin.example."), 1, 3600, 600, 86_400, 60);
    zone.upsert_mut(Record::from_rdata(name(origin), 3600, RData::SOA(soa)), 0);
    for (owner, data) in records {
        zone.upsert_mut(Record::from_rdata(name(owner), 300, data), 0);
    }
    Arc::new(zone)
}

/// A server for `example.` and `2.0.192.in-addr.arpa.`; it refuses all other zones.
async fn server() -> (SocketAddr, Server<Catalog>) {
    let forward = zone(
        "example.",
        vec![
            ("mail.example.", RData::A(A::new(192, 0, 2, 1))),
            ("mail.example.", RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))),
            ("alias.example.", RData::CNAME(CNAME(name("mail.example.")))),
            ("dangling.example.", RData::CNAME(CNAME(name("nowhere.example.")))),
            ("mail.example.", RData::TXT(TXT::new(vec!["v=spf1 ".into(), "-all".into()]))),
            ("big.example.", RData::TXT(TXT::new(vec!["x".repeat(250); 12]))),
            ("example.", RData::MX(MX::new(10, name("Mail.example.")))),
            ("deaf.example.", RData::MX(MX::new(0, Name::root()))),
        ],
    );
    let reverse =
        zone("2.0.192.in-addr.arpa.", vec![("1.2.0.192.in-addr.arpa.", RData::PTR(PTR(name("Mail.Example."))))]);
    let mut catalog = Catalog::new();
    catalog.upsert(name("example.").into(), vec![forward]);
    catalog.upsert(name("2.0.192.in-addr.arpa.").into(), vec![reverse]);

    let (tcp, udp) = one_port().await;
    let addr = tcp.local_addr().expect("bound");
    let mut server = Server::new(catalog);
    server.register_socket(udp);
    server.register_listener(tcp, Duration::from_secs(5), 16);
    (addr, server)
}

/// A port that is free for both; what TCP got may be somebody else's for UDP.
async fn one_port() -> (TcpListener, UdpSocket) {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("bound")).await {
            return (tcp, udp);
        }
    }
    panic!("no port is free for both TCP and UDP");
}

fn resolver(addr: SocketAddr, timeout_ms: u64) -> (Resolver, prometheus::Registry) {
    resolver_over(&[addr], timeout_ms)
}

fn resolver_over(servers: &[SocketAddr], timeout_ms: u64) -> (Resolver, prometheus::Registry) {
    let settings = Settings {
        servers: servers.to_vec(),
        timeout: Duration::from_millis(timeout_ms),
        attempts: 2,
        ..Settings::default()
    };
    let (metrics, registry) = (Metrics::new(), prometheus::Registry::new());
    metrics.register(&registry).expect("no metric twice");
    (Resolver::over_servers(&settings, Arc::new(metrics)).expect("servers are given"), registry)
}

/// The sum of a counter or gauge over the children that have all these label values.
fn counted(registry: &prometheus::Registry, metric: &str, labels: &[&str]) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == metric).expect(metric);
    let fits = |child: &&prometheus::proto::Metric| {
        labels.iter().all(|value| child.get_label().iter().any(|label| label.value() == *value))
    };
    let value = |child: &prometheus::proto::Metric| child.get_counter().get_value() + child.get_gauge().get_value();
    family.get_metric().iter().filter(fits).map(value).sum()
}

fn is_up(registry: &prometheus::Registry, server: &Mannered) -> bool {
    counted(registry, "gatepost_dns_server_up", &[&server.addr.to_string()]) > 0.0
}

#[tokio::test]
async fn records_of_every_type_come_as_they_are() {
    let (addr, _server) = server().await;
    let (dns, registry) = resolver(addr, 2000);
    let v4 = Ipv4Addr::new(192, 0, 2, 1);

    let first = dns.a("mail.example").await.expect("A");
    assert_eq!((&*first.records, first.exists, first.cached), (&[v4][..], true, false));
    assert!(dns.a("MAIL.example.").await.expect("A").cached);
    assert_eq!(&*dns.a("alias.example").await.expect("CNAME followed").records, [v4]);
    let v6: Ipv6Addr = "2001:db8::1".parse().expect("address");
    assert_eq!(&*dns.aaaa("mail.example").await.expect("AAAA").records, [v6]);
    assert_eq!(&*dns.ptr(IpAddr::V4(v4)).await.expect("PTR").records, [std::sync::Arc::<str>::from("mail.example")]);
    assert_eq!(&*dns.txt("mail.example").await.expect("TXT").records, [std::sync::Arc::<str>::from("v=spf1 -all")]);
    assert_eq!(&*dns.mx("example").await.expect("MX").records, [(10, "mail.example".into())]);
    assert_eq!(&*dns.mx("deaf.example").await.expect("null MX").records, [(0, "".into())]);

    assert_eq!(counted(&registry, "gatepost_dns_queries_total", &["a", "records"]), 2.0);
    assert_eq!(counted(&registry, "gatepost_dns_cache_total", &["hit"]), 1.0);
}

#[tokio::test]
async fn nothing_is_an_answer_and_is_kept() {
    let (addr, _server) = server().await;
    let (dns, registry) = resolver(addr, 2000);
    for (asked, exists) in [("nowhere.example", false), ("big.example", true)] {
        for cached in [false, true] {
            let answer = dns.a(asked).await.expect(asked);
            assert_eq!((answer.records.len(), answer.exists, answer.cached), (0, exists, cached), "{asked}");
        }
    }
    assert!(dns.a("dangling.example").await.expect("an alias of nothing").records.is_empty());
    assert_eq!(counted(&registry, "gatepost_dns_queries_total", &["a", "no_records"]), 1.0);
}

#[tokio::test]
async fn a_refusal_is_a_failure_and_not_an_answer() {
    let (addr, _server) = server().await;
    let (dns, registry) = resolver(addr, 2000);
    for _ in 0..2 {
        assert_eq!(dns.a("mail.elsewhere.test").await, Err(LookupError::ServerFailure));
    }
    assert_eq!(counted(&registry, "gatepost_dns_queries_total", &["a", "server_failure"]), 1.0);
    assert_eq!(counted(&registry, "gatepost_dns_cache_total", &["failed"]), 1.0);
}

#[tokio::test]
async fn what_does_not_fit_into_udp_comes_by_tcp() {
    let (addr, _server) = server().await;
    let (dns, _) = resolver(addr, 2000);
    let answer = dns.txt("big.example").await.expect("TXT");
    assert_eq!(answer.records.iter().map(|text| text.len()).collect::<Vec<_>>(), [3000]);
}

#[tokio::test]
async fn a_silent_server_costs_its_attempts_and_no_more() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let (dns, registry) = resolver(silent.local_addr().expect("bound"), 100);
    let begun = tokio::time::Instant::now();
    assert_eq!(dns.a("mail.example").await, Err(LookupError::Timeout));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(counted(&registry, "gatepost_dns_queries_total", &["a", "timeout"]), 1.0);
}

#[tokio::test]
async fn names_without_a_dot_are_absolute_and_hostile_ones_harmless() {
    let (addr, _server) = server().await;
    let (dns, _) = resolver(addr, 2000);
    // `mail` is refused as a name of the root; with a search list it might have been found.
    assert_eq!(dns.a("mail").await, Err(LookupError::ServerFailure));
    for hostile in ["", "..", "a\tb.example", "\u{0}.example", "m\u{e4}il.example"] {
        assert_eq!(dns.a(hostile).await, Err(LookupError::NotAName), "{hostile:?}");
    }
    for odd in ["a b.example", "\\046.example", "a\\.example", "\"x\".example", "(.example", "*.example", "@.example"] {
        assert!(dns.a(odd).await.is_ok_and(|answer| answer.records.is_empty()), "{odd:?}");
    }
}

const THE_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 1);

#[tokio::test]
async fn each_manner_of_a_server_has_one_outcome() {
    let (timeout, failure, unreachable) =
        (Err(LookupError::Timeout), Err(LookupError::ServerFailure), Err(LookupError::Unreachable));
    for (manner, expected) in [
        (Manner::Honest, Ok(1)),
        (Manner::Silent, timeout),
        (Manner::ServFail, failure),
        (Manner::Refused, failure),
        (Manner::Referral, failure),
        (Manner::WrongId, timeout),
        (Manner::WrongQuestion, timeout),
        (Manner::WrongOwner, Ok(1)),
        (Manner::Noise, timeout),
        (Manner::Garbage, unreachable),
        (Manner::Echo, unreachable),
        (Manner::LiesThenTruth, Ok(1)),
        (Manner::Truncated, Ok(1)),
        (Manner::TruncatedNoTcp, unreachable),
        (Manner::TruncatedEverywhere, unreachable),
        (Manner::Many(2000), Ok(2000)),
    ] {
        let server = Mannered::start(manner).await;
        let (dns, _) = resolver(server.addr, 100);
        let begun = tokio::time::Instant::now();
        let answer = dns.a("mail.example").await;
        assert_eq!(answer.as_ref().map(|answer| answer.records.len()).map_err(|why| *why), expected, "{manner:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{manner:?}: {:?}", begun.elapsed());
        if expected == Ok(1) {
            assert_eq!(&*answer.expect("an answer").records, [THE_ADDRESS], "{manner:?}");
        }
    }
}

#[tokio::test]
async fn whatever_the_first_server_does_the_second_has_the_answer() {
    for manner in [
        Manner::Silent,
        Manner::ServFail,
        Manner::Refused,
        Manner::Referral,
        Manner::WrongId,
        Manner::WrongQuestion,
        Manner::Noise,
        Manner::Garbage,
        Manner::Echo,
        Manner::TruncatedNoTcp,
        Manner::TruncatedEverywhere,
    ] {
        let (first, second) = (Mannered::start(manner).await, Mannered::start(Manner::Honest).await);
        // The second must not run out of time on a busy machine, the first should not take long.
        let (dns, registry) = resolver_over(&[first.addr, second.addr], 200);
        let answer = dns.a("mail.example").await.unwrap_or_else(|why| panic!("{manner:?}: {why}"));
        assert_eq!(&*answer.records, [THE_ADDRESS], "{manner:?}");
        let attempts = |server: &Mannered, outcome| {
            counted(&registry, "gatepost_dns_server_queries_total", &[&server.addr.to_string(), outcome])
        };
        assert_eq!((attempts(&first, "answer"), attempts(&second, "answer")), (0.0, 1.0), "{manner:?}");
    }
}

#[tokio::test]
async fn a_dead_server_is_put_aside_and_the_next_answers_alone() {
    let (dead, alive) = (Mannered::start(Manner::Silent).await, Mannered::start(Manner::Honest).await);
    let (dns, registry) = resolver_over(&[dead.addr, alive.addr], 50);
    assert!(is_up(&registry, &dead) && is_up(&registry, &alive));
    for number in 0..3 {
        assert!(dns.a(&format!("{number}.example")).await.is_ok());
    }
    assert!(!is_up(&registry, &dead) && is_up(&registry, &alive));
    let silences = counted(&registry, "gatepost_dns_server_queries_total", &["timeout"]);
    assert!(dns.a("mail.example").await.is_ok());
    assert_eq!(counted(&registry, "gatepost_dns_server_queries_total", &["timeout"]), silences);
}

#[tokio::test]
async fn a_server_that_comes_back_is_believed_at_its_first_answer() {
    for manner in [Manner::Silent, Manner::Refused, Manner::TruncatedNoTcp] {
        let server = Mannered::start(manner).await;
        let (dns, registry) = resolver(server.addr, 50);
        for number in 0..10 {
            assert!(dns.a(&format!("{number}.example")).await.is_err());
        }
        assert!(!is_up(&registry, &server), "{manner:?}");
        server.now(Manner::Honest);
        assert!(dns.a("mail.example").await.is_ok(), "{manner:?}");
        assert!(is_up(&registry, &server), "{manner:?}");
    }
}

#[tokio::test]
async fn a_hundred_answers_by_tcp_share_a_connection_and_all_arrive() {
    let server = Mannered::start(Manner::Truncated).await;
    let (dns, _) = resolver(server.addr, 2000);
    let names: Vec<String> = (0..100).map(|number| format!("{number}.example")).collect();
    let answers = futures_util::future::join_all(names.iter().map(|name| dns.a(name))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.records.len() == 1)));
}
