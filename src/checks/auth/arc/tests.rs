//! Chains made to order, and what becomes of them when somebody meddles.

use super::*;
use crate::checks::auth::signing::canonical;
use crate::checks::auth::signing::signer::{Counted, ED25519, RSA, Signer, facts, parse};
use crate::dns::{FixedDns, LookupError};

const MAIL: &str = "From: a@example.org\r\nSubject: hello\r\n\r\nA body.\r\n";

/// A message and what its seals sign so far.
struct Sealed {
    message: String,
    before: String,
}

impl Sealed {
    fn new() -> Self {
        Self { message: MAIL.into(), before: String::new() }
    }

    /// Adds a set with these tags beside the usual ones; `change` edits the tags of a field before it is made.
    fn seal(mut self, signer: &Signer, cv: &str, change: impl Fn(&str, String) -> String) -> Self {
        let instance = 1 + self.before.matches("arc-seal:").count();
        let (selector, algorithm) =
            if signer.record == RSA.record { ("rsa", "rsa-sha256") } else { ("ed", "ed25519-sha256") };
        let who = format!("i={instance}; a={algorithm}; d=hop{instance}.example; s={selector}");
        let results = change("AAR", format!("i={instance}; hop{instance}.example; spf=pass\r\n\tsmtp.mailfrom=x"));
        self.take(&format!("ARC-Authentication-Results: {results}\r\n"));
        let tags = change("AMS", format!("{who}; c=relaxed/relaxed; h=from:subject; bh={{bh}}; b={{b}}"));
        let signed = signer.sign("ARC-Message-Signature", &tags, &self.message, None);
        self.take(&signed[..signed.len() - self.message.len()]);
        let tags = change("AS", format!("{who}; cv={cv}; b={{b}}"));
        let sealed = signer.sign("ARC-Seal", &tags, &self.message, Some(&self.before));
        self.take(&sealed[..sealed.len() - self.message.len()]);
        self
    }

    fn plain(self, signer: &Signer, cv: &str) -> Self {
        self.seal(signer, cv, |_, tags| tags)
    }

    fn take(&mut self, field: &str) {
        let mut canonical = Vec::new();
        let (name, value) = field.trim_end().split_once(':').unwrap();
        canonical::field(Form::Relaxed, name.as_bytes(), value.as_bytes(), &mut canonical);
        self.before.push_str(&String::from_utf8(canonical).unwrap());
        self.before.push_str("\r\n");
        self.message.insert_str(0, field);
    }
}

fn zone() -> FixedDns {
    (1..=51).fold(FixedDns::new(), |dns, hop| {
        dns.txt(&format!("rsa._domainkey.hop{hop}.example"), [&*RSA.record])
            .txt(&format!("ed._domainkey.hop{hop}.example"), [&*ED25519.record])
    })
}

async fn chain_of(message: &str, dns: FixedDns) -> ArcChain {
    let authenticator = Authenticator::new(Settings::default(), Counted::new(dns));
    authenticator.arc(&facts(message.as_bytes(), usize::MAX)).await.clone()
}

#[tokio::test]
async fn a_chain_is_validated_and_described() {
    let chain = chain_of(MAIL, zone()).await;
    assert_eq!((chain.result, chain.sets.len(), &*chain.reason), (AuthResult::None, 0, ""));
    let sealed = Sealed::new().plain(&RSA, "none").plain(&ED25519, "pass").plain(&RSA, "Pass");
    let chain = chain_of(&sealed.message, zone()).await;
    assert_eq!((chain.result, &*chain.reason), (AuthResult::Pass, ""));
    let sets: Vec<_> = chain.sets.iter().map(|set| (set.instance, &*set.sealer, &*set.results)).collect();
    let expected = [
        (1, "hop1.example", "hop1.example; spf=pass smtp.mailfrom=x"),
        (2, "hop2.example", "hop2.example; spf=pass smtp.mailfrom=x"),
        (3, "hop3.example", "hop3.example; spf=pass smtp.mailfrom=x"),
    ];
    assert_eq!(sets, expected);
}

