//! Each rule of RFC 6376 as a row: a signature made to order, and what becomes of it.

use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::{Canonicalization, DkimSigner};
use proptest::prelude::*;

use super::*;
use crate::checks::auth::signing::signer::{Counted, ED25519, NOW, RSA, Signer, facts, parse};
use crate::dns::{FixedDns, LookupError};

const MAIL: &str = "From: a@example.org\r\nTo: b@example.net\r\nSubject: hello\r\n\r\nA  body. \r\n\r\n";
const RSA_TAGS: &str = "v=1; a=rsa-sha256; d=example.org; s=rsa; c=relaxed/relaxed; h=from:to:subject; bh={bh}; b={b}";
const ED_TAGS: &str = "v=1; a=ed25519-sha256; d=example.org; s=ed; h=From:From:To; bh={bh};\r\n b={b}";

fn zone() -> FixedDns {
    FixedDns::new()
        .txt("rsa._domainkey.example.org", [&*RSA.record])
        .txt("ed._domainkey.example.org", [&*ED25519.record])
}

async fn dkim_of(message: &str, dns: FixedDns) -> Dkim {
    let authenticator = Authenticator::new(Settings::default(), Counted::new(dns));
    let facts = facts(message.as_bytes(), usize::MAX);
    authenticator.dkim(&facts).await.clone()
}

/// Result and reason of the only signature.
async fn result(message: &str, dns: FixedDns) -> (AuthResult, String) {
    let dkim = dkim_of(message, dns).await;
    let [signature] = &*dkim.signatures else { panic!("one signature: {dkim:?}") };
    (signature.result, signature.reason.clone())
}

fn sign(signer: &Signer, tags: &str, message: &str) -> String {
    signer.sign("DKIM-Signature", tags, message, None)
}

#[tokio::test]
async fn a_good_signature_passes_and_is_described() {
    for (signer, tags, algorithm, bits) in
        [(&*RSA, RSA_TAGS, "rsa-sha256", Some(2048)), (&*ED25519, ED_TAGS, "ed25519-sha256", None)]
    {
        let signed = sign(signer, &tags.replace("d=example.org", "d=Example.ORG; i=x@Example.org"), MAIL);
        let dkim = dkim_of(&signed, zone()).await;
        let [signature] = &*dkim.signatures else { panic!("{dkim:?}") };
        assert_eq!((signature.result, &*signature.reason), (AuthResult::Pass, ""));
        assert_eq!((&*signature.domain, &*signature.identity), ("example.org", "x@Example.org"));
        assert_eq!((signature.algorithm, signature.key_bits), (algorithm, bits));
        assert!(signature.signs_from && !signature.partial_body && !signature.testing);
        assert_eq!(signature.tag.len(), 8);
        assert!(signed.contains(&signature.tag));
        assert_eq!((dkim.ignored, dkim.domainkeys), (0, false));
    }
}

#[tokio::test]
async fn what_is_signed_must_not_change() {
    let body = "the body was changed: its hash is another";
    let fields = "the signature does not verify";
    for (tags, from, to, expected) in [
        (RSA_TAGS, "A  body. ", "A body.", None),
        (RSA_TAGS, "\r\n\r\nA", "\r\n\r\nOne", Some(body)),
        (RSA_TAGS, "body. \r\n", "body. \r\n \r\n\t\r\n", None),
        (RSA_TAGS, "body. \r\n", "body. \r\n.\r\n", Some(body)),
        (RSA_TAGS, "Subject: hello", "SUBJECT :\thello ", None),
        (RSA_TAGS, "Subject: hello", "Subject: hello\x0c", Some(fields)),
        (RSA_TAGS, "hello", "goodbye", Some(fields)),
        (RSA_TAGS, "From: a@", "From: c@", Some(fields)),
        (RSA_TAGS, "d=example.org", "t=1; d=example.org", Some(fields)),
        // A field that is signed once may be added above the one that is signed, not below.
        (RSA_TAGS, "From: a@", "From: c@\r\nFrom: a@", None),
        (RSA_TAGS, "To: b@", "From: c@example.org\r\nTo: b@", Some(fields)),
        (RSA_TAGS, "To: b@", "X: y\r\nTo: b@", None),
        (ED_TAGS, "A  body. ", "A body.", Some(body)),
        (ED_TAGS, "\r\n\r\n", "\r\n\r\n", None),
        (ED_TAGS, "body. \r\n\r\n", "body. \r\n\r\n\r\n", None),
        (ED_TAGS, "To: b@", "TO: b@", Some(fields)),
        // Signed once more than there are (RFC 6376 5.4.2).
        (ED_TAGS, "From: a@", "From: c@\r\nFrom: a@", Some(fields)),
    ] {
        let signed = sign(if tags == RSA_TAGS { &RSA } else { &ED25519 }, tags, MAIL);
        assert!(signed.contains(from));
        let (result, reason) = result(&signed.replacen(from, to, 1), zone()).await;
        let ends = if expected.is_none() { AuthResult::Pass } else { AuthResult::Fail };
        assert_eq!((result, &*reason), (ends, expected.unwrap_or_default()), "{from:?} -> {to:?}");
    }
}

