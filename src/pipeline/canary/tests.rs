//! Trials: who is judged by what, and when rule sets differ too much.

use std::net::{Ipv4Addr, Ipv6Addr};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::ledger::GROUPS;
use super::*;
use crate::checks::{Check, Registry};
use crate::facts::MessageFacts;
use crate::policy::{Clause, Condition, Policy};
use crate::records::{Client, Decided, Fate, Finding, Judgement, Line, LineOutcome, Lines, Refusal, TransactionId};
use crate::scoring::{CheckName, Outcome, Score, Spec, Symbol, Weights, WeightsBuilder};

const BOUNDS: Bounds = Bounds { min_transactions: 100, more_rejects: 0.01, more_defers: 0.05, fewer_rejects: 0.10 };

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from(0xcb00_0000 + number).into()
}

/// A rule set without checks of its own, in which `LISTED` weighs so much, and 5 points are too many.
fn ruleset(version: &str, weight: i32) -> Arc<Ruleset> {
    Arc::new(ruleset_of(version, Registry::default(), &[("LISTED", weight)]))
}

/// The same with checks, and what symbols weigh.
fn ruleset_of(version: &str, mut registry: Registry, weighed: &[(&'static str, i32)]) -> Ruleset {
    let spec = Spec { name: CheckName::new("lists"), emits: [Symbol::known("LISTED")].into(), exclusive: false };
    registry.add_observed(crate::facts::Stage::Connect, spec).expect("nobody else has it");
    let weigh = |weights: WeightsBuilder, (symbol, weight): &(&'static str, i32)| {
        weights.weight(Symbol::known(symbol), Score::hundredths(*weight))
    };
    let weights = weighed.iter().fold(Weights::builder(), weigh);
    let weights = weights.build(registry.symbols().keys()).expect("consistent");
    let when = Condition { at_least: Some(Score::hundredths(500)), ..Condition::default() };
    let clause = Clause {
        name: "score".into(),
        stage: None,
        when,
        verdict: Verdict::Reject,
        text: None,
        status: None,
        shadow: false,
        binds_exempt: false,
    };
    let policy = Policy { clauses: vec![clause], ..Policy::default() };
    Ruleset::new(version, registry, Arc::new(weights), policy)
}

/// A check of messages that finds nothing.
struct Silent(Spec);

impl Check for Silent {
    type Facts = MessageFacts;
    fn spec(&self) -> &Spec {
        &self.0
    }
    async fn run(&self, _facts: &MessageFacts) -> Outcome {
        Outcome::Clear
    }
}

/// Such a check that may find those symbols.
fn looking_for(name: &str, symbols: &[&'static str]) -> Registry {
    let emits = symbols.iter().map(|symbol| Symbol::known(symbol)).collect();
    let mut registry = Registry::default();
    registry.add(Silent(Spec { name: CheckName::new(name), emits, exclusive: false })).expect("the first");
    registry
}

fn canary(old: i32, new: i32, percent: f64) -> Canary {
    canary_of(ruleset("old", old), ruleset("new", new), percent)
}

fn canary_of(old: Arc<Ruleset>, new: Arc<Ruleset>, percent: f64) -> Canary {
    let metrics = Metrics::register(&prometheus::Registry::new()).expect("fresh names");
    let terms = Terms { share: Share::percent(percent).expect("a share"), bounds: BOUNDS, ..Terms::default() };
    Canary::new(new, old, terms, metrics).expect("our own")
}

/// A trial of rules that refuse whoever is listed, against others that wait for what a check says of the message.
fn refusing_at_rcpt() -> Canary {
    let rules = |version: &str, listed: i32| {
        ruleset_of(version, looking_for("body", &["BODY"]), &[("LISTED", listed), ("BODY", 600)])
    };
    canary_of(Arc::new(rules("old", 100)), Arc::new(rules("new", 600)), 50.0)
}

/// What is recorded of a client that is listed, or is not, as it was decided.
fn record(client: IpAddr, is_listed: bool, verdict: Verdict, score: i32) -> Record {
    let finding = Finding {
        symbol: "LISTED".to_owned(),
        strength: 100,
        evidence: String::new(),
        transaction: false,
        stage: Some(0),
    };
    let line = Line {
        check: 0,
        recipient: None,
        outcome: LineOutcome::Observed,
        reason: None,
        took_us: 0,
        findings: is_listed.then_some(finding).into_iter().collect(),
    };
    let decided =
        Decided { recipient: Some(0), exempt: false, policy: None, verdict, clause: None, score, shadow: None };
    let judgement = Judgement { lines: Lines(vec![line]), decisions: vec![decided], score, ..Judgement::default() };
    let client =
        Client { addr: client, name: None, hop: None, helo: None, tls: None, user: None, listener: "edge".into() };
    let fate = Fate {
        stage: crate::facts::Stage::Message,
        verdict: Some(verdict),
        end: "forwarded".into(),
        reply: String::new(),
        after_data_ms: None,
        total_ms: 0,
    };
    Record {
        id: TransactionId::from_parts(1, 1),
        client,
        envelope: None,
        authentication: Vec::new(),
        message: None,
        judgement,
        fate,
    }
}

/// The same of one who was refused before there was a message, by rules that have one check more.
fn refused(client: IpAddr) -> Record {
    let mut record = record(client, true, Verdict::Reject, 600);
    record.judgement.lines.0[0].check = 1;
    let Judgement { decisions, lines, .. } = std::mem::take(&mut record.judgement);
    let refusal = |decision| Refusal { forward_path: None, decision, lines: lines.clone(), reply: String::new() };
    record.judgement.refusals = decisions.into_iter().map(refusal).collect();
    record
}

#[test]
fn what_could_not_be_compared_is_not_promoted() {
    let trial = refusing_at_rcpt();
    for number in 0..250 {
        trial.count(Arm::Canary, &refused(address(number % 5)));
        trial.count(Arm::Control, &record(address(100 + number), false, Verdict::Forward, 0));
    }
    assert_eq!(trial.figures().pairs, Pairs { compared: 250, unsure: 250, ..Pairs::default() });
    assert_eq!(trial.ending(false), None);
    let (ending, why) = trial.ending(true).expect("over");
    assert_eq!(ending, Ending::Undecided);
    assert!(why.starts_with("250 of 250 transactions could not be compared, and only 5 groups of clients"), "{why}");
    for number in 5..30 {
        trial.count(Arm::Canary, &refused(address(number)));
    }
    assert_eq!(trial.ending(true).map(|(ending, _)| ending), Some(Ending::RolledBack), "more clients tell");
}

#[test]
fn a_few_that_are_unsure_are_no_reason_to_wait_and_many_are() {
    for (unsure, expected) in [(0, Ending::Promoted), (3, Ending::Promoted), (60, Ending::Undecided)] {
        let trial = refusing_at_rcpt();
        (0..300).for_each(|number| trial.count(Arm::Canary, &record(address(number % 5), false, Verdict::Forward, 0)));
        (0..unsure).for_each(|number| trial.count(Arm::Canary, &refused(address(number % 5))));
        let (ending, why) = trial.ending(true).expect("over");
        assert_eq!(ending, expected, "{unsure}: {why}");
    }
}

#[test]
fn rules_that_look_for_something_else_are_compared_by_their_clients_alone() {
    let rules = |version: &str, digest: u64| {
        let looks = [("lists.toml".to_owned(), digest)].into();
        Arc::new(ruleset_of(version, Registry::default(), &[("LISTED", 100)]).with_looks(Arc::new(looks)))
    };
    for (digest, expected) in [(1, Ending::Promoted), (2, Ending::Undecided)] {
        let trial = canary_of(rules("old", 1), rules("new", digest), 50.0);
        let count = |arm, number| trial.count(arm, &record(address(number), true, Verdict::Forward, 100));
        (0..200).for_each(|number| count(Arm::Canary, number % 5));
        let (ending, why) = trial.ending(true).expect("over");
        assert_eq!(ending, expected, "{why}");
        assert_eq!(why.starts_with("what lists.toml looked for before"), ending == Ending::Undecided, "{why}");
        for number in 0..200 {
            count(Arm::Canary, number);
            count(Arm::Control, number);
        }
        assert_eq!(trial.ending(true).map(|(ending, _)| ending), Some(Ending::Promoted));
    }
}

#[test]
fn what_the_old_rules_look_for_and_the_new_ones_do_not_makes_it_unsure() {
    for (what, (old_check, old_symbols), weight, is_sure) in [
        ("another list", ("uris-a", ["URI_A", "URI_C"]), 600, false),
        ("another rule of the same file", ("uris-b", ["URI_A", "URI_B"]), 600, false),
        ("what weighs too little", ("uris-a", ["URI_A", "URI_C"]), 200, true),
    ] {
        let old = looking_for(old_check, &old_symbols);
        let old = ruleset_of("old", old, &[("LISTED", 100), ("URI_A", weight)]);
        let new = ruleset_of("new", looking_for("uris-b", &["URI_B"]), &[("LISTED", 600)]);
        let trial = canary_of(Arc::new(old), Arc::new(new), 50.0);
        let mut rejected = record(address(1), true, Verdict::Reject, 600);
        rejected.judgement.lines.0[0].check = 1;
        trial.count(Arm::Canary, &rejected);
        let expected =
            Pairs { compared: 1, newly_rejected: is_sure.into(), unsure: (!is_sure).into(), ..Pairs::default() };
        assert_eq!(trial.figures().pairs, expected, "{what}");
    }
}

#[test]
fn one_client_always_meets_the_same_rules_and_others_try_other_rules() {
    let (one, other) = (canary(100, 200, 5.0), canary(100, 200, 5.0));
    let on_trial: Vec<u32> = (0..20_000).filter(|number| one.judges(address(*number)).is_some()).collect();
    assert!((900..1100).contains(&on_trial.len()), "{}", on_trial.len());
    assert!(on_trial.iter().all(|number| other.judges(address(*number)).is_some()));
    let metrics = Metrics::register(&prometheus::Registry::new()).expect("fresh names");
    let next = Canary::new(ruleset("next", 1), ruleset("old", 1), *one.terms(), metrics).expect("our own");
    let again = on_trial.iter().filter(|number| next.judges(address(**number)).is_some()).count();
    assert!((20..90).contains(&again), "{again}");
    let network = |low: u64| IpAddr::from(Ipv6Addr::from((0x2001_0db8_u128 << 96) | (7 << 64) | u128::from(low)));
    let first = one.judges(network(1)).is_some();
    assert!((2..100).all(|low| one.judges(network(low)).is_some() == first), "a /64 is one client");
}

#[test]
fn what_the_new_rules_decide_is_decided_again_by_the_old_ones() {
    let trial = canary(100, 600, 50.0);
    for (number, is_listed) in [(1, true), (2, true), (3, false)] {
        let (verdict, score) = if is_listed { (Verdict::Reject, 600) } else { (Verdict::Forward, 0) };
        trial.count(Arm::Canary, &record(address(number), is_listed, verdict, score));
    }
    trial.count(Arm::Control, &record(address(4), true, Verdict::Forward, 100));
    let Figures { canary, control, pairs, mean_score_otherwise } = trial.figures();
    assert_eq!((canary.transactions, canary.rejects, canary.forwards, canary.mean_score), (3, 2, 1, Some(4.0)));
    assert_eq!((control.transactions, control.rejects, control.mean_score), (1, 0, Some(1.0)));
    assert_eq!(mean_score_otherwise.map(|mean| (mean * 300.0).round()), Some(200.0), "two of three are listed");
    assert_eq!(pairs, Pairs { compared: 3, newly_rejected: 2, ..Pairs::default() });
    assert_eq!(trial.arm(trial.candidate()), Some(Arm::Canary));
    assert_eq!(trial.arm(trial.incumbent()), Some(Arm::Control));
    assert_eq!(trial.arm(&ruleset("old", 100)), None, "the same rules of another load are others");
}

#[test]
fn a_client_that_went_away_says_nothing() {
    let trial = canary(100, 600, 50.0);
    let mut left = record(address(1), true, Verdict::Reject, 600);
    left.judgement.decisions.clear();
    trial.count(Arm::Canary, &left);
    assert_eq!(trial.figures(), Figures::default());
}

#[test]
fn a_mistake_while_counting_costs_a_count_and_no_session() {
    let trial = canary(100, 600, 50.0);
    trial.guarded(|| panic!("as told"));
    trial.guarded(|| {
        let _held = trial.ledger.lock().expect("nobody else");
        panic!("as told, in the midst of it");
    });
    trial.count(Arm::Canary, &record(address(1), false, Verdict::Forward, 0));
    assert_eq!((trial.metrics.failures(), trial.figures().canary.transactions), (2, 1));
}

#[test]
fn a_planted_weight_is_seen_as_soon_as_enough_has_come() {
    let trial = canary(100, 600, 50.0);
    for number in 0..99 {
        trial.count(Arm::Canary, &record(address(number), true, Verdict::Reject, 600));
        assert_eq!(trial.drift(), None, "{number}");
    }
    trial.count(Arm::Canary, &record(address(99), true, Verdict::Reject, 600));
    let drift = trial.drift().expect("everything is rejected").to_string();
    assert!(drift.starts_with("at least 90.2 % more transactions are rejected, and 1.0 % may be"), "{drift}");
}

/// A year of trials, each with so many clients in either arm: how many end for drift. Of the mail of each client a share
/// is rejected that is its own; `of_canary` is added in the canary's arm.
fn alarms(trials: u64, clients: u32, of_canary: f64, spread: bool) -> usize {
    let one = |seed: u64| {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut ledger = Ledger::default();
        for number in 0..clients * 2 {
            let arm = if number % 2 == 0 { Arm::Canary } else { Arm::Control };
            // Spammers and others, or clients that are all alike.
            let own = if spread { f64::from(chance.random_range(0..10_u32) / 7) * 0.9 } else { 0.3 };
            let rejects = if arm == Arm::Canary { own + of_canary } else { own };
            let mails = if spread { 1 << chance.random_range(0..9_u32) } else { 4 };
            for _ in 0..mails {
                let verdict = if chance.random_bool(rejects.min(1.0)) { Verdict::Reject } else { Verdict::Forward };
                ledger.count(arm, verdict, None, hash(address(number), 7));
                if ledger.is_due(BOUNDS.min_transactions) && drift::of(&ledger, &BOUNDS).is_some() {
                    return true;
                }
            }
        }
        false
    };
    (0..trials).filter(|seed| one(*seed)).count()
}

#[test]
fn equal_rules_are_not_blamed_for_what_their_clients_send() {
    for (spread, what) in [(true, "a few clients send most of the mail"), (false, "all clients are alike")] {
        let alarms = alarms(200, 400, 0.0, spread);
        assert!(alarms <= 2, "{what}: {alarms}");
    }
}

#[test]
fn unequal_rules_are_seen_by_the_arms_alone() {
    assert!(alarms(20, 400, 0.2, false) >= 19);
    assert!(alarms(20, 4000, 0.4, true) >= 15);
}

#[test]
fn too_few_clients_are_no_sample() {
    let mut ledger = Ledger::default();
    for _ in 0..1000 {
        ledger.count(Arm::Canary, Verdict::Reject, None, 1);
        ledger.count(Arm::Control, Verdict::Forward, None, 2);
    }
    assert_eq!(drift::of(&ledger, &BOUNDS), None);
    for group in 0..GROUPS as u64 {
        ledger.count(Arm::Canary, Verdict::Reject, None, group);
        ledger.count(Arm::Control, Verdict::Forward, None, group);
    }
    assert!(drift::of(&ledger, &BOUNDS).is_some());
}

#[test]
fn rules_that_let_everything_pass_drift_too() {
    let trial = canary(600, 100, 50.0);
    for number in 0..100 {
        trial.count(Arm::Canary, &record(address(number), true, Verdict::Forward, 100));
    }
    let drift = trial.drift().expect("nothing is rejected any more").to_string();
    assert!(drift.contains("fewer transactions are rejected"), "{drift}");
}

#[test]
fn shares_and_bounds_have_their_limits() {
    for (percent, is_share) in
        [(0.0, false), (0.1, true), (50.0, true), (50.1, false), (-1.0, false), (f64::NAN, false)]
    {
        assert_eq!(Share::percent(percent).is_ok(), is_share, "{percent}");
    }
    for (percent, is_bound) in [(0.0, true), (100.0, true), (100.1, false), (-0.1, false), (f64::NAN, false)] {
        assert_eq!(Bounds::percent(percent).is_ok(), is_bound, "{percent}");
    }
}
