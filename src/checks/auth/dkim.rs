//! DKIM (RFC 6376, 8301, 8463): every signature of a message, verified, and what that is worth.
//!
//! A signature that verifies but lets text be added (`l=`), that is out of time, or whose key is too short
//! ends as `policy`: genuine perhaps, but no ground to trust. What the grammar or the RFC forbids ends as
//! `permerror`, and is reported, not dropped.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::signing::field::{ascii, domain};
use super::signing::tags::{items, squeeze};
use super::signing::{
    BodyHash, Coverage, Form, Keys, Opinion, PANICKED, Proof, Section, Source, Stopped, Tags, Unsound,
};
use super::{Authenticator, Settings};
use crate::checks::Check;
use crate::checks::auth::mail_auth::Algorithm;
use crate::dns::Lookup;
use crate::facts::{AuthResult, Dkim, MessageFacts, Signature};
use crate::message::Message;
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Spec, Symbol};
use crate::units::is_at_or_below;

/// The check: what the signatures say, as symbols.
pub struct DkimCheck {
    authenticator: Arc<Authenticator>,
    spec: Spec,
}

/// Seconds by which clocks may differ at the end of a signature's life.
const SKEW: u64 = 300;
/// Seconds by which a signature may come from the future: clocks are set to the wrong time zone.
const FUTURE: u64 = 86_400;

const SYMBOLS: [&str; 10] = [
    "DKIM_PASS",
    "DKIM_FAIL",
    "DKIM_NONE",
    "DKIM_TEMPERROR",
    "DKIM_PERMERROR",
    "DKIM_WEAK_KEY",
    "DKIM_PARTIAL_BODY",
    "DKIM_OUT_OF_TIME",
    "DKIM_TESTING",
    "DOMAINKEYS_OBSOLETE",
];

/// A signature field as read.
#[derive(Debug)]
struct Draft {
    /// What is known of it so far; the answer already, unless it is sound.
    shown: Signature,
    sound: Option<Sound>,
}

/// A field that follows the rules.
#[derive(Debug)]
struct Sound {
    /// Its place in the header section.
    field: usize,
    proof: Proof,
    coverage: Coverage,
    /// `i=` names a subdomain of `d=`.
    subdomain: bool,
}

/// Verifies the signatures of a message.
pub(super) async fn verify(settings: &Settings, dns: &Arc<dyn Lookup>, facts: &MessageFacts) -> Dkim {
    let source = Source::new(facts);
    let max = settings.max_signatures;
    let Ok((mut dkim, mut drafts)) = source.work(1, move |message| read(message, max)).await else {
        let lost = Signature { result: AuthResult::TempError, reason: PANICKED.into(), ..unread() };
        return Dkim { signatures: vec![lost], panicked: true, ..Dkim::default() };
    };
    if !source.has_whole_header() {
        give_up(&mut drafts, AuthResult::Neutral, "the header section is too large");
    }
    if source.has_too_many_fields() {
        give_up(&mut drafts, AuthResult::PermError, "the header section has too many fields");
    }
    let wanted: Vec<_> = sound(&drafts).map(|sound| (sound.coverage.body_form, sound.coverage.length)).collect();
    let names: Vec<_> = sound(&drafts).map(|sound| sound.proof.key_name()).collect();
    let signatures = names.len();
    let drafts = Arc::new(drafts);
    let (hashes, keys) = futures_util::join!(source.hash(wanted), Keys::fetch(dns, names));
    let min_rsa_bits = settings.min_rsa_bits;
    let at = facts.mail.at;
    let judged = match hashes {
        Ok(hashes) => {
            let drafts = drafts.clone();
            source.work(signatures, move |message| judge(message, &drafts, &hashes, &keys, min_rsa_bits, at)).await
        }
        Err(why) => Err(why),
    };
    dkim.panicked = matches!(judged, Err(Stopped::Panicked));
    dkim.signatures = judged.unwrap_or_else(|why| {
        let reason = match &why {
            Stopped::Panicked => PANICKED.to_owned(),
            Stopped::Unreadable(_) => why.to_string(),
        };
        let shown = |draft: &Draft| match draft.sound {
            Some(_) => Signature { result: AuthResult::TempError, reason: reason.clone(), ..draft.shown.clone() },
            None => draft.shown.clone(),
        };
        drafts.iter().map(shown).collect()
    });
    dkim
}

fn sound(drafts: &[Draft]) -> impl Iterator<Item = &Sound> {
    drafts.iter().filter_map(|draft| draft.sound.as_ref())
}

fn give_up(drafts: &mut [Draft], result: AuthResult, reason: &str) {
    for draft in drafts {
        if draft.sound.take().is_some() {
            draft.shown.result = result;
            draft.shown.reason = reason.to_owned();
        }
    }
}

