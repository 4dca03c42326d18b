//! Whether a message answers another one, and whether a list brought it: what its fields claim, where something else
//! bears them out. Fields alone are written by anybody.

use super::{Field, Model};
use crate::units::registered_domain;

/// Addresses of a field that are looked at.
const MAX_ADDRESSES: usize = 50;
/// Lines of a text in which quotations are looked for.
const MAX_LINES: usize = 2000;
/// Lines within which the head of a quoted message names who wrote it and when.
const HEAD: usize = 6;
/// What a line says that introduces a quotation, and ends in a colon.
const ATTRIBUTIONS: [&str; 20] = [
    "wrote",
    "writes",
    "said",
    "schrieb",
    "schreibt",
    "écrit",
    "escribió",
    "escribe",
    "escreveu",
    "scritto",
    "schreef",
    "skrev",
    "kirjoitti",
    "napisał",
    "napsal",
    "пишет",
    "написал",
    "пише",
    "写道",
    "さんは",
];
/// How programs head a whole message that they quote.
const ORIGINALS: [&str; 7] = [
    "original message",
    "originalnachricht",
    "ursprüngliche nachricht",
    "message d'origine",
    "mensaje original",
    "messaggio originale",
    "mensagem original",
];
/// The fields with which such a head begins, and those with which it goes on.
const AUTHORS: [&str; 4] = ["from:", "von:", "de:", "da:"];
const DATES: [&str; 8] = ["sent:", "date:", "gesendet:", "datum:", "envoyé:", "enviado:", "inviato:", "enviada:"];

impl Model {
    /// True if it says that it answers a message, and quotes one, or came by a list, where threads are read as a whole.
    pub fn answers(&self, sender_domain: &str) -> bool {
        let is_claimed = ["In-Reply-To", "References"].iter().any(|name| self.fields_named(name).next().is_some());
        is_claimed && (self.came_by_list(sender_domain) || quotes(&self.shown))
    }

    /// True if it says which list brought it, and the reverse-path, another field of the list's own program or one of
    /// those to whom it was sent is of the same registered domain.
    pub fn came_by_list(&self, sender_domain: &str) -> bool {
        let Some(list) = self.fields_named("List-Id").find_map(list_domain) else { return false };
        let list = registered_domain(&list);
        let is_of_list = |domain: &str| list.is_some() && registered_domain(&domain.to_lowercase()) == list;
        let others = ["Sender", "List-Post", "To", "Cc"];
        is_of_list(sender_domain)
            || others.iter().flat_map(|name| self.fields_named(name)).flat_map(mail_domains).any(is_of_list)
    }
}

/// The domain in the identifier of a list (RFC 2919): `words <name.of.the.list>`, or the bare name.
fn list_domain(field: &Field) -> Option<String> {
    let value = &field.value;
    let inner = value.rsplit_once('<').map_or(&**value, |(_, rest)| rest.split('>').next().unwrap_or_default());
    let inner = inner.trim().to_lowercase();
    registered_domain(&inner).is_some().then_some(inner)
}

/// The domains of the addresses in a field, as far as they stand at its beginning.
fn mail_domains(field: &Field) -> impl Iterator<Item = &str> {
    let behind = field.value.split('@').skip(1).take(MAX_ADDRESSES);
    behind.filter_map(|rest| rest.split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-'))).next())
}

/// True if a text quotes another one.
fn quotes(text: &str) -> bool {
    let mut since_author = HEAD;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()).take(MAX_LINES) {
        // With a letter behind it: an arrow or a rest of HTML is no quotation.
        if line.strip_prefix('>').is_some_and(|rest| rest.contains(char::is_alphabetic)) {
            return true;
        }
        let lower = line.to_lowercase();
        if lower.ends_with(':') && ATTRIBUTIONS.iter().any(|word| lower.contains(word)) {
            return true;
        }
        if lower.starts_with('-') && ORIGINALS.iter().any(|words| lower.contains(words)) {
            return true;
        }
        since_author += 1;
        if AUTHORS.iter().any(|field| lower.starts_with(field)) {
            since_author = 0;
        } else if since_author < HEAD && DATES.iter().any(|field| lower.starts_with(field)) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    fn model(message: &str) -> Model {
        let octets = message.replace('\n', "\r\n").into_bytes();
        let len = octets.len() as u64;
        Model::of(&Message::new(octets, len))
    }

    #[test]
    fn an_answer_quotes() {
        for (message, expected) in [
            ("In-Reply-To: <1@a>\n\nYes.\n\n> Really?", true),
            ("References: <1@a>\n\nOn Monday, Ann\n<a@b.example> wrote:\nReally?", true),
            ("References: <1@a>\n\nJa.\n\nAm 1.2.2026 schrieb Ann:", true),
            ("References: <1@a>\n\nYes.\n-----Original Message-----\nx", true),
            ("References: <1@a>\n\nYes.\nFrom: Ann\nSent: Monday\nTo: Bob", true),
            ("References: <1@a>\n\nHe wrote: all of it, and more", false),
            ("References: <1@a>\n\nBuy it now -->\n> 100 $", false),
            ("References: <1@a>\n\nFrom: now on\nyou can\nbuy\nit\nall\nday\nlong\nsent: to you", false),
            ("References: <1@a>\nList-Id: <talk.example.org>\n\nYes.", true),
            ("References: <1@a>\nList-Id: <talk.example.net>\n\nYes.", false),
            ("References: <1@a>\n\nYes.", false),
            ("Subject: Re: x\n\n> Really?", false),
        ] {
            assert_eq!(model(message).answers("lists.example.org"), expected, "{message}");
        }
    }

    #[test]
    fn a_list_is_where_it_says() {
        for (fields, sender, expected) in [
            ("List-Id: Talk <talk.lists.example.org>", "lists.example.org", true),
            ("List-Id: talk.lists.example.org", "bounces.EXAMPLE.org", true),
            ("List-Id: <talk.lists.example.org>\nSender: talk-owner@lists.example.org", "elsewhere.example", true),
            ("List-Id: <talk.lists.example.org>\nList-Post: <mailto:talk@example.org>", "", true),
            ("List-Id: <talk.lists.example.org>\nTo: Ann <a@b.example>, talk@lists.example.org", "", true),
            ("List-Id: <talk.lists.example.org>\nTo: Ann <a@b.example>", "evil.test", false),
            ("List-Id: <123.local>\nSender: a@local", "local", false),
            ("List-Id: x", "x", false),
            ("Sender: talk-owner@lists.example.org", "lists.example.org", false),
        ] {
            assert_eq!(model(&format!("{fields}\n\nhello")).came_by_list(sender), expected, "{fields} {sender}");
        }
    }
}
