//! Every check to its end: for whoever wants to know what all of them say, and has the time.
//!
//! The rule set, the scorecard and the policy are those of a session. But nothing is settled early, nothing is
//! cancelled because the verdict is certain, and nothing is remembered. A check that asks
//! [`Offline`](crate::dns::Offline) for a name is skipped, and says so.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::time::{Instant, timeout};

use super::trace::in_order;
use super::{Assessment, Conclusion, Trace};
use crate::checks::{Facts, Runnable};
use crate::dns::offline;
use crate::facts::Stage;
use crate::scoring::{CheckError, CheckName, Lens, LineState, Outcome, Scope, Score, Scorecard, Skip, Symbol, Weights};
use crate::units::Percent;

type Report = (CheckName, Outcome, Duration);

impl Assessment {
    /// Runs every check that waits for `facts` to its end. Facts of a recipient make it known, not exempt.
    ///
    /// Each check begins when the one before is done, or has to wait: so the times that the trace tells are their
    /// own. Needs a runtime with a clock.
    pub async fn examine<F: Facts>(&mut self, facts: &Arc<F>) {
        let index = facts.recipient();
        if let Some(index) = index
            && !self.recipients.iter().any(|known| known.index == index)
        {
            self.add_recipient(index, false);
        }
        let ruleset = self.ruleset.clone();
        let Some(runs) = self.runs() else { return };
        runs.stage = F::STAGE;
        if F::STAGE == Stage::Message {
            runs.no_more_recipients(&ruleset.registry);
        }
        let scope = index.map_or(Scope::Transaction, Scope::Recipient);
        for (check, outcome, took) in to_the_end(F::slot(&ruleset.registry), facts).await {
            runs.close(&check, scope, outcome, took, None);
        }
    }

    /// Decides on what was examined. What was not stays without a say.
    pub fn examined(&mut self) -> Conclusion {
        let ruleset = self.ruleset.clone();
        if let Some(runs) = &mut self.runs {
            runs.no_more_recipients(&ruleset.registry);
            runs.close_unstarted(None);
        }
        self.conclusion()
    }

    /// The score of the transaction (`None`), or of recipient `index`.
    pub fn score(&self, index: Option<usize>) -> Score {
        let lens = Lens::new(index.map_or(Scope::Transaction, Scope::Recipient)).closed_only();
        self.runs.as_ref().map_or(Score::ZERO, |runs| runs.card.view(lens).score().high)
    }

    /// What counts of the transaction (`None`), or for recipient `index`: every symbol, composites included.
    pub fn found(&self, index: Option<usize>) -> Vec<(Symbol, Percent)> {
        let lens = Lens::new(index.map_or(Scope::Transaction, Scope::Recipient)).closed_only();
        let Some(runs) = &self.runs else { return Vec::new() };
        let view = runs.card.view(lens);
        view.found().map(|(symbol, strength)| (symbol.clone(), strength)).collect()
    }

    /// The trace, with the score as it grows from line to line.
    pub fn examined_trace(&self) -> Trace {
        let mut trace = self.trace();
        if let Some(runs) = &self.runs {
            for (line, score) in trace.lines.iter_mut().zip(running_scores(&runs.card)) {
                line.running_score = Some(score);
            }
        }
        trace
    }
}

/// The score of the transaction after each line, in the order of a trace.
fn running_scores(card: &Scorecard) -> Vec<Score> {
    running(card.shared_weights(), in_order(card), |growing, (scope, line)| match &line.state {
        LineState::Open => growing.open(line.stage, line.spec.clone(), scope),
        LineState::Closed { outcome, took } => {
            growing.open(line.stage, line.spec.clone(), scope);
            growing.close(&line.spec.name, scope, outcome.clone(), *took);
        }
        LineState::Observed(findings) => {
            growing.open_observed(line.stage, line.spec.clone());
            for (stage, finding) in findings {
                growing.observe(*stage, finding.clone());
            }
        }
    })
}

/// The score of the transaction each time that `put` has put one of `lines` on a card.
pub(super) fn running<L>(
    weights: &Arc<Weights>,
    lines: impl IntoIterator<Item = L>,
    mut put: impl FnMut(&mut Scorecard, L),
) -> Vec<Score> {
    let mut growing = Scorecard::new(weights.clone());
    let grow = |line| {
        put(&mut growing, line);
        growing.view(Lens::new(Scope::Transaction).closed_only()).score().high
    };
    lines.into_iter().map(grow).collect()
}

async fn to_the_end<F: Facts>(checks: &[Arc<dyn Runnable<F>>], facts: &Arc<F>) -> Vec<Report> {
    let mut reports = Vec::with_capacity(checks.len());
    let mut waiting = Vec::new();
    for check in checks {
        let mut run: BoxFuture<'_, Report> = Box::pin(one(check, facts));
        match (&mut run).now_or_never() {
            Some(report) => reports.push(report),
            None => waiting.push(run),
        }
    }
    reports.extend(join_all(waiting).await);
    reports
}

async fn one<F: Facts>(check: &Arc<dyn Runnable<F>>, facts: &Arc<F>) -> Report {
    let began = Instant::now();
    let run = check.clone().run_boxed(facts.clone());
    let outcome = match check.time_limit() {
        None => unless_it_asks(run).await,
        Some(limit) => unless_it_asks(async move { timeout(limit, run).await.unwrap_or(Outcome::TimedOut) }).await,
    };
    (check.spec().name.clone(), outcome, began.elapsed())
}

/// What `run` comes to. If it waits for the network that must not be asked, it is dropped on the spot, so that
/// whoever shares a derived fact with it need not wait for it.
fn unless_it_asks(run: impl Future<Output = Outcome> + Send) -> impl Future<Output = Outcome> {
    let mut run = Some(Box::pin(AssertUnwindSafe(run).catch_unwind()));
    poll_fn(move |context| {
        let before = offline::questions();
        let polled = run.as_mut().map_or(Poll::Pending, |run| run.as_mut().poll(context));
        match polled {
            Poll::Ready(Ok(Outcome::Failed(CheckError::Dns(_)))) if offline::questions() != before => {
                Poll::Ready(Outcome::Skipped(Skip::Offline))
            }
            Poll::Ready(outcome) => Poll::Ready(outcome.unwrap_or(Outcome::Failed(CheckError::Panicked))),
            Poll::Pending if offline::questions() != before => {
                run = None;
                Poll::Ready(Outcome::Skipped(Skip::Offline))
            }
            Poll::Pending => Poll::Pending,
        }
    })
}
