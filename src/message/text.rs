//! The text that a person sees of a message, and what its HTML is built of.
//!
//! Of alternatives the one counts that mail programs show: the last HTML in which there is text, otherwise the
//! last plain one. Of related parts the one that they name counts, otherwise the first page with text. What is hidden in HTML does not count (`html`).
//! Attachments and what stands between the parts are not seen; messages within the message only where it says
//! little itself.
//!
//! Everything here is bounded and runs in time proportional to the octets looked at. A panic within ends the
//! reading and keeps what was read.

mod colour;
mod css;
mod element;
mod html;
mod nesting;
mod sheet;

use super::parts::{Choice, Place};
use super::{Message, Model};
pub(super) use element::is_pixel;
pub(super) use html::{Page, Seen};

/// Octets of text that are kept.
pub const MAX_TEXT: usize = 256 * 1024;
/// Tags that are kept.
pub const MAX_TAGS: usize = 4096;
/// With fewer words a message says little beside the message in it.
const FEW_WORDS: usize = 25;

/// What a person sees of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The text, in lines.
    pub shown: String,
    /// The text that other programs show in its place: the plain alternative of HTML, empty if there is none.
    pub other: String,
    /// The names of the tags of HTML that begin something, hashed, in order.
    pub tags: Vec<u32>,
    /// True if its HTML shows a picture that is fetched from elsewhere.
    pub has_picture: bool,
    /// True if the bounds left something out.
    pub truncated: bool,
}

impl Text {
    /// Reads a message, as far as it is in memory.
    pub fn of(message: &Message) -> Self {
        Model::of(message).text
    }
}

/// Text with what belongs to it.
#[derive(Default)]
struct Piece {
    text: String,
    /// The plain text that was there in its place.
    other: String,
    tags: Vec<u32>,
    is_html: bool,
    has_picture: bool,
    /// The places of the texts that it comes from.
    sources: Vec<usize>,
}

impl Piece {
    fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    fn add(&mut self, mut more: Self) {
        add(&mut self.text, &more.text);
        add(&mut self.other, &more.other);
        more.tags.truncate(MAX_TAGS.saturating_sub(self.tags.len()));
        self.tags.append(&mut more.tags);
        self.is_html |= more.is_html;
        self.has_picture |= more.has_picture;
        self.sources.append(&mut more.sources);
    }
}

/// A multipart that is open.
struct Parts {
    choice: Choice,
    /// What its parts come to so far,
    chosen: Piece,
    /// and the part that is being read.
    part: Piece,
    /// That part is the one to which the others belong.
    is_root: bool,
    /// What was chosen is.
    has_root: bool,
}

impl Parts {
    fn end_part(&mut self) {
        let mut part = std::mem::take(&mut self.part);
        let is_root = std::mem::take(&mut self.is_root) && !part.is_blank();
        match self.choice {
            Choice::All => self.chosen.add(part),
            Choice::Root if is_root => (self.chosen, self.has_root) = (part, true),
            Choice::Root if self.has_root => {}
            Choice::Root if self.chosen.is_blank() => self.chosen.add(part),
            Choice::Root if part.is_html && !part.is_blank() && !self.chosen.is_html => self.chosen = part,
            Choice::Root => {}
            Choice::One if part.is_blank() => {
                // Pictures without text are HTML, too: they stand in for nothing.
                self.chosen.tags.append(&mut part.tags);
                self.chosen.tags.truncate(MAX_TAGS);
                self.chosen.has_picture |= part.has_picture;
                if self.chosen.is_blank() {
                    self.chosen.sources.append(&mut part.sources);
                }
            }
            Choice::One => {
                let is_better = self.chosen.is_blank() || part.is_html || !self.chosen.is_html;
                let (mut chosen, left) = if is_better {
                    (part, std::mem::take(&mut self.chosen))
                } else {
                    (std::mem::take(&mut self.chosen), part)
                };
                // Of the plain texts the last one counts.
                if chosen.is_html {
                    let plain = if left.is_html { left.other } else { left.text };
                    if !plain.is_empty() {
                        chosen.other = plain;
                    }
                }
                self.chosen = chosen;
            }
        }
    }
}

/// What is read so far, of the message or of those within it.
#[derive(Default)]
struct Level {
    whole: Piece,
    open: Vec<Parts>,
}

impl Level {
    fn innermost(&mut self) -> &mut Piece {
        self.open.last_mut().map_or(&mut self.whole, |parts| &mut parts.part)
    }

