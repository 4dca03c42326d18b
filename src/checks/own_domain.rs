//! Mail from outside that claims to be ours. Our own domains are the ones whose mail we can tell best.

use std::sync::Arc;

use super::Check;
use super::auth::Authenticator;
use super::site::Site;
use crate::facts::{AuthResult, DmarcPolicy, MessageFacts};
use crate::message::address::domain_name;
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Skip, Spec, Symbol};
use crate::smtp::{Domain, ReversePath};
use crate::units::{is_at_or_below, registered_domain};

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

    /// `authors` are the domains of ours that From names.
    async fn evidence(&self, facts: &MessageFacts, sender_is_ours: bool, authors: &[&str]) -> Evidence {
        // DMARC passes only where one domain is all that From shows.
        let is_sole_author = self.authenticator.author(facts).await.domain().is_some() && !authors.is_empty();
        let spf = self.authenticator.spf_of_mail(&facts.mail).await;
        let dkim = self.authenticator.dkim(facts).await;
        let dmarc = self.authenticator.dmarc(facts).await;
        let own_spf = sender_is_ours && spf.result == AuthResult::Pass && !spf.permissive;
        let own = |result: AuthResult| {
            let signatures = dkim.signatures.iter().filter(move |signature| signature.result == result);
            signatures.filter_map(|signature| domain_name(&signature.domain)).filter(|domain| self.is_ours(domain))
        };
        // What speaks for the reverse-path alone does not speak for an author of ours, unless it is ours too.
        let genuine = match authors {
            [] => own(AuthResult::Pass).next().is_some() || own_spf,
            _ if is_sole_author => {
                own(AuthResult::Pass).next().is_some() || own_spf || dmarc.result == AuthResult::Pass
            }
            // Whoever shows several has each of them to answer for.
            _ => authors.iter().all(|author| {
                own(AuthResult::Pass).any(|signer| are_related(&signer, author))
                    || (own_spf && are_related(&spf.domain, author))
            }),
        };
        // Of what could not be looked up, only what could have shown it genuine: others' DNS is not ours.
        let unknown = dkim.panicked
            || own(AuthResult::TempError).next().is_some()
            || (sender_is_ours && spf.result == AuthResult::TempError)
            || (is_sole_author && dmarc.result == AuthResult::TempError);
        // Of several author domains this may be another's policy: naming it beside ours is no excuse.
        let by_dmarc = !authors.is_empty() && dmarc.result == AuthResult::Fail && dmarc.policy != DmarcPolicy::None;
        let by_spf = sender_is_ours && spf.result == AuthResult::Fail;
        Evidence { genuine, unknown, denied: by_dmarc || by_spf }
    }
}

