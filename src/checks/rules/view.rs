//! What rules look at: a message and its envelope, and what each target is of them.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::OnceLock;

use super::condition::{
    AddressPart, AttachmentPart, EnvelopePart, LinkPart, MimePart, RawPart, Target, TextPart, Whose,
};
use super::mailboxes::{self, Shown};
use crate::message::model::{Field, Link};
use crate::message::{Message, Model};

/// The beginning of a text, in lines and octets.
const FIRST_LINES: usize = 10;
const FIRST_OCTETS: usize = 1000;

/// What the client said and is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Its HELO name.
    pub helo: String,
    /// The reverse-path; empty if it is null.
    pub from: String,
    /// The recipients.
    pub recipients: Vec<String>,
    /// Its address.
    pub client: IpAddr,
    /// Its confirmed name.
    pub client_name: Option<String>,
}

/// A message as rules see it. What several targets share is made once.
pub struct View<'a> {
    pub(super) message: &'a Message,
    pub(super) model: &'a Model,
    pub(super) envelope: &'a Envelope,
    subject: Cow<'a, str>,
    shown: OnceLock<String>,
    mailboxes: [OnceLock<Vec<Shown>>; Whose::ALL.len()],
}

impl<'a> View<'a> {
    /// Of a message that was read.
    pub fn new(message: &'a Message, model: &'a Model, envelope: &'a Envelope) -> Self {
        Self {
            message,
            model,
            envelope,
            subject: model.subject(),
            shown: OnceLock::new(),
            mailboxes: Default::default(),
        }
    }

    /// The Subject, decoded; empty without one.
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    pub(super) fn letters(&self, text: &str) -> u64 {
        text.chars().filter(|letter| letter.is_alphabetic()).count() as u64
    }

    /// Mailboxes in To and Cc.
    pub(super) fn addressees(&self) -> usize {
        self.mailboxes(Whose::To).len() + self.mailboxes(Whose::Cc).len()
    }

    /// Tells `each` of every value of a target; one that is a number has none.
    pub(super) fn read(&self, target: &Target, each: &mut dyn FnMut(&[u8])) {
        match target {
            Target::Header { names, raw } => self.headers(names, *raw, each),
            Target::Address { of, part } => {
                for mailbox in self.mailboxes(*of) {
                    mailbox_part(mailbox, *part, each);
                }
            }
            Target::Envelope(part) => self.envelope(*part, each),
            Target::Text(part) => self.text(*part, each),
            Target::Raw(RawPart::Body) => each(self.message.body()),
            Target::Raw(RawPart::Headers) => each(self.message.header_section()),
            Target::Raw(RawPart::Message) => each(self.message.octets()),
            Target::Link { part, origin, trick } => {
                let links = self.model.links.iter().filter(|link| origin.is_none_or(|wanted| wanted == link.origin));
                for link in links.filter(|link| trick.is_none_or(|wanted| link.tricks.contains(&wanted))) {
                    link_part(link, *part, each);
                }
            }
            Target::Attachment(part) => self.attachments(*part, each),
            Target::Mime(part) => self.mime(*part, each),
            Target::Structure(_) => {}
        }
    }

    fn headers(&self, names: &[std::sync::Arc<str>], raw: bool, each: &mut dyn FnMut(&[u8])) {
        let octets = |field: &Field| self.message.octets().get(field.raw.clone()).unwrap_or_default();
        for field in &self.model.fields {
            let is_named = || names.iter().any(|name| field.name.eq_ignore_ascii_case(name));
            match (names.is_empty(), raw) {
                (true, true) => each(&[field.name.as_bytes(), b":", octets(field)].concat()),
                (true, false) => each(format!("{}: {}", field.name, field.value).as_bytes()),
                (false, _) if !is_named() => {}
                (false, true) => each(octets(field)),
                (false, false) => each(field.value.as_bytes()),
            }
        }
    }

    fn envelope(&self, part: EnvelopePart, each: &mut dyn FnMut(&[u8])) {
        match part {
            EnvelopePart::Helo => each(self.envelope.helo.as_bytes()),
            EnvelopePart::From => each(self.envelope.from.as_bytes()),
            EnvelopePart::Recipient => self.envelope.recipients.iter().for_each(|to| each(to.as_bytes())),
            EnvelopePart::ClientName => self.envelope.client_name.iter().for_each(|name| each(name.as_bytes())),
            EnvelopePart::Client => each(self.envelope.client.to_string().as_bytes()),
        }
    }

    fn text(&self, part: TextPart, each: &mut dyn FnMut(&[u8])) {
        match part {
            TextPart::Shown => each(self.shown().as_bytes()),
            TextPart::Hidden => each(collapsed(&self.model.hidden).as_bytes()),
            TextPart::Subject => each(collapsed(self.subject()).as_bytes()),
            TextPart::SubjectAndShown => {
                each(format!("{}\n{}", collapsed(self.subject()), self.shown()).as_bytes());
            }
            TextPart::FirstLines => each(collapsed(&beginning(&self.model.shown)).as_bytes()),
            TextPart::All => {
                for text in &self.model.texts {
                    each(collapsed(&text.shown).as_bytes());
                    each(collapsed(&text.hidden).as_bytes());
                }
            }
            TextPart::Html => {
                let html = self.model.texts.iter().filter(|text| text.is_html);
                html.for_each(|text| each(text.source.as_bytes()));
            }
        }
    }

