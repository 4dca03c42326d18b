//! ARC (RFC 8617): the chain of those who passed a message on. A valid one is worth nothing by itself
//! (DECISIONS 13): it says who vouches, and only a sealer that is trusted may be believed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::signing::tags::{is_space, trim};
use super::signing::{
    BodyHash, Coverage, Form, Keys, Opinion, PANICKED, Proof, Section, Source, Stopped, Tags, Unsound,
};
use super::{Authenticator, Settings};
use crate::checks::Check;
use crate::dns::Lookup;
use crate::facts::{ArcChain, ArcSet, AuthResult, MessageFacts};
use crate::message::Message;
use crate::scoring::{CheckError, CheckName, Finding, Outcome, Spec, Symbol};

/// The check: what the chain says, as symbols.
pub struct ArcCheck {
    authenticator: Arc<Authenticator>,
    spec: Spec,
}

/// Sets in a chain (RFC 8617 4.2.1).
const MAX_SETS: u32 = 50;
/// Octets of all ARC fields: each seal signs those before it, so work grows with the square.
const MAX_OCTETS: usize = 256 * 1024;

/// `cv=`: what the sealer found of the chain before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Validation {
    None,
    Pass,
    Fail,
}

/// A field of an ARC set.
#[derive(Debug)]
enum Part {
    /// ARC-Authentication-Results: the text behind the instance.
    Results(String),
    /// ARC-Message-Signature.
    Message(Proof, Coverage),
    /// ARC-Seal.
    Seal(Proof, Validation),
}

/// With its instance.
type Numbered = (u32, Part);

/// A complete set; the numbers are places of its fields in the header section.
#[derive(Debug)]
struct Set {
    results: (usize, String),
    message: (usize, Proof, Coverage),
    seal: (usize, Proof, Validation),
}

/// A chain whose structure is sound: its sets by instance, never none.
#[derive(Debug)]
struct Chain {
    sets: Vec<Set>,
}

/// Validates the chain of a message.
pub(super) async fn verify(settings: &Settings, dns: &Arc<dyn Lookup>, facts: &MessageFacts) -> ArcChain {
    let source = Source::new(facts);
    let whole = source.has_whole_header();
    let chain = match source.work(1, read).await {
        Ok(Ok(None)) => return chain(AuthResult::None, ""),
        Ok(Ok(Some(_))) if !whole => return chain(AuthResult::Fail, "the header section is too large"),
        Ok(Ok(Some(_))) if source.has_too_many_fields() => {
            return chain(AuthResult::Fail, "the header section has too many fields");
        }
        Ok(Ok(Some(chain))) => chain,
        Ok(Err(why)) => return chain(AuthResult::Fail, why),
        Err(why) => return stopped(&why),
    };
    let sets = chain.describe();
    let validated = match chain.last().seal.2 {
        // RFC 8617 5.2 ends here with "fail"; but that the chain was broken before is the sealer's word, and
        // there is nothing left to validate: the suite (`cv_fail_i1_as_cv_fail`) wants no result.
        Validation::Fail => Ok((AuthResult::None, "its last sealer found the chain broken".into())),
        Validation::None | Validation::Pass => match chain.is_continued() {
            Err(why) => return self::chain(AuthResult::Fail, why),
            Ok(()) => validate(settings, dns, facts, &source, chain).await,
        },
    };
    match validated {
        Ok((result, reason)) => ArcChain { result, sets, reason, panicked: false },
        Err(why) => stopped(&why),
    }
}

fn chain(result: AuthResult, reason: impl Into<String>) -> ArcChain {
    ArcChain { result, sets: Vec::new(), reason: reason.into(), panicked: false }
}

fn stopped(why: &Stopped) -> ArcChain {
    match why {
        Stopped::Panicked => ArcChain { panicked: true, ..chain(AuthResult::TempError, PANICKED) },
        Stopped::Unreadable(_) => chain(AuthResult::TempError, why.to_string()),
    }
}

/// Holds the chain against message, hashes and keys.
async fn validate(
    settings: &Settings,
    dns: &Arc<dyn Lookup>,
    facts: &MessageFacts,
    source: &Source,
    chain: Chain,
) -> Result<(AuthResult, String), Stopped> {
    let (_, last, coverage) = &chain.last().message;
    let wanted = [(coverage.body_form, coverage.length)];
    let mut names: Vec<_> = chain.sets.iter().map(|set| set.seal.1.key_name()).collect();
    names.push(last.key_name());
    let (hashes, keys) = futures_util::join!(source.hash(wanted), Keys::fetch(dns, names));
    let hashes = hashes?;
    let (min_rsa_bits, at) = (settings.min_rsa_bits, facts.mail.at);
    source.work(chain.sets.len() + 1, move |message| chain.judge(message, &hashes, &keys, min_rsa_bits, at)).await
}

