//! A report as mail: a few words, and the compressed document as an attachment (RFC 9990, RFC 7489 7.2.1.1).
//!
//! ASCII throughout, no line beyond what SMTP allows, so that every server can carry it.

use std::io;
use std::time::SystemTime;

use super::Settings;
use super::feedback;
use crate::clock::seconds;
use crate::smtp::Mailbox;
use crate::store::DmarcBatch;

/// Octets of base64 on one line (RFC 2045 6.8).
const LINE: usize = 76;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A report that is ready to be sent to anybody who may have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Names it for whoever receives it twice; of one batch always the same.
    pub id: String,
    /// Whom it is about, fit for a header field.
    pub domain: String,
    /// `receiver!policy-domain!begin!end!id`.
    pub stem: String,
    /// The compressed document.
    pub attachment: Vec<u8>,
}

impl Report {
    /// Writes a batch down and compresses it; takes a moment for a large one.
    ///
    /// # Errors
    /// None that is known, as it writes to memory.
    pub fn new(batch: &DmarcBatch, settings: &Settings) -> io::Result<Self> {
        let id = id(batch, &settings.hostname);
        let domain = plain(&batch.domain);
        let (begin, end) = (seconds(batch.begin), seconds(batch.end).saturating_sub(1));
        let email = settings.email.to_string();
        let by = feedback::Reporter { org_name: &settings.org_name, email: &email };
        Ok(Self {
            stem: format!("{}!{domain}!{begin}!{end}!{id}", settings.submitter()),
            attachment: feedback::gzip(feedback::xml(batch, by, &id).as_bytes())?,
            domain,
            id,
        })
    }

    /// The name of the attachment.
    pub fn file_name(&self) -> String {
        format!("{}.xml.gz", self.stem)
    }

    /// The message for one address.
    pub fn message(&self, settings: &Settings, to: &Mailbox, now: SystemTime) -> Vec<u8> {
        let Self { id, domain, .. } = self;
        let (submitter, org, host) = (settings.submitter(), plain_words(&settings.org_name), &settings.hostname);
        let name = self.file_name();
        // No line of base64 can contain it.
        let boundary = format!("=_{id}");
        let mut mail = format!(
            "Date: {date}\r\n\
             From: \"{org}\" <{from}>\r\n\
             To: <{to}>\r\n\
             Subject: Report Domain: {domain}\r\n Submitter: {submitter}\r\n Report-ID: <{id}>\r\n\
             Message-ID: <{id}.{digest:016x}@{host}>\r\n\
             Auto-Submitted: auto-generated\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\
             \r\n\
             --{boundary}\r\n\
             Content-Type: text/plain; charset=us-ascii\r\n\
             \r\n\
             This is a DMARC aggregate report. It was made by a program.\r\n\
             \r\n\
             Domain: {domain}\r\n\
             Submitter: {submitter} ({org})\r\n\
             Report-ID: {id}\r\n\
             \r\n\
             --{boundary}\r\n\
             Content-Type: application/gzip;\r\n name=\"{name}\"\r\n\
             Content-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment;\r\n filename=\"{name}\"\r\n\
             \r\n",
            date = date(now),
            from = settings.email,
            digest = digest(&[to.to_string().as_bytes()]),
        )
        .into_bytes();
        base64(&self.attachment, &mut mail);
        mail.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        mail
    }
}

/// Of one batch always the same, and not that of another proxy of the same organization. Letters and digits
/// alone: the file name and the Subject carry the same one (RFC 9990).
fn id(batch: &DmarcBatch, hostname: &str) -> String {
    let parts = [hostname.as_bytes(), batch.domain.as_bytes(), &batch.id.to_le_bytes()];
    format!("{}{:016x}", seconds(batch.begin), digest(&parts))
}

fn digest(parts: &[&[u8]]) -> u64 {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.digest()
}

/// A domain as it may stand in header fields and file names.
fn plain(domain: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    domain.chars().map(|c| if fits(c) { c } else { '_' }).collect()
}

/// Words as they may stand between quotes in a header field.
fn plain_words(text: &str) -> String {
    let fits = |c: char| (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\');
    text.chars().map(|c| if fits(c) { c } else { '_' }).take(200).collect()
}

/// The date of RFC 5322 3.3, in UTC.
fn date(now: SystemTime) -> String {
    let timestamp = jiff::Timestamp::try_from(now).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let zoned = timestamp.to_zoned(jiff::tz::TimeZone::UTC);
    jiff::fmt::rfc2822::to_string(&zoned).expect("a year of four digits, as SystemTime has here")
}

/// Appends base64 in lines, the last one closed.
fn base64(octets: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    for group in octets.chunks(3) {
        let [first, second, third] = [0, 1, 2].map(|at| u32::from(group.get(at).copied().unwrap_or(0)));
        let bits = first << 16 | second << 8 | third;
        for at in 0..4 {
            let index = (bits >> (18 - 6 * at)) & 63;
            let symbol = ALPHABET.get(index as usize).copied().expect("six bits");
            out.push(if at <= group.len() { symbol } else { b'=' });
        }
        column += 4;
        if column == LINE {
            out.extend_from_slice(b"\r\n");
            column = 0;
        }
    }
    if column > 0 {
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests;
