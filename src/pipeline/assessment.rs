//! The running checks of one session, and what they have found.
//!
//! Start early (`learn` starts a check the moment its facts exist), join late (`peek` never waits,
//! `settle` waits a little at RCPT, `conclude` waits for the rest after the final dot). A late
//! answer is no answer. Dropping the assessment cancels its tasks.
//!
//! Without checks nothing is allocated, nothing is started, and every verdict is what the policy
//! says of an empty scorecard. Checks start only when their verdict is still open: once a refusal
//! is certain for everybody whom they could concern, their lines stay unstarted.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use super::decision::{Conclusion, Decision, decide};
use super::metrics::{Meter, Remembered};
use super::runs::Runs;
use super::summary::Summary;
use super::{PolicyId, Ruleset, Trace};
use crate::checks::{Deed, Doer, Facts, Fate, Others, Restraint};
use crate::facts::Stage;
use crate::policy::{Question, Tri};
use crate::scoring::{Finding, Lens, Line, LineState, Outcome, Scope, Score, Scorecard, Skip, Symbol, View};
use crate::smtp::ForwardPath;
use crate::verdict::Verdict;

/// Transactions whose checks may be remembering at one time, over all sessions; beyond that they
/// forget, because mail must not wait for memory.
const REMEMBERING_AT_ONCE: usize = 256;

/// How long one check may take to remember.
const REMEMBER_LIMIT: Duration = Duration::from_secs(5);

static REMEMBERING: Semaphore = Semaphore::const_new(REMEMBERING_AT_ONCE);

/// The running assessment of one session.
pub struct Assessment {
    pub(super) ruleset: Arc<Ruleset>,
    pub(super) recipients: Vec<Recipient>,
    /// Made by the first fact that a check waits for.
    pub(super) runs: Option<Box<Runs>>,
}

/// A recipient that is not refused yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipient {
    pub(super) index: usize,
    pub(super) exempt: bool,
    pub(super) policy: PolicyId,
}

impl Recipient {
    pub(super) fn question(self) -> Question {
        Question { exempt: self.exempt, ..Question::about(Scope::Recipient(self.index)) }
    }
}

impl Assessment {
    /// Begins with nothing known. Starts no task.
    pub fn new(ruleset: Arc<Ruleset>) -> Self {
        Self { ruleset, recipients: Vec::new(), runs: None }
    }

    /// The rule set that this session's current transaction is judged by.
    pub fn ruleset(&self) -> &Arc<Ruleset> {
        &self.ruleset
    }

    /// Starts every check that was waiting for `facts`. Facts of a recipient make it known, not exempt.
    pub fn learn<F: Facts>(&mut self, facts: &Arc<F>) {
        let index = facts.recipient();
        if let Some(index) = index
            && !self.recipients.iter().any(|known| known.index == index)
        {
            self.add_recipient(index, false);
        }
        let ruleset = self.ruleset.clone();
        let Some(runs) = self.runs() else { return };
        runs.stage = F::STAGE;
        runs.collect(ruleset.meter.as_ref());
        if F::STAGE == Stage::Message {
            runs.no_more_recipients(&ruleset.registry);
        }
        let checks = F::slot(&ruleset.registry);
        if checks.is_empty() || self.is_refused_for_good(F::STAGE, index) {
            return;
        }
        let scope = index.map_or(Scope::Transaction, Scope::Recipient);
        if let Some(runs) = &mut self.runs {
            let meter = ruleset.meter.as_ref();
            checks.iter().for_each(|check| runs.start(check, facts, scope, meter));
        }
    }

    /// Takes a finding of the session itself (a protocol violation). One that no spec claims is not
    /// scored: the rule set does not want to know.
    pub fn observe(&mut self, stage: Stage, finding: Finding) {
        let ruleset = self.ruleset.clone();
        let Some(runs) = self.runs() else { return };
        let symbol = finding.symbol.clone();
        if runs.card.observe(stage, finding)
            && let Some(meter) = &ruleset.meter
        {
            meter.count_finding(&symbol);
        }
    }

    /// Says whether recipient `index` is exempt from refusals (postmaster, abuse). Call before `settle`.
    pub fn add_recipient(&mut self, index: usize, exempt: bool) {
        match self.recipients.iter_mut().find(|known| known.index == index) {
            Some(known) => known.exempt = exempt,
            None => self.recipients.push(Recipient { index, exempt, policy: PolicyId::default() }),
        }
        if let Some(runs) = &mut self.runs {
            runs.add_recipient(&self.ruleset.registry, index);
        }
    }

