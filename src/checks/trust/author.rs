//! What trust.toml says of the author, of the mailing list, and of who sealed the message on its way.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{Caller, Entry, List, Settings, results};
use crate::checks::Check;
use crate::checks::auth::Authenticator;
use crate::checks::client_name::ClientNames;
use crate::facts::{ArcSet, AuthResult, Author, Dkim, MessageFacts, Spf};
use crate::message::Message;
use crate::message::address::domain_name;
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Spec, Symbol};
use crate::units::{is_at_or_below, registered_domain};

/// Allowed and denied authors, known lists, trusted sealers.
pub struct Authors {
    settings: Arc<Settings>,
    names: ClientNames,
    authenticator: Arc<Authenticator>,
    spec: Spec,
}

const SYMBOLS: [&str; 6] =
    ["ALLOWED_AUTHOR", "DENIED_AUTHOR", "TRUSTED_LIST", "TRUSTED_SEALER", "LIST_AUTHENTICATED", "TRUST_UNKNOWN"];

/// How long one question may take: less than what is left for checks after the final dot (10 s by default),
/// so that a slow answer can still be told from none.
const PATIENCE: Duration = Duration::from_secs(7);
const TOO_SLOW: &str = "no answer in time";

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
    async fn evidence(&self, entry: &Entry, domain: &str, facts: &MessageFacts) -> Result<Option<String>, CheckError> {
        if entry.unauthenticated {
            return Ok(Some("needs no evidence".to_owned()));
        }
        if !entry.clients.is_empty() {
            let caller = self.caller(facts).await?;
            return Ok(entry.clients.holds(&caller).then(|| format!("from {}", caller.shown())));
        }
        let dmarc = self.authenticator.dmarc(facts).await;
        let spf = self.authenticator.spf_of_mail(&facts.mail).await;
        match dmarc.result {
            AuthResult::Pass => {
                let shows = dmarc.dkim_aligned.is_some() || (dmarc.spf_aligned && !spf.permissive);
                return Ok(shows.then(|| "DMARC".to_owned()));
            }
            // What the owner of the domain says of it goes before what we could make of it.
            AuthResult::Fail => return Ok(None),
            AuthResult::TempError => return Err(CheckError::Dns(format!("DMARC: {}", dmarc.reason))),
            _ => {}
        }
        without_dmarc(domain, spf, self.authenticator.dkim(facts).await)
    }

    async fn allowed(&self, domain: &str, facts: &MessageFacts) -> Result<Option<Finding>, CheckError> {
        let addresses = Author::addresses(&facts.message);
        let Some(first) = addresses.first() else { return Ok(None) };
        let mut trouble = None;
        // An entry lets the message pass, so it must name everybody who wrote it.
        let names_all = |entry: &&Entry| addresses.iter().all(|address| entry.names(address, domain));
        for entry in self.settings.allowed.iter().filter(names_all) {
            match self.evidence(entry, domain, facts).await {
                Ok(Some(evidence)) => {
                    let shown = format!("{first}, {evidence}");
                    return Ok(Some(Finding::new(Symbol::known("ALLOWED_AUTHOR"), shown)));
                }
                Ok(None) => {}
                Err(why) => trouble = Some(why),
            }
        }
        trouble.map_or(Ok(None), Err)
    }

    /// Known to be a forwarder or not is said where the client is looked at; here only that it cannot be told.
    async fn forwarder(&self, facts: &MessageFacts) -> Told {
        let client = &facts.mail.helo.client;
        let by_network = Caller::new(client, None);
        let names = self.settings.forwarders.iter().any(|forwarder| !forwarder.names.is_empty());
        if !names || self.settings.forwarders.iter().any(|forwarder| forwarder.holds(&by_network)) {
            return Told::default();
        }
        Told { doubt: self.caller(facts).await.err().map(|why| why.to_string()), finding: None }
    }

    fn lists(&self, id: &str) -> impl Iterator<Item = &List> {
        self.settings.lists.iter().filter(move |list| list.ids.is_empty() || list.ids.contains(id))
    }

    async fn list(&self, id: &str, facts: &MessageFacts) -> Told {
        let mut doubt = None;
        for list in self.lists(id) {
            match self.is_from(list, facts).await {
                Ok(Some(evidence)) => {
                    let finding = Finding::new(Symbol::known("TRUSTED_LIST"), format!("{id}, {evidence}"));
                    return Told { finding: Some(finding), doubt: None };
                }
                Ok(None) => {}
                Err(why) => doubt = Some(why),
            }
        }
        Told { finding: None, doubt }
    }

    async fn is_from(&self, list: &List, facts: &MessageFacts) -> Result<Option<String>, String> {
        let mut doubt = None;
        if !list.clients.is_empty() {
            match self.caller(facts).await {
                Ok(caller) if list.clients.holds(&caller) => return Ok(Some(format!("from {}", caller.shown()))),
                Ok(_) => {}
                Err(_) if list.clients.holds(&Caller::new(&facts.mail.helo.client, None)) => {
                    return Ok(Some(format!("from {}", facts.mail.helo.client.addr)));
                }
                Err(why) => doubt = Some(why.to_string()),
            }
        }
        if !list.signers.is_empty() {
            let dkim = self.authenticator.dkim(facts).await;
            let by = |result| {
                let ended = dkim.signatures.iter().filter(move |signature| signature.result == result);
                ended.map(|signature| &signature.domain).find(|domain| list.signers.contains(domain))
            };
            if let Some(signer) = by(AuthResult::Pass) {
                return Ok(Some(format!("signed by {signer}")));
            }
            if let Some(signer) = by(AuthResult::TempError) {
                doubt = Some(format!("signature of {signer}"));
            }
            if dkim.panicked {
                doubt = Some("signatures".to_owned());
            }
        }
        doubt.map_or(Ok(None), Err)
    }

    /// The list answers for itself if a signature passes that belongs to where its id lives: evidence for
    /// people and for rules, but anybody can have such a list.
    async fn authenticated_list(&self, id: &str, facts: &MessageFacts) -> Option<Finding> {
        let dkim = self.authenticator.dkim(facts).await;
        let is_home = |domain: &str| domain.contains('.') && is_at_or_below(id, domain);
        let signer = dkim.passed().find(|signature| is_home(&signature.domain))?;
        Some(Finding::new(Symbol::known("LIST_AUTHENTICATED"), format!("{id}, signed by {}", signer.domain)))
    }

    /// A chain that is whole, whose last sealer is trusted, and whose oldest set in an unbroken line of
    /// trusted sealers says that the author was genuine there (DECISIONS 13).
    async fn sealed(&self, domain: &str, facts: &MessageFacts) -> Told {
        let chain = self.authenticator.arc(facts).await;
        let is_trusted = |set: &ArcSet| self.settings.sealers.contains(&set.sealer);
        if chain.result == AuthResult::TempError {
            let may_count = chain.sets.last().is_none_or(is_trusted);
            return Told { doubt: may_count.then(|| format!("ARC: {}", chain.reason)), finding: None };
        }
        if chain.result != AuthResult::Pass {
            return Told::default();
        }
        let trusted = chain.sets.iter().rev().take_while(|set| is_trusted(set));
        let vouching = trusted.filter(|set| results::author_passed(&set.results, domain)).last();
        let shown = vouching.map(|set| format!("{} says that {domain} was genuine (i={})", set.sealer, set.instance));
        Told { finding: shown.map(|shown| Finding::new(Symbol::known("TRUSTED_SEALER"), shown)), doubt: None }
    }

    /// What speaks for honest mail that fails: forwarders, lists, sealers. Those that were named but could not
    /// be looked up are a finding too: no clause refuses mail that one of them may well excuse.
    async fn exceptions(&self, facts: &MessageFacts, author: &Author) -> Vec<Finding> {
        let id = list_id(&facts.message);
        let list = async {
            match &id {
                Some(id) if self.lists(id).next().is_some() => in_time(self.list(id, facts)).await,
                _ => Told::default(),
            }
        };
        let authenticated = async {
            let id = id.as_ref()?;
            timeout(PATIENCE, self.authenticated_list(id, facts)).await.ok().flatten()
        };
        let sealed = async {
            match author {
                Author::One { domain, .. } if !self.settings.sealers.is_empty() && is_sealed(&facts.message) => {
                    in_time(self.sealed(domain, facts)).await
                }
                _ => Told::default(),
            }
        };
        let (forwarder, list, sealed, authenticated) =
            tokio::join!(in_time(self.forwarder(facts)), list, sealed, authenticated);
        let doubts: Vec<String> = [("forwarder", forwarder.doubt), ("list", list.doubt), ("sealer", sealed.doubt)]
            .into_iter()
            .filter_map(|(what, doubt)| Some(format!("{what}: {}", doubt?)))
            .collect();
        let unknown = (!doubts.is_empty()).then(|| Finding::new(Symbol::known("TRUST_UNKNOWN"), doubts.join("; ")));
        [authenticated, list.finding, sealed.finding, unknown].into_iter().flatten().collect()
    }

    async fn look(&self, facts: &MessageFacts) -> (Vec<Finding>, Option<CheckError>) {
        let (mut findings, mut trouble) = (Vec::new(), None);
        let author = self.authenticator.author(facts).await;
        if let Some(shown) = self.denied(author, facts) {
            findings.push(Finding::new(Symbol::known("DENIED_AUTHOR"), shown));
        }
        let allowed = async {
            match author {
                Author::One { domain, .. } => timeout(PATIENCE, self.allowed(domain, facts))
                    .await
                    .unwrap_or_else(|_| Err(CheckError::Dns(TOO_SLOW.to_owned()))),
                _ => Ok(None),
            }
        };
        let (allowed, exceptions) = tokio::join!(allowed, self.exceptions(facts, author));
        match allowed {
            Ok(found) => findings.extend(found),
            Err(why) => trouble = Some(why),
        }
        findings.extend(exceptions);
        (findings, trouble)
    }

    /// What of the author is denied. All addresses and domains count: whoever hides behind several is no better.
    fn denied(&self, author: &Author, facts: &MessageFacts) -> Option<String> {
        let mut entries = self.settings.denied.iter().filter(|entry| entry.clients.is_empty()).peekable();
        entries.peek()?;
        let addresses = Author::addresses(&facts.message);
        entries.find_map(|entry| {
            let address = addresses.iter().find(|address| entry.names_address(address));
            let domain = || author.domains().iter().find(|domain| entry.domains.contains(domain));
            address.cloned().or_else(|| domain().map(ToString::to_string))
        })
    }
}

