//! Who sent a message how: as somebody tells us, or as the message itself remembers.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use jiff::fmt::rfc2822;
use serde::{Deserialize, Serialize};

use crate::facts::AuthResult;
use crate::message::Message;
use crate::smtp::{ForwardPath, HeloName, ReversePath};
use crate::units::is_local_scope;

/// Who sent a message how, as far as it is known. What is not known leaves the checks of its stage unstarted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The client.
    pub client: Option<IpAddr>,
    /// Its name, by reverse DNS that somebody confirmed.
    pub client_name: Option<String>,
    /// What it said in HELO.
    pub helo: Option<HeloName>,
    /// What it said in MAIL.
    pub reverse_path: Option<ReversePath>,
    /// What it said in RCPT.
    pub recipients: Vec<ForwardPath>,
    /// When; unknown: now.
    pub at: Option<SystemTime>,
    /// What SPF came to when the message was received: it is not asked again.
    pub spf: Option<AuthResult>,
    /// The same of DKIM.
    pub dkim: Option<AuthResult>,
    /// The same of DMARC.
    pub dmarc: Option<AuthResult>,
}

/// One line of a file of envelopes. What is empty is not known.
#[derive(Clone, Debug, Deserialize)]
pub struct Written {
    /// The file of the message, within the directory.
    pub path: PathBuf,
    #[serde(default)]
    ip: String,
    #[serde(default)]
    helo: String,
    #[serde(default)]
    rdns: String,
    #[serde(default)]
    mail_from: String,
    /// False if `mail_from` is only a guess: an empty one is then unknown, not null.
    #[serde(default = "yes")]
    mail_from_known: bool,
    #[serde(default)]
    rcpt: String,
    #[serde(default)]
    spf: String,
    #[serde(default)]
    dkim: String,
    #[serde(default)]
    dmarc: String,
    /// Seconds since 1970; 0 is unknown.
    #[serde(default)]
    date: i64,
}

/// An envelope as a trace shows it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Shown {
    client: Option<IpAddr>,
    client_name: Option<String>,
    helo: Option<String>,
    from: Option<String>,
    recipients: Vec<String>,
}

fn yes() -> bool {
    true
}

impl Envelope {
    /// As a line of a file of envelopes says.
    pub fn written(line: &Written) -> Self {
        let reverse_path = ReversePath::parse(line.mail_from.trim()).ok();
        Self {
            client: address(&line.ip),
            client_name: name(&line.rdns),
            helo: HeloName::parse(line.helo.as_bytes()).ok(),
            reverse_path: reverse_path.filter(|path| line.mail_from_known || !path.is_null()),
            recipients: ForwardPath::parse(line.rcpt.trim()).into_iter().collect(),
            at: u64::try_from(line.date).ok().filter(|seconds| *seconds > 0).and_then(since_1970),
            spf: result(&line.spf),
            dkim: result(&line.dkim),
            dmarc: result(&line.dmarc),
        }
    }

    /// As the fields remember that the receiving system added: `Return-Path` and `Delivered-To`, and of the
    /// `Received` fields the topmost that names a public address. Who wrote them is not known: what a stranger
    /// wrote is believed here, which a running proxy never does.
    pub fn remembered(message: &Message) -> Self {
        let mut envelope = Self::default();
        for field in message.fields() {
            let value = unfolded(field.value);
            if field.is("Return-Path") && envelope.reverse_path.is_none() {
                envelope.reverse_path = reverse_path(&value);
            } else if ["Delivered-To", "X-Original-To", "Envelope-To"].iter().any(|name| field.is(name)) {
                if envelope.recipients.is_empty() {
                    envelope.recipients.extend(forward_path(&value));
                }
            } else if field.is("Received") && envelope.client.is_none() {
                envelope.take_hop(&value);
            }
        }
        envelope
    }

    /// What `self` does not know, `other` may.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        // A name and a greeting belong to their client.
        let same = self.client.is_none() || self.client == other.client;
        let of_client = |theirs: Option<String>| theirs.filter(|_| same);
        Self {
            client: self.client.or(other.client),
            client_name: self.client_name.or_else(|| of_client(other.client_name)),
            helo: self.helo.or_else(|| other.helo.filter(|_| same)),
            reverse_path: self.reverse_path.or(other.reverse_path),
            recipients: if self.recipients.is_empty() { other.recipients } else { self.recipients },
            at: self.at.or(other.at),
            spf: self.spf.or(other.spf),
            dkim: self.dkim.or(other.dkim),
            dmarc: self.dmarc.or(other.dmarc),
        }
    }

    /// For traces.
    pub fn shown(&self) -> Shown {
        Shown {
            client: self.client,
            client_name: self.client_name.clone(),
            helo: self.helo.as_ref().map(|helo| helo.as_str().to_owned()),
            from: self.reverse_path.as_ref().map(ToString::to_string),
            recipients: self.recipients.iter().map(ToString::to_string).collect(),
        }
    }

    fn take_hop(&mut self, received: &str) {
        let Some(hop) = Hop::parse(received) else { return };
        self.client = Some(hop.client);
        self.client_name = hop.name;
        self.helo = hop.helo;
        self.at = hop.at;
        if self.recipients.is_empty() {
            self.recipients.extend(hop.recipient);
        }
    }
}

impl Shown {
    /// One line for people.
    pub fn to_text(&self) -> String {
        let unknown = || "unknown".to_owned();
        let name = self.client_name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
        format!(
            "client {}{name}, helo {}, from {}, to {}",
            self.client.map_or_else(unknown, |client| client.to_string()),
            self.helo.clone().unwrap_or_else(unknown),
            self.from.as_ref().map_or_else(unknown, |from| format!("<{from}>")),
            if self.recipients.is_empty() { unknown() } else { self.recipients.join(", ") },
        )
    }
}