impl Check for OwnDomain {
    type Facts = MessageFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, facts: &MessageFacts) -> Outcome {
        if self.site.networks.contains(facts.mail.helo.client.addr) {
            return Outcome::Skipped(Skip::Trusted);
        }
        let author = self.authenticator.author(facts).await;
        let authors: Vec<&str> =
            author.domains().iter().map(|domain| &**domain).filter(|name| self.is_ours(name)).collect();
        let sender = sender_domain(&facts.mail.reverse_path).filter(|domain| self.is_ours(domain));
        let Some(claimed) = authors.first().copied().or(sender.as_deref()) else { return Outcome::Clear };
        judge(claimed, self.evidence(facts, sender.is_some(), &authors).await)
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

/// True if two domains of ours belong together: one organization, or one below the other.
fn are_related(one: &str, other: &str) -> bool {
    let organization = registered_domain(one);
    let is_one = organization.is_some() && organization == registered_domain(other);
    is_one || is_at_or_below(one, other) || is_at_or_below(other, one)
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
    use std::time::SystemTime;

    use super::*;
    use crate::checks::auth;
    use crate::dns::{FixedDns, LookupError};
    use crate::facts::{ClientFacts, Derived, Dkim, HeloFacts, MailFacts, Signature, Spf};
    use crate::message::Message;
    use crate::smtp::{HeloName, Params};
    use crate::units::DomainSet;

    fn check() -> OwnDomain {
        let mut domains = DomainSet::default();
        ["ours.example", ".ours.example", "second.example"]
            .iter()
            .for_each(|name| domains.insert(name).expect("a domain"));
        let site = Site { domains: Arc::new(domains), ..Site::default() };
        let dns = FixedDns::new()
            .txt("_dmarc.ours.example", ["v=DMARC1; p=reject"])
            .txt("_dmarc.second.example", ["v=DMARC1; p=reject"])
            .fail("_dmarc.down.example", LookupError::ServerFailure);
        OwnDomain::new(Arc::new(site), Authenticator::new(auth::Settings::default(), Arc::new(dns)))
    }

    fn facts(from: &str, sender: &str, spf: AuthResult, signatures: &[(AuthResult, &str)]) -> MessageFacts {
        let client = ClientFacts::new([192, 0, 2, 1].into(), "edge".into(), "mx.ours.example".into(), None);
        let helo = HeloFacts::new(client.into(), HeloName::parse(b"client.example").expect("a word"), true, None);
        let path = ReversePath::parse(&format!("a@{sender}")).expect("a path");
        let mail = MailFacts::new(helo.into(), path, Params::default(), SystemTime::UNIX_EPOCH);
        let mail = MailFacts { spf: Derived::from(Spf::new(spf, sender, "")), ..mail };
        let octets = format!("From: {from}\r\n\r\n").into_bytes();
        let length = octets.len() as u64;
        let of =
            |(result, domain): &(AuthResult, &str)| Signature { signs_from: true, ..Signature::new(*result, *domain) };
        let dkim = Dkim { signatures: signatures.iter().map(of).collect(), ..Dkim::default() };
        let facts = MessageFacts::new(mail.into(), Vec::new(), Message::new(octets, length).into(), None);
        MessageFacts { dkim: Derived::from(dkim), ..facts }
    }

    #[tokio::test]
    async fn only_what_could_have_shown_it_genuine_leaves_a_forgery_open() {
        use AuthResult::{Fail, None, Pass, TempError};
        for (from, sender, spf, signatures, expected) in [
            ("ceo@ours.example", "evil.example", None, &[][..], "found"),
            ("ceo@ours.example", "evil.example", TempError, &[], "found"),
            ("ceo@ours.example", "evil.example", None, &[(TempError, "evil.example")], "found"),
            ("ceo@ours.example", "ours.example", TempError, &[], "failed"),
            ("ceo@ours.example", "evil.example", None, &[(TempError, "ours.example")], "failed"),
            ("ceo@ours.example", "evil.example", None, &[(Pass, "ours.example")], "clear"),
            ("ceo@other.example", "evil.example", Fail, &[], "clear"),
            ("ceo@other.example", "ours.example", Fail, &[(TempError, "evil.example")], "found"),
        ] {
            let outcome = check().run(&facts(from, sender, spf, signatures)).await;
            assert_eq!(outcome.label(), expected, "{from} {sender} {spf:?} {signatures:?}: {outcome:?}");
        }
    }

    #[tokio::test]
    async fn a_strange_from_claims_every_domain_of_ours_in_it() {
        use AuthResult::{Fail, None, Pass};
        let ours = &[(Pass, "ours.example")][..];
        for (from, signatures, forged) in [
            ("ceo@ours.example, x@evil.example", &[][..], true),
            ("ceo@ours.example, x@[127.0.0.1]", &[], true),
            ("ceo@ours.example\x01", &[], true),
            ("ceo@ours.example\r\nFrom: ceo@ours.example", &[], true),
            ("x@evil.example, ceo@ours.example", &[(Pass, "evil.example")], true),
            ("x@evil.example, ceo@down.example, ceo@ours.example", &[], true),
            ("ceo@ours.example, x@other.example", ours, false),
            ("ceo@a.ours.example, x@b.ours.example", &[(Pass, "a.ours.example")], false),
            ("ceo@ours.example, x@second.example", ours, true),
            ("ceo@a.ours.example, x@b.ours.example", ours, false),
        ] {
            for spf in [None, Fail] {
                let outcome = check().run(&facts(from, "evil.example", spf, signatures)).await;
                let found = outcome.findings().first().map(|found| found.symbol.as_str());
                assert_eq!(found == Some("OWN_DOMAIN_FORGED"), forged, "{from:?} {signatures:?}: {outcome:?}");
            }
        }
    }

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
