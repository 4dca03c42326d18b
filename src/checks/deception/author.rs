//! What the author says of himself, and where else he would have answers go.

use super::Seen;
use super::seen::Mailbox;
use super::settings::Settings;
use crate::scoring::{Finding, Symbol};
use crate::units::registered_domain;

/// Octets of the text in which an address to write to is looked for.
const BEGINNING: usize = 6000;
/// Shorter names than that are nobody's by chance.
const SHORTEST_NAME: usize = 5;
/// Marks of quotations, programs and lists, which are full of the addresses of others.
const QUOTATIONS: [&str; 6] = ["wrote:", "\n> ", "signed-off-by", "diff --git", "reported-by", "unsubscribe"];

pub(super) fn judge(settings: &Settings, seen: &Seen<'_>) -> Vec<Finding> {
    let finding = |symbol: &'static str, evidence: String| Finding::new(Symbol::known(symbol), evidence);
    let mut findings = Vec::new();
    let is_answer = seen.is_answer();
    if let Some(other) = seen.from.iter().find_map(other_address).filter(|_| !is_answer) {
        findings.push(finding("NAME_SHOWS_ADDRESS", other));
    }
    if !is_answer && seen.from.iter().any(|mailbox| is_recipient(mailbox, &seen.recipients)) {
        findings.push(finding("NAME_IS_RECIPIENT", "the author is called like the recipient".to_owned()));
    }
    if let Some(domain) = foreign_message_id(seen) {
        findings.push(finding("MESSAGE_ID_FOREIGN", domain));
    }
    if let Some(address) = contact(settings, seen).filter(|_| !is_answer) {
        findings.push(finding("TEXT_FREEMAIL_CONTACT", address));
    }
    findings
}

/// The address in a name, if it is of another domain than the true one.
fn other_address(mailbox: &Mailbox) -> Option<String> {
    let own = registered_domain(mailbox.domain())?;
    addresses(&mailbox.name).find(|shown| {
        let domain = shown.rsplit_once('@').map_or("", |(_, domain)| domain);
        registered_domain(domain).is_some_and(|domain| domain != own)
    })
}

fn is_recipient(mailbox: &Mailbox, recipients: &[String]) -> bool {
    let name = mailbox.name.to_lowercase();
    let is_shown = |recipient: &String| {
        let recipient = recipient.trim_matches(['<', '>']).to_lowercase();
        let local = recipient.split('@').next().unwrap_or_default();
        recipient != mailbox.address
            && recipient.contains('@')
            && (name.contains(&recipient)
                || (local.len() >= SHORTEST_NAME && name.trim_matches(|c: char| !c.is_alphanumeric()) == local))
    };
    !name.is_empty() && recipients.iter().any(is_shown)
}

/// The domain of a Message-ID that neither the author's programs nor the sender's gave.
fn foreign_message_id(seen: &Seen<'_>) -> Option<String> {
    if seen.is_answer() || seen.has("User-Agent") || seen.is_from_list() {
        return None;
    }
    let id = &seen.model.fields_named("Message-ID").next()?.value;
    let host = id.rsplit_once('@')?.1.trim_end_matches('>').to_lowercase();
    let domain = registered_domain(&host)?;
    (!seen.own().contains(&domain) && !seen.own().is_empty()).then(|| domain.to_owned())
}

/// A freemail address in the text that is neither the author's nor a recipient's.
fn contact(settings: &Settings, seen: &Seen<'_>) -> Option<String> {
    let shown = &seen.model.shown;
    let end = shown.floor_char_boundary(BEGINNING);
    let text = format!("{}\n{}", seen.subject(), shown.get(..end)?).to_lowercase();
    if QUOTATIONS.iter().any(|mark| text.contains(mark)) {
        return None;
    }
    let named = |address: &String| {
        let to = seen.model.fields_named("To").chain(seen.model.fields_named("Cc"));
        seen.from.iter().any(|mailbox| mailbox.address == *address)
            || seen.recipients.iter().any(|recipient| recipient.to_lowercase().contains(address))
            || to.into_iter().any(|field| field.value.to_lowercase().contains(address))
    };
    let is_freemail = |address: &String| {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        registered_domain(domain).is_some_and(|domain| settings.freemail.contains(domain))
    };
    addresses(&text).filter(is_freemail).find(|address| !named(address))
}

/// Everything in a text that is an address of mail, in lower case.
fn addresses(text: &str) -> impl Iterator<Item = String> {
    let is_of_address = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '%' | '@');
    let words = text.split(move |c| !is_of_address(c)).map(|word| word.trim_matches(['.', '-', '_']).to_lowercase());
    words.filter(|word| word.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.')))
}
