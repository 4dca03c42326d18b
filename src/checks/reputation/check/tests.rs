use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::Registry as Counters;
use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::checks::{Others, Registry, auth};
use crate::clock::{Clock, SystemClock};
use crate::dns::FixedDns;
use crate::facts::{AuthResult, ClientFacts, Derived, Dkim, HeloFacts, RcptFacts, Signature, Spf};
use crate::message::Message;
use crate::pipeline::{Assessment, Ruleset};
use crate::policy::{Clause, Condition, Policy};
use crate::scoring::{Score, Weights};
use crate::smtp::{ForwardPath, HeloName, Params, ReversePath};
use crate::store::{MemoryStore, Metrics, ReputationRecord, Settings as StoreSettings};

const DAY: u64 = 86_400;
const TAG: i32 = 500;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_000_000 + seconds)
}

fn store() -> Arc<MemoryStore> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Arc::new(MemoryStore::new(&StoreSettings::default(), clock, Metrics::register(&Counters::new()).expect("once")))
}

fn ports(store: Option<Arc<MemoryStore>>) -> Ports {
    let networks = std::iter::once("198.51.100.0/24".parse().expect("a network")).collect();
    Ports {
        store: store.map(|store| store as Arc<dyn Reputations>),
        authenticator: auth::Authenticator::new(auth::Settings::default(), Arc::new(FixedDns::new())),
        site: Arc::new(Site { networks, ..Site::default() }),
    }
}

/// An envelope; SPF passes for `authenticated`.
fn mail(client: &str, authenticated: Option<&str>, at: SystemTime) -> Arc<MailFacts> {
    let client = ClientFacts::new(client.parse().expect(client), "mx".into(), "mx.ours.example".into(), None);
    let helo = HeloFacts::new(Arc::new(client), HeloName::parse(b"mail.sender.example").expect("a name"), true, None);
    let spf = match authenticated {
        Some(domain) => Spf::new(AuthResult::Pass, domain, ""),
        None => Spf::new(AuthResult::None, "", ""),
    };
    let path = ReversePath::parse("a@sender.example").expect("a path");
    Arc::new(MailFacts { spf: Derived::from(spf), ..MailFacts::new(Arc::new(helo), path, Params::default(), at) })
}

fn message(mail: &Arc<MailFacts>) -> MessageFacts {
    let octets = b"From: a@sender.example\r\n\r\nhello\r\n".to_vec();
    let len = octets.len() as u64;
    let recipients = vec![ForwardPath::parse("user@ours.example").expect("a path")];
    MessageFacts::new(mail.clone(), recipients, Arc::new(Message::new(octets, len)), None)
}

fn fate(verdict: Verdict, reply_code: u16, others: i32) -> Fate {
    let others = Others { verdict: Verdict::Forward, tagged: others >= TAG, score: Score::hundredths(others) };
    Fate { others: Some(others), ..Fate::new(verdict, reply_code, false) }
}

fn said(outcome: &Outcome) -> String {
    match outcome.findings() {
        [] => outcome.label().to_owned(),
        [finding] => format!("{} {}: {}", finding.symbol, finding.strength.get(), finding.evidence.as_str()),
        more => panic!("{more:?}"),
    }
}

/// So many messages with the same fate.
async fn comes(check: &AfterMessage, mail: &Arc<MailFacts>, fate: &Fate, times: usize) {
    for _ in 0..times {
        check.remember(&message(mail), fate).await;
    }
}

