use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::Registry;

use super::super::{Answer, AtConnect, AtMail, AtRcpt};
use super::*;
use crate::checks::Check;
use crate::clock::SystemClock;
use crate::facts::{Login, RcptFacts, Role};
use crate::scoring::{Outcome, Symbol};
use crate::smtp::{HeloName, Params, ReversePath};
use crate::store::{Allowance, MemoryStore, Metrics, Settings};
use crate::units::{CidrSet, DomainSet};

/// A clock that goes when it is told to.
struct Hands(Mutex<u64>);

impl Clock for Hands {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_790_000_000 + *self.0.lock().expect("no panic"))
    }
}

struct World {
    ledger: Arc<Ledger>,
    clock: Arc<Hands>,
}

fn limit(symbol: &'static str, per: Subject, of: Unit, units: u32) -> Limit {
    Limit {
        name: symbol.to_ascii_lowercase().into(),
        symbol: Symbol::known(symbol),
        per,
        of,
        allowance: Allowance { units, per: Duration::from_secs(60) },
        then: Answer::Defer,
        outgoing: false,
        shadow: false,
        exempt_networks: CidrSet::default(),
        exempt_domains: DomainSet::default(),
    }
}

impl World {
    fn new(limits: Vec<Limit>) -> Self {
        let clock = Arc::new(Hands(Mutex::new(0)));
        let metrics = Metrics::register(&Registry::new()).expect("once");
        let store = MemoryStore::new(&Settings::default(), Arc::new(SystemClock), metrics);
        let networks = std::iter::once("198.51.100.0/24".parse().expect("a network")).collect();
        let site = Arc::new(Site { networks, ..Site::default() });
        let ports = Ports { store: Some(Arc::new(store)), clock: clock.clone(), site };
        Self { ledger: Arc::new(Ledger::new(limits, ports)), clock }
    }

    fn put_forward(&self, seconds: u64) {
        *self.clock.0.lock().expect("no panic") += seconds;
    }

    async fn saw(&self, deed: Deed, mail: &MailFacts) {
        let by = Doer { client: &mail.helo.client, helo: Some(&mail.helo), mail: Some(mail), user: None };
        if let Some(told) = self.ledger.saw(deed, by) {
            told.await;
        }
    }

    async fn rcpt(&self, mail: &Arc<MailFacts>, recipient: &str, index: usize) -> String {
        let facts = RcptFacts { mail: mail.clone(), forward_path: to(recipient), index, is_trap: false };
        said(&AtRcpt::new(self.ledger.clone()).run(&facts).await)
    }

    async fn mail(&self, mail: &MailFacts) -> String {
        said(&AtMail::new(self.ledger.clone()).run(mail).await)
    }

    /// One transaction that ends like that.
    async fn ends(&self, mail: &MailFacts, recipients: &[&str], fate: Fate) {
        let recipients = recipients.iter().map(|path| to(path)).collect();
        AtMail::new(self.ledger.clone()).remember(mail, &Fate { recipients, octets: 1500, ..fate }).await;
    }
}

fn to(path: &str) -> ForwardPath {
    ForwardPath::parse(path).expect(path)
}