/// What is known of an exception; at most one of both.
#[derive(Default)]
struct Told {
    finding: Option<Finding>,
    /// What kept it from being told.
    doubt: Option<String>,
}

async fn in_time(told: impl Future<Output = Told>) -> Told {
    timeout(PATIENCE, told).await.unwrap_or_else(|_| Told { finding: None, doubt: Some(TOO_SLOW.to_owned()) })
}

impl Check for Authors {
    type Facts = MessageFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, facts: &MessageFacts) -> Outcome {
        match self.look(facts).await {
            (findings, Some(why)) if findings.is_empty() => Outcome::Failed(why),
            (findings, _) => Outcome::from_findings(findings),
        }
    }
}

/// What speaks for an author whose domain says nothing by DMARC: a signature of it, or SPF.
fn without_dmarc(domain: &str, spf: &Spf, dkim: &Dkim) -> Result<Option<String>, CheckError> {
    let related = |result: AuthResult| {
        dkim.signatures.iter().any(|signature| signature.result == result && stands_for(&signature.domain, domain))
    };
    if related(AuthResult::Pass) {
        return Ok(Some("DKIM".to_owned()));
    }
    let by_spf = stands_for(&spf.domain, domain);
    match spf.result {
        AuthResult::Pass if by_spf && !spf.permissive => return Ok(Some("SPF".to_owned())),
        AuthResult::TempError if by_spf => return Err(CheckError::Dns(format!("SPF: {}", spf.reason))),
        _ => {}
    }
    match related(AuthResult::TempError) || dkim.panicked {
        true => Err(CheckError::Dns("a signature of the author's domain could not be checked".to_owned())),
        false => Ok(None),
    }
}

/// True if what is authenticated for `signer` speaks for `domain`: the same domain, or one of the same
/// organization, which without a DMARC record only the Public Suffix List can tell.
fn stands_for(signer: &str, domain: &str) -> bool {
    let Some(signer) = domain_name(signer) else { return false };
    let organization = registered_domain(&signer);
    signer == domain || (organization.is_some() && organization == registered_domain(domain))
}

/// True if somebody sealed the message (RFC 8617), well or badly.
fn is_sealed(message: &Message) -> bool {
    message.fields().any(|field| field.is("ARC-Seal"))
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
            ("a.example.org", "b.example.org", true),
            ("Example.org", "example.org", true),
            ("co.uk", "example.co.uk", false),
            ("a.co.uk", "b.co.uk", false),
            ("one.github.io", "two.github.io", false),
            ("notexample.org", "example.org", false),
            ("org", "example.org", false),
            ("example.net", "example.org", false),
            ("", "example.org", false),
        ] {
            assert_eq!(stands_for(signer, domain), speaks, "{signer} {domain}");
        }
    }
}
