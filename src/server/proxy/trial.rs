//! New rules that judge some clients for a while: from the disk to everybody, or back.
//!
//! Only what judges is tried; whatever else has changed in the configuration waits for a reload. A trial ends by
//! itself, in one of three ways: the new rules differ more than they may, and the old ones judge everybody again; the
//! time is over, and they judge everybody; the time is over, and too little has come to say anything, so that they do
//! not. What is put in force is what was tried, whatever has been written meanwhile. A whole reload of other rules ends a
//! trial.
//!
//! Rules on trial lie on the disk, and so do those that did not pass. So that no reload for another reason puts them in
//! force, reloads refuse them until they have changed, or somebody says that he means it.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Proxy, Running, watched};
use crate::config::rules;
use crate::config::{self, Config, Loaded, reload};
use crate::pipeline::Ruleset;
use crate::pipeline::canary::{Canary, Ending};
use crate::server::reload::{Ended, Refused, Standing, Status, Trial, Trials, Wanted};

/// Between two looks at what a trial has come to.
const LOOK: Duration = Duration::from_secs(1);

/// Rules on trial, and what became of those before.
#[derive(Default)]
pub(super) struct Book {
    under_way: Option<UnderWay>,
    last: Option<Ended>,
    /// The version of rules that did not pass.
    declined: Option<Arc<str>>,
}

/// A trial.
struct UnderWay {
    canary: Arc<Canary>,
    /// What was read for it.
    loaded: Loaded,
    path: PathBuf,
    since: Timestamp,
    until: Timestamp,
    beside: Vec<String>,
    stop: CancellationToken,
}

/// What was read for a trial.
struct Read {
    loaded: Loaded,
    candidate: Arc<Ruleset>,
    incumbent: Arc<Ruleset>,
    beside: Vec<String>,
}

/// Tries the rules of one configuration.
struct Desk {
    proxy: Arc<Proxy>,
    path: PathBuf,
    runtime: Handle,
    watched: watch::Sender<Vec<PathBuf>>,
}

impl Book {
    /// Whether rules of that version may judge everybody.
    ///
    /// # Errors
    /// They are on trial, or were and did not pass.
    pub(super) fn admits(&self, version: &str, wanted: &Wanted) -> Result<(), Refused> {
        if wanted.anyway {
            return Ok(());
        }
        if self.under_way.as_ref().is_some_and(|trial| *trial.canary.candidate().version == *version) {
            return Err(Refused::because(format!(
                "the rules {version} are on trial, and some clients only are judged by them: wait, or say \
                 `gatepost reload --promote`, `--abort` or `--anyway`"
            )));
        }
        let declined = self.declined.as_deref().filter(|declined| *declined == version);
        let Some(declined) = declined else { return Ok(()) };
        let ended = self.last.as_ref().filter(|last| last.rules == declined);
        let why = ended.map(|last| format!(" ({}: {})", last.ending.as_str(), last.why)).unwrap_or_default();
        Err(Refused::because(format!(
            "the rules {declined} were on trial and did not pass{why}: change them, or say \
             `gatepost reload --anyway`"
        )))
    }

    fn standing(&self) -> Option<Standing> {
        let one = self.under_way.as_ref()?;
        let terms = one.canary.terms();
        Some(Standing {
            rules: one.canary.candidate().version.to_string(),
            against: one.canary.incumbent().version.to_string(),
            share_percent: terms.share.get() * 100.0,
            since: one.since,
            until: one.until,
            promote: terms.promotes,
            bounds: terms.bounds,
            figures: one.canary.figures(),
            beside: one.beside.clone(),
        })
    }

    /// Notes how the trial that was under way ended, and tells everybody.
    fn close(&mut self, trial: &UnderWay, ending: Ending, why: String) -> Ended {
        trial.stop.cancel();
        trial.canary.ends(ending);
        let rules = trial.canary.candidate().version.clone();
        let figures = trial.canary.figures();
        let ended = Ended { rules: rules.to_string(), ending, why, at: Timestamp::now(), figures };
        self.last = Some(ended.clone());
        self.declined = match ending {
            Ending::Promoted | Ending::Replaced => None,
            Ending::RolledBack | Ending::Undecided | Ending::Aborted => Some(rules),
        };
        let (canary, control, pairs) = (figures.canary, figures.control, figures.pairs);
        if ending == Ending::RolledBack {
            warn!(rules = ended.rules, why = ended.why, ?canary, ?control, ?pairs, "canary.rolled_back");
        } else {
            let ending = ending.as_str();
            info!(rules = ended.rules, ending, why = ended.why, ?canary, ?control, ?pairs, "canary.ended");
        }
        ended
    }
}

impl Proxy {
    /// Tries the rules of the configuration at `path`. Call it within a runtime.
    pub fn trials(self: &Arc<Self>, path: PathBuf) -> Arc<dyn Trials> {
        let (watched, _) = watch::channel(Vec::new());
        Arc::new(Desk { proxy: Arc::clone(self), path, runtime: Handle::current(), watched })
    }

    /// A whole configuration takes the place of whatever is on trial.
    pub(super) fn replace_trial(&self, trials: &mut Book, version: &str) {
        self.shared.canary.store(None);
        if let Some(trial) = trials.under_way.take() {
            trials.close(&trial, Ending::Replaced, format!("the rules {version} were loaded for everybody"));
        }
        trials.declined = None;
    }

