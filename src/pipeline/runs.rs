//! The checks of one session that were started, and the scorecard that they fill.
//!
//! Every task belongs to one `JoinSet`: dropping this cancels whatever still runs. A panic in a
//! check is its `Failed(Panicked)`, never ours.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout};

use super::metrics::Meter;
use crate::checks::{Facts, Fate, Others, Registry, Runnable};
use crate::facts::Stage;
use crate::scoring::{CheckError, CheckName, Outcome, Scope, Scorecard, Skip, Weights};
use crate::verdict::Verdict;

/// Started checks and their scorecard.
pub(super) struct Runs {
    pub(super) card: Scorecard,
    /// The latest stage whose facts are known.
    pub(super) stage: Stage,
    /// Recipients that were refused at RCPT.
    pub(super) refused: Vec<(usize, Verdict)>,
    tasks: JoinSet<(Outcome, Duration)>,
    running: HashMap<Id, Running>,
    memories: Vec<Memory>,
}

/// A started check, so that its answer finds its line and it can be cancelled.
struct Running {
    check: CheckName,
    scope: Scope,
    stage: Stage,
    reported: bool,
    began: Instant,
    task: AbortHandle,
}

/// What a started check that remembers will be told at the end of the transaction.
struct Memory {
    stage: Stage,
    /// The check, by its number, if it is told what would have been without it.
    apart: Option<usize>,
    tell: Box<dyn Fn(Arc<Fate>) -> BoxFuture<'static, ()> + Send + Sync>,
}

type Joined = Result<(Id, (Outcome, Duration)), JoinError>;

impl Runs {
    /// Lays out one open line per check, so that what is not yet started counts as still possible.
    pub(super) fn new(registry: &Registry, weights: &Arc<Weights>) -> Self {
        let mut runs = Self {
            card: Scorecard::new(weights.clone()),
            stage: Stage::Connect,
            refused: Vec::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            memories: Vec::new(),
        };
        for (stage, spec) in registry.observed() {
            runs.card.open_observed(*stage, spec.clone());
        }
        runs.lay_out(registry, Scope::Transaction);
        runs
    }

    /// Adds the open lines about one more recipient.
    pub(super) fn add_recipient(&mut self, registry: &Registry, index: usize) {
        self.lay_out(registry, Scope::Recipient(index));
    }

    /// Takes the lines away that stand for recipients to come.
    pub(super) fn no_more_recipients(&mut self, registry: &Registry) {
        for (_, spec) in registry.checks().filter(|(stage, _)| *stage == Stage::Rcpt) {
            self.card.remove(&spec.name, Scope::Transaction);
        }
    }

    /// Forgets one recipient.
    pub(super) fn drop_recipient(&mut self, index: usize) {
        self.cancel(|run| run.scope == Scope::Recipient(index));
        self.card.remove_recipient(index);
    }