/// The signature fields of a message, at most `max`.
fn read(message: &Message, max: usize) -> (Dkim, Vec<Draft>) {
    let mut dkim = Dkim::default();
    let mut drafts = Vec::new();
    for (at, field) in message.fields().enumerate() {
        if field.is("DomainKey-Signature") {
            dkim.domainkeys = true;
        }
        if field.is("DKIM-Signature") {
            if drafts.len() < max {
                drafts.push(Draft::read(at, field.value));
            } else {
                dkim.ignored += 1;
            }
        }
    }
    (dkim, drafts)
}

impl Draft {
    fn read(field: usize, value: &[u8]) -> Self {
        let tags = match Tags::parse(value) {
            Ok(tags) => tags,
            Err(why) => return Self { shown: Signature { reason: why.into(), ..unread() }, sound: None },
        };
        // Whole or not at all: the beginning of a name may look like another name.
        let text = |name: &str, max: usize| {
            let text = squeeze(tags.get(name).unwrap_or_default());
            if text.len() <= max { text } else { String::new() }
        };
        let mut shown = Signature {
            domain: text("d", 253).to_lowercase().into(),
            selector: text("s", 253),
            identity: text("i", 320),
            algorithm: tags.get("a").and_then(Algorithm::parse).map_or("", Algorithm::as_str),
            tag: squeeze(tags.get("b").unwrap_or_default()).chars().take(8).collect(),
            signs_from: tags.get("h").is_some_and(|names| items(names).any(|name| name.eq_ignore_ascii_case("from"))),
            ..unread()
        };
        let sound = Sound::read(field, &tags).map_err(|why| shown.reason = why.into()).ok();
        Self { shown, sound }
    }
}

/// A signature of which nothing is known.
fn unread() -> Signature {
    Signature::new(AuthResult::PermError, "")
}

impl Sound {
    /// The rules of RFC 6376 3.5 and 6.1.1.
    fn read(field: usize, tags: &Tags<'_>) -> Result<Self, Unsound> {
        if tags.need("v")? != "1" {
            return Err(Unsound::new("`v=` is not 1"));
        }
        let proof = Proof::read(tags)?;
        let coverage = Coverage::read(tags, Form::Simple)?;
        if !coverage.signs("from") {
            return Err(Unsound::new("From is not signed"));
        }
        let is_dns = |method: &str| method.eq_ignore_ascii_case("dns/txt") || method.eq_ignore_ascii_case("dns");
        if !items(tags.get("q").unwrap_or("dns/txt")).any(is_dns) {
            return Err(Unsound::new("`q=` is unknown to us"));
        }
        let subdomain = match tags.get("i") {
            Some(identity) => is_subdomain(identity, &proof.domain)?,
            None => false,
        };
        Ok(Self { field, proof, coverage, subdomain })
    }
}

/// True if an identity belongs to a subdomain of `owner`, false if to `owner` itself.
fn is_subdomain(identity: &str, owner: &str) -> Result<bool, Unsound> {
    let host = identity.rsplit_once('@').and_then(|(_, host)| domain(host, 1));
    let host = ascii(&host.ok_or_else(|| Unsound::new("`i=` is no identity"))?);
    let owner = ascii(owner);
    match is_at_or_below(&host, &owner) {
        true => Ok(host != owner),
        false => Err(Unsound::new("`i=` is not within `d=`")),
    }
}

/// Holds all signatures against message, hashes and keys.
fn judge(
    message: &Message,
    drafts: &[Draft],
    hashes: &[BodyHash],
    keys: &Keys,
    min_rsa_bits: u32,
    at: SystemTime,
) -> Vec<Signature> {
    let now = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let section = Section::new(message);
    let judge = |draft: &Draft| {
        let Some(sound) = &draft.sound else { return draft.shown.clone() };
        let input = section.signed(&sound.coverage, &sound.proof, sound.field);
        let opinion = keys.verify(&sound.proof, &input, sound.subdomain, min_rsa_bits);
        let hash = hashes.iter().find(|hash| sound.coverage.is_hashed_by(hash));
        let unsigned = hash.map_or(0, |hash| hash.octets.saturating_sub(hash.length.unwrap_or(hash.octets)));
        let (result, reason) = conclude(sound, &opinion, hash, unsigned, now);
        let why_not = (result == AuthResult::Policy && unsigned == 0).then(|| untimely(sound, now)).flatten();
        Signature {
            out_of_time: opinion.result == AuthResult::Pass && why_not.is_some(),
            result,
            reason,
            key_bits: opinion.key_bits,
            partial_body: unsigned > 0,
            testing: opinion.testing,
            ..draft.shown.clone()
        }
    };
    drafts.iter().map(judge).collect()
}

