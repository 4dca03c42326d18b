//! How a client behaves: what it does that nobody should, and who is told of it.

use super::driver::{End, Session};
use super::refusal;
use super::settings::Response;
use crate::checks::{Deed, Doer};
use crate::facts::Violation;
use crate::scoring::{Finding, Symbol};

/// What was wrong with the way that a command came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offences {
    /// A header field where a command belongs.
    pub(super) header: bool,
    /// HTTP.
    pub(super) http: bool,
    /// A bare LF behind it.
    pub(super) bare: bool,
}

impl Session {
    /// Counts, weighs or refuses what was wrong with the way of a command, whatever it said.
    pub(super) async fn take_offence(&mut self, offences: Offences) -> Result<(), End> {
        let settings = self.settings.clone();
        if offences.bare {
            self.violate(Violation::BareNewlineCommand, settings.protocol.bare_newline_command).await?;
        }
        if offences.http {
            // The session ends in any case, with words that fit.
            self.violate(Violation::NonSmtp, Response::Score).await?;
        } else if offences.header {
            self.violate(Violation::NonSmtp, settings.protocol.non_smtp_command).await?;
        }
        if self.helo.as_ref().is_some_and(|helo| !helo.extended) {
            self.check_pipelining(Violation::Pipelining).await?;
        }
        Ok(())
    }

    /// Tells whoever counts it what the client did.
    pub(super) fn tell(&self, deed: Deed) {
        let mail = self.transaction.as_ref().map(|transaction| &*transaction.mail);
        self.assessment.tell(deed, Doer { client: &self.client, helo: self.helo.as_deref(), mail, user: None });
    }

    /// The same of errors since the last time.
    pub(super) fn tell_errors(&mut self) {
        let errors = self.machine.errors().saturating_sub(self.errors_told);
        if errors > 0 {
            self.errors_told += errors;
            self.tell(Deed::Errors(errors));
        }
    }

    /// More input where the client had to wait for our reply.
    pub(super) async fn check_pipelining(&mut self, violation: Violation) -> Result<(), End> {
        if self.at < self.input.len() {
            self.violate(violation, self.settings.protocol.pipelining).await?;
        }
        Ok(())
    }

    /// Counts a violation and does with it what is configured.
    pub(super) async fn violate(&mut self, violation: Violation, response: Response) -> Result<(), End> {
        let label = match response {
            Response::Ignore => "ignore",
            Response::Score => "score",
            Response::Refuse => "refuse",
        };
        self.shared.metrics.violations.with_label_values(&[violation.label(), label]).inc();
        match response {
            Response::Ignore => {}
            Response::Score if self.violations.contains(&violation) => {}
            Response::Score => {
                self.violations.push(violation);
                self.observe(violation);
            }
            Response::Refuse => {
                tracing::info!(client = %self.peer.ip(), violation = violation.label(), "session.refused");
                self.say(&refusal::violation(violation));
                return Err(End::Refused);
            }
        }
        Ok(())
    }

    pub(super) fn observe(&mut self, violation: Violation) {
        let finding = Finding::new(Symbol::known(violation.symbol()), violation.label());
        self.assessment.observe(violation.stage(), finding);
    }
}