    /// Has recipient `index`, which is known, judged by the policy for `path`. Call before its facts are learnt.
    pub fn judge_as(&mut self, index: usize, path: &ForwardPath) {
        let policy = self.ruleset.policy_of(path);
        if let Some(known) = self.recipients.iter_mut().find(|known| known.index == index) {
            known.policy = policy;
        }
    }

    /// Forgets a recipient that the backend (or we) refused. Its checks are still told what became of it.
    pub fn drop_recipient(&mut self, index: usize) {
        self.recipients.retain(|known| known.index != index);
        if let Some(runs) = &mut self.runs {
            runs.drop_recipient(index);
        }
    }

    /// Collects what is done; never waits. `Some` if a refusal of the whole session or transaction is already certain.
    pub fn peek(&mut self) -> Option<Decision> {
        let runs = self.runs.as_mut()?;
        runs.collect(self.ruleset.meter.as_ref());
        let runs = self.runs.as_ref()?;
        let exempt = self.recipients.iter().any(|known| known.exempt);
        let question = Question { exempt, ..Question::about(Scope::Transaction) };
        let everybody = self.recipients.iter().all(|known| self.refusal(&runs.card, *known).is_some());
        if !everybody {
            return None;
        }
        // Whoever may still be named: one reply is for all.
        let mut verdicts = self.ruleset.policy_ids().map(|id| self.refusal_by(id, &runs.card, question));
        let refusal = verdicts.next()??;
        let agreed = verdicts.all(|other| other == Some(refusal));
        agreed.then(|| decide(&self.ruleset, PolicyId::default(), &runs.card, question))
    }

    /// A wish to come again later that the connection alone makes certain: a clause of that stage says so. Never waits.
    pub fn turned_away(&mut self) -> Option<Decision> {
        let decision = self.peek().filter(|decision| decision.verdict == Verdict::Defer)?;
        let clauses = &self.ruleset.policy.clauses;
        let clause = clauses.iter().find(|clause| Some(&clause.name) == decision.clause.as_ref())?;
        (clause.stage == Some(Stage::Connect)).then_some(decision)
    }

    /// True if the policy wants replies to take longer, by what is known of the transaction, or of recipient `index`.
    pub fn is_slowed(&self, index: Option<usize>) -> bool {
        let policy = &self.ruleset.policy;
        let Some(runs) = self.runs.as_ref().filter(|_| !policy.tarpit_on.is_empty()) else { return false };
        let scope = index.map_or(Scope::Transaction, Scope::Recipient);
        let view = runs.card.view(Lens::new(scope).up_to(Some(Stage::Rcpt)).closed_only());
        policy.tarpit_on.iter().any(|symbol| view.has(symbol) == Tri::Yes)
    }

    /// Waits until the verdict on recipient `index` is certain or `by` has come; gives up on nothing.
    /// `Some` only if it is certain and a refusal. May be cancelled at any time.
    pub async fn settle(&mut self, index: usize, by: Instant) -> Option<Decision> {
        let ruleset = self.ruleset.clone();
        let known = self.recipients.iter().find(|known| known.index == index).copied();
        let known = known.unwrap_or(Recipient { index, exempt: false, policy: PolicyId::default() });
        let (policy, question) = (ruleset.policy_by(known.policy), known.question());
        let runs = self.runs.as_mut()?;
        loop {
            runs.collect(ruleset.meter.as_ref());
            let reachable = policy.reachable(&runs.card, question);
            match reachable.settled() {
                Some(Verdict::Forward) => return None,
                Some(_refusal) => break,
                None if !runs.is_running(Some(index)) => return None,
                None => {}
            }
            timeout_at(by, runs.next(ruleset.meter.as_ref())).await.ok()?;
        }
        let decision = decide(&ruleset, known.policy, &runs.card, question);
        runs.refused.push((index, decision.verdict));
        if let Some(meter) = &ruleset.meter {
            meter.count_decision(Stage::Rcpt, &decision);
        }
        Some(decision)
    }

