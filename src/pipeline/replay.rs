//! Decides again from a record, by the rules that were in force then or by others.
//!
//! By the same rules every decision comes out as it was, bit for bit. By others the answer may be unsure: a check that
//! was not heard because the verdict was certain, or that was not there, could have said something that matters now.

mod unasked;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::decision::{decide, named_by};
use super::examine::running;
use super::rulebook::{self, Seat};
use super::{PolicyId, Ruleset};
use crate::checks::Registry;
use crate::facts::Stage;
use crate::policy::{Question, Tri};
use crate::records::{Decided, Finding, Judgement, Line, LineOutcome, Lines, Record, Rulebook};
use crate::scoring::{
    CheckName, Evidence, Finding as Found, Lens, Outcome, Part, Scope, Score, Scorecard, Skip, Spec, Symbol,
};
use crate::smtp::ForwardPath;
use crate::units::Percent;
use crate::verdict::Verdict;

/// Rules by which records are decided again.
pub struct Replay {
    ruleset: Arc<Ruleset>,
    seats: Vec<Seat>,
    /// Whose mail is judged by which policy is asked anew; otherwise the recorded one judges.
    reassigns: bool,
}

/// The same, made ready for the records of one rulebook.
pub struct Prepared<'r> {
    replay: &'r Replay,
    /// By number on that book's roster.
    seats: Cow<'r, [Seat]>,
    /// What these rules look for and that book's checks did not.
    unasked: Cow<'r, [Seat]>,
}

/// A [`Replay`] made ready for the records of one rulebook once and for all.
pub struct Ready {
    replay: Replay,
    seats: Vec<Seat>,
    unasked: Vec<Seat>,
}

/// What comes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// In the order of [`Record::decisions`].
    pub decisions: Vec<Again>,
    /// The score of the transaction, in hundredths; `None` where there was no message to be judged.
    pub score: Option<i32>,
    /// It would be marked.
    pub tagged: bool,
    /// Nothing that was not heard can change that.
    pub is_tag_certain: bool,
}

/// One decision, made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// What it comes to, by what is known.
    pub decided: Decided,
    /// Nothing that was not heard can change the verdict.
    pub is_certain: bool,
}

impl Replay {
    /// By the rules of a rulebook.
    ///
    /// # Errors
    /// It was not written by us.
    pub fn by_book(book: &Rulebook) -> Result<Self, String> {
        Ok(Self { ruleset: Arc::new(rulebook::ruleset(book)?), seats: rulebook::seats(book)?, reassigns: false })
    }

    /// By rules that are in force, or shall be.
    pub fn by_rules(ruleset: Arc<Ruleset>) -> Self {
        let running = ruleset.registry.checks().count();
        let specs = ruleset.registry.specs().enumerate();
        let seats =
            specs.map(|(at, (stage, spec))| Seat { stage, spec: spec.clone(), observed: at >= running }).collect();
        Self { ruleset, seats, reassigns: true }
    }

    /// The rules.
    pub fn ruleset(&self) -> &Arc<Ruleset> {
        &self.ruleset
    }

