use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::scoring::{Composite, Group, Symbol};
use crate::units::Percent;

// === Single promises ===

fn symbol(name: &'static str) -> Symbol {
    Symbol::known(name)
}

fn all(names: &[&'static str]) -> Vec<Symbol> {
    names.iter().map(|name| symbol(name)).collect()
}

fn check(stage: Stage, name: &str, symbols: &[&'static str], exclusive: bool) -> (Stage, Spec) {
    (stage, Spec { name: CheckName::new(name), emits: all(symbols).into(), exclusive })
}

/// Two lists (an exclusive check each), signatures at the message, and manners that are observed at any time.
fn catalogue() -> Catalogue {
    Catalogue {
        checks: vec![
            check(Stage::Connect, "invariant.one", &["LIST_A", "LIST_B"], true),
            check(Stage::Connect, "invariant.two", &["LIST_GOOD"], true),
            check(Stage::Rcpt, "invariant.trap", &["TRAP"], true),
            check(Stage::Message, "invariant.dmarc", &["SIGN_PASS", "SIGN_FAIL"], true),
            check(Stage::Message, "invariant.text", &["WORDS", "LINKS"], false),
        ],
        observed: vec![check(Stage::Connect, "invariant.manners", &["RUDE"], false)],
    }
}

fn weights(change: impl FnOnce(crate::scoring::WeightsBuilder) -> crate::scoring::WeightsBuilder) -> Weights {
    let mut builder = Weights::builder();
    for (name, hundredths) in [
        ("LIST_A", 600),
        ("LIST_B", 900),
        ("LIST_GOOD", -400),
        ("TRAP", 400),
        ("SIGN_FAIL", 600),
        ("WORDS", 500),
        ("LINKS", 400),
        ("RUDE", 700),
    ] {
        builder = builder.weight(symbol(name), Score::hundredths(hundredths));
    }
    let known = ["LIST_A", "LIST_B", "LIST_GOOD", "TRAP", "SIGN_PASS", "SIGN_FAIL", "WORDS", "LINKS", "RUDE"];
    change(builder).build(all(&known)).expect("weights")
}

fn clause(name: &str, verdict: Verdict, when: Condition) -> Clause {
    let (stage, text, status) = (None, None, None);
    Clause { name: name.into(), stage, when, verdict, text, status, shadow: false, binds_exempt: false }
}

fn from(points: i32) -> Condition {
    Condition { at_least: Some(Score::hundredths(points * 100)), ..Condition::default() }
}

fn policy(clauses: Vec<Clause>) -> Policy {
    Policy { clauses, ..Policy::default() }
}

fn never_reject(given: Condition) -> Invariant {
    Invariant { name: "promise".into(), given, never: vec![Verdict::Reject], ..Invariant::default() }
}

/// What it says, for messages.
fn said(invariant: &Invariant, policy: &Policy, weights: &Weights) -> String {
    match invariant.prove(policy, weights, &catalogue()) {
        Proof::Proven => "proven".to_owned(),
        Proof::Violated(example) => example.to_string(),
        Proof::Undecided(clause) => format!("undecided at {clause}"),
    }
}

#[test]
fn what_can_be_found_together_decides() {
    let plain = weights(|builder| builder);
    let good = || Condition { all_of: all(&["LIST_GOOD", "SIGN_PASS"]), ..Condition::default() };
    let one = |points| (Invariant { findings: Some(1), ..never_reject(Condition::default()) }, from(points));
    let of_message = |findings, points| {
        let invariant = Invariant {
            findings: Some(findings),
            findings_of: Some(Stage::Message),
            ..never_reject(Condition::default())
        };
        (invariant, from(points))
    };
    for ((invariant, when), expected) in [
        (one(10), "proven"),
        (one(9), "LIST_B (9.00): 9.00 points, and clause `score` rejects"),
        // Lists are exclusive, signatures too.
        (of_message(2, 12), "proven"),
        (of_message(2, 11), "SIGN_FAIL (6.00) and WORDS (5.00): 11.00 points, and clause `score` rejects"),
        (
            of_message(3, 15),
            "SIGN_FAIL (6.00) and WORDS (5.00) and LINKS (4.00): 15.00 points, and clause `score` rejects",
        ),
        // All bad signs that can be beside two good ones, and those may be weak: 9 + 7 + 5 + 4 + 4 = 29.
        ((never_reject(good()), from(30)), "proven"),
        (
            (never_reject(good()), from(25)),
            "LIST_B (9.00) and RUDE (7.00) and WORDS (5.00) and TRAP (4.00) and LINKS (4.00) and SIGN_PASS (0.00) \
             and LIST_GOOD (-4.00): 25.00 points, and clause `score` rejects",
        ),
    ] {
        let policy = policy(vec![clause("score", Verdict::Reject, when)]);
        let said = said(&invariant, &policy, &plain);
        assert_eq!(said, expected);
    }
}

#[test]
fn caps_composites_and_earlier_clauses_count() {
    let one = Invariant { findings: Some(1), ..never_reject(Condition::default()) };
    let group = |cap| Group { name: "lists".into(), symbols: all(&["LIST_A", "LIST_B"]), cap: Score::hundredths(cap) };
    let score = || clause("score", Verdict::Reject, from(9));
    assert_eq!(said(&one, &policy(vec![score()]), &weights(|builder| builder.group(group(800)))), "proven");

    let made = |builder: crate::scoring::WeightsBuilder| {
        let composite = Composite {
            all_of: all(&["SIGN_FAIL"]),
            none_of: all(&["LIST_GOOD"]),
            ..Composite::named(symbol("ALONE"))
        };
        builder.composite(composite).weight(symbol("ALONE"), Score::hundredths(300)).group(group(800))
    };
    let expected = "SIGN_FAIL (6.00): 9.00 points, and clause `score` rejects";
    assert_eq!(said(&one, &policy(vec![score()]), &weights(made)), expected);

    let spared = clause("spared", Verdict::Forward, Condition { all_of: all(&["LIST_B"]), ..Condition::default() });
    let plain = weights(|builder| builder);
    assert_eq!(said(&one, &policy(vec![spared.clone(), score()]), &plain), "proven");
    // What is in shadow protects nobody, and is held to the promise as if it were in force.
    let in_shadow = |clause: Clause| Clause { shadow: true, ..clause };
    let expected = "LIST_B (9.00): 9.00 points, and clause `score` without its shadow rejects";
    assert_eq!(said(&one, &policy(vec![in_shadow(spared), in_shadow(score())]), &plain), expected);
}

/// A good sign that is sure holds a group far below its cap: three bad ones show what one alone does not.
#[test]
fn what_a_cap_hides_of_one_finding_it_may_show_of_more() {
    let weights = weights(|builder| {
        let symbols = all(&["LIST_A", "LIST_B", "TRAP", "SIGN_FAIL", "WORDS", "LINKS", "RUDE", "GOOD"]);
        builder
            .composite(Composite { all_of: all(&["SIGN_PASS"]), ..Composite::named(symbol("GOOD")) })
            .weight(symbol("GOOD"), Score::hundredths(-1_500))
            .group(Group { name: "g".into(), symbols, cap: Score::hundredths(500) })
    });
    let policy = policy(vec![clause("score", Verdict::Reject, from(4))]);
    let given = Condition { all_of: all(&["SIGN_PASS"]), ..Condition::default() };
    let promise = |findings| Invariant { findings: Some(findings), ..never_reject(given.clone()) };
    assert_eq!(said(&promise(2), &policy, &weights), "proven");
    assert!(said(&promise(3), &policy, &weights).ends_with("5.00 points, and clause `score` rejects"));
}

#[test]
fn clauses_of_a_stage_see_what_is_known_by_then() {
    let rcpt = |clause: Clause| Clause { stage: Some(Stage::Rcpt), ..clause };
    let plain = weights(|builder| builder);
    let not_of_message =
        Invariant { findings: Some(3), findings_of: Some(Stage::Message), ..never_reject(Condition::default()) };
    let score = || clause("score", Verdict::Reject, from(5));
    assert_eq!(said(&not_of_message, &policy(vec![rcpt(score())]), &plain), "proven");
    // Bad manners may come late, after the earlier clause has looked.
    let first = rcpt(clause("first", Verdict::Forward, Condition { all_of: all(&["RUDE"]), ..Condition::default() }));
    let rude = never_reject(Condition { none_of: all(&["WORDS"]), ..Condition::default() });
    let last = clause("last", Verdict::Reject, Condition { all_of: all(&["RUDE"]), ..Condition::default() });
    let expected = "RUDE (7.00): 7.00 points, and clause `last` rejects";
    assert_eq!(said(&rude, &policy(vec![first, last]), &plain), expected);
}

#[test]
fn promises_are_about_the_clauses_that_they_name() {
    let plain = weights(|builder| builder);
    let denied = || clause("denied", Verdict::Reject, Condition { any_of: all(&["LIST_A"]), ..Condition::default() });
    let late = || clause("late", Verdict::Defer, Condition { any_of: all(&["WORDS"]), ..Condition::default() });
    let all = || policy(vec![denied(), late()]);
    let promise = never_reject(Condition::default());
    assert_eq!(said(&promise, &all(), &plain), "LIST_A (6.00): 6.00 points, and clause `denied` rejects");
    for invariant in [
        Invariant { except: vec!["denied".into()], ..promise.clone() },
        Invariant { by_score: true, ..promise.clone() },
        Invariant { stage: Some(Stage::Rcpt), ..promise.clone() },
    ] {
        assert_eq!(said(&invariant, &all(), &plain), "proven");
    }
    let never = Invariant { never: vec![Verdict::Defer], ..promise };
    assert_eq!(said(&never, &all(), &plain), "WORDS (5.00): 5.00 points, and clause `late` defers");
    // Exempt recipients are protected by fewer clauses.
    let binding = Clause { binds_exempt: true, ..clause("binding", Verdict::Reject, from(5)) };
    let narrow = Invariant {
        findings: Some(1),
        given: Condition { all_of: vec![symbol("WORDS")], ..Condition::default() },
        ..never_reject(Condition::default())
    };
    let expected = "WORDS (5.00): 5.00 points, and clause `binding` rejects, even for exempt recipients";
    assert_eq!(said(&narrow, &policy(vec![late(), binding]), &plain), expected);
}

// === Any rules ===

#[derive(Clone, Debug)]
struct Case {
    catalogue: Catalogue,
    weights: Arc<Weights>,
    policy: Policy,
    invariant: Invariant,
}

const NAMES: [&str; 10] = ["V0", "V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "V9"];
const MADE: [&str; 2] = ["V_MADE_0", "V_MADE_1"];

fn stage() -> impl Strategy<Value = Stage> {
    prop_oneof![Just(Stage::Connect), Just(Stage::Mail), Just(Stage::Rcpt), Just(Stage::Message), Just(Stage::Message)]
}

fn some(most: usize, with_made: bool) -> impl Strategy<Value = Vec<Symbol>> {
    let names = if with_made { NAMES.len() + MADE.len() } else { NAMES.len() };
    prop::collection::vec(0..names, 0..=most).prop_map(|indices| {
        let indices: BTreeSet<usize> = indices.into_iter().collect();
        indices.into_iter().map(|index| symbol(NAMES.iter().chain(&MADE).nth(index).expect("a name"))).collect()
    })
}

fn score() -> impl Strategy<Value = Option<Score>> {
    prop_oneof![1 => Just(None), 2 => (-500..1_500_i32).prop_map(|points| Some(Score::hundredths(points)))]
}

fn condition(with_score: bool) -> impl Strategy<Value = Condition> {
    let scores = (score(), prop_oneof![3 => Just(None), 1 => (0..800_i32).prop_map(Some)]);
    (some(1, true), some(2, true), some(1, true), scores).prop_map(
        move |(all_of, any_of, none_of, (at_least, width))| {
            let at_least = at_least.filter(|_| with_score);
            let below = at_least.zip(width).map(|(low, width)| Score::hundredths(low.get() + 1 + width));
            Condition { all_of, any_of, none_of, at_least, below }
        },
    )
}

fn clauses() -> impl Strategy<Value = Vec<Clause>> {
    let verdict =
        prop_oneof![Just(Verdict::Reject), Just(Verdict::Reject), Just(Verdict::Defer), Just(Verdict::Forward)];
    let one = (condition(true), verdict, prop::option::weighted(0.4, stage()), any::<bool>(), any::<bool>());
    prop::collection::vec(one, 1..4).prop_map(|drawn| {
        let named = drawn.into_iter().enumerate().map(|(index, (when, verdict, stage, shadow, binds_exempt))| Clause {
            stage,
            shadow,
            binds_exempt,
            ..clause(&format!("c{index}"), verdict, when)
        });
        named.collect()
    })
}

fn cases() -> impl Strategy<Value = Case> {
    let checks = prop::collection::vec((stage(), any::<bool>()), NAMES.len() / 2);
    let weight = prop::collection::vec(-600..1_000_i32, NAMES.len() + MADE.len());
    let composites = (some(1, false), some(2, false), some(1, false), some(3, false));
    let groups = (some(4, true), 0..900_i32);
    let invariant = (condition(false), prop::option::of(0..3_usize), prop::option::weighted(0.2, stage()));
    (checks, weight, composites, groups, clauses(), invariant).prop_map(
        |(checks, weight, made, group, clauses, promise)| {
            let mut catalogue = Catalogue::default();
            for (index, ((stage, exclusive), names)) in checks.into_iter().zip(NAMES.chunks(2)).enumerate() {
                let list = if index == 0 { &mut catalogue.observed } else { &mut catalogue.checks };
                list.push(check(stage, &format!("any.{index}"), names, exclusive));
            }
            let mut builder = Weights::builder();
            for (name, weight) in NAMES.iter().chain(&MADE).zip(weight) {
                builder = builder.weight(symbol(name), Score::hundredths(weight));
            }
            let (all_of, any_of, none_of, counted) = made;
            let first = Composite { all_of: with_one(all_of), any_of, none_of, ..Composite::named(symbol(MADE[0])) };
            let counted = if counted.len() < 2 { all(&["V1", "V8"]) } else { counted };
            let at_least = Some((2, counted));
            let second = Composite { at_least, none_of: all(&[MADE[0]]), ..Composite::named(symbol(MADE[1])) };
            builder = builder.composite(first).composite(second).shadow(symbol("V3"));
            builder = builder.group(Group { name: "g".into(), symbols: group.0, cap: Score::hundredths(group.1) });
            let weights = Arc::new(builder.build(all(&NAMES)).expect("weights"));
            let (given, findings, findings_of) = promise;
            let never = vec![Verdict::Reject];
            let invariant =
                Invariant { name: "any".into(), given, findings, findings_of, never, ..Invariant::default() };
            Case { catalogue, weights, policy: policy(clauses), invariant }
        },
    )
}

fn with_one(symbols: Vec<Symbol>) -> Vec<Symbol> {
    if symbols.is_empty() { vec![symbol("V4")] } else { symbols }
}

/// Random findings: by check, what its lines say. Recipients 0 and 1.
fn scorecard(case: &Case, runner: &mut TestRunner) -> Scorecard {
    let mut draw = |most: u32| (0..most).new_tree(runner).expect("a number").current();
    let mut card = Scorecard::new(case.weights.clone());
    // Few findings are what promises with a limit speak of.
    let rare = 1 + draw(4);
    for (stage, spec) in &case.catalogue.checks {
        let scopes: &[Scope] =
            if *stage == Stage::Rcpt { &[Scope::Recipient(0), Scope::Recipient(1)] } else { &[Scope::Transaction] };
        for scope in scopes {
            let mut findings = Vec::new();
            for symbol in spec.emits.iter() {
                if draw(rare + 1) == 0 {
                    let strength = if draw(2) == 0 { Percent::FULL } else { Percent::new(draw(101) as u8) };
                    findings.push(Finding { strength, transaction: draw(2) == 0, ..Finding::new(symbol.clone(), "") });
                }
            }
            if draw(2) == 0 {
                findings.reverse();
            }
            card.open(*stage, spec.clone(), *scope);
            card.close(&spec.name, *scope, Outcome::from_findings(findings), Duration::ZERO);
        }
    }
    for (stage, spec) in &case.catalogue.observed {
        card.open_observed(*stage, spec.clone());
        for symbol in spec.emits.iter() {
            for at in Stage::ALL.into_iter().filter(|at| at >= stage) {
                if draw(2 * rare + 1) == 0 {
                    let strength = Percent::new(draw(101) as u8);
                    card.observe(at, Finding { strength, ..Finding::new(symbol.clone(), "") });
                }
            }
        }
    }
    card
}

/// Whether the promise speaks of this mail, told without any of the code under test.
fn speaks_of(case: &Case, card: &Scorecard, question: Question) -> bool {
    let view = card.view(question.lens(None));
    let counted = |symbol: &Symbol| {
        let weighed = case.weights.of(symbol);
        weighed.weight > Score::ZERO && !MADE.contains(&symbol.as_str()) && view.has(symbol) == Tri::Yes
    };
    let stage_of = |symbol: &Symbol| {
        let all = case.catalogue.checks.iter().chain(&case.catalogue.observed);
        all.filter(|(_, spec)| spec.emits.contains(symbol)).map(|(stage, _)| *stage).next()
    };
    let found: Vec<Symbol> = case.weights.symbols().map(|(symbol, _)| symbol.clone()).filter(counted).collect();
    let invariant = &case.invariant;
    invariant.given.holds(&view) == Tri::Yes
        && invariant.findings.is_none_or(|most| found.len() <= most)
        && invariant.findings_of.is_none_or(|only| found.iter().all(|symbol| stage_of(symbol) == Some(only)))
}

/// The policy with some of its shadows lifted.
fn with_lifted(policy: &Policy, bits: u32) -> Policy {
    let clauses = policy
        .clauses
        .iter()
        .enumerate()
        .map(|(index, clause)| Clause { shadow: clause.shadow && bits & (1 << index) == 0, ..clause.clone() });
    Policy { clauses: clauses.filter(|clause| !clause.shadow).collect(), ..policy.clone() }
}

#[test]
fn proofs_are_never_contradicted_and_examples_are_real_and_smallest() {
    let mut runner = TestRunner::new(Config::default());
    let (mut proven, mut violated, mut undecided) = (0, 0, 0);
    for _ in 0..300 {
        let case = cases().new_tree(&mut runner).expect("a case").current();
        match case.invariant.prove(&case.policy, &case.weights, &case.catalogue) {
            Proof::Proven => {
                proven += 1;
                for _ in 0..100 {
                    let card = scorecard(&case, &mut runner);
                    let draw = (0..64_u32).new_tree(&mut runner).expect("bits").current();
                    let question = Question {
                        exempt: draw & 8 != 0,
                        shadow: draw & 16 != 0,
                        ..Question::about(Scope::Recipient(0))
                    };
                    if speaks_of(&case, &card, question) {
                        let (verdict, _) = with_lifted(&case.policy, draw).reachable(&card, question).last();
                        assert_ne!(verdict, Verdict::Reject, "{case:#?}\n{card:#?}");
                    }
                }
            }
            Proof::Violated(example) => {
                violated += 1;
                assert_rejects(&case, &example);
                for left_out in 0..example.sightings.len() {
                    let mut less = (*example).clone();
                    less.sightings.remove(left_out);
                    assert!(!rejects(&case, &less), "{left_out} is not needed in {example} of {case:#?}");
                }
            }
            Proof::Undecided(_) => undecided += 1,
        }
    }
    assert!(proven > 50 && violated > 50, "{proven} proven, {violated} violated: the cases are one-sided");
    assert!(undecided < 10, "{undecided} of 300 undecided");
}

/// Groups of good and bad signs, a good one of them sure: whatever can be found together at full strength is tried.
#[test]
fn no_promise_is_proven_that_something_breaks() {
    const SIGNS: [&str; 5] = ["W1", "W2", "W3", "W4", "W5"];
    let mut runner = TestRunner::new(Config::default());
    let sign = (-1_500..1_500_i32, 0..3_usize);
    let all_of_it = (prop::collection::vec(sign, 6), [0..900_i32, 0..900_i32], 1..5_usize, 0..2_000_i32);
    let (mut proven, mut broken) = (0, 0);
    for _ in 0..400 {
        let (signs, caps, findings, limit) = all_of_it.new_tree(&mut runner).expect("a case").current();
        let names: Vec<&'static str> = SIGNS.into_iter().chain(["SURE"]).collect();
        let mut builder = Weights::builder();
        for (name, (weight, _)) in names.iter().copied().zip(&signs) {
            builder = builder.weight(symbol(name), Score::hundredths(*weight));
        }
        builder = builder.composite(Composite { all_of: all(&["GIVEN"]), ..Composite::named(symbol("SURE")) });
        for (index, cap) in caps.iter().enumerate() {
            let inside = names.iter().copied().zip(&signs).filter(|(_, (_, group))| *group == index);
            let symbols = inside.map(|(name, _)| symbol(name)).collect();
            builder = builder.group(Group { name: format!("g{index}").into(), symbols, cap: Score::hundredths(*cap) });
        }
        let emitted: Vec<&'static str> = SIGNS.into_iter().chain(["GIVEN"]).collect();
        let weights = builder.build(all(&emitted)).expect("weights");
        let checks = emitted
            .iter()
            .enumerate()
            .map(|(index, name)| check(Stage::Message, &format!("any.{index}"), &[*name], true))
            .collect();
        let catalogue = Catalogue { checks, observed: Vec::new() };
        let given = Condition { all_of: all(&["GIVEN"]), ..Condition::default() };
        let promise = Invariant { findings: Some(findings), ..never_reject(given) };
        let reaching = Condition { at_least: Some(Score::hundredths(limit)), ..Condition::default() };
        let policy = policy(vec![clause("score", Verdict::Reject, reaching)]);
        let breaks = |found: u32| {
            let is_there = |index: usize| index == SIGNS.len() || found & (1 << index) != 0;
            let there = || signs.iter().enumerate().filter(|(index, _)| is_there(*index)).map(|(_, sign)| *sign);
            let bad =
                signs.iter().take(SIGNS.len()).enumerate().filter(|(at, (weight, _))| is_there(*at) && *weight > 0);
            let sum = |group: usize| there().filter(|(_, of)| *of == group).map(|(weight, _)| weight).sum::<i32>();
            let capped = caps.iter().enumerate().map(|(group, cap)| sum(group).clamp(-cap, *cap)).sum::<i32>();
            bad.count() <= findings && capped + sum(caps.len()) >= limit
        };
        let is_broken = (0..1 << SIGNS.len()).any(breaks);
        broken += usize::from(is_broken);
        if matches!(promise.prove(&policy, &weights, &catalogue), Proof::Proven) {
            proven += 1;
            assert!(!is_broken, "{signs:?} {caps:?} {findings} findings, from {limit} on");
        }
    }
    assert!(proven > 50 && broken > 50, "{proven} proven, {broken} broken: the cases are one-sided");
}

fn rejects(case: &Case, example: &Counterexample) -> bool {
    let card = example.scorecard(&case.weights);
    let question = example.question();
    let lifted = example.lifted(&case.policy);
    let (verdict, index) = lifted.reachable(&card, question).last();
    let by_it = index.is_some_and(|index| lifted.clauses[index].name == example.clause);
    speaks_of(case, &card, question) && verdict == Verdict::Reject && by_it
}

fn assert_rejects(case: &Case, example: &Counterexample) {
    assert!(rejects(case, example), "{example} does not reject: {case:#?}");
}