    /// Octets that will be kept; an alternative takes no room from the one that is read.
    fn kept(&self) -> usize {
        let of = |parts: &Parts| match parts.choice {
            Choice::All | Choice::Root => parts.part.text.len() + parts.chosen.text.len(),
            Choice::One => parts.part.text.len(),
        };
        self.whole.text.len() + self.open.iter().map(of).sum::<usize>()
    }

    fn end(&mut self) {
        if let Some(mut parts) = self.open.pop() {
            parts.end_part();
            self.innermost().add(parts.chosen);
        }
    }
}

/// Puts the texts of a message together, as they are told.
#[derive(Default)]
pub(super) struct Collector {
    own: Level,
    /// Of messages within the message.
    nested: Level,
    was_cut: bool,
}

impl Collector {
    /// True if nothing more can be kept.
    pub(super) fn is_full(&self) -> bool {
        self.own.kept() >= MAX_TEXT
    }

    /// Something was left out.
    pub(super) fn cut(&mut self) {
        self.was_cut = true;
    }

    fn level(&mut self, place: Place) -> Option<&mut Level> {
        match place {
            Place::Shown => Some(&mut self.own),
            Place::Nested => Some(&mut self.nested),
            Place::Attached | Place::Elsewhere => None,
        }
    }

    /// Octets that will be kept of a text in this place; `None` if it is not seen.
    pub(super) fn room(&mut self, place: Place) -> Option<usize> {
        self.level(place).map(|level| MAX_TEXT.saturating_sub(level.kept()))
    }

    /// A plain text. `source` is its place among all texts.
    pub(super) fn plain(&mut self, text: &str, place: Place, source: usize) {
        let Some(room) = self.room(place) else { return };
        let end = text.floor_char_boundary(room + 1);
        let text = text.get(..end).unwrap_or(text).to_owned();
        self.add(Piece { text, sources: vec![source], ..Piece::default() }, place, room);
    }

    /// What is seen of HTML.
    pub(super) fn html(&mut self, seen: &Seen, place: Place, source: usize) {
        let Some(room) = self.room(place) else { return };
        let Seen { text, tags, has_picture, .. } = seen;
        let (text, tags, has_picture) = (text.clone(), tags.clone(), *has_picture);
        let piece = Piece { text, tags, has_picture, is_html: true, sources: vec![source], ..Piece::default() };
        self.add(piece, place, room);
    }

    fn add(&mut self, mut piece: Piece, place: Place, room: usize) {
        if piece.text.len() >= room {
            self.was_cut |= piece.text.len() > room;
            piece.text.truncate(piece.text.floor_char_boundary(room));
        }
        if let Some(level) = self.level(place) {
            level.innermost().add(piece);
        }
    }

    pub(super) fn begin(&mut self, choice: Choice) {
        let parts =
            || Parts { choice, chosen: Piece::default(), part: Piece::default(), is_root: false, has_root: false };
        self.own.open.push(parts());
        self.nested.open.push(parts());
    }

    pub(super) fn part(&mut self) {
        self.own.open.last_mut().into_iter().chain(self.nested.open.last_mut()).for_each(Parts::end_part);
    }

    /// The part that is being read is the one to which the others belong.
    pub(super) fn root(&mut self) {
        let innermost = self.own.open.last_mut().into_iter().chain(self.nested.open.last_mut());
        innermost.for_each(|parts| parts.is_root = true);
    }

    pub(super) fn end(&mut self) {
        self.own.end();
        self.nested.end();
    }

    /// The text, and the places of the texts that it comes from, those of messages in the message left out.
    pub(super) fn into_text(mut self) -> (Text, Vec<usize>) {
        // A panic left some of them open.
        while !self.own.open.is_empty() {
            self.end();
        }
        let Level { mut whole, .. } = self.own;
        let sources = std::mem::take(&mut whole.sources);
        if whole.text.split_whitespace().take(FEW_WORDS).count() < FEW_WORDS {
            whole.add(self.nested.whole);
        }
        for text in [&mut whole.text, &mut whole.other] {
            self.was_cut |= text.len() > MAX_TEXT;
            text.truncate(text.floor_char_boundary(MAX_TEXT));
        }
        let Piece { text: shown, other, tags, has_picture, .. } = whole;
        (Text { shown, other, tags, has_picture, truncated: self.was_cut }, sources)
    }
}

fn add(text: &mut String, more: &str) {
    if !more.is_empty() {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(more);
    }
}

#[cfg(test)]
mod tests;
