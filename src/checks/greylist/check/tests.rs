use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::Registry;

use super::*;
use crate::checks::auth;
use crate::clock::{Clock, SystemClock};
use crate::dns::FixedDns;
use crate::facts::{AuthResult, Derived};
use crate::facts::{ClientFacts, HeloFacts, Spf};
use crate::message::Message;
use crate::smtp::{HeloName, Params};
use crate::store::{MemoryStore, Metrics, Settings as StoreSettings};
use crate::units::DomainSet;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_000_000 + seconds)
}

fn store() -> Arc<MemoryStore> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Arc::new(MemoryStore::new(&StoreSettings::default(), clock, Metrics::register(&Registry::new()).expect("once")))
}

fn ports(store: Option<Arc<MemoryStore>>) -> Ports {
    let dns: Arc<FixedDns> = Arc::new(FixedDns::new());
    let networks = std::iter::once("198.51.100.0/24".parse().expect("a network")).collect();
    let mut ours = DomainSet::default();
    ours.insert("ours.example").expect("a domain");
    Ports {
        store: store.map(|store| store as Arc<dyn Greylist>),
        authenticator: auth::Authenticator::new(auth::Settings::default(), dns.clone()),
        names: ClientNames::new(1, dns),
        site: Arc::new(Site { networks, domains: Arc::new(ours) }),
    }
}

/// An envelope; SPF passes for `authenticated`.
fn mail(client: &str, from: &str, authenticated: Option<&str>, at: SystemTime) -> Arc<MailFacts> {
    let client = ClientFacts::new(client.parse().expect(client), "mx".into(), "mx.ours.example".into(), None);
    let helo = HeloFacts::new(Arc::new(client), HeloName::parse(b"mail.sender.example").expect("a name"), true, None);
    let spf = match authenticated {
        Some(domain) => Spf::new(AuthResult::Pass, domain, ""),
        None => Spf::new(AuthResult::None, "", ""),
    };
    let path = ReversePath::parse(from).expect(from);
    let mail = MailFacts { spf: Derived::from(spf), ..MailFacts::new(Arc::new(helo), path, Params::default(), at) };
    Arc::new(mail)
}

fn message(mail: &Arc<MailFacts>, recipients: &[&str]) -> MessageFacts {
    let recipients = recipients.iter().map(|path| ForwardPath::parse(path).expect(path)).collect();
    let octets = b"From: a@sender.example\r\n\r\nhello\r\n".to_vec();
    let len = octets.len() as u64;
    MessageFacts::new(mail.clone(), recipients, Arc::new(Message::new(octets, len)), None)
}

fn said(outcome: &Outcome) -> String {
    match outcome.findings() {
        [] => outcome.label().to_owned(),
        findings => findings
            .iter()
            .map(|finding| format!("{}: {}", finding.symbol, finding.evidence.as_str()))
            .collect::<Vec<_>>()
            .join("; "),
    }
}

/// One transaction: what the check says, and then what became of it.
async fn comes(check: &AfterMessage, facts: MessageFacts, fate: Fate) -> String {
    let outcome = check.run(&facts).await;
    check.remember(&facts, &fate).await;
    said(&outcome)
}

fn deferred() -> Fate {
    Fate::new(Verdict::Defer, 450, false)
}

fn taken() -> Fate {
    Fate::new(Verdict::Forward, 250, false)
}

const USER: &str = "user@ours.example";

#[tokio::test]
async fn who_comes_again_in_time_is_known_and_remains_so() {
    let check = AfterMessage::new(Arc::default(), ports(Some(store())));
    let from = |client, seconds| message(&mail(client, "a@sender.example", None, at(seconds)), &[USER]);
    for (client, seconds, fate, expected) in [
        ("192.0.2.1", 0, deferred(), "GREYLIST_NEW: greylisted, try again in 180 seconds"),
        ("192.0.2.1", 60, deferred(), "GREYLIST_EARLY: greylisted, try again in 120 seconds"),
        ("203.0.113.1", 61, Fate::new(Verdict::Defer, 0, true), "GREYLIST_NEW: greylisted, try again in 180 seconds"),
        ("192.0.2.99", 200, Fate::new(Verdict::Forward, 451, false), "GREYLIST_KNOWN: came again after 200 s"),
        ("192.0.2.1", 300, taken(), "GREYLIST_KNOWN: came again after 300 s"),
        ("192.0.2.1", 40 * 3600, taken(), "GREYLIST_KNOWN: has delivered 1 before"),
        ("203.0.113.1", 900, taken(), "GREYLIST_NEW: greylisted, try again in 180 seconds"),
    ] {
        assert_eq!(comes(&check, from(client, seconds), fate).await, expected, "{client} {seconds}");
    }
}

