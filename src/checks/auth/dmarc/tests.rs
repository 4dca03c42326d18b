use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use proptest::prelude::*;

use super::super::{Authenticator, Settings};
use super::check::judge;
use super::*;
use crate::checks::Check as _;
use crate::dns::{Answer, FixedDns, Lookup, LookupError, Mx};
use crate::facts::{
    AuthResult, Author, ClientFacts, Derived, Dkim, Dmarc, DmarcPolicy, HeloFacts, MailFacts, MessageFacts, Signature,
    Spf,
};
use crate::message::Message;
use crate::scoring::Outcome;
use crate::smtp::{HeloName, Params, ReversePath};

mod evaluation;
mod records;

/// A zone of policy records: `(domain, record)`.
fn zone(records: &[(&str, &str)]) -> FixedDns {
    records.iter().fold(FixedDns::new(), |dns, (domain, record)| dns.txt(&format!("_dmarc.{domain}"), [*record]))
}

fn author(domain: &str) -> Author {
    Author::of_field(format!("someone@{domain}").as_bytes())
}

fn spf(result: AuthResult, domain: &str) -> Spf {
    Spf::new(result, domain, "because")
}

fn signature(result: AuthResult, domain: &str) -> Signature {
    Signature {
        result,
        domain: domain.into(),
        selector: "s".into(),
        identity: String::new(),
        algorithm: "rsa-sha256",
        tag: String::new(),
        reason: "because".into(),
        key_bits: Some(2048),
        partial_body: false,
        signs_from: true,
        testing: false,
        out_of_time: false,
    }
}

fn signed(signatures: &[(AuthResult, &str)]) -> Dkim {
    let signatures = signatures.iter().map(|(result, domain)| signature(*result, domain)).collect();
    Dkim { signatures, ..Dkim::default() }
}

fn nothing() -> Spf {
    spf(AuthResult::None, "")
}

async fn evaluated(dns: &dyn Lookup, author: &Author, spf: &Spf, dkim: &Dkim) -> Dmarc {
    Discovery::of(dns, author).await.evaluate(author, spf, dkim).await
}

/// What DMARC says of unauthenticated mail.
async fn policy_for(dns: &dyn Lookup, domain: &str) -> (AuthResult, DmarcPolicy) {
    let dmarc = evaluated(dns, &author(domain), &nothing(), &Dkim::default()).await;
    (dmarc.result, dmarc.policy)
}

/// Writes down the TXT questions.
struct Asked {
    dns: FixedDns,
    names: Mutex<Vec<String>>,
}

impl Asked {
    fn new(dns: FixedDns) -> Self {
        Self { dns, names: Mutex::default() }
    }

    fn names(&self) -> Vec<String> {
        self.names.lock().unwrap().clone()
    }
}

impl Lookup for Asked {
    fn a<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<std::net::Ipv4Addr>, LookupError>> {
        Lookup::a(&self.dns, name)
    }
    fn aaaa<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<std::net::Ipv6Addr>, LookupError>> {
        Lookup::aaaa(&self.dns, name)
    }
    fn ptr(&self, addr: IpAddr) -> BoxFuture<'_, Result<Answer<std::sync::Arc<str>>, LookupError>> {
        Lookup::ptr(&self.dns, addr)
    }
    fn txt<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<std::sync::Arc<str>>, LookupError>> {
        self.names.lock().unwrap().push(name.to_owned());
        Lookup::txt(&self.dns, name)
    }
    fn mx<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Mx>, LookupError>> {
        Lookup::mx(&self.dns, name)
    }
    fn ns<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<std::sync::Arc<str>>, LookupError>> {
        Lookup::ns(&self.dns, name)
    }
}

/// Facts of a message with these octets; SPF and DKIM are known already.
fn facts(message: &str, spf: Spf, dkim: Dkim) -> MessageFacts {
    let client = ClientFacts::new([192, 0, 2, 1].into(), "edge".into(), "mx.example.org".into(), None);
    let helo = HeloFacts::new(client.into(), HeloName::parse(b"client.example").unwrap(), true, None);
    let mail = MailFacts::new(helo.into(), ReversePath::Null, Params::default(), SystemTime::UNIX_EPOCH);
    let mail = MailFacts { spf: Derived::from(spf), ..mail };
    let message = Message::new(message.as_bytes().to_vec(), message.len() as u64);
    MessageFacts { dkim: Derived::from(dkim), ..MessageFacts::new(mail.into(), Vec::new(), message.into(), None) }
}

fn symbols(outcome: &Outcome) -> Vec<&str> {
    outcome.findings().iter().map(|finding| finding.symbol.as_str()).collect()
}