#[tokio::test]
async fn a_chain_that_was_meddled_with_fails() {
    let good = Sealed::new().plain(&ED25519, "none").plain(&ED25519, "pass").message;
    for (from, to, why) in [
        ("A body.", "Another body.", "the body was changed"),
        ("Subject: hello", "Subject: bye", "the last ARC-Message-Signature: the signature does not verify"),
        ("hop1.example; spf=pass", "hop1.example; spf=fail", "an ARC-Seal: the signature does not verify"),
        ("hop2.example; spf=pass", "hop2.example; spf=fail", "an ARC-Seal: the signature does not verify"),
        ("cv=none", "cv=pass", "`cv=` of seal 1"),
        ("cv=pass", "cv=none", "`cv=` of seal 2"),
        ("cv=pass", "cv=perhaps", "ARC-Seal: `cv=` is unknown"),
        ("cv=pass", "cv=", "ARC-Seal: `cv=` is unknown"),
        ("cv=pass; ", "", "ARC-Seal: `cv=` is missing"),
        ("cv=pass", "cv=pass; h=from", "ARC-Seal: it has `h=`"),
        ("cv=pass", "cv=pass; cv=pass", "ARC-Seal: `cv=` is there twice"),
        ("cv=pass", "cv=pass;", "a tag has no `=`"),
        ("ARC-Seal: i=2", "ARC-Seal: t=12 345; i=2", "ARC-Seal: `t=` is no number"),
        ("ARC-Seal: i=2", "ARC-Seal: i=3", "set 2 is incomplete"),
        ("ARC-Seal: i=2", "ARC-Seal: i=1", "set 1 has ARC-Seal twice"),
        ("ARC-Seal: i=2", "ARC-Seal: i=0", "ARC-Seal: `i=` is not 1 to 50"),
        ("ARC-Seal: i=2", "ARC-Seal: i=51", "ARC-Seal: `i=` is not 1 to 50"),
        ("ARC-Seal: i=2", "ARC-Seal: i=", "ARC-Seal: `i=` is no number"),
        ("ARC-Seal: i=2", "ARC-Seal: i=two", "ARC-Seal: `i=` is no number"),
        ("ARC-Seal: i=2;", "ARC-Seal:", "ARC-Seal: `i=` is missing"),
        ("ARC-Seal: i=2;", "ARC-Seal: I=2;", "ARC-Seal: `i=` is missing"),
        ("ARC-Seal: i=2;", "X-Seal: i=2;", "set 2 is incomplete"),
        ("ARC-Seal: i=1;", "X-Seal: i=1;", "set 1 is incomplete"),
        ("ARC-Message-Signature: i=2;", "X: i=2;", "set 2 is incomplete"),
        ("ARC-Message-Signature: i=1;", "X: i=1;", "set 1 is incomplete"),
        ("ARC-Message-Signature: i=2;", "ARC-Message-Signature: ", "ARC-Message-Signature: `i=` is missing"),
        ("ARC-Message-Signature: i=2;", "ARC-Message-Signature: i=1;", "set 1 has ARC-Message-Signature twice"),
        ("h=from:subject", "h=from:subject:arc-seal", "ARC-Message-Signature: it signs ARC-Seal"),
        ("ARC-Authentication-Results: i=2;", "X: i=2;", "set 2 is incomplete"),
        ("ARC-Authentication-Results: i=2;", "ARC-Authentication-Results: ", "does not begin with `i=`"),
        ("ARC-Authentication-Results: i=2;", "ARC-Authentication-Results: i=;", "`i=` is not 1 to 50"),
        ("ARC-Authentication-Results: i=2;", "ARC-Authentication-Results: i=2 x;", "`i=` is not 1 to 50"),
        ("ARC-Authentication-Results: i=2;", "ARC-Authentication-Results: (i=2;", "does not begin"),
        ("ARC-Authentication-Results: i=2;", "ARC-Authentication-Results: i=+2;", "`i=` is not 1 to 50"),
        ("ARC-Authentication-Results: i=2;", "ARC-Authentication-Results: i=1;", "twice"),
        ("ARC-Authentication-Results: i=2;", "ARC-Authentication-Results: hop2.example; i=2;", "does not begin"),
        ("ed25519-sha256", "rsa-sha1", "rsa-sha1 proves nothing any more"),
        ("ed25519-sha256", "rsa-sha256", "the key is of another kind"),
        ("s=ed", "s=other", "no key"),
        ("d=hop2.example", "d=example", "`d=` is no domain name"),
    ] {
        assert!(good.contains(from), "{from}");
        let chain = chain_of(&good.replacen(from, to, 1), zone()).await;
        assert_eq!(chain.result, AuthResult::Fail, "{from} -> {to}");
        assert!(chain.reason.contains(why), "{from} -> {to}: {}", chain.reason);
    }
}