#[tokio::test]
async fn a_sender_that_delivers_well_passes_until_it_sends_spam() {
    let check = AfterMessage::new(Arc::default(), ports(Some(store())));
    let comes_from = |client: &'static str, number: u64, fate| {
        let from = mail(
            client,
            &format!("{}@sender.example", "x".repeat(1 + number as usize)),
            Some("sender.example"),
            at(number),
        );
        let facts = message(&from, &[USER]);
        let check = &check;
        async move { comes(check, facts, fate).await }
    };
    for number in 0..5 {
        let said = comes_from("192.0.2.1", number, taken()).await;
        assert!(said.starts_with("GREYLIST_NEW"), "{number}: {said}");
    }
    let tagged = Fate { tagged: true, ..taken() };
    for (fate, expected) in [
        (taken(), "GREYLIST_KNOWN: passes after 5 deliveries"),
        (tagged, "GREYLIST_KNOWN: passes after 6 deliveries"),
        (taken(), "GREYLIST_NEW: greylisted, try again in 180 seconds"),
    ] {
        assert_eq!(comes_from("203.0.113.1", 9, fate).await, expected);
    }
    // What was refused for good earns nothing, and costs what was earned.
    for _ in 0..5 {
        comes_from("203.0.113.1", 10, taken()).await;
    }
    assert!(comes_from("203.0.113.1", 11, Fate::new(Verdict::Reject, 550, false)).await.starts_with("GREYLIST_KNOWN"));
    assert!(comes_from("203.0.113.1", 12, taken()).await.starts_with("GREYLIST_NEW"));
}

#[tokio::test]
async fn all_recipients_must_be_new() {
    let check = AfterMessage::new(Arc::default(), ports(Some(store())));
    let to =
        |recipients: &[&str], seconds| message(&mail("192.0.2.1", "a@sender.example", None, at(seconds)), recipients);
    let other = "other@ours.example";
    assert!(comes(&check, to(&[USER], 0), deferred()).await.starts_with("GREYLIST_NEW"));
    let said = comes(&check, to(&[other, USER], 10), deferred()).await;
    assert_eq!(said, "GREYLIST_EARLY: greylisted, try again in 180 seconds");
    assert!(comes(&check, to(&["third@ours.example", USER], 200), taken()).await.starts_with("GREYLIST_KNOWN"));
    assert!(comes(&check, to(&[other], 195), taken()).await.starts_with("GREYLIST_KNOWN"));
}

#[tokio::test]
async fn who_is_exempt_or_ours_is_never_greylisted() {
    let mut settings = Settings::default();
    let exempt = &mut settings.exempt;
    exempt.domains.insert("bank.example").expect("a domain");
    exempt.networks = std::iter::once("203.0.113.0/24".parse().expect("a network")).collect();
    exempt.recipients.addresses.insert("now@ours.example".to_owned());
    exempt.recipients.domains.insert("fast.example").expect("a domain");
    let check = AfterMessage::new(Arc::new(settings), ports(Some(store())));
    for (client, authenticated, recipient, expected) in [
        ("192.0.2.1", None, USER, "GREYLIST_NEW: greylisted, try again in 180 seconds"),
        ("192.0.2.1", Some("mail.bank.example"), USER, "GREYLIST_EXEMPT: bank.example is authenticated"),
        ("203.0.113.9", None, USER, "GREYLIST_EXEMPT: client 203.0.113.9"),
        ("192.0.2.1", None, "Now@ours.example", "GREYLIST_EXEMPT: a recipient wants mail at once"),
        ("192.0.2.1", None, "a@fast.example", "GREYLIST_EXEMPT: a recipient wants mail at once"),
        ("198.51.100.7", None, USER, "skipped"),
        ("10.0.0.1", None, USER, "skipped"),
    ] {
        let facts = message(&mail(client, "a@sender.example", authenticated, at(0)), &[recipient]);
        assert_eq!(said(&check.run(&facts).await), expected, "{client} {recipient}");
    }
    let without = AfterMessage::new(Arc::default(), ports(None));
    let facts = message(&mail("192.0.2.1", "a@sender.example", None, at(0)), &[USER]);
    assert_eq!(said(&without.run(&facts).await), "skipped");
    assert!(!Check::remembers(&without));
}

