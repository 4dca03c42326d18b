//! Mail from outside that claims to be ours. Our own domains are the ones whose mail we can tell best.

use std::sync::Arc;

use super::Check;
use super::auth::Authenticator;
use super::site::Site;
use crate::facts::{AuthResult, DmarcPolicy, MessageFacts};
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Skip, Spec, Symbol};
use crate::smtp::{Domain, ReversePath};

/// The check.
pub struct OwnDomain {
    site: Arc<Site>,
    authenticator: Arc<Authenticator>,
    spec: Spec,
}

/// What is known of a message that claims one of our domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Evidence {
    /// DMARC, an own signature or own SPF shows it genuine.
    genuine: bool,
    /// Something that could have shown it could not be looked up.
    unknown: bool,
    /// What we publish says that it is not ours: DMARC with a policy that asks for more than nothing, or SPF.
    denied: bool,
}

impl OwnDomain {
    /// Defends `site`.
    pub fn new(site: Arc<Site>, authenticator: Arc<Authenticator>) -> Self {
        let spec = Spec {
            name: CheckName::new("own_domain"),
            emits: ["OWN_DOMAIN_FORGED", "OWN_DOMAIN_UNAUTHENTICATED"].into_iter().map(Symbol::known).collect(),
            exclusive: true,
        };
        Self { site, authenticator, spec }
    }

    fn is_ours(&self, domain: &str) -> bool {
        self.site.domains.contains(domain)
    }

    async fn evidence(&self, facts: &MessageFacts, sender_is_ours: bool, author_is_ours: bool) -> Evidence {
        let spf = self.authenticator.spf_of_mail(&facts.mail).await;
        let dkim = self.authenticator.dkim(facts).await;
        let dmarc = self.authenticator.dmarc(facts).await;
        let own_spf = sender_is_ours && spf.result == AuthResult::Pass && !spf.permissive;
        let own_signature = dkim.passed().any(|signature| self.is_ours(&signature.domain));
        // What speaks for the reverse-path alone does not speak for an author of ours, unless it is ours too.
        let genuine = own_signature || own_spf || (author_is_ours && dmarc.result == AuthResult::Pass);
        let of_dkim = dkim.signatures.iter().map(|signature| signature.result);
        let unknown = of_dkim.chain([spf.result, dmarc.result]).any(|result| result == AuthResult::TempError);
        let by_dmarc = author_is_ours && dmarc.result == AuthResult::Fail && dmarc.policy != DmarcPolicy::None;
        let by_spf = sender_is_ours && spf.result == AuthResult::Fail;
        Evidence { genuine, unknown, denied: by_dmarc || by_spf }
    }
}

impl Check for OwnDomain {
    type Facts = MessageFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    async fn run(&self, facts: &MessageFacts) -> Outcome {
        if self.site.networks.contains(facts.mail.helo.client.addr) {
            return Outcome::Skipped(Skip::Trusted);
        }
        let author = self.authenticator.author(facts).await;
        let author = author.domains().iter().find(|domain| self.is_ours(domain)).map(ToString::to_string);
        let sender = sender_domain(&facts.mail.reverse_path).filter(|domain| self.is_ours(domain));
        let Some(claimed) = author.as_ref().or(sender.as_ref()) else { return Outcome::Clear };
        judge(claimed, self.evidence(facts, sender.is_some(), author.is_some()).await)
    }
}

fn judge(claimed: &str, evidence: Evidence) -> Outcome {
    let found =
        |symbol, why: &str| Outcome::Found(vec![Finding::new(Symbol::known(symbol), format!("{claimed}, {why}"))]);
    match evidence {
        Evidence { genuine: true, .. } => Outcome::Clear,
        Evidence { unknown: true, .. } => Outcome::Failed(CheckError::Dns("authentication has no result".to_owned())),
        Evidence { denied: true, .. } => found("OWN_DOMAIN_FORGED", "which its own records deny"),
        Evidence { .. } => found("OWN_DOMAIN_UNAUTHENTICATED", "without anything that shows it"),
    }
}

fn sender_domain(path: &ReversePath) -> Option<String> {
    match path {
        ReversePath::Mailbox(mailbox) => match mailbox.domain() {
            Domain::Name(_) => Some(mailbox.domain().to_ascii_lower()),
            Domain::Literal(..) => None,
        },
        ReversePath::Null => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_forged_only_where_our_own_records_say_so() {
        for (genuine, unknown, denied, expected) in [
            (true, false, false, None),
            (true, true, true, None),
            (false, false, true, Some("OWN_DOMAIN_FORGED")),
            (false, false, false, Some("OWN_DOMAIN_UNAUTHENTICATED")),
        ] {
            let outcome = judge("ours.example", Evidence { genuine, unknown, denied });
            assert_eq!(outcome.findings().first().map(|found| found.symbol.as_str()), expected);
        }
        let outcome = judge("ours.example", Evidence { genuine: false, unknown: true, denied: true });
        assert!(matches!(outcome, Outcome::Failed(CheckError::Dns(_))), "what DNS could not tell refuses nobody");
    }
}