#[tokio::test]
async fn what_a_seal_does_not_mind_is_not_minded() {
    let good = Sealed::new().plain(&ED25519, "none").plain(&ED25519, "pass").message;
    for (from, to) in [
        ("ARC-Seal: i=2;", "arc-seal : i=2; \r\n\t"),
        ("A body.", "A  body.\t"),
        ("Subject: hello", "SUBJECT:  hello"),
        ("From: a", "X: y\r\nFrom: a"),
    ] {
        let chain = chain_of(&good.replacen(from, to, 1), zone()).await;
        assert_eq!((chain.result, &*chain.reason), (AuthResult::Pass, ""), "{from} -> {to}");
    }
    for (field, from, to) in [
        ("AAR", "i=1;", "(a (nested; \\) i=7) comment) i=1;"),
        ("AAR", "i=1;", "i = 1 (first) ;"),
        ("AAR", "i=1;", "i=01;"),
        ("AMS", "h=from:subject", "h="),
        ("AMS", "h=from:subject", "h=from:mime-version:mime-version"),
        ("AMS", "h=from:subject", "h=from:arc-authentication-results:arc-message-signature"),
        ("AMS", "c=relaxed/relaxed; ", ""),
        ("AMS", "c=relaxed/relaxed", "c=simple/simple"),
        ("AMS", "c=relaxed", "t=12345; unknown=1; c=relaxed"),
        ("AS", "cv=none; b={b}", "b={b};t=1;cv=none;"),
        ("AS", "s=ed", "s=ed; c=simple; bh=x"),
    ] {
        let change = |which: &str, tags: String| if which == field { tags.replacen(from, to, 1) } else { tags };
        let sealed = Sealed::new().seal(&ED25519, "none", change);
        let chain = chain_of(&sealed.message, zone()).await;
        assert_eq!(chain.result, AuthResult::Pass, "{field} {to}: {}", chain.reason);
    }
}

#[tokio::test]
async fn what_lets_text_be_added_or_is_over_is_not_believed() {
    for (extra, expected) in [
        ("l=9", AuthResult::Pass),
        ("l=5", AuthResult::Fail),
        ("l=0", AuthResult::Fail),
        ("l=10", AuthResult::Fail),
        ("x=1", AuthResult::Fail),
        ("x=1800000000", AuthResult::Pass),
    ] {
        let change = |which: &str, tags: String| match which {
            "AMS" => tags.replacen("c=", &format!("{extra}; c="), 1),
            _ => tags,
        };
        let chain = chain_of(&Sealed::new().seal(&ED25519, "none", change).message, zone()).await;
        assert_eq!(chain.result, expected, "{extra}: {}", chain.reason);
    }
}

#[tokio::test]
async fn a_chain_that_was_broken_before_has_no_result() {
    let message = Sealed::new().plain(&ED25519, "none").plain(&ED25519, "fail").message;
    let chain = chain_of(&message, zone()).await;
    assert_eq!((chain.result, chain.sets.len()), (AuthResult::None, 2));
    // But whoever seals a broken chain as good is wrong.
    let message = Sealed::new().plain(&ED25519, "fail").plain(&ED25519, "pass").message;
    assert_eq!(chain_of(&message, zone()).await.result, AuthResult::Fail);
}

