//! The classifier: what a message says and is, held against what was learned here (`docs/classifier.md`).
//!
//! It learns only what somebody else knows: from people, and if the administrator wants that from traps. Its own
//! verdicts, and those of the filter, teach it nothing.
//!
//! Failure: a store that cannot be asked says nothing about any message.

use std::sync::Arc;

use super::{Check, Fate};
use crate::classifier::{Features, Leaning, Opinion, Settings as Voice, opinion};
use crate::facts::MessageFacts;
use crate::message::{Message, Model};
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Skip, Spec, Symbol};
use crate::store::{Lesson, LessonId, Teachings};
use crate::units::Percent;

/// What an administrator can set about it (`rules/classifier.toml`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// When it says something, and how loudly.
    pub voice: Voice,
    /// Messages to traps are learned as spam.
    pub learns_from_traps: bool,
}

/// Says to which side a message leans.
pub struct Classifier {
    settings: Settings,
    store: Option<Arc<dyn Teachings>>,
    spec: Spec,
}

impl Classifier {
    /// With what was learned; `None`: nothing, and it never says anything.
    pub fn new(settings: Settings, store: Option<Arc<dyn Teachings>>) -> Self {
        let emits = ["CLASSIFIER_SPAM", "CLASSIFIER_HAM"].map(Symbol::known).into();
        Self { settings, store, spec: Spec { name: CheckName::new("classifier"), emits, exclusive: true } }
    }
}

impl Check for Classifier {
    type Facts = MessageFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    async fn run(&self, facts: &MessageFacts) -> Outcome {
        let Some(store) = &self.store else { return Outcome::Skipped(Skip::NotApplicable) };
        let features = Features::of(super::model::model(facts).await);
        let cells = features.cells();
        let weighed = match store.classifier_weigh(&cells).await {
            Ok(weighed) => weighed,
            Err(why) => return Outcome::Failed(CheckError::Store(why.to_string())),
        };
        let said = opinion(&self.settings.voice, &features, &cells, &weighed.held, &weighed.taught);
        said.map_or(Outcome::Clear, |said| Outcome::Found(vec![finding(&said)]))
    }

    fn remembers(&self) -> bool {
        self.store.is_some() && self.settings.learns_from_traps
    }

    async fn remember(&self, facts: &MessageFacts, fate: &Fate) {
        let Some(store) = &self.store else { return };
        // Reports about mail that somebody else forged lead to traps, too; and what comes again is learned then.
        if facts.traps() == 0 || facts.mail.reverse_path.is_null() || fate.abandoned {
            return;
        }
        let (id, cells) = named(super::model::model(facts).await);
        // A failure was counted and logged where it happened; there is nothing to do about it here.
        let _ = store.classifier_learn(Lesson { id, is_spam: true, cells }, facts.mail.at).await;
    }
}

/// What a message is learned as: its name, and the cells of its features.
pub fn features_of(message: &Message) -> (LessonId, Vec<u32>) {
    named(&Model::of(message))
}

fn named(model: &Model) -> (LessonId, Vec<u32>) {
    let features = Features::of(model);
    (LessonId(features.name()), features.cells())
}

fn finding(said: &Opinion) -> Finding {
    let symbol = match said.leaning {
        Leaning::Spam => "CLASSIFIER_SPAM",
        Leaning::Ham => "CLASSIFIER_HAM",
    };
    let Opinion { probability, known, strongest, .. } = said;
    let (probability, known) = (probability * 100.0, known * 100.0);
    let evidence = format!("{probability:.1} % spam, {known:.0} % known: {}", strongest.join(", "));
    Finding { strength: Percent::new(said.percent), ..Finding::new(Symbol::known(symbol), evidence) }
}

#[cfg(test)]
mod tests;
