//! SpamAssassin's rules as a check: each rule that hits is a symbol of its name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tracing::debug;

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
        let spec =
            Spec { name: CheckName::new("spamassassin"), emits: symbols.iter().cloned().collect(), exclusive: false };
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
    if budget.ran_out() {
        debug!(stopped = budget.stopped(), "spamassassin.budget");
    }
    let found = hits.iter().filter_map(|hit| symbols.get(hit.name));
    found.map(|(symbol, description)| Finding::new(symbol.clone(), description.as_str())).collect()
}