    /// Makes it ready for the records of `book`.
    ///
    /// # Errors
    /// It was not written by us.
    pub fn prepare(&self, book: &Rulebook) -> Result<Prepared<'_>, String> {
        let mut seats = rulebook::seats(book)?;
        let unasked = unasked::unasked(&self.seats, book);
        let is_unasked = |symbol: &&Symbol| unasked.iter().any(|seat| seat.spec.emits.contains(symbol));
        for seat in &mut seats {
            // What a check can emit now is what it could have said where it was not heard.
            if let Some(known) = self.seats.iter().find(|known| known.spec.name == seat.spec.name) {
                // A symbol counts where it is owned, and once.
                seat.spec.emits = known.spec.emits.iter().filter(|symbol| !is_unasked(symbol)).cloned().collect();
                seat.spec.exclusive = known.spec.exclusive;
            }
        }
        Ok(Prepared { replay: self, seats: Cow::Owned(seats), unasked: Cow::Owned(unasked) })
    }

    /// The same, to be kept.
    ///
    /// # Errors
    /// As [`Replay::prepare`].
    pub fn ready(self, book: &Rulebook) -> Result<Ready, String> {
        let Prepared { seats, unasked, .. } = self.prepare(book)?;
        let (seats, unasked) = (seats.into_owned(), unasked.into_owned());
        Ok(Ready { replay: self, seats, unasked })
    }

    /// Symbols of checks that the checks of `book` could not emit: no record of it can tell whether they would be found.
    pub fn unheard_of(&self, book: &Rulebook) -> Vec<&Symbol> {
        let known: std::collections::HashSet<&str> =
            book.roster.iter().flat_map(|check| &check.emits).map(String::as_str).collect();
        let symbols = self.seats.iter().flat_map(|seat| seat.spec.emits.iter());
        symbols.filter(|symbol| !known.contains(symbol.as_str())).collect()
    }

    /// Files that say otherwise what is to be looked for than those of `book` did: what they would have found now, no
    /// record of it can tell. Empty if it is not known what they said then.
    pub fn looks_otherwise(&self, book: &Rulebook) -> Vec<String> {
        if book.looks.is_empty() {
            return Vec::new();
        }
        let names = self.ruleset.looks.keys().chain(book.looks.keys());
        let mut names: Vec<String> =
            names.filter(|name| self.ruleset.looks.get(*name) != book.looks.get(*name)).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn policy(&self, decided: &Decided, path: Option<&str>) -> PolicyId {
        let path = path.filter(|_| self.reassigns).filter(|path| !path.contains('*'));
        if let Some(path) = path.and_then(|path| ForwardPath::parse(path).ok()) {
            return self.ruleset.policy_of(&path);
        }
        decided.policy.as_ref().map_or_else(PolicyId::default, |name| self.ruleset.policy_named(name))
    }
}

impl Ready {
    /// Decides a record again.
    pub fn decide(&self, record: &Record) -> Replayed {
        let Self { replay, seats, unasked } = self;
        Prepared { replay, seats: Cow::Borrowed(seats), unasked: Cow::Borrowed(unasked) }.decide(record)
    }
}

