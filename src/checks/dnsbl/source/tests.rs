//! What each subject finds in a session, held against lists that list it.

use std::time::SystemTime;

use super::super::{CodePattern, Points, Test};
use super::*;
use crate::checks::Runnable;
use crate::checks::auth;
use crate::dns::{FixedDns, LookupError};
use crate::facts::Stage;
use crate::facts::{AuthResult, Author as WrittenBy, Dkim as Signatures, Signature};
use crate::message::Message;
use crate::scoring::{Outcome, Symbol};
use crate::smtp::{HeloName, Params, ReversePath};

const ADDR: [u8; 4] = [192, 0, 2, 1];

/// What is known of a message; everything that is derived is so already, but for the client's name.
fn facts(helo: &str, sender: &str, author: WrittenBy, signers: &[(&str, AuthResult)]) -> MessageFacts {
    let client = ClientFacts::new(ADDR.into(), "edge".into(), "mx.example.net".into(), None);
    let helo = HeloFacts::new(Arc::new(client), HeloName::parse(helo.as_bytes()).expect(helo), true, None);
    let (path, _) = ReversePath::parse_bracketed(sender).expect(sender);
    let mail = MailFacts::new(Arc::new(helo), path, Params::default(), SystemTime::UNIX_EPOCH);
    let signature = |&(domain, result): &(&str, AuthResult)| Signature::new(result, domain);
    let signatures = Signatures { signatures: signers.iter().map(signature).collect(), ..Signatures::default() };
    let octets = b"A: b\r\n\r\nhttp://www.link.example/".to_vec();
    let len = octets.len() as u64;
    MessageFacts {
        author: author.into(),
        dkim: signatures.into(),
        ..MessageFacts::new(Arc::new(mail), Vec::new(), Arc::new(Message::new(octets, len)), None)
    }
}

fn by(domain: &str) -> WrittenBy {
    WrittenBy::One { address: format!("a@{domain}"), domain: domain.into() }
}

fn settings(of: Subject) -> Settings {
    let any: CodePattern = "*".parse().expect("a pattern");
    Settings {
        of,
        ipv6: true,
        codes: vec![(any, Symbol::known("LISTED"))],
        points: Points { test: Test::None, ..Points::default() },
        ..Settings::new("test", "z.example")
    }
}

/// Runs the check of a list of this subject, as the registry has it.
async fn run(of: Subject, facts: &Arc<MessageFacts>, dns: FixedDns, skip: &[&str]) -> Outcome {
    let dns: Arc<dyn Lookup> = Arc::new(dns);
    let shared = Shared {
        client_names: ClientNames::new(5, dns.clone()),
        authenticator: Authenticator::new(auth::Settings::default(), dns.clone()),
        skipped: Arc::new(Skipped::new(skip.iter().copied())),
        lists: Arc::default(),
        dns,
    };
    let mut registry = Registry::default();
    add(&mut registry, settings(of), &shared).expect("a name that is free");
    let (mail, helo, client) = (&facts.mail, &facts.mail.helo, &facts.mail.helo.client);
    async fn first<F: Facts>(registry: &Registry, facts: &Arc<F>) -> Option<Outcome> {
        let check: Arc<dyn Runnable<F>> = F::slot(registry).first()?.clone();
        Some(check.run_boxed(facts.clone()).await)
    }
    let mut outcomes = vec![first(&registry, client).await, first(&registry, helo).await];
    outcomes.extend([first(&registry, mail).await, first(&registry, facts).await]);
    outcomes.into_iter().flatten().next().expect("a check")
}

fn told(outcome: Outcome) -> String {
    match outcome {
        Outcome::Found(findings) => {
            findings[0].evidence.as_str().replace("127.0.0.2 from z.example for ", "").to_owned()
        }
        Outcome::Failed(why) => format!("failed: {why}"),
        other => other.label().to_owned(),
    }
}

/// DNS of a sender in good order.
fn world() -> FixedDns {
    FixedDns::new()
        .ptr(ADDR, ["mail.client.example"])
        .a("mail.client.example", [ADDR])
        .ns("sender.example", ["ns1.bad-dns.example", "ns2.other.example"])
        .a("www.link.example", [[198, 51, 100, 80]])
        .ns("author.example", ["ns1.bad-dns.example"])
        .a("ns1.bad-dns.example", [[198, 51, 100, 53]])
        .aaaa("ns2.other.example", ["2001:db8::53".parse().expect("an address")])
}