    /// Ends the trial of `canary`, or whichever is under way. `None`: it is over.
    fn end_trial(
        self: &Arc<Self>,
        canary: Option<&Arc<Canary>>,
        ending: Ending,
        why: String,
        watching: &watch::Sender<Vec<PathBuf>>,
    ) -> Option<Ended> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let is_meant = |trial: &mut UnderWay| canary.is_none_or(|canary| Arc::ptr_eq(canary, &trial.canary));
        let trial = running.trials.under_way.take_if(is_meant)?;
        if ending == Ending::Promoted {
            self.promote(&mut running, &trial, watching);
        }
        self.shared.canary.store(None);
        let ended = running.trials.close(&trial, ending, why);
        drop(running);
        if ending == Ending::Promoted {
            self.keep_rules(&trial.path);
        }
        Some(ended)
    }

    fn promote(&self, running: &mut Running, trial: &UnderWay, watching: &watch::Sender<Vec<PathBuf>>) {
        let candidate = trial.canary.candidate();
        candidate.put_in_force(&self.pipeline_metrics);
        self.shared.ruleset.store(candidate.clone());
        let Running { loaded, .. } = running;
        loaded.config.rules = trial.loaded.config.rules.clone();
        loaded.raw.rules = trial.loaded.raw.rules.clone();
        loaded.files.clone_from(&trial.loaded.files);
        loaded.rules_refused = None;
        self.from_snapshot.set(0);
        watching.send_replace(watched(loaded));
        info!(rules = %candidate.version, "rules.loaded");
    }
}

impl Desk {
    /// Reads the configuration, and makes a rule set of its rules and everything else that is in force.
    fn candidate(&self, wanted: &Wanted) -> Result<Read, Refused> {
        let loaded = config::load(&self.path)?;
        wanted.holds(&loaded.digest)?;
        let rules = loaded.config.rules.clone();
        let running = self.proxy.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.trials.under_way.is_some() {
            return Err(under_way());
        }
        running.trials.admits(&rules.version, wanted)?;
        let in_force = running.loaded.config.clone();
        let incumbent = self.proxy.shared.ruleset.load_full();
        let changed = reload::diff(&running.loaded, &loaded);
        drop(running);
        if !in_force.checks.enabled {
            return Err(Refused::because("checks are off (checks.enabled): no rules judge anybody"));
        }
        if rules.version == in_force.rules.version {
            let watching =
                if in_force.reload.watch { ": with reload.watch whatever changes is loaded at once" } else { "" };
            return Err(Refused::because(format!("the rules {} judge everybody already{watching}", rules.version)));
        }
        let ruleset = rules::load(&Config { rules, ..in_force }, &self.proxy.ports)?;
        let candidate = Arc::new(ruleset.counted_in(&self.proxy.pipeline_metrics));
        Ok(Read { loaded, candidate, incumbent, beside: [changed.live, changed.restart].concat() })
    }

    /// Looks at a trial until it is over.
    async fn oversee(
        proxy: Weak<Proxy>,
        canary: Arc<Canary>,
        stop: CancellationToken,
        watched: watch::Sender<Vec<PathBuf>>,
    ) {
        let until = Instant::now() + canary.terms().lasts;
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = stop.cancelled() => return,
            }
            let is_over = Instant::now() >= until && canary.terms().promotes;
            let Some((ending, why)) = canary.ending(is_over) else { continue };
            if let Some(proxy) = proxy.upgrade() {
                proxy.end_trial(Some(&canary), ending, why, &watched);
            }
            return;
        }
    }
}

fn under_way() -> Refused {
    Refused::because("rules are on trial already: wait, or say `gatepost reload --promote` or `--abort`")
}

impl Trials for Desk {
    fn begin(&self, wanted: &Wanted, trial: &Trial) -> Result<Standing, Refused> {
        let Read { loaded, candidate, incumbent, beside } = self.candidate(wanted)?;
        let mut running = self.proxy.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.trials.under_way.is_some() {
            return Err(under_way());
        }
        if !Arc::ptr_eq(&incumbent, &self.proxy.shared.ruleset.load()) {
            return Err(Refused::because("a whole configuration was loaded meanwhile: ask again"));
        }
        let terms = trial.over(running.loaded.config.reload.canary)?;
        let canary = Canary::new(candidate, incumbent, terms, self.proxy.canary_metrics.clone());
        let canary = Arc::new(canary.map_err(Refused::because)?);
        let since = Timestamp::now();
        let lasts = SignedDuration::try_from(terms.lasts).unwrap_or(SignedDuration::MAX);
        let until = since.checked_add(lasts).unwrap_or(Timestamp::MAX);
        let stop = CancellationToken::new();
        let path = self.path.clone();
        let one = UnderWay { canary: canary.clone(), loaded, path, since, until, beside, stop: stop.clone() };
        let rules = &canary.candidate().version;
        info!(%rules, against = %canary.incumbent().version, share = terms.share.get(), %until, "canary.began");
        running.trials.under_way = Some(one);
        self.proxy.shared.canary.store(Some(canary.clone()));
        let standing = running.trials.standing();
        drop(running);
        self.runtime.spawn(Self::oversee(Arc::downgrade(&self.proxy), canary, stop, self.watched.clone()));
        standing.ok_or_else(under_way)
    }

    fn end(&self, promote: bool) -> Result<Ended, Refused> {
        let ending = if promote { Ending::Promoted } else { Ending::Aborted };
        let _within = self.runtime.enter();
        let ended = self.proxy.end_trial(None, ending, "the operator said so".to_owned(), &self.watched);
        ended.ok_or_else(|| Refused::because("no rules are on trial"))
    }

    fn status(&self) -> Status {
        let running = self.proxy.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (canary, last) = (running.trials.standing(), running.trials.last.clone());
        Status { rules: running.loaded.config.rules.version.to_string(), canary, last }
    }

    fn watched(&self) -> watch::Receiver<Vec<PathBuf>> {
        self.watched.subscribe()
    }
}
