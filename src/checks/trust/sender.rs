//! What trust.toml says of the reverse-path.

use std::sync::Arc;
use std::time::Duration;

use super::{Caller, Entry, Settings};
use crate::checks::Check;
use crate::checks::auth::Authenticator;
use crate::checks::client_name::ClientNames;
use crate::facts::{AuthResult, MailFacts};
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Skip, Spec, Symbol};
use crate::smtp::{Mailbox, ReversePath};

/// Allowed and denied senders by reverse-path.
pub struct Senders {
    settings: Arc<Settings>,
    names: ClientNames,
    authenticator: Arc<Authenticator>,
    spec: Spec,
}

impl Senders {
    /// The evidence comes from `authenticator`, or is the client.
    pub fn new(settings: Arc<Settings>, names: ClientNames, authenticator: Arc<Authenticator>) -> Self {
        let spec = Spec {
            name: CheckName::new("trust.sender"),
            emits: ["ALLOWED_SENDER", "DENIED_SENDER"].into_iter().map(Symbol::known).collect(),
            exclusive: false,
        };
        Self { settings, names, authenticator, spec }
    }

    async fn evidence(&self, entry: &Entry, facts: &MailFacts) -> Result<Option<String>, CheckError> {
        if entry.unauthenticated {
            return Ok(Some("needs no evidence".to_owned()));
        }
        if !entry.clients.is_empty() {
            let name = self.names.of(&facts.helo.client).await.map_err(|why| CheckError::Dns(why.to_string()))?;
            let caller = Caller::new(&facts.helo.client, name);
            return Ok(entry.clients.holds(&caller).then(|| format!("from {}", caller.shown())));
        }
        let spf = self.authenticator.spf_of_mail(facts).await;
        match spf.result {
            AuthResult::Pass if !spf.permissive => Ok(Some("SPF".to_owned())),
            AuthResult::TempError => Err(CheckError::Dns(format!("SPF: {}", spf.reason))),
            _ => Ok(None),
        }
    }

    async fn look(&self, mailbox: &Mailbox, facts: &MailFacts) -> Outcome {
        let domain = mailbox.domain().to_ascii_lower();
        let address = format!("{}@{domain}", mailbox.unquoted_local());
        let names = |entry: &&Entry| entry.names(&address, &domain);
        let mut findings = Vec::new();
        if self.settings.denied.iter().find(names).is_some_and(|entry| entry.clients.is_empty()) {
            findings.push(Finding::new(Symbol::known("DENIED_SENDER"), address.clone()));
        }
        let mut trouble = None;
        for entry in self.settings.allowed.iter().filter(names) {
            match self.evidence(entry, facts).await {
                Ok(Some(evidence)) => {
                    findings.push(Finding::new(Symbol::known("ALLOWED_SENDER"), format!("{address}, {evidence}")));
                    break;
                }
                Ok(None) => {}
                Err(why) => trouble = Some(why),
            }
        }
        match trouble {
            Some(why) if findings.is_empty() => Outcome::Failed(why),
            _ => Outcome::from_findings(findings),
        }
    }
}

impl Check for Senders {
    type Facts = MailFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, facts: &MailFacts) -> Outcome {
        match &facts.reverse_path {
            ReversePath::Null => Outcome::Skipped(Skip::NotApplicable),
            ReversePath::Mailbox(mailbox) => self.look(mailbox, facts).await,
        }
    }

    fn time_limit(&self) -> Option<Duration> {
        Some(Duration::from_secs(20))
    }
}
