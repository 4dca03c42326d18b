//! The parts of a message (RFC 2046) that a reader sees, decoded.
//!
//! An own walk, because a parser that builds the tree of a message also builds, and drops, one that nests a
//! hundred thousand deep. Every octet of the message lies in some part here: what stands before the first
//! delimiter and behind the last is text. Where fields contradict each other each reading is followed.

mod delimiters;
mod description;
mod signed;

use std::borrow::Cow;

use memchr::memmem;

use super::encoding::{self, Encoding};
use super::model::Oddity;
use super::{Message, charset, header};
use delimiters::Delimiters;
pub(super) use description::Description;
use description::Kind;

/// Octets of a message that are looked at.
const MAX_OCTETS: usize = 8 << 20;
/// Octets of all parts together, each counted with the parts within it.
const MAX_WALKED: usize = 4 * MAX_OCTETS;
/// Parts that are looked at, multiparts and messages included.
const MAX_PARTS: usize = 200;
/// How deep parts are nested.
const MAX_DEPTH: usize = 20;
/// Decoded octets of one text that are looked at, in each reading.
const MAX_PART_TEXT: usize = 1 << 20;
/// Decoded octets of all texts.
const MAX_TEXT: usize = 2 << 20;
/// Octets before the first delimiter, or behind the last, that need no explanation.
const SHORT_NOTE: usize = 300;
const SHORT_END: usize = 20;

/// Who is told of the texts in a message.
pub(super) trait Reader {
    /// True if nothing more needs to be told.
    fn is_full(&self) -> bool;

    /// Something was left out.
    fn cut(&mut self);

    /// The end of a long plain text was left out: nobody reads that far.
    fn cut_end(&mut self) {
        self.cut();
    }

    /// A text, decoded.
    fn text(&mut self, text: &str, form: Form, place: Place);

    /// Octets of files that are of interest yet: what is longer is not decoded.
    fn room_for_files(&self) -> usize {
        0
    }

    /// A part that is no text, decoded.
    fn file(&mut self, _octets: &[u8], _is_picture: bool) {}

    /// A part begins: its header section, what that says, octets of its body, how deep it is nested.
    fn enter(&mut self, _section: &[u8], _description: &Description, _body: usize, _depth: usize) {}

    /// The part that began last ends.
    fn leave(&mut self) {}

    /// The octets of the part that began last, decoded, whatever it is; all of them, or the beginning. They are
    /// told again for each further reading.
    fn octets(&mut self, _octets: &[u8], _is_whole: bool) {}

    /// Something is unusual about the structure.
    fn odd(&mut self, _oddity: Oddity, _evidence: &str) {}

    /// Parts follow, of which mail programs show one, or all.
    fn begin(&mut self, _choice: Choice) {}

    /// The next of the parts that began last.
    fn part(&mut self) {}

    /// That part is the one to which the others belong, they say.
    fn root(&mut self) {}

    /// The end of the parts that began last.
    fn end(&mut self) {}
}

/// What a text is to be read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Html,
}

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where every program looks for it.
    Shown,
    /// In a message within the message, which is shown below it.
    Nested,
    /// In an attachment, which has to be opened.
    Attached,
    /// Where only some programs look: between the parts, in another reading of a part, within an attachment.
    Elsewhere,
}

impl Place {
    /// The place of what says of itself that it stands in `own`.
    fn within(self, own: Self) -> Self {
        match (self, own) {
            (Self::Shown, own) => own,
            (Self::Nested, Self::Shown | Self::Nested) => Self::Nested,
            (Self::Nested | Self::Attached, Self::Attached) => Self::Attached,
            _ => Self::Elsewhere,
        }
    }
}

/// Which of several parts a mail program shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The last one that it understands (RFC 2046 5.1.4).
    One,
    /// The one to which the others belong (RFC 2387): the one that they name, otherwise the first page, otherwise
    /// the first text.
    Root,
    All,
}

/// Reads a message, as far as it is in memory.
pub(super) fn read(message: &Message, reader: &mut impl Reader) {
    if message.len() > message.octets().len() as u64 || message.octets().len() > MAX_OCTETS {
        reader.cut();
    }
    let octets = message.octets();
    let mut walk = Walk {
        reader,
        parts: 0,
        walk_left: MAX_WALKED,
        text_left: MAX_TEXT,
        is_outside: false,
        boundaries: Vec::new(),
        root: None,
    };
    walk.entity(octets.get(..MAX_OCTETS).unwrap_or(octets), 0, Kind::Text, Place::Shown);
}

struct Walk<'f, R> {
    reader: &'f mut R,
    parts: usize,
    walk_left: usize,
    text_left: usize,
    /// Behind the end of a multipart.
    is_outside: bool,
    /// Of the multiparts that are open.
    boundaries: Vec<Vec<u8>>,
    /// The Content-ID of the part to which the others belong, of the innermost multipart.
    root: Option<String>,
}

