//! The parts of a message (RFC 2046) that a reader sees, decoded.
//!
//! An own walk, shared by all that look into a message, because a parser that builds the tree of a message also builds, and drops, one that nests a
//! hundred thousand deep. Every octet of the message lies in some part here: what stands before the first
//! delimiter and behind the last is text. Where fields contradict each other each reading is followed.

use std::borrow::Cow;

use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::parsers::MessageStream;
use mail_parser::{ContentType, HeaderValue};
use memchr::memmem;

use super::encoding::{self, Encoding};
use super::{Message, header};

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
/// Octets of one header field that is parsed.
const MAX_FIELD: usize = 8192;
/// Fields of the same name that are read: programs differ in which of them they take.
const MAX_READINGS: usize = 2;

/// Who is told of the texts in a message.
pub(super) trait Reader {
    /// True if nothing more needs to be told.
    fn is_full(&self) -> bool;

    /// Something was left out.
    fn cut(&mut self);

    /// A text, decoded.
    fn text(&mut self, text: &str, form: Form, place: Place);

    /// Octets of files that are of interest yet: what is longer is not decoded.
    fn room_for_files(&self) -> usize {
        0
    }

    /// A part that is no text, decoded.
    fn file(&mut self, _octets: &[u8], _is_picture: bool) {}

    /// Parts follow, of which mail programs show one, or all.
    fn begin(&mut self, _choice: Choice) {}

    /// The next of the parts that began last.
    fn part(&mut self) {}

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
    /// The first, to which the others belong (RFC 2387).
    First,
    All,
}

/// Reads a message, as far as it is in memory.
pub(super) fn read(message: &Message, reader: &mut impl Reader) {
    if message.len() > message.octets().len() as u64 || message.octets().len() > MAX_OCTETS {
        reader.cut();
    }
    let octets = message.octets();
    let mut walk = Walk { reader, parts: 0, walk_left: MAX_WALKED, text_left: MAX_TEXT, is_outside: false };
    walk.entity(octets.get(..MAX_OCTETS).unwrap_or(octets), 0, Kind::Text, Place::Shown);
}

/// The value of a field with its encoded words decoded (RFC 2047).
pub(super) fn unfolded(value: &[u8]) -> String {
    let value = ended(value);
    match MessageStream::new(&value).parse_unstructured() {
        HeaderValue::Text(text) => text.into_owned(),
        _ => String::new(),
    }
}

/// The beginning of a field's value, with the line end that its parser waits for.
fn ended(value: &[u8]) -> Vec<u8> {
    let mut value = value.get(..MAX_FIELD).unwrap_or(value).to_vec();
    value.push(b'\n');
    value
}

/// What a part is to its reader.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Html,
    /// A message with a header section of its own.
    Message,
    /// Parts between delimiters; those that do not say what they are, are messages in a digest.
    Multipart {
        boundary: Vec<u8>,
        is_digest: bool,
        choice: Choice,
    },
    /// Nothing to read.
    Other {
        /// It says that it is an image.
        is_picture: bool,
    },
}

/// What the header section of a part says.
struct Description {
    kinds: Vec<Kind>,
    encodings: Vec<Encoding>,
    charset: Option<String>,
    /// It says that it is an attachment.
    is_attached: bool,
}

impl Description {
    fn of(section: &[u8], default: Kind) -> Self {
        let mut description = Self { kinds: Vec::new(), encodings: Vec::new(), charset: None, is_attached: false };
        let mut named = Vec::new();
        for field in header::Fields::new(section) {
            if field.is("Content-Disposition") {
                let value = ended(field.value);
                if let HeaderValue::ContentType(disposition) = MessageStream::new(&value).parse_content_type() {
                    add_named(&mut named, disposition.attribute("filename"));
                    description.is_attached |= disposition.ctype().trim().eq_ignore_ascii_case("attachment");
                }
            } else if field.is("Content-Transfer-Encoding") {
                add(&mut description.encodings, Encoding::of(field.value));
            } else if field.is("Content-Type") {
                let value = ended(field.value);
                let HeaderValue::ContentType(content_type) = MessageStream::new(&value).parse_content_type() else {
                    continue;
                };
                add(&mut description.kinds, Kind::of(&content_type));
                add_named(&mut named, content_type.attribute("name"));
                description.charset =
                    description.charset.or_else(|| content_type.attribute("charset").map(str::to_owned));
            }
        }
        if description.kinds.is_empty() {
            description.kinds.push(default);
        }
        // What opens an attachment goes by its name.
        named.retain(|kind| !description.kinds.contains(kind));
        description.kinds.append(&mut named);
        if description.encodings.is_empty() {
            description.encodings.push(Encoding::Identity);
        }
        description
    }
}

