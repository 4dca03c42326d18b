//! Answers of lists, and what they mean.

use super::*;
use crate::dns::{FixedDns, LookupError};

fn list(codes: &[(&str, &'static str)]) -> Settings {
    Settings {
        name: "test".into(),
        zone: "list.example".into(),
        ipv4: true,
        ipv6: true,
        deadline: Duration::from_secs(2),
        codes: codes.iter().map(|(text, symbol)| (text.parse().expect(text), Symbol::known(symbol))).collect(),
        shadow: false,
    }
}

fn check(settings: Settings, dns: FixedDns) -> Dnsbl {
    Dnsbl::new(settings, Arc::new(dns))
}

/// The outcome in one line: symbols and evidence, or the label.
fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Found(findings) => findings
            .iter()
            .map(|finding| format!("{} ({})", finding.symbol, finding.evidence.as_str()))
            .collect::<Vec<_>>()
            .join("; "),
        Outcome::Failed(why) => format!("failed: {why}"),
        other => other.label().to_owned(),
    }
}

#[test]
fn answers_become_findings_and_never_by_mistake() {
    let settings = list(&[
        ("127.0.0.[2..3]", "LIST_SPAM"),
        ("127.0.0.4-127.0.0.7", "LIST_BOT"),
        ("127.0.0.3", "LIST_CSS"),
        ("127.0.1.*", "LIST_ELSE"),
    ]);
    for (codes, outcome) in [
        (&[][..], "clear"),
        (&[[127, 0, 0, 2]][..], "LIST_SPAM (127.0.0.2 from list.example for 192.0.2.1)"),
        (&[[127, 0, 0, 7], [127, 0, 0, 4]], "LIST_BOT (127.0.0.4, 127.0.0.7 from list.example for 192.0.2.1)"),
        (
            &[[127, 0, 0, 3]],
            "LIST_SPAM (127.0.0.3 from list.example for 192.0.2.1); \
             LIST_CSS (127.0.0.3 from list.example for 192.0.2.1)",
        ),
        (&[[127, 0, 1, 99]], "LIST_ELSE (127.0.1.99 from list.example for 192.0.2.1)"),
        (&[[127, 0, 0, 10]], "clear"),
        (
            &[[127, 255, 255, 254]],
            "failed: list error: 127.255.255.254 from list.example: the list refuses our questions",
        ),
        (
            &[[127, 0, 0, 2], [127, 255, 255, 255]],
            "failed: list error: 127.255.255.255 from list.example: the list refuses our questions",
        ),
        (&[[127, 0, 0, 1]], "failed: list error: 127.0.0.1 from list.example: no list answers so (RFC 5782 2.1)"),
        (
            &[[198, 51, 100, 80]],
            "failed: list error: 198.51.100.80 from list.example: not within 127.0.0.0/8: \
             the zone is gone, or somebody answers in its place",
        ),
    ] {
        let codes: Vec<Ipv4Addr> = codes.iter().map(|octets| Ipv4Addr::from(*octets)).collect();
        assert_eq!(told(&judge(&settings, [192, 0, 2, 1].into(), &codes)), outcome, "{codes:?}");
    }
}

#[test]
fn not_even_a_pattern_for_everything_makes_an_error_a_listing() {
    let settings = list(&[("*", "LIST_ANY")]);
    for code in [[127, 255, 255, 252], [127, 0, 0, 1], [10, 0, 0, 2]] {
        let outcome = judge(&settings, [192, 0, 2, 1].into(), &[code.into()]);
        assert!(matches!(outcome, Outcome::Failed(CheckError::ListError(_))), "{code:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn clients_are_looked_up_in_the_zone_by_reversed_address() {
    let v6: IpAddr = "2001:db8::1".parse().expect("address");
    let dns = FixedDns::new()
        .listed("list.example", [192, 0, 2, 1], [127, 0, 0, 2])
        .listed("list.example", v6, [127, 0, 0, 2])
        .listed("list.example", [10, 0, 0, 1], [127, 0, 0, 2])
        .fail("9.2.0.192.list.example", LookupError::ServerFailure);
    let check = check(list(&[("127.0.0.2", "LIST_SPAM")]), dns);
    for (addr, outcome) in [
        ("192.0.2.1", "LIST_SPAM (127.0.0.2 from list.example for 192.0.2.1)"),
        ("::ffff:192.0.2.1", "LIST_SPAM (127.0.0.2 from list.example for 192.0.2.1)"),
        ("2001:db8::1", "LIST_SPAM (127.0.0.2 from list.example for 2001:db8::1)"),
        ("192.0.2.2", "clear"),
        ("192.0.2.9", "failed: DNS: server failure"),
        ("10.0.0.1", "skipped"),
        ("127.0.0.2", "skipped"),
        ("fd00::1", "skipped"),
    ] {
        assert_eq!(told(&check.look(addr.parse().expect(addr)).await), outcome, "{addr}");
    }
}

#[tokio::test]
async fn a_list_is_asked_only_for_the_families_that_it_lists() {
    let settings = Settings { ipv6: false, ..list(&[("*", "LIST_ANY")]) };
    let check = check(settings, FixedDns::new());
    assert_eq!(check.look("2001:db8::1".parse().expect("address")).await, Outcome::Skipped(Skip::NotApplicable));
    assert_eq!(check.look([192, 0, 2, 1].into()).await, Outcome::Clear);
}

#[test]
fn a_list_claims_its_symbols_once_and_brings_its_own_deadline() {
    let check =
        check(list(&[("127.0.0.2", "LIST_A"), ("127.0.0.3", "LIST_B"), ("127.0.0.4", "LIST_A")]), FixedDns::new());
    let spec = Check::spec(&check);
    assert_eq!(spec.name.as_str(), "dnsbl.test");
    assert_eq!(&*spec.emits, [Symbol::known("LIST_A"), Symbol::known("LIST_B")]);
    assert!(!spec.exclusive);
    assert_eq!(Check::time_limit(&check), Some(Duration::from_secs(2)));
}
