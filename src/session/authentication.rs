//! What sender authentication found, as the fields that say so to the backend.
//!
//! Reads derived facts only: nothing is looked up here. A result that was due and is not there is
//! `temperror`, never left out: its absence must not look like consent. Only ARC has no such word
//! (RFC 8617 4.4.1): where its chain could not be validated it is not mentioned, as where there is none.

use super::metrics::Metrics;
use super::settings::Settings;
use crate::facts::{ArcChain, AuthResult, ClientName, Dkim, Dmarc, HeloFacts, MailFacts, MessageFacts, Signature, Spf};
use crate::message::fields::{AuthResults, MethodResult, ReceivedSpf};
use crate::smtp::ReversePath;
use crate::units::is_local_scope;

/// Why a result that was due is not there.
const UNFINISHED: &str = "no answer in time";

/// Appends the fields that are switched on. Without `judged` nobody looked, and the field says so.
pub(super) fn write(settings: &Settings, facts: &MessageFacts, judged: bool, out: &mut Vec<u8>) {
    let utf8 = facts.mail.params.get("SMTPUTF8").is_some();
    if settings.add_authentication_results {
        let results = if judged { results(facts) } else { Vec::new() };
        AuthResults { authserv_id: &settings.hostname, results: &results, utf8 }.write(out);
    }
    if settings.add_received_spf && judged {
        received_spf(settings, &facts.mail, utf8, out);
    }
}

/// Counts what was found: a method once for each message, whatever the number of its results.
pub(super) fn count(metrics: &Metrics, facts: &MessageFacts) {
    let mail = &facts.mail;
    let note = |method: &str, result: AuthResult| {
        metrics.authentications.with_label_values(&[method, result.as_str()]).inc();
    };
    if let Some((result, _)) = client_name(&mail.helo) {
        note("iprev", result);
    }
    let spf = mail.spf.get().or_else(|| mail.helo.spf.get());
    note("spf", spf.map_or(AuthResult::TempError, |spf| spf.result));
    note("dkim", facts.dkim.get().map_or(AuthResult::TempError, best));
    note("arc", facts.arc.get().map_or(AuthResult::TempError, |chain| chain.result));
    note("dmarc", facts.dmarc.get().map_or(AuthResult::TempError, |dmarc| dmarc.result));
}

/// A pass if any signature passes; otherwise what the first one says.
fn best(dkim: &Dkim) -> AuthResult {
    let mut results = dkim.signatures.iter().map(|signature| signature.result);
    let first = results.next().unwrap_or(AuthResult::None);
    if results.any(|result| result == AuthResult::Pass) { AuthResult::Pass } else { first }
}

fn results(facts: &MessageFacts) -> Vec<MethodResult> {
    let mail = &facts.mail;
    let mut results: Vec<MethodResult> = iprev(&mail.helo).into_iter().collect();
    results.extend(spf_of_mail(mail));
    results.push(spf_of_helo(mail));
    if mail.spf.get().is_some_and(|spf| spf.sender_id) {
        results.push(obsolete("sender-id"));
    }
    dkim(facts.dkim.get(), &mut results);
    results.extend(facts.arc.get().and_then(arc));
    results.push(dmarc(facts.dmarc.get()));
    results
}

fn iprev(helo: &HeloFacts) -> Option<MethodResult> {
    let (result, comment) = client_name(helo)?;
    Some(method("iprev", result).comment(comment).with("policy.iprev", helo.client.addr.to_string()))
}

fn client_name(helo: &HeloFacts) -> Option<(AuthResult, String)> {
    let client = &helo.client;
    let found = match (client.vouched_name.is_some(), client.name.get()) {
        (true, _) => (AuthResult::Pass, "vouched for by a trusted relay".to_owned()),
        (false, Some(ClientName::Confirmed(name))) => (AuthResult::Pass, name.to_string()),
        (false, Some(ClientName::Unconfirmed(name))) => {
            (AuthResult::Fail, format!("{name} does not lead back to the client"))
        }
        // RFC 8601 2.7.3.
        (false, Some(ClientName::None)) => (AuthResult::PermError, "the client has no name".to_owned()),
        (false, None) if is_local_scope(client.addr) => return None,
        (false, None) => (AuthResult::TempError, UNFINISHED.to_owned()),
    };
    Some(found)
}

/// SPF of the reverse-path, unless it is null: the HELO name then answers for it.
fn spf_of_mail(mail: &MailFacts) -> Option<MethodResult> {
    match &mail.reverse_path {
        ReversePath::Null => None,
        path => Some(spf(mail.spf.get()).with("smtp.mailfrom", bare(path))),
    }
}

fn spf_of_helo(mail: &MailFacts) -> MethodResult {
    let found = match &mail.reverse_path {
        ReversePath::Null => mail.spf.get().or_else(|| mail.helo.spf.get()),
        ReversePath::Mailbox(_) => mail.helo.spf.get(),
    };
    spf(found).with("smtp.helo", mail.helo.name.as_str())
}

fn spf(found: Option<&Spf>) -> MethodResult {
    match found {
        Some(spf) => method("spf", spf.result).comment(spf.reason.as_str()),
        None => method("spf", AuthResult::TempError).comment(UNFINISHED),
    }
}

