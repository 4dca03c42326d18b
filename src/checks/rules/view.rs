//! What rules look at: a message and its envelope, and what each target is of them.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use super::condition::{
    AddressPart, AttachmentPart, EnvelopePart, LinkPart, MimePart, RawPart, Target, TextPart, Whose,
};
use super::mailboxes::{self, Shown};
use crate::message::language;
use crate::message::model::{Field, Link};
use crate::message::spelling::{self, Spelling};
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

/// Hears of each value of a target, and of the same spelt plainly, where somebody spelt it for filters.
pub(super) type Each<'e> = dyn FnMut(&[u8], Option<&str>) + 'e;

/// A message as rules see it. What several targets share is made once.
pub struct View<'a> {
    pub(super) message: &'a Message,
    pub(super) model: &'a Model,
    pub(super) envelope: &'a Envelope,
    subject: Cow<'a, str>,
    subject_spelling: OnceLock<Spelling>,
    shown: OnceLock<String>,
    shown_spelling: OnceLock<Spelling>,
    language: OnceLock<Option<&'static str>>,
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
            subject_spelling: OnceLock::new(),
            shown: OnceLock::new(),
            shown_spelling: OnceLock::new(),
            language: OnceLock::new(),
            mailboxes: Default::default(),
        }
    }

    /// The Subject, decoded; empty without one.
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    /// How the Subject and what a person sees are spelt.
    pub(super) fn spellings(&self) -> [&Spelling; 2] {
        let subject = self.subject_spelling.get_or_init(|| spelling::read(self.subject()));
        [subject, self.shown_spelling.get_or_init(|| spelling::read(self.shown()))]
    }

    /// The language of what a person sees, where it can be told.
    pub(super) fn language(&self) -> Option<&'static str> {
        *self.language.get_or_init(|| language::of(&self.model.shown))
    }

    /// The domain of the reverse-path; empty if it is null.
    pub(super) fn sender_domain(&self) -> &str {
        self.envelope.from.trim_matches(['<', '>']).rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    pub(super) fn letters(&self, text: &str) -> u64 {
        if text.is_ascii() {
            return text.bytes().filter(u8::is_ascii_alphabetic).count() as u64;
        }
        text.chars().filter(|letter| letter.is_alphabetic()).count() as u64
    }

    /// Mailboxes in To and Cc.
    pub(super) fn addressees(&self) -> usize {
        self.mailboxes(Whose::To).len() + self.mailboxes(Whose::Cc).len()
    }

    /// Tells `each` of every value of a target; one that is a number has none.
    pub(super) fn read(&self, target: &Target, each: &mut Each<'_>) {
        match target {
            Target::Header { names, raw } => self.headers(names, *raw, each),
            Target::Address { of, part } => {
                let mut last = None;
                for mailbox in self.mailboxes(*of) {
                    // Of a field that nobody can read, all mailboxes have the name that stands there once.
                    let is_same = !mailbox.name.is_empty() && last.is_some_and(|last| Arc::ptr_eq(last, &mailbox.name));
                    last = Some(&mailbox.name);
                    if *part != AddressPart::Name || !is_same {
                        mailbox_part(mailbox, *part, each);
                    }
                }
            }
            Target::Envelope(part) => self.envelope(*part, &mut |value| each(value.as_bytes(), None)),
            Target::Text(part) => self.text(*part, each),
            Target::Raw(RawPart::Body) => each(self.message.body(), None),
            Target::Raw(RawPart::Headers) => each(self.message.header_section(), None),
            Target::Raw(RawPart::Message) => each(self.message.octets(), None),
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

    fn headers(&self, names: &[Arc<str>], raw: bool, each: &mut Each<'_>) {
        let octets = |field: &Field| self.message.octets().get(field.raw.clone()).unwrap_or_default();
        for field in &self.model.fields {
            let is_named = || names.iter().any(|name| field.name.eq_ignore_ascii_case(name));
            match (names.is_empty(), raw) {
                (true, true) => each(&[field.name.as_bytes(), b":", octets(field)].concat(), None),
                (true, false) => tell(&format!("{}: {}", field.name, field.value), each),
                (false, _) if !is_named() => {}
                (false, true) => each(octets(field), None),
                (false, false) => tell(&field.value, each),
            }
        }
    }

    fn envelope(&self, part: EnvelopePart, each: &mut dyn FnMut(&str)) {
        match part {
            EnvelopePart::Helo => each(&self.envelope.helo),
            EnvelopePart::From => each(&self.envelope.from),
            EnvelopePart::Recipient => self.envelope.recipients.iter().for_each(|to| each(to)),
            EnvelopePart::ClientName => self.envelope.client_name.iter().for_each(|name| each(name)),
            EnvelopePart::Client => each(&self.envelope.client.to_string()),
        }
    }

    fn text(&self, part: TextPart, each: &mut Each<'_>) {
        let [subject, shown] =
            if part.is_spelt_once() { self.spellings().map(|one| one.plain.as_deref()) } else { [None; 2] };
        match part {
            TextPart::Shown => each(self.shown().as_bytes(), shown),
            TextPart::Hidden => tell(&collapsed(&self.model.hidden), each),
            TextPart::Subject => {
                each(collapsed(self.subject()).as_bytes(), subject.map(collapsed).as_deref());
            }
            TextPart::SubjectAndShown => {
                let whole = |subject, shown| format!("{}\n{shown}", collapsed(subject));
                let plain =
                    subject.or(shown).map(|_| whole(subject.unwrap_or(self.subject()), shown.unwrap_or(self.shown())));
                each(whole(self.subject(), self.shown()).as_bytes(), plain.as_deref());
            }
            TextPart::FirstLines => tell(&collapsed(&beginning(&self.model.shown)), each),
            TextPart::All => {
                for text in &self.model.texts {
                    tell(&collapsed(&text.shown), each);
                    tell(&collapsed(&text.hidden), each);
                }
            }
            TextPart::Html => {
                let html = self.model.texts.iter().filter(|text| text.is_html);
                html.for_each(|text| each(text.source.as_bytes(), None));
            }
        }
    }

    fn attachments(&self, part: AttachmentPart, each: &mut Each<'_>) {
        for file in &self.model.attachments {
            match part {
                AttachmentPart::Name => tell(&file.name, each),
                AttachmentPart::Extension => tell(&file.extension, each),
                AttachmentPart::Declared => each(file.declared.as_bytes(), None),
                AttachmentPart::Detected => each(file.detected.as_bytes(), None),
                AttachmentPart::Entry => file.entries.iter().for_each(|entry| tell(entry, each)),
                AttachmentPart::Encrypted if !file.is_encrypted => {}
                AttachmentPart::Macros if !file.has_macros => {}
                AttachmentPart::Picture if !file.is_picture => {}
                AttachmentPart::Encrypted | AttachmentPart::Macros | AttachmentPart::Picture | AttachmentPart::Any => {
                    each(if file.name.is_empty() { b"(no name)" } else { file.name.as_bytes() }, None);
                }
            }
        }
    }

    fn mime(&self, part: MimePart, each: &mut Each<'_>) {
        for one in &self.model.parts {
            match part {
                MimePart::Type => each(one.content_type.as_bytes(), None),
                MimePart::Charset => one.charset.iter().for_each(|charset| each(charset.as_bytes(), None)),
                MimePart::Encoding => each(one.encoding.as_bytes(), None),
                MimePart::Disposition => each(one.disposition.as_bytes(), None),
                MimePart::Name => one.name.iter().for_each(|name| tell(name, each)),
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
                .take(mailboxes::MOST)
                .collect(),
        };
        self.mailboxes.get(whose as usize).map_or(&[][..], |kept| kept.get_or_init(read))
    }
}

fn mailbox_part(mailbox: &Shown, part: AddressPart, each: &mut Each<'_>) {
    match part {
        AddressPart::Name => tell(&mailbox.name, each),
        AddressPart::Local => each(mailbox.local.as_bytes(), None),
        AddressPart::Domain => each(mailbox.domain.as_bytes(), None),
        AddressPart::Registered => each(mailbox.registered().as_bytes(), None),
        AddressPart::Address => each(format!("{}@{}", mailbox.local, mailbox.domain).as_bytes(), None),
    }
}

fn link_part(link: &Link, part: LinkPart, each: &mut Each<'_>) {
    match part {
        LinkPart::Target => each(link.target.as_bytes(), None),
        LinkPart::Host => each(link.host.as_bytes(), None),
        LinkPart::Domain => each(link.domain.as_bytes(), None),
        LinkPart::Shown => tell(&collapsed(&link.shown), each),
        LinkPart::LeadsTo => link.leads_to.iter().for_each(|target| each(target.as_bytes(), None)),
        LinkPart::Scheme => each(link.scheme.as_bytes(), None),
        LinkPart::Path => each(path(&link.target).as_bytes(), None),
    }
}

/// Tells of a text that people read.
fn tell(text: &str, each: &mut Each<'_>) {
    each(text.as_bytes(), spelling::read(text).plain.as_deref());
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
    fn of_many_fields_so_many_mailboxes_are_kept() {
        let field = format!("To: {}a@b.example\n", "a@b.example, ".repeat(900));
        let message = format!("{}\nhello", field.repeat(5));
        let sample = super::super::Sample::parse(&message).expect("a message");
        assert_eq!(sample.view().addressees(), mailboxes::MOST);
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