    /// Waits until the verdicts are certain or `by` has come, closes whatever is open, decides.
    ///
    /// A verdict to forward is certain only when the tag and the shadow verdict are, too.
    pub async fn conclude(&mut self, by: Instant) -> Conclusion {
        let ruleset = self.ruleset.clone();
        let meter = ruleset.meter.as_ref();
        if let Some(runs) = &mut self.runs {
            runs.no_more_recipients(&ruleset.registry);
        }
        while let Some(runs) = &mut self.runs {
            runs.collect(meter);
            let certain = self.is_certain();
            let Some(runs) = &mut self.runs else { break };
            if certain {
                runs.stop_settled(meter);
                break;
            }
            if !runs.is_running(None) || timeout_at(by, runs.next(meter)).await.is_err() {
                // What became ready in the same instant as the deadline is still in time.
                runs.collect(meter);
                runs.give_up(meter);
                break;
            }
        }
        let conclusion = self.conclusion();
        if let Some(meter) = meter {
            conclusion.recipients.iter().for_each(|(_, decision)| meter.count_decision(Stage::Message, decision));
            self.count_shadow_findings(meter);
        }
        conclusion
    }

    /// Forgets all findings and tasks of stages after `keep` (RSET and MAIL keep Helo; EHLO and STARTTLS keep Connect).
    pub fn rewind(&mut self, keep: Stage) {
        if keep < Stage::Rcpt {
            self.recipients.clear();
        }
        if let Some(runs) = &mut self.runs {
            runs.rewind(&self.ruleset.registry, keep);
            for recipient in &self.recipients {
                runs.add_recipient(&self.ruleset.registry, recipient.index);
            }
        }
    }

    /// The decision trace of the current transaction as it stands.
    pub fn trace(&self) -> Trace {
        match &self.runs {
            Some(runs) => Trace::new(&self.ruleset, &runs.card, &self.recipients),
            None => Trace::new(&self.ruleset, &self.empty_card(), &self.recipients),
        }
    }

    /// What counts so far, in short.
    pub fn summary(&self) -> Summary {
        let summary = self.runs.as_ref().map(|runs| Summary::new(&runs.card, &self.recipients));
        summary.unwrap_or_else(|| Summary::new(&self.empty_card(), &self.recipients))
    }

    /// Checks that had not answered when the verdict was due.
    pub fn unfinished(&self) -> Vec<String> {
        let is_late = |line: &&Line| matches!(&line.state, LineState::Closed { outcome: Outcome::TimedOut, .. });
        let lines = self.runs.iter().flat_map(|runs| runs.card.lines()).map(|(_, line)| line);
        let mut late: Vec<&Line> = lines.filter(is_late).collect();
        late.sort_by_key(|line| (line.stage, line.spec.name.as_str()));
        late.into_iter().map(|line| line.spec.name.to_string()).collect()
    }

    /// True if a check that ran wants to know what becomes of the transaction.
    pub fn remembers(&self) -> bool {
        self.runs.as_ref().is_some_and(|runs| runs.has_memories())
    }

    /// Tells every check that ran what became of the transaction. Runs apart from the session, bounded in number and time.
    pub fn remember(&mut self, fate: Fate) {
        let Some(runs) = &self.runs else { return };
        if !runs.has_memories() {
            return;
        }
        let view = runs.card.view(Lens::new(Scope::Transaction).closed_only());
        let tagged = self.tags(&view) == Tri::Yes;
        let fate = Fate { tagged, refused: runs.refused.clone(), ..fate };
        self.in_background(runs.memories(&Arc::new(fate), |check| self.others(&runs.card, check)));
    }

    /// Tells whoever wants to know what a client did. What memory can take at once is done when this returns.
    pub fn tell(&self, deed: Deed, by: Doer<'_>) {
        let told = self.ruleset.registry.witnesses().filter_map(|witness| witness.saw(deed, by));
        let waiting: Vec<_> = told.filter_map(unless_done_at_once).collect();
        if !waiting.is_empty() {
            self.in_background(waiting);
        }
    }

    /// Whether a client may try to authenticate, by all who count how often it failed. Waits for their memory, which
    /// bounds that itself.
    pub async fn restrains(&self, by: Doer<'_>) -> Restraint {
        let mut all = Restraint::default();
        for asked in self.ruleset.registry.witnesses().filter_map(|witness| witness.restrains(by)) {
            let one = asked.await;
            all = Restraint { slow: all.slow || one.slow, refuse: all.refuse.or(one.refuse) };
        }
        all
    }

