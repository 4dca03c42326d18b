//! `check_host()` against fixed answers, section by section of RFC 7208.

mod limits;
mod symbols;

use std::net::Ipv6Addr;
use std::time::{Duration, SystemTime};

use super::evaluate::{Request, check_host};
use crate::dns::{FixedDns, Lookup, LookupError};
use crate::facts::{AuthResult, Spf};

use AuthResult::{Fail, Neutral, None as NoRecord, Pass, PermError, SoftFail, TempError};

const CLIENT: &str = "192.0.2.1";
const CLIENT_6: &str = "2001:db8::1";

/// The zone of most tables: hosts, and networks of records that others include.
fn zone() -> FixedDns {
    let v6 = |text: &str| [text.parse::<Ipv6Addr>().expect("address")];
    FixedDns::new()
        .a("host.test.example", [[192, 0, 2, 1]])
        .aaaa("host.test.example", v6(CLIENT_6))
        .a("near.test.example", [[192, 0, 2, 77]])
        .aaaa("near.test.example", v6("2001:db8::77"))
        .aaaa("six.test.example", v6(CLIENT_6))
        .txt("text.test.example", ["nothing else"])
        .mx("mail.test.example", [(20, "host.test.example"), (10, "near.test.example")])
        .mx("null.test.example", [(0, "")])
        .mx("lost.test.example", [(0, "nowhere.test.example")])
        .ptr([192, 0, 2, 1], ["forged.test.example", "host.test.example", "slow.test.example"])
        .txt("pass.test.example", ["v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"])
        .txt("fail.test.example", ["v=spf1 -all"])
        .txt("soft.test.example", ["v=spf1 ~all"])
        .txt("neutral.test.example", ["v=spf1"])
        .txt("redirecting.test.example", ["v=spf1 redirect=pass.test.example"])
        .txt("wrong.test.example", ["v=spf1 moo"])
        .txt("two.test.example", ["v=spf1 +all", "v=spf1 +all"])
        .fail("down.test.example", LookupError::ServerFailure)
        .fail("slow.test.example", LookupError::Timeout)
}

async fn asked(dns: &dyn Lookup, addr: &str, sender: &str, helo: &str) -> Spf {
    let (local_part, domain) = sender.split_once('@').expect("sender");
    check_host(&Request {
        dns,
        addr: addr.parse().expect("address"),
        local_part,
        domain,
        helo,
        receiver: "mx.site.example",
        explain_at: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)),
    })
    .await
}

/// What `record` says of `addr`.
async fn evaluated(record: &str, addr: &str) -> Spf {
    let dns = zone().txt("test.example", [record]);
    asked(&dns, addr, "anna@test.example", "helo.example").await
}

async fn table(rows: &[(&str, AuthResult)], addr: &str) {
    for (terms, expected) in rows {
        let spf = evaluated(&format!("v=spf1 {terms}"), addr).await;
        assert_eq!(spf.result, *expected, "{terms} for {addr}: {}", spf.reason);
    }
}

#[tokio::test]
async fn section_4_3_a_domain_that_can_have_no_record_has_none() {
    let dns = zone();
    for domain in [
        "",
        ".",
        "localhost",
        "example.",
        "a..example.org",
        ".example.org",
        "[192.0.2.1]",
        "[IPv6:2001:db8::1]",
        "192.0.2.1",
        "2001:db8::1",
        &format!("{}.example.org", "a".repeat(64)),
        &format!("{}example.org", "a.".repeat(128)),
        "a\u{200d}.\u{fffd}.example",
        "nowhere.example",
    ] {
        let spf = asked(&dns, CLIENT, &format!("anna@{domain}"), "helo.example").await;
        assert_eq!(spf.result, NoRecord, "{domain}: {}", spf.reason);
        assert_eq!(spf.domain.is_empty(), domain != "nowhere.example", "{domain}");
    }
}

#[tokio::test]
async fn section_4_3_names_are_asked_for_in_a_labels_and_reported_in_lower_case() {
    let dns = zone()
        .txt("xn--bcher-kva.example", ["v=spf1 exists:%{d}.%{o}.%{h} -all"])
        .a("xn--bcher-kva.example.xn--bcher-kva.example.xn--bcher-kva.example", [[127, 0, 0, 2]]);
    let spf = asked(&dns, CLIENT, "anna@B\u{fc}cher.Example.", "b\u{fc}cher.example.").await;
    assert_eq!((spf.result, &*spf.domain), (Pass, "xn--bcher-kva.example"), "{}", spf.reason);
    let spf = asked(&zone(), CLIENT, "anna@PASS.Test.Example", "helo.example").await;
    assert_eq!((spf.result, &*spf.domain), (Pass, "pass.test.example"));
}

