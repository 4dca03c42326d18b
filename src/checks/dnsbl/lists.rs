//! The lists that are asked now, each with its health, from one rule set to the next.
//!
//! A list lives as long as some rule set asks it. One that a new rule set asks in the same way is the
//! same list: a reload neither forgives nor forgets.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};

use super::health::{Answered, Event, Health, Round};
use super::metrics::{Meter, Metrics};
use super::points::Plan;

/// All lists that somebody asks.
#[derive(Debug, Default)]
pub struct Lists {
    known: Mutex<Vec<(String, Weak<Monitored>)>>,
    metrics: Metrics,
    changed: Arc<Notify>,
}

/// One list with its health.
#[derive(Debug)]
pub struct Monitored {
    plan: Plan,
    health: Mutex<Health>,
    meter: Meter,
    changed: Arc<Notify>,
}

impl Lists {
    /// None yet.
    pub fn new(metrics: Metrics) -> Arc<Self> {
        Arc::new(Self { metrics, ..Self::default() })
    }

    /// The list that is asked and tested by `plan`: the one that is known, or a new one that was never tested.
    pub fn monitor(&self, plan: Plan) -> Arc<Monitored> {
        let mut known = lock(&self.known);
        if let Some(list) = known.iter().filter_map(|(_, list)| list.upgrade()).find(|list| list.plan == plan) {
            return list;
        }
        let meter = self.metrics.meter(&plan.name);
        meter.up.set(1);
        let list = Arc::new(Monitored {
            health: Mutex::new(Health::new(plan.interval, plan.deadline, Instant::now())),
            meter,
            changed: Arc::clone(&self.changed),
            plan,
        });
        known.push((list.plan.name.clone(), Arc::downgrade(&list)));
        self.changed.notify_one();
        list
    }

    /// Those that are still asked. Forgets the others.
    pub(super) fn alive(&self) -> Vec<Arc<Monitored>> {
        let mut known = lock(&self.known);
        let alive: Vec<Arc<Monitored>> = known.iter().filter_map(|(_, list)| list.upgrade()).collect();
        known.retain(|(name, list)| {
            let gone = list.strong_count() == 0;
            if gone && alive.iter().all(|list| list.plan.name != *name) {
                self.metrics.forget(name);
            }
            !gone
        });
        alive
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

    /// True if questions may be sent now.
    pub fn admit(&self) -> bool {
        lock(&self.health).admit(Instant::now()).is_ok()
    }

    /// True if a listing must be confirmed by the test points; see [`Health::is_stale`]. Without a point
    /// that must not be listed there is nothing to confirm it by.
    pub fn wants_confirmation(&self) -> bool {
        !self.plan.not_listed.is_empty() && lock(&self.health).is_stale(Instant::now())
    }

    /// See [`Health::is_suspended`].
    pub fn is_suspended(&self) -> bool {
        lock(&self.health).is_suspended()
    }

    /// Takes note of the answer to a question of a session; see [`Health::answered`].
    pub fn answered(&self, answer: Answered, cached: bool, took: Duration) {
        self.meter.count_answer(answer);
        if !cached && answer != Answered::NoAnswer {
            self.meter.duration.observe(took.as_secs_f64());
        }
        let mut health = lock(&self.health);
        let events = health.answered(Instant::now(), answer, cached, took);
        self.tell(&health, &events);
        drop(health);
        if !events.is_empty() {
            self.changed.notify_one();
        }
    }

    /// Takes note of a round of test points.
    pub(super) fn tested(&self, round: &Round) {
        let mut health = lock(&self.health);
        let events = health.tested(Instant::now(), round, rand::random());
        self.tell(&health, &events);
    }

    /// Whether its test points are to be asked now; see [`Health::begin_test`].
    ///
    /// # Errors
    /// When they are.
    pub(super) fn begin_test(&self) -> Result<(), Instant> {
        lock(&self.health).begin_test(Instant::now())
    }

    /// Says what has changed, once.
    fn tell(&self, health: &Health, events: &[Event]) {
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
                    self.meter.set_alert(*alert, true);
                }
                Event::Cleared(alert) => {
                    info!(list, zone, alert = alert.label(), "list.alert_over");
                    self.meter.set_alert(*alert, false);
                }
            }
        }
        if !events.is_empty() {
            self.meter.up.set(i64::from(health.is_up()));
        }
    }
}

/// A panic elsewhere leaves every value whole: each is changed by one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