#[tokio::test]
async fn the_unknown_have_none_and_who_sends_well_or_badly_earns_one() {
    let check = AfterMessage::new(Arc::default(), ports(Some(store())));
    let [good, bad] = [fate(Verdict::Forward, 250, 0), fate(Verdict::Forward, 250, TAG)];
    let [honest, spammer] = [mail("192.0.2.1", Some("mail.honest.example"), at(0)), mail("203.0.113.1", None, at(0))];
    assert_eq!(said(&check.run(&message(&honest)).await), "clear");
    comes(&check, &honest, &good, 4).await;
    assert_eq!(said(&check.run(&message(&honest)).await), "clear", "four are not enough");
    comes(&check, &honest, &good, 16).await;
    comes(&check, &spammer, &bad, 20).await;
    for (client, domain, seconds, expected) in [
        (
            "192.0.2.77",
            Some("honest.example"),
            0,
            "REPUTATION_GOOD 97: 1 % unwanted expected, pair 0.0 of 20.0, domain 0.0 of 20.0, network 0.0 of 20.0",
        ),
        ("192.0.2.1", None, 0, "REPUTATION_GOOD 83: 8 % unwanted expected, network 0.0 of 20.0"),
        // Its signature, sent again by somebody else, is worth half; by somebody bad, nothing.
        ("192.0.3.1", Some("honest.example"), 0, "REPUTATION_GOOD 42: 29 % unwanted expected, domain 0.0 of 20.0"),
        ("203.0.113.9", Some("honest.example"), 0, "clear"),
        ("203.0.113.9", None, 0, "REPUTATION_BAD 83: 92 % unwanted expected, network 20.0 of 20.0"),
        ("203.0.113.9", None, 14 * DAY, "REPUTATION_BAD 71: 86 % unwanted expected, network 10.0 of 10.0"),
        ("203.0.113.9", None, 30 * DAY, "clear"),
        ("198.51.100.1", None, 0, "skipped"),
        ("10.0.0.1", None, 0, "skipped"),
    ] {
        let facts = message(&mail(client, domain, at(seconds)));
        assert_eq!(said(&check.run(&facts).await), expected, "{client} {domain:?} {seconds}");
    }
    let without = AfterMessage::new(Arc::default(), ports(None));
    assert_eq!(said(&without.run(&message(&honest)).await), "skipped");
    assert!(!Check::remembers(&without));
}

#[tokio::test]
async fn domains_that_many_share_have_none() {
    let mut settings = Settings::default();
    settings.shared.insert("esp.example").expect("a domain");
    let check = AfterMessage::new(Arc::new(settings), ports(Some(store())));
    let through = mail("192.0.2.1", Some("esp.example"), at(0));
    comes(&check, &through, &fate(Verdict::Forward, 250, 0), 20).await;
    let elsewhere = mail("203.0.113.1", Some("bounces.esp.example"), at(0));
    assert_eq!(said(&check.run(&message(&elsewhere)).await), "clear");
    assert!(said(&check.run(&message(&through)).await).starts_with("REPUTATION_GOOD 83"));
}

#[test]
fn only_what_was_decided_for_other_reasons_teaches() {
    let refused_anyway = Others { verdict: Verdict::Reject, tagged: false, score: Score::ZERO };
    let reject = |others| Fate { others, ..Fate::new(Verdict::Reject, 554, false) };
    let gone = Fate { abandoned: true, ..fate(Verdict::Forward, 250, 0) };
    use Lesson::{Bad, Good};
    for (what, fate, traps, expected) in [
        ("delivered", fate(Verdict::Forward, 250, 0), 0, Some(Good)),
        ("delivered, and so-so", fate(Verdict::Forward, 250, 200), 0, None),
        ("delivered, and marked", fate(Verdict::Forward, 250, TAG), 0, Some(Bad)),
        ("delivered beside a trap", fate(Verdict::Forward, 250, 0), 1, Some(Bad)),
        ("refused by the backend", fate(Verdict::Forward, 550, 0), 0, None),
        ("bad, and refused by the backend", fate(Verdict::Forward, 550, TAG), 0, Some(Bad)),
        ("not delivered yet", fate(Verdict::Forward, 451, TAG), 0, None),
        ("deferred", fate(Verdict::Defer, 450, TAG), 1, None),
        ("refused by a clause", reject(Some(refused_anyway)), 0, Some(Bad)),
        ("refused for its reputation", fate(Verdict::Reject, 554, 0), 0, None),
        ("refused for its reputation, and bad", fate(Verdict::Reject, 554, TAG), 0, Some(Bad)),
        ("nobody said what the others say", reject(None), 0, None),
        ("given up", gone, 1, None),
    ] {
        assert_eq!(lesson(&Settings::default(), &fate, traps), expected, "{what}");
    }
}