#[tokio::test]
async fn sections_4_4_and_4_5_record_lookup_and_selection() {
    let dns = zone()
        .txt("other.example", ["v=spf10 -all", "v=spf1-all", "spf2.0/pra +all"])
        .txt("beside.example", ["\u{fffd}", "V=SPF1 -ALL"])
        .txt("hosed.example", ["v=spf1 \u{fffd}a:host.test.example -all"]);
    for (domain, expected) in [
        ("other.example", NoRecord),
        ("host.test.example", NoRecord),
        ("beside.example", Fail),
        ("hosed.example", PermError),
        ("two.test.example", PermError),
        ("wrong.test.example", PermError),
        ("down.test.example", TempError),
        ("slow.test.example", TempError),
        ("neutral.test.example", Neutral),
    ] {
        let spf = asked(&dns, CLIENT, &format!("anna@{domain}"), "helo.example").await;
        assert_eq!(spf.result, expected, "{domain}: {}", spf.reason);
        assert_eq!(&*spf.domain, domain);
    }
}

#[tokio::test]
async fn section_4_6_the_first_match_decides_and_mistakes_count_wherever_they_stand() {
    let rows = [
        ("", Neutral),
        ("?all", Neutral),
        ("all", Pass),
        ("-all +all", Fail),
        ("~all", SoftFail),
        ("-ip4:192.0.2.1 +all", Fail),
        ("+all moo", PermError),
        ("+all ip4:1.2.3", PermError),
        ("+all redirect=pass.test.example redirect=pass.test.example", PermError),
    ];
    table(&rows, CLIENT).await;
    table(&rows[..5], CLIENT_6).await;
}

#[tokio::test]
async fn section_5_2_include() {
    table(
        &[
            ("include:pass.test.example -all", Pass),
            ("-include:pass.test.example", Fail),
            ("?include:pass.test.example -all", Neutral),
            ("include:PASS.test.example. -all", Pass),
            ("include:fail.test.example ~all", SoftFail),
            ("include:soft.test.example", Neutral),
            ("include:neutral.test.example +all", Pass),
            ("include:down.test.example +all", TempError),
            ("include:wrong.test.example +all", PermError),
            ("include:two.test.example +all", PermError),
            ("include:host.test.example +all", PermError),
            ("include:nowhere.test.example +all", PermError),
            ("include:a..example +all", PermError),
            ("all include:nowhere.test.example", Pass),
        ],
        CLIENT,
    )
    .await;
}

#[tokio::test]
async fn sections_5_3_and_5_4_addresses_and_exchangers() {
    let both = [
        ("a:host.test.example -all", Pass),
        ("a:near.test.example -all", Fail),
        ("a:near.test.example/24//64 -all", Pass),
        ("a:near.test.example/32//128 -all", Fail),
        ("a:text.test.example/0//0 -all", Fail),
        ("a:nowhere.test.example/0//0 -all", Fail),
        ("a:a..test.example -all", Fail),
        ("a -all", Fail),
        ("a:down.test.example -all", TempError),
        ("mx:mail.test.example -all", Pass),
        ("mx:null.test.example/0 -all", Fail),
        ("mx:lost.test.example/0//0 -all", Fail),
        ("mx:host.test.example -all", Fail),
        ("mx:down.test.example -all", TempError),
        ("mx -all", Fail),
    ];
    table(&both, CLIENT).await;
    table(&both, CLIENT_6).await;
    table(&[("a:six.test.example/0//0 -all", Fail), ("a:near.test.example//0 -all", Fail)], CLIENT).await;
    table(&[("a:six.test.example//0 -all", Pass), ("a:near.test.example/0 -all", Fail)], CLIENT_6).await;
    let dns = zone().a("own.example", [[192, 0, 2, 1]]).txt("own.example", ["v=spf1 a -all"]);
    assert_eq!(asked(&dns, CLIENT, "anna@own.example", "x").await.result, Pass);
}

