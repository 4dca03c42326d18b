//! Takes what the walk through a message tells: once, for all that is to be known of it.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Attachment, Link, Model, Oddity, Part, PartText, files, has_control, header, link, page, scripts};
use crate::message::parts::{Choice, Description, Form, Place, Reader};
use crate::message::text::MAX_TEXT;
use crate::message::{Message, links, text, uuencode};

/// Characters of what is told of an oddity.
pub(super) const MAX_EVIDENCE: usize = 80;
/// Files that are looked into.
const MAX_FILES: usize = 64;
/// Octets of all files that are looked into.
const MAX_FILE_OCTETS: usize = 8 << 20;
/// Octets of what stands beside what is shown, of all texts, and of each of them.
const MAX_BESIDE: usize = 64 * 1024;
const MAX_BESIDE_EACH: usize = 16 * 1024;
/// Octets of what is hidden, of all texts.
const MAX_HIDDEN: usize = 128 * 1024;
/// Words of alternatives that are compared, and as few as say something.
const MAX_COMPARED: usize = 500;
const FEW_WORDS: usize = 8;

/// One of the readers that is full: it hears nothing of a part, nor of those within it.
#[derive(Default)]
struct Muted(Option<usize>);

impl Muted {
    fn is_muted(&self) -> bool {
        self.0.is_some()
    }

    /// Behind the end of the part at this depth it hears again.
    fn leave(&mut self, depth: usize) {
        self.0 = self.0.filter(|muted| *muted < depth);
    }
}

/// Everything that is to be known of a message.
pub(super) struct Everything {
    model: Model,
    /// The parts that are open.
    open: Vec<usize>,
    links: links::Collector,
    links_muted: Muted,
    texts: text::Collector,
    texts_muted: Muted,
    /// Where each of the texts stands.
    places: Vec<Place>,
    /// The attachment that the part is, and whether it was looked into.
    waiting: Vec<Option<(usize, bool)>>,
    file_octets_left: usize,
}

impl Everything {
    pub(super) fn new() -> Self {
        Self {
            model: Model::default(),
            open: Vec::new(),
            links: links::Collector::default(),
            links_muted: Muted::default(),
            texts: text::Collector::default(),
            texts_muted: Muted::default(),
            places: Vec::new(),
            waiting: Vec::new(),
            file_octets_left: MAX_FILE_OCTETS,
        }
    }

    /// Reads the header section of the message.
    pub(super) fn header(&mut self, message: &Message) {
        let header = header::of(message);
        self.model.fields = header.fields;
        self.model.oddities = header.oddities;
        (self.model.is_cut, self.model.may_hide) = (header.is_cut, header.is_cut);
        links::header(message, &mut self.links);
    }

    /// What was read; not all of it if the reading broke off.
    pub(super) fn into_model(mut self, is_broken_off: bool) -> Model {
        let (text, shown) = self.texts.into_text();
        let mut model = self.model;
        for shown in shown {
            let Some(one) = model.texts.get_mut(shown) else { continue };
            one.is_shown = true;
            model.is_cut |= !append(&mut model.hidden, &one.hidden, MAX_HIDDEN);
        }
        let (written, is_written_cut) = self.links.take_written();
        let mut seen: HashSet<(super::Origin, Arc<str>, Arc<str>)> = HashSet::new();
        let links = written.iter().filter_map(|written| link::of(written, &mut self.links));
        let is_new = |link: &Link| seen.insert((link.origin, link.target.clone(), link.shown.clone()));
        model.links = links.filter(is_new).collect();
        model.scripts = scripts::count(&text.shown);
        for (one, place) in model.texts.iter().zip(&self.places) {
            // What has few words of its own shows the message in it.
            if !one.is_shown && *place != Place::Shown && !text.shown.contains(one.shown.trim()) {
                model.is_cut |= !beside(&mut model.beside, &one.shown);
            }
        }
        if differ(&text.shown, &text.other) {
            model.is_cut |= !beside(&mut model.beside, &text.other);
            model.odd(Oddity::AlternativesDiffer, "few words in common");
        }
        if let Some(evidence) = model.attachments.iter().find_map(files::contradiction) {
            model.odd(Oddity::TypeMismatch, &evidence);
        }
        model.found = self.links.into_links();
        model.found.truncated |= is_broken_off;
        model.shown.clone_from(&text.shown);
        model.text = text;
        model.text.truncated |= is_broken_off;
        let is_rest_cut = is_written_cut || model.found.truncated || model.text.truncated;
        model.is_cut |= is_broken_off || is_rest_cut;
        // HTML shows first what stands last, if it likes.
        model.may_hide |= is_broken_off || (is_rest_cut && model.html.tags > 0);
        model
    }