#[tokio::test]
async fn what_others_do_in_a_domain_s_name_is_not_held_against_it() {
    let bad = fate(Verdict::Forward, 250, TAG);
    let store = store();
    let check = AfterMessage::new(Arc::default(), ports(Some(store.clone())));
    let signature = Signature { signs_from: true, ..Signature::new(AuthResult::Pass, "sender.example") };
    let signed = |mail: &Arc<MailFacts>| {
        let dkim = Dkim { signatures: vec![signature.clone()], ..Dkim::default() };
        MessageFacts { dkim: Derived::from(dkim), ..message(mail) }
    };
    let domain = Reputed::Domain("sender.example".into());
    let known = async || {
        let known = store.reputation_look(std::slice::from_ref(&domain), Default::default(), at(0)).await;
        known.expect("memory")[0].map(|record| record.bad)
    };
    // A signature that somebody sends again.
    check.remember(&signed(&mail("192.0.2.1", None, at(0))), &bad).await;
    assert_eq!(known().await, None);
    check.remember(&signed(&mail("192.0.2.1", Some("sender.example"), at(0))), &bad).await;
    assert_eq!(known().await, Some(1.0));
    // A report about mail that was forged in the name of a trap.
    let delivered = fate(Verdict::Forward, 250, 200);
    let from = mail("192.0.2.2", Some("sender.example"), at(0));
    let (helo, params) = (from.helo.clone(), Params::default());
    let report = MailFacts::new(helo, ReversePath::Null, params, at(0));
    let report = Arc::new(MailFacts { spf: Derived::from(Spf::new(AuthResult::Pass, "sender.example", "")), ..report });
    check.remember(&message(&report).with_traps(1), &delivered).await;
    assert_eq!(known().await, Some(1.0));
    check.remember(&message(&from).with_traps(1), &delivered).await;
    assert_eq!(known().await, Some(2.0));
}

#[tokio::test]
async fn refusals_at_rcpt_are_the_network_s() {
    let store = store();
    let (check, refusals) = (
        AfterMessage::new(Arc::default(), ports(Some(store.clone()))),
        Refusals::new(Arc::default(), ports(Some(store))),
    );
    let from = mail("192.0.2.1", Some("sender.example"), at(0));
    let refused = |verdict, abandoned| Fate {
        refused: vec![(0, verdict), (1, verdict)],
        ..Fate::new(Verdict::Forward, 0, abandoned)
    };
    for (fate, times) in [(refused(Verdict::Defer, true), 9), (refused(Verdict::Reject, false), 9)] {
        for _ in 0..times {
            refusals.remember(&from, &fate).await;
        }
    }
    assert_eq!(said(&check.run(&message(&from)).await), "clear");
    for _ in 0..6 {
        refusals.remember(&from, &refused(Verdict::Reject, true)).await;
    }
    let said = said(&check.run(&message(&mail("192.0.2.2", None, at(0)))).await);
    assert_eq!(said, "REPUTATION_BAD 60: 80 % unwanted expected, network 6.0 of 6.0");
}

#[test]
fn of_several_domains_the_worst_counts() {
    let record = |good, bad| ReputationRecord { good, bad, first: at(0), last: at(0) };
    let of = |good, bad| Standing { domain: Some(record(good, bad)), pair: Some(record(good, bad)) };
    let settings = Settings::default();
    let both = judge(&settings, None, &[of(50.0, 0.0), of(0.0, 50.0)]).expect("enough evidence");
    assert_eq!(both.verdict().map(|(lesson, _)| lesson), Some(Lesson::Bad));
    assert_eq!(judge(&settings, None, &[]), None);
    let undecided = judge(&settings, Some(&record(10.0, 10.0)), &[]).expect("enough evidence");
    assert_eq!(undecided.verdict(), None);
    let certain = judge(&Settings { prior: 0.0, ..settings }, Some(&record(0.0, 9.0)), &[]).expect("enough evidence");
    assert_eq!(certain.verdict(), Some((Lesson::Bad, crate::units::Percent::FULL)));
}

/// Finds the same in every message.
struct Constant(Spec);

impl Check for Constant {
    type Facts = MessageFacts;

    fn spec(&self) -> &Spec {
        &self.0
    }

    async fn run(&self, _facts: &MessageFacts) -> Outcome {
        Outcome::Found(vec![Finding::new(Symbol::known("CONSTANT"), "")])
    }
}

