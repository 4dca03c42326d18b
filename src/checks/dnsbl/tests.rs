//! Answers of lists, and what they mean.

use std::net::IpAddr;

use super::*;
use crate::checks::auth::{self, Authenticator};
use crate::checks::client_name::ClientNames;
use crate::dns::FixedDns;
use crate::facts::ClientFacts;

fn list(codes: &[(&str, &'static str)]) -> Settings {
    Settings {
        ipv6: true,
        points: Points { test: Test::None, ..Points::default() },
        codes: codes.iter().map(|(text, symbol)| (text.parse().expect(text), Symbol::known(symbol))).collect(),
        ..Settings::new("test", "list.example")
    }
}

fn shared(dns: FixedDns) -> Shared {
    let dns: Arc<dyn Lookup> = Arc::new(dns);
    Shared {
        client_names: ClientNames::new(5, dns.clone()),
        authenticator: Authenticator::new(auth::Settings::default(), dns.clone()),
        skipped: Arc::default(),
        lists: Arc::default(),
        dns,
    }
}

fn check(settings: Settings, dns: FixedDns) -> Dnsbl<source::Client> {
    Dnsbl::new(settings, source::Client, &shared(dns))
}

fn client(addr: &str) -> ClientFacts {
    ClientFacts::new(addr.parse().expect(addr), "edge".into(), "mx.example.net".into(), None)
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

/// An answer as codes, no usable answer, or none in time.
type Answer<'a> = Option<Result<&'a [[u8; 4]], LookupError>>;

/// What answers to questions about `a.example` and, where there is a second, `b.example` come to.
fn judged(settings: &Settings, answers: &[Answer<'_>]) -> String {
    let questions =
        ["a.example", "b.example"].map(|name| Question { name: format!("{name}.zone"), about: name.into() });
    let answers = answers.iter().map(|answer| {
        answer.map(|answer| {
            answer.map(|codes| read(settings, &codes.iter().copied().map(Ipv4Addr::from).collect::<Vec<_>>()))
        })
    });
    told(&judge(&settings.zone, questions.iter().zip(answers)))
}

#[test]
fn answers_become_findings_and_never_by_mistake() {
    let settings = Settings {
        errors: vec!["127.0.9.0/24".parse().expect("a pattern")],
        ..list(&[
            ("127.0.0.[2..3]", "LIST_SPAM"),
            ("127.0.0.4-127.0.0.7", "LIST_BOT"),
            ("127.0.0.3", "LIST_CSS"),
            ("127.0.1.*", "LIST_ELSE"),
            ("127.0.9.*", "LIST_NINE"),
        ])
    };
    for (codes, outcome) in [
        (&[][..], "clear"),
        (&[[127, 0, 0, 2]][..], "LIST_SPAM (127.0.0.2 from list.example for a.example)"),
        (&[[127, 0, 0, 7], [127, 0, 0, 4]], "LIST_BOT (127.0.0.4, 127.0.0.7 from list.example for a.example)"),
        (
            &[[127, 0, 0, 3]],
            "LIST_SPAM (127.0.0.3 from list.example for a.example); \
             LIST_CSS (127.0.0.3 from list.example for a.example)",
        ),
        (&[[127, 0, 1, 99]], "LIST_ELSE (127.0.1.99 from list.example for a.example)"),
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
        (&[[127, 0, 9, 9]], "failed: list error: 127.0.9.9 from list.example: an error, by the rules of this list"),
        (
            &[[198, 51, 100, 80]],
            "failed: list error: 198.51.100.80 from list.example: not within 127.0.0.0/8: \
             the zone is gone, or somebody answers in its place",
        ),
    ] {
        assert_eq!(judged(&settings, &[Some(Ok(codes))]), outcome, "{codes:?}");
    }
}

#[test]
fn several_answers_are_one_outcome() {
    let settings = list(&[("127.0.0.2", "LIST_SPAM"), ("127.0.0.3", "LIST_BOT")]);
    const NOTHING: Answer<'_> = Some(Ok(&[]));
    const SPAM: Answer<'_> = Some(Ok(&[[127, 0, 0, 2]]));
    const BOT: Answer<'_> = Some(Ok(&[[127, 0, 0, 3]]));
    const REFUSED: Answer<'_> = Some(Ok(&[[127, 255, 255, 254]]));
    const BROKEN: Answer<'_> = Some(Err(LookupError::ServerFailure));
    let spam = "LIST_SPAM (127.0.0.2 from list.example for a.example)";
    for (answers, outcome) in [
        ([NOTHING, NOTHING], "clear"),
        ([SPAM, NOTHING], spam),
        (
            [SPAM, SPAM],
            "LIST_SPAM (127.0.0.2 from list.example for a.example; 127.0.0.2 from list.example for b.example)",
        ),
        (
            [SPAM, BOT],
            "LIST_SPAM (127.0.0.2 from list.example for a.example); \
             LIST_BOT (127.0.0.3 from list.example for b.example)",
        ),
        ([SPAM, BROKEN], spam),
        ([SPAM, None], spam),
        ([NOTHING, BROKEN], "failed: DNS: server failure"),
        ([NOTHING, None], "timed_out"),
        ([SPAM, REFUSED], "failed: list error: 127.255.255.254 from list.example: the list refuses our questions"),
    ] {
        assert_eq!(judged(&settings, &answers), outcome, "{answers:?}");
    }
}

#[test]
fn not_even_a_pattern_for_everything_makes_an_error_a_listing() {
    let settings = list(&[("*", "LIST_ANY")]);
    for code in [[127, 255, 255, 252], [127, 0, 0, 1], [10, 0, 0, 2]] {
        assert!(matches!(read(&settings, &[code.into()]), Reading::Error(..)), "{code:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn clients_are_looked_up_in_the_zone_by_reversed_address() {
    let v6: IpAddr = "2001:db8::1".parse().expect("address");
    let dns = FixedDns::new()
        .listed("list.example", [192, 0, 2, 1], [127, 0, 0, 2])
        .listed("list.example", v6, [127, 0, 0, 2])
        .listed("list.example", [10, 0, 0, 1], [127, 0, 0, 2])
        .fail("9.2.0.192.list.example", LookupError::ServerFailure)
        .delay("8.2.0.192.list.example", Duration::from_secs(3));
    let check = check(list(&[("127.0.0.2", "LIST_SPAM")]), dns);
    for (addr, outcome) in [
        ("192.0.2.1", "LIST_SPAM (127.0.0.2 from list.example for 192.0.2.1)"),
        ("::ffff:192.0.2.1", "LIST_SPAM (127.0.0.2 from list.example for 192.0.2.1)"),
        ("2001:db8::1", "LIST_SPAM (127.0.0.2 from list.example for 2001:db8::1)"),
        ("192.0.2.2", "clear"),
        ("192.0.2.8", "timed_out"),
        ("192.0.2.9", "failed: DNS: server failure"),
        ("10.0.0.1", "skipped"),
        ("127.0.0.2", "skipped"),
        ("fd00::1", "skipped"),
    ] {
        assert_eq!(told(&Check::run(&check, &client(addr)).await), outcome, "{addr}");
    }
}

#[tokio::test]
async fn a_list_is_asked_only_for_the_families_that_it_lists() {
    let settings = Settings { ipv6: false, ..list(&[("*", "LIST_ANY")]) };
    let check = check(settings, FixedDns::new());
    assert_eq!(Check::run(&check, &client("2001:db8::1")).await, Outcome::Skipped(Skip::NotApplicable));
    assert_eq!(Check::run(&check, &client("192.0.2.1")).await, Outcome::Clear);
}

#[test]
fn a_list_claims_its_symbols_once_and_brings_its_own_deadline() {
    let check =
        check(list(&[("127.0.0.2", "LIST_A"), ("127.0.0.3", "LIST_B"), ("127.0.0.4", "LIST_A")]), FixedDns::new());
    let spec = Check::spec(&check);
    assert_eq!(spec.name.as_str(), "dnsbl.test");
    assert_eq!(&*spec.emits, [Symbol::known("LIST_A"), Symbol::known("LIST_B")]);
    assert!(!spec.exclusive);
    assert_eq!(Check::time_limit(&check), Some(Duration::from_secs(4)), "its deadline, and as long to confirm");
}