/// The chain, if there is one; an error if its structure is broken.
fn read(message: &Message) -> Result<Option<Chain>, String> {
    let mut octets = 0;
    let mut parts: BTreeMap<u32, Vec<(usize, Part)>> = BTreeMap::new();
    for (at, field) in message.fields().enumerate() {
        let read: fn(&[u8]) -> Result<Numbered, Unsound> = match field.name {
            name if name.eq_ignore_ascii_case(b"ARC-Authentication-Results") => read_results,
            name if name.eq_ignore_ascii_case(b"ARC-Message-Signature") => read_message_signature,
            name if name.eq_ignore_ascii_case(b"ARC-Seal") => read_seal,
            _ => continue,
        };
        octets += field.end - field.start;
        if octets > MAX_OCTETS {
            return Err("too much of it".into());
        }
        let name = String::from_utf8_lossy(field.name);
        let (instance, part) = read(field.value).map_err(|why| format!("{name}: {why}"))?;
        let set = parts.entry(instance).or_default();
        if set.iter().any(|(_, known)| std::mem::discriminant(known) == std::mem::discriminant(&part)) {
            return Err(format!("set {instance} has {name} twice"));
        }
        set.push((at, part));
    }
    let mut sets = Vec::with_capacity(parts.len());
    for (expected, (instance, parts)) in (1..).zip(parts) {
        if instance != expected {
            return Err(format!("set {expected} is missing"));
        }
        sets.push(Set::new(parts).ok_or_else(|| format!("set {instance} is incomplete"))?);
    }
    Ok((!sets.is_empty()).then_some(Chain { sets }))
}

/// `i=1; ` and then what an Authentication-Results field holds (RFC 8617 4.1.1).
fn read_results(value: &[u8]) -> Result<Numbered, Unsound> {
    let text = String::from_utf8_lossy(value);
    let (instance, results) = first_part(&text);
    let number = instance.split_once('=').filter(|(name, _)| trim(name) == "i").map(|(_, number)| trim(number));
    let number = number.ok_or_else(|| Unsound::new("it does not begin with `i=`"))?;
    let digits = (1..=2).contains(&number.len()) && number.bytes().all(|octet| octet.is_ascii_digit());
    let instance = if digits { number.parse().ok() } else { None };
    Ok((in_bounds(instance)?, Part::Results(unfold(results))))
}

fn read_message_signature(value: &[u8]) -> Result<Numbered, Unsound> {
    let tags = Tags::parse(value)?;
    // RFC 8617 names no default of its own; the suite (`ams_fields_c_na`) wants the form that seals have.
    let coverage = Coverage::read(&tags, Form::Relaxed)?;
    if coverage.signs("arc-seal") {
        return Err(Unsound::new("it signs ARC-Seal"));
    }
    Ok((instance(&tags)?, Part::Message(Proof::read(&tags)?, coverage)))
}

fn read_seal(value: &[u8]) -> Result<Numbered, Unsound> {
    let tags = Tags::parse(value)?;
    if tags.get("h").is_some() {
        return Err(Unsound::new("it has `h=`"));
    }
    let validation = match tags.need("cv")? {
        word if word.eq_ignore_ascii_case("none") => Validation::None,
        word if word.eq_ignore_ascii_case("pass") => Validation::Pass,
        word if word.eq_ignore_ascii_case("fail") => Validation::Fail,
        _ => return Err(Unsound::new("`cv=` is unknown")),
    };
    Ok((instance(&tags)?, Part::Seal(Proof::read(&tags)?, validation)))
}

fn instance(tags: &Tags<'_>) -> Result<u32, Unsound> {
    let number = tags.number("i", 2)?.ok_or_else(|| Unsound::new("`i=` is missing"))?;
    in_bounds(u32::try_from(number).ok())
}

fn in_bounds(instance: Option<u32>) -> Result<u32, Unsound> {
    instance
        .filter(|instance| (1..=MAX_SETS).contains(instance))
        .ok_or_else(|| Unsound::new(format!("`i=` is not 1 to {MAX_SETS}")))
}

/// What stands before the first semicolon, without comments (RFC 5322 3.2.2), and what stands behind it.
fn first_part(text: &str) -> (String, &str) {
    let mut depth = 0usize;
    let mut kept = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if depth > 0 => drop(chars.next()),
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            ';' if depth == 0 => break,
            _ if depth == 0 => kept.push(c),
            _ => {}
        }
    }
    (kept, chars.as_str())
}

