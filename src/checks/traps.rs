//! Trap recipients: a hit says something about the mail, not about one recipient (DECISIONS 1).

use super::Check;
use crate::facts::RcptFacts;
use crate::scoring::{CheckName, Finding, Outcome, Spec, Symbol};

const SYMBOL: &str = "TRAP_RECIPIENT";

/// Says of each recipient whether it is a trap.
pub struct TrapRecipients {
    spec: Spec,
}

impl TrapRecipients {
    /// Which recipients are traps, their facts say.
    pub fn new() -> Self {
        let emits = [Symbol::known(SYMBOL)].into();
        Self { spec: Spec { name: CheckName::new("traps"), emits, exclusive: true } }
    }
}

impl Default for TrapRecipients {
    fn default() -> Self {
        Self::new()
    }
}

impl Check for TrapRecipients {
    type Facts = RcptFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, facts: &RcptFacts) -> Outcome {
        if !facts.is_trap {
            return Outcome::Clear;
        }
        // Which address it was is nobody's business but the log's.
        let finding = Finding::new(Symbol::known(SYMBOL), "");
        Outcome::Found(vec![Finding { transaction: true, ..finding }])
    }
}