#[tokio::test]
async fn the_field_itself_must_follow_the_rules() {
    for (from, to, expected) in [
        ("v=1; ", "", "`v=` is missing"),
        ("v=1", "v=2", "`v=` is not 1"),
        ("v=1", "v=1; v=1", "`v=` is there twice"),
        ("v=1", "v=1; l", "a tag has no `=`"),
        ("v=1;", "v=1;;", "a tag has no `=`"),
        ("a=rsa-sha256", "a=rsa-sha1", "rsa-sha1 proves nothing any more"),
        ("a=rsa-sha256", "a=rsa-md5", "`a=` is unknown to us"),
        ("h=from:to", "h=to", "From is not signed"),
        ("h=from:to:subject", "h=", "From is not signed"),
        ("d=example.org", "d=example.org; q=http", "`q=` is unknown to us"),
        ("d=example.org", "d=example.org; i=a@example.net", "`i=` is not within `d=`"),
        ("d=example.org", "d=example.org; i=@badexample.org", "`i=` is not within `d=`"),
        ("d=example.org", "d=sub.example.org; i=@example.org", "`i=` is not within `d=`"),
        ("d=example.org", "d=example.org; i=example.org", "`i=` is no identity"),
        ("d=example.org", "d=example.org; i=", "`i=` is no identity"),
        ("c=relaxed/relaxed", "c=strict", "`c=` is unknown to us"),
        ("bh={bh}", "bh=", "`bh=` is empty"),
        ("; b={b}", "", "`b=` is missing"),
    ] {
        let tags = RSA_TAGS.replacen(from, to, 1).replace("{b}", "AAAA").replace("{bh}", "AAAA");
        let dns = Counted::new(zone());
        let authenticator = Authenticator::new(Settings::default(), dns.clone());
        let facts = facts(format!("DKIM-Signature: {tags}\r\n{MAIL}").as_bytes(), usize::MAX);
        let dkim = authenticator.dkim(&facts).await;
        let [signature] = &*dkim.signatures else { panic!("{dkim:?}") };
        assert_eq!((signature.result, &*signature.reason), (AuthResult::PermError, expected), "{from} -> {to}");
        assert_eq!(dns.count(), 0, "no key is asked for");
    }
    assert_eq!(result("DKIM-Signature: \x01\r\n\r\n", zone()).await.0, AuthResult::PermError);
    assert_eq!(result("dkim-signature :\r\n\r\n", zone()).await.0, AuthResult::PermError);
}

#[tokio::test]
async fn odd_but_allowed_tags_do_no_harm() {
    for (from, to) in [
        ("v=1", "q=dns/txt:x; v=1"),
        ("a=rsa-sha256", "a=RSA-sha256"),
        ("d=example.org", "d=example.org; i=@sub.example.org"),
        ("d=example.org", "d=example.org; i=\"a@b\"@EXAMPLE.org"),
        ("d=example.org", "d=example.org; unknown=1; B=2; g=*"),
        ("h=from:to", "h=received : from :\r\n\tto:from::x"),
        ("h=from", "h=dkim-signature:from"),
        ("; c=relaxed/relaxed", ""),
        ("c=relaxed/relaxed", "c=relaxed"),
        ("c=relaxed/relaxed", "c=simple/relaxed"),
        ("b={b}", "b\t=\r\n {b} ;"),
        ("d=example.org", "d=example.org; x=1700000100; t=1700000000"),
        ("d=example.org", "d=example.org; z=From:a=20@example.org|To:b"),
        // RFC 6541 and RFC 6651 would have us ask DNS for more.
        ("d=example.org", "d=example.org; atps=example.org; atpsh=none; r=y"),
    ] {
        let signed = sign(&RSA, &RSA_TAGS.replacen(from, to, 1), MAIL);
        assert_eq!(result(&signed, zone()).await, (AuthResult::Pass, String::new()), "{from} -> {to}");
    }
}