    fn innermost(&self) -> usize {
        self.open.last().copied().unwrap_or_default()
    }

    /// Files that stand in a text.
    fn uuencoded(&mut self, text: &str, part: usize) {
        let mut rest = text;
        while let Some(begun) = uuencode::find(rest) {
            if self.model.attachments.len() == MAX_FILES || self.file_octets_left == 0 {
                self.model.cut();
                return;
            }
            let (octets, after) = begun.decoded(self.file_octets_left);
            rest = after;
            if octets.is_empty() {
                continue;
            }
            self.file_octets_left = self.file_octets_left.saturating_sub(octets.len());
            let mut attachment = Attachment {
                part,
                extension: files::extension(begun.name).into(),
                name: begun.name.into(),
                declared: "application/octet-stream".into(),
                ..Attachment::default()
            };
            if files::look_into(&mut attachment, &octets) {
                self.model.cut();
            }
            self.model.attachments.push(attachment);
        }
    }
}

impl Model {
    /// Something was left out that may be anything.
    fn cut(&mut self) {
        (self.is_cut, self.may_hide) = (true, true);
    }

    fn odd(&mut self, oddity: Oddity, evidence: &str) {
        if !self.oddities.iter().any(|(known, _)| *known == oddity) {
            self.oddities.push((oddity, evidence.chars().take(MAX_EVIDENCE).collect::<String>().into()));
        }
    }
}

impl Reader for Everything {
    /// The walk is bounded, and each reader within bounds itself.
    fn is_full(&self) -> bool {
        false
    }

    fn cut(&mut self) {
        self.cut_end();
        self.model.cut();
    }

    fn cut_end(&mut self) {
        self.model.is_cut = true;
        if !self.links_muted.is_muted() {
            self.links.cut();
        }
        if !self.texts_muted.is_muted() {
            self.texts.cut();
        }
    }

    fn odd(&mut self, oddity: Oddity, evidence: &str) {
        self.model.odd(oddity, evidence);
    }

    fn enter(&mut self, _section: &[u8], description: &Description, body: usize, depth: usize) {
        let at = self.model.parts.len();
        let parent = if self.open.is_empty() { at } else { self.innermost() };
        let content_type = match &*description.content_type {
            "" => "text/plain",
            content_type => content_type,
        };
        let name: Option<Arc<str>> = files::name(&description.names).map(Into::into);
        self.model.parts.push(Part {
            depth: u8::try_from(depth).unwrap_or(u8::MAX),
            parent,
            content_type: content_type.into(),
            charset: description.charset.as_deref().map(Arc::from),
            encoding: description.encoding.as_str().into(),
            disposition: description.disposition.as_str().into(),
            name: name.clone(),
            has_content_id: description.content_id.is_some(),
            octets: body,
        });
        // A message that is nothing but text is no file, unless it says that it is one and how it is called.
        let is_called = description.is_attached && name.is_some();
        let is_file = description.is_file() && (depth > 0 || description.is_opaque() || is_called);
        let waiting = if !is_file {
            None
        } else if self.model.attachments.len() == MAX_FILES {
            self.model.cut();
            None
        } else {
            let name = name.unwrap_or_default();
            self.model.attachments.push(Attachment {
                part: at,
                extension: files::extension_of(content_type, &name).into(),
                name,
                declared: content_type.into(),
                is_picture: description.is_picture(),
                ..Attachment::default()
            });
            Some((self.model.attachments.len() - 1, false))
        };
        self.waiting.push(waiting);
        self.open.push(at);
        let level = self.open.len();
        if !self.links_muted.is_muted() && self.links.is_full() {
            self.links.cut();
            self.links_muted = Muted(Some(level));
        }
        if !self.texts_muted.is_muted() && self.texts.is_full() {
            self.texts.cut();
            self.texts_muted = Muted(Some(level));
        }
    }

    fn leave(&mut self) {
        self.links_muted.leave(self.open.len());
        self.texts_muted.leave(self.open.len());
        self.waiting.pop();
        self.open.pop();
    }

