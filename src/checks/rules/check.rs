//! Rules as checks: those of the envelope when MAIL was said, the others once the message is here.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use super::set::{Phase, Set};
use super::view::{Envelope, View};
use crate::checks::Check;
use crate::checks::client_name::ClientNames;
use crate::checks::model::model;
use crate::facts::{ClientName, MailFacts, MessageFacts};
use crate::message::{Message, Model};
use crate::pattern::Budget;
use crate::scoring::{CheckName, Finding, Outcome, Spec, Symbol};

/// Octets that are looked at without letting others have their turn; about a millisecond.
const IN_PLACE: usize = 256 << 10;
/// How long the rules may take for one message, without the time in which others have their turn.
const TIME_MOST: Duration = Duration::from_secs(1);

/// Rules that need the message.
pub struct MessageRules {
    set: Arc<Set>,
    names: ClientNames,
    spec: Spec,
}

/// Rules that need the envelope only.
pub struct EnvelopeRules {
    set: Arc<Set>,
    spec: Spec,
}

/// Found where not every expression was run to its end, of a message.
const UNFINISHED: &str = "RULES_UNFINISHED";
/// The same of an envelope.
const ENVELOPE_UNFINISHED: &str = "ENVELOPE_RULES_UNFINISHED";

fn spec(name: &str, set: &Set, phase: Phase, unfinished: &'static str) -> Spec {
    let emits = set.symbols(phase).cloned().chain([Symbol::known(unfinished)]).collect();
    Spec { name: CheckName::new(name), emits, exclusive: false }
}

/// The same budget, from now on for so long.
fn within(budget: Budget, left: Duration) -> Budget {
    let begun = Instant::now();
    budget.until(move || begun.elapsed() >= left)
}

impl MessageRules {
    /// Judges by these rules.
    pub fn new(set: Arc<Set>, names: ClientNames) -> Self {
        Self { spec: spec("rules", &set, Phase::Message, UNFINISHED), set, names }
    }

    async fn client_name(&self, facts: &MessageFacts) -> Option<String> {
        if !self.set.needs_client_name() {
            return None;
        }
        match self.names.of(&facts.mail.helo.client).await {
            Ok(Some(ClientName::Confirmed(name))) => Some(name.to_string()),
            _ => None,
        }
    }
}

impl Check for MessageRules {
    type Facts = MessageFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    async fn run(&self, facts: &MessageFacts) -> Outcome {
        let model = model(facts).await;
        let mut envelope = envelope(&facts.mail);
        envelope.recipients = facts.recipients.iter().map(ToString::to_string).collect();
        envelope.client_name = self.client_name(facts).await;
        let is_large = facts.message.octets().len() > IN_PLACE;
        let (mut state, mut budget, mut left) = (self.set.begin(), Budget::default(), TIME_MOST);
        let view = View::new(&facts.message, model, &envelope);
        for place in 0..self.set.targets() {
            let begun = Instant::now();
            budget = within(budget, left);
            self.set.look(place, Phase::Message, &view, &mut budget, &mut state);
            left = left.saturating_sub(begun.elapsed());
            if is_large {
                tokio::task::yield_now().await;
            }
        }
        let mut findings = self.set.findings(Phase::Message, &state);
        findings.extend(unfinished(&budget, UNFINISHED));
        Outcome::from_findings(findings)
    }
}

impl EnvelopeRules {
    /// Judges by these rules.
    pub fn new(set: Arc<Set>) -> Self {
        Self { spec: spec("rules.envelope", &set, Phase::Envelope, ENVELOPE_UNFINISHED), set }
    }
}

impl Check for EnvelopeRules {
    type Facts = MailFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    async fn run(&self, facts: &MailFacts) -> Outcome {
        let (message, model, envelope) = (Message::new(Vec::new(), 0), Model::default(), envelope(facts));
        let view = View::new(&message, &model, &envelope);
        let mut budget = within(Budget::default(), TIME_MOST);
        let mut findings = self.set.judge(Phase::Envelope, &view, &mut budget);
        findings.extend(unfinished(&budget, ENVELOPE_UNFINISHED));
        Outcome::from_findings(findings)
    }
}

/// Rules may have been missed: whoever wrote the message may have wanted that, and whoever wrote the rules must know.
fn unfinished(budget: &Budget, symbol: &'static str) -> Option<Finding> {
    budget.ran_out().then(|| {
        info!(stopped = budget.stopped(), symbol, "rules.unfinished");
        Finding::new(Symbol::known(symbol), format!("{} runs of expressions were stopped", budget.stopped()))
    })
}

/// What is known when MAIL was said.
fn envelope(facts: &MailFacts) -> Envelope {
    Envelope {
        helo: facts.helo.name.to_string(),
        from: facts.reverse_path.to_string(),
        recipients: Vec::new(),
        client: facts.helo.client.addr,
        client_name: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::condition::{Condition, Matcher, TextPart};
    use super::super::{Rule, Sample};
    use super::*;
    use crate::checks::rules::condition::Target;
    use crate::dns::Offline;

    /// A rule that only the engine can run that takes steps.
    fn set() -> Arc<Set> {
        let condition = Condition::new(Target::Text(TextPart::Shown), Matcher::Regex("(?!x)hello".into()));
        let symbol = Symbol::new("SOMETHING").expect("a symbol");
        let description = "about".into();
        let rule = Rule { symbol, description, shadow: false, all: vec![condition], any: Vec::new(), none: Vec::new() };
        Arc::new(Set::compile(vec![rule]).expect("a rule"))
    }

    #[test]
    fn rules_that_could_not_be_run_are_found() {
        let (set, sample) = (set(), Sample::parse("\nhello").expect("a message"));
        for (mut budget, found, unfinished) in
            [(Budget::default(), 1, None), (Budget::of_steps(0), 0, Some(UNFINISHED))]
        {
            assert_eq!(set.judge(Phase::Message, &sample.view(), &mut budget).len(), found);
            let finding = super::unfinished(&budget, UNFINISHED);
            assert_eq!(finding.as_ref().map(|finding| finding.symbol.as_str()), unfinished);
        }
    }

    #[test]
    fn what_is_found_of_the_rules_themselves_is_declared() {
        let check = MessageRules::new(set(), ClientNames::new(1, Arc::new(Offline)));
        let emits: Vec<_> = Check::spec(&check).emits.iter().map(Symbol::as_str).collect();
        assert_eq!(emits, ["SOMETHING", UNFINISHED]);
        let emits: Vec<_> = EnvelopeRules::new(set()).spec.emits.iter().map(ToString::to_string).collect();
        assert_eq!(emits, [ENVELOPE_UNFINISHED]);
    }
}
