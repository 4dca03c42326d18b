//! What an assessment promises, in paused time.

mod policies;

use std::future::pending;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep};

use super::*;
use crate::checks::{Check, Deed, Doer, Facts, Fate, Witness};
use crate::facts::{ClientFacts, HeloFacts, MailFacts, MessageFacts, RcptFacts, Stage};
use crate::policy::{Clause, Condition};
use crate::scoring::{CheckName, Finding, Group, Outcome, Score, Spec, Symbol};
use crate::smtp::{ForwardPath, HeloName, Params, ReversePath};
use crate::verdict::Verdict;

/// A check whose behaviour each test states.
struct Double<F> {
    spec: Spec,
    limit: Option<Duration>,
    acts: Act<F>,
    remembered: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

enum Act<F> {
    Finds(Duration),
    Clear,
    Hangs,
    Panics,
    /// For one kind of facts only.
    FindsIf(fn(&F) -> bool),
}

struct CountsItsDrop(Arc<AtomicUsize>);

impl Drop for CountsItsDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl<F: Facts> Check for Double<F> {
    type Facts = F;
    fn spec(&self) -> &Spec {
        &self.spec
    }
    fn time_limit(&self) -> Option<Duration> {
        self.limit
    }
    async fn run(&self, facts: &F) -> Outcome {
        let _guard = CountsItsDrop(self.dropped.clone());
        let found = || Outcome::Found(vec![Finding::new(self.spec.emits[0].clone(), "as told")]);
        match &self.acts {
            Act::Finds(after) => {
                sleep(*after).await;
                found()
            }
            Act::Clear => Outcome::Clear,
            Act::Hangs => pending().await,
            Act::Panics => panic!("as told"),
            Act::FindsIf(holds) => {
                if holds(facts) {
                    found()
                } else {
                    Outcome::Clear
                }
            }
        }
    }
    fn remembers(&self) -> bool {
        true
    }