/// On one line, without control characters. Whole, since a part may say what the whole does not;
/// [`MAX_OCTETS`] bounds it.
fn unfold(text: &str) -> String {
    let words: Vec<&str> = text.split(is_space).filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

impl Set {
    /// Of its three fields.
    fn new(parts: Vec<(usize, Part)>) -> Option<Self> {
        let (mut results, mut message, mut seal) = (None, None, None);
        for (at, part) in parts {
            match part {
                Part::Results(text) => results = Some((at, text)),
                Part::Message(proof, coverage) => message = Some((at, proof, coverage)),
                Part::Seal(proof, validation) => seal = Some((at, proof, validation)),
            }
        }
        Some(Self { results: results?, message: message?, seal: seal? })
    }
}

/// What the signatures so far come to.
struct Verdict((AuthResult, String));

impl Default for Verdict {
    fn default() -> Self {
        Self((AuthResult::Pass, String::new()))
    }
}

impl Verdict {
    /// Takes one more into account; true if the chain certainly fails: that comes before what cannot be known
    /// now, and makes all further work idle.
    fn fails(&mut self, what: &str, opinion: Opinion) -> bool {
        let result = match opinion.result {
            AuthResult::Pass => return false,
            AuthResult::TempError => AuthResult::TempError,
            _ => AuthResult::Fail,
        };
        self.0 = (result, format!("{what}: {}", opinion.reason));
        result == AuthResult::Fail
    }
}

impl Chain {
    fn last(&self) -> &Set {
        self.sets.last().expect("a chain has a set")
    }

    fn describe(&self) -> Vec<ArcSet> {
        let set = |(instance, set): (u32, &Set)| ArcSet {
            instance,
            sealer: set.seal.1.domain.as_str().into(),
            results: set.results.1.clone(),
        };
        (1..).zip(&self.sets).map(set).collect()
    }

    /// The first seal knows no chain before it, every other one has found the chain before it valid.
    fn is_continued(&self) -> Result<(), String> {
        for (instance, set) in (1u32..).zip(&self.sets) {
            let expected = if instance == 1 { Validation::None } else { Validation::Pass };
            if set.seal.2 != expected {
                return Err(format!("`cv=` of seal {instance} does not fit"));
            }
        }
        Ok(())
    }

    /// RFC 8617 5.2, steps 4 and 6: the last message signature, and all seals, until one is certain to fail.
    fn judge(
        &self,
        message: &Message,
        hashes: &[BodyHash],
        keys: &Keys,
        min_rsa_bits: u32,
        at: SystemTime,
    ) -> (AuthResult, String) {
        let section = Section::new(message);
        let mut verdict = Verdict::default();
        let what = "the last ARC-Message-Signature";
        let (own, proof, coverage) = &self.last().message;
        let by_key = || keys.verify(proof, &section.signed(coverage, proof, *own), false, min_rsa_bits);
        if verdict.fails(what, self.judge_body(hashes, at)) || verdict.fails(what, by_key()) {
            return verdict.0;
        }
        let mut sealed = Vec::new();
        for set in &self.sets {
            let (own, proof, _) = &set.seal;
            section.append(Form::Relaxed, set.results.0, &mut sealed);
            section.append(Form::Relaxed, set.message.0, &mut sealed);
            let before = sealed.len();
            section.append_cut(Form::Relaxed, *own, &proof.cut, &mut sealed);
            if verdict.fails("an ARC-Seal", keys.verify(proof, &sealed, false, min_rsa_bits)) {
                break;
            }
            sealed.truncate(before);
            section.append(Form::Relaxed, *own, &mut sealed);
        }
        verdict.0
    }

    /// The last message signature as far as it needs no key.
    fn judge_body(&self, hashes: &[BodyHash], at: SystemTime) -> Opinion {
        let (_, _, coverage) = &self.last().message;
        let now = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let fail = |reason: &str| Opinion::new(AuthResult::Fail, reason);
        match hashes.iter().find(|hash| coverage.is_hashed_by(hash)) {
            None => Opinion::new(AuthResult::TempError, "the body was not hashed"),
            Some(hash) if hash.digest != coverage.body_hash => fail("the body was changed: its hash is another"),
            // Whoever trusts the sealer would take what was added for sealed.
            Some(hash) if hash.length.is_some_and(|length| length != hash.octets) => {
                fail("`l=` is not the length of the body")
            }
            _ if coverage.expires.is_some_and(|expires| expires < now) => fail("the signature has expired"),
            _ => Opinion::new(AuthResult::Pass, ""),
        }
    }
}

impl ArcCheck {
    /// Reports what `authenticator` finds.
    pub fn new(authenticator: Arc<Authenticator>) -> Self {
        let emits = ["ARC_PASS", "ARC_FAIL", "ARC_TEMPERROR"].into_iter().map(Symbol::known).collect();
        Self { authenticator, spec: Spec { name: CheckName::new("arc"), emits, exclusive: true } }
    }
}

impl Check for ArcCheck {
    type Facts = MessageFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn is_edge_only(&self) -> bool {
        true
    }

    async fn run(&self, facts: &MessageFacts) -> Outcome {
        let chain = self.authenticator.arc(facts).await;
        if chain.panicked {
            return Outcome::Failed(CheckError::Panicked);
        }
        Outcome::from_findings(observe(chain).into_iter().collect())
    }

    fn is_reported(&self) -> bool {
        true
    }
}

/// The chain as a symbol.
fn observe(chain: &ArcChain) -> Option<Finding> {
    let finding = |symbol, evidence: &str| Some(Finding::new(Symbol::known(symbol), evidence));
    match chain.result {
        AuthResult::Pass => {
            let sealers: Vec<&str> = chain.sets.iter().map(|set| &*set.sealer).collect();
            finding("ARC_PASS", &format!("sealed by {}", sealers.join(", ")))
        }
        AuthResult::None => None,
        AuthResult::TempError => finding("ARC_TEMPERROR", &chain.reason),
        _ => finding("ARC_FAIL", &chain.reason),
    }
}

#[cfg(test)]
mod tests;
