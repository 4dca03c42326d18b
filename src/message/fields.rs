//! The fields that we add, as values: Received (RFC 5321 4.4), X-Spam-*; and which forged ones we remove.
//!
//! Much of what they say was said by strangers. Whatever cannot stand where it is to stand becomes `?`,
//! so that no name opens a comment, ends a line or begins a field.

use std::net::IpAddr;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::tz::TimeZone;

use super::ClientLabel;
use crate::smtp::ForwardPath;
use writer::{FieldWriter, clipped};

mod auth_results;
mod forged;
mod writer;

pub use auth_results::{AuthResults, MethodResult, ReceivedSpf};
pub use forged::{ReceivedCount, count_received, forged_ranges};

/// `with` of a Received field (RFC 5321 4.4, RFC 3848, RFC 6531 3.7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HELO.
    Smtp,
    /// EHLO.
    Esmtp,
    /// EHLO over TLS.
    Esmtps,
    /// MAIL with SMTPUTF8.
    Utf8Smtp,
    /// MAIL with SMTPUTF8, over TLS.
    Utf8Smtps,
    /// EHLO and AUTH.
    Esmtpa,
    /// EHLO over TLS, and AUTH.
    Esmtpsa,
    /// MAIL with SMTPUTF8, after AUTH.
    Utf8Smtpa,
    /// MAIL with SMTPUTF8, over TLS, after AUTH.
    Utf8Smtpsa,
}

impl Protocol {
    /// What was spoken. Without EHLO there is neither TLS nor SMTPUTF8.
    pub fn spoken(ehlo: bool, tls: bool, smtputf8: bool) -> Self {
        match (ehlo, tls, smtputf8) {
            (false, ..) => Self::Smtp,
            (true, false, false) => Self::Esmtp,
            (true, true, false) => Self::Esmtps,
            (true, false, true) => Self::Utf8Smtp,
            (true, true, true) => Self::Utf8Smtps,
        }
    }

    /// The same, by a client that has authenticated.
    #[must_use]
    pub fn authenticated(self) -> Self {
        match self {
            Self::Esmtp => Self::Esmtpa,
            Self::Esmtps => Self::Esmtpsa,
            Self::Utf8Smtp => Self::Utf8Smtpa,
            Self::Utf8Smtps => Self::Utf8Smtpsa,
            other => other,
        }
    }

    /// The registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "SMTP",
            Self::Esmtp => "ESMTP",
            Self::Esmtps => "ESMTPS",
            Self::Utf8Smtp => "UTF8SMTP",
            Self::Utf8Smtps => "UTF8SMTPS",
            Self::Esmtpa => "ESMTPA",
            Self::Esmtpsa => "ESMTPSA",
            Self::Utf8Smtpa => "UTF8SMTPA",
            Self::Utf8Smtpsa => "UTF8SMTPSA",
        }
    }
}

/// The trace field that says how the message came (RFC 5321 4.4).
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// Who delivered it.
    pub client: &'a ClientLabel,
    /// Our host name.
    pub hostname: &'a str,
    /// What was spoken.
    pub protocol: Protocol,
    /// The id of the transaction.
    pub id: &'a str,
    /// The recipient, if it is the only one: several would betray each other.
    pub recipient: Option<&'a ForwardPath>,
    /// When it came.
    pub at: SystemTime,
}

impl Received<'_> {
    /// Appends the field with its CRLF.
    pub fn write(&self, out: &mut Vec<u8>) {
        let address = match self.client.addr.to_canonical() {
            IpAddr::V4(address) => format!("[{address}])"),
            IpAddr::V6(address) => format!("[IPv6:{address}])"),
        };
        let mut field = FieldWriter::new("Received", out);
        field.word("from");
        field.word(&host(&self.client.helo));
        field.word(&format!("({}", host(self.client.name.as_deref().unwrap_or_default())));
        field.word(&address);
        field.line();
        field.word("by");
        field.word(&host(self.hostname));
        field.word("with");
        field.word(self.protocol.as_str());
        field.word("id");
        let stamp = date(self.at);
        match self.recipient {
            None => field.word(&format!("{};", token(self.id))),
            Some(recipient) => {
                field.word(&token(self.id));
                field.line();
                field.word("for");
                field.word(&format!("<{}>;", clipped(&recipient.to_string(), |character| !character.is_control())));
            }
        }
        field.line();
        field.word(&stamp);
        field.end();
    }
}

/// What we found, for the backend and for the reader's mail program.
#[derive(Clone, Debug, Default)]
pub struct SpamFields {
    /// True above the tag threshold: `X-Spam-Flag: YES` is written, and the status says so.
    pub flagged: bool,
    /// The score in points, such as `5.20`.
    pub score: String,
    /// Symbols with their part of the score.
    pub tests: Vec<(String, String)>,
    /// Checks that had not answered when the verdict was due.
    pub unfinished: Vec<String>,
    /// The id of the transaction.
    pub id: String,
}

impl SpamFields {
    /// Appends `X-Spam-Flag`, `X-Spam-Score`, `X-Spam-Status` and `X-Spam-Id`.
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.flagged {
            one_word("X-Spam-Flag", "YES", out);
        }
        let score = token(&self.score);
        one_word("X-Spam-Score", &score, out);
        let mut status = FieldWriter::new("X-Spam-Status", out);
        status.word(if self.flagged { "Yes," } else { "No," });
        status.word(&format!("score={score}"));
        let tests = self.tests.iter().map(|(symbol, part)| format!("{}={}", token(symbol), token(part)));
        status.list("tests", tests.collect());
        if !self.unfinished.is_empty() {
            status.list("unfinished", self.unfinished.iter().map(|name| token(name)).collect());
        }
        status.end();
        one_word("X-Spam-Id", &token(&self.id), out);
    }
}

/// A date as RFC 5322 3.3 writes it, in UTC.
pub fn date(at: SystemTime) -> String {
    let zoned = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC);
    // Only years beyond 9999 or before 0 cannot be written, and no such clock lets TLS work either.
    DateTimePrinter::new().zoned_to_string(&zoned).unwrap_or_else(|_| "Thu, 1 Jan 1970 00:00:00 +0000".to_owned())
}

fn one_word(name: &str, word: &str, out: &mut Vec<u8>) {
    let mut field = FieldWriter::new(name, out);
    field.word(word);
    field.end();
}

/// A host name or address literal of a stranger; nothing at all is `unknown`.
fn host(text: &str) -> String {
    let fits = |character: char| character.is_ascii_alphanumeric() || "-._:[]".contains(character);
    if text.is_empty() { "unknown".to_owned() } else { clipped(text, fits) }
}

/// A number, symbol or id.
fn token(text: &str) -> String {
    clipped(text, |character| character.is_ascii_alphanumeric() || "-+._/".contains(character))
}

#[cfg(test)]
mod tests;
