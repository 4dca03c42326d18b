//! The checks: they look whether somebody is over a limit, each where it is known whom it is about.

use std::sync::Arc;

use super::ledger::{Ledger, Who};
use super::{Answer, Limit, Unit, judge};
use crate::checks::{Check, Fate};
use crate::facts::{ClientFacts, MailFacts, RcptFacts, Stage};
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Skip, Spec};
use crate::store::{StoreError, Taken};

/// Connections.
pub struct AtConnect(Desk);

/// What was done before this transaction. It also takes what the transaction itself comes to.
pub struct AtMail(Desk);

/// What is counted for recipients, and what this transaction has come to so far.
pub struct AtRcpt(Desk);

/// What all do.
struct Desk {
    ledger: Arc<Ledger>,
    stage: Stage,
    spec: Spec,
}

impl AtConnect {
    /// Refuses nobody by itself.
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self(Desk::new(ledger, Stage::Connect, "rates.connect"))
    }
}

impl AtMail {
    /// Refuses nobody by itself.
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self(Desk::new(ledger, Stage::Mail, "rates.mail"))
    }
}

impl AtRcpt {
    /// Refuses nobody by itself.
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self(Desk::new(ledger, Stage::Rcpt, "rates.rcpt"))
    }
}

impl Check for AtConnect {
    type Facts = ClientFacts;

    fn spec(&self) -> &Spec {
        &self.0.spec
    }

    async fn run(&self, facts: &ClientFacts) -> Outcome {
        self.0.run(facts, Who::of_client(facts), |_| 0).await
    }
}

impl Check for AtMail {
    type Facts = MailFacts;

    fn spec(&self) -> &Spec {
        &self.0.spec
    }

    async fn run(&self, facts: &MailFacts) -> Outcome {
        self.0.run(&facts.helo.client, Who::of_mail(facts), |_| 0).await
    }

    fn remembers(&self) -> bool {
        self.0.ledger.has_store()
    }

    async fn remember(&self, facts: &MailFacts, fate: &Fate) {
        self.0.ledger.settle(facts, fate).await;
    }
}

impl Check for AtRcpt {
    type Facts = RcptFacts;

    fn spec(&self) -> &Spec {
        &self.0.spec
    }

    async fn run(&self, facts: &RcptFacts) -> Outcome {
        let who = Who::of_mail(&facts.mail).to(&facts.forward_path);
        // Those before it are taken when the transaction ends.
        let before = u32::try_from(facts.index).unwrap_or(u32::MAX);
        self.0.run(&facts.mail.helo.client, who, |limit| if limit.of == Unit::Recipients { before } else { 0 }).await
    }
}

impl Desk {
    fn new(ledger: Arc<Ledger>, stage: Stage, name: &str) -> Self {
        let own = ledger.limits().iter().filter(|limit| limit.stage() == stage);
        let emits = own.map(|limit| limit.symbol.clone()).collect();
        Self { spec: Spec { name: CheckName::new(name), emits, exclusive: false }, stage, ledger }
    }

    async fn run(&self, client: &ClientFacts, who: Who<'_>, pending: impl Fn(&Limit) -> u32) -> Outcome {
        if !self.ledger.has_store() {
            return Outcome::Skipped(Skip::NotApplicable);
        }
        if self.ledger.is_spared(client) {
            return Outcome::Skipped(Skip::Trusted);
        }
        let looked = self.ledger.look(|limit| limit.stage() == self.stage, who).await;
        outcome(looked, pending)
    }
}

fn outcome(looked: Result<Vec<(&Limit, Taken)>, StoreError>, pending: impl Fn(&Limit) -> u32) -> Outcome {
    let looked = match looked {
        Ok(looked) => looked,
        Err(why) => return Outcome::Failed(CheckError::Store(why.to_string())),
    };
    let over = looked.into_iter().filter_map(|(limit, taken)| {
        let finding = Finding::new(limit.symbol.clone(), judge(limit, &taken, pending(limit))?);
        // What weighs is about the mail; what defers or slows down is about this one reply.
        Some(Finding { transaction: limit.then == Answer::Score, ..finding })
    });
    Outcome::from_findings(over.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_fails_limits_nobody_and_is_said() {
        for why in [StoreError::Busy, StoreError::Unavailable("gone".to_owned())] {
            let said = format!("store: {why}");
            let outcome = outcome(Err(why), |_| 0);
            assert!(matches!(&outcome, Outcome::Failed(error) if error.to_string() == said), "{outcome:?}");
            assert!(outcome.findings().is_empty());
        }
        assert_eq!(outcome(Ok(Vec::new()), |_| 0), Outcome::Clear);
    }
}
