//! What is told of a result: facts, symbols, evidence.

use std::sync::Arc;
use std::time::SystemTime;

use super::super::check::{SenderId, SpfOfHelo, SpfOfMail, helo_symbol, mail_symbol};
use super::*;
use crate::checks::Check;
use crate::checks::auth::{Authenticator, Settings};
use crate::facts::{ClientFacts, HeloFacts, MailFacts};
use crate::smtp::{HeloName, Params, ReversePath};

#[tokio::test]
async fn a_pass_that_everybody_gets_is_told_apart() {
    let dns = zone()
        .txt("world.test.example", ["v=spf1 +all"])
        .txt("half.test.example", ["v=spf1 ip4:0.0.0.0/2 ip4:192.0.0.0/4 -all"]);
    for (terms, addr, permissive) in [
        ("+all", CLIENT, true),
        ("ip4:192.0.2.1 all", CLIENT, true),
        ("ip4:192.0.2.1 -all +all", CLIENT, false),
        ("ip4:192.0.2.1 ?all", CLIENT, false),
        ("ip4:192.0.2.0/24 -all", CLIENT, false),
        ("ip4:192.0.0.0/9 ip4:200.0.0.0/9 -all", CLIENT, true),
        ("ip4:192.0.0.0/9 ip4:10.0.0.0/8 ip4:192.168.0.0/16 -all", CLIENT, false),
        ("ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all", CLIENT, true),
        ("-ip4:198.0.0.0/1 ip4:192.0.2.1 -all", "198.51.100.1", false),
        ("ip6:2001:db8::/32 -all", CLIENT_6, false),
        ("ip6:2000::/3 -all", CLIENT_6, true),
        ("ip6:::/0 -all", CLIENT_6, true),
        ("a:near.test.example/0 -all", CLIENT, true),
        ("a:near.test.example/24 -all", CLIENT, false),
        ("include:world.test.example -all", CLIENT, true),
        ("include:half.test.example -all", CLIENT, true),
        ("?include:world.test.example -all", CLIENT, false),
        ("redirect=world.test.example", CLIENT, true),
        ("exists:host.test.example -all", CLIENT, true),
        ("exists:%{l}.test.example ip4:192.0.2.1 -all", CLIENT, false),
        ("exists:%{o} ip4:192.0.2.1 -all", CLIENT, false),
    ] {
        let record = format!("v=spf1 {terms}");
        let dns = dns.clone().txt("test.example", [&*record]);
        let spf = asked(&dns, addr, "anna@test.example", "x").await;
        assert_eq!(spf.permissive, permissive, "{terms}: {spf:?}");
    }
}

#[tokio::test]
async fn a_reason_names_the_terms_that_matched() {
    for (terms, reason) in [
        ("~all", "~all of test.example"),
        (
            "include:pass.test.example",
            "include:pass.test.example of test.example: ip4:192.0.2.0/24 of pass.test.example",
        ),
        ("redirect=soft.test.example", "~all of soft.test.example"),
        ("a:text.test.example", "no term of test.example matches"),
        ("moo", "test.example: `moo`: unknown mechanism"),
        ("include:down.test.example", "down.test.example: server failure"),
    ] {
        assert_eq!(evaluated(&format!("v=spf1 {terms}"), CLIENT).await.reason, reason);
    }
}

