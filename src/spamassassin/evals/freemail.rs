//! Addresses at providers where anybody gets one.

use std::collections::BTreeSet;

use super::{Context, Eval};

/// Addresses of a body that are looked at.
const BODY_MOST: usize = 40;
/// Addresses of the header that are looked at, for each field that is asked for.
const HEADER_MOST: usize = 200;

pub(super) const TESTS: &[(&str, Eval)] =
    &[("check_freemail_from", from), ("check_freemail_header", header), ("check_freemail_replyto", reply_to)];

/// Addresses that nobody reads.
const ROLES: &[&str] = &[
    "abuse",
    "support",
    "sales",
    "info",
    "helpdesk",
    "contact",
    "kontakt",
    "postmaster",
    "hostmaster",
    "domainmaster",
];

fn is_free(context: &Context<'_>, address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let lists = &context.settings.lists;
    let Some(domains) = lists.get("freemail_domains") else { return false };
    let is_welcome =
        lists.get("freemail_welcomelist").is_some_and(|welcome| welcome.contains(address) || welcome.contains(domain));
    let is_role = ROLES.contains(&local)
        || ["undisclosed", "bounce-", "bounced-"].iter().any(|start| local.starts_with(start))
        || local.strip_prefix("request-").is_some_and(|id| is_hex(id, 16))
        || local.split_once(['.', '-']).is_some_and(|(first, id)| {
            is_hex(first, 8) && (is_hex(id, 8) || (id.len() == 27 && is_hex(&id.replace('-', ""), 24)))
        })
        || local.matches('=').count() >= 2;
    if is_welcome || is_role || address.is_empty() {
        return false;
    }
    let starred = |pattern: &str| pattern.contains('*') && glob(pattern, domain);
    domains.contains(domain) || domains.iter().any(|pattern| starred(pattern))
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|octet| octet.is_ascii_hexdigit())
}

/// Whether a reverse-path is that of a list or a program, to whom nobody answers.
fn is_bulk(from: &str) -> bool {
    let from = from.to_ascii_lowercase();
    let Some((local, _)) = from.rsplit_once('@') else { return false };
    let starts = ["sentto-", "owner-", "return-", "bounce-", "bounced-", "grbounce-", "grbounced-"];
    let ends = [
        "-request",
        "-bounce",
        "-bounces",
        "-admin",
        "-owner",
        "noreply",
        "noreplies",
        "no-reply",
        "no_reply",
        "no.reply",
    ];
    ["postmaster", "hostmaster", "domainmaster"].contains(&local)
        || local.starts_with("double-bounce")
        || starts.iter().any(|start| local.strip_prefix(start).is_some_and(|rest| !rest.is_empty()))
        || ends.iter().any(|end| local.ends_with(end))
        || local.trim_matches('=').contains('=')
}

/// Whether a pattern with stars is a name.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn addresses(context: &Context<'_>, request: &str) -> Vec<String> {
    context.values(request).into_iter().take(HEADER_MOST).map(|address| address.to_ascii_lowercase()).collect()
}

/// Whom a message says to be from, in all its fields.
pub(super) fn all_from(context: &Context<'_>) -> BTreeSet<String> {
    let resent = addresses(context, "Resent-From:addr");
    let mut found: BTreeSet<String> = resent.into_iter().collect();
    if found.is_empty() {
        found.extend(addresses(context, "From:addr"));
        found.extend(addresses(context, "Envelope-Sender:addr"));
        found.extend(addresses(context, "Resent-Sender:addr"));
        found.extend(addresses(context, "X-Envelope-From:addr"));
        found.extend(addresses(context, "EnvelopeFrom:addr"));
    }
    found.retain(|address| !address.is_empty());
    found
}

fn from(context: &Context<'_>, _: &[String]) -> bool {
    all_from(context).iter().any(|address| is_free(context, address) && context.matches(address))
}

fn header(context: &Context<'_>, arguments: &[String]) -> bool {
    let Some(name) = arguments.first() else { return false };
    let addresses = addresses(context, &format!("{name}:addr"));
    addresses.iter().any(|address| is_free(context, address) && context.matches(address))
}

fn reply_to(context: &Context<'_>, arguments: &[String]) -> bool {
    if context.read.envelope_from.as_deref().is_some_and(is_bulk) {
        return false;
    }
    let (from, reply) = (addresses(context, "From:addr"), addresses(context, "Reply-To:addr"));
    let from_is_free = from.iter().any(|address| is_free(context, address));
    let reply_is_free = reply.iter().any(|address| is_free(context, address));
    if from_is_free && reply_is_free && !from.iter().any(|address| reply.contains(address)) {
        return true;
    }
    let is_about_reply = arguments.first().is_some_and(|what| what == "reply");
    let may_be = if is_about_reply { from_is_free && (reply.is_empty() || reply_is_free) } else { reply_is_free };
    if !may_be {
        return false;
    }
    let answered = if !is_about_reply || reply_is_free { &reply } else { &from };
    in_body(context).iter().any(|address| answered.iter().any(|answered| answered != address))
}

/// Such addresses in the text.
fn in_body(context: &Context<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut all = BTreeSet::new();
    for line in &context.read.texts.body {
        let text = String::from_utf8_lossy(line);
        // What stands in angles is who was quoted.
        let words = text.split_inclusive(|c: char| c.is_whitespace() || "<>()[]\"',;:".contains(c));
        for word in words.filter(|word| word.contains('@') && !word.ends_with('>')) {
            let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_ascii_lowercase();
            if word.contains("://") || !word.contains('@') || all.len() >= BODY_MOST {
                continue;
            }
            if is_free(context, &word) {
                found.insert(word.clone());
            }
            all.insert(word);
        }
    }
    // A text full of addresses is a list of them.
    if all.len() >= 10 || found.len() >= 3 { BTreeSet::new() } else { found }
}