    /// Does it apart from the session, bounded in number and time.
    fn in_background(&self, memories: Vec<BoxFuture<'static, ()>>) {
        let ruleset = self.ruleset.clone();
        let count = move |result, checks| {
            if let Some(meter) = &ruleset.meter {
                meter.count_memory(result, checks);
            }
        };
        let Ok(permit) = REMEMBERING.try_acquire() else {
            tracing::debug!("too many transactions are being remembered: one is forgotten");
            count(Remembered::TooMany, memories.len());
            return;
        };
        tokio::spawn(async move {
            let _held = permit;
            for memory in memories {
                let result = match timeout(REMEMBER_LIMIT, AssertUnwindSafe(memory).catch_unwind()).await {
                    Ok(Ok(())) => Remembered::Done,
                    Ok(Err(_panic)) => {
                        tracing::error!("a check panicked while remembering");
                        Remembered::Panicked
                    }
                    Err(_elapsed) => {
                        tracing::warn!("a check took too long to remember");
                        Remembered::TimedOut
                    }
                };
                count(result, 1);
            }
        });
    }

    /// What would have been decided without the findings of `check`.
    fn others(&self, card: &Scorecard, check: usize) -> Others {
        let without = |question| Question { closed_only: true, without: Some(check), ..question };
        let verdict = |id, question| self.ruleset.policy_by(id).reachable(card, without(question)).last().0;
        let mut verdicts = self.recipients.iter().map(|known| verdict(known.policy, known.question()));
        let site = || verdict(PolicyId::default(), Question::about(Scope::Transaction));
        let first = verdicts.next().unwrap_or_else(site);
        let verdict = if verdicts.all(|other| other == first) { first } else { Verdict::Defer };
        let view = card.view(without(Question::about(Scope::Transaction)).lens(None));
        // What was cancelled because the verdict was certain may have weighed something all the same.
        let unheard = card.lines().map(|(_, line)| line).filter(|line| line.spec.name.index() != check);
        let unheard = unheard.filter(|line| was_cancelled(line)).map(|line| worst(card, line));
        let score = view.score().high + unheard.sum();
        Others { verdict, tagged: self.tags(&view) == Tri::Yes, score }
    }

    /// Of each symbol in shadow that was found: what would have been decided had it been in force, and no other.
    fn count_shadow_findings(&self, meter: &Meter) {
        let Some(runs) = self.runs.as_ref().filter(|_| self.ruleset.weights.has_shadow()) else { return };
        let weights = &self.ruleset.weights;
        let everything = Lens::new(Scope::Transaction).shadow(true).closed_only();
        let view = runs.card.view(everything);
        let strictest = |lifted| {
            let verdict = |known: &Recipient| {
                let question = Question { closed_only: true, lifted, ..known.question() };
                self.ruleset.policy_by(known.policy).reachable(&runs.card, question).last().0
            };
            self.recipients.iter().map(verdict).max().unwrap_or(Verdict::Forward)
        };
        let speaks_against = |symbol: &Symbol| {
            let weighed = weights.of(symbol);
            !weighed.shadow && weighed.weight > Score::ZERO
        };
        let is_alone = !view.found().any(|(symbol, _)| speaks_against(symbol));
        let mut verdict = None;
        for (symbol, _) in view.found().filter(|(symbol, _)| weights.of(symbol).shadow) {
            let verdict = *verdict.get_or_insert_with(|| strictest(None));
            meter.count_shadow_finding(symbol, verdict, strictest(Some(symbol.index())), is_alone);
        }
    }

    /// The runs, made now if there is anything to run or to observe.
    pub(super) fn runs(&mut self) -> Option<&mut Runs> {
        if self.runs.is_none() && !self.ruleset.registry.is_empty() {
            let registry = &self.ruleset.registry;
            let mut runs = Runs::new(registry, &self.ruleset.weights);
            self.recipients.iter().for_each(|known| runs.add_recipient(registry, known.index));
            self.runs = Some(Box::new(runs));
        }
        self.runs.as_deref_mut()
    }

    fn empty_card(&self) -> Scorecard {
        Scorecard::new(self.ruleset.weights.clone())
    }

    /// The refusal of one recipient, if it is certain.
    fn refusal(&self, card: &Scorecard, known: Recipient) -> Option<Verdict> {
        self.refusal_by(known.policy, card, known.question())
    }

    fn refusal_by(&self, id: PolicyId, card: &Scorecard, question: Question) -> Option<Verdict> {
        let settled = self.ruleset.policy_by(id).reachable(card, question).settled();
        settled.filter(|verdict| *verdict != Verdict::Forward)
    }