#[tokio::test]
async fn section_2_both_identities_become_facts_and_symbols() {
    let dns = zone()
        .txt("bad.example", ["v=spf1 -all"])
        .txt("post.example", ["v=spf1 exists:%{l}.%{i}.%{h} -all"])
        .a("postmaster.192.0.2.1.post.example", [[127, 0, 0, 2]])
        .a("a b.192.0.2.1.post.example", [[127, 0, 0, 2]]);
    let authenticator = Authenticator::new(Settings::default(), Arc::new(dns));
    let (helo_check, mail_check) = (SpfOfHelo::new(authenticator.clone()), SpfOfMail::new(authenticator));
    for (helo, sender, helo_told, mail_told) in [
        ("bad.example", "", "SPF_HELO_FAIL -all of bad.example", "SPF_FAIL -all of bad.example"),
        ("post.example", "", "clear", "SPF_PASS exists:%{l}.%{i}.%{h} of post.example"),
        ("post.example", "\"a b\"@post.example", "clear", "SPF_PASS exists:%{l}.%{i}.%{h} of post.example"),
        ("[192.0.2.1]", "", "clear", "SPF_NONE no domain to ask"),
        ("none.example", "", "clear", "SPF_NONE none.example: no record"),
        ("[192.0.2.1]", "anna@[192.0.2.1]", "clear", "SPF_NONE an address literal has no record"),
        (
            "down.test.example",
            "anna@soft.test.example",
            "SPF_HELO_TEMPERROR down.test.example: server failure",
            "SPF_SOFTFAIL ~all of soft.test.example",
        ),
    ] {
        let mail_facts = mail_facts(helo, sender);
        let helo_facts = mail_facts.helo.clone();
        let told = |outcome: crate::scoring::Outcome| match outcome.findings() {
            [] => outcome.label().to_owned(),
            findings => findings.iter().map(|found| format!("{} {}", found.symbol, found.evidence.as_str())).collect(),
        };
        assert_eq!(told(helo_check.run(&helo_facts).await), helo_told, "{helo}");
        assert_eq!(told(mail_check.run(&mail_facts).await), mail_told, "{sender}");
        assert!(helo_facts.spf.get().is_some() && mail_facts.spf.get().is_some());
    }
    assert!(helo_check.is_reported() && mail_check.is_reported());
}

fn mail_facts(helo: &str, sender: &str) -> MailFacts {
    let client = ClientFacts::new(CLIENT.parse().expect("address"), "edge".into(), "mx.site.example".into(), None);
    let name = HeloName::parse(helo.as_bytes()).expect(helo);
    let helo = Arc::new(HeloFacts::new(Arc::new(client), name, true, None));
    MailFacts::new(helo, ReversePath::parse(sender).expect(sender), Params::default(), SystemTime::UNIX_EPOCH)
}

#[tokio::test]
async fn a_record_of_sender_id_is_told_and_not_evaluated() {
    let include = "v=spf1 include:one.example -all";
    for (texts, symbols) in [
        (&["spf2.0/mfrom,pra +all"][..], "SPF_NONE SENDERID_OBSOLETE"),
        (&["SPF2.0/pra +all", "v=spf1 -all"], "SPF_FAIL SENDERID_OBSOLETE"),
        (&["spf2.0"], "SPF_NONE"),
        (&["v=spf1 moo", "spf2.0/pra ?all"], "SPF_PERMERROR SENDERID_OBSOLETE"),
        (&[include], "SPF_FAIL"),
    ] {
        let dns =
            zone().txt("test.example", texts.iter().copied()).txt("one.example", ["v=spf1 ?all", "spf2.0/pra +all"]);
        let authenticator = Authenticator::new(Settings::default(), Arc::new(dns));
        let (spf, sender_id) = (SpfOfMail::new(authenticator.clone()), SenderId::new(authenticator));
        let facts = mail_facts("host.example", "anna@test.example");
        let outcomes = [spf.run(&facts).await, sender_id.run(&facts).await];
        let found = outcomes.iter().flat_map(|outcome| outcome.findings()).map(|found| found.symbol.to_string());
        assert_eq!(found.collect::<Vec<_>>().join(" "), symbols, "{texts:?}");
    }
}

#[test]
fn every_result_has_its_symbol() {
    for (result, helo, mail) in [
        (NoRecord, None, "SPF_NONE"),
        (Pass, None, "SPF_PASS"),
        (Fail, Some("SPF_HELO_FAIL"), "SPF_FAIL"),
        (SoftFail, None, "SPF_SOFTFAIL"),
        (Neutral, None, "SPF_NEUTRAL"),
        (TempError, Some("SPF_HELO_TEMPERROR"), "SPF_TEMPERROR"),
        (PermError, None, "SPF_PERMERROR"),
    ] {
        let spf = Spf::new(result, "test.example", "");
        assert_eq!((helo_symbol(&spf), mail_symbol(&spf)), (helo, Some(mail)));
        let broad = Spf { permissive: true, ..spf };
        assert_eq!(mail_symbol(&broad), Some(if result == Pass { "SPF_PERMISSIVE" } else { mail }));
    }
}
