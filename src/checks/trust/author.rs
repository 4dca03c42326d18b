//! What trust.toml says of the author, of the mailing list, and of who sealed the message on its way.

use std::sync::Arc;

use super::{Caller, Entry, List, Settings, results};
use crate::checks::Check;
use crate::checks::auth::Authenticator;
use crate::checks::client_name::ClientNames;
use crate::facts::{AuthResult, Author, Dkim, MessageFacts};
use crate::message::Message;
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Spec, Symbol};

/// Allowed and denied authors, known lists, trusted sealers.
pub struct Authors {
    settings: Arc<Settings>,
    names: ClientNames,
    authenticator: Arc<Authenticator>,
    spec: Spec,
}

const SYMBOLS: [&str; 5] = ["ALLOWED_AUTHOR", "DENIED_AUTHOR", "TRUSTED_LIST", "TRUSTED_SEALER", "LIST_AUTHENTICATED"];

impl Authors {
    /// The evidence comes from `authenticator`, or is the client.
    pub fn new(settings: Arc<Settings>, names: ClientNames, authenticator: Arc<Authenticator>) -> Self {
        let spec = Spec {
            name: CheckName::new("trust.author"),
            emits: SYMBOLS.into_iter().map(Symbol::known).collect(),
            exclusive: false,
        };
        Self { settings, names, authenticator, spec }
    }

    async fn caller<'f>(&self, facts: &'f MessageFacts) -> Result<Caller<'f>, CheckError> {
        let client = &facts.mail.helo.client;
        let name = self.names.of(client).await.map_err(|why| CheckError::Dns(why.to_string()))?;
        Ok(Caller::new(client, name))
    }

    /// An entry holds for an author whom DMARC, an aligned signature or aligned SPF shows genuine, or who
    /// sends from the clients that the entry names.
    async fn evidence(&self, entry: &Entry, facts: &MessageFacts) -> Result<Option<String>, CheckError> {
        if entry.unauthenticated {
            return Ok(Some("needs no evidence".to_owned()));
        }
        if !entry.clients.is_empty() {
            let caller = self.caller(facts).await?;
            return Ok(entry.clients.holds(&caller).then(|| format!("from {}", caller.shown())));
        }
        let author = self.authenticator.author(facts).await;
        let Some(domain) = author.domain() else { return Ok(None) };
        if self.authenticator.dmarc(facts).await.result == AuthResult::Pass {
            return Ok(Some("DMARC".to_owned()));
        }
        if self.authenticator.dkim(facts).await.passed().any(|signature| stands_for(&signature.domain, domain)) {
            return Ok(Some("DKIM".to_owned()));
        }
        let spf = self.authenticator.spf_of_mail(&facts.mail).await;
        if spf.result == AuthResult::Pass && !spf.permissive && stands_for(&spf.domain, domain) {
            return Ok(Some("SPF".to_owned()));
        }
        Ok(None)
    }

    async fn allowed(&self, address: &str, domain: &str, facts: &MessageFacts) -> Result<Option<Finding>, CheckError> {
        let mut trouble = None;
        for entry in self.settings.allowed.iter().filter(|entry| entry.names(address, domain)) {
            match self.evidence(entry, facts).await {
                Ok(Some(evidence)) => {
                    let shown = format!("{address}, {evidence}");
                    return Ok(Some(Finding::new(Symbol::known("ALLOWED_AUTHOR"), shown)));
                }
                Ok(None) => {}
                Err(why) => trouble = Some(why),
            }
        }
        trouble.map_or(Ok(None), Err)
    }

    async fn list(&self, facts: &MessageFacts, findings: &mut Vec<Finding>) -> Result<(), CheckError> {
        let Some(id) = list_id(&facts.message) else { return Ok(()) };
        let dkim = self.authenticator.dkim(facts).await;
        // The list answers for itself if a signature passes that belongs to where its id lives.
        if let Some(signer) = dkim.passed().find(|signature| is_within(&id, &signature.domain)) {
            let shown = format!("{id}, signed by {}", signer.domain);
            findings.push(Finding::new(Symbol::known("LIST_AUTHENTICATED"), shown));
        }
        for list in self.settings.lists.iter().filter(|list| list.ids.is_empty() || list.ids.contains(&id)) {
            if let Some(evidence) = self.is_from(list, dkim, facts).await? {
                findings.push(Finding::new(Symbol::known("TRUSTED_LIST"), format!("{id}, {evidence}")));
                break;
            }
        }
        Ok(())
    }

    async fn is_from(&self, list: &List, dkim: &Dkim, facts: &MessageFacts) -> Result<Option<String>, CheckError> {
        if let Some(signer) = dkim.passed().find(|signature| list.signers.contains(&signature.domain)) {
            return Ok(Some(format!("signed by {}", signer.domain)));
        }
        if list.clients.is_empty() {
            return Ok(None);
        }
        let caller = self.caller(facts).await?;
        Ok(list.clients.holds(&caller).then(|| format!("from {}", caller.shown())))
    }

    /// A chain that is whole, whose last sealer is trusted, and whose oldest set in an unbroken line of
    /// trusted sealers says that the author was genuine there (DECISIONS 13).
    async fn sealed(&self, domain: &str, facts: &MessageFacts) -> Option<Finding> {
        if self.settings.sealers.is_empty() {
            return None;
        }
        let chain = self.authenticator.arc(facts).await;
        if chain.result != AuthResult::Pass {
            return None;
        }
        let trusted = chain.sets.iter().rev().take_while(|set| self.settings.sealers.contains(&set.sealer));
        let vouching = trusted.filter(|set| results::author_passed(&set.results, domain)).last()?;
        let shown = format!("{} says that {domain} was genuine (i={})", vouching.sealer, vouching.instance);
        Some(Finding::new(Symbol::known("TRUSTED_SEALER"), shown))
    }

    async fn look(&self, facts: &MessageFacts) -> (Vec<Finding>, Option<CheckError>) {
        let (mut findings, mut trouble) = (Vec::new(), None);
        let author = self.authenticator.author(facts).await;
        let named = self.settings.denied.iter().filter(|entry| entry.clients.is_empty());
        if let Some(shown) = named.clone().find_map(|entry| denied(entry, author)) {
            findings.push(Finding::new(Symbol::known("DENIED_AUTHOR"), shown));
        }
        if let Author::One { address, domain } = author {
            match self.allowed(address, domain, facts).await {
                Ok(found) => findings.extend(found),
                Err(why) => trouble = Some(why),
            }
            findings.extend(self.sealed(domain, facts).await);
        }
        if let Err(why) = self.list(facts, &mut findings).await {
            trouble = Some(why);
        }
        (findings, trouble)
    }
}