#[tokio::test]
async fn section_5_5_names_of_the_client() {
    table(
        &[
            ("ptr:test.example -all", Pass),
            ("ptr:HOST.test.example -all", Pass),
            ("ptr:st.test.example -all", Fail),
            ("ptr:forged.test.example -all", Fail),
            // DNS trouble while a name is validated skips it.
            ("ptr:slow.test.example -all", Fail),
            ("ptr -all", Pass),
        ],
        CLIENT,
    )
    .await;
    table(&[("ptr -all", Fail)], CLIENT_6).await;
    let dns = FixedDns::new().txt("test.example", ["v=spf1 ptr -all"]).fail_ptr([192, 0, 2, 1], LookupError::Timeout);
    assert_eq!(asked(&dns, CLIENT, "anna@test.example", "x").await.result, Fail);
}

#[tokio::test]
async fn section_5_6_networks_and_mapped_addresses() {
    let v4 = [
        ("ip4:192.0.2.1 -all", Pass),
        ("ip4:192.0.2.128/24 -all", Pass),
        ("ip4:192.0.2.128/25 -all", Fail),
        ("ip4:0.0.0.0/0 -all", Pass),
        ("ip6:::/0 -all", Fail),
        ("ip6:::ffff:192.0.2.1 -all", Fail),
    ];
    table(&v4, CLIENT).await;
    table(&v4, "::ffff:192.0.2.1").await;
    table(&[("ip6:2001:DB8::/32 -all", Pass), ("ip6:2001:db8::2 -all", Fail), ("ip4:0.0.0.0/0 -all", Fail)], CLIENT_6)
        .await;
}

#[tokio::test]
async fn section_5_7_exists_asks_for_ipv4_whatever_the_client() {
    let rows = [
        ("exists:host.test.example -all", Pass),
        ("exists:six.test.example -all", Fail),
        ("exists:nowhere.test.example -all", Fail),
        ("exists:%{h} -all", Fail),
        ("exists:down.test.example -all", TempError),
    ];
    table(&rows, CLIENT).await;
    table(&rows, CLIENT_6).await;
}

#[tokio::test]
async fn section_6_1_redirect() {
    table(
        &[
            ("redirect=pass.test.example", Pass),
            ("redirect=fail.test.example ip4:192.0.2.1", Pass),
            ("redirect=fail.test.example ?all", Neutral),
            ("ip4:192.0.2.9 redirect=soft.test.example.", SoftFail),
            ("redirect=neutral.test.example", Neutral),
            ("redirect=nowhere.test.example", PermError),
            ("redirect=host.test.example", PermError),
            ("redirect=a..test.example", PermError),
            ("redirect=wrong.test.example", PermError),
            ("redirect=down.test.example", TempError),
            ("include:redirecting.test.example -all", Pass),
        ],
        CLIENT,
    )
    .await;
    // The implicit target is then the domain that was redirected to; the sender stays.
    let dns = zone()
        .txt("first.example", ["v=spf1 redirect=second.example"])
        .txt("second.example", ["v=spf1 exists:%{d}.%{o}.test.example -all"])
        .a("second.example.first.example.test.example", [[127, 0, 0, 2]]);
    assert_eq!(asked(&dns, CLIENT, "anna@first.example", "x").await.result, Pass);
}

#[tokio::test]
async fn section_6_2_explanations() {
    let dns = zone()
        .txt("why.test.example", ["%{l} may not write from %{c} to %{r}; %{d} at %{t}"])
        .txt("many.test.example", ["one", "two"])
        .txt("odd.test.example", ["the %{x}-files"])
        .txt("high.test.example", ["\u{fffd}"])
        .txt("lines.test.example", ["one\r\n550 two"])
        .txt("long.test.example", [&*"x".repeat(5000)])
        .txt("who.test.example", ["%{p}"])
        .txt("ex.test.example", ["v=spf1 -all exp=why.test.example"]);
    let why = "anna may not write from 192.0.2.1 to mx.site.example; test.example at 1000000000";
    let long = "x".repeat(400);
    for (terms, explanation) in [
        ("-all exp=why.test.example", Some(why)),
        ("exp=%{l}.%{d} -all", None),
        ("exp=nowhere.test.example -all", None),
        ("exp=many.test.example -all", None),
        ("exp=odd.test.example -all", None),
        ("exp=high.test.example -all", None),
        ("exp=lines.test.example -all", None),
        ("exp=down.test.example -all", None),
        ("exp=host.test.example -all", None),
        ("exp=a..test.example -all", None),
        ("exp=long.test.example -all", Some(&*long)),
        ("exp=who.test.example -all", Some("host.test.example")),
        // Neither the record that is included explains, nor the one that redirects.
        ("-include:pass.test.example exp=why.test.example", Some(why)),
        ("include:ex.test.example -all", None),
        ("exp=long.test.example redirect=fail.test.example", None),
        // Questions of an explanation are not counted.
        ("a:no.test.example mx:no.test.example exp=nowhere.test.example -all", None),
    ] {
        let record = format!("v=spf1 {terms}");
        let dns = dns.clone().txt("test.example", [&*record]);
        let spf = asked(&dns, CLIENT, "anna@test.example", "helo.example").await;
        assert_eq!((spf.result, spf.explanation.as_deref()), (Fail, explanation), "{terms}: {}", spf.reason);
    }
    let dns = dns.txt("test.example", ["v=spf1 ~all exp=why.test.example"]);
    assert_eq!(asked(&dns, CLIENT, "anna@test.example", "helo.example").await.explanation, None);
    let spf = asked(&dns, CLIENT, "anna@ex.test.example", "helo.example").await;
    assert!(spf.explanation.is_some_and(|text| text.contains("; ex.test.example at ")));
}

