//! What of a message is learned: words and pairs of words, and what its header, links and structure are.
//!
//! Only what a stored message still has as it came is taken: fields that the receiving side adds on delivery
//! (Received, Return-Path, results of filters) are not; of dates what form they have, not when they are.

use std::fmt::Write as _;

use xxhash_rust::xxh3::xxh3_128;

use super::aspects::Aspect;
use super::tokens::Tokens;
use crate::message::Model;
use crate::message::model::{Field, Origin};

/// Cells of a table, and so the most that is ever remembered of all that was learned: of about half a million different
/// features few share one.
pub const SIZE: usize = 1 << 20;

/// Words of the shown text that count, from its beginning.
const WORDS: usize = 600;
/// Of those, as many have pairs.
const PAIRED: usize = 300;
/// Of those, as many are also learned as what a text begins with,
const BEGINNING: usize = 30;
/// and of these as many in pairs.
const BEGINNING_PAIRED: usize = 12;
/// Words of a field.
const FIELD_WORDS: usize = 40;
/// Words of what is hidden.
const HIDDEN_WORDS: usize = 60;
/// Octets of the source of HTML whose tags count.
const SOURCE: usize = 8192;
/// Tags that count.
const TAGS: usize = 150;
/// Links and attachments that are looked at.
const LINKS: usize = 40;
/// How far apart the words of a pair stand.
const WINDOW: usize = 3;

/// Fields whose presence, and whose words, say something about who wrote a message and with what.
const WRITTEN: &[&str] = &[
    "accept-language",
    "auto-submitted",
    "cc",
    "comments",
    "content-class",
    "content-language",
    "disposition-notification-to",
    "errors-to",
    "feedback-id",
    "importance",
    "in-reply-to",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "mailing-list",
    "mime-version",
    "organization",
    "precedence",
    "priority",
    "references",
    "reply-to",
    "return-receipt-to",
    "sender",
    "thread-index",
    "thread-topic",
    "to",
    "user-agent",
    "x-accept-language",
    "x-campaign",
    "x-campaignid",
    "x-csa-complaints",
    "x-loop",
    "x-mailer",
    "x-mailing-list",
    "x-mimeole",
    "x-msmail-priority",
    "x-originating-ip",
    "x-priority",
    "x-sender",
];
/// Of those, fields whose words count too.
const WORDED: &[&str] = &[
    "auto-submitted",
    "content-class",
    "importance",
    "organization",
    "precedence",
    "priority",
    "user-agent",
    "x-mailer",
    "x-mimeole",
    "x-msmail-priority",
    "x-priority",
    "mime-version",
];

/// Where a feature was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// What a person sees.
    Text,
    /// Text that is not seen.
    Hidden,
    /// The subject.
    Subject,
    /// The author: name and address.
    From,
    /// Where answers go.
    ReplyTo,
    /// Other fields.
    Header,
    /// Where it points to.
    Link,
    /// What is attached.
    Attachment,
    /// What it is made of.
    Structure,
    /// What a person sees first.
    Beginning,
}

/// One feature.
#[derive(Clone, Copy, Debug)]
struct Feature {
    hash: u64,
    place: Place,
    first: u32,
    /// The second word of a pair, and how many stand between.
    second: Option<(u32, u8)>,
}

/// The features of a message, each once.
#[derive(Clone, Debug, Default)]
pub struct Features {
    tokens: Tokens,
    features: Vec<Feature>,
}

impl Place {
    const ALL: [Self; 10] = [
        Self::Text,
        Self::Hidden,
        Self::Subject,
        Self::From,
        Self::ReplyTo,
        Self::Header,
        Self::Link,
        Self::Attachment,
        Self::Structure,
        Self::Beginning,
    ];

