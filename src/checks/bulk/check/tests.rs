use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::Registry;

use super::*;
use crate::checks::auth;
use crate::clock::{Clock, SystemClock};
use crate::dns::FixedDns;
use crate::facts::{AuthResult, ClientFacts, Derived, HeloFacts, MailFacts, Spf};
use crate::message::Message;
use crate::smtp::{ForwardPath, HeloName, Params, ReversePath};
use crate::store::{Learned, MemoryStore, Metrics, Settings as StoreSettings};

const PILLS: &str = "Dear customer, our pharmacy offers a large discount on all popular medicines this week only. Every \
    order ships without delay in plain packaging, no prescription needed, and satisfaction is guaranteed or your money \
    comes back. Thousands of happy buyers recommend our quality products to their friends and neighbours. Visit the \
    shop today, choose what fits your wishes, pay comfortably with any card, and enjoy life again like never before \
    while supplies last. Do not wait until prices rise, because next month everything becomes expensive.";

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_000_000 + seconds)
}

fn check(settings: Settings, store: Option<Arc<MemoryStore>>) -> Bulk {
    let dns: Arc<FixedDns> = Arc::new(FixedDns::new());
    let networks = std::iter::once("198.51.100.0/24".parse().expect("a network")).collect();
    let ports = Ports {
        store: store.map(|store| store as Arc<dyn Campaigns>),
        authenticator: auth::Authenticator::new(auth::Settings::default(), dns),
        site: Arc::new(Site { networks, ..Site::default() }),
        senders: Arc::default(),
    };
    Bulk::new(Arc::new(settings), ports)
}

fn store() -> Arc<MemoryStore> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Arc::new(MemoryStore::new(&StoreSettings::default(), clock, Metrics::register(&Registry::new()).expect("once")))
}

/// A message by `author`, whose domain SPF authenticates if `is_authenticated`.
fn message(client: &str, author: &str, is_authenticated: bool, text: &str) -> MessageFacts {
    let client = ClientFacts::new(client.parse().expect(client), "mx".into(), "mx.ours.example".into(), None);
    let helo = HeloFacts::new(Arc::new(client), HeloName::parse(b"mail.sender.example").expect("a name"), true, None);
    let spf = match author.split_once('@').filter(|_| is_authenticated) {
        Some((_, domain)) => Spf::new(AuthResult::Pass, domain, ""),
        None => Spf::new(AuthResult::None, "", ""),
    };
    let path = ReversePath::parse(author).expect(author);
    let mail = MailFacts { spf: Derived::from(spf), ..MailFacts::new(Arc::new(helo), path, Params::default(), at(0)) };
    let octets = format!("From: {author}\r\nList-Id: <x>\r\n\r\n{text}\r\n").into_bytes();
    let len = octets.len() as u64;
    let recipients = vec![ForwardPath::parse("user@ours.example").expect("a path")];
    let facts = MessageFacts::new(Arc::new(mail), recipients, Arc::new(Message::new(octets, len)), None);
    MessageFacts { dkim: Derived::from(Dkim::default()), ..facts }
}

async fn comes(check: &Bulk, facts: &MessageFacts, fate: &Fate) -> String {
    let outcome = check.run(facts).await;
    check.remember(facts, fate).await;
    match outcome.findings() {
        [] => outcome.label().to_owned(),
        [finding, ..] => format!("{}: {}", finding.symbol, finding.evidence.as_str()),
    }
}

fn taken() -> Fate {
    Fate::new(Verdict::Forward, 250, false)
}

#[tokio::test]
async fn the_fifth_message_of_a_campaign_is_caught_and_the_numbers_are_said() {
    let check = check(Settings::default(), Some(store()));
    for number in 0..4 {
        let facts = message(&format!("192.0.{number}.1"), &format!("a@sender{number}.example"), false, PILLS);
        let said = comes(&check, &facts, &taken()).await;
        assert_eq!(said, "clear");
    }
    let fifth = message("203.0.113.1", "a@other.example", false, &PILLS.replace("pharmacy", "warehouse"));
    let said = comes(&check, &fifth, &taken()).await;
    assert!(said.starts_with("CAMPAIGN: "), "{said}");
    assert!(said.contains("4 copies from 4 networks, 4 sender domains since 2026-09-21 14:13 UTC"), "{said}");
}

