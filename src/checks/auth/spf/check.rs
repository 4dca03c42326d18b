//! The checks: what SPF found, said in symbols. They weigh nothing, and they ask through the authenticator,
//! so that DMARC and `Authentication-Results` see the same result.

use std::sync::Arc;

use crate::checks::Check;
use crate::checks::auth::Authenticator;
use crate::facts::{AuthResult, HeloFacts, MailFacts, Spf};
use crate::scoring::{CheckName, Finding, Outcome, Spec, Symbol};

/// The check of the HELO name.
pub struct SpfOfHelo {
    authenticator: Arc<Authenticator>,
    spec: Spec,
}

/// The check of the reverse-path.
pub struct SpfOfMail {
    authenticator: Arc<Authenticator>,
    spec: Spec,
}

/// The check for records of Sender ID: apart from SPF's, whose symbols exclude each other.
pub struct SenderId {
    authenticator: Arc<Authenticator>,
    spec: Spec,
}

const HELO_SYMBOLS: [&str; 2] = ["SPF_HELO_FAIL", "SPF_HELO_TEMPERROR"];

const MAIL_SYMBOLS: [&str; 8] = [
    "SPF_PASS",
    "SPF_FAIL",
    "SPF_SOFTFAIL",
    "SPF_NEUTRAL",
    "SPF_NONE",
    "SPF_TEMPERROR",
    "SPF_PERMERROR",
    "SPF_PERMISSIVE",
];

impl SpfOfHelo {
    /// Asks `authenticator`.
    pub fn new(authenticator: Arc<Authenticator>) -> Self {
        Self { authenticator, spec: spec("spf.helo", &HELO_SYMBOLS) }
    }
}

impl SpfOfMail {
    /// Asks `authenticator`.
    pub fn new(authenticator: Arc<Authenticator>) -> Self {
        Self { authenticator, spec: spec("spf", &MAIL_SYMBOLS) }
    }
}

impl SenderId {
    /// Asks `authenticator` for what SPF found in the texts of the reverse-path's domain.
    pub fn new(authenticator: Arc<Authenticator>) -> Self {
        Self { authenticator, spec: spec("sender_id", &["SENDERID_OBSOLETE"]) }
    }
}

impl Check for SpfOfHelo {
    type Facts = HeloFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, facts: &HeloFacts) -> Outcome {
        outcome(helo_symbol, self.authenticator.spf_of_helo(facts).await)
    }

    fn is_reported(&self) -> bool {
        true
    }
}

impl Check for SpfOfMail {
    type Facts = MailFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, facts: &MailFacts) -> Outcome {
        outcome(mail_symbol, self.authenticator.spf_of_mail(facts).await)
    }

    fn is_reported(&self) -> bool {
        true
    }
}

impl Check for SenderId {
    type Facts = MailFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, facts: &MailFacts) -> Outcome {
        let spf = self.authenticator.spf_of_mail(facts).await;
        if !spf.sender_id {
            return Outcome::Clear;
        }
        let evidence = format!("{}: a record of Sender ID (RFC 4406), which proves nothing any more", spf.domain);
        Outcome::Found(vec![Finding::new(Symbol::known("SENDERID_OBSOLETE"), evidence)])
    }
}

/// What the result about a HELO name is called. Most machines have no record of their own, and a pass
/// says no more than the reverse-path says, so that only what is wrong has a name.
pub fn helo_symbol(spf: &Spf) -> Option<&'static str> {
    match spf.result {
        AuthResult::Fail => Some("SPF_HELO_FAIL"),
        AuthResult::TempError => Some("SPF_HELO_TEMPERROR"),
        _ => None,
    }
}

/// What the result about a reverse-path is called.
pub fn mail_symbol(spf: &Spf) -> Option<&'static str> {
    Some(match spf.result {
        AuthResult::Pass if spf.permissive => "SPF_PERMISSIVE",
        AuthResult::Pass => "SPF_PASS",
        AuthResult::Fail => "SPF_FAIL",
        AuthResult::SoftFail => "SPF_SOFTFAIL",
        // SPF never says `Policy`.
        AuthResult::Neutral | AuthResult::Policy => "SPF_NEUTRAL",
        AuthResult::None => "SPF_NONE",
        AuthResult::TempError => "SPF_TEMPERROR",
        AuthResult::PermError => "SPF_PERMERROR",
    })
}

fn outcome(symbol: fn(&Spf) -> Option<&'static str>, spf: &Spf) -> Outcome {
    let Some(symbol) = symbol(spf) else { return Outcome::Clear };
    let named = spf.reason.to_ascii_lowercase().contains(&*spf.domain);
    let evidence = if named { spf.reason.clone() } else { format!("{}: {}", spf.domain, spf.reason) };
    Outcome::Found(vec![Finding::new(Symbol::known(symbol), evidence)])
}

fn spec(name: &str, symbols: &[&'static str]) -> Spec {
    Spec { name: CheckName::new(name), emits: symbols.iter().copied().map(Symbol::known).collect(), exclusive: true }
}