/// What one `Received` field tells of the client.
struct Hop {
    client: IpAddr,
    name: Option<String>,
    helo: Option<HeloName>,
    recipient: Option<ForwardPath>,
    at: Option<SystemTime>,
}

impl Hop {
    /// `from HELO (NAME [ADDRESS]) by US for <RECIPIENT>; DATE`, which most servers write much like that. `None`
    /// without a public address.
    fn parse(value: &str) -> Option<Self> {
        let (text, date) = value.rsplit_once(';').unwrap_or((value, ""));
        let rest = text.trim_start().strip_prefix("from ")?;
        let from = rest.split(" by ").next().unwrap_or(rest);
        let helo = from.split([' ', '(']).next().unwrap_or_default();
        let bracketed = from.split(['[', '(', ']', ')', ' ']).filter_map(address);
        let client = bracketed.into_iter().find(|client| !is_local_scope(*client))?;
        let comment = from.split_once('(').map_or("", |(_, comment)| comment);
        let confirmed = comment.split([' ', '[', ')']).next().filter(|word| word.contains('.'));
        let recipient = rest.split_once(" for ").and_then(|(_, written)| forward_path(written));
        Some(Self {
            client,
            name: confirmed.filter(|word| address(word).is_none()).and_then(name),
            helo: HeloName::parse(helo.as_bytes()).ok(),
            recipient,
            at: rfc2822::parse(date.trim()).ok().map(|at| SystemTime::from(at.timestamp())),
        })
    }
}

fn unfolded(value: &[u8]) -> String {
    String::from_utf8_lossy(value).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn reverse_path(value: &str) -> Option<ReversePath> {
    match value.starts_with('<') {
        true => ReversePath::parse_bracketed(value).ok().map(|(path, _)| path),
        false => ReversePath::parse(value).ok().filter(|path| !path.is_null()),
    }
}

fn forward_path(value: &str) -> Option<ForwardPath> {
    match value.starts_with('<') {
        true => ForwardPath::parse_bracketed(value).ok().map(|(path, _)| path),
        false => ForwardPath::parse(value.split([' ', ';']).next().unwrap_or_default()).ok(),
    }
}

/// An address, in brackets or not, with the tag of RFC 5321 or not.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
    let bare = bare.strip_prefix("IPv6:").or_else(|| bare.strip_prefix("IPV6:")).unwrap_or(bare);
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn name(text: &str) -> Option<String> {
    let name = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let fits = name.contains('.') && name != "unknown" && address(&name).is_none();
    fits.then_some(name)
}

fn since_1970(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn result(word: &str) -> Option<AuthResult> {
    let known = [
        AuthResult::None,
        AuthResult::Pass,
        AuthResult::Fail,
        AuthResult::SoftFail,
        AuthResult::Neutral,
        AuthResult::Policy,
        AuthResult::TempError,
        AuthResult::PermError,
    ];
    known.into_iter().find(|result| result.as_str().eq_ignore_ascii_case(word.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembered(header: &str) -> String {
        let octets = format!("{header}\r\n\r\nbody\r\n").into_bytes();
        let len = octets.len() as u64;
        Envelope::remembered(&Message::new(octets, len)).shown().to_text()
    }

    #[test]
    fn the_fields_of_the_receiving_system_tell_the_envelope() {
        for (header, expected) in [
            ("Subject: x", "client unknown, helo unknown, from unknown, to unknown"),
            (
                "Return-Path: <>\r\nDelivered-To: b@there.example",
                "client unknown, helo unknown, from <>, to b@there.example",
            ),
            (
                "Return-Path: <a@here.example>\r\n\
                 Received: from inside.example (localhost [127.0.0.1]) by mx.example; x\r\n\
                 Received: from greeting.example (mail.here.example. [198.51.100.7])\r\n\tby mx.example with ESMTP \
                 for <b@there.example>; Fri, 6 Mar 2020 10:00:00 +0000",
                "client 198.51.100.7 (mail.here.example), helo greeting.example, from <a@here.example>, \
                 to b@there.example",
            ),
            (
                "Received: from [203.0.113.9] (unknown [IPv6:2001:db8::1]) by mx.example",
                "client 203.0.113.9, helo [203.0.113.9], from unknown, to unknown",
            ),
        ] {
            assert_eq!(remembered(header), expected, "{header}");
        }
    }

    #[test]
    fn what_is_empty_in_a_line_is_not_known() {
        let read = |line: &str| Envelope::written(&serde_json::from_str::<Written>(line).expect("JSON"));
        assert_eq!(read(r#"{"path": "a", "mail_from_known": false}"#), Envelope::default());
        let known = read(r#"{"path": "a", "mail_from": "", "mail_from_known": true, "spf": "SoftFail", "rdns": "x"}"#);
        assert_eq!(known.reverse_path, Some(ReversePath::Null));
        assert_eq!((known.spf, known.client_name), (Some(AuthResult::SoftFail), None));
    }

    #[test]
    fn a_name_belongs_to_its_client() {
        let one = Envelope { client: address("192.0.2.1"), ..Envelope::default() };
        let other = Envelope {
            client: address("192.0.2.2"),
            client_name: name("mail.example"),
            helo: HeloName::parse(b"mail.example").ok(),
            ..Envelope::default()
        };
        assert_eq!(one.clone().or(other.clone()), one);
        assert_eq!(Envelope::default().or(other.clone()), other);
    }
}
