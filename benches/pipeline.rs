//! What judging costs: nothing without checks, little with instant ones.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use gatepost::checks::{Check, Registry};
use gatepost::facts::{ClientFacts, Stage};
use gatepost::pipeline::{Assessment, Ruleset};
use gatepost::policy::{Clause, Condition, Policy, Question};
use gatepost::scoring::{CheckName, Finding, Outcome, Scope, Score, Scorecard, Spec, Symbol, Weights};
use gatepost::verdict::Verdict;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

struct Instantly(Spec);

impl Check for Instantly {
    type Facts = ClientFacts;
    fn spec(&self) -> &Spec {
        &self.0
    }
    async fn run(&self, _facts: &ClientFacts) -> Outcome {
        Outcome::Found(self.0.emits.iter().take(1).map(|symbol| Finding::new(symbol.clone(), "")).collect())
    }
}

fn main() {
    divan::main();
}

fn symbol(index: usize) -> Symbol {
    Symbol::new(&format!("SYMBOL_{index}")).expect("a valid name")
}

fn spec(index: usize) -> Spec {
    let emits = [symbol(2 * index), symbol(2 * index + 1)].into();
    Spec { name: CheckName::new(&format!("check.{index}")), emits, exclusive: index.is_multiple_of(2) }
}

fn clauses(count: usize, symbols: usize) -> Vec<Clause> {
    let clause = |index: usize| Clause {
        name: format!("clause.{index}").into(),
        stage: index.is_multiple_of(3).then_some(Stage::Rcpt),
        when: Condition {
            all_of: vec![symbol(index % symbols)],
            at_least: Some(Score::hundredths(100_000)),
            ..Condition::default()
        },
        verdict: Verdict::Reject,
        text: None,
        status: None,
        shadow: false,
        binds_exempt: false,
    };
    (0..count).map(clause).collect()
}

fn weights(checks: usize) -> Arc<Weights> {
    let symbols: Vec<Symbol> = (0..2 * checks).map(symbol).collect();
    let weighed = symbols
        .iter()
        .fold(Weights::builder(), |builder, symbol| builder.weight(symbol.clone(), Score::hundredths(100)));
    Arc::new(weighed.build(&symbols).expect("known symbols"))
}

fn client() -> Arc<ClientFacts> {
    Arc::new(ClientFacts::new(IpAddr::V4(Ipv4Addr::LOCALHOST), "edge".into(), "mx.example".into(), None))
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime")
}

fn assess(runtime: &Runtime, ruleset: &Arc<Ruleset>, client: &Arc<ClientFacts>) {
    runtime.block_on(async {
        let mut assessment = Assessment::new(ruleset.clone());
        let by = Instant::now() + Duration::from_secs(1);
        assessment.learn(client);
        assessment.add_recipient(0, false);
        divan::black_box(assessment.settle(0, by).await);
        divan::black_box(assessment.conclude(by).await);
    });
}

#[divan::bench]
fn empty_assessment(bencher: divan::Bencher<'_, '_>) {
    let (runtime, ruleset, client) = (runtime(), Arc::new(Ruleset::empty()), client());
    bencher.bench_local(|| assess(&runtime, &ruleset, &client));
}

#[divan::bench]
fn ten_instant_checks(bencher: divan::Bencher<'_, '_>) {
    let mut registry = Registry::default();
    for index in 0..10 {
        registry.add(Instantly(spec(index))).expect("distinct checks");
    }
    let policy = Policy { clauses: clauses(5, 20), tag: Some(Score::hundredths(500)), ..Policy::default() };
    let ruleset = Arc::new(Ruleset::new("bench", registry, weights(10), policy));
    let (runtime, client) = (runtime(), client());
    bencher.bench_local(|| assess(&runtime, &ruleset, &client));
}

#[divan::bench]
fn reachable_on_30_lines_and_20_clauses(bencher: divan::Bencher<'_, '_>) {
    let mut card = Scorecard::new(weights(30));
    for index in 0..30 {
        let spec = spec(index);
        card.open(Stage::Connect, spec.clone(), Scope::Transaction);
        if index % 3 == 0 {
            let found = Outcome::Found(vec![Finding::new(symbol(2 * index), "")]);
            card.close(&spec.name, Scope::Transaction, found, Duration::ZERO);
        }
    }
    let policy = Policy { clauses: clauses(20, 60), ..Policy::default() };
    bencher.bench_local(|| policy.reachable(&card, Question::about(Scope::Transaction)));
}
