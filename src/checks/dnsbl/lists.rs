//! The lists that are asked now, each with its health, from one rule set to the next.
//!
//! A list lives as long as some rule set asks it. One that a new rule set asks in the same way is the
//! same list: a reload neither forgives nor forgets.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};

use super::health::{Alert, Answered, Event, Health, Note, Reason, Round};
use super::metrics::{Meter, Metrics};
use super::points::Plan;
use crate::dns::Origin;

/// All lists that somebody asks.
#[derive(Debug, Default)]
pub struct Lists {
    metrics: Metrics,
    changed: Arc<Notify>,
}

/// One list with its health.
#[derive(Debug)]
pub struct Monitored {
    plan: Plan,
    health: Mutex<Health>,
    meter: Meter,
    /// The round of test points that is on its way.
    round: Mutex<Option<WeakShared<BoxFuture<'static, ()>>>>,
    changed: Arc<Notify>,
}

impl Lists {
    /// None yet.
    pub fn new(metrics: Metrics) -> Arc<Self> {
        Arc::new(Self { metrics, ..Self::default() })
    }

    /// The list that is asked and tested by `plan`: the one that is known, or a new one that was never tested.
    pub fn monitor(&self, plan: Plan) -> Arc<Monitored> {
        let mut known = lock(self.metrics.known());
        if let Some(list) = known.iter().filter_map(Weak::upgrade).find(|list| list.plan == plan) {
            return list;
        }
        let list = Arc::new(Monitored {
            health: Mutex::new(Health::new(plan.interval, plan.deadline, Instant::now())),
            meter: self.metrics.meter(&plan.name),
            round: Mutex::default(),
            changed: Arc::clone(&self.changed),
            plan,
        });
        known.push(Arc::downgrade(&list));
        self.changed.notify_one();
        list
    }

    /// Those that are still asked. Forgets the others.
    pub(super) fn alive(&self) -> Vec<Arc<Monitored>> {
        let mut known = lock(self.metrics.known());
        known.retain(|list| list.strong_count() > 0);
        known.iter().filter_map(Weak::upgrade).collect()
    }

    /// Wakes whoever tests when a list has come, or wants to be tested earlier.
    pub(super) fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }
}

impl Monitored {
    /// How it is asked and tested.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether questions may be sent now; see [`Health::admit`].
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self) -> Result<(), Reason> {
        lock(&self.health).admit(Instant::now())
    }

    /// True if a listing must be confirmed by the test points; see [`Health::is_stale`]. Without a point
    /// that must not be listed there is nothing to confirm it by.
    pub fn wants_confirmation(&self) -> bool {
        let health = lock(&self.health);
        !self.plan.not_listed.is_empty() && !health.is_suspended() && health.is_stale(Instant::now())
    }

    /// Why it is suspended, if it is.
    pub fn suspended(&self) -> Option<Reason> {
        lock(&self.health).suspended()
    }

    /// Whether it is asked, and all alerts with whether they are raised.
    pub(super) fn state(&self) -> (bool, [(Alert, bool); 3]) {
        let health = lock(&self.health);
        (health.is_up(), health.alerts())
    }

    /// The round of test points that is on its way, or the one that `begin` makes.
    pub(super) fn share_round(&self, begin: impl FnOnce() -> BoxFuture<'static, ()>) -> Shared<BoxFuture<'static, ()>> {
        let mut known = lock(&self.round);
        // One that has ended, and that somebody still holds, is none any more.
        let on_its_way = known.as_ref().and_then(WeakShared::upgrade).filter(|round| round.peek().is_none());
        on_its_way.unwrap_or_else(|| {
            let round = begin().shared();
            *known = round.downgrade();
            round
        })
    }

    /// Takes note of the answer to a question of a session; see [`Health::answered`].
    pub fn answered(&self, note: Note) {
        self.meter.count_answer(note.answer);
        if note.origin != Origin::Memory && note.answer != Answered::NoAnswer {
            self.meter.duration.observe(note.took.as_secs_f64());
        }
        let mut health = lock(&self.health);
        let events = health.answered(Instant::now(), note);
        self.tell(&events);
        drop(health);
        if !events.is_empty() {
            self.changed.notify_one();
        }
    }

    /// So many questions about one client or message are not asked.
    pub fn leaves_out(&self, questions: usize) {
        self.meter.left_out.inc_by(questions as u64);
    }

    /// Takes note of a round of test points that was begun at `begun`.
    pub(super) fn tested(&self, begun: Instant, round: &Round) {
        let mut health = lock(&self.health);
        let events = health.tested(Instant::now(), begun, round, rand::random());
        self.tell(&events);
        drop(health);
        if !events.is_empty() {
            self.changed.notify_one();
        }
    }

    /// Whether its test points are to be asked now; see [`Health::begin_test`].
    ///
    /// # Errors
    /// When they are.
    pub(super) fn begin_test(&self) -> Result<(), Instant> {
        lock(&self.health).begin_test(Instant::now())
    }

    /// Says what has changed, once.
    fn tell(&self, events: &[Event]) {
        let (list, zone) = (&self.plan.name, &self.plan.shown);
        for event in events {
            match event {
                Event::Suspended(reason) => {
                    warn!(list, zone, reason = reason.label(), why = %reason, "list.suspended");
                    self.meter.count_suspension(*reason);
                }
                Event::Resumed { reason, after } => {
                    info!(list, zone, reason = reason.label(), after_seconds = after.as_secs(), "list.resumed");
                }
                Event::Raised(alert) => {
                    warn!(list, zone, alert = alert.label(), "list.alert");
                }
                Event::Cleared(alert) => {
                    info!(list, zone, alert = alert.label(), "list.alert_over");
                }
            }
        }
    }
}

/// A panic elsewhere leaves every value whole: each is changed by one call.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