fn mail(client: &str, helo: &str, from: &str) -> Arc<MailFacts> {
    let client = ClientFacts::new(client.parse().expect(client), "mx".into(), "mx.ours.example".into(), None);
    let helo = HeloFacts::new(Arc::new(client), HeloName::parse(helo.as_bytes()).expect(helo), true, None);
    let path = ReversePath::parse(from).expect(from);
    Arc::new(MailFacts::new(Arc::new(helo), path, Params::default(), UNIX_EPOCH))
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

fn taken() -> Fate {
    Fate::new(Verdict::Forward, 250, false)
}

const FROM: &str = "ann@sender.example";
const USER: &str = "user@ours.example";

#[tokio::test]
async fn each_subject_is_who_it_says_it_is() {
    for (per, other, is_same) in [
        (Subject::Client, ("192.0.2.1", "x", "b@other.example", "v@ours.example"), true),
        (Subject::Client, ("::ffff:192.0.2.1", "x", "b@other.example", "v@ours.example"), true),
        (Subject::Client, ("192.0.2.2", "helo", FROM, USER), false),
        (Subject::Network, ("192.0.2.2", "x", "b@other.example", "v@ours.example"), true),
        (Subject::Network, ("192.0.3.1", "helo", FROM, USER), false),
        (Subject::Helo, ("203.0.113.1", "HELO", "b@other.example", "v@ours.example"), true),
        (Subject::Helo, ("192.0.2.1", "x", FROM, USER), false),
        (Subject::SenderDomain, ("203.0.113.1", "x", "b@mail.Sender.example", "v@ours.example"), true),
        (Subject::SenderDomain, ("192.0.2.1", "helo", "ann@other.example", USER), false),
        (Subject::SenderDomain, ("192.0.2.1", "helo", "", USER), false),
        (Subject::Sender, ("203.0.113.1", "x", "Ann@SENDER.example", "v@ours.example"), true),
        (Subject::Sender, ("192.0.2.1", "helo", "b@sender.example", USER), false),
        (Subject::Sender, ("192.0.2.1", "helo", "", USER), false),
        (Subject::Recipient, ("203.0.113.1", "x", "b@other.example", "USER@Ours.example"), true),
        (Subject::Recipient, ("192.0.2.1", "helo", FROM, "v@ours.example"), false),
    ] {
        let world = World::new(vec![limit("RATE_ONE", per, Unit::Transactions, 1)]);
        world.ends(&mail("192.0.2.1", "helo", FROM), &[USER], taken()).await;
        let (client, helo, from, recipient) = other;
        let other = mail(client, helo, from);
        let said = match per {
            Subject::Recipient => world.rcpt(&other, recipient, 0).await,
            _ => world.mail(&other).await,
        };
        let over = "RATE_ONE: more than 1 transactions in 1 minute, try again in 60 seconds";
        assert_eq!(said, if is_same { over } else { "clear" }, "{per:?} {client} {helo} {from} {recipient}");
    }
}

#[tokio::test]
async fn clients_of_ipv6_are_known_by_their_64_and_their_network_by_its_48() {
    for (per, other, is_same) in [
        (Subject::Client, "2001:db8:1:2:ffff::9", true),
        (Subject::Client, "2001:db8:1:3::1", false),
        (Subject::Network, "2001:db8:1:ffff::1", true),
        (Subject::Network, "2001:db8:2:2::1", false),
    ] {
        let world = World::new(vec![limit("RATE_ONE", per, Unit::Errors, 1)]);
        world.saw(Deed::Errors(1), &mail("2001:db8:1:2::1", "helo", FROM)).await;
        let said = world.mail(&mail(other, "helo", FROM)).await;
        assert_eq!(said.starts_with("RATE_ONE"), is_same, "{per:?} {other}: {said}");
    }
}

#[tokio::test]
async fn what_is_counted_is_what_was_done_and_does_not_come_again() {
    let units = [Unit::Transactions, Unit::Recipients, Unit::Bytes];
    for (fate, recipients, expected) in [
        (taken(), &[USER, "v@ours.example"][..], [1, 2, 2]),
        (Fate::new(Verdict::Reject, 554, false), &[USER], [1, 1, 2]),
        (Fate::new(Verdict::Forward, 550, false), &[USER], [1, 1, 2]),
        (Fate::new(Verdict::Forward, 0, true), &[USER], [1, 1, 2]),
        (Fate::new(Verdict::Forward, 0, true), &[], [1, 0, 2]),
        // These come again.
        (Fate::new(Verdict::Defer, 450, false), &[USER], [0, 0, 0]),
        (Fate::new(Verdict::Forward, 451, false), &[USER], [0, 0, 0]),
        (Fate { refused: vec![(0, Verdict::Defer)], ..Fate::new(Verdict::Forward, 0, true) }, &[], [0, 0, 0]),
        (Fate { refused: vec![(0, Verdict::Reject)], ..Fate::new(Verdict::Forward, 0, true) }, &[], [1, 0, 2]),
    ] {
        let symbols = ["RATE_TRANSACTIONS", "RATE_RECIPIENTS", "RATE_BYTES"];
        let limits = units.iter().zip(symbols).map(|(of, symbol)| limit(symbol, Subject::Client, *of, 100));
        let (world, from) = (World::new(limits.collect()), mail("192.0.2.1", "helo", FROM));
        world.ends(&from, recipients, fate.clone()).await;
        let looked = world.ledger.look(|_| true, Who::of_mail(&from)).await.expect("no failure");
        let counted: Vec<u32> = looked.iter().map(|(_, taken)| 100 - taken.left).collect();
        assert_eq!(counted, expected, "{fate:?}");
    }
}

#[tokio::test]
async fn a_harvester_is_told_to_come_again_within_its_first_transaction() {
    let world = World::new(vec![limit("RATE_UNKNOWN", Subject::Client, Unit::UnknownRecipients, 6)]);
    let from = mail("192.0.2.1", "helo", "");
    for (index, unknown, expected) in [
        (0, 4, "clear"),
        (1, 2, "clear"),
        (2, 0, "RATE_UNKNOWN: more than 6 unknown recipients in 1 minute, try again in 10 seconds"),
    ] {
        assert_eq!(world.rcpt(&from, USER, index).await, expected);
        if unknown > 0 {
            world.saw(Deed::UnknownRecipients(unknown), &from).await;
        }
    }
    world.put_forward(9);
    assert!(world.rcpt(&from, USER, 3).await.ends_with("try again in 1 seconds"));
    world.put_forward(1);
    assert_eq!(world.rcpt(&from, USER, 3).await, "clear");
    // Many at once are a debt.
    world.saw(Deed::UnknownRecipients(100), &from).await;
    assert!(world.rcpt(&from, USER, 4).await.ends_with("try again in 70 seconds"));
    assert_eq!(world.rcpt(&mail("192.0.2.2", "helo", ""), USER, 0).await, "clear");
}

#[tokio::test]
async fn recipients_of_an_open_transaction_count_before_it_ends() {
    let world = World::new(vec![limit("RATE_RECIPIENTS", Subject::Client, Unit::Recipients, 3)]);
    let from = mail("192.0.2.1", "helo", FROM);
    assert_eq!(world.rcpt(&from, USER, 2).await, "clear");
    let over = "RATE_RECIPIENTS: more than 3 recipients in 1 minute, try again in";
    assert_eq!(world.rcpt(&from, USER, 3).await, format!("{over} 1 seconds"));
    world.ends(&from, &[USER, "v@ours.example"], taken()).await;
    assert_eq!(world.rcpt(&from, USER, 0).await, "clear");
    assert_eq!(world.rcpt(&from, USER, 1).await, format!("{over} 1 seconds"));
    assert_eq!(world.rcpt(&from, USER, 2).await, format!("{over} 20 seconds"));
}

#[tokio::test]
async fn connections_are_looked_at_before_anything_is_said() {
    let world = World::new(vec![limit("RATE_CONNECTIONS", Subject::Client, Unit::Connections, 2)]);
    let from = mail("192.0.2.1", "helo", FROM);
    let check = AtConnect::new(world.ledger.clone());
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(said(&check.run(&from.helo.client).await));
        world.saw(Deed::Connection, &from).await;
    }
    let over = "RATE_CONNECTIONS: more than 2 connections in 1 minute, try again in 30 seconds";
    assert_eq!(heard, ["clear", "clear", over]);
}