    /// Starts one check; if it runs already, the earlier run is cancelled.
    ///
    /// Most look-ups are answered from memory, at once: before the message a check is asked once on the
    /// spot, and a task is made only for one that has to wait.
    pub(super) fn start<F: Facts>(
        &mut self,
        check: &Arc<dyn Runnable<F>>,
        facts: &Arc<F>,
        scope: Scope,
        meter: Option<&Meter>,
    ) {
        let name = check.spec().name.clone();
        self.cancel(|run| run.check == name && run.scope == scope);
        if self.card.line(&name, scope).is_none_or(|line| !line.is_open()) {
            self.card.open(F::STAGE, check.spec().clone(), scope);
        }
        let (runner, seen, began) = (check.clone(), facts.clone(), Instant::now());
        let mut run: BoxFuture<'static, Outcome> = match runner.time_limit() {
            None => runner.run_boxed(seen),
            Some(limit) => {
                let run = timeout(limit, runner.run_boxed(seen));
                Box::pin(async move { run.await.unwrap_or(Outcome::TimedOut) })
            }
        };
        if check.remembers() {
            let apart = check.learns_from_others().then(|| name.index());
            let (check, facts) = (check.clone(), facts.clone());
            let tell = Box::new(move |fate| check.clone().remember_boxed(facts.clone(), fate));
            self.memories.push(Memory { stage: F::STAGE, apart, tell });
        }
        if F::STAGE < Stage::Message
            && let Some(outcome) = at_once(&mut run)
        {
            return self.close(&name, scope, outcome, began.elapsed(), meter);
        }
        let task = self.tasks.spawn(async move { (run.await, began.elapsed()) });
        let reported = check.is_reported();
        self.running.insert(task.id(), Running { check: name, scope, stage: F::STAGE, reported, began, task });
    }

    /// Takes in what has finished; never waits.
    pub(super) fn collect(&mut self, meter: Option<&Meter>) {
        while let Some(joined) = self.tasks.try_join_next_with_id() {
            self.record(joined, meter);
        }
    }

    /// Waits for the next check to finish; returns at once if none runs. May be cancelled at any time.
    pub(super) async fn next(&mut self, meter: Option<&Meter>) {
        if let Some(joined) = self.tasks.join_next_with_id().await {
            self.record(joined, meter);
        }
    }

    /// True while a check runs that says something about `index`, or about anybody if `None`.
    pub(super) fn is_running(&self, index: Option<usize>) -> bool {
        self.running.values().any(|run| match (run.scope, index) {
            (Scope::Recipient(own), Some(asked)) => own == asked,
            _ => true,
        })
    }

    /// True while a check runs whose result is to be written into forwarded mail.
    pub(super) fn owes_report(&self) -> bool {
        self.running.values().any(|run| run.reported)
    }

    /// Closes every open line at the deadline: what runs is too late, the rest was never started.
    pub(super) fn give_up(&mut self, meter: Option<&Meter>) {
        self.close_running(|_| true, || Outcome::TimedOut, meter);
        self.close_unstarted(meter);
    }

    /// Closes the open lines of this transaction whose answers cannot change anything any more. Checks
    /// of the connection go on: they may help the next transaction.
    pub(super) fn stop_settled(&mut self, meter: Option<&Meter>) {
        self.close_running(|run| run.stage > Stage::Helo, || Outcome::Skipped(Skip::Settled), meter);
        self.close_unstarted(meter);
    }

    /// Forgets findings and tasks of stages after `keep`.
    pub(super) fn rewind(&mut self, registry: &Registry, keep: Stage) {
        self.cancel(|run| run.stage > keep);
        self.memories.retain(|memory| memory.stage <= keep);
        self.card.rewind(keep);
        self.lay_out(registry, Scope::Transaction);
        self.stage = self.stage.min(keep);
        if keep < Stage::Rcpt {
            self.refused.clear();
        }
    }

    /// True if a check that ran wants to be told what became of the transaction.
    pub(super) fn has_memories(&self) -> bool {
        !self.memories.is_empty()
    }

    /// What the checks that ran will do once they are told `fate`.
    pub(super) fn memories(&self, fate: &Arc<Fate>, others: impl Fn(usize) -> Others) -> Vec<BoxFuture<'static, ()>> {
        let told = |memory: &Memory| match memory.apart {
            None => (memory.tell)(fate.clone()),
            Some(check) => (memory.tell)(Arc::new(Fate { others: Some(others(check)), ..Fate::clone(fate) })),
        };
        self.memories.iter().map(told).collect()
    }

    fn lay_out(&mut self, registry: &Registry, scope: Scope) {
        for (stage, spec) in registry.checks() {
            let concerned = scope == Scope::Transaction || stage == Stage::Rcpt;
            if concerned && self.card.line(&spec.name, scope).is_none() {
                self.card.open(stage, spec.clone(), scope);
            }
        }
    }

    fn record(&mut self, joined: Joined, meter: Option<&Meter>) {
        let (id, report) = match joined {
            Ok((id, report)) => (id, Some(report)),
            Err(died) => (died.id(), None),
        };
        // Cancelled ones are no longer in the list; their answers are nobody's.
        let Some(run) = self.running.remove(&id) else { return };
        let (outcome, took) = report.unwrap_or_else(|| (Outcome::Failed(CheckError::Panicked), run.began.elapsed()));
        self.close(&run.check, run.scope, outcome, took, meter);
    }

    pub(super) fn close(
        &mut self,
        check: &CheckName,
        scope: Scope,
        outcome: Outcome,
        took: Duration,
        meter: Option<&Meter>,
    ) {
        let dropped = self.card.close(check, scope, outcome, took);
        if dropped > 0 {
            tracing::error!(%check, dropped, "a check emitted symbols that it had not declared");
        }
        if let (Some(meter), Some(line)) = (meter, self.card.line(check, scope)) {
            meter.count_line(line);
        }
    }

    fn cancel(&mut self, which: impl Fn(&Running) -> bool) {
        self.running.retain(|_, run| {
            let unwanted = which(run);
            if unwanted {
                run.task.abort();
            }
            !unwanted
        });
    }

    fn close_running(
        &mut self,
        which: impl Fn(&Running) -> bool,
        outcome: impl Fn() -> Outcome,
        meter: Option<&Meter>,
    ) {
        let ended: Vec<Running> = self.running.extract_if(|_, run| which(run)).map(|(_, run)| run).collect();
        for run in ended {
            run.task.abort();
            self.close(&run.check, run.scope, outcome(), run.began.elapsed(), meter);
        }
    }

    pub(super) fn close_unstarted(&mut self, meter: Option<&Meter>) {
        let running: Vec<(&CheckName, Scope)> = self.running.values().map(|run| (&run.check, run.scope)).collect();
        let open = self.card.lines().filter(|(_, line)| line.is_open());
        let unstarted: Vec<(CheckName, Scope)> = open
            .filter(|(scope, line)| !running.contains(&(&line.spec.name, *scope)))
            .map(|(scope, line)| (line.spec.name.clone(), scope))
            .collect();
        for (check, scope) in unstarted {
            self.close(&check, scope, Outcome::Skipped(Skip::NeverStarted), Duration::ZERO, meter);
        }
    }
}

/// What a check says without waiting.
fn at_once(run: &mut BoxFuture<'static, Outcome>) -> Option<Outcome> {
    let polled = catch_unwind(AssertUnwindSafe(|| run.now_or_never()));
    polled.unwrap_or(Some(Outcome::Failed(CheckError::Panicked)))
}
