//! What an evaluation may cost (RFC 7208 4.6.4), and that it costs no more than it must.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use proptest::prelude::*;

use super::*;
use crate::dns::{Answer, Mx};

#[tokio::test]
async fn section_4_6_4_ten_terms_may_ask_dns() {
    let ten = ["a:near.test.example"; 10].join(" ");
    let nine = ["a:near.test.example"; 9].join(" ");
    let eight = ["a:near.test.example"; 8].join(" ");
    let dns = zone()
        .txt("eight.example", [&*format!("v=spf1 {eight}")])
        .txt("redirects.example", ["v=spf1 redirect=redirects.example"])
        .txt("includes.example", ["v=spf1 include:includes2.example"])
        .txt("includes2.example", ["v=spf1 include:includes.example"]);
    for (terms, expected) in [
        (format!("{ten} ip4:192.0.2.1 -all"), Pass),
        (format!("{ten} a:host.test.example -all"), PermError),
        (format!("ip4:192.0.2.1 {ten} a:host.test.example -all"), Pass),
        (format!("{nine} redirect=fail.test.example"), Fail),
        (format!("{ten} redirect=fail.test.example"), PermError),
        ("include:eight.example a:host.test.example -all".to_owned(), Pass),
        ("a:near.test.example include:eight.example ip4:192.0.2.1 mx:mail.test.example".to_owned(), Pass),
        ("a:near.test.example include:eight.example a:host.test.example".to_owned(), PermError),
        (format!("{nine} exists:%{{p}}.test.example ?all"), PermError),
        (format!("{eight} exists:%{{p}}.test.example ?all"), Neutral),
        ("redirect=redirects.example".to_owned(), PermError),
        ("include:includes.example".to_owned(), PermError),
    ] {
        let record = format!("v=spf1 {terms}");
        let dns = dns.clone().txt("test.example", [&*record]);
        let spf = asked(&dns, CLIENT, "anna@test.example", "x").await;
        assert_eq!(spf.result, expected, "{terms}: {}", spf.reason);
    }
}

#[tokio::test]
async fn section_4_6_4_two_terms_may_find_nothing() {
    table(
        &[
            ("a:no1.example a:no2.example ?all", Neutral),
            ("a:no1.example a:no2.example a:no3.example ?all", PermError),
            ("a:no.example exists:no.example mx:no.example ?all", PermError),
            ("a:text.test.example a:text.test.example mx:text.test.example ?all", PermError),
            ("a:no1.example a:no2.example mx:lost.test.example ?all", PermError),
            // What cannot be asked for was not asked for.
            ("a:a..example a:a..example a:a..example ?all", Neutral),
            ("mx:null.test.example mx:null.test.example mx:null.test.example ?all", Neutral),
            ("a:no1.example a:no2.example ip4:192.0.2.1 a:no3.example", Pass),
        ],
        CLIENT,
    )
    .await;
    table(&[("a:no1.example a:no2.example ptr ?all", PermError)], CLIENT_6).await;
}

#[tokio::test]
async fn section_4_6_4_ten_exchangers_and_ten_names_of_a_client_are_looked_at() {
    let hosts: Vec<String> = (0..11).map(|n| format!("h{n}.test.example")).collect();
    let exchangers = |count: usize| (0..).zip(hosts.iter().take(count).map(String::as_str));
    let dns = (0..).zip(&hosts).fold(FixedDns::new(), |dns, (n, host)| dns.a(host, [[198, 51, 100, n]]));
    let dns = dns
        .mx("ten.example", exchangers(10))
        .mx("eleven.example", exchangers(11))
        .txt("ten.example", ["v=spf1 mx -all"])
        .txt("eleven.example", ["v=spf1 mx -all"])
        .txt("test.example", ["v=spf1 ptr -all"])
        .ptr([198, 51, 100, 9], hosts.iter().map(String::as_str))
        .ptr([198, 51, 100, 10], hosts.iter().map(String::as_str));
    for (domain, addr, expected) in [
        ("ten.example", "198.51.100.9", Pass),
        ("ten.example", "198.51.100.10", Fail),
        ("eleven.example", "198.51.100.9", PermError),
        ("eleven.example", "198.51.100.10", PermError),
        ("test.example", "198.51.100.9", Pass),
        ("test.example", "198.51.100.10", Fail),
    ] {
        let spf = asked(&dns, addr, &format!("anna@{domain}"), "x").await;
        assert_eq!(spf.result, expected, "{domain} {addr}: {}", spf.reason);
    }
}