#[tokio::test]
async fn every_subject_finds_what_it_is_about() {
    let listed = |name: &str| world().a(&format!("{name}.z.example"), [[127, 0, 0, 2]]);
    let v6_server = "3.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
    for (of, on_list, evidence) in [
        (Subject::Client, "1.2.0.192", "192.0.2.1"),
        (Subject::Helo, "helo.example", "helo.example"),
        (Subject::Helo, "mx.helo.example", "mx.helo.example"),
        (Subject::ClientName, "client.example", "client.example"),
        (Subject::Sender, "sender.example", "sender.example"),
        (Subject::Sender, "author.example", "clear"),
        (Subject::Author, "author.example", "author.example"),
        (Subject::Author, "sender.example", "clear"),
        (Subject::Dkim, "signer.example", "signer.example"),
        (Subject::Dkim, "forged.example", "clear"),
        (Subject::NameServer, "bad-dns.example", "bad-dns.example"),
        (Subject::NameServer, "ns2.other.example", "ns2.other.example"),
        (Subject::NameServerAddress, "53.100.51.198", "198.51.100.53"),
        (Subject::NameServerAddress, v6_server, "2001:db8::53"),
        (Subject::Url, "link.example", "link.example"),
        (Subject::UrlAddress, "80.100.51.198", "198.51.100.80"),
        (Subject::EmailHash, "bed8b7b68fb0123ca6ed9bc8316fe55ece12854b", "bed8b7b6... at x.sender.example"),
    ] {
        let signers = [("signer.example", AuthResult::Pass), ("forged.example", AuthResult::Fail)];
        let facts = Arc::new(facts("mx.helo.example", "<a@x.sender.example>", by("mail.author.example"), &signers));
        assert_eq!(told(run(of, &facts, listed(on_list), &[]).await), evidence, "{of:?} {on_list}");
        assert_eq!(told(run(of, &facts, world(), &[]).await), "clear", "{of:?}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_asked_about() {
    for (of, helo, sender, author) in [
        (Subject::Helo, "[192.0.2.1]", "<a@s.example>", by("a.example")),
        (Subject::Helo, "localhost", "<a@s.example>", by("a.example")),
        (Subject::Sender, "h.example", "<>", by("a.example")),
        (Subject::Sender, "h.example", "<a@[192.0.2.1]>", by("a.example")),
        (Subject::Author, "h.example", "<a@s.example>", WrittenBy::Missing),
        (Subject::Dkim, "h.example", "<a@s.example>", by("a.example")),
        (Subject::NameServer, "h.example", "<>", WrittenBy::Unparsable),
        (Subject::NameServerAddress, "h.example", "<>", WrittenBy::NoAddress),
        (Subject::NameServer, "h.example", "<a@big.example>", by("x.big.example")),
    ] {
        let facts = Arc::new(facts(helo, sender, author, &[]));
        let dns = FixedDns::new().ns("big.example", ["ns.elsewhere.example"]);
        assert_eq!(told(run(of, &facts, dns, &["big.example"]).await), "skipped", "{of:?} {helo} {sender}");
    }
}

#[tokio::test]
async fn every_author_counts() {
    let authors = WrittenBy::SeveralFields(vec!["good.example".into(), "bad.example".into()]);
    let facts = Arc::new(facts("h.example", "<a@s.example>", authors, &[]));
    let dns = FixedDns::new().a("bad.example.z.example", [[127, 0, 0, 2]]);
    assert_eq!(told(run(Subject::Author, &facts, dns, &[]).await), "bad.example");
}

#[tokio::test]
async fn a_name_that_does_not_lead_back_is_anybodys() {
    let facts = Arc::new(facts("h.example", "<a@s.example>", by("a.example"), &[]));
    let listed = FixedDns::new().a("mail.client.example.z.example", [[127, 0, 0, 2]]);
    let unconfirmed = listed.clone().ptr(ADDR, ["mail.client.example"]);
    assert_eq!(told(run(Subject::ClientName, &facts, unconfirmed, &[]).await), "skipped");
    let broken = listed.fail_ptr(ADDR, LookupError::Timeout);
    let facts = Arc::new(self::facts("h.example", "<a@s.example>", by("a.example"), &[]));
    assert_eq!(told(run(Subject::ClientName, &facts, broken, &[]).await), "failed: DNS: timeout");
}

#[tokio::test]
async fn name_servers_that_cannot_be_found_out_are_a_failure_only_if_none_can() {
    let facts = Arc::new(facts("h.example", "<a@sender.example>", by("author.example"), &[]));
    let listed = world().a("bad-dns.example.z.example", [[127, 0, 0, 2]]);
    let half = listed.clone().fail("sender.example", LookupError::ServerFailure);
    assert_eq!(told(run(Subject::NameServer, &facts, half.clone(), &[]).await), "bad-dns.example");
    let none = half.fail("author.example", LookupError::ServerFailure);
    assert_eq!(told(run(Subject::NameServer, &facts, none, &[]).await), "failed: DNS: server failure");
}

#[test]
fn a_check_runs_as_soon_as_its_subject_is_known() {
    for of in Subject::ALL {
        let stage = match of {
            Subject::Client | Subject::ClientName => Stage::Connect,
            Subject::Helo => Stage::Helo,
            Subject::Sender => Stage::Mail,
            _ => Stage::Message,
        };
        let dns: Arc<dyn Lookup> = Arc::new(FixedDns::new());
        let shared = Shared {
            client_names: ClientNames::new(5, dns.clone()),
            authenticator: Authenticator::new(auth::Settings::default(), dns.clone()),
            skipped: Arc::default(),
            lists: Arc::default(),
            dns,
        };
        let mut registry = Registry::default();
        add(&mut registry, settings(of), &shared).expect("a name that is free");
        let checks: Vec<_> = registry.checks().map(|(stage, spec)| (stage, spec.name.as_str())).collect();
        assert_eq!(checks, [(stage, "dnsbl.test")], "{of:?}");
    }
}

#[test]
fn what_one_has_many_of_keeps_nobody_else_out() {
    let found: Vec<Result<Vec<u8>, ()>> =
        vec![Ok(vec![1, 2, 3, 4]), Err(()), Ok(vec![10]), Ok(vec![]), Ok(vec![20, 21])];
    assert_eq!(first_error_unless_any(found), Ok(vec![1, 10, 20, 2, 21, 3, 4]));
    assert_eq!(first_error_unless_any::<u8, _>(vec![Err("first"), Ok(vec![]), Err("second")]), Err("first"));
}