impl Description {
    fn place(&self) -> Place {
        if self.is_attached { Place::Attached } else { Place::Shown }
    }
}

fn add_named(readings: &mut Vec<Kind>, name: Option<&str>) {
    if let Some(kind) = name.and_then(Kind::of_a_name) {
        add(readings, kind);
    }
}

fn add<T: PartialEq>(readings: &mut Vec<T>, reading: T) {
    if readings.len() < MAX_READINGS && !readings.contains(&reading) {
        readings.push(reading);
    }
}

impl Kind {
    fn of(content_type: &ContentType<'_>) -> Self {
        let kind = content_type.ctype().trim().to_ascii_lowercase();
        let subtype = content_type.subtype().unwrap_or_default().trim().to_ascii_lowercase();
        match (kind.as_str(), subtype.as_str()) {
            ("multipart", _) => match content_type.attribute("boundary") {
                Some(boundary) if !boundary.is_empty() => {
                    let choice = match subtype.as_str() {
                        "alternative" => Choice::One,
                        "related" => Choice::First,
                        _ => Choice::All,
                    };
                    Self::Multipart { boundary: boundary.as_bytes().to_vec(), is_digest: subtype == "digest", choice }
                }
                _ => Self::Html,
            },
            ("message", "rfc822" | "global" | "news") => Self::Message,
            (_, subtype) if subtype.contains("html") || subtype == "svg+xml" => Self::Html,
            ("text" | "message" | "", _) => Self::Text,
            (kind, _) => Self::Other { is_picture: kind == "image" },
        }
    }

    /// What an attachment of this name is to whoever opens it; pages and messages alone can be read here.
    fn of_a_name(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        let ends_in = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        if ends_in(&[".htm", ".html", ".shtml", ".xhtml", ".svg"]) {
            Some(Self::Html)
        } else if ends_in(&[".eml", ".mht", ".mhtml"]) {
            Some(Self::Message)
        } else {
            None
        }
    }
}

struct Walk<'f, R> {
    reader: &'f mut R,
    parts: usize,
    walk_left: usize,
    text_left: usize,
    /// Behind the end of a multipart.
    is_outside: bool,
}