impl<R: Reader> Walk<'_, R> {
    /// A part with its header section. `default` is what it is if it does not say, `around` where it stands.
    fn entity(&mut self, octets: &[u8], depth: usize, default: Kind, around: Place) {
        if depth > MAX_DEPTH || self.parts == MAX_PARTS || octets.len() > self.walk_left {
            self.reader.odd(Oddity::TooMuch, if depth > MAX_DEPTH { "depth" } else { "parts" });
            self.reader.cut();
            return;
        }
        if self.reader.is_full() {
            self.reader.cut();
            return;
        }
        self.parts += 1;
        self.walk_left -= octets.len();
        let (section, body) = octets.split_at(header::body_offset(octets));
        let description = Description::of(section, default);
        self.reader.enter(section, &description, body.len(), depth);
        if self.root.is_some() && self.root == description.content_id {
            self.reader.root();
        }
        for (oddity, evidence) in &description.oddities {
            self.reader.odd(*oddity, evidence);
        }
        for reading in 0..description.kinds.len() {
            self.reading(reading, &description, body, depth, around);
        }
        self.broken_section(section, body, depth);
        self.reader.leave();
    }

    /// One of the kinds that a part may be of.
    fn reading(&mut self, reading: usize, description: &Description, body: &[u8], depth: usize, around: Place) {
        let Some(kind) = description.kinds.get(reading) else { return };
        let is_first = reading == 0 && !self.is_outside;
        // The message itself is shown, whatever it says.
        let own = if depth == 0 { Place::Shown } else { description.place() };
        let place = around.within(if is_first { own } else { Place::Elsewhere });
        match kind {
            Kind::Multipart { boundary, is_digest, choice, root } => {
                let default = if *is_digest { Kind::Message } else { Kind::Text };
                self.reader.begin(*choice);
                let around_root = std::mem::replace(&mut self.root, root.clone());
                let has_parts = self.multipart(body, boundary, depth, &default, place);
                self.root = around_root;
                self.reader.end();
                let is_only = !matches!(description.kinds.first(), Some(Kind::Multipart { .. })) || reading == 0;
                if !has_parts && is_only {
                    self.reader.odd(Oddity::NoBoundary, "no part begins");
                    self.leaf(body, Form::Html, place, description);
                }
            }
            Kind::Message => {
                for (at, encoding) in description.encodings.iter().enumerate() {
                    let message = decoded(body, *encoding, MAX_OCTETS);
                    if reading == 0 {
                        self.reader.octets(&message, true);
                    }
                    let inner = match place {
                        Place::Shown | Place::Nested if at == 0 => Place::Nested,
                        _ => Place::Elsewhere,
                    };
                    self.entity(&message, depth + 1, Kind::Text, inner);
                }
            }
            Kind::Text => self.leaf(body, Form::Plain, place, description),
            Kind::Html => self.leaf(body, Form::Html, place, description),
            Kind::Other { is_picture } if reading == 0 => {
                self.file(body, *is_picture, description);
                if description.may_be_signed() {
                    self.signed(body, depth, place, description);
                }
            }
            Kind::Other { .. } => {}
        }
    }

    /// Where a line that is no field ends the header section, other programs read on behind it.
    fn broken_section(&mut self, section: &[u8], body: &[u8], depth: usize) {
        let before_end = section.strip_suffix(b"\n").map(|section| section.strip_suffix(b"\r").unwrap_or(section));
        let is_ended = before_end.is_some_and(|before| before.is_empty() || before.ends_with(b"\n"));
        if is_ended || self.is_outside {
            return;
        }
        let line = body.split_inclusive(|octet| *octet == b'\n').next().unwrap_or_default();
        let rest = body.get(line.len()..).unwrap_or_default();
        let line = String::from_utf8_lossy(line.get(..line.len().min(40)).unwrap_or_default());
        if line.trim().is_empty() {
            return;
        }
        if header::body_offset(rest) == 0 || rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
            if !section.is_empty() {
                self.reader.odd(Oddity::NoHeaderEnd, line.trim());
            }
        } else {
            self.reader.odd(Oddity::BrokenField, line.trim());
            self.entity(rest, depth + 1, Kind::Text, Place::Elsewhere);
        }
    }

    /// The parts between delimiters; false if there is no delimiter.
    fn multipart(&mut self, body: &[u8], boundary: &[u8], depth: usize, default: &Kind, place: Place) -> bool {
        let is_ambiguous =
            self.boundaries.iter().any(|open| open.starts_with(boundary) || boundary.starts_with(open.as_slice()));
        self.boundaries.push(boundary.to_vec());
        let mut start = None;
        let mut is_closed = false;
        for delimiter in Delimiters::new(body, boundary) {
            let before = body.get(start.unwrap_or(0)..delimiter.start).unwrap_or_default();
            match start {
                None => self.outside(before),
                Some(_) => {
                    self.reader.part();
                    self.entity(before, depth + 1, default.clone(), place);
                }
            }
            start = Some(delimiter.end);
            is_closed |= delimiter.is_closing;
            if self.parts == MAX_PARTS {
                self.reader.cut();
                break;
            }
        }
        self.boundaries.pop();
        let Some(start) = start else { return false };
        if is_ambiguous {
            self.reader.odd(Oddity::AmbiguousBoundary, &String::from_utf8_lossy(boundary));
        }
        if !is_closed {
            self.reader.odd(Oddity::UnclosedBoundary, &String::from_utf8_lossy(boundary));
        }
        let last = body.get(start..).unwrap_or_default();
        if !last.trim_ascii().is_empty() {
            if is_closed && last.trim_ascii().len() > SHORT_END {
                self.reader.odd(Oddity::TextOutside, "behind the last part");
            }
            let was_outside = self.is_outside;
            self.is_outside |= is_closed;
            self.reader.part();
            self.entity(last, depth + 1, default.clone(), place);
            self.is_outside = was_outside;
        }
        true
    }

    /// What stands before the first part.
    fn outside(&mut self, octets: &[u8]) {
        if octets.trim_ascii().len() > SHORT_NOTE || memmem::find(octets, b"://").is_some() {
            self.reader.odd(Oddity::TextOutside, "before the first part");
        }
        self.plain(octets);
    }

    /// A text in each of its encodings.
    fn leaf(&mut self, body: &[u8], form: Form, place: Place, description: &Description) {
        for (reading, encoding) in description.encodings.iter().enumerate() {
            let limit = MAX_PART_TEXT.min(self.text_left);
            let octets = decoded(body, *encoding, limit);
            self.text_left -= octets.len();
            let is_cut = octets.len() == limit && body.len() > limit;
            match form {
                Form::Plain if is_cut => self.reader.cut_end(),
                Form::Html if is_cut => self.reader.cut(),
                _ => {}
            }
            let place = if reading == 0 { place } else { Place::Elsewhere };
            self.reader.octets(&octets, !is_cut);
            let (text, is_clean) = charset::decoded(&octets, description.charset.as_deref());
            if !is_clean && reading == 0 && place != Place::Elsewhere {
                self.reader.odd(Oddity::BrokenCharset, description.charset.as_deref().unwrap_or_default());
            }
            self.reader.text(&text, form, place);
            if *encoding == Encoding::Base64 {
                if encoding::is_broken_base64(body) {
                    self.reader.odd(Oddity::BrokenBase64, "other characters in it");
                    self.plain(body);
                } else if encoding::is_cut_base64(body) {
                    self.reader.odd(Oddity::BrokenBase64, "ended in the middle");
                }
            }
        }
    }

    /// A file, in each of its encodings.
    fn file(&mut self, body: &[u8], is_picture: bool, description: &Description) {
        for encoding in &description.encodings {
            let room = self.reader.room_for_files();
            if room == 0 {
                return;
            }
            let octets = decoded(body, *encoding, room);
            let is_whole = octets.len() < room;
            self.reader.octets(&octets, is_whole);
            // The beginning of a file is not the file.
            if is_whole {
                self.reader.file(&octets, is_picture);
            }
            if *encoding == Encoding::Base64 {
                let is_broken = encoding::is_broken_base64(body);
                if is_broken || encoding::is_cut_base64(body) {
                    let evidence = if is_broken { "other characters in it" } else { "ended in the middle" };
                    self.reader.odd(Oddity::BrokenBase64, evidence);
                }
            }
        }
    }

    /// The part that is signed here: programs show it as if nothing were around it.
    fn signed(&mut self, body: &[u8], depth: usize, place: Place, description: &Description) {
        for encoding in &description.encodings {
            if let Some(content) = signed::content(&decoded(body, *encoding, MAX_OCTETS)) {
                self.entity(&content, depth + 1, Kind::Text, place);
            }
        }
    }

    /// Octets of which nobody says what they are.
    fn plain(&mut self, octets: &[u8]) {
        let limit = MAX_PART_TEXT.min(self.text_left);
        let read = octets.get(..limit).unwrap_or(octets);
        if read.len() < octets.len() {
            self.reader.cut();
        }
        self.text_left -= read.len();
        self.reader.text(&charset::text(read), Form::Plain, Place::Elsewhere);
    }
}

fn decoded(body: &[u8], encoding: Encoding, limit: usize) -> Cow<'_, [u8]> {
    match encoding {
        Encoding::Identity => Cow::Borrowed(body.get(..limit).unwrap_or(body)),
        Encoding::QuotedPrintable => Cow::Owned(encoding::quoted_printable(body, limit)),
        Encoding::Base64 => Cow::Owned(encoding::base64(body, limit)),
    }
}
