//! What the running server can be told about its configuration, and what it answers.
//!
//! Reading a configuration may take longer than anybody waits on a connection: whoever asks gets a number, and with it
//! the outcome, as soon as there is one. Attempts are made one after another; rules to be tried are read by one at a time.

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::config::{Mistake, Problems};
use crate::pipeline::canary::{Bounds, Ending, Figures, Share, Terms};

/// Attempts that wait for the one before.
pub(super) const WAITING: usize = 4;
/// Attempts whose outcome is still known.
const KNOWN: usize = 32;
/// How long one who asks for an outcome waits for it; then he asks again.
const PATIENCE: Duration = Duration::from_secs(10);

/// On what condition a configuration is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    /// Only if its digest is this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// Even if its rules are on trial, or were and did not pass.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub anyway: bool,
}

/// What was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// The version of the rules.
    pub rules: String,
    /// The digest of the whole configuration.
    pub digest: String,
    /// The rules are others than before.
    pub rules_changed: bool,
    /// Keys with other values than before, which count from now on.
    pub changed: Vec<String>,
    /// Keys with other values than before, which count after a restart.
    pub restart: Vec<String>,
}

/// A configuration was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why, for people.
    pub reason: String,
    /// What is wrong with it.
    pub problems: Vec<Mistake>,
}

/// How rules are to be tried, where that differs from what is configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trial {
    /// Percent of the clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_percent: Option<f64>,
    /// How long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Transactions before anything is concluded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_transactions: Option<u64>,
    /// Bounds, in percent of all transactions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_rejects_percent: Option<f64>,
    /// The same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_defers_percent: Option<f64>,
    /// The same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fewer_rejects_percent: Option<f64>,
    /// Whether they judge everybody once the time is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promote: Option<bool>,
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// On what condition.
    #[serde(default)]
    pub wanted: Wanted,
    /// On trial, and not for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Trial>,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It is in force.
    Applied(Loaded),
    /// Its rules judge some clients.
    OnTrial(Box<Standing>),
    /// The trial is over.
    Ended(Box<Ended>),
    /// Nothing has changed.
    Refused {
        /// Why, for people.
        reason: String,
        /// What is wrong with it.
        problems: Vec<Mistake>,
    },
}

/// An attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Names it.
    pub number: u64,
    /// What came of it; absent as long as it goes on.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// Rules on trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The new ones.
    pub rules: String,
    /// Those that judge everybody else.
    pub against: String,
    /// Percent of the clients that the new ones judge.
    pub share_percent: f64,
    /// Since when.
    pub since: Timestamp,
    /// When the time is over.
    pub until: Timestamp,
    /// They judge everybody then, without being told to.
    pub promote: bool,
    /// How far they may differ; shares are from 0 to 1.
    pub bounds: Bounds,
    /// What was counted.
    pub figures: Figures,
    /// Keys of the configuration that have other values on the disk, too, and are no part of the trial.
    pub beside: Vec<String>,
}

/// A trial that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// The new rules.
    pub rules: String,
    /// How.
    pub ending: Ending,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
    /// What was counted.
    pub figures: Figures,
}

/// Which rules judge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Everybody, or all who are not on trial.
    pub rules: String,
    /// The trial under way.
    pub canary: Option<Standing>,
    /// The last one that has ended.
    pub last: Option<Ended>,
}

/// Who tries rules.
pub trait Trials: Send + Sync + 'static {
    /// Reads the configuration and has its rules judge some clients. Blocks.
    ///
    /// # Errors
    /// Why not.
    fn begin(&self, wanted: &Wanted, trial: &Trial) -> Result<Standing, Refused>;

    /// Ends the trial: with the new rules for everybody, or with the old ones.
    ///
    /// # Errors
    /// There is none.
    fn end(&self, promote: bool) -> Result<Ended, Refused>;

    /// Which rules judge.
    fn status(&self) -> Status;

    /// The files to be watched, whenever a trial has changed them.
    fn watched(&self) -> watch::Receiver<Vec<PathBuf>>;
}

/// A whole configuration is asked for.
pub(super) struct Asked {
    pub(super) wanted: Wanted,
    pub(super) answer: oneshot::Sender<Outcome>,
}