#[tokio::test]
async fn a_newsletter_is_legitimate_however_many_copies_there_are() {
    let check = check(Settings::default(), Some(store()));
    for number in 0..30 {
        let facts = message(&format!("192.0.{number}.1"), "news@shop.example", true, PILLS);
        let said = comes(&check, &facts, &taken()).await;
        let expected = if number < 10 { "clear" } else { "BULK_LEGITIMATE: " };
        assert!(said.starts_with(expected), "{number}: {said}");
    }
}

#[tokio::test]
async fn what_comes_again_is_counted_once_and_what_is_ours_not_at_all() {
    let store = store();
    let check = check(Settings::default(), Some(store.clone()));
    let from = |client: &str| message(client, "a@sender.example", false, PILLS);
    for (client, fate, volume, networks) in [
        ("192.0.2.1", Fate::new(Verdict::Defer, 450, false), 0, 1),
        ("192.0.2.1", Fate::new(Verdict::Forward, 451, false), 0, 1),
        ("192.0.2.1", Fate::new(Verdict::Forward, 0, true), 0, 1),
        ("192.0.2.1", taken(), 1, 1),
        ("192.0.3.1", Fate::new(Verdict::Reject, 550, false), 2, 2),
        ("192.0.3.1", Fate::new(Verdict::Forward, 552, false), 3, 2),
        ("198.51.100.1", taken(), 3, 2),
        ("10.0.0.1", taken(), 3, 2),
        ("2001:db8::1", taken(), 4, 3),
        ("2001:db8::2", taken(), 5, 3),
    ] {
        check.remember(&from(client), &fate).await;
        let top = store.campaign_top(9, at(0)).await.expect("memory");
        assert_eq!((top[0].volume, top[0].networks, top.len()), (volume, networks, 1), "{client} {fate:?}");
    }
    let ours = check.run(&from("198.51.100.1")).await;
    let bounce = check.run(&message("192.0.2.1", "", false, PILLS)).await;
    for outcome in [ours, bounce] {
        assert_eq!(outcome, Outcome::Skipped(Skip::NotApplicable));
    }
}

#[tokio::test]
async fn a_transactional_sender_is_immune_and_imitations_are_not() {
    let mut transactional = crate::units::DomainSet::default();
    transactional.insert("bank.example").expect("a domain");
    let store = store();
    let check = check(Settings { transactional, ..Settings::default() }, Some(store.clone()));
    let genuine = message("192.0.2.1", "a@bank.example", true, PILLS);
    check.remember(&genuine, &taken()).await;
    assert_eq!(store.campaign_top(9, at(0)).await, Ok(Vec::new()), "true mail is no part of what imitates it");
    let fake = message("192.0.3.1", "a@bank.example", false, PILLS);
    let print = fingerprint(&fake, store.campaign_key()).await.clone();
    store.campaign_learn(print, Learned::Spam, at(0)).await.expect("learned");
    assert_eq!(comes(&check, &genuine, &taken()).await, "clear");
    assert!(comes(&check, &fake, &taken()).await.starts_with("CAMPAIGN_CONDEMNED: "));
    // While DNS is in trouble nobody knows which of the two it is.
    let doubtful = message("192.0.4.1", "a@bank.example", false, PILLS);
    let spf = Derived::from(Spf::new(AuthResult::TempError, "bank.example", ""));
    let helo = doubtful.mail.helo.clone();
    let mail = MailFacts::new(helo, doubtful.mail.reverse_path.clone(), Params::default(), at(0));
    let doubtful = MessageFacts { mail: Arc::new(MailFacts { spf, ..mail }), ..doubtful };
    assert_eq!(comes(&check, &doubtful, &taken()).await, "clear");
}

#[tokio::test]
async fn without_a_store_nothing_is_looked_for() {
    let outcome = check(Settings::default(), None).run(&message("192.0.2.1", "a@b.example", false, PILLS)).await;
    assert_eq!(outcome, Outcome::Skipped(Skip::NotApplicable));
}
