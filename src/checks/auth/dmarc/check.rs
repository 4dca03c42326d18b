//! The check: what DMARC says, and what keeps it from speaking.

use std::sync::Arc;

use super::super::Authenticator;
use crate::checks;
use crate::facts::{AuthResult, Author, Dmarc, DmarcPolicy, MessageFacts};
use crate::scoring::{CheckName, Finding, Outcome, Spec, Symbol};

/// The check.
pub struct Check {
    authenticator: Arc<Authenticator>,
    spec: Spec,
}

const SYMBOLS: [&str; 10] = [
    "DMARC_PASS",
    "DMARC_FAIL_NONE",
    "DMARC_FAIL_QUARANTINE",
    "DMARC_FAIL_REJECT",
    "DMARC_NONE",
    "DMARC_TEMPERROR",
    "DMARC_PERMERROR",
    "AUTHOR_SEVERAL_DOMAINS",
    "AUTHOR_UNPARSABLE",
    "AUTHOR_NO_ADDRESS",
];

impl Check {
    /// Reads what `authenticator` computes.
    pub fn new(authenticator: Arc<Authenticator>) -> Self {
        let emits = SYMBOLS.into_iter().map(Symbol::known).collect();
        Self { authenticator, spec: Spec { name: CheckName::new("dmarc"), emits, exclusive: false } }
    }
}

impl checks::Check for Check {
    type Facts = MessageFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, facts: &MessageFacts) -> Outcome {
        let author = self.authenticator.author(facts).await;
        judge(author, self.authenticator.dmarc(facts).await)
    }

    fn is_reported(&self) -> bool {
        true
    }
}

/// What is strange about the author, and what DMARC says. Missing and repeated From fields are observed
/// elsewhere; but two fields that name different domains are an attempt to show one and answer for the other.
pub(super) fn judge(author: &Author, dmarc: &Dmarc) -> Outcome {
    let found = |symbol, why: String| Finding::new(Symbol::known(symbol), why);
    let findings = match author {
        Author::One { domain, .. } => {
            let why = match &dmarc.record {
                Some(record) => format!("{domain}: {} (policy of {})", dmarc.reason, record.domain),
                None => format!("{domain}: {}", dmarc.reason),
            };
            symbol(dmarc).map(|symbol| found(symbol, why)).into_iter().collect()
        }
        _ => {
            let is_said = dmarc.result != AuthResult::None;
            let by_dmarc = symbol(dmarc).filter(|_| is_said).map(|symbol| found(symbol, dmarc.reason.clone()));
            anomaly(author).map(|(symbol, why)| found(symbol, why)).into_iter().chain(by_dmarc).collect()
        }
    };
    Outcome::from_findings(findings)
}

fn anomaly(author: &Author) -> Option<(&'static str, String)> {
    Some(match author {
        Author::SeveralDomains(domains) => ("AUTHOR_SEVERAL_DOMAINS", shown(domains)),
        Author::SeveralFields(domains) if domains.len() > 1 => {
            ("AUTHOR_SEVERAL_DOMAINS", format!("{} in several fields", shown(domains)))
        }
        Author::NoAddress => ("AUTHOR_NO_ADDRESS", "the From field names nobody".to_owned()),
        Author::Unparsable => ("AUTHOR_UNPARSABLE", "whom the From field names cannot be told".to_owned()),
        Author::Obscure(domains) => {
            ("AUTHOR_UNPARSABLE", format!("whom the From field names cannot be told, perhaps {}", shown(domains)))
        }
        Author::One { .. } | Author::SeveralFields(_) | Author::Missing => return None,
    })
}

fn shown(domains: &[Arc<str>]) -> String {
    domains.join(", ")
}

fn symbol(dmarc: &Dmarc) -> Option<&'static str> {
    Some(match (dmarc.result, dmarc.policy) {
        (AuthResult::Pass, _) => "DMARC_PASS",
        (AuthResult::Fail, DmarcPolicy::None) => "DMARC_FAIL_NONE",
        (AuthResult::Fail, DmarcPolicy::Quarantine) => "DMARC_FAIL_QUARANTINE",
        (AuthResult::Fail, DmarcPolicy::Reject) => "DMARC_FAIL_REJECT",
        (AuthResult::None, _) => "DMARC_NONE",
        (AuthResult::TempError, _) => "DMARC_TEMPERROR",
        (AuthResult::PermError, _) => "DMARC_PERMERROR",
        (AuthResult::SoftFail | AuthResult::Neutral | AuthResult::Policy, _) => return None,
    })
}