#[tokio::test]
async fn the_check_says_what_dmarc_says_and_what_is_strange_about_the_author() {
    let dns = zone(&[
        ("none.example", "v=DMARC1; p=none"),
        ("quarantine.example", "v=DMARC1; p=quarantine"),
        ("reject.example", "v=DMARC1; p=reject"),
        ("passes.example", "v=DMARC1; p=reject"),
        ("testing.example", "v=DMARC1; p=reject; t=y"),
        ("broken.example", "v=DMARC1; p=perhaps"),
    ])
    .fail("_dmarc.down.example", LookupError::ServerFailure);
    let authenticator = Authenticator::new(Settings::default(), std::sync::Arc::new(dns));
    let check = Check::new(authenticator);
    for (from, expected) in [
        ("From: a@none.example", "DMARC_FAIL_NONE"),
        ("From: a@quarantine.example", "DMARC_FAIL_QUARANTINE"),
        ("From: a@reject.example", "DMARC_FAIL_REJECT"),
        ("From: a@testing.example", "DMARC_FAIL_QUARANTINE"),
        ("From: a@passes.example", "DMARC_PASS"),
        ("From: a@nowhere.example", "DMARC_NONE"),
        ("From: a@broken.example", "DMARC_PERMERROR"),
        ("From: a@down.example", "DMARC_TEMPERROR"),
        ("From: a@none.example, b@reject.example", "AUTHOR_SEVERAL_DOMAINS DMARC_FAIL_REJECT"),
        ("From: a@none.example\r\nFrom: b@reject.example", "AUTHOR_SEVERAL_DOMAINS DMARC_FAIL_REJECT"),
        ("From: a@none.example\r\nFrom: b@none.example", "DMARC_FAIL_NONE"),
        ("From: a@reject.example\r\nFrom: a@reject.example", "DMARC_FAIL_REJECT"),
        ("From: a@reject.example, x@[127.0.0.1]", "AUTHOR_UNPARSABLE DMARC_FAIL_REJECT"),
        ("From: a@reject.example\x01", "AUTHOR_UNPARSABLE DMARC_FAIL_REJECT"),
        ("From: a@passes.example, b@reject.example", "AUTHOR_SEVERAL_DOMAINS DMARC_FAIL_REJECT"),
        ("From: a@passes.example, b@down.example", "AUTHOR_SEVERAL_DOMAINS DMARC_TEMPERROR"),
        ("From: a@passes.example, b@broken.example", "AUTHOR_SEVERAL_DOMAINS DMARC_PERMERROR"),
        ("From: a@down.example, b@reject.example", "AUTHOR_SEVERAL_DOMAINS DMARC_FAIL_REJECT"),
        ("From: a@passes.example, b@nowhere.example", "AUTHOR_SEVERAL_DOMAINS"),
        ("From: a@passes.example\r\nFrom: a@passes.example", ""),
        ("From: a@a.example, a@b.example, a@c.example, a@d.example", "AUTHOR_SEVERAL_DOMAINS"),
        (
            "From: a@a.example, a@b.example, a@c.example, a@d.example, a@e.example",
            "AUTHOR_SEVERAL_DOMAINS DMARC_FAIL_REJECT",
        ),
        ("From: a@[192.0.2.1]", "AUTHOR_UNPARSABLE"),
        ("From: nobody:;", "AUTHOR_NO_ADDRESS"),
        ("Subject: hello", ""),
    ] {
        let facts = facts(&format!("{from}\r\n\r\n"), spf(AuthResult::Pass, "passes.example"), Dkim::default());
        let outcome = check.run(&facts).await;
        assert_eq!(symbols(&outcome).join(" "), expected, "{from}");
        assert!(
            symbols(&outcome).iter().all(|symbol| check.spec().emits.iter().any(|known| known.as_str() == *symbol))
        );
    }
    assert!(check.is_reported());
}

#[tokio::test(start_paused = true)]
async fn a_strangers_name_server_does_not_hide_the_policy_of_another_domain() {
    let slow = Duration::from_secs(60);
    let dns = zone(&[("reject.example", "v=DMARC1; p=reject")]).delay("_dmarc.slow.example", slow);
    let author = Author::of_field(b"x@slow.example, ceo@reject.example");
    let begun = tokio::time::Instant::now();
    let dmarc = evaluated(&dns, &author, &nothing(), &Dkim::default()).await;
    assert_eq!((dmarc.result, dmarc.policy), (AuthResult::Fail, DmarcPolicy::Reject));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn signatures_that_were_lost_to_a_bug_are_no_failure_of_the_sender() {
    let dns = zone(&[("reject.example", "v=DMARC1; p=reject")]);
    let lost = Dkim { panicked: true, ..Dkim::default() };
    let dmarc = evaluated(&dns, &author("reject.example"), &nothing(), &lost).await;
    assert_eq!((dmarc.result, dmarc.policy), (AuthResult::TempError, DmarcPolicy::None));
}

#[test]
fn no_author_domain_no_evaluation_and_no_policy() {
    let none = Dmarc {
        result: AuthResult::None,
        author_domain: None,
        policy: DmarcPolicy::None,
        published: DmarcPolicy::None,
        record: None,
        spf_aligned: false,
        dkim_aligned: None,
        reason: String::new(),
    };
    assert_eq!(judge(&Author::Missing, &none), Outcome::Clear);
}