impl Check for Authors {
    type Facts = MessageFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    async fn run(&self, facts: &MessageFacts) -> Outcome {
        match self.look(facts).await {
            (findings, Some(why)) if findings.is_empty() => Outcome::Failed(why),
            (findings, _) => Outcome::from_findings(findings),
        }
    }
}

/// What of an author is denied. All domains count: whoever hides behind several is no better.
fn denied(entry: &Entry, author: &Author) -> Option<String> {
    if let Author::One { address, domain } = author {
        return entry.names(address, domain).then(|| address.clone());
    }
    author.domains().iter().find(|domain| entry.domains.contains(domain)).map(ToString::to_string)
}

/// True if what is authenticated for `signer` speaks for `domain`: itself, or its parent or child domain.
fn stands_for(signer: &str, domain: &str) -> bool {
    is_within(signer, domain) || is_within(domain, signer)
}

/// True if `name` is `domain` or lies below it; a single label is nobody's domain.
fn is_within(name: &str, domain: &str) -> bool {
    let below = name.len().checked_sub(domain.len()).and_then(|at| name.split_at_checked(at));
    domain.contains('.')
        && below
            .is_some_and(|(head, tail)| tail.eq_ignore_ascii_case(domain) && (head.is_empty() || head.ends_with('.')))
}

/// The identifier of the List-Id field (RFC 2919 3): what stands in angle brackets at its end, else all of it.
fn list_id(message: &Message) -> Option<String> {
    let field = message.fields().find(|field| field.is("List-Id"))?;
    let text = std::str::from_utf8(field.value).ok()?.trim();
    let id = match text.rfind('<').and_then(|at| text.get(at + 1..)) {
        Some(rest) => rest.split('>').next()?,
        None => text,
    };
    let fits = (1..=255).contains(&id.len())
        && id.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._+".contains(&octet));
    fits.then(|| id.trim_matches('.').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_named_by_its_identifier() {
        for (field, id) in [
            ("List-Id: <dev.lists.example.org>", Some("dev.lists.example.org")),
            ("List-ID: Developers \"of\" it\r\n <Dev.Lists.Example.org>", Some("dev.lists.example.org")),
            ("List-Id: dev.lists.example.org", Some("dev.lists.example.org")),
            ("List-Id: <a b>", None),
            ("List-Id: ", None),
            ("List-Unsubscribe: <mailto:x@example.org>", None),
        ] {
            let octets = format!("{field}\r\n\r\nbody\r\n").into_bytes();
            let len = octets.len() as u64;
            assert_eq!(list_id(&Message::new(octets, len)).as_deref(), id, "{field}");
        }
    }

    #[test]
    fn only_relatives_speak_for_a_domain() {
        for (signer, domain, speaks) in [
            ("example.org", "example.org", true),
            ("mail.example.org", "example.org", true),
            ("example.org", "news.example.org", true),
            ("a.example.org", "b.example.org", false),
            ("notexample.org", "example.org", false),
            ("org", "example.org", false),
            ("example.net", "example.org", false),
            ("", "example.org", false),
        ] {
            assert_eq!(stands_for(signer, domain), speaks, "{signer} {domain}");
        }
    }
}
