//! Who may come together in one transaction, and what is remembered of that for the next one (DECISIONS 2): pools of
//! backends, and those whose verdicts differ.

use super::refusal;
use super::shared::Shared;
use super::splits::Group;
use super::transaction::{Transaction, Turn};
use crate::pipeline::Conclusion;
use crate::smtp::{ForwardPath, Reply};

impl Transaction {
    /// True if a recipient of this pool may come with those who are accepted (DECISIONS 2). A pool that defers gives way,
    /// so that those of another do not wait until the first are given up.
    pub(super) fn may_go(&mut self, shared: &Shared, path: &ForwardPath) -> bool {
        let Some(way) = self.relay.way_of(path) else { return true };
        let own = shared.splits.pool(way.name.as_deref());
        if !self.accepted.is_empty() && !self.relay.goes_to(path) {
            shared.splits.waits(&self.mail, own);
            self.pools_part = true;
            return false;
        }
        if !self.accepted.is_empty() || self.giving_way.contains(&own) {
            return !self.accepted.is_empty();
        }
        let gives_way = shared.splits.gives_way(&self.mail, own);
        if gives_way {
            self.giving_way.push(own);
        }
        !gives_way
    }

    /// Remembers how this envelope is to be split when it comes again (DECISIONS 2).
    pub fn remember_split(&self, shared: &Shared, conclusion: &Conclusion) {
        let of = |index| conclusion.recipients.iter().find(|(known, _)| *known == index);
        let real = self.accepted.iter().filter(|recipient| !recipient.is_trap);
        let judged = real.filter_map(|recipient| Some((&recipient.path, of(recipient.index)?.1.verdict)));
        shared.splits.remember(&self.mail, judged);
    }

    /// Remembers whether those who had the message are done with.
    pub fn remember_answer(&self, shared: &Shared, reply: &Reply) {
        if *reply == refusal::SPLIT {
            // No answer to anybody: those who disagreed are taken apart first.
            return;
        }
        let is_final = reply.class() != 4;
        if let Some(pool) = self.pool_that_waits(shared) {
            shared.splits.answered(&self.mail, pool, is_final);
        }
        if let Some(group) = self.group() {
            shared.splits.answered(&self.mail, group, is_final);
        }
    }

    /// The pool of those who had the message, as a group, if others of this envelope go elsewhere, now or at another time.
    fn pool_that_waits(&self, shared: &Shared) -> Option<Group> {
        let way = self.accepted.first().and_then(|recipient| self.relay.way_of(&recipient.path))?;
        let pool = shared.splits.pool(way.name.as_deref());
        let parts = self.pools_part || !self.giving_way.is_empty();
        (parts || shared.splits.has_standing(&self.mail, pool)).then_some(pool)
    }

    /// True if a recipient of this group may come with those who are accepted.
    pub(super) fn may_come(&mut self, shared: &Shared, own: Group) -> bool {
        match self.group() {
            Some(theirs) if theirs == own => true,
            Some(_) => {
                shared.splits.waits(&self.mail, own);
                false
            }
            None if self.giving_way.contains(&own) => false,
            None if shared.splits.gives_way(&self.mail, own) => {
                self.giving_way.push(own);
                false
            }
            None => true,
        }
    }

    /// True if it takes the backend's word on those who wait to know whether `path` may come with them.
    pub fn depends_on_answers(&self, shared: &Shared, path: &ForwardPath) -> bool {
        if self.batch.is_empty() {
            return false;
        }
        let hands_on = self.batch.iter().any(|turn| matches!(turn, Turn::HandOn { .. }));
        if hands_on && self.accepted.is_empty() && !self.relay.goes_to(path) {
            return true;
        }
        if self.group().is_some() {
            return false;
        }
        let Some(own) = shared.splits.group(&self.mail, path) else { return false };
        self.batch.iter().any(|turn| match turn {
            Turn::HandOn { index, .. } => self.group_of(*index).is_some_and(|group| group != own),
            Turn::Say(_) => false,
        })
    }

    /// With whom whoever comes now must agree. Recipients that were refused have no say.
    fn group(&self) -> Option<Group> {
        self.accepted.iter().chain(&self.kept_back).find_map(|recipient| self.group_of(recipient.index))
    }

    fn group_of(&self, index: usize) -> Option<Group> {
        self.groups.get(index).copied().flatten()
    }
}