#[tokio::test]
async fn our_own_and_the_exempt_have_no_limits() {
    let domains = |name: &str| {
        let mut domains = DomainSet::default();
        domains.insert(name).expect(name);
        domains
    };
    let networks: CidrSet = std::iter::once("192.0.2.0/24".parse().expect("a network")).collect();
    let by = |per| limit("RATE_ONE", per, Unit::Transactions, 1);
    for (limit, client, expected) in [
        (by(Subject::Client), "192.0.2.1", "RATE_ONE"),
        (by(Subject::Client), "198.51.100.1", "skipped"),
        (by(Subject::Client), "127.0.0.1", "skipped"),
        (by(Subject::Client), "10.0.0.1", "skipped"),
        (Limit { exempt_networks: networks, ..by(Subject::Client) }, "192.0.2.1", "clear"),
        (Limit { exempt_domains: domains("sender.example"), ..by(Subject::Sender) }, "192.0.2.1", "clear"),
        (Limit { exempt_domains: domains(".example"), ..by(Subject::SenderDomain) }, "192.0.2.1", "clear"),
        (Limit { exempt_domains: domains("helo.example"), ..by(Subject::Helo) }, "192.0.2.1", "clear"),
        (Limit { exempt_domains: domains("other.example"), ..by(Subject::Sender) }, "192.0.2.1", "RATE_ONE"),
    ] {
        let (per, world) = (limit.per, World::new(vec![limit]));
        let from = mail(client, "helo.example", FROM);
        world.ends(&from, &[USER], taken()).await;
        let said = world.mail(&from).await;
        assert!(said.starts_with(expected), "{per:?} {client}: {said}");
    }
}

/// A transaction of `user`, or of nobody, where mail leaves.
fn leaving(client: &str, user: Option<&str>) -> Arc<MailFacts> {
    let client = ClientFacts::new(client.parse().expect(client), "msa".into(), "mx.ours.example".into(), None);
    let client = Arc::new(client.with_role(if user.is_some() { Role::Submission } else { Role::Outbound }));
    let helo = HeloFacts::new(client, HeloName::parse(b"helo").expect("a word"), true, None);
    let path = ReversePath::parse(FROM).expect(FROM);
    let login =
        user.map(|user| Arc::new(Login { mechanism: "PLAIN".into(), user: (!user.is_empty()).then(|| user.into()) }));
    Arc::new(MailFacts::new(Arc::new(helo), path, Params::default(), UNIX_EPOCH).with_login(login))
}