/// Where the admin pages ask.
pub struct Desk {
    orders: mpsc::Sender<Asked>,
    trials: Option<Arc<dyn Trials>>,
    /// Held by the one who reads rules to be tried.
    trying: Arc<Semaphore>,
    attempts: Mutex<Attempts>,
    told: Notify,
}

#[derive(Default)]
struct Attempts {
    last: u64,
    known: VecDeque<Attempt>,
}

// === impl Wanted, Refused, Trial ===

impl Wanted {
    /// Whether a configuration of that digest is meant.
    ///
    /// # Errors
    /// It has changed.
    pub(super) fn holds(&self, digest: &str) -> Result<(), Refused> {
        match &self.expected {
            Some(expected) if expected != digest => Err(Refused::because(format!(
                "the configuration has changed since it was tested (its digest was {expected} and is {digest}): test \
                 again, and name the file that the proxy was started with"
            ))),
            _ => Ok(()),
        }
    }
}

impl Refused {
    /// For a reason that is in no file.
    pub fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), problems: Vec::new() }
    }
}

impl From<Problems> for Refused {
    fn from(problems: Problems) -> Self {
        Self { reason: problems.render(false), problems: problems.told() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl From<Refused> for Outcome {
    fn from(refused: Refused) -> Self {
        let Refused { reason, problems } = refused;
        // What the problems say need not be said twice.
        let reason = if problems.is_empty() { reason } else { "the configuration does not load".to_owned() };
        Self::Refused { reason, problems }
    }
}

impl Trial {
    /// What is configured, but for what is said here.
    ///
    /// # Errors
    /// A number out of its range.
    pub(super) fn over(&self, usual: Terms) -> Result<Terms, Refused> {
        let share = self.share_percent.map_or(Ok(usual.share), Share::percent);
        let bound = |said: Option<f64>, usual: f64| said.map_or(Ok(usual), Bounds::percent);
        let bounds = || {
            Ok::<_, String>(Bounds {
                min_transactions: self
                    .min_transactions
                    .map_or(Ok(usual.bounds.min_transactions), Bounds::transactions)?,
                more_rejects: bound(self.more_rejects_percent, usual.bounds.more_rejects)?,
                more_defers: bound(self.more_defers_percent, usual.bounds.more_defers)?,
                fewer_rejects: bound(self.fewer_rejects_percent, usual.bounds.fewer_rejects)?,
            })
        };
        Ok(Terms {
            share: share.map_err(Refused::because)?,
            lasts: self.seconds.map_or(Ok(usual.lasts), Terms::lasting).map_err(Refused::because)?,
            promotes: self.promote.unwrap_or(usual.promotes),
            bounds: bounds().map_err(Refused::because)?,
        })
    }
}

// === impl Desk ===

impl Desk {
    pub(super) fn new(orders: mpsc::Sender<Asked>, trials: Option<Arc<dyn Trials>>) -> Arc<Self> {
        let trying = Arc::new(Semaphore::new(1));
        Arc::new(Self { orders, trials, trying, attempts: Mutex::default(), told: Notify::new() })
    }

    /// Begins an attempt, and waits for its outcome for a moment. `None`: too many are waiting.
    pub async fn ask(self: &Arc<Self>, said: Said) -> Option<Attempt> {
        let number = match said.canary {
            Some(trial) => self.try_rules(said.wanted, trial)?,
            None => self.load(said.wanted)?,
        };
        self.outcome(number).await
    }

    /// An attempt, with its outcome if there is one within a moment. `None`: it is known no more.
    pub async fn outcome(&self, number: u64) -> Option<Attempt> {
        let settled = async {
            loop {
                let told = self.told.notified();
                match self.known(number) {
                    Some(Attempt { outcome: None, .. }) => told.await,
                    settled => return settled,
                }
            }
        };
        timeout(PATIENCE, settled).await.unwrap_or_else(|_elapsed| self.known(number))
    }

    /// Ends the trial under way.
    pub fn end(&self, promote: bool) -> Outcome {
        let ended = self.trials.as_ref().ok_or_else(no_trials).and_then(|trials| trials.end(promote));
        ended.map_or_else(Outcome::from, |ended| Outcome::Ended(Box::new(ended)))
    }

    /// Which rules judge.
    pub fn status(&self) -> Status {
        self.trials.as_ref().map(|trials| trials.status()).unwrap_or_default()
    }

    fn load(self: &Arc<Self>, wanted: Wanted) -> Option<u64> {
        let (answer, answered) = oneshot::channel();
        let asked = self.orders.try_send(Asked { wanted, answer });
        if matches!(asked, Err(mpsc::error::TrySendError::Full(_))) {
            return None;
        }
        let (number, desk) = (self.begin(), Arc::clone(self));
        tokio::spawn(async move {
            let stopping = |_closed| Refused::because("the proxy is stopping").into();
            desk.settle(number, answered.await.unwrap_or_else(stopping));
        });
        Some(number)
    }

    fn try_rules(self: &Arc<Self>, wanted: Wanted, trial: Trial) -> Option<u64> {
        let turn = Arc::clone(&self.trying).try_acquire_owned().ok()?;
        let (number, desk, trials) = (self.begin(), Arc::clone(self), self.trials.clone());
        let begun = tokio::task::spawn_blocking(move || {
            let _until_it_is_done = turn;
            trials.ok_or_else(no_trials).and_then(|trials| trials.begin(&wanted, &trial))
        });
        tokio::spawn(async move {
            let mistake = |panic| Err(Refused::because(format!("a mistake in this program: {panic}")));
            let begun = begun.await.unwrap_or_else(mistake);
            desk.settle(number, begun.map_or_else(Outcome::from, |standing| Outcome::OnTrial(Box::new(standing))));
        });
        Some(number)
    }

    fn begin(&self) -> u64 {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.last += 1;
        let number = attempts.last;
        attempts.known.push_back(Attempt { number, outcome: None });
        // Somebody waits for those that go on, and there are few.
        let oldest = attempts.known.iter().position(|attempt| attempt.outcome.is_some());
        if let Some(oldest) = oldest.filter(|_| attempts.known.len() > KNOWN) {
            attempts.known.remove(oldest);
        }
        number
    }

    fn settle(&self, number: u64, outcome: Outcome) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(attempt) = attempts.known.iter_mut().find(|attempt| attempt.number == number) {
            attempt.outcome = Some(outcome);
        }
        drop(attempts);
        self.told.notify_waiters();
    }

    fn known(&self, number: u64) -> Option<Attempt> {
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.known.iter().find(|attempt| attempt.number == number).cloned()
    }
}

fn no_trials() -> Refused {
    Refused::because("no rules can be tried here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_gets_the_outcome_and_no_more_than_so_many_wait() {
        let (orders, mut asked) = mpsc::channel(WAITING);
        let desk = Desk::new(orders, None);
        let asking = tokio::spawn({
            let desk = Arc::clone(&desk);
            async move { desk.ask(Said::default()).await }
        });
        let Asked { wanted, answer } = asked.recv().await.expect("asked");
        assert_eq!(wanted, Wanted::default());
        answer.send(Outcome::Applied(Loaded::default())).expect("waited for");
        let attempt = asking.await.expect("no panic").expect("known");
        assert_eq!(attempt, Attempt { number: 1, outcome: Some(Outcome::Applied(Loaded::default())) });
        assert_eq!(desk.outcome(1).await, Some(attempt));
        for _ in 0..WAITING {
            assert!(desk.load(Wanted::default()).is_some());
        }
        assert!(desk.load(Wanted::default()).is_none());
        assert_eq!(desk.outcome(99).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_answered_late_asks_again() {
        let (orders, mut asked) = mpsc::channel(WAITING);
        let desk = Desk::new(orders, None);
        let attempt = desk.ask(Said::default()).await.expect("known");
        assert_eq!(attempt, Attempt { number: 1, outcome: None });
        drop(asked.recv().await.expect("asked"));
        let attempt = desk.outcome(1).await.expect("known");
        assert!(matches!(attempt.outcome, Some(Outcome::Refused { reason, .. }) if reason.contains("stopping")));
    }

    /// Tries whatever it is told to, as told.
    struct Double {
        begins: Box<dyn Fn() -> Result<Standing, Refused> + Send + Sync>,
    }

    impl Trials for Double {
        fn begin(&self, _wanted: &Wanted, _trial: &Trial) -> Result<Standing, Refused> {
            (self.begins)()
        }
        fn end(&self, _promote: bool) -> Result<Ended, Refused> {
            Err(no_trials())
        }
        fn status(&self) -> Status {
            Status::default()
        }
        fn watched(&self) -> watch::Receiver<Vec<PathBuf>> {
            watch::channel(Vec::new()).1
        }
    }

    fn trying(begins: impl Fn() -> Result<Standing, Refused> + Send + Sync + 'static) -> Arc<Desk> {
        let (orders, _) = mpsc::channel(WAITING);
        Desk::new(orders, Some(Arc::new(Double { begins: Box::new(begins) })))
    }

    fn on_trial() -> Said {
        Said { canary: Some(Trial::default()), ..Said::default() }
    }

    #[tokio::test]
    async fn who_asks_for_a_trial_hears_of_a_mistake_in_this_program_too() {
        let desk = trying(|| panic!("as told"));
        let attempt = timeout(PATIENCE, desk.ask(on_trial())).await.expect("in time").expect("known");
        assert!(matches!(&attempt.outcome, Some(Outcome::Refused { reason, .. }) if reason.contains("a mistake in")));
    }

    #[tokio::test]
    async fn one_at_a_time_reads_rules_to_be_tried() {
        let (go, going) = std::sync::mpsc::channel();
        let going = Mutex::new(going);
        let desk = trying(move || {
            going.lock().expect("no panic").recv().expect("told");
            Err(Refused::because("read"))
        });
        let number = desk.try_rules(Wanted::default(), Trial::default()).expect("the first");
        assert!(desk.ask(on_trial()).await.is_none(), "another one reads");
        go.send(()).expect("waited for");
        assert!(desk.outcome(number).await.is_some_and(|attempt| attempt.outcome.is_some()));
        go.send(()).expect("waited for");
        assert!(desk.ask(on_trial()).await.is_some());
    }

    #[test]
    fn an_attempt_that_goes_on_is_not_forgotten() {
        let desk = Desk::new(mpsc::channel(WAITING).0, None);
        let goes_on = desk.begin();
        for _ in 0..KNOWN * 2 {
            let number = desk.begin();
            desk.settle(number, Refused::because("so").into());
        }
        assert!(desk.known(goes_on).is_some() && desk.known(goes_on + 1).is_none());
        assert_eq!(desk.attempts.lock().expect("no panic").known.len(), KNOWN);
    }

    #[test]
    fn an_attempt_is_one_object_with_its_outcome_or_without() {
        let refused = Refused::because("so").into();
        for (outcome, json) in [
            (None, r#"{"number":7}"#),
            (Some(refused), r#"{"number":7,"outcome":"refused","reason":"so","problems":[]}"#),
        ] {
            let attempt = Attempt { number: 7, outcome };
            assert_eq!(serde_json::to_string(&attempt).expect("plain values"), json);
            assert_eq!(serde_json::from_str::<Attempt>(json).expect(json), attempt);
        }
    }

    #[test]
    fn a_configuration_that_was_not_tested_is_not_the_one_that_is_meant() {
        let wanted = Wanted { expected: Some("one".to_owned()), anyway: false };
        assert!(wanted.holds("one").is_ok() && Wanted::default().holds("two").is_ok());
        assert!(wanted.holds("two").is_err_and(|refused| refused.reason.contains("has changed since")));
    }

    #[test]
    fn terms_have_the_ranges_that_are_configured() {
        let trial = Trial { seconds: Some(90), min_transactions: Some(20), ..Trial::default() };
        let terms = trial.over(Terms::default()).expect("within");
        assert_eq!((terms.lasts, terms.bounds.min_transactions), (Duration::from_secs(90), 20));
        let (seconds, transactions) = ("1 second to 7 days", "20 to 1000000");
        for (seconds, min_transactions, said) in [
            (Some(0), None, seconds),
            (Some(604_801), None, seconds),
            (Some(u64::MAX), None, seconds),
            (None, Some(0), transactions),
            (None, Some(19), transactions),
            (None, Some(1_000_001), transactions),
        ] {
            let refused = Trial { seconds, min_transactions, ..Trial::default() }.over(Terms::default());
            assert!(refused.is_err_and(|refused| refused.reason.contains(said)), "{seconds:?} {min_transactions:?}");
        }
    }
}