impl Prepared<'_> {
    /// Decides a record again.
    pub fn decide(&self, record: &Record) -> Replayed {
        let judgement = &record.judgement;
        let refused = judgement
            .refusals
            .iter()
            .map(|refusal| self.refuse(&refusal.decision, refusal.forward_path.as_deref(), &refusal.lines));
        let mut decisions: Vec<Again> = refused.collect();
        if judgement.decisions.is_empty() {
            return Replayed { decisions, score: None, tagged: false, is_tag_certain: true };
        }
        let card = self.card(&judgement.lines);
        let unheard = judgement.lines.0.iter().any(|line| line.outcome == LineOutcome::Unheard);
        let unsure = unheard || !self.unasked.is_empty();
        let open = unsure.then(|| self.card_with_unknown(judgement));
        let mut policies = Vec::new();
        for decided in &judgement.decisions {
            let policy = self.replay.policy(decided, path_of(record, decided));
            policies.push(policy);
            decisions.push(self.conclude(decided, policy, &card, open.as_ref()));
        }
        let ruleset = &self.replay.ruleset;
        let lens = Lens::new(Scope::Transaction);
        let can_be = open.map(|open| ruleset.tags(policies.clone(), &open.view(lens)));
        let view = card.view(lens.closed_only());
        let tagged = ruleset.tags(policies, &view) == Tri::Yes;
        let is_tag_certain = can_be != Some(Tri::Maybe);
        Replayed { decisions, score: Some(view.score().high.get()), tagged, is_tag_certain }
    }

    /// The same, had none of these symbols been found.
    pub fn decide_without(&self, record: &Record, symbols: &[&str]) -> Replayed {
        let mut changed = record.clone();
        let judgement = &mut changed.judgement;
        let early = judgement.refusals.iter_mut().map(|refusal| &mut refusal.lines);
        for line in early.chain([&mut judgement.lines]).flat_map(|lines| &mut lines.0) {
            line.findings.retain(|finding| !symbols.contains(&finding.symbol.as_str()));
        }
        self.decide(&changed)
    }

    /// The same, had `check` found `symbol` as well, wherever it was asked by then. Without such a check nothing changes.
    pub fn decide_with(&self, record: &Record, check: &str, symbol: &str) -> Replayed {
        let Some((number, seat)) = self.seats.iter().enumerate().find(|(_, seat)| seat.spec.name.as_str() == check)
        else {
            return self.decide(record);
        };
        let mut changed = record.clone();
        let judgement = &mut changed.judgement;
        let early = judgement.refusals.iter_mut().map(|refusal| &mut refusal.lines);
        let early = early.filter(|_| seat.stage < Stage::Rcpt);
        for lines in early.chain([&mut judgement.lines]) {
            add(lines, number, symbol);
        }
        self.decide(&changed)
    }

    /// The score after each line of the transaction.
    pub fn running(&self, lines: &Lines) -> Vec<Score> {
        running(&self.replay.ruleset.weights, &lines.0, |growing, line| {
            self.fill(growing, &Lines(vec![line.clone()]), true);
        })
    }

    /// What a symbol adds at that strength, in percent, its group aside; and whether it counts in shadow only.
    pub fn weight(&self, symbol: &str, strength: u8) -> (Score, bool) {
        let known = Symbol::new(symbol).map(|symbol| self.replay.ruleset.weights.of(&symbol)).unwrap_or_default();
        (known.weight.scaled(Percent::new(strength)), known.shadow)
    }

    /// The same rules with another weight, in hundredths, for a symbol that they know.
    pub fn reweighed(&self, symbol: &str, weight: i32) -> Option<Replay> {
        let Replay { ruleset, seats, reassigns } = self.replay;
        let weights = ruleset.weights.reweighed(&Symbol::new(symbol).ok()?, Score::hundredths(weight))?;
        let other =
            Ruleset::new(ruleset.version.clone(), Registry::default(), Arc::new(weights), ruleset.policy.clone());
        let other = other.with_policies(ruleset.policies.clone());
        Some(Replay { ruleset: Arc::new(other), seats: seats.clone(), reassigns: *reassigns })
    }

    /// The score of a recipient, or of the whole transaction, that a clause of `stage` sees; with everything in force
    /// that is only shadow, if `shadow`.
    pub fn score_at(&self, lines: &Lines, recipient: Option<usize>, stage: Option<Stage>, shadow: bool) -> Score {
        let scope = recipient.map_or(Scope::Transaction, Scope::Recipient);
        let question = Question { shadow, closed_only: true, ..Question::about(scope) };
        self.card(lines).view(question.lens(stage)).score().high
    }

    /// The symbols that the clause behind a decision asks for, composites resolved into what they ask for.
    pub fn asked_for(&self, decided: &Decided) -> Vec<&Symbol> {
        let ruleset = &self.replay.ruleset;
        let clauses = &ruleset.policy_for(decided.policy.as_deref()).clauses;
        let clause = clauses.iter().find(|clause| Some(&clause.name) == decided.clause.as_ref());
        clause.into_iter().flat_map(|clause| named_by(clause, &ruleset.weights)).collect()
    }

    /// Checks by number: name and stage.
    pub fn check(&self, number: u16) -> Option<(&str, Stage)> {
        self.seats.get(usize::from(number)).map(|seat| (seat.spec.name.as_str(), seat.stage))
    }

    /// The score and its summands for a recipient, or for the whole transaction.
    pub fn parts(&self, lines: &Lines, recipient: Option<usize>) -> (Score, Vec<Part>) {
        let card = self.card(lines);
        let view = card.view(Lens::new(recipient.map_or(Scope::Transaction, Scope::Recipient)).closed_only());
        (view.score().high, view.parts())
    }

    fn conclude(&self, recorded: &Decided, policy: PolicyId, card: &Scorecard, open: Option<&Scorecard>) -> Again {
        let scope = recorded.recipient.map_or(Scope::Transaction, Scope::Recipient);
        let question = Question { exempt: recorded.exempt, ..Question::about(scope) };
        let ruleset = &self.replay.ruleset;
        let decision = decide(ruleset, policy, card, Question { closed_only: true, ..question });
        let settled = open.map(|open| ruleset.policy_by(policy).reachable(open, question).settled());
        let is_certain = settled.is_none_or(|settled| settled == Some(decision.verdict));
        Again { decided: Decided::of(recorded.recipient, recorded.exempt, &decision), is_certain }
    }

    /// A refusal before there was a message: everything that had not been said by then was open.
    fn refuse(&self, recorded: &Decided, path: Option<&str>, lines: &Lines) -> Again {
        let mut card = Scorecard::new(self.replay.ruleset.weights.clone());
        let own = recorded.recipient.map(Scope::Recipient);
        for seat in &self.replay.seats {
            if seat.observed {
                card.open_observed(seat.stage, seat.spec.clone());
                continue;
            }
            card.open(seat.stage, seat.spec.clone(), Scope::Transaction);
            if let Some(own) = own.filter(|_| seat.stage == Stage::Rcpt) {
                card.open(seat.stage, seat.spec.clone(), own);
            }
        }
        self.fill(&mut card, lines, true);
        self.open_unasked(&mut card, [None, recorded.recipient].into_iter());
        let scope = own.unwrap_or(Scope::Transaction);
        let question = Question { exempt: recorded.exempt, ..Question::about(scope) };
        let policy = self.replay.policy(recorded, path);
        let ruleset = &self.replay.ruleset;
        let decision = decide(ruleset, policy, &card, question);
        let is_certain = ruleset.policy_by(policy).reachable(&card, question).settled().is_some();
        Again { decided: Decided::of(recorded.recipient, recorded.exempt, &decision), is_certain }
    }

    fn card(&self, lines: &Lines) -> Scorecard {
        let mut card = Scorecard::new(self.replay.ruleset.weights.clone());
        self.fill(&mut card, lines, true);
        card
    }

    /// With all that was not heard, or not asked, open.
    fn card_with_unknown(&self, judgement: &Judgement) -> Scorecard {
        let mut card = Scorecard::new(self.replay.ruleset.weights.clone());
        self.fill(&mut card, &judgement.lines, false);
        self.open_unasked(&mut card, judgement.decisions.iter().map(|decided| decided.recipient));
        card
    }

    /// Opens what nobody asked: what concerns recipients for each of those.
    fn open_unasked(&self, card: &mut Scorecard, recipients: impl Iterator<Item = Option<usize>> + Clone) {
        for Seat { stage, spec, .. } in &*self.unasked {
            if *stage != Stage::Rcpt {
                card.open(*stage, spec.clone(), Scope::Transaction);
                continue;
            }
            for recipient in recipients.clone() {
                card.open(*stage, spec.clone(), recipient.map_or(Scope::Transaction, Scope::Recipient));
            }
        }
    }

    /// Puts recorded lines on a card; those that were not heard stay open, unless they are to count as silent.
    fn fill(&self, card: &mut Scorecard, lines: &Lines, silence: bool) {
        for line in &lines.0 {
            let Some(seat) = self.seats.get(usize::from(line.check)) else { continue };
            let spec = wide_enough(&seat.spec, lines, line);
            let scope = line.recipient.map_or(Scope::Transaction, Scope::Recipient);
            if line.outcome == LineOutcome::Observed {
                card.open_observed(seat.stage, spec);
                for finding in &line.findings {
                    let stage = finding.stage.and_then(|stage| Stage::ALL.get(usize::from(stage)));
                    if let Some(found) = found(finding) {
                        card.observe(*stage.unwrap_or(&seat.stage), found);
                    }
                }
                continue;
            }
            let name: CheckName = spec.name.clone();
            card.open(seat.stage, spec, scope);
            if silence || line.outcome != LineOutcome::Unheard {
                card.close(&name, scope, outcome(line), Duration::from_micros(line.took_us));
            }
        }
    }
}