    async fn remember(&self, _facts: &F, fate: &Fate) {
        self.remembered.fetch_add(if fate.tagged { TAGGED } else { 1 }, Ordering::SeqCst);
    }
}

fn double<F>(symbol: &'static str, acts: Act<F>) -> Double<F> {
    let spec =
        Spec { name: CheckName::new(&symbol.to_lowercase()), emits: [Symbol::known(symbol)].into(), exclusive: true };
    Double { spec, limit: None, acts, remembered: Arc::default(), dropped: Arc::default() }
}

fn rule(name: &str, at_least: Option<i32>, all_of: &[&'static str], verdict: Verdict) -> Clause {
    let when = Condition {
        all_of: all_of.iter().map(|symbol| Symbol::known(symbol)).collect(),
        at_least: at_least.map(Score::hundredths),
        ..Condition::default()
    };
    Clause {
        name: name.into(),
        stage: None,
        when,
        verdict,
        text: None,
        status: None,
        shadow: false,
        binds_exempt: false,
    }
}

fn registry(add: impl FnOnce(&mut Registry) -> Result<(), crate::checks::RegistryError>) -> Registry {
    let mut registry = Registry::default();
    add(&mut registry).expect("distinct checks");
    registry
}

fn ruleset(registry: Registry, weights: &[(&'static str, i32)], clauses: Vec<Clause>) -> Arc<Ruleset> {
    let mut builder = Weights::builder();
    for (symbol, weight) in weights {
        builder = builder.weight(Symbol::known(symbol), Score::hundredths(*weight));
    }
    let weights = builder.build(registry.symbols().keys()).expect("known symbols");
    Arc::new(Ruleset::new("test", registry, Arc::new(weights), Policy { clauses, ..Policy::default() }))
}

fn client() -> Arc<ClientFacts> {
    Arc::new(ClientFacts::new(IpAddr::V4(Ipv4Addr::LOCALHOST), "edge".into(), "mx.example".into(), None))
}

fn mail() -> Arc<MailFacts> {
    let name = HeloName::parse(b"client.example").expect("a word");
    let helo = HeloFacts::new(client(), name, true, None);
    Arc::new(MailFacts::new(Arc::new(helo), ReversePath::Null, Params::default(), SystemTime::UNIX_EPOCH))
}

fn rcpt(index: usize) -> Arc<RcptFacts> {
    Arc::new(RcptFacts {
        mail: mail(),
        forward_path: ForwardPath::Postmaster("postmaster".into()),
        index,
        is_trap: false,
    })
}

fn within(millis: u64) -> Instant {
    Instant::now() + Duration::from_millis(millis)
}

async fn let_tasks_run() {
    sleep(Duration::from_millis(1)).await;
}

/// What a check that is told that mail was marked counts.
const TAGGED: usize = 1000;

fn fate() -> Fate {
    Fate::new(Verdict::Forward, 250, false)
}

fn outcome_of(trace: &Trace, check: &str) -> &'static str {
    trace.lines.iter().find(|line| line.check == check).expect("a line").outcome
}

#[tokio::test(start_paused = true)]
async fn without_checks_nothing_runs_and_everything_is_forwarded() {
    let mut assessment = Assessment::new(Arc::new(Ruleset::empty()));
    assessment.learn(&client());
    assessment.learn(&rcpt(0));
    assert_eq!(assessment.peek(), None);
    assert_eq!(assessment.settle(0, within(1000)).await, None);
    let conclusion = assessment.conclude(within(1000)).await;
    assert_eq!(conclusion.recipients.len(), 1);
    assert_eq!(conclusion.recipients[0].1.verdict, Verdict::Forward);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_no_answer() {
    let slow = double("SLOW", Act::<ClientFacts>::Finds(Duration::from_millis(500)));
    let rules =
        ruleset(registry(|r| r.add(slow)), &[("SLOW", 900)], vec![rule("high", Some(900), &[], Verdict::Reject)]);
    let mut assessment = Assessment::new(rules);
    assessment.learn(&client());
    assessment.learn(&rcpt(0));
    assert_eq!(assessment.settle(0, within(100)).await, None, "not certain in time");
    let conclusion = assessment.conclude(within(100)).await;
    assert_eq!(conclusion.recipients[0].1.verdict, Verdict::Forward);
    assert_eq!(outcome_of(&assessment.trace(), "slow"), "timed_out");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(assessment.peek(), None);
    assert_eq!(outcome_of(&assessment.trace(), "slow"), "timed_out");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_missed_rcpt_still_helps_after_the_dot() {
    let slow = double("SLOW", Act::<ClientFacts>::Finds(Duration::from_millis(500)));
    let rules =
        ruleset(registry(|r| r.add(slow)), &[("SLOW", 900)], vec![rule("high", Some(900), &[], Verdict::Reject)]);
    let mut assessment = Assessment::new(rules);
    assessment.learn(&client());
    assessment.learn(&rcpt(0));
    assert_eq!(assessment.settle(0, within(100)).await, None);
    let began = Instant::now();
    let conclusion = assessment.conclude(within(10_000)).await;
    let (_, decision) = &conclusion.recipients[0];
    assert_eq!((decision.verdict, decision.clause.as_deref()), (Verdict::Reject, Some("high")));
    assert_eq!(decision.because[0].symbol, Symbol::known("SLOW"));
    assert_eq!(began.elapsed(), Duration::from_millis(400), "no longer than it takes");
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_ends_at_its_own_limit_and_one_that_panics_fails() {
    let mut hanging = double("HANGING", Act::<ClientFacts>::Hangs);
    hanging.limit = Some(Duration::from_millis(300));
    let panicking = double("PANICKING", Act::<ClientFacts>::Panics);
    let checks = registry(|r| r.add(hanging).and_then(|()| r.add(panicking)));
    let rules =
        ruleset(checks, &[("HANGING", 500), ("PANICKING", 500)], vec![rule("any", Some(1), &[], Verdict::Reject)]);
    let mut assessment = Assessment::new(rules);
    assessment.learn(&client());
    assessment.learn(&rcpt(0));
    let began = Instant::now();
    let conclusion = assessment.conclude(within(10_000)).await;
    assert_eq!(began.elapsed(), Duration::from_millis(300));
    assert_eq!(conclusion.recipients[0].1.verdict, Verdict::Forward);
    assert_eq!(outcome_of(&assessment.trace(), "hanging"), "timed_out");
    assert_eq!(outcome_of(&assessment.trace(), "panicking"), "failed");
}

#[tokio::test(start_paused = true)]
async fn rewind_keeps_what_earlier_stages_found() {
    let early = double("EARLY", Act::<ClientFacts>::Finds(Duration::ZERO));
    let later = double("LATER", Act::<MailFacts>::Finds(Duration::ZERO));
    let spec = Spec {
        name: CheckName::new("protocol"),
        emits: [Symbol::known("PREGREET"), Symbol::known("BARE")].into(),
        exclusive: false,
    };
    let checks = registry(|r| {
        r.add(early)?;
        r.add(later)?;
        r.add_observed(Stage::Connect, spec)
    });
    let weights = [("EARLY", 100), ("LATER", 200), ("PREGREET", 10), ("BARE", 20)];
    let mut assessment = Assessment::new(ruleset(checks, &weights, Vec::new()));
    assessment.learn(&client());
    assessment.observe(Stage::Connect, Finding::new(Symbol::known("PREGREET"), ""));
    assessment.learn(&mail());
    assessment.observe(Stage::Mail, Finding::new(Symbol::known("BARE"), ""));
    let_tasks_run().await;
    assessment.peek();
    assert_eq!(assessment.summary().score, Score::hundredths(330));
    assessment.rewind(Stage::Helo);
    assert_eq!(assessment.summary().score, Score::hundredths(110));
    assert_eq!(outcome_of(&assessment.trace(), "later"), "open");
    assessment.learn(&mail());
    let_tasks_run().await;
    assessment.peek();
    assert_eq!(assessment.summary().score, Score::hundredths(310));
}

#[tokio::test(start_paused = true)]
async fn a_settled_refusal_starts_no_further_check() {
    let listed = double("LISTED", Act::<ClientFacts>::Finds(Duration::ZERO));
    let never = double("NEVER", Act::<MailFacts>::Panics);
    let checks = registry(|r| r.add(listed).and_then(|()| r.add(never)));
    let mut certain = rule("listed", None, &["LISTED"], Verdict::Reject);
    certain.binds_exempt = true;
    let mut assessment = Assessment::new(ruleset(checks, &[], vec![certain]));
    assessment.learn(&client());
    let_tasks_run().await;
    let decision = assessment.peek().expect("certain already");
    assert_eq!(decision.because[0].symbol, Symbol::known("LISTED"));
    assessment.learn(&mail());
    assessment.add_recipient(0, false);
    assert!(assessment.settle(0, within(1000)).await.is_some());
    assessment.conclude(within(1000)).await;
    assert_eq!(outcome_of(&assessment.trace(), "never"), "skipped");
}

#[tokio::test(start_paused = true)]
async fn a_clause_of_the_rcpt_stage_refuses_whatever_later_checks_might_say() {
    let checks = || {
        let listed = double("LISTED", Act::<ClientFacts>::Finds(Duration::from_millis(20)));
        let good = double("GOOD", Act::<MessageFacts>::Clear);
        registry(|r| r.add(listed).and_then(|()| r.add(good)))
    };
    for (stage, certain) in [(None, false), (Some(Stage::Rcpt), true)] {
        let mut clause = rule("listed", Some(500), &[], Verdict::Reject);
        clause.stage = stage;
        let mut assessment = Assessment::new(ruleset(checks(), &[("LISTED", 600), ("GOOD", -400)], vec![clause]));
        assessment.learn(&client());
        assessment.learn(&rcpt(0));
        assert_eq!(assessment.settle(0, within(1000)).await.is_some(), certain, "{stage:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn findings_about_one_recipient_leave_the_other_alone() {
    let grey = double("GREY", Act::<RcptFacts>::FindsIf(|facts| facts.index == 1));
    let rules = ruleset(registry(|r| r.add(grey)), &[], vec![rule("grey", None, &["GREY"], Verdict::Defer)]);
    let mut assessment = Assessment::new(rules);
    assessment.learn(&client());
    assessment.learn(&rcpt(0));
    assessment.learn(&rcpt(1));
    assert_eq!(assessment.settle(0, within(1000)).await, None);
    assert_eq!(assessment.settle(1, within(1000)).await.map(|decision| decision.verdict), Some(Verdict::Defer));
    assessment.drop_recipient(1);
    let conclusion = assessment.conclude(within(1000)).await;
    assert_eq!(
        conclusion.recipients.iter().map(|(index, d)| (*index, d.verdict)).collect::<Vec<_>>(),
        [(0, Verdict::Forward)]
    );
}

#[tokio::test(start_paused = true)]
async fn exempt_recipients_are_spared_unless_the_clause_binds_them() {
    for (binds_exempt, refused) in [(false, false), (true, true)] {
        let listed = double("LISTED", Act::<ClientFacts>::Finds(Duration::ZERO));
        let mut clause = rule("listed", None, &["LISTED"], Verdict::Reject);
        clause.binds_exempt = binds_exempt;
        let mut assessment = Assessment::new(ruleset(registry(|r| r.add(listed)), &[], vec![clause]));
        assessment.learn(&client());
        assessment.add_recipient(0, true);
        assessment.add_recipient(1, false);
        assert_eq!(assessment.settle(0, within(1000)).await.is_some(), refused);
        assert!(assessment.settle(1, within(1000)).await.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn shadow_is_told_and_not_enacted() {
    let listed = double("LISTED", Act::<ClientFacts>::Finds(Duration::ZERO));
    let mut clause = rule("listed", None, &["LISTED"], Verdict::Reject);
    clause.shadow = true;
    let rules = ruleset(registry(|r| r.add(listed)), &[], vec![clause]);
    let metrics = prometheus::Registry::new();
    let families = Metrics::register(&metrics).expect("fresh names");
    let rules = Arc::into_inner(rules).expect("not shared yet").with_metrics(&families);
    let mut assessment = Assessment::new(Arc::new(rules));
    assessment.learn(&client());
    assessment.add_recipient(0, false);
    assert_eq!(assessment.settle(0, within(1000)).await, None);
    let conclusion = assessment.conclude(within(1000)).await;
    let (_, decision) = &conclusion.recipients[0];
    assert_eq!(decision.verdict, Verdict::Forward);
    assert_eq!(decision.shadow, Some((Verdict::Reject, "listed".into())));
    let text = prometheus::TextEncoder::new().encode_to_string(&metrics.gather()).expect("text");
    for line in [
        "gatepost_check_outcomes_total{check=\"listed\",outcome=\"found\"} 1",
        "gatepost_findings_total{mode=\"enforced\",symbol=\"LISTED\"} 1",
        "gatepost_decisions_total{clause=\"none\",stage=\"message\",verdict=\"forward\"} 1",
        "gatepost_shadow_decisions_total{clause=\"listed\",shadow=\"reject\",verdict=\"forward\"} 1",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_symbol_in_shadow_is_counted_by_what_it_alone_would_do() {
    for (enforced, lines) in [
        // What is enforced comes to nothing: either of those in shadow alone may make a difference.
        (
            100,
            [
                r#"symbol="HEAVY",verdict="forward",would="reject"} 1"#,
                r#"symbol="LIGHT",verdict="forward",would="forward"} 1"#,
            ],
        ),
        // What is enforced refuses it already.
        (
            900,
            [
                r#"symbol="HEAVY",verdict="reject",would="reject"} 1"#,
                r#"symbol="LIGHT",verdict="reject",would="reject"} 1"#,
            ],
        ),
    ] {
        let finds = |name| double(name, Act::<ClientFacts>::Finds(Duration::ZERO));
        let registry = registry(|r| {
            r.add(finds("ENFORCED")).and_then(|()| r.add(finds("HEAVY"))).and_then(|()| r.add(finds("LIGHT")))
        });
        let mut weights = Weights::builder().shadow(Symbol::known("HEAVY")).shadow(Symbol::known("LIGHT"));
        for (name, weight) in [("ENFORCED", enforced), ("HEAVY", 700), ("LIGHT", 50)] {
            weights = weights.weight(Symbol::known(name), Score::hundredths(weight));
        }
        let weights = weights.build(registry.symbols().keys()).expect("consistent");
        let clauses = vec![rule("score", Some(800), &[], Verdict::Reject)];
        let policy = Policy { clauses, ..Policy::default() };
        let metrics = prometheus::Registry::new();
        let families = Metrics::register(&metrics).expect("fresh names");
        let rules = Ruleset::new("test", registry, Arc::new(weights), policy).with_metrics(&families);
        let mut assessment = Assessment::new(Arc::new(rules));
        assessment.learn(&client());
        assessment.add_recipient(0, false);
        assessment.conclude(within(1000)).await;
        let text = prometheus::TextEncoder::new().encode_to_string(&metrics.gather()).expect("text");
        for line in lines {
            assert!(text.contains(&format!("gatepost_shadow_findings_total{{{line}")), "{line} is missing in\n{text}");
        }
        for line in [r#"beside="enforced",symbol="HEAVY"} 1"#, r#"beside="nothing",symbol="HEAVY"} 0"#] {
            assert!(text.contains(&format!("gatepost_shadow_overlap_total{{{line}")), "{line} is missing in\n{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_counts_no_more_than_its_cap_and_the_trace_adds_up() {
    let checks = registry(|r| {
        r.add(double("A", Act::<ClientFacts>::Finds(Duration::ZERO)))?;
        r.add(double("B", Act::<ClientFacts>::Finds(Duration::ZERO)))
    });
    let (a, b) = (Symbol::known("A"), Symbol::known("B"));
    let group = Group { name: "lists".into(), symbols: vec![a.clone(), b.clone()], cap: Score::hundredths(500) };
    let builder =
        Weights::builder().weight(a.clone(), Score::hundredths(400)).weight(b.clone(), Score::hundredths(300));
    let weights = builder.group(group).build(checks.symbols().keys()).expect("known symbols");
    let mut assessment = Assessment::new(Arc::new(Ruleset::new(
        "test",
        checks,
        Arc::new(weights),
        Policy { tag: Some(Score::hundredths(500)), ..Policy::default() },
    )));
    assessment.learn(&client());
    assessment.add_recipient(0, false);
    let conclusion = assessment.conclude(within(1000)).await;
    assert_eq!((conclusion.summary.score, conclusion.tagged), (Score::hundredths(500), true));
    let trace = assessment.trace();
    let parts: Vec<(&str, i32)> =
        trace.accounts[0].parts.iter().map(|part| (part.name.as_str(), part.score.get())).collect();
    assert_eq!(parts, [("A", 400), ("B", 300), ("lists", -200)]);
    assert_eq!(conclusion.summary.symbols, [(a, Score::hundredths(400)), (b, Score::hundredths(300))]);
    assert_eq!(conclusion.summary.to_string(), "A=4.00,B=3.00");
    assert_eq!(assessment.summary(), conclusion.summary);
    assert!(trace.to_text().contains("score 5.00\n"), "{}", trace.to_text());
    let json = serde_json::to_value(&trace).expect("JSON");
    assert_eq!(json["accounts"][0]["score"], 5.0);
}

#[tokio::test(start_paused = true)]
async fn a_symbol_marks_mail_whatever_the_score_is() {
    for (tag_on, tagged) in [("BAD", true), ("OTHER", false)] {
        let told = double("OTHER", Act::<ClientFacts>::Clear);
        let remembered = told.remembered.clone();
        let checks = registry(|r| {
            r.add(double("BAD", Act::<ClientFacts>::Finds(Duration::ZERO)))?;
            r.add(double("GOOD", Act::<ClientFacts>::Finds(Duration::ZERO)))?;
            r.add(told)
        });
        let weights = Weights::builder().weight(Symbol::known("GOOD"), Score::hundredths(-900));
        let policy =
            Policy { tag: Some(Score::hundredths(500)), tag_on: vec![Symbol::known(tag_on)], ..Policy::default() };
        let weights = weights.build(checks.symbols().keys()).expect("known symbols");
        let mut assessment = Assessment::new(Arc::new(Ruleset::new("test", checks, Arc::new(weights), policy)));
        assessment.learn(&client());
        assessment.add_recipient(0, false);
        let conclusion = assessment.conclude(within(1000)).await;
        assert_eq!((conclusion.summary.score, conclusion.tagged), (Score::hundredths(-900), tagged), "{tag_on}");
        assessment.remember(fate());
        let_tasks_run().await;
        assert_eq!(remembered.load(Ordering::SeqCst), if tagged { TAGGED } else { 1 }, "{tag_on}");
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_the_assessment_cancels_its_checks() {
    let hanging = double("HANGING", Act::<ClientFacts>::Hangs);
    let dropped = hanging.dropped.clone();
    let mut assessment = Assessment::new(ruleset(registry(|r| r.add(hanging)), &[], Vec::new()));
    assessment.learn(&client());
    let_tasks_run().await;
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    drop(assessment);
    let_tasks_run().await;
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn every_check_that_ran_is_told_the_fate() {
    let (one, other) = (double("ONE", Act::<ClientFacts>::Clear), double("OTHER", Act::<RcptFacts>::Clear));
    let (once, twice) = (one.remembered.clone(), other.remembered.clone());
    let metrics = prometheus::Registry::new();
    let rules = ruleset(registry(|r| r.add(one).and_then(|()| r.add(other))), &[], Vec::new());
    let families = Metrics::register(&metrics).expect("fresh names");
    let rules = Arc::into_inner(rules).expect("not shared yet").with_metrics(&families);
    let mut assessment = Assessment::new(Arc::new(rules));
    assessment.learn(&client());
    assessment.learn(&rcpt(0));
    assessment.learn(&rcpt(1));
    assessment.drop_recipient(1);
    assessment.remember(fate());
    drop(assessment);
    let_tasks_run().await;
    assert_eq!((once.load(Ordering::SeqCst), twice.load(Ordering::SeqCst)), (1, 2));
    let text = prometheus::TextEncoder::new().encode_to_string(&metrics.gather()).expect("text");
    for expected in [r#"gatepost_remember_total{result="done"} 3"#, r#"gatepost_remember_total{result="too_many"} 0"#] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn an_assessment_is_small_and_can_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Assessment>();
    assert!(size_of::<Assessment>() <= 48, "{}", size_of::<Assessment>());
}

#[tokio::test(start_paused = true)]
async fn witnesses_are_told_at_once_and_waited_for_apart() {
    /// Needs a while for errors, and breaks down over unknown recipients.
    struct Counting(Arc<AtomicUsize>);

    impl Witness for Counting {
        fn saw(&self, deed: Deed, _by: Doer<'_>) -> Option<BoxFuture<'static, ()>> {
            let counter = self.0.clone();
            let count = move || {
                counter.fetch_add(1, Ordering::Relaxed);
            };
            match deed {
                Deed::Connection => Some(Box::pin(async move { count() })),
                Deed::Errors(_) => Some(Box::pin(async move {
                    sleep(Duration::from_secs(1)).await;
                    count();
                })),
                Deed::FailedAuth => None,
                Deed::UnknownRecipients(_) => Some(Box::pin(async { panic!("a bug") })),
            }
        }
    }

    let seen = Arc::new(AtomicUsize::new(0));
    let mut registry = Registry::default();
    registry.add_witness(Counting(seen.clone()));
    let assessment = Assessment::new(ruleset(registry, &[], vec![]));
    let client = client();
    let by = Doer { client: &client, helo: None, mail: None, user: None };
    assessment.tell(Deed::Connection, by);
    assert_eq!(seen.load(Ordering::Relaxed), 1, "memory needs no task");
    assessment.tell(Deed::UnknownRecipients(1), by);
    assessment.tell(Deed::Errors(1), by);
    assert_eq!(seen.load(Ordering::Relaxed), 1);
    drop(assessment);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(seen.load(Ordering::Relaxed), 2);
}
