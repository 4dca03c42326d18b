//! Sender authentication: who answers for a message, and what follows if nobody does.
//!
//! One [`Authenticator`] computes the derived facts; the checks of this family, the lists of domains
//! and the `Authentication-Results` field share them. DNS trouble is `TempError`, never a pass and
//! never a failure of the sender.

pub mod arc;
pub mod dkim;
pub mod dmarc;
pub mod mail_auth;
pub mod signing;
pub mod spf;

use std::sync::Arc;

use crate::dns::Lookup;
use crate::facts::{ArcChain, Author, Dkim, Dmarc, HeloFacts, MailFacts, MessageFacts, Spf};

/// What an administrator can set about sender authentication (`rules/authentication.toml`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// DKIM signatures that are verified; further ones are counted and ignored.
    pub max_signatures: usize,
    /// RSA keys shorter than this authenticate nobody (RFC 8301: 1024).
    pub min_rsa_bits: u32,
}

/// Computes what authentication says, at most once per fact.
pub struct Authenticator {
    settings: Settings,
    dns: Arc<dyn Lookup>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_signatures: 10, min_rsa_bits: 1024 }
    }
}

impl Authenticator {
    /// Asks `dns`, and nobody else.
    pub fn new(settings: Settings, dns: Arc<dyn Lookup>) -> Arc<Self> {
        Arc::new(Self { settings, dns })
    }

    /// SPF of the HELO name.
    pub async fn spf_of_helo<'f>(&self, facts: &'f HeloFacts) -> &'f Spf {
        facts.spf.get_or_derive(|| spf::of_helo(&*self.dns, facts)).await
    }

    /// SPF of the reverse-path; of the HELO name if it is null.
    pub async fn spf_of_mail<'f>(&self, facts: &'f MailFacts) -> &'f Spf {
        facts.spf.get_or_derive(|| spf::of_mail(&*self.dns, facts)).await
    }

    /// Whom the From fields name.
    pub async fn author<'f>(&self, facts: &'f MessageFacts) -> &'f Author {
        facts.author.get_or_derive(|| async { Author::of(&facts.message) }).await
    }

    /// The DKIM signatures.
    pub async fn dkim<'f>(&self, facts: &'f MessageFacts) -> &'f Dkim {
        facts.dkim.get_or_derive(|| dkim::verify(&self.settings, &self.dns, facts)).await
    }

    /// The ARC chain.
    pub async fn arc<'f>(&self, facts: &'f MessageFacts) -> &'f ArcChain {
        facts.arc.get_or_derive(|| arc::verify(&self.settings, &self.dns, facts)).await
    }

    /// DMARC; computes the others first.
    pub async fn dmarc<'f>(&self, facts: &'f MessageFacts) -> &'f Dmarc {
        let derive = || async {
            let author = self.author(facts).await;
            // The record is looked for while SPF and the signatures are.
            let discovery = dmarc::Discovery::of(&*self.dns, author);
            let (discovery, spf, dkim) = tokio::join!(discovery, self.spf_of_mail(&facts.mail), self.dkim(facts));
            discovery.evaluate(author, spf, dkim).await
        };
        facts.dmarc.get_or_derive(derive).await
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}
