//! What is counted about checks and decisions. Label values come from names in the rule set, never from mail.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use prometheus::{GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts};

use super::Policies;
use super::decision::Decision;
use crate::checks::Registry;
use crate::facts::Stage;
use crate::policy::Policy;
use crate::scoring::{CheckName, Line, LineState, Symbol, Weights};
use crate::verdict::Verdict;

/// Seconds: from a cached answer to the end of all patience.
const BUCKETS: &[f64] = &[0.000_1, 0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Points: finest where the shipped thresholds are.
pub(super) const SCORES: &[f64] =
    &[-10.0, -5.0, -2.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0];

const MEMORIES: [&str; 4] = ["done", "too_many", "timed_out", "panicked"];

pub(super) const VERDICTS: [Verdict; 3] = [Verdict::Forward, Verdict::Defer, Verdict::Reject];

/// What else speaks against a message in which something in shadow was found.
const BESIDE: [&str; 2] = ["enforced", "nothing"];

const OUTCOMES: [&str; 5] = ["found", "clear", "skipped", "failed", "timed_out"];

/// The metric families of the pipeline; one per process, over all rule sets.
#[derive(Clone, Debug)]
pub struct Metrics {
    outcomes: IntCounterVec,
    durations: HistogramVec,
    findings: IntCounterVec,
    decisions: IntCounterVec,
    shadow: IntCounterVec,
    shadow_findings: IntCounterVec,
    shadow_overlap: IntCounterVec,
    memories: IntCounterVec,
    policies: IntCounterVec,
    scores: HistogramVec,
    weights: GaugeVec,
    ruleset: IntGaugeVec,
}

/// What became of telling a check the end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remembered {
    /// It was told.
    Done,
    /// Nobody was: too many transactions were being remembered.
    TooMany,
    /// It took too long.
    TimedOut,
    /// It panicked.
    Panicked,
}

/// The counters of one rule set, looked up once.
#[derive(Clone, Debug)]
pub struct Meter {
    /// By [`CheckName::index`].
    checks: HashMap<usize, CheckMeter>,
    /// By [`Symbol::index`].
    findings: HashMap<usize, IntCounter>,
    /// By clause name (`none` for no clause) and stage; Rcpt and Message are where decisions are made.
    decisions: BTreeMap<Arc<str>, [IntCounter; 2]>,
    shadow: IntCounterVec,
    memories: [IntCounter; MEMORIES.len()],
    /// By name of the policy and verdict; empty where there are none by recipient.
    policies: BTreeMap<(Arc<str>, Verdict), IntCounter>,
    /// By verdict.
    scores: BTreeMap<Verdict, Histogram>,
    families: Metrics,
}

#[derive(Clone, Debug)]
struct CheckMeter {
    outcomes: [IntCounter; 5],
    duration: Histogram,
}