#[tokio::test]
async fn an_open_end_or_a_wrong_time_is_no_ground_to_trust() {
    let relaxed_body = "A body.\r\n".len();
    let at = |offset: i64| NOW.saturating_add_signed(offset);
    for (extra, appended, expected, why, partial) in [
        (format!("l={relaxed_body}"), "", AuthResult::Pass, "", false),
        (format!("l={relaxed_body}"), "more\r\n", AuthResult::Policy, "leaves 8 octets", true),
        (format!("l={}", relaxed_body - 2), "", AuthResult::Policy, "leaves 2 octets", true),
        ("l=0".into(), "", AuthResult::Policy, "leaves 9 octets", true),
        (format!("l={}", relaxed_body + 1), "", AuthResult::Fail, "larger than the body", false),
        (format!("l={}", "9".repeat(76)), "", AuthResult::Fail, "larger than the body", false),
        (format!("x={}", at(-1000)), "", AuthResult::Policy, "has expired", false),
        (format!("x={}", at(-100)), "", AuthResult::Pass, "", false),
        (format!("t={}", at(80_000)), "", AuthResult::Pass, "", false),
        (format!("t={}", at(100_000)), "", AuthResult::Policy, "from the future", false),
    ] {
        let signed = sign(&RSA, &RSA_TAGS.replacen("v=1", &format!("v=1; {extra}"), 1), MAIL) + appended;
        let dkim = dkim_of(&signed, zone()).await;
        let signature = &dkim.signatures[0];
        assert_eq!((signature.result, signature.partial_body), (expected, partial), "{extra} {}", signature.reason);
        assert!(signature.reason.contains(why) && signature.reason.is_empty() == why.is_empty(), "{extra}");
    }
}

#[tokio::test]
async fn the_key_has_a_say() {
    const SHORT: &str = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALgSoqXVSEmfcIsOzw7oRuCCOwsmtX/SJnTWxYyj2leFxfS/AVJ+dYfY+hXqM\
        sT7l+MZvvh/R1WzN4MO/kI/7XsCAwEAAQ==";
    let (rsa, ed) = (&*RSA.record, &*ED25519.record);
    let with = |tags: &str| rsa.replace("p=", &format!("{tags}; p="));
    let short = format!("p={SHORT}");
    for (records, expected, why) in [
        (vec![], AuthResult::PermError, "no key"),
        (vec!["v=spf1 -all"], AuthResult::PermError, "the record is no DKIM key"),
        (vec!["hello"], AuthResult::PermError, "broken key record: a tag has no `=`"),
        (vec!["v=DKIM1; k=rsa"], AuthResult::PermError, "the key record has no `p=`"),
        (vec!["v=DKIM1; p= "], AuthResult::PermError, "the key is revoked"),
        (vec!["v=DKIM1; p=AAAA"], AuthResult::PermError, "the key record holds no key"),
        (vec!["v=DKIM1; p=-"], AuthResult::PermError, "the key record holds no key"),
        (vec!["v=DKIM1; k=ed25519; p=AAAA"], AuthResult::PermError, "the key record holds no key"),
        (vec![ed], AuthResult::PermError, "the key is of another kind than the signature"),
        (vec![&*with("k=dsa")], AuthResult::PermError, "the key is of a kind unknown to us"),
        (vec![&*with("t=y; t=s")], AuthResult::PermError, "broken key record: `t=` is there twice"),
        (vec![&*with("h=sha1")], AuthResult::PermError, "the key is not for SHA-256"),
        (vec![&*with("h=sha1 : SHA256")], AuthResult::Pass, ""),
        (vec![&*with("s=chat")], AuthResult::PermError, "the key is not for mail"),
        (vec![&*with("s=chat:*")], AuthResult::Pass, ""),
        (vec![&*with("s=email; k=rsa; n=note; g=")], AuthResult::Pass, ""),
        (vec![&*with("t=s")], AuthResult::PermError, "the key is not for subdomains"),
        (vec![&*with("t=x")], AuthResult::Pass, ""),
        (vec![&*rsa.replace("v=DKIM1; ", "")], AuthResult::Pass, ""),
        (vec![&*rsa.replace("DKIM1", "DKIM2")], AuthResult::PermError, "the record is no DKIM key"),
        (vec![&*short], AuthResult::Policy, "the key is too short"),
        (vec!["v=spf1 -all", ed, rsa], AuthResult::Pass, ""),
        (vec!["hello", &*short], AuthResult::Policy, "the key is too short"),
    ] {
        let tags = RSA_TAGS.replacen("d=", "i=@sub.example.org; d=", 1);
        let dns = FixedDns::new().txt("rsa._domainkey.example.org", records.iter().copied());
        let found = result(&sign(&RSA, &tags, MAIL), dns).await;
        assert_eq!((found.0, &*found.1), (expected, why), "{records:?}");
    }
}

