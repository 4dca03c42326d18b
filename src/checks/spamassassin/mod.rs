//! SpamAssassin's rules as a check: each rule that hits is a symbol of its name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tracing::info;

use super::Check;
use super::client_name::ClientNames;
use crate::facts::{ClientName, MessageFacts};
use crate::pattern::Budget;
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Spec, Symbol};
use crate::spamassassin::{Envelope, RuleSet};

/// Octets of a message that are looked at.
const OCTETS_MOST: usize = 512 * 1024;
/// A message that large is looked at in place; more goes to the blocking pool.
const IN_PLACE: usize = 16 * 1024;
/// How long the rules may take.
const TIME_MOST: Duration = Duration::from_millis(500);
/// Found where not every rule was run to its end.
pub const UNFINISHED: &str = "SPAMASSASSIN_UNFINISHED";

/// Runs the rules.
pub struct SpamAssassin {
    rules: Arc<RuleSet>,
    symbols: Arc<BTreeMap<String, (Symbol, String)>>,
    names: ClientNames,
    spec: Spec,
}

impl SpamAssassin {
    /// These rules, of which those become findings that have a symbol.
    pub fn new(rules: Arc<RuleSet>, symbols: Vec<Symbol>, names: ClientNames) -> Self {
        let emits = symbols.iter().cloned().chain([Symbol::known(UNFINISHED)]).collect();
        let spec = Spec { name: CheckName::new("spamassassin"), emits, exclusive: false };
        let described = rules.symbols().filter_map(|(name, _, description)| {
            let symbol = symbols.iter().find(|symbol| symbol.as_str() == name)?;
            Some((name.to_owned(), (symbol.clone(), description.to_owned())))
        });
        Self { symbols: Arc::new(described.collect()), rules, names, spec }
    }
}

impl Check for SpamAssassin {
    type Facts = MessageFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    async fn run(&self, facts: &MessageFacts) -> Outcome {
        let helo = &facts.mail.helo;
        let client = helo.client.addr;
        let client_name = match self.names.of(&helo.client).await {
            Ok(Some(ClientName::Confirmed(name))) => name.to_string(),
            _ => String::new(),
        };
        let from = facts.mail.reverse_path.to_string();
        let envelope = Envelope {
            client: Some(client),
            client_name,
            helo: helo.name.to_string(),
            from: Some(from.trim_matches(['<', '>']).to_owned()),
        };
        let now = facts.mail.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
        let (rules, symbols, message) = (self.rules.clone(), self.symbols.clone(), facts.message.clone());
        let is_small = message.octets().len() <= IN_PLACE;
        let judge = move || {
            let octets = message.octets();
            judge(&rules, &symbols, octets.get(..OCTETS_MOST).unwrap_or(octets), &envelope, now)
        };
        if is_small {
            return Outcome::from_findings(judge());
        }
        match tokio::task::spawn_blocking(judge).await {
            Ok(findings) => Outcome::from_findings(findings),
            Err(_) => Outcome::Failed(CheckError::Panicked),
        }
    }
}

fn judge(
    rules: &RuleSet,
    symbols: &BTreeMap<String, (Symbol, String)>,
    message: &[u8],
    envelope: &Envelope,
    now: i64,
) -> Vec<Finding> {
    let end = Instant::now() + TIME_MOST;
    let mut budget = Budget::default().until(move || Instant::now() >= end);
    let hits = rules.hits(message, envelope, now, &mut budget);
    let found = hits.iter().filter_map(|hit| symbols.get(hit.name));
    let found = found.map(|(symbol, description)| Finding::new(symbol.clone(), description.as_str()));
    found.chain(unfinished(&budget)).collect()
}

/// Rules may have been missed: whoever wrote the message may have wanted that.
fn unfinished(budget: &Budget) -> Option<Finding> {
    budget.ran_out().then(|| {
        info!(stopped = budget.stopped(), "spamassassin.unfinished");
        let evidence = format!("{} runs of expressions were stopped", budget.stopped());
        Finding::new(Symbol::known(UNFINISHED), evidence)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_could_not_be_run_are_found() {
        for (budget, expected) in [(Budget::default(), None), (Budget::of_steps(0), Some(UNFINISHED))] {
            let mut budget = budget;
            let files = [("local.cf".to_owned(), b"body T /a(?=b)/\n".to_vec())];
            let set = RuleSet::read(&files, &mut |name| Err(name.to_owned()));
            set.hits(b"Subject: x\n\nab\n", &Envelope::default(), 0, &mut budget);
            let found = unfinished(&budget);
            assert_eq!(found.as_ref().map(|finding| finding.symbol.as_str()), expected);
        }
        let check = SpamAssassin::new(Arc::default(), Vec::new(), ClientNames::new(1, Arc::new(crate::dns::Offline)));
        assert!(check.spec().emits.iter().any(|symbol| symbol.as_str() == UNFINISHED));
    }
}