impl Metrics {
    /// Makes the families and registers them.
    pub fn register(registry: &prometheus::Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntCounterVec> {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone()))?;
            Ok(family)
        };
        let duration = HistogramOpts::new("gatepost_check_duration_seconds", "How long checks took that ran.");
        let durations = HistogramVec::new(duration.buckets(BUCKETS.to_vec()), &["check"])?;
        registry.register(Box::new(durations.clone()))?;
        let scores = HistogramOpts::new(
            "gatepost_message_score",
            "Scores that the policy saw after the final dot, in points, by its verdict on the recipient.",
        );
        let scores = HistogramVec::new(scores.buckets(SCORES.to_vec()), &["verdict"])?;
        registry.register(Box::new(scores.clone()))?;
        let weights = Opts::new("gatepost_symbol_weight", "What a symbol weighs in the rules in force, in points.");
        let weights = GaugeVec::new(weights, &["symbol"])?;
        registry.register(Box::new(weights.clone()))?;
        let ruleset =
            Opts::new("gatepost_ruleset_info", "Always 1; the label tells the version of the rules in force.");
        let ruleset = IntGaugeVec::new(ruleset, &["rules"])?;
        registry.register(Box::new(ruleset.clone()))?;
        Ok(Self {
            outcomes: counter("gatepost_check_outcomes_total", "How checks ended.", &["check", "outcome"])?,
            durations,
            findings: counter("gatepost_findings_total", "Symbols found, by whether they count.", &["symbol", "mode"])?,
            decisions: counter(
                "gatepost_decisions_total",
                "Verdicts on recipients, by the stage at which they fell and the clause that won.",
                &["verdict", "stage", "clause"],
            )?,
            shadow: counter(
                "gatepost_shadow_decisions_total",
                "Verdicts that would have been others with everything in shadow in force.",
                &["verdict", "shadow", "clause"],
            )?,
            shadow_findings: counter(
                "gatepost_shadow_findings_total",
                "Messages in which a symbol was found that is in shadow, by the verdict, and by what it would have been with \
                 that symbol alone in force.",
                &["symbol", "verdict", "would"],
            )?,
            shadow_overlap: counter(
                "gatepost_shadow_overlap_total",
                "Messages in which a symbol was found that is in shadow: beside a symbol in force that counts against mail \
                 (`enforced`), or where nothing in force does (`nothing`).",
                &["symbol", "beside"],
            )?,
            memories: counter(
                "gatepost_remember_total",
                "Checks that were to remember a transaction, by what became of it.",
                &["result"],
            )?,
            policies: counter(
                "gatepost_policy_decisions_total",
                "Verdicts on recipients, by the policy that judged; `default` is the site's.",
                &["policy", "verdict"],
            )?,
            scores,
            weights,
            ruleset,
        })
    }

    /// Tells of the rule set that is in force from now on, and no more of the one before.
    pub(super) fn put_in_force(&self, version: &str, weights: &Weights) {
        self.ruleset.reset();
        self.ruleset.with_label_values(&[version]).set(1);
        self.weights.reset();
        for (symbol, weighed) in weights.symbols() {
            self.weights.with_label_values(&[symbol.as_str()]).set(f64::from(weighed.weight.get()) / 100.0);
        }
    }

    /// The counters of one rule set.
    pub fn meter(&self, registry: &Registry, weights: &Weights, policy: &Policy) -> Meter {
        let checks = registry.checks().map(|(_, spec)| (spec.name.index(), self.check_meter(&spec.name)));
        let finding = |symbol: &Symbol| {
            let mode = if weights.of(symbol).shadow { "shadow" } else { "enforced" };
            self.findings.with_label_values(&[symbol.as_str(), mode])
        };
        let findings = registry.symbols().keys().map(|symbol| (symbol.index(), finding(symbol)));
        let decisions = BTreeMap::from([("none".into(), self.decision("forward", "none"))]);
        for (symbol, _) in weights.symbols().filter(|(_, weighed)| weighed.shadow) {
            for verdict in VERDICTS {
                self.shadow_findings.with_label_values(&[symbol.as_str(), verdict.as_str(), verdict.as_str()]);
            }
            for beside in BESIDE {
                self.shadow_overlap.with_label_values(&[symbol.as_str(), beside]);
            }
        }
        let memories = MEMORIES.map(|result| self.memories.with_label_values(&[result]));
        let shadow = self.shadow.clone();
        let verdicts = [Verdict::Forward, Verdict::Defer, Verdict::Reject];
        let scores = verdicts.map(|verdict| (verdict, self.scores.with_label_values(&[verdict.as_str()]))).into();
        let mut meter = Meter {
            checks: checks.collect(),
            findings: findings.collect(),
            decisions,
            shadow,
            memories,
            policies: BTreeMap::new(),
            scores,
            families: self.clone(),
        };
        meter.add_clauses(policy);
        meter
    }

    fn decision(&self, verdict: &str, clause: &str) -> [IntCounter; 2] {
        [Stage::Rcpt, Stage::Message].map(|stage| self.decisions.with_label_values(&[verdict, stage.as_str(), clause]))
    }

    fn check_meter(&self, check: &CheckName) -> CheckMeter {
        let outcomes = OUTCOMES.map(|outcome| self.outcomes.with_label_values(&[check.as_str(), outcome]));
        CheckMeter { outcomes, duration: self.durations.with_label_values(&[check.as_str()]) }
    }
}