    /// Whether forwarded mail is marked.
    fn tags(&self, view: &View<'_>) -> Tri {
        self.ruleset.tags(self.recipients.iter().map(|known| known.policy).collect(), view)
    }

    /// True if nothing that a check of `stage` finds can still save anybody.
    fn is_refused_for_good(&self, stage: Stage, index: Option<usize>) -> bool {
        let Some(runs) = &self.runs else { return false };
        if stage >= Stage::Rcpt {
            let mut concerned = self.recipients.iter().filter(|known| index.is_none_or(|index| known.index == index));
            return !self.recipients.is_empty() && concerned.all(|known| self.refusal(&runs.card, *known).is_some());
        }
        // Whether an exempt recipient will be named is not known yet, so both kinds must be settled, in every policy.
        let anybody = Question::about(Scope::Transaction);
        let exempt = Question { exempt: true, ..anybody };
        self.ruleset.policy_ids().all(|id| {
            let of_exempt = || self.ruleset.policy_by(id).reachable(&runs.card, exempt).settled();
            self.refusal_by(id, &runs.card, anybody).is_some() && of_exempt().is_some()
        })
    }

    /// True if nothing that is still open can change what `conclude` will say.
    fn is_certain(&self) -> bool {
        let Some(runs) = &self.runs else { return true };
        if self.ruleset.hears_all.load(Ordering::Relaxed) {
            return false;
        }
        let asked = |known: &Recipient| (known.policy, known.question());
        let mut questions: Vec<(PolicyId, Question)> = self.recipients.iter().map(asked).collect();
        if questions.is_empty() {
            questions.push((PolicyId::default(), Question::about(Scope::Transaction)));
        }
        if questions.iter().all(|(id, question)| self.refusal_by(*id, &runs.card, *question).is_some()) {
            return true;
        }
        if runs.owes_report() {
            return false;
        }
        let tag_is_known = self.tags(&runs.card.view(Lens::new(Scope::Transaction))) != Tri::Maybe;
        let is_settled = |id, question| self.ruleset.policy_by(id).reachable(&runs.card, question).settled().is_some();
        tag_is_known
            && questions.iter().all(|(id, question)| is_settled(*id, *question))
            && (!self.ruleset.has_shadow()
                || questions.iter().all(|(id, question)| is_settled(*id, Question { shadow: true, ..*question })))
    }

    pub(super) fn conclusion(&self) -> Conclusion {
        let empty;
        let card = match &self.runs {
            Some(runs) => &runs.card,
            None if self.ruleset.policy.clauses.is_empty() => {
                return Conclusion::nothing(&self.ruleset, &self.recipients);
            }
            None => {
                empty = self.empty_card();
                &empty
            }
        };
        let decided = self.recipients.iter().map(|known| {
            let question = Question { closed_only: true, ..known.question() };
            (known.index, decide(&self.ruleset, known.policy, card, question))
        });
        let view = card.view(Lens::new(Scope::Transaction).closed_only());
        let summary = Summary::of(&view, card, &self.recipients);
        let tagged = self.tags(&view) == Tri::Yes;
        let mut recipients: Vec<_> = decided.collect();
        recipients.sort_by_key(|(index, _)| *index);
        Conclusion { recipients, tagged, summary }
    }
}

/// Begins something; what is left of it if it has to wait. A panic is the end of it.
fn unless_done_at_once(mut memory: BoxFuture<'static, ()>) -> Option<BoxFuture<'static, ()>> {
    match std::panic::catch_unwind(AssertUnwindSafe(|| (&mut memory).now_or_never())) {
        Ok(None) => Some(memory),
        Ok(Some(())) => None,
        Err(_panic) => {
            tracing::error!("a witness panicked while remembering");
            None
        }
    }
}

fn was_cancelled(line: &Line) -> bool {
    let LineState::Closed { outcome, .. } = &line.state else { return false };
    matches!(outcome, Outcome::Skipped(Skip::Settled | Skip::NeverStarted))
}

/// The most that a line could have added.
fn worst(card: &Scorecard, line: &Line) -> Score {
    let weights = line.spec.emits.iter().map(|symbol| card.weights().of(symbol).weight.max(Score::ZERO));
    if line.spec.exclusive { weights.max().unwrap_or_default() } else { weights.sum() }
}