fn add(lines: &mut Lines, number: usize, symbol: &str) {
    let Ok(check) = u16::try_from(number) else { return };
    let finding = Finding {
        symbol: symbol.to_owned(),
        strength: Percent::FULL.get(),
        evidence: String::new(),
        transaction: false,
        stage: None,
    };
    match lines.0.iter_mut().find(|line| line.check == check && line.recipient.is_none()) {
        Some(line) => {
            line.outcome = LineOutcome::Found;
            line.findings.push(finding);
        }
        None => lines.0.push(Line {
            check,
            recipient: None,
            outcome: LineOutcome::Found,
            reason: None,
            took_us: 0,
            findings: vec![finding],
        }),
    }
}

/// What the check said. How it failed does not matter for a decision.
fn outcome(line: &Line) -> Outcome {
    match line.outcome {
        LineOutcome::Found | LineOutcome::Observed => Outcome::Found(line.findings.iter().filter_map(found).collect()),
        LineOutcome::TimedOut => Outcome::TimedOut,
        LineOutcome::Unheard => Outcome::Skipped(Skip::Settled),
        LineOutcome::Clear | LineOutcome::Skipped | LineOutcome::Failed => Outcome::Clear,
    }
}

/// A spec that allows everything that its check has said, to this recipient or to another: it may have had another
/// name for what it finds, or be gone.
fn wide_enough(spec: &Spec, lines: &Lines, line: &Line) -> Spec {
    let said = lines.0.iter().filter(|other| other.check == line.check).flat_map(|other| &other.findings);
    let strange = said.filter_map(|finding| Symbol::new(&finding.symbol).ok());
    let strange: Vec<Symbol> = strange.filter(|symbol| !spec.emits.contains(symbol)).collect();
    if strange.is_empty() {
        return spec.clone();
    }
    // It may have found two where it finds one at most now.
    Spec { emits: spec.emits.iter().cloned().chain(strange).collect(), exclusive: false, ..spec.clone() }
}