    /// As people read it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Hidden => "hidden",
            Self::Subject => "subject",
            Self::From => "from",
            Self::ReplyTo => "reply-to",
            Self::Header => "header",
            Self::Link => "link",
            Self::Attachment => "attachment",
            Self::Structure => "structure",
            Self::Beginning => "beginning",
        }
    }

    /// What it says something of.
    fn aspect(self) -> Aspect {
        match self {
            Self::Text => Aspect::Words,
            Self::From | Self::ReplyTo | Self::Header => Aspect::Header,
            Self::Subject => Aspect::Subject,
            Self::Beginning => Aspect::Beginning,
            Self::Link => Aspect::Links,
            Self::Hidden | Self::Attachment | Self::Structure => Aspect::Structure,
        }
    }

    fn seed(self) -> u64 {
        let number = Self::ALL.iter().position(|place| *place == self).unwrap_or(0) as u64;
        (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

impl Features {
    /// What a message shows.
    pub fn of(model: &Model) -> Self {
        let mut features = Self::default();
        features.fields(model);
        features.text(model);
        features.links(model);
        features.structure(model);
        features.habits(model);
        features.settle();
        features
    }

    /// So many.
    pub fn len(&self) -> usize {
        self.features.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    /// Names the message: another one with the same features has the same name, whatever trace fields say.
    pub fn name(&self) -> u128 {
        let octets: Vec<u8> = self.features.iter().flat_map(|feature| feature.hash.to_le_bytes()).collect();
        xxh3_128(&octets)
    }

    /// Their cells in a table of [`SIZE`], in order and each once: two features may have one cell.
    pub fn cells(&self) -> Vec<u32> {
        let mut cells: Vec<u32> = self.features.iter().map(|feature| cell(feature.hash)).collect();
        cells.dedup();
        cells
    }

    /// How the feature of a cell reads: `text "click … here"`. Empty if there is none.
    pub fn read(&self, of: u32) -> String {
        let index = self.features.partition_point(|feature| cell(feature.hash) < of);
        let Some(feature) = self.features.get(index).filter(|feature| cell(feature.hash) == of) else {
            return String::new();
        };
        let mut text = format!("{} \"{}", feature.place.label(), self.tokens.read(feature.first as usize));
        if let Some((second, gap)) = feature.second {
            let between = if gap > 0 { " … " } else { " " };
            let _ = write!(text, "{between}{}", self.tokens.read(second as usize));
        }
        text.push('"');
        text
    }

    fn add(&mut self, place: Place, first: usize) {
        if let Some(token) = self.tokens.get(first) {
            let hash = place.aspect().place(mixed(token.hash ^ place.seed()));
            self.features.push(Feature { hash, place, first: first as u32, second: None });
        }
    }

    fn add_pair(&mut self, place: Place, first: usize, second: usize) {
        if let (Some(one), Some(other)) = (self.tokens.get(first), self.tokens.get(second)) {
            let gap = (second - first - 1).min(255) as u8;
            let hash = one.hash.rotate_left(21).wrapping_add(other.hash) ^ place.seed();
            let aspect = if place == Place::Text { Aspect::Pairs } else { place.aspect() };
            let hash = aspect.place(mixed(hash.wrapping_add(u64::from(gap) + 1)));
            self.features.push(Feature { hash, place, first: first as u32, second: Some((second as u32, gap)) });
        }
    }

    /// The words of a text, and for the first of them the pairs.
    fn words(&mut self, place: Place, text: &str, most: usize, paired: usize) {
        let first = self.tokens.split(text, most);
        for index in first..self.tokens.len() {
            self.add(place, index);
            if index - first < paired {
                for second in index + 1..(index + WINDOW).min(self.tokens.len()) {
                    self.add_pair(place, index, second);
                }
            }
        }
    }

    /// One thing that is so.
    pub(super) fn fact(&mut self, place: Place, fact: &str) {
        let token = self.tokens.push(fact);
        self.add(place, token);
    }

    fn fields(&mut self, model: &Model) {
        let mut seen: Vec<&str> = Vec::new();
        for field in &model.fields {
            let name = field.name.to_ascii_lowercase();
            match name.as_str() {
                "subject" => self.words(Place::Subject, &field.value, FIELD_WORDS, FIELD_WORDS),
                "from" => self.address(Place::From, &field.value),
                "reply-to" => self.address(Place::ReplyTo, &field.value),
                "content-type" => self.content_type(&field.value),
                "message-id" => self.message_id(&field.value),
                "list-id" => self.fact(Place::Header, &format!("list-id {}", clip(&field.value.to_lowercase()))),
                "dkim-signature" => self.signature(&field.value),
                _ => {}
            }
            let Some(known) = WRITTEN.iter().find(|known| **known == name) else { continue };
            if seen.contains(known) {
                continue;
            }
            seen.push(known);
            self.fact(Place::Header, known);
            if WORDED.contains(known) {
                self.fact(Place::Header, &format!("{known}: {}", clip(&shape(&field.value))));
                self.words(Place::Header, &field.value, 8, 0);
            }
            if matches!(*known, "to" | "cc") {
                self.recipients(known, field);
            }
        }
        for needed in ["message-id", "date", "to", "subject", "from"] {
            if !model.fields.iter().any(|field| field.name.eq_ignore_ascii_case(needed)) {
                self.fact(Place::Header, &format!("no {needed}"));
            }
        }
    }

    fn address(&mut self, place: Place, value: &str) {
        let (name, address) = match value.rsplit_once('<') {
            Some((name, address)) => (name, address.split('>').next().unwrap_or_default()),
            None => ("", value),
        };
        self.words(place, name, 8, 8);
        if name.trim().is_empty() {
            self.fact(place, "no name");
        }
        let address = address.trim().to_lowercase();
        let Some((local, domain)) = address.rsplit_once('@') else { return };
        self.fact(place, &format!("@{}", clip(domain)));
        if let Some((_, parent)) = domain.split_once('.').filter(|(_, parent)| parent.contains('.')) {
            self.fact(place, &format!("@.{}", clip(parent)));
        }
        if let Some((_, suffix)) = domain.rsplit_once('.') {
            self.fact(place, &format!("@..{}", clip(suffix)));
        }
        self.fact(place, &clip(&address));
        self.fact(place, &format!("{}@", clip(&shape(local))));
    }

    fn recipients(&mut self, name: &str, field: &Field) {
        let value = field.value.to_ascii_lowercase();
        let count = value.matches('@').count();
        let about = match count {
            0 => "none",
            1 => "one",
            2..=4 => "some",
            5..=14 => "many",
            _ => "very many",
        };
        self.fact(Place::Header, &format!("{name}: {about}"));
        if value.contains("undisclosed") {
            self.fact(Place::Header, "undisclosed recipients");
        }
        if count == 1 {
            let named =
                if value.trim_start().starts_with('<') || !value.contains('<') { "without name" } else { "with name" };
            self.fact(Place::Header, &format!("{name} {named}"));
        }
    }

    fn content_type(&mut self, value: &str) {
        let value = value.to_ascii_lowercase();
        let mut parts = value.split(';');
        let kind = parts.next().unwrap_or_default().trim().to_owned();
        self.fact(Place::Structure, &clip(&kind));
        for parameter in parts {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            match name {
                "boundary" => self.fact(Place::Structure, &format!("boundary {}", clip(&shape(value)))),
                _ => self.fact(Place::Structure, &format!("{}={}", clip(name), clip(value))),
            }
        }
    }

    fn message_id(&mut self, value: &str) {
        let value = value.trim().trim_start_matches('<').trim_end_matches('>').to_ascii_lowercase();
        let (local, domain) = value.rsplit_once('@').unwrap_or((&value, ""));
        self.fact(Place::Header, &format!("message-id {}", clip(&shape(local))));
        self.fact(Place::Header, &format!("message-id @{}", clip(domain)));
    }

    fn signature(&mut self, value: &str) {
        for tag in value.split(';') {
            if let Some(("d", domain)) = tag.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
                self.fact(Place::Header, &format!("dkim {}", clip(&domain.to_ascii_lowercase())));
            }
        }
    }

    fn text(&mut self, model: &Model) {
        let first = self.tokens.len();
        self.words(Place::Text, &model.shown, WORDS, PAIRED);
        for index in first..self.tokens.len().min(first + BEGINNING) {
            self.add(Place::Beginning, index);
            if index - first < BEGINNING_PAIRED && index + 1 < self.tokens.len() {
                self.add_pair(Place::Beginning, index, index + 1);
            }
        }
        self.words(Place::Hidden, &model.hidden, HIDDEN_WORDS, 0);
        for text in model.texts.iter().filter(|text| text.is_html && text.is_shown) {
            self.tags(&text.source);
        }
    }

    /// How HTML is written: names of tags and attributes, and short values, which programs write alike.
    fn tags(&mut self, source: &str) {
        let mut end = source.len().min(SOURCE);
        while !source.is_char_boundary(end) {
            end -= 1;
        }
        let source = source.get(..end).unwrap_or_default();
        for tag in source.split('<').skip(1).take(TAGS) {
            let tag = tag.split('>').next().unwrap_or_default();
            let name: &str = tag.split(|c: char| c.is_ascii_whitespace()).next().unwrap_or_default();
            if name.is_empty() || name.len() > 16 {
                continue;
            }
            let name = name.to_lowercase();
            for attribute in tag.split_ascii_whitespace().skip(1).take(12) {
                let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
                if key.len() > 16 || key.is_empty() {
                    continue;
                }
                let value = value.trim_matches(['"', '\'']);
                let value = if value.len() <= 12 && !value.contains('/') { value } else { "" };
                self.fact(Place::Structure, &format!("<{name} {}={}", key.to_lowercase(), value.to_lowercase()));
            }
            self.fact(Place::Structure, &format!("<{name}"));
        }
    }

    fn links(&mut self, model: &Model) {
        for link in model.links.iter().take(LINKS) {
            let scheme = if link.scheme.is_empty() { "?" } else { &link.scheme };
            self.fact(Place::Link, scheme);
            if !link.host.is_empty() {
                self.fact(Place::Link, &clip(&link.host));
            }
            if !link.domain.is_empty() && link.domain != link.host {
                self.fact(Place::Link, &clip(&link.domain));
            }
            if let Some((_, suffix)) = link.host.rsplit_once('.') {
                self.fact(Place::Link, &format!(".{}", clip(suffix)));
            }
            for trick in &link.tricks {
                self.fact(Place::Link, &format!("{trick:?}"));
            }
            if matches!(link.origin, Origin::Form | Origin::Picture) {
                self.fact(Place::Link, &format!("{:?}", link.origin));
            }
            let rest = link.target.split_once("://").map_or("", |(_, rest)| rest);
            let rest = rest.split_once('/').map_or("", |(_, path)| path);
            let first = self.tokens.split(rest, 6);
            for index in first..self.tokens.len() {
                self.add(Place::Link, index);
            }
        }
    }

    fn structure(&mut self, model: &Model) {
        for part in model.parts.iter().skip(1).take(LINKS) {
            self.fact(Place::Structure, &format!("part {}", clip(&part.content_type)));
            if !part.encoding.is_empty() {
                self.fact(Place::Structure, &format!("encoding {}", clip(&part.encoding)));
            }
            if let Some(charset) = &part.charset {
                self.fact(Place::Structure, &format!("charset {}", clip(charset)));
            }
        }
        for attachment in model.attachments.iter().take(LINKS) {
            self.fact(Place::Attachment, &format!("declared {}", clip(&attachment.declared)));
            self.fact(Place::Attachment, &format!("detected {}", attachment.detected));
            self.fact(Place::Attachment, &format!("extension {}", clip(&attachment.extension)));
            for (is_so, word) in [(attachment.is_encrypted, "encrypted"), (attachment.has_macros, "macros")] {
                if is_so {
                    self.fact(Place::Attachment, word);
                }
            }
            self.words(Place::Attachment, &attachment.name, 6, 0);
        }
        for (oddity, _) in &model.oddities {
            self.fact(Place::Structure, &format!("{oddity:?}"));
        }
        for (script, letters) in model.scripts.iter().take(3) {
            if *letters > 20 {
                self.fact(Place::Structure, &format!("{script:?}"));
            }
        }
        let html = &model.html;
        let counts = [
            ("html octets", html.octets as u32),
            ("tags", html.tags),
            ("remote pictures", html.remote_pictures),
            ("own pictures", html.own_pictures),
            ("pixels", html.pixels),
            ("forms", html.forms),
            ("password fields", html.password_fields),
            ("scripts", html.scripts),
            ("frames", html.frames),
            ("refreshes", html.refreshes),
            ("html comments", html.comments),
            ("html faults", html.faults),
            ("links", model.links.len() as u32),
            ("shown", model.shown.len() as u32),
            ("hidden", model.hidden.len() as u32),
            ("lines", model.shown.lines().count() as u32),
        ];
        for (name, count) in counts {
            if count > 0 {
                self.fact(Place::Structure, &format!("{name} ~2^{}", count.ilog2()));
            }
        }
    }

    /// Each once, in an order that depends on nothing else.
    fn settle(&mut self) {
        self.features.sort_unstable_by_key(|feature| feature.hash);
        self.features.dedup_by_key(|feature| feature.hash);
    }
}

/// The form of a name: letters as `a`, digits as `0`, runs counted up to three.
pub(super) fn shape(text: &str) -> String {
    let mut shape = String::new();
    let (mut last, mut run) = (' ', 0);
    for character in text.chars().take(64) {
        let class = match character {
            '0'..='9' => '0',
            'a'..='z' => 'a',
            'A'..='Z' => 'A',
            other => other,
        };
        run = if class == last { run + 1 } else { 1 };
        last = class;
        if run <= 3 {
            shape.push(class);
        }
    }
    shape
}

/// Nothing that somebody else makes up is long.
pub(super) fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The first bits, so that whoever is sorted by hash is sorted by cell.
fn cell(hash: u64) -> u32 {
    (hash >> (u64::BITS - SIZE.ilog2())) as u32
}

/// Spreads every bit over all.
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    hash ^ (hash >> 32)
}