impl<R: Reader> Walk<'_, R> {
    /// A part with its header section. `default` is what it is if it does not say, `around` where it stands.
    fn entity(&mut self, octets: &[u8], depth: usize, default: Kind, around: Place) {
        if depth > MAX_DEPTH || self.parts == MAX_PARTS || octets.len() > self.walk_left || self.reader.is_full() {
            self.reader.cut();
            return;
        }
        self.parts += 1;
        self.walk_left -= octets.len();
        let (section, body) = octets.split_at(header::body_offset(octets));
        let description = Description::of(section, default);
        for (reading, kind) in description.kinds.iter().enumerate() {
            let is_first = reading == 0 && !self.is_outside;
            // The message itself is shown, whatever it says.
            let own = if depth == 0 { Place::Shown } else { description.place() };
            let place = around.within(if is_first { own } else { Place::Elsewhere });
            match kind {
                Kind::Multipart { boundary, is_digest, choice } => {
                    let default = if *is_digest { Kind::Message } else { Kind::Text };
                    self.reader.begin(*choice);
                    let has_parts = self.multipart(body, boundary, depth, &default, place);
                    self.reader.end();
                    if !has_parts {
                        self.leaf(body, Form::Html, place, &description);
                    }
                }
                Kind::Message => {
                    for (reading, encoding) in description.encodings.iter().enumerate() {
                        let message = decoded(body, *encoding, MAX_OCTETS);
                        let inner = match place {
                            Place::Shown | Place::Nested if reading == 0 => Place::Nested,
                            _ => Place::Elsewhere,
                        };
                        self.entity(&message, depth + 1, Kind::Text, inner);
                    }
                }
                Kind::Text => self.leaf(body, Form::Plain, place, &description),
                Kind::Html => self.leaf(body, Form::Html, place, &description),
                Kind::Other { is_picture } if reading == 0 => self.file(body, *is_picture, &description),
                Kind::Other { .. } => {}
            }
        }
    }

    /// The parts between delimiters; false if there is no delimiter.
    fn multipart(&mut self, body: &[u8], boundary: &[u8], depth: usize, default: &Kind, place: Place) -> bool {
        let mut start = None;
        let mut is_closed = false;
        for delimiter in Delimiters::new(body, boundary) {
            let before = body.get(start.unwrap_or(0)..delimiter.start).unwrap_or_default();
            match start {
                None => self.plain(before),
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
        let Some(start) = start else { return false };
        let last = body.get(start..).unwrap_or_default();
        if !last.trim_ascii().is_empty() {
            let was_outside = self.is_outside;
            self.is_outside |= is_closed;
            self.reader.part();
            self.entity(last, depth + 1, default.clone(), place);
            self.is_outside = was_outside;
        }
        true
    }

    /// A text in each of its encodings.
    fn leaf(&mut self, body: &[u8], form: Form, place: Place, description: &Description) {
        for (reading, encoding) in description.encodings.iter().enumerate() {
            let limit = MAX_PART_TEXT.min(self.text_left);
            let octets = decoded(body, *encoding, limit);
            self.text_left -= octets.len();
            if octets.len() == limit && body.len() > limit {
                self.reader.cut();
            }
            let text = in_charset(&octets, description.charset.as_deref());
            let place = if reading == 0 { place } else { Place::Elsewhere };
            self.reader.text(&text, form, place);
            if *encoding == Encoding::Base64 && encoding::is_broken_base64(body) {
                self.plain(body);
            }
        }
    }

    /// A file, in the first of its encodings.
    fn file(&mut self, body: &[u8], is_picture: bool, description: &Description) {
        let room = self.reader.room_for_files();
        let Some(encoding) = description.encodings.first().filter(|_| room > 0) else { return };
        let octets = decoded(body, *encoding, room);
        // The beginning of a file is not the file.
        if octets.len() < room {
            self.reader.file(&octets, is_picture);
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
        self.reader.text(&String::from_utf8_lossy(read), Form::Plain, Place::Elsewhere);
    }
}

fn decoded(body: &[u8], encoding: Encoding, limit: usize) -> Cow<'_, [u8]> {
    match encoding {
        Encoding::Identity => Cow::Borrowed(body.get(..limit).unwrap_or(body)),
        Encoding::QuotedPrintable => Cow::Owned(encoding::quoted_printable(body, limit)),
        Encoding::Base64 => Cow::Owned(encoding::base64(body, limit)),
    }
}

fn in_charset<'t>(octets: &'t [u8], charset: Option<&str>) -> Cow<'t, str> {
    let charset = charset.unwrap_or_default().trim().to_ascii_lowercase();
    let is_unicode = matches!(charset.as_str(), "" | "utf-8" | "utf8" | "us-ascii");
    match charset_decoder(charset.as_bytes()).filter(|_| !is_unicode) {
        Some(decoder) => Cow::Owned(decoder(octets)),
        None => String::from_utf8_lossy(octets),
    }
}

/// One delimiter line.
struct Delimiter {
    start: usize,
    /// Behind its line end.
    end: usize,
    /// No part follows, it says.
    is_closing: bool,
}

/// The delimiter lines of a multipart (RFC 2046 5.1.1), the closing one like the others: what follows it is
/// shown by some.
struct Delimiters<'b> {
    body: &'b [u8],
    finder: memmem::Finder<'b>,
    length: usize,
    at: usize,
}

impl<'b> Delimiters<'b> {
    fn new(body: &'b [u8], boundary: &'b [u8]) -> Self {
        Self { body, finder: memmem::Finder::new(boundary), length: boundary.len(), at: 0 }
    }
}

impl Iterator for Delimiters<'_> {
    type Item = Delimiter;

    fn next(&mut self) -> Option<Delimiter> {
        loop {
            let found = self.at + self.finder.find(self.body.get(self.at..)?)?;
            self.at = found + self.length;
            let before = self.body.get(..found)?;
            let Some(start) = before.strip_suffix(b"--").map(<[u8]>::len) else { continue };
            let begins_line = matches!(before.get(..start)?.last(), None | Some(b'\n' | b'\r'));
            if !begins_line {
                continue;
            }
            let after = self.body.get(self.at..)?;
            let line = after.split(|octet| matches!(octet, b'\n' | b'\r')).next().unwrap_or_default();
            let rest = line.strip_prefix(b"--").unwrap_or(line);
            if !rest.trim_ascii().is_empty() {
                continue;
            }
            let end = match after.get(line.len()..)? {
                [b'\r', b'\n', ..] => 2,
                [_, ..] => 1,
                [] => 0,
            };
            self.at += line.len() + end;
            return Some(Delimiter { start, end: self.at, is_closing: rest.len() < line.len() });
        }
    }
}