fn found(finding: &Finding) -> Option<Found> {
    Some(Found {
        symbol: Symbol::new(&finding.symbol).ok()?,
        strength: Percent::new(finding.strength),
        evidence: Evidence::new(""),
        transaction: finding.transaction,
    })
}

fn path_of<'r>(record: &'r Record, decided: &Decided) -> Option<&'r str> {
    let recipients = &record.envelope.as_ref()?.recipients;
    let known = recipients.iter().find(|recipient| Some(recipient.index) == decided.recipient)?;
    Some(&known.forward_path)
}

impl Replayed {
    /// The strictest verdict, and whether it is certain: nothing is stricter than one certain refusal for good; any
    /// other may become stricter by whichever decision is not certain.
    pub fn verdict(&self) -> Option<(Verdict, bool)> {
        let strictest = self.decisions.iter().map(|again| again.decided.verdict).max()?;
        let is_final = |again: &Again| again.is_certain && again.decided.verdict == Verdict::Reject;
        let is_certain = self.decisions.iter().any(is_final) || self.decisions.iter().all(|again| again.is_certain);
        Some((strictest, is_certain))
    }

    /// True if everything came out as `record` has it.
    pub fn reproduces(&self, record: &Record) -> bool {
        let judgement = &record.judgement;
        let same = self.decisions.iter().map(|again| &again.decided).eq(record.decisions());
        same && self.score.is_none_or(|score| score == judgement.score && self.tagged == judgement.tagged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_certain_by_one_certain_rejection_or_by_all() {
        use Verdict::{Defer, Forward, Reject};
        for (decisions, expected) in [
            (vec![(Reject, true), (Reject, false)], Some((Reject, true))),
            (vec![(Reject, false), (Forward, true)], Some((Reject, false))),
            (vec![(Defer, true), (Defer, false)], Some((Defer, false))),
            (vec![(Forward, false), (Forward, true)], Some((Forward, false))),
            (vec![(Forward, true), (Defer, true)], Some((Defer, true))),
            (vec![], None),
        ] {
            let again = |&(verdict, is_certain): &(Verdict, bool)| Again {
                decided: Decided {
                    recipient: None,
                    exempt: false,
                    policy: None,
                    verdict,
                    clause: None,
                    score: 0,
                    shadow: None,
                },
                is_certain,
            };
            let decisions = decisions.iter().map(again).collect();
            let replayed = Replayed { decisions, score: None, tagged: false, is_tag_certain: true };
            assert_eq!(replayed.verdict(), expected, "{replayed:?}");
        }
    }
}