#[tokio::test]
async fn the_shortest_key_is_configurable() {
    for (min_rsa_bits, expected) in [(2048, AuthResult::Pass), (2049, AuthResult::Policy)] {
        let settings = Settings { min_rsa_bits, ..Settings::default() };
        let authenticator = Authenticator::new(settings, Counted::new(zone()));
        let facts = facts(sign(&RSA, RSA_TAGS, MAIL).as_bytes(), usize::MAX);
        assert_eq!(authenticator.dkim(&facts).await.signatures[0].result, expected);
    }
}

#[tokio::test]
async fn trouble_of_dns_is_nobodys_fault() {
    let signed = sign(&RSA, RSA_TAGS, MAIL);
    let name = "rsa._domainkey.example.org";
    for error in [LookupError::Timeout, LookupError::ServerFailure, LookupError::Unreachable, LookupError::Overloaded] {
        let (result, reason) = result(&signed, FixedDns::new().fail(name, error)).await;
        assert_eq!((result, reason), (AuthResult::TempError, format!("DNS: {error}")));
    }
    let found = result(&signed, FixedDns::new().fail(name, LookupError::NotAName)).await;
    assert_eq!(found.0, AuthResult::PermError);
    // What is certain anyway is said anyway.
    let changed = signed.replace("body", "text");
    let found = result(&changed, FixedDns::new().fail(name, LookupError::Timeout)).await;
    assert_eq!(found.0, AuthResult::Fail);
}

#[tokio::test]
async fn each_key_is_asked_for_once_and_nothing_else_is() {
    let twice = sign(&RSA, &RSA_TAGS.replace("v=1", "v=1; r=y; atps=example.org"), &sign(&RSA, RSA_TAGS, MAIL));
    let all = sign(&ED25519, ED_TAGS, &twice);
    let dns = Counted::new(zone());
    let authenticator = Authenticator::new(Settings::default(), dns.clone());
    let facts = facts(all.as_bytes(), usize::MAX);
    assert_eq!(authenticator.dkim(&facts).await.passed().count(), 3);
    authenticator.dkim(&facts).await;
    assert_eq!(dns.count(), 2);
    assert_eq!(authenticator.arc(&facts).await.result, AuthResult::None);
    assert_eq!(dns.count(), 2);
}

#[tokio::test]
async fn signatures_beyond_the_bound_are_counted_only() {
    let mut message = sign(&ED25519, ED_TAGS, MAIL);
    for _ in 0..12 {
        message.insert_str(0, "DKIM-Signature: v=1; d=example.org\r\n");
    }
    let dkim = dkim_of(&message, zone()).await;
    assert_eq!((dkim.signatures.len(), dkim.ignored), (10, 3));
    assert_eq!(dkim.passed().count(), 0);
}

