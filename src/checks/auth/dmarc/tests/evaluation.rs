//! RFC 9989 4.10 and 5.3: which record applies, who is aligned, and what comes of it.

use super::*;

const PASS: AuthResult = AuthResult::Pass;
const FAIL: AuthResult = AuthResult::Fail;
const NONE: AuthResult = AuthResult::None;
const TEMP: AuthResult = AuthResult::TempError;

#[test]
fn section_4_10_a_walk_asks_eight_names_at_most() {
    let walk = |domain: &'static str| targets(domain).collect::<Vec<_>>();
    assert_eq!(walk("example"), ["example"]);
    assert_eq!(walk("a.mail.example.com"), ["a.mail.example.com", "mail.example.com", "example.com", "com"]);
    assert_eq!(walk("1.2.3.4.5.6.example.com")[..2], ["1.2.3.4.5.6.example.com", "2.3.4.5.6.example.com"]);
    let deep = [
        "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ];
    assert_eq!(walk(deep[0]), deep);
}

#[tokio::test]
async fn section_4_10_2_the_organization_is_where_the_records_say() {
    for (records, domain, organization) in [
        (&[][..], "a.example.com", "a.example.com"),
        (&[("mail.example.com", ""), ("example.com", "")], "a.mail.example.com", "example.com"),
        (&[("mail.example.com", "psd=n"), ("example.com", "")], "a.mail.example.com", "mail.example.com"),
        (&[("com", "psd=y")], "a.mail.example.com", "example.com"),
        (&[("com", "psd=y")], "example.com", "example.com"),
        (&[("com", "psd=y")], "com", "com"),
        (&[("com", "")], "a.example.com", "com"),
        (&[("bank.example", "psd=y"), ("giant.bank.example", "")], "giant.bank.example", "giant.bank.example"),
        (&[("bank.example", "psd=y"), ("giant.bank.example", "")], "mail.giant.bank.example", "giant.bank.example"),
        (&[("bank.example", "psd=y")], "mail.mega.bank.example", "mega.bank.example"),
        (&[("example.com", "")], "a.b.c.d.e.f.g.h.i.j.k.example.com", "example.com"),
        (&[("example.com", "psd=y")], "a.b.c.d.e.f.g.h.i.j.k.example.com", "k.example.com"),
        (&[("g.h.i.j.k.example.com", "psd=y")], "a.b.g.h.i.j.k.example.com", "b.g.h.i.j.k.example.com"),
        // Beyond seven labels only the domain itself is asked.
        (&[("b.c.d.e.f.g.h.i.example", "")], "a.b.c.d.e.f.g.h.i.example", "a.b.c.d.e.f.g.h.i.example"),
    ] {
        let records: Vec<(&str, String)> =
            records.iter().map(|(name, tags)| (*name, format!("v=DMARC1; p=none; {tags}"))).collect();
        let dns = zone(&records.iter().map(|(name, record)| (*name, record.as_str())).collect::<Vec<_>>());
        let walk = Walker::new(&dns).walk(domain).await.unwrap();
        assert_eq!(walk.organization(), organization, "{domain} {records:?}");
    }
}

#[tokio::test]
async fn section_4_10_1_the_record_of_the_author_then_of_the_organization_then_of_the_suffix() {
    use DmarcPolicy::{None as Nothing, Quarantine, Reject};
    let dns = zone(&[
        ("com", "v=DMARC1; p=none; sp=reject; np=quarantine; psd=y"),
        ("example.com", "v=DMARC1; p=none; sp=quarantine; np=reject"),
        ("own.example.com", "v=DMARC1; p=reject; sp=none; np=none"),
        ("two.example.com", "v=DMARC1; p=reject"),
        ("two.example.com", "v=DMARC1; p=reject"),
        ("other.example.com", "v=spf1 -all"),
    ])
    .a("www.example.com", [[192, 0, 2, 1]])
    .a("two.example.com", [[192, 0, 2, 1]])
    .a("other.example.com", [[192, 0, 2, 1]])
    .a("sub.own.example.com", [[192, 0, 2, 1]])
    .mx("registered.com", [(1, "mail.registered.com")]);
    for (domain, result, policy) in [
        ("own.example.com", FAIL, Reject),
        ("sub.own.example.com", FAIL, Quarantine),
        ("example.com", FAIL, Nothing),
        ("www.example.com", FAIL, Quarantine),
        ("absent.example.com", FAIL, Reject),
        ("absent.www.example.com", FAIL, Reject),
        ("two.example.com", FAIL, Quarantine),
        ("other.example.com", FAIL, Quarantine),
        ("registered.com", FAIL, Reject),
        ("unregistered.com", FAIL, Quarantine),
        ("com", FAIL, Nothing),
        ("example.net", NONE, Nothing),
        ("net", NONE, Nothing),
        ("www.EXAMPLE.com", FAIL, Quarantine),
    ] {
        assert_eq!(policy_for(&dns, domain).await, (result, policy), "{domain}");
    }
}

#[tokio::test]
async fn section_4_7_testing_lowers_by_one() {
    use DmarcPolicy::{None as Nothing, Quarantine};
    let dns = zone(&[
        ("a.example", "v=DMARC1; p=reject; sp=quarantine; np=none; t=y"),
        ("b.example", "v=DMARC1; p=quarantine; t=y"),
        ("c.example", "v=DMARC1; p=none; t=y"),
        ("d.example", "v=DMARC1; p=reject; pct=0"),
    ])
    .a("www.a.example", [[192, 0, 2, 1]]);
    for (domain, policy) in [
        ("a.example", Quarantine),
        ("www.a.example", Nothing),
        ("absent.a.example", Nothing),
        ("b.example", Nothing),
        ("c.example", Nothing),
        // `pct` is gone (RFC 9989 appendix A.6).
        ("d.example", DmarcPolicy::Reject),
    ] {
        assert_eq!(policy_for(&dns, domain).await, (FAIL, policy), "{domain}");
    }
}

#[tokio::test]
async fn section_4_10_1_a_record_beyond_use_is_permanent_trouble() {
    let dns = zone(&[
        ("a.example", "v=DMARC1; p=bob"),
        ("b.example", "v=DMARC1"),
        ("c.example", "v=DMARC1; rua=mailto:x@y.example"),
    ]);
    assert_eq!(policy_for(&dns, "a.example").await, (AuthResult::PermError, DmarcPolicy::None));
    assert_eq!(policy_for(&dns, "www.b.example").await, (AuthResult::PermError, DmarcPolicy::None));
    assert_eq!(policy_for(&dns, "c.example").await, (FAIL, DmarcPolicy::None));
}

#[tokio::test]
async fn section_4_4_alignment() {
    let dns = zone(&[
        ("relaxed.example", "v=DMARC1; p=reject"),
        ("sub.relaxed.example", "v=DMARC1; p=reject"),
        ("own.relaxed.example", "v=DMARC1; p=reject; psd=n"),
        ("strict.example", "v=DMARC1; p=reject; aspf=s; adkim=s"),
        ("bank.example", "v=DMARC1; p=reject; psd=y"),
        ("giant.bank.example", "v=DMARC1; p=reject"),
        ("xn--bcher-kva.example", "v=DMARC1; p=reject"),
    ]);
    for (from, identifier, is_aligned) in [
        ("relaxed.example", "relaxed.example", true),
        ("relaxed.example", "RELAXED.example.", true),
        ("relaxed.example", "a.relaxed.example", true),
        ("relaxed.example", "sub.relaxed.example", true),
        ("a.relaxed.example", "relaxed.example", true),
        ("a.relaxed.example", "b.c.relaxed.example", true),
        ("sub.relaxed.example", "relaxed.example", true),
        ("relaxed.example", "own.relaxed.example", false),
        ("own.relaxed.example", "relaxed.example", false),
        ("a.own.relaxed.example", "own.relaxed.example", true),
        ("relaxed.example", "norelaxed.example", false),
        ("relaxed.example", "relaxed.test", false),
        ("relaxed.example", "example", false),
        ("relaxed.example", "", false),
        ("relaxed.example", "..relaxed.example", false),
        ("strict.example", "strict.example", true),
        ("strict.example", "a.strict.example", false),
        ("a.strict.example", "strict.example", false),
        ("a.strict.example", "a.strict.example", true),
        ("giant.bank.example", "mail.giant.bank.example", true),
        ("giant.bank.example", "mail.mega.bank.example", false),
        ("giant.bank.example", "bank.example", false),
        ("mega.bank.example", "mail.mega.bank.example", true),
        ("bank.example", "giant.bank.example", false),
        ("bank.example", "bank.example", true),
        ("b\u{fc}cher.example", "xn--bcher-kva.example", true),
        ("xn--bcher-kva.example", "B\u{fc}cher.example", true),
    ] {
        let author = author(from);
        let by_spf = evaluated(&dns, &author, &spf(PASS, identifier), &Dkim::default()).await;
        let by_dkim = evaluated(&dns, &author, &nothing(), &signed(&[(PASS, identifier)])).await;
        let expected = if is_aligned { PASS } else { FAIL };
        assert_eq!((by_spf.result, by_spf.spf_aligned), (expected, is_aligned), "{from} {identifier}");
        assert_eq!((by_dkim.result, by_dkim.dkim_aligned.is_some()), (expected, is_aligned), "{from} {identifier}");
    }
}

#[tokio::test]
async fn section_4_4_each_method_has_its_own_mode() {
    let dns = zone(&[("a.example", "v=DMARC1; p=reject; aspf=s"), ("b.example", "v=DMARC1; p=reject; adkim=s")]);
    for (from, spf_aligned, dkim_aligned) in [("a.example", false, true), ("b.example", true, false)] {
        let sub = format!("sub.{from}");
        let dmarc = evaluated(&dns, &author(from), &spf(PASS, &sub), &signed(&[(PASS, &sub)])).await;
        assert_eq!((dmarc.spf_aligned, dmarc.dkim_aligned.is_some(), dmarc.result), (spf_aligned, dkim_aligned, PASS));
    }
}

#[tokio::test]
async fn section_5_3_5_any_aligned_pass_passes_and_nothing_else_does() {
    let dns = zone(&[("a.example", "v=DMARC1; p=reject")]);
    let unsigned_from =
        Dkim { signatures: vec![Signature { signs_from: false, ..signature(PASS, "a.example") }], ..Dkim::default() };
    for (spf, dkim, result) in [
        (spf(PASS, "a.example"), signed(&[]), PASS),
        (spf(FAIL, "a.example"), signed(&[(PASS, "a.example")]), PASS),
        (spf(PASS, "b.example"), signed(&[(FAIL, "a.example"), (PASS, "c.example"), (PASS, "a.example")]), PASS),
        (spf(PASS, "b.example"), signed(&[(PASS, "c.example")]), FAIL),
        (spf(AuthResult::SoftFail, "a.example"), signed(&[]), FAIL),
        (spf(AuthResult::Neutral, "a.example"), signed(&[(AuthResult::Neutral, "a.example")]), FAIL),
        (spf(AuthResult::PermError, "a.example"), signed(&[(AuthResult::PermError, "a.example")]), FAIL),
        (nothing(), signed(&[(AuthResult::Policy, "a.example")]), FAIL),
        (nothing(), unsigned_from, FAIL),
        (nothing(), signed(&[]), FAIL),
    ] {
        let dmarc = evaluated(&dns, &author("a.example"), &spf, &dkim).await;
        assert_eq!(dmarc.result, result, "{spf:?} {dkim:?}");
        assert_eq!(dmarc.policy, DmarcPolicy::Reject);
    }
}

#[tokio::test]
async fn section_5_3_1_without_one_author_domain_nothing_is_asked() {
    let dns = Asked::new(zone(&[("a.example", "v=DMARC1; p=reject")]));
    for from in ["", "<>", "a@[192.0.2.1]", "nobody:;"] {
        let author = Author::of_field(from.as_bytes());
        let dmarc = evaluated(&dns, &author, &spf(PASS, "a.example"), &signed(&[(PASS, "a.example")])).await;
        assert_eq!(
            (dmarc.result, dmarc.policy, dmarc.author_domain, dmarc.record),
            (NONE, DmarcPolicy::None, None, None)
        );
        assert!(!dmarc.reason.is_empty(), "{from}");
    }
    assert_eq!(dns.names(), Vec::<String>::new());
}

#[tokio::test]
async fn section_5_3_6_dns_trouble_is_neither_pass_nor_failure() {
    let dns = zone(&[
        ("a.example", "v=DMARC1; p=reject"),
        ("b.test", "v=DMARC1; p=reject"),
        ("strict.test", "v=DMARC1; p=reject; aspf=s; adkim=s"),
    ])
    .a("sub.c.example", [[192, 0, 2, 1]])
    .fail("_dmarc.down.example", LookupError::Timeout)
    .fail("_dmarc.x.a.example", LookupError::ServerFailure)
    .fail("_dmarc.test", LookupError::Unreachable);
    for (from, spf, dkim, result) in [
        // The record itself.
        ("down.example", spf(PASS, "down.example"), signed(&[(PASS, "down.example")]), TEMP),
        ("sub.down.example", spf(PASS, "sub.down.example"), signed(&[]), TEMP),
        // What could have made a pass, and what could not.
        ("a.example", spf(TEMP, "a.example"), signed(&[]), TEMP),
        ("a.example", spf(TEMP, "www.a.example"), signed(&[]), TEMP),
        ("a.example", spf(TEMP, "b.example"), signed(&[]), FAIL),
        ("a.example", spf(TEMP, ""), signed(&[]), FAIL),
        ("a.example", nothing(), signed(&[(TEMP, "a.example")]), TEMP),
        ("a.example", nothing(), signed(&[(TEMP, "c.example")]), FAIL),
        ("a.example", spf(TEMP, "a.example"), signed(&[(PASS, "a.example")]), PASS),
        ("a.example", spf(PASS, "a.example"), signed(&[(TEMP, "a.example")]), PASS),
        ("a.example", nothing(), signed(&[(TEMP, "a.example"), (PASS, "a.example")]), PASS),
        // The organization of an identifier, and of the author.
        ("a.example", spf(PASS, "x.a.example"), signed(&[]), TEMP),
        ("a.example", spf(PASS, "x.a.example"), signed(&[(PASS, "a.example")]), PASS),
        ("a.example", nothing(), signed(&[(PASS, "x.a.example"), (PASS, "y.a.example")]), PASS),
        ("b.test", spf(PASS, "www.b.test"), signed(&[]), TEMP),
        ("b.test", spf(PASS, "b.test"), signed(&[]), PASS),
        ("b.test", spf(PASS, "b.example"), signed(&[]), FAIL),
        ("strict.test", spf(PASS, "www.strict.test"), signed(&[]), FAIL),
    ] {
        let dmarc = evaluated(&dns, &author(from), &spf, &dkim).await;
        assert_eq!(dmarc.result, result, "{from} {spf:?} {dkim:?} {}", dmarc.reason);
        if result == TEMP {
            assert_eq!((dmarc.policy, dmarc.spf_aligned, &dmarc.dkim_aligned), (DmarcPolicy::None, false, &None));
        }
    }
}

#[tokio::test]
async fn section_4_7_np_without_knowing_whether_the_domain_exists_is_the_milder_policy() {
    let dns = zone(&[
        ("a.example", "v=DMARC1; p=none; sp=quarantine; np=reject"),
        ("b.example", "v=DMARC1; p=none; sp=reject; np=quarantine"),
    ])
    .fail("x.a.example", LookupError::Timeout)
    .fail("x.b.example", LookupError::Timeout);
    for domain in ["x.a.example", "x.b.example"] {
        assert_eq!(policy_for(&dns, domain).await, (FAIL, DmarcPolicy::Quarantine));
    }
}

#[tokio::test]
async fn names_are_asked_once_and_only_where_they_could_matter() {
    let records = [("a.example", "v=DMARC1; p=reject"), ("b.example", "v=DMARC1; p=reject; aspf=s; adkim=s")];
    for (from, spf, signers, expected) in [
        ("a.example", spf(PASS, "a.example"), &["a.example"][..], &["a.example"][..]),
        ("a.example", spf(PASS, "c.test"), &["d.test"], &["a.example"]),
        ("a.example", spf(PASS, "c.example"), &["c.example"], &["a.example", "example"]),
        (
            "a.example",
            spf(PASS, "x.a.example"),
            &["x.a.example", "y.a.example"],
            &["a.example", "example", "x.a.example"],
        ),
        ("w.a.example", spf(FAIL, "w.a.example"), &[], &["w.a.example", "a.example", "example"]),
        ("b.example", spf(PASS, "x.b.example"), &["x.b.example"], &["b.example"]),
        ("none.test", spf(PASS, "x.none.test"), &["y.none.test"], &["none.test", "test"]),
    ] {
        let dns = Asked::new(zone(&records));
        let signers: Vec<_> = signers.iter().map(|domain| (PASS, *domain)).collect();
        evaluated(&dns, &author(from), &spf, &signed(&signers)).await;
        let expected: Vec<String> = expected.iter().map(|name| format!("_dmarc.{name}")).collect();
        assert_eq!(dns.names(), expected, "{from}");
    }
}

#[tokio::test]
async fn appendix_b_4_examples() {
    let dns = zone(&[("example.com", "v=DMARC1; p=reject"), ("signing.example.com", "v=DMARC1; p=reject")]);
    for from in ["example.com", "a.b.c.d.e.f.g.h.i.j.k.example.com"] {
        let dmarc =
            evaluated(&dns, &author(from), &spf(PASS, "example.com"), &signed(&[(PASS, "signing.example.com")])).await;
        assert_eq!((dmarc.result, dmarc.spf_aligned), (PASS, true));
        assert_eq!(dmarc.dkim_aligned.as_deref(), Some("signing.example.com"));
        assert_eq!(&*dmarc.record.unwrap().domain, "example.com");
    }
}

#[tokio::test]
async fn what_was_published_is_kept_for_reports() {
    let dns = zone(&[(
        "a.example",
        "v=DMARC1; p=quarantine; sp=reject; adkim=s; t=y; fo=1:d; rua=mailto:r@a.example!1k,https://x",
    )]);
    let dmarc = evaluated(&dns, &author("www.a.example"), &nothing(), &Dkim::default()).await;
    assert_eq!(dmarc.author_domain.as_deref(), Some("www.a.example"));
    let record = dmarc.record.unwrap();
    assert_eq!(&*record.domain, "a.example");
    let policies = [record.policy, record.subdomain_policy, record.nonexistent_policy];
    assert_eq!(policies, [DmarcPolicy::Quarantine, DmarcPolicy::Reject, DmarcPolicy::Reject]);
    assert!(record.strict_dkim && !record.strict_spf && record.testing);
    assert_eq!((record.rua, record.failure_options.as_str()), (vec![("r@a.example".to_owned(), Some(1024))], "1:d"));
}

#[tokio::test]
async fn names_that_dns_cannot_hold_have_no_record() {
    let long = format!("{}.example", vec!["a".repeat(60); 4].join("."));
    assert_eq!(policy_for(&FixedDns::new(), &long).await, (NONE, DmarcPolicy::None));
    let dns = zone(&[("example", "v=DMARC1; p=none; np=reject")]);
    assert_eq!(policy_for(&dns, &long).await, (FAIL, DmarcPolicy::Reject));
}
