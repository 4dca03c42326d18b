//! A message as read for the rules, once.

use std::collections::BTreeSet;

use super::mail::Mail;
use super::relays::Relays;
use super::text::Texts;
use super::uris;
use crate::pattern::Budget;

/// What the transaction knows beyond the message.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    /// Where it comes from; none if the message says it itself, as its top Received field does behind a mail server.
    pub client: Option<std::net::IpAddr>,
    /// The name of the client, confirmed; empty if it has none.
    pub client_name: String,
    /// What it said in HELO.
    pub helo: String,
    /// The reverse-path; none if the message says it itself (Return-Path).
    pub from: Option<String>,
}

impl Envelope {
    /// The fields that a mail server would have put before the message.
    pub(super) fn fields(&self) -> Vec<u8> {
        let mut out = String::new();
        if let Some(from) = &self.from {
            out.push_str(&format!("Return-Path: <{}>\n", one_line(from)));
        }
        if let Some(client) = self.client {
            let name = if self.client_name.is_empty() { "unknown" } else { &self.client_name };
            out.push_str(&format!(
                "Received: from {} ({} [{client}])\n\tby gatepost.invalid (Postfix) with ESMTP id 0;\n\t\n",
                one_line(&self.helo),
                one_line(name)
            ));
        }
        out.into_bytes()
    }
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect()
}

/// A message as read.
#[derive(Debug)]
pub(super) struct Read<'e> {
    pub(super) mail: Mail,
    pub(super) relays: Relays,
    pub(super) texts: Texts,
    pub(super) uris: BTreeSet<String>,
    pub(super) envelope_from: Option<String>,
    /// How long ago it came, as far as it says, is measured against this: seconds since 1970.
    pub(super) now: i64,
    pub(super) envelope: &'e Envelope,
}

impl<'e> Read<'e> {
    /// Reads a message; what is no more read as it is late, is noted in `budget`.
    pub(super) fn of(octets: &[u8], envelope: &'e Envelope, now: i64, budget: &mut Budget) -> Self {
        let mut whole = envelope.fields();
        whole.extend_from_slice(octets);
        let mail = Mail::of(&whole);
        let relays = Relays::of(&mail);
        let texts = Texts::of(&mail, budget);
        let uris = uris::of(&texts);
        let envelope_from =
            envelope.from.clone().or_else(|| told_sender(&mail, &relays)).filter(|from| !from.is_empty());
        Self { mail, relays, texts, uris, envelope_from, now, envelope }
    }
}

/// The reverse-path, as a hop or a mail server wrote it down.
fn told_sender(mail: &Mail, relays: &Relays) -> Option<String> {
    let hop = relays.untrusted.first().or(relays.trusted.last());
    if let Some(from) = hop.and_then(|hop| hop.envelope_from.as_ref())
        && (from.is_empty() || from.find('@').is_some_and(|at| at > 0))
    {
        return Some(from.clone());
    }
    let is_fetched = || {
        mail.named("received").any(|field| memchr::memmem::find(&field.value, b"(fetchmail").is_some())
            && mail.named("x-sender").any(|field| field.value.contains(&b'@'))
    };
    if is_fetched() {
        return None;
    }
    let hop_at = mail.fields().iter().position(|field| field.name.eq_ignore_ascii_case("received"));
    for name in ["x-envelope-from", "envelope-sender", "return-path"] {
        let Some(at) = mail.fields().iter().position(|field| field.name.eq_ignore_ascii_case(name)) else { continue };
        // What stands below a hop may be of a mailing list that sent it on.
        if hop_at.is_none_or(|hop| at < hop) {
            let value = String::from_utf8_lossy(&mail.fields()[at].value).into_owned();
            return Some(value.trim_matches(['<', '>', ' ']).to_owned());
        }
        if name == "x-envelope-from" {
            return None;
        }
    }
    None
}
