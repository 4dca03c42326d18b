//! The check.

use std::sync::Arc;

use super::{SYMBOLS, Seen, Settings, judge};
use crate::checks::Check;
use crate::checks::model::model;
use crate::facts::MessageFacts;
use crate::scoring::{CheckName, Outcome, Spec, Symbol};

/// Finds who pretends to be somebody else.
pub struct Deception {
    settings: Arc<Settings>,
    spec: Spec,
}

impl Deception {
    /// Knows whom others imitate.
    pub fn new(settings: Arc<Settings>) -> Self {
        let emits = SYMBOLS.map(Symbol::known).into();
        Self { settings, spec: Spec { name: CheckName::new("deception"), emits, exclusive: false } }
    }
}

impl Check for Deception {
    type Facts = MessageFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    async fn run(&self, facts: &MessageFacts) -> Outcome {
        let model = model(facts).await;
        let sender = facts.mail.reverse_path.to_string();
        let recipients = facts.recipients.iter().map(ToString::to_string).collect();
        let seen = Seen::new(model, sender.trim_matches(['<', '>']), recipients);
        Outcome::from_findings(judge(&self.settings, &seen))
    }
}