fn dkim(found: Option<&Dkim>, results: &mut Vec<MethodResult>) {
    let Some(dkim) = found else {
        return results.push(method("dkim", AuthResult::TempError).comment(UNFINISHED));
    };
    if dkim.signatures.is_empty() {
        results.push(method("dkim", AuthResult::None).comment("not signed"));
    }
    results.extend(dkim.signatures.iter().map(signature));
    if dkim.ignored > 0 {
        let words = format!("{} more signatures were not looked at", dkim.ignored);
        results.push(method("dkim", AuthResult::Neutral).comment(words));
    }
    if dkim.domainkeys {
        results.push(obsolete("domainkeys"));
    }
}

/// A historic method (RFC 8601 2.7): that its data are there is said, and nobody verifies them.
fn obsolete(name: &'static str) -> MethodResult {
    method(name, AuthResult::Neutral).comment("obsolete, not verified")
}

fn signature(signature: &Signature) -> MethodResult {
    let mut words = Vec::new();
    if let Some(bits) = signature.key_bits {
        words.push(format!("{bits}-bit key"));
    }
    if !signature.reason.is_empty() {
        words.push(signature.reason.clone());
    }
    method("dkim", signature.result)
        .comment(words.join(", "))
        .with("header.d", &*signature.domain)
        .with("header.i", signature.identity.as_str())
        .with("header.s", signature.selector.as_str())
        .with("header.a", signature.algorithm)
        .with("header.b", signature.tag.as_str())
}

fn arc(chain: &ArcChain) -> Option<MethodResult> {
    if matches!(chain.result, AuthResult::None | AuthResult::TempError) {
        return None;
    }
    let mut words = Vec::new();
    if let Some(last) = chain.sets.last() {
        words.push(format!("set {} by {}", last.instance, last.sealer));
    }
    if !chain.reason.is_empty() {
        words.push(chain.reason.clone());
    }
    Some(method("arc", chain.result).comment(words.join(", ")))
}

fn dmarc(found: Option<&Dmarc>) -> MethodResult {
    let Some(dmarc) = found else {
        return method("dmarc", AuthResult::TempError).comment(UNFINISHED);
    };
    let asked = dmarc.record.as_ref().map_or("", |_| dmarc.policy.as_str());
    let words = match (asked, dmarc.reason.as_str()) {
        ("", reason) => reason.to_owned(),
        (asked, "") => format!("policy {asked}"),
        (asked, reason) => format!("policy {asked}, {reason}"),
    };
    method("dmarc", dmarc.result)
        .comment(words)
        .with("header.from", dmarc.author_domain.as_deref().unwrap_or_default())
        .with("policy.dmarc", asked)
}

fn received_spf(settings: &Settings, mail: &MailFacts, utf8: bool, out: &mut Vec<u8>) {
    let (result, comment) = match mail.spf.get() {
        Some(spf) => (spf.result, spf.reason.as_str()),
        None => (AuthResult::TempError, UNFINISHED),
    };
    let field = ReceivedSpf {
        result: result.as_str(),
        comment,
        client: mail.helo.client.addr,
        envelope_from: &bare(&mail.reverse_path),
        helo: mail.helo.name.as_str(),
        receiver: &settings.hostname,
        of_mail: mail.reverse_path != ReversePath::Null,
        utf8,
    };
    field.write(out);
}

fn method(name: &'static str, result: AuthResult) -> MethodResult {
    MethodResult::new(name, result.as_str())
}

/// A reverse-path without its brackets.
fn bare(path: &ReversePath) -> String {
    match path {
        ReversePath::Null => String::new(),
        ReversePath::Mailbox(mailbox) => mailbox.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{ClientFacts, Derived};
    use crate::smtp::HeloName;

    #[test]
    fn rfc8601_2_7_3_a_client_without_a_name_is_permanent_trouble() {
        for (name, expected) in [
            (Some(ClientName::None), "permerror"),
            (Some(ClientName::Unconfirmed("a.example".into())), "fail"),
            (Some(ClientName::Confirmed("a.example".into())), "pass"),
            (None, "temperror"),
        ] {
            let client = ClientFacts::new([192, 0, 2, 1].into(), "edge".into(), "mx.example".into(), None);
            let client = ClientFacts { name: name.map(Derived::from).unwrap_or_default(), ..client };
            let helo = HeloFacts::new(client.into(), HeloName::parse(b"a.example").expect("a word"), true, None);
            assert_eq!(iprev(&helo).map(|found| found.result), Some(expected));
        }
    }

    #[test]
    fn rfc8617_4_4_1_a_chain_passes_or_fails_or_is_not_mentioned() {
        for (result, expected) in [
            (AuthResult::Pass, Some("pass")),
            (AuthResult::Fail, Some("fail")),
            (AuthResult::None, None),
            (AuthResult::TempError, None),
        ] {
            let chain = ArcChain { result, sets: Vec::new(), reason: String::new(), panicked: false };
            assert_eq!(arc(&chain).map(|found| found.result), expected);
        }
    }
}