/// What all is taken together; a failure that is certain comes before doubt, and before what cannot be known.
fn conclude(
    sound: &Sound,
    opinion: &Opinion,
    hash: Option<&BodyHash>,
    unsigned: u64,
    now: u64,
) -> (AuthResult, String) {
    if opinion.result == AuthResult::PermError {
        return (opinion.result, opinion.reason.clone());
    }
    match hash {
        None => (AuthResult::TempError, "its body was not hashed".into()),
        Some(hash) if hash.length.is_some_and(|length| length > hash.octets) => {
            (AuthResult::Fail, "`l=` is larger than the body".into())
        }
        Some(hash) if hash.digest != sound.coverage.body_hash => {
            (AuthResult::Fail, "the body was changed: its hash is another".into())
        }
        _ if opinion.result != AuthResult::Pass => (opinion.result, opinion.reason.clone()),
        _ if unsigned > 0 => (AuthResult::Policy, format!("`l=` leaves {unsigned} octets of the body unsigned")),
        _ => match untimely(sound, now) {
            Some(why) => (AuthResult::Policy, why.into()),
            None => (AuthResult::Pass, String::new()),
        },
    }
}

/// Why a signature is out of time, if it is.
fn untimely(sound: &Sound, now: u64) -> Option<&'static str> {
    if sound.coverage.expires.is_some_and(|expires| expires.saturating_add(SKEW) < now) {
        return Some("the signature has expired");
    }
    let is_early = sound.proof.at.is_some_and(|at| at > now.saturating_add(FUTURE));
    is_early.then_some("the signature is from the future")
}

impl DkimCheck {
    /// Reports what `authenticator` finds.
    pub fn new(authenticator: Arc<Authenticator>) -> Self {
        let emits = SYMBOLS.into_iter().map(Symbol::known).collect();
        Self { authenticator, spec: Spec { name: CheckName::new("dkim"), emits, exclusive: false } }
    }
}

impl Check for DkimCheck {
    type Facts = MessageFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, facts: &MessageFacts) -> Outcome {
        let dkim = self.authenticator.dkim(facts).await;
        if dkim.panicked {
            return Outcome::Failed(CheckError::Panicked);
        }
        Outcome::Found(observe(dkim, self.authenticator.settings().min_rsa_bits))
    }

    fn is_reported(&self) -> bool {
        true
    }
}

/// Signatures as symbols. Where one passed, those that did not say nothing (RFC 6376 6.1). Signatures of a
/// domain that is testing weigh nothing here, so that failing costs no more than not signing (3.6.1); one
/// that passes is a pass all the same for DMARC and for whoever asks who signed.
fn observe(dkim: &Dkim, min_rsa_bits: u32) -> Vec<Finding> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    for signature in &dkim.signatures {
        let symbol = symbol(signature, min_rsa_bits);
        if !found.iter().any(|(known, _)| *known == symbol) {
            found.push((symbol, describe(signature)));
        }
    }
    if found.iter().any(|(symbol, _)| *symbol == "DKIM_PASS") {
        found.retain(|(symbol, _)| matches!(*symbol, "DKIM_PASS" | "DKIM_TESTING"));
    }
    if dkim.signatures.is_empty() {
        found.push(("DKIM_NONE", "not signed".into()));
    }
    if dkim.domainkeys {
        found.push(("DOMAINKEYS_OBSOLETE", "DomainKey-Signature (RFC 4870) proves nothing any more".into()));
    }
    found.into_iter().map(|(symbol, evidence)| Finding::new(Symbol::known(symbol), evidence)).collect()
}

fn symbol(signature: &Signature, min_rsa_bits: u32) -> &'static str {
    match signature.result {
        _ if signature.testing => "DKIM_TESTING",
        AuthResult::Pass => "DKIM_PASS",
        AuthResult::TempError => "DKIM_TEMPERROR",
        AuthResult::PermError => "DKIM_PERMERROR",
        AuthResult::Policy if signature.key_bits.is_some_and(|bits| bits < min_rsa_bits.max(1024)) => "DKIM_WEAK_KEY",
        AuthResult::Policy if signature.partial_body => "DKIM_PARTIAL_BODY",
        AuthResult::Policy if signature.out_of_time => "DKIM_OUT_OF_TIME",
        _ => "DKIM_FAIL",
    }
}

fn describe(signature: &Signature) -> String {
    let Signature { domain, selector, reason, .. } = signature;
    match (domain.is_empty(), reason.is_empty()) {
        (true, _) => reason.clone(),
        (false, true) => format!("d={domain} s={selector}"),
        (false, false) => format!("d={domain} s={selector}: {reason}"),
    }
}

#[cfg(test)]
mod tests;