#[tokio::test]
async fn what_a_signer_of_another_make_signs_passes_however_large_it_is() {
    // More than 4 MiB, of lines that are long: the tests are not optimized.
    let large = format!("Some words  and\tmore \r\n\r\n{}\r\n\r\n", "x".repeat(950)).repeat(4500);
    for (form, body) in [
        (Canonicalization::Relaxed, large.clone()),
        (Canonicalization::Simple, large),
        (Canonicalization::Relaxed, "short\r\n".to_owned()),
        (Canonicalization::Simple, String::new()),
    ] {
        let message = format!("From: a@example.org\r\nSubject: a \r\n\tlong  one\r\nX: y\r\n\r\n{body}");
        let bytes = mail_auth::common::crypto::Ed25519Key::generate_pkcs8().unwrap();
        let key = mail_auth::common::crypto::Ed25519Key::from_pkcs8_der(&bytes).unwrap();
        let public = crate::checks::auth::signing::signer::base64(&key.public_key());
        let dns = FixedDns::new().txt("ed._domainkey.example.org", [&*format!("k=ed25519; p={public}")]);
        let signer = DkimSigner::from_key(key).domain("example.org").selector("ed").headers(["From", "Subject"]);
        let signer = signer.header_canonicalization(form).body_canonicalization(form);
        let signed = format!("{}{message}", signer.sign(message.as_bytes()).unwrap().to_header());
        // Its clock is that of the machine.
        let signed_at = |signature: &Signature| (signature.result, signature.reason.clone());
        for memory in [usize::MAX, 1024] {
            for (message, expected) in [
                (signed.clone(), [AuthResult::Pass, AuthResult::Policy]),
                (signed.clone() + "x", [AuthResult::Fail; 2]),
            ] {
                let facts = facts(message.as_bytes(), memory);
                let authenticator = Authenticator::new(Settings::default(), Counted::new(dns.clone()));
                let found = signed_at(&authenticator.dkim(&facts).await.signatures[0]);
                assert!(expected.contains(&found.0), "{form:?} {memory} {found:?}");
                assert!(found.0 != AuthResult::Policy || found.1 == "the signature is from the future");
            }
        }
    }
}

#[tokio::test]
async fn a_header_section_that_is_not_whole_is_not_judged() {
    let message = sign(&ED25519, ED_TAGS, MAIL);
    let section = parse(&message).header_section().len();
    for (memory, expected) in [
        (section - 20, AuthResult::Neutral),
        (section - 2, AuthResult::Neutral),
        (section, AuthResult::Pass),
        (section + 1, AuthResult::Pass),
    ] {
        let facts = facts(message.as_bytes(), memory);
        let authenticator = Authenticator::new(Settings::default(), Counted::new(zone()));
        assert_eq!(authenticator.dkim(&facts).await.signatures[0].result, expected, "{memory} of {section}");
    }
}

#[tokio::test]
async fn the_border_of_the_header_section_is_ours() {
    // A line that is no field ends it: what follows is body, for this check as for the delivery.
    let signed = sign(&RSA, RSA_TAGS, MAIL);
    let junk = signed.replacen("To: b@", "junk\r\nTo: b@", 1);
    assert_eq!(result(&junk, zone()).await.0, AuthResult::Fail);
    let own = sign(&RSA, RSA_TAGS, "From: a@example.org\r\njunk\r\nSubject: body\r\n\r\nbody\r\n");
    assert_eq!(result(&own, zone()).await.0, AuthResult::Pass);
}

fn symbols(dkim: &Dkim) -> Vec<String> {
    observe(dkim, 1024).iter().map(|finding| finding.symbol.to_string()).collect()
}

#[tokio::test]
async fn results_become_symbols() {
    let good = sign(&ED25519, ED_TAGS, MAIL);
    let bad = sign(&RSA, RSA_TAGS, MAIL).replace("To: b", "TO: c");
    let both = sign(&ED25519, ED_TAGS, &sign(&RSA, RSA_TAGS, MAIL)).replace("A  body", "A   body");
    let partial = sign(&RSA, &RSA_TAGS.replace("v=1", "v=1; l=1"), MAIL);
    let expired = sign(&RSA, &RSA_TAGS.replace("v=1", "v=1; x=2"), MAIL);
    let testing = FixedDns::new().txt("rsa._domainkey.example.org", [&*RSA.record.replace("p=", "t=s:y; p=")]);
    let short = "v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALgSoqXVSEmfcIsOzw7oRuCCOwsmtX/SJnTWxYyj2leFxfS/AVJ+dYfY+hXqMs\
        T7l+MZvvh/R1WzN4MO/kI/7XsCAwEAAQ==";
    let weak = FixedDns::new().txt("rsa._domainkey.example.org", [short]);
    let dead = FixedDns::new().fail("rsa._domainkey.example.org", LookupError::Timeout);
    let signed = sign(&RSA, RSA_TAGS, MAIL);
    for (message, dns, expected) in [
        (MAIL, zone(), &["DKIM_NONE"][..]),
        (&*format!("DomainKey-Signature: x\r\n{MAIL}"), zone(), &["DKIM_NONE", "DOMAINKEYS_OBSOLETE"]),
        (&*good, zone(), &["DKIM_PASS"]),
        (&*bad, zone(), &["DKIM_FAIL"]),
        (&*both, zone(), &["DKIM_PASS"]),
        (&*partial, zone(), &["DKIM_PARTIAL_BODY"]),
        (&*expired, zone(), &["DKIM_OUT_OF_TIME"]),
        (&*signed, testing.clone(), &["DKIM_TESTING"]),
        (&*bad, testing, &["DKIM_TESTING"]),
        (&*signed, weak, &["DKIM_WEAK_KEY"]),
        (&*signed, dead, &["DKIM_TEMPERROR"]),
        (&*signed, FixedDns::new(), &["DKIM_PERMERROR"]),
        (&*format!("DKIM-Signature: a=b\r\n{bad}"), zone(), &["DKIM_PERMERROR", "DKIM_FAIL"]),
    ] {
        let dkim = dkim_of(message, dns).await;
        assert_eq!(symbols(&dkim), expected, "{dkim:?}");
    }
}