    fn attachments(&self, part: AttachmentPart, each: &mut dyn FnMut(&[u8])) {
        for file in &self.model.attachments {
            match part {
                AttachmentPart::Name => each(file.name.as_bytes()),
                AttachmentPart::Extension => each(file.extension.as_bytes()),
                AttachmentPart::Declared => each(file.declared.as_bytes()),
                AttachmentPart::Detected => each(file.detected.as_bytes()),
                AttachmentPart::Entry => file.entries.iter().for_each(|entry| each(entry.as_bytes())),
                AttachmentPart::Encrypted if !file.is_encrypted => {}
                AttachmentPart::Macros if !file.has_macros => {}
                AttachmentPart::Picture if !file.is_picture => {}
                AttachmentPart::Encrypted | AttachmentPart::Macros | AttachmentPart::Picture | AttachmentPart::Any => {
                    each(if file.name.is_empty() { b"(no name)" } else { file.name.as_bytes() });
                }
            }
        }
    }

    fn mime(&self, part: MimePart, each: &mut dyn FnMut(&[u8])) {
        for one in &self.model.parts {
            match part {
                MimePart::Type => each(one.content_type.as_bytes()),
                MimePart::Charset => one.charset.iter().for_each(|charset| each(charset.as_bytes())),
                MimePart::Encoding => each(one.encoding.as_bytes()),
                MimePart::Disposition => each(one.disposition.as_bytes()),
                MimePart::Name => one.name.iter().for_each(|name| each(name.as_bytes())),
            }
        }
    }

    /// What is seen, and what some mail programs show or what is seen one click away: whoever hides there hides from
    /// filters.
    fn shown(&self) -> &str {
        self.shown.get_or_init(|| {
            let shown = collapsed(&self.model.shown);
            match self.model.beside.as_str() {
                "" => shown.into_owned(),
                beside => format!("{shown}\n{}", collapsed(beside)),
            }
        })
    }

    fn mailboxes(&self, whose: Whose) -> &[Shown] {
        let read = || match whose {
            Whose::EnvelopeFrom => mailboxes::of_paths([&*self.envelope.from]),
            Whose::Recipient => mailboxes::of_paths(self.envelope.recipients.iter().map(String::as_str)),
            header => self
                .model
                .fields_named(header.word())
                .flat_map(|field| {
                    let raw = self.message.octets().get(field.raw.clone()).unwrap_or_default();
                    mailboxes::of_field(raw, &field.value)
                })
                .collect(),
        };
        self.mailboxes.get(whose as usize).map_or(&[][..], |kept| kept.get_or_init(read))
    }
}

fn mailbox_part(mailbox: &Shown, part: AddressPart, each: &mut dyn FnMut(&[u8])) {
    match part {
        AddressPart::Name => each(mailbox.name.as_bytes()),
        AddressPart::Local => each(mailbox.local.as_bytes()),
        AddressPart::Domain => each(mailbox.domain.as_bytes()),
        AddressPart::Registered => each(mailbox.registered().as_bytes()),
        AddressPart::Address => each(format!("{}@{}", mailbox.local, mailbox.domain).as_bytes()),
    }
}

fn link_part(link: &Link, part: LinkPart, each: &mut dyn FnMut(&[u8])) {
    match part {
        LinkPart::Target => each(link.target.as_bytes()),
        LinkPart::Host => each(link.host.as_bytes()),
        LinkPart::Domain => each(link.domain.as_bytes()),
        LinkPart::Shown => each(collapsed(&link.shown).as_bytes()),
        LinkPart::LeadsTo => link.leads_to.iter().for_each(|target| each(target.as_bytes())),
        LinkPart::Scheme => each(link.scheme.as_bytes()),
        LinkPart::Path => each(path(&link.target).as_bytes()),
    }
}

/// What stands behind the host of a target: path, query and fragment.
fn path(target: &str) -> &str {
    let rest = target.split_once("://").map_or(target, |(_, rest)| rest);
    rest.find(['/', '?', '#']).and_then(|at| rest.get(at..)).unwrap_or_default()
}

fn beginning(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty()).take(FIRST_LINES);
    let mut joined = lines.collect::<Vec<_>>().join("\n");
    if joined.len() > FIRST_OCTETS {
        let end = (0..=FIRST_OCTETS).rev().find(|at| joined.is_char_boundary(*at));
        joined.truncate(end.unwrap_or(0));
    }
    joined
}

/// Runs of white space as one space, none at the ends.
fn collapsed(text: &str) -> Cow<'_, str> {
    let mut last = ' ';
    let is_tidy = text.chars().all(|c| {
        let fits = !c.is_whitespace() || (c == ' ' && last != ' ');
        last = c;
        fits
    });
    if is_tidy && !text.ends_with(' ') {
        return Cow::Borrowed(text);
    }
    let mut tidy = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !tidy.is_empty() {
            tidy.push(' ');
        }
        tidy.push_str(word);
    }
    Cow::Owned(tidy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_one_space() {
        for (text, expected) in
            [("", ""), ("a", "a"), (" a  b\n\tc ", "a b c"), ("a b", "a b"), ("a b ", "a b"), ("a\u{a0}b", "a b")]
        {
            assert_eq!(collapsed(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_path_stands_behind_the_host() {
        for (target, expected) in [
            ("https://a.example/b?c#d", "/b?c#d"),
            ("https://a.example", ""),
            ("https://a.example?x=1", "?x=1"),
            ("mailto:a@b.example?subject=x", "?subject=x"),
        ] {
            assert_eq!(path(target), expected, "{target}");
        }
    }
}