#[tokio::test]
async fn whom_our_users_have_written_to_may_answer_at_once() {
    let mut settings = Settings::default();
    settings.exempt.correspondents = true;
    settings.shared.insert("many.example").expect("a domain");
    let check = AfterMessage::new(Arc::new(settings), ports(Some(store())));
    let written = ["ann@sender.example", "bob@many.example", "else@ours.example"];
    for (client, fate) in [("198.51.100.7", taken()), ("198.51.100.7", Fate::new(Verdict::Forward, 550, false))] {
        let recipients = if fate.reply_code == 250 { &written[..] } else { &["eve@sender.example"] };
        comes(&check, message(&mail(client, USER, None, at(0)), recipients), fate).await;
    }
    let (new, known) = ("GREYLIST_NEW: greylisted, try again in 180 seconds", "GREYLIST_KNOWN: has delivered 1 before");
    for (from, authenticated, to, expected) in [
        ("ann@sender.example", Some("mail.sender.example"), USER, known),
        ("ann@sender.example", None, USER, new),
        ("ann@sender.example", Some("sender.example"), "other@ours.example", new),
        ("eve@sender.example", Some("sender.example"), USER, new),
        ("bob@many.example", Some("many.example"), USER, new),
        ("else@ours.example", Some("ours.example"), USER, new),
    ] {
        let facts = message(&mail("192.0.2.1", from, authenticated, at(60)), &[to]);
        assert_eq!(said(&check.run(&facts).await), expected, "{from} {authenticated:?} {to}");
    }
}

#[tokio::test]
async fn at_rcpt_each_recipient_stands_alone_and_the_null_reverse_path_never() {
    let store = store();
    let (check, late) = (
        AtRcpt::new(Arc::default(), ports(Some(store.clone()))),
        AfterMessage::new(Arc::default(), ports(Some(store))),
    );
    let rcpt = |from: &str, to: &str, index, seconds| RcptFacts {
        mail: mail("192.0.2.1", from, None, at(seconds)),
        forward_path: ForwardPath::parse(to).expect(to),
        index,
    };
    let first = rcpt("a@sender.example", USER, 0, 0);
    assert_eq!(said(&check.run(&first).await), "GREYLIST_RCPT_NEW: greylisted, try again in 180 seconds");
    let second = rcpt("a@sender.example", "other@ours.example", 1, 0);
    // The first was refused, the second went on, and the client left.
    let fate = Fate { refused: vec![(0, Verdict::Defer)], ..Fate::new(Verdict::Forward, 0, true) };
    check.remember(&first, &fate).await;
    check.remember(&second, &fate).await;
    for (facts, expected) in [
        (rcpt("a@sender.example", USER, 0, 100), "GREYLIST_RCPT_EARLY: greylisted, try again in 80 seconds"),
        (rcpt("a@sender.example", USER, 0, 200), "clear"),
        (
            rcpt("a@sender.example", "other@ours.example", 0, 200),
            "GREYLIST_RCPT_NEW: greylisted, try again in 180 seconds",
        ),
        (rcpt("", USER, 0, 0), "skipped"),
    ] {
        assert_eq!(said(&check.run(&facts).await), expected);
    }
    let message = message(&mail("192.0.2.1", "a@sender.example", None, at(200)), &[USER]);
    assert_eq!(said(&late.run(&message).await), "GREYLIST_KNOWN: came again after 200 s");
}