/// What judges messages whose other findings are worth `constant`, where reputation weighs so much.
fn ruleset(store: &Arc<MemoryStore>, constant: i32, [good, bad]: [i32; 2], reject: Option<i32>) -> Arc<Ruleset> {
    let mut registry = Registry::default();
    registry.add(Constant(spec("constant", &["CONSTANT"]))).expect("once");
    registry.add(AfterMessage::new(Arc::default(), ports(Some(store.clone())))).expect("once");
    let weights = [("CONSTANT", constant), ("REPUTATION_GOOD", good), ("REPUTATION_BAD", bad)];
    let weights = weights.into_iter().fold(Weights::builder(), |builder, (symbol, weight)| {
        builder.weight(Symbol::known(symbol), Score::hundredths(weight))
    });
    let weights = Arc::new(weights.build(registry.symbols().keys()).expect("known symbols"));
    let clause = |at_least| Clause {
        name: "score".into(),
        stage: None,
        when: Condition { at_least: Some(Score::hundredths(at_least)), ..Condition::default() },
        verdict: Verdict::Reject,
        text: None,
        status: None,
        shadow: false,
        binds_exempt: false,
    };
    let tag = Some(Score::hundredths(TAG));
    let policy = Policy { clauses: reject.map(clause).into_iter().collect(), tag, ..Policy::default() };
    Arc::new(Ruleset::new("test", registry, weights, policy))
}

/// One message through the whole assessment, at `at`.
async fn transaction(ruleset: &Arc<Ruleset>, at: SystemTime) {
    let mail = mail("192.0.2.1", Some("sender.example"), at);
    let mut assessment = Assessment::new(ruleset.clone());
    assessment.learn(&mail);
    let forward_path = ForwardPath::parse("user@ours.example").expect("a path");
    assessment.learn(&Arc::new(RcptFacts { mail: mail.clone(), forward_path, index: 0, is_trap: false }));
    assessment.learn(&Arc::new(message(&mail)));
    let conclusion = assessment.conclude(Instant::now() + Duration::from_secs(10)).await;
    let verdict = conclusion.recipients[0].1.verdict;
    let code = if verdict == Verdict::Forward { 250 } else { 554 };
    assessment.remember(Fate::new(verdict, code, false));
    // What remembers runs apart from the session.
    tokio::time::sleep(Duration::from_millis(1)).await;
}

async fn known(store: &MemoryStore, at: SystemTime) -> Option<ReputationRecord> {
    let whose = [Reputed::Pair("sender.example".into(), "192.0.2.0/24".into())];
    store.reputation_look(&whose, Settings::default().fading, at).await.expect("memory")[0]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever reputation weighs, whatever was known before, and whenever messages come: if their other findings
    /// stay the same, all of them teach the same, so that the record goes one way and no opinion feeds on itself.
    #[test]
    fn a_reputation_follows_the_other_findings_and_never_itself(
        constant in -300_i32..900,
        weights in [-3000_i32..0, 0_i32..3000],
        before in prop_oneof![Just((0.0, 0.0)), Just((30.0, 0.0)), Just((0.0, 30.0))],
        reject in prop_oneof![Just(None), Just(Some(1500)), Just(Some(600))],
        pauses in proptest::collection::vec(0..3 * DAY, 5..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let store = store();
            let fading = Settings::default().fading;
            let whose = || vec![Reputed::Pair("sender.example".into(), "192.0.2.0/24".into())];
            for _ in 0..30 {
                store.reputation_note(whose(), before.0 / 30.0, before.1 / 30.0, fading, at(0)).await.expect("memory");
            }
            let ruleset = ruleset(&store, constant, weights, reject);
            let is_bad = constant >= TAG || reject.is_some_and(|limit| constant >= limit);
            let (mut now, mut share) = (0, None);
            for pause in pauses {
                now += pause;
                let earlier = known(&store, at(now)).await;
                transaction(&ruleset, at(now)).await;
                let later = known(&store, at(now)).await;
                let of = |record: Option<ReputationRecord>| record.map_or((0.0, 0.0), |r| (r.good, r.bad));
                let ((good, bad), (good_now, bad_now)) = (of(earlier), of(later));
                let (learned_good, learned_bad) = (good_now - good, bad_now - bad);
                // Good and bad never both, and never the one that the other findings do not bear out.
                prop_assert!(learned_bad < 0.01 || is_bad, "{learned_bad}");
                prop_assert!(learned_good < 0.01 || constant < 200, "{learned_good}");
                if is_bad {
                    prop_assert!(learned_bad > 0.99, "{learned_bad}");
                }
                let next = bad_now / (good_now + bad_now).max(f64::EPSILON);
                if let Some(share) = share {
                    let way = if is_bad { next - share } else { share - next };
                    prop_assert!(way > -0.01, "{share} {next}");
                }
                share = Some(next);
            }
            Ok(())
        })?;
    }
}