#[tokio::test]
async fn the_check_reports_and_says_when_it_could_not() {
    let check = DkimCheck::new(Authenticator::new(Settings::default(), Counted::new(zone())));
    assert!(Check::is_reported(&check));
    for symbol in SYMBOLS {
        assert!(Check::spec(&check).emits.iter().any(|known| known.as_str() == symbol));
    }
    let facts = facts(MAIL.as_bytes(), usize::MAX);
    assert_eq!(check.run(&facts).await.findings().len(), 1);
    let broken = crate::facts::MessageFacts { dkim: Dkim { panicked: true, ..Dkim::default() }.into(), ..facts };
    assert_eq!(check.run(&broken).await, Outcome::Failed(CheckError::Panicked));
}

#[tokio::test]
async fn what_is_too_long_is_not_shown_in_part() {
    let long = format!("{}.bank.example.{}.evil.example", "x".repeat(60), "y.".repeat(100));
    let tags = RSA_TAGS.replace("d=example.org", &format!("d={long}; i=a@{}{long}", "z".repeat(80)));
    let signed = format!("DKIM-Signature: {}\r\n{MAIL}", tags.replace("{bh}", "AAAA").replace("{b}", "AAAA"));
    let dkim = dkim_of(&signed, zone()).await;
    let [signature] = &*dkim.signatures else { panic!("{dkim:?}") };
    assert_eq!((&*signature.domain, &*signature.identity), ("", ""));
}

#[tokio::test]
async fn too_many_fields_are_not_looked_through() {
    let signed = sign(&RSA, RSA_TAGS, &format!("{}{MAIL}", "a: b\r\n".repeat(10_001)));
    let (result, reason) = result(&signed, zone()).await;
    assert_eq!((result, &*reason), (AuthResult::PermError, "the header section has too many fields"));
}

/// Pieces of which signature fields are made, and anything.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: &[&str] = &[
        "DKIM-Signature:",
        "ARC-Seal:",
        "ARC-Message-Signature:",
        "ARC-Authentication-Results:",
        "From: a@b.example",
        "v=1;",
        "a=rsa-sha256;",
        "a=ed25519-sha256;",
        "d=example.org;",
        "s=rsa;",
        "s=ed;",
        "h=from:to;",
        "bh=AAAA;",
        "b=AAAA;",
        "b=",
        "l=1;",
        "l=0;",
        "c=relaxed/simple;",
        "i=1;",
        "i=@example.org;",
        "cv=none;",
        "cv=pass;",
        "x=1;",
        "t=1;",
        "\r\n",
        "\r\n ",
        "\r\n\r\n",
        ";",
        "=",
        " ",
        ":",
    ];
    let piece = prop_oneof![
        8 => prop::sample::select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_octets_are_a_message(octets in octets(), memory in 0usize..400) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let facts = facts(&octets, memory);
            let authenticator = Authenticator::new(Settings::default(), Counted::new(zone()));
            let dkim = authenticator.dkim(&facts).await;
            assert!(dkim.signatures.iter().all(|signature| signature.reason != PANICKED));
            assert_eq!(dkim.passed().count(), 0);
            let arc = authenticator.arc(&facts).await;
            assert_ne!(arc.result, AuthResult::Pass);
            assert!(!arc.reason.contains("internal error"));
        });
    }
}