#[tokio::test]
async fn section_7_macros_in_terms() {
    let dns = zone()
        .a("192.0.2.1.anna.test.example", [[127, 0, 0, 2]])
        .a("mail%percent  space%20url.test.example", [[192, 0, 2, 1]])
        .a("host.test.example.ok.example", [[127, 0, 0, 2]])
        .a("unknown.ok.example", [[127, 0, 0, 2]]);
    for (terms, helo, expected) in [
        ("exists:%{i}.%{l1r-}.%{d} -all", "helo.example", Pass),
        ("a:mail%%percent%_%_space%-url.%{d} -all", "helo.example", Pass),
        ("exists:%{p}.ok.example -all", "helo.example", Pass),
        ("a:%{h} -all", "host.test.example", Pass),
        ("a:%{h} -all", "host.test.example.", Pass),
        // What a client says is never a mistake of the record, however odd.
        ("a:%{h} -all", "[192.0.2.1]", Fail),
        ("a:%{H} -all", "JUMPIN' JUPITER", Fail),
        ("a:%{h} -all", "JUMPIN' JUPITER", Fail),
        ("a:%{h}.example -all", "%%%%%%%%%%%%%%%%%%%%%%%%%", Fail),
        ("a:%{H}.example -all", "%%%%%%%%%%%%%%%%%%%%%%%%%", Fail),
        ("a:%{h} -all", "\u{fffd}", Fail),
    ] {
        let record = format!("v=spf1 {terms}");
        let dns = dns.clone().txt("test.example", [&*record]);
        let spf = asked(&dns, CLIENT, "anna@test.example", helo).await;
        assert_eq!(spf.result, expected, "{terms} for {helo}: {}", spf.reason);
    }
    let dns = dns.txt("test.example", ["v=spf1 exists:%{p}.ok.example -all"]);
    assert_eq!(asked(&dns, CLIENT_6, "anna@test.example", "x").await.result, Pass);
}

#[tokio::test]
async fn section_7_3_the_validated_name_is_the_domain_itself_or_one_below_it_if_there_is_one() {
    let record = "v=spf1 exists:%{p}.ok.example -all";
    let dns = |names: &[&str]| {
        let dns = names.iter().fold(FixedDns::new(), |dns, name| dns.a(name, [[192, 0, 2, 1]]));
        dns.txt("test.example", [record]).ptr([192, 0, 2, 1], names.iter().copied())
    };
    for (names, chosen) in [
        (&["a.other.example", "b.test.example", "test.example"][..], "test.example"),
        (&["a.other.example", "b.test.example", "c.test.example"], "b.test.example"),
        (&["nottest.example", "a.other.example"], "nottest.example"),
    ] {
        let dns = dns(names).a(&format!("{chosen}.ok.example"), [[127, 0, 0, 2]]);
        assert_eq!(asked(&dns, CLIENT, "anna@test.example", "x").await.result, Pass, "{names:?}");
    }
}

#[tokio::test]
async fn rfc_8616_terms_with_a_local_part_beyond_ascii_do_not_match() {
    for (terms, expected) in [
        ("exists:%{l}.test.example ?all", Neutral),
        ("include:%{L}.test.example ?all", Neutral),
        ("redirect=%{l}.test.example", PermError),
        ("a:host.test.example exists:%{s}", Pass),
    ] {
        let record = format!("v=spf1 {terms}");
        let dns = zone().txt("test.example", [&*record]);
        let spf = asked(&dns, CLIENT, "m\u{fc}ller@test.example", "x").await;
        assert_eq!(spf.result, expected, "{terms}: {}", spf.reason);
    }
}
