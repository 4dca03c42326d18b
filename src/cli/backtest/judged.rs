//! What becomes of one mail, reply by reply, and what of it is another by other rules.
//!
//! A recipient who was refused at RCPT had a reply of his own, and so had a session that was refused as a whole: each is
//! compared with itself. The message has one reply for all its recipients, which is made of their verdicts as a
//! session makes it. Where they differ nobody gets the message yet: it comes again for each of them, so what becomes of
//! each counts beside the reply.

use std::collections::BTreeMap;

use crate::pipeline::Replayed;
use crate::records::Record;
use crate::verdict::{Action, Verdict};

/// What becomes of one mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// Refusals before the message, those of whom they were, in order.
    early: Vec<Part>,
    /// The message for each of its recipients, in order; traps aside, which have what the others have.
    recipients: Vec<Part>,
    /// The reply to the message.
    message: Option<Part>,
}

/// One of the things that become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    action: Action,
    /// Nothing that was not heard could change it.
    is_certain: bool,
}

/// Kinds of what is decided otherwise, each with whether that is certain for somebody.
pub(super) type Changes = BTreeMap<(Action, Action), bool>;

impl Judged {
    /// What was decided then; `None` if it did not come to that.
    pub(super) fn recorded(record: &Record) -> Option<Self> {
        let judgement = &record.judgement;
        let early = judgement.refusals.iter().map(|refusal| (refusal.decision.verdict, true));
        let message = judgement.decisions.iter().map(|decided| (decided.recipient, decided.verdict, true));
        Self::of(record, early, message, (judgement.tagged, true))
    }

    /// What the same comes to now.
    pub(super) fn again(record: &Record, again: &Replayed) -> Option<Self> {
        let (early, message) = again.decisions.split_at_checked(record.judgement.refusals.len())?;
        let early = early.iter().map(|again| (again.decided.verdict, again.is_certain));
        let message = message.iter().map(|again| (again.decided.recipient, again.decided.verdict, again.is_certain));
        Self::of(record, early, message, (again.tagged, again.is_tag_certain))
    }

    /// What becomes of a message that was scanned.
    pub(super) fn scanned(verdicts: &[Verdict], tagged: bool) -> Self {
        let recipients = verdicts.iter().map(|verdict| (*verdict, true));
        Self::new(Vec::new(), recipients.collect(), (tagged, true), false)
    }

    fn of(
        record: &Record,
        early: impl Iterator<Item = (Verdict, bool)>,
        message: impl Iterator<Item = (Option<usize>, Verdict, bool)>,
        tagged: (bool, bool),
    ) -> Option<Self> {
        let known = record.envelope.as_ref().map_or(&[][..], |envelope| &envelope.recipients);
        let is_trap = |index| known.iter().any(|known| known.trap && Some(known.index) == index);
        let is_for_traps_alone = !known.is_empty() && known.iter().all(|known| known.trap);
        let message: Vec<_> = message.collect();
        let is_judged = !message.is_empty();
        let real = message.into_iter().filter(|(index, ..)| !is_trap(*index));
        let real = real.map(|(_, verdict, is_certain)| (verdict, is_certain)).collect();
        let judged = Self::new(early.collect(), real, tagged, is_judged && is_for_traps_alone);
        (is_judged || !judged.early.is_empty()).then_some(judged)
    }

    /// Each verdict comes with whether it is certain, and so does the mark.
    fn new(early: Vec<(Verdict, bool)>, real: Vec<(Verdict, bool)>, tagged: (bool, bool), is_trapped: bool) -> Self {
        let part = |(verdict, is_certain): (Verdict, bool)| Part {
            action: Action::new(verdict, tagged.0),
            is_certain: is_certain && (tagged.1 || verdict != Verdict::Forward),
        };
        let message = match Verdict::agreed(real.iter().map(|(verdict, _)| *verdict)) {
            // No rule decides what nobody is there to read.
            _ if is_trapped => Some((Verdict::Reject, true)),
            _ if real.is_empty() => None,
            Some(verdict) => Some((verdict, real.iter().all(|(_, is_certain)| *is_certain))),
            None => {
                let certain = real.iter().filter(|(_, is_certain)| *is_certain).map(|(verdict, _)| *verdict);
                Some((Verdict::Defer, Verdict::agreed(certain).is_none()))
            }
        };
        // Whoever is not refused early is not marked either: what the message comes to is not known.
        let early =
            early.into_iter().map(|(verdict, is_certain)| Part { action: Action::new(verdict, false), is_certain });
        Self { early: early.collect(), recipients: real.into_iter().map(part).collect(), message: message.map(part) }
    }