impl Meter {
    /// Counts the verdicts of each policy, too.
    #[must_use]
    pub fn with_policies(mut self, policies: &Policies) -> Self {
        let site: Arc<str> = Policies::SITE.into();
        for name in policies.iter().map(|(name, _)| name).chain([&site]) {
            for verdict in [Verdict::Forward, Verdict::Defer, Verdict::Reject] {
                let counter = self.families.policies.with_label_values(&[name, verdict.as_str()]);
                self.policies.insert((name.clone(), verdict), counter);
            }
        }
        policies.iter().for_each(|(_, policy)| self.add_clauses(policy));
        self
    }

    fn add_clauses(&mut self, policy: &Policy) {
        for clause in &policy.clauses {
            let verdict = clause.verdict.as_str();
            if clause.shadow {
                self.shadow.with_label_values(&["forward", verdict, &clause.name]);
            } else if !self.decisions.contains_key(&clause.name) {
                self.decisions.insert(clause.name.clone(), self.families.decision(verdict, &clause.name));
            }
        }
    }

    /// Counts a line that has just closed.
    pub(super) fn count_line(&self, line: &Line) {
        let (LineState::Closed { outcome, took }, Some(check)) =
            (&line.state, self.checks.get(&line.spec.name.index()))
        else {
            return;
        };
        let position = OUTCOMES.iter().position(|label| *label == outcome.label());
        if let Some(counter) = position.and_then(|position| check.outcomes.get(position)) {
            counter.inc();
        }
        if outcome.label() != "skipped" {
            check.duration.observe(took.as_secs_f64());
        }
        line.findings().for_each(|(_, finding)| self.count_finding(&finding.symbol));
    }

    /// Counts what became of `checks` that were to remember.
    pub(super) fn count_memory(&self, result: Remembered, checks: usize) {
        let counter = self.memories.get(result as usize).expect("as many labels as variants");
        counter.inc_by(checks as u64);
    }

    /// Counts one finding.
    pub(super) fn count_finding(&self, symbol: &Symbol) {
        if let Some(counter) = self.findings.get(&symbol.index()) {
            counter.inc();
        }
    }

    /// Counts a symbol in shadow that a message had: the verdict, and what it would have been with it; and whether
    /// anything in force spoke against the message.
    pub(super) fn count_shadow_finding(&self, symbol: &Symbol, verdict: Verdict, would: Verdict, is_alone: bool) {
        let labels = [symbol.as_str(), verdict.as_str(), would.as_str()];
        self.families.shadow_findings.with_label_values(&labels).inc();
        let [enforced, nothing] = BESIDE;
        let beside = if is_alone { nothing } else { enforced };
        self.families.shadow_overlap.with_label_values(&[symbol.as_str(), beside]).inc();
    }

    /// Counts a decision that fell at Rcpt or Message.
    pub(super) fn count_decision(&self, stage: Stage, decision: &Decision) {
        let clause = decision.clause.as_deref().unwrap_or("none");
        if let Some([rcpt, message]) = self.decisions.get(clause) {
            if stage == Stage::Rcpt { rcpt.inc() } else { message.inc() }
        }
        if let Some(scores) = self.scores.get(&decision.verdict).filter(|_| stage == Stage::Message) {
            scores.observe(f64::from(decision.score.get()) / 100.0);
        }
        if !self.policies.is_empty() {
            let name = decision.policy.clone().unwrap_or_else(|| Policies::SITE.into());
            if let Some(counter) = self.policies.get(&(name, decision.verdict)) {
                counter.inc();
            }
        }
        if let Some((verdict, clause)) = &decision.shadow {
            self.shadow.with_label_values(&[decision.verdict.as_str(), verdict.as_str(), clause]).inc();
        }
    }
}