#[tokio::test]
async fn fifty_sets_are_a_chain_and_one_more_is_none() {
    let mut sealed = Sealed::new().plain(&ED25519, "none");
    for _ in 1..50 {
        sealed = sealed.plain(&ED25519, "pass");
    }
    let dns = Counted::new(zone());
    let authenticator = Authenticator::new(Settings::default(), dns.clone());
    let facts = facts(sealed.message.as_bytes(), usize::MAX);
    assert_eq!(authenticator.arc(&facts).await.result, AuthResult::Pass);
    assert_eq!(dns.count(), 50);
    let message = sealed.plain(&ED25519, "pass").message;
    assert_eq!(chain_of(&message, zone()).await.result, AuthResult::Fail);
    let large = format!("ARC-Authentication-Results: i=1; {}\r\n{MAIL}", "x".repeat(300_000));
    assert_eq!(chain_of(&large, zone()).await.reason, "too much of it");
}

#[tokio::test]
async fn trouble_of_dns_leaves_it_open_unless_the_chain_fails_anyway() {
    let good = Sealed::new().plain(&ED25519, "none").plain(&ED25519, "pass").message;
    for hop in [1, 2] {
        let name = format!("ed._domainkey.hop{hop}.example");
        for (message, error, expected) in [
            (good.clone(), LookupError::Timeout, AuthResult::TempError),
            (good.replace("A body", "No body"), LookupError::Timeout, AuthResult::Fail),
            (good.clone(), LookupError::NotAName, AuthResult::Fail),
        ] {
            let chain = chain_of(&message, zone().fail(&name, error)).await;
            assert_eq!(chain.result, expected, "{hop} {error}: {}", chain.reason);
        }
    }
    let short = Settings { min_rsa_bits: 4096, ..Settings::default() };
    let message = Sealed::new().plain(&RSA, "none").message;
    let facts = facts(message.as_bytes(), usize::MAX);
    assert_eq!(Authenticator::new(short, Counted::new(zone())).arc(&facts).await.result, AuthResult::Fail);
}

#[tokio::test]
async fn a_chain_is_the_same_wherever_the_message_lies() {
    let large = Sealed { message: format!("{MAIL}{}", "more\r\n".repeat(100_000)), before: String::new() };
    let message = large.plain(&ED25519, "none").message;
    let section = parse(&message).header_section().len();
    for (memory, expected) in
        [(usize::MAX, AuthResult::Pass), (section, AuthResult::Pass), (section - 2, AuthResult::Fail)]
    {
        let authenticator = Authenticator::new(Settings::default(), Counted::new(zone()));
        assert_eq!(authenticator.arc(&facts(message.as_bytes(), memory)).await.result, expected);
        let changed = message.clone() + "x";
        let authenticator = Authenticator::new(Settings::default(), Counted::new(zone()));
        assert_eq!(authenticator.arc(&facts(changed.as_bytes(), memory)).await.result, AuthResult::Fail);
    }
}

#[tokio::test]
async fn results_become_symbols() {
    let check = ArcCheck::new(Authenticator::new(Settings::default(), Counted::new(zone())));
    assert!(Check::is_reported(&check));
    let good = Sealed::new().plain(&ED25519, "none").message;
    let dead = |facts: MessageFacts, result| MessageFacts {
        arc: ArcChain { result, sets: Vec::new(), reason: String::new(), panicked: false }.into(),
        ..facts
    };
    for (result, expected) in [
        (AuthResult::Pass, Some("ARC_PASS")),
        (AuthResult::Fail, Some("ARC_FAIL")),
        (AuthResult::TempError, Some("ARC_TEMPERROR")),
        (AuthResult::None, None),
    ] {
        let outcome = check.run(&dead(facts(good.as_bytes(), usize::MAX), result)).await;
        assert_eq!(outcome.findings().first().map(|finding| finding.symbol.as_str()), expected);
        assert!(expected.is_none_or(|symbol| Check::spec(&check).emits.iter().any(|known| known.as_str() == symbol)));
    }
    let outcome = check.run(&facts(good.as_bytes(), usize::MAX)).await;
    assert_eq!(outcome.findings()[0].evidence.as_str(), "sealed by hop1.example");
}