    /// What of this is another in `now`, which is the same mail by other rules.
    pub(super) fn changes(&self, now: &Self) -> Changes {
        let parts = |judged: &Self| -> Vec<Part> {
            judged.early.iter().chain(&judged.recipients).chain(&judged.message).copied().collect()
        };
        let mut changes = Changes::new();
        for (was, now) in parts(self).into_iter().zip(parts(now)).filter(|(was, now)| was.action != now.action) {
            *changes.entry((was.action, now.action)).or_default() |= now.is_certain;
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORWARD: (Verdict, bool) = (Verdict::Forward, true);
    const REJECT: (Verdict, bool) = (Verdict::Reject, true);
    const PERHAPS: (Verdict, bool) = (Verdict::Reject, false);
    const UNTAGGED: (bool, bool) = (false, true);

    fn judged(early: &[(Verdict, bool)], real: &[(Verdict, bool)]) -> Judged {
        Judged::new(early.to_vec(), real.to_vec(), UNTAGGED, false)
    }

    fn told(was: &Judged, now: &Judged) -> Vec<String> {
        let changes = was.changes(now);
        let told = changes.iter().map(|((was, now), is_certain)| {
            format!("{} -> {}{}", was.as_str(), now.as_str(), if *is_certain { "" } else { "?" })
        });
        told.collect()
    }

    #[test]
    fn whoever_was_refused_early_hides_nobody_who_is_refused_now() {
        let was = judged(&[REJECT], &[FORWARD]);
        assert_eq!(told(&was, &judged(&[REJECT], &[REJECT])), ["forward -> reject"]);
        assert_eq!(told(&was, &judged(&[FORWARD], &[REJECT])), ["forward -> reject", "reject -> forward"]);
        assert_eq!(told(&was, &was), [""; 0]);
    }

    #[test]
    fn recipients_of_one_message_who_differ_have_it_deferred_and_each_comes_to_his_own() {
        let was = judged(&[], &[FORWARD, FORWARD]);
        let split = judged(&[], &[FORWARD, REJECT]);
        assert_eq!(told(&was, &split), ["forward -> defer", "forward -> reject"]);
        assert_eq!(told(&split, &judged(&[], &[REJECT, REJECT])), ["forward -> reject", "defer -> reject"]);
        assert_eq!(told(&was, &judged(&[], &[PERHAPS, FORWARD])), ["forward -> defer?", "forward -> reject?"]);
        assert_eq!(told(&was, &judged(&[], &[PERHAPS, REJECT])), ["forward -> reject"], "for one of them");
    }

    #[test]
    fn a_mark_is_a_change_of_what_is_forwarded_and_of_nothing_else() {
        let marked = |is_certain| Judged::new(vec![REJECT], vec![FORWARD], (true, is_certain), false);
        let was = judged(&[REJECT], &[FORWARD]);
        assert_eq!(told(&was, &marked(true)), ["forward -> tag"]);
        assert_eq!(told(&was, &marked(false)), ["forward -> tag?"]);
        let refused = Judged::new(Vec::new(), vec![REJECT], (true, false), false);
        assert_eq!(told(&judged(&[], &[FORWARD]), &refused), ["forward -> reject"]);
    }

    #[test]
    fn traps_alone_are_refused_by_all_rules() {
        let trapped = Judged::new(Vec::new(), Vec::new(), UNTAGGED, true);
        assert_eq!(trapped.message, Some(Part { action: Action::Reject, is_certain: true }));
        assert_eq!(told(&trapped, &trapped), [""; 0]);
    }
}