#[tokio::test]
async fn where_mail_leaves_limits_of_its_own_hold_for_everybody() {
    let outgoing = |limit: Limit| Limit { outgoing: true, ..limit };
    let by = |per| limit("RATE_ONE", per, Unit::Transactions, 1);
    let user = || outgoing(by(Subject::User));
    for (limit, first, second, expected) in [
        (user(), leaving("192.0.2.1", Some("bob")), leaving("192.0.2.2", Some("bob")), "RATE_ONE"),
        (user(), leaving("192.0.2.1", Some("bob")), leaving("192.0.2.1", Some("ann")), "clear"),
        // Our own machines too: users are behind them.
        (user(), leaving("127.0.0.1", Some("bob")), leaving("10.0.0.1", Some("bob")), "RATE_ONE"),
        (user(), leaving("192.0.2.1", None), leaving("192.0.2.1", None), "clear"),
        // Who has authenticated and has no name is counted by where he is.
        (user(), leaving("192.0.2.1", Some("")), leaving("192.0.2.1", Some("")), "RATE_ONE"),
        (user(), leaving("192.0.2.1", Some("")), leaving("192.0.2.2", Some("")), "clear"),
        (outgoing(by(Subject::Client)), leaving("10.0.0.1", None), leaving("10.0.0.1", None), "RATE_ONE"),
        // What holds at the edge does not hold here, and the other way round.
        (by(Subject::Client), leaving("192.0.2.1", None), leaving("192.0.2.1", None), "clear"),
        (outgoing(by(Subject::Client)), mail("192.0.2.1", "helo", FROM), mail("192.0.2.1", "helo", FROM), "clear"),
    ] {
        let (per, world) = (limit.per, World::new(vec![limit]));
        world.ends(&first, &[USER], taken()).await;
        let said = world.mail(&second).await;
        assert!(said.starts_with(expected), "{per:?} {:?}: {said}", second.helo.client);
    }
}

#[tokio::test]
async fn who_fails_to_authenticate_too_often_is_restrained() {
    let limits = || {
        let by = |symbol, per, then| Limit { then, outgoing: true, ..limit(symbol, per, Unit::AuthFailures, 2) };
        vec![
            by("RATE_ONE", Subject::Client, Answer::Defer),
            by("RATE_TWO", Subject::User, Answer::Tarpit),
            Limit { shadow: true, ..by("RATE_THREE", Subject::Network, Answer::Defer) },
        ]
    };
    for (failing, asking, (slow, refused)) in [
        (("192.0.2.1", "bob"), ("192.0.2.1", "ann"), (false, true)),
        (("192.0.2.1", "bob"), ("192.0.2.2", "bob"), (true, false)),
        (("192.0.2.1", "bob"), ("192.0.2.2", "ann"), (false, false)),
        // A machine of our own does not answer for its users.
        (("10.0.0.1", "bob"), ("10.0.0.1", "ann"), (false, false)),
        (("10.0.0.1", "bob"), ("10.0.0.1", "bob"), (true, false)),
    ] {
        let world = World::new(limits());
        for _ in 0..2 {
            let mail = leaving(failing.0, Some(failing.1));
            let by = Doer { client: &mail.helo.client, helo: None, mail: None, user: Some(failing.1) };
            world.ledger.saw(Deed::FailedAuth, by).expect("somebody counts it").await;
        }
        let mail = leaving(asking.0, Some(asking.1));
        let by = Doer { client: &mail.helo.client, helo: None, mail: None, user: Some(asking.1) };
        let restraint = world.ledger.restrains(by).expect("somebody knows").await;
        assert_eq!((restraint.slow, restraint.refuse.is_some()), (slow, refused), "{failing:?} {asking:?}");
        world.put_forward(60);
        assert_eq!(world.ledger.restrains(by).expect("somebody knows").await, Restraint::default());
    }
    let edge = mail("192.0.2.1", "helo", FROM);
    let by = Doer { client: &edge.helo.client, helo: None, mail: None, user: None };
    assert!(World::new(limits()).ledger.restrains(by).is_none());
}

#[tokio::test]
async fn without_a_store_nobody_is_limited() {
    let limits = || vec![limit("RATE_ONE", Subject::Client, Unit::Transactions, 1)];
    let clock = Arc::new(Hands(Mutex::new(0)));
    let ports = Ports { store: None, clock, site: Arc::default() };
    let ledger = Arc::new(Ledger::new(limits(), ports));
    let (check, from) = (AtMail::new(ledger.clone()), mail("192.0.2.1", "helo", FROM));
    assert_eq!((said(&check.run(&from).await), check.remembers()), ("skipped".to_owned(), false));
    let by = Doer { client: &from.helo.client, helo: None, mail: None, user: None };
    assert!(ledger.saw(Deed::Errors(1), by).is_none());
}