    fn text(&mut self, text: &str, form: Form, place: Place) {
        if place == Place::Elsewhere && text.trim_ascii().is_empty() {
            return;
        }
        let part = self.innermost();
        let source = self.model.texts.len();
        let room = if self.texts_muted.is_muted() { None } else { self.texts.room(place) };
        let links = (!self.links_muted.is_muted()).then_some(&mut self.links);
        let mut one = PartText { part, source: text.into(), ..PartText::default() };
        match form {
            Form::Plain => {
                if let Some(links) = links {
                    links.set_origin(Some(super::Origin::Text));
                    links::scan(text, links::Bare::Link, links);
                }
                if room.is_some() {
                    self.texts.plain(text, place, source);
                }
                self.uuencoded(text, part);
                one.shown = Arc::clone(&one.source);
            }
            Form::Html => {
                let seen = page::read(text, links, room.unwrap_or(MAX_TEXT), &mut self.model.html);
                if room.is_some() {
                    self.texts.html(&seen, place, source);
                }
                one.is_html = true;
                self.model.is_cut |= seen.is_hidden_cut;
                one.shown = seen.text.into();
                one.hidden = seen.hidden.into();
            }
        }
        if has_control(&one.shown, b"\t\r\n\x0c") {
            self.model.odd(Oddity::ControlCharacters, "in a text");
        }
        self.model.texts.push(one);
        self.places.push(place);
    }

    fn room_for_files(&self) -> usize {
        self.file_octets_left
    }

    fn octets(&mut self, octets: &[u8], is_whole: bool) {
        let Some((at, was_looked_into)) = self.waiting.last_mut().and_then(Option::as_mut) else { return };
        self.file_octets_left = self.file_octets_left.saturating_sub(octets.len());
        self.model.is_cut |= !is_whole;
        let Some(attachment) = self.model.attachments.get_mut(*at) else { return };
        // A file that says that it is encoded in a way of long ago.
        let decoded = uuencode::whole(octets, self.file_octets_left);
        let octets = decoded.as_deref().unwrap_or(octets);
        let is_cut = match std::mem::replace(was_looked_into, true) {
            true => files::look_again(attachment, octets),
            false => files::look_into(attachment, octets),
        };
        if is_cut {
            self.model.cut();
        }
    }

    fn begin(&mut self, choice: Choice) {
        if !self.texts_muted.is_muted() {
            self.texts.begin(choice);
        }
    }

    fn part(&mut self) {
        if !self.texts_muted.is_muted() {
            self.texts.part();
        }
    }

    fn root(&mut self) {
        if !self.texts_muted.is_muted() {
            self.texts.root();
        }
    }

    fn end(&mut self) {
        if !self.texts_muted.is_muted() {
            self.texts.end();
        }
    }
}

/// Adds a text to those that stand beside what is shown; false if not all of it.
fn beside(all: &mut String, text: &str) -> bool {
    let most = MAX_BESIDE.min(all.len() + 1 + MAX_BESIDE_EACH);
    append(all, text.trim(), most)
}

/// Adds a text in lines of its own, as far as all together have no more octets; false if not all of it.
fn append(all: &mut String, text: &str, most: usize) -> bool {
    let joint = usize::from(!all.is_empty());
    let end = text.floor_char_boundary(most.saturating_sub(all.len() + joint));
    let Some(kept) = text.get(..end).filter(|kept| !kept.is_empty()) else { return text.is_empty() };
    if joint > 0 {
        all.push('\n');
    }
    all.push_str(kept);
    end == text.len()
}

/// True if two texts have little in common although both say something.
fn differ(shown: &str, other: &str) -> bool {
    let other = words(other);
    if other.len() < FEW_WORDS {
        return false;
    }
    let shown = words(shown);
    let common = other.iter().filter(|word| shown.binary_search(word).is_ok()).count();
    shown.len() >= FEW_WORDS && common * 5 < other.len().min(shown.len())
}

/// The longer words at the beginning of a text, hashed, each once, in the order of their hashes.
fn words(text: &str) -> Vec<u64> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 3);
    let hash = |word: &str| {
        let letters = word.chars().flat_map(char::to_lowercase);
        // Who makes two words alike has made nothing but an oddity less.
        letters.fold(0xcbf2_9ce4_8422_2325_u64, |hash, letter| {
            (hash ^ u64::from(letter)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    };
    let mut hashes: Vec<u64> = words.take(MAX_COMPARED).map(hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_clipped() {
        for (all, text, expected, is_whole) in [
            ("", "", "", true),
            ("a", "", "a", true),
            ("", "bc", "bc", true),
            ("a", "bc", "a\nbc", true),
            ("a", "bcde", "a\nbcd", false),
            ("abc", "\u{e4}", "abc", false),
            ("abcde", "f", "abcde", false),
        ] {
            let mut kept = all.to_owned();
            assert_eq!((append(&mut kept, text, 5), &*kept), (is_whole, expected), "{all} {text}");
        }
    }
}
