//! What reverse DNS says, over a table of answers.

use super::*;
use crate::dns::{FixedDns, LookupError};

const ADDR: [u8; 4] = [192, 0, 2, 1];

fn client(addr: impl Into<IpAddr>, vouched: Option<&str>) -> ClientFacts {
    ClientFacts::new(addr.into(), "edge".into(), "mx.example.net".into(), vouched.map(str::to_owned))
}

fn check(dns: FixedDns) -> Rdns {
    Rdns::new(Settings::default(), Arc::new(dns))
}

fn told(outcome: &Outcome) -> String {
    let symbols: Vec<&str> = outcome.findings().iter().map(|finding| finding.symbol.as_str()).collect();
    if symbols.is_empty() { outcome.label().to_owned() } else { symbols.join(" ") }
}

#[tokio::test(start_paused = true)]
async fn a_name_counts_once_it_leads_back() {
    let named = |names: &[&'static str]| FixedDns::new().ptr(ADDR, names.iter().copied());
    let crowd = ["a.example", "b.example", "c.example", "d.example", "e.example", "mail.example"];
    for (what, dns, outcome, name) in [
        ("confirmed", named(&["Mail.Example"]).a("mail.example", [ADDR]), "clear", Some("mail.example")),
        (
            "the second leads back",
            named(&["old.example", "mail.example"]).a("mail.example", [ADDR]),
            "clear",
            Some("mail.example"),
        ),
        (
            "the second leads back though the first cannot be looked up",
            named(&["old.example", "mail.example"])
                .a("mail.example", [ADDR])
                .fail("old.example", LookupError::ServerFailure),
            "clear",
            Some("mail.example"),
        ),
        ("no name", FixedDns::new(), "RDNS_NONE", None),
        ("leads nowhere", named(&["mail.example"]), "RDNS_UNCONFIRMED", None),
        ("leads elsewhere", named(&["mail.example"]).a("mail.example", [[192, 0, 2, 2]]), "RDNS_UNCONFIRMED", None),
        (
            "generic and confirmed",
            named(&["dyn1.isp.example"]).a("dyn1.isp.example", [ADDR]),
            "RDNS_GENERIC",
            Some("dyn1.isp.example"),
        ),
        ("generic and unconfirmed", named(&["dyn1.isp.example"]), "RDNS_UNCONFIRMED RDNS_GENERIC", None),
        ("too many names", named(&crowd).a("mail.example", [ADDR]), "RDNS_UNCONFIRMED", None),
        ("no answer to PTR", FixedDns::new().fail_ptr(ADDR, LookupError::Timeout), "failed", None),
        ("no answer to A", named(&["mail.example"]).fail("mail.example", LookupError::ServerFailure), "failed", None),
    ] {
        let facts = client(ADDR, None);
        assert_eq!(told(&check(dns).run(&facts).await), outcome, "{what}");
        assert_eq!(facts.confirmed_name(), name, "{what}");
    }
}

#[tokio::test]
async fn ipv6_is_confirmed_by_aaaa() {
    let addr: IpAddr = "2001:db8::25".parse().expect("address");
    let dns =
        FixedDns::new().ptr(addr, ["mail.example"]).aaaa("mail.example", ["2001:db8::25".parse().expect("address")]);
    let facts = client(addr, None);
    assert_eq!(check(dns).run(&facts).await, Outcome::Clear);
    assert_eq!(facts.confirmed_name(), Some("mail.example"));
}

#[tokio::test]
async fn a_vouched_name_is_believed_without_a_question() {
    let dns = || FixedDns::new().fail_ptr(ADDR, LookupError::ServerFailure);
    let facts = client(ADDR, Some("mail.example"));
    assert_eq!(check(dns()).run(&facts).await, Outcome::Clear);
    assert_eq!(facts.confirmed_name(), Some("mail.example"));
    assert_eq!(told(&check(dns()).run(&client(ADDR, Some("dyn1.isp.example"))).await), "RDNS_GENERIC");
}

#[tokio::test]
async fn addresses_of_local_scope_need_no_name() {
    for addr in ["127.0.0.1", "10.0.0.1", "fe80::1"] {
        let outcome = check(FixedDns::new()).run(&client(addr.parse::<IpAddr>().expect(addr), None)).await;
        assert_eq!(outcome, Outcome::Skipped(Skip::NotApplicable), "{addr}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_name_is_not_known_before_it_is_found_and_a_failure_is_not_kept() {
    let dns = FixedDns::new().ptr(ADDR, ["mail.example"]).a("mail.example", [ADDR]);
    let slow = check(dns.clone().delay("mail.example", Duration::from_secs(3)));
    let facts = client(ADDR, None);
    assert!(tokio::time::timeout(Duration::from_secs(1), slow.run(&facts)).await.is_err());
    assert_eq!(facts.confirmed_name(), None);
    let broken = check(dns.clone().fail_ptr(ADDR, LookupError::ServerFailure));
    assert_eq!(told(&broken.run(&facts).await), "failed");
    assert_eq!(check(dns).run(&facts).await, Outcome::Clear);
    assert_eq!(facts.confirmed_name(), Some("mail.example"));
}