#[tokio::test(start_paused = true)]
async fn section_4_6_4_twenty_seconds_are_enough() {
    let slow = Duration::from_secs(3);
    let terms: Vec<String> = (0..8).map(|n| format!("a:s{n}.example")).collect();
    let record = format!("v=spf1 {} +all", terms.join(" "));
    let dns = (0..8).fold(FixedDns::new(), |dns, n| {
        dns.a(&format!("s{n}.example"), [[1, 1, 1, 1]]).delay(&format!("s{n}.example"), slow)
    });
    let begun = tokio::time::Instant::now();
    let spf = asked(&dns.txt("test.example", [&*record]), CLIENT, "anna@test.example", "x").await;
    assert_eq!((spf.result, begun.elapsed()), (TempError, Duration::from_secs(20)));

    // An explanation that is late is none; the failure stands.
    let dns = FixedDns::new()
        .txt("test.example", ["v=spf1 -all exp=why.example"])
        .txt("why.example", ["because"])
        .delay("why.example", Duration::from_secs(60));
    let spf = asked(&dns, CLIENT, "anna@test.example", "x").await;
    assert_eq!((spf.result, spf.explanation), (Fail, None));
}

#[tokio::test]
async fn nothing_is_asked_that_the_record_does_not_need() {
    for (terms, addr, questions) in [
        ("ip4:192.0.2.1 a:host.test.example include:pass.test.example", CLIENT, "TXT test.example"),
        ("a:host.test.example mx:mail.test.example", CLIENT, "TXT test.example, A host.test.example"),
        ("a:host.test.example", CLIENT_6, "TXT test.example, AAAA host.test.example"),
        (
            "mx:mail.test.example",
            CLIENT,
            "TXT test.example, MX mail.test.example, A near.test.example, A host.test.example",
        ),
        ("ptr:host.test.example", CLIENT, "TXT test.example, PTR 192.0.2.1, A host.test.example"),
        ("~all exp=why.test.example", CLIENT, "TXT test.example"),
        ("-all exp=why.test.example", CLIENT, "TXT test.example, TXT why.test.example"),
        ("a:a..example -all", CLIENT, "TXT test.example, A a..example"),
    ] {
        let record = format!("v=spf1 {terms}");
        let dns = Listening { dns: zone().txt("test.example", [&*record]), heard: Mutex::default() };
        asked(&dns, addr, "anna@test.example", "x").await;
        assert_eq!(dns.heard.lock().expect("no panic").join(", "), questions, "{terms}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// The worst records point at themselves, each term behind all limits.
    #[test]
    fn any_record_ends_within_bounds(
        terms in prop::collection::vec(
            "[+?~-]?(a|mx|ptr|exists:%\\{[pilsdoh]\\}\\.many\\.example|include:(many|test)\\.example|redirect=test\\.example|a:%\\{p\\}|mx:many\\.example|ptr:many\\.example|\\PC{0,6})",
            0..30,
        ),
        helo in "\\PC{1,30}",
    ) {
        let record = format!("v=spf1 {} exp=%{{p}}.example", terms.join(" "));
        let many: Vec<String> = (0..30).map(|n| format!("h{n}.many.example")).collect();
        let dns = FixedDns::new()
            .txt("test.example", [&*record])
            .txt("many.example", [&*record])
            .mx("many.example", many.iter().map(|name| (1, &**name)))
            .ptr([192, 0, 2, 1], many.iter().map(String::as_str));
        let dns = Listening { dns, heard: Mutex::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime");
        runtime.block_on(asked(&dns, CLIENT, "anna@test.example", &helo));
        // The record itself; ten terms, with %{p} validated once more for each; the explanation.
        let asked = dns.heard.lock().expect("no panic").len();
        prop_assert!(asked <= 1 + 10 * (2 + 10 + 10) + 12, "{asked}");
    }
}

/// Fixed answers, and what was asked for.
struct Listening {
    dns: FixedDns,
    heard: Mutex<Vec<String>>,
}

impl Listening {
    fn hear(&self, kind: &str, name: impl std::fmt::Display) {
        self.heard.lock().expect("no panic").push(format!("{kind} {name}"));
    }
}

impl Lookup for Listening {
    fn a<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Ipv4Addr>, LookupError>> {
        self.hear("A", name);
        Lookup::a(&self.dns, name)
    }

    fn aaaa<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Ipv6Addr>, LookupError>> {
        self.hear("AAAA", name);
        Lookup::aaaa(&self.dns, name)
    }

    fn ptr(&self, addr: IpAddr) -> BoxFuture<'_, Result<Answer<Arc<str>>, LookupError>> {
        self.hear("PTR", addr);
        Lookup::ptr(&self.dns, addr)
    }

    fn txt<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Arc<str>>, LookupError>> {
        self.hear("TXT", name);
        Lookup::txt(&self.dns, name)
    }

    fn mx<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Mx>, LookupError>> {
        self.hear("MX", name);
        Lookup::mx(&self.dns, name)
    }

    fn ns<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Arc<str>>, LookupError>> {
        self.hear("NS", name);
        Lookup::ns(&self.dns, name)
    }
}
