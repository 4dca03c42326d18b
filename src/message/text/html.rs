//! What is seen of HTML: its text without what is hidden, with lines where blocks begin and end. Lines of a
//! quotation begin with `>`, as they do in plain text.
//!
//! No layout is made. An element is hidden if its own style, a rule for it, or an element around it says so, or
//! if its text has the colour of what is behind it. Where that is in doubt it is seen: what is sent to be read
//! must not be missed.

use std::cell::RefCell;

use html5ever::LocalName;
use xxhash_rust::xxh3::xxh3_64;

use super::MAX_TAGS;
use super::colour::{self, Colour, Paint};
use super::css::{Display, Style};
use super::element::{is_pixel, text_of};
use super::nesting::Begins;
use super::sheet::{self, Rules};
use crate::message::html::{self, Document, Tag, Token};

/// Elements within each other that are told apart.
const MAX_OPEN: usize = 128;
/// Elements without content.
const VOID: [&str; 19] = [
    "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "image", "img", "input", "keygen",
    "link", "meta", "param", "source", "track", "wbr",
];
/// Elements whose content is not shown.
const UNSEEN: [&str; 7] = ["iframe", "noembed", "noframes", "script", "style", "template", "title"];
/// Elements that stand within a line and make up a layout all the same.
const OF_A_LAYOUT: [&str; 14] = [
    "a", "area", "base", "button", "img", "input", "link", "map", "meta", "script", "select", "style", "textarea",
    "title",
];
/// Style sheets of a document that are looked at before it is read.
const MAX_SHEETS: usize = 20;
/// Octets of text that is not seen.
const MAX_HIDDEN: usize = 64 * 1024;
/// Elements that need no end.
const NEEDS_NO_END: [&str; 16] = [
    "body", "colgroup", "dd", "dt", "head", "html", "li", "optgroup", "option", "p", "tbody", "td", "tfoot", "th",
    "thead", "tr",
];

/// What is read of an HTML document.
#[derive(Clone, Debug, Default)]
pub(in crate::message) struct Seen {
    pub(in crate::message) text: String,
    /// The text that is hidden; scripts, titles and the like are not.
    pub(in crate::message) hidden: String,
    /// There is more of it than is kept.
    pub(in crate::message) is_hidden_cut: bool,
    /// The names of tags, hashed.
    pub(in crate::message) tags: Vec<u32>,
    /// It shows a picture that is fetched from elsewhere.
    pub(in crate::message) has_picture: bool,
    /// Tags that end nothing, and elements that were never ended.
    pub(in crate::message) faults: u32,
}

/// Takes what the tokenizer tells.
pub(in crate::message) struct Page(RefCell<State>);

impl Page {
    /// Of which at most about `room` octets of text are kept.
    pub(in crate::message) fn new(room: usize) -> Self {
        Self(RefCell::new(State {
            seen: Seen::default(),
            room,
            open: Vec::new(),
            is_lost: false,
            has_html: false,
            has_body: false,
            has_form: false,
            body_colour: Some([0; 3]),
            is_sheet: false,
            rules: Rules::default(),
            sheet: String::new(),
            media: String::new(),
            sheets_left: sheet::MAX_SHEET,
            has_blank: false,
            has_hidden_blank: false,
        }))
    }

    /// Looks for what later style sheets show: they are for what stands before them, too.
    pub(in crate::message) fn foresee(&self, html: &str) {
        let is_style = |at: &usize| html.get(at + 1..at + 6).is_some_and(|name| name.eq_ignore_ascii_case("style"));
        let starts = memchr::memchr_iter(b'<', html.as_bytes()).filter(is_style);
        for start in starts.skip(1).take(MAX_SHEETS) {
            let sheet = html.get(start..).and_then(|tag| tag.split_once('>')).map_or("", |(_, sheet)| sheet);
            let sheet = sheet.split("</").next().unwrap_or_default();
            self.0.borrow_mut().rules.foresee(sheet);
        }
    }

    /// Text that stands here is not seen.
    pub(in crate::message) fn is_unseen(&self) -> bool {
        self.0.borrow().is_unseen()
    }

    pub(in crate::message) fn into_seen(self) -> Seen {
        let State { mut seen, open, .. } = self.0.into_inner();
        let unended = open.iter().filter(|open| !NEEDS_NO_END.contains(&&*open.name)).count();
        seen.faults = seen.faults.saturating_add(u32::try_from(unended).unwrap_or(u32::MAX));
        seen
    }
}

impl Document for Page {
    fn is_full(&self) -> bool {
        let state = self.0.borrow();
        state.seen.text.len() >= state.room
    }

    fn surplus(&self, _text: &str) {}

    fn token(&self, token: Token<'_>) {
        let mut state = self.0.borrow_mut();
        match token {
            Token::Tag(tag) if !tag.is_end => state.start(tag),
            Token::Tag(tag) => state.end(tag),
            Token::Text(text) => state.characters(text),
            Token::Comment(_) => {}
        }
    }
}

/// What an element is to those within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wall {
    None,
    Table,
    /// Of a table: rows.
    Section,
    Row,
    Cell,
    Paragraph,
    Button,
    /// A drawing or a formula.
    Foreign,
}

/// An element that is open.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) name: LocalName,
    pub(super) wall: Wall,
    /// What its own attributes and the rules for it say.
    pub(super) style: Style,
    /// It is a quotation itself.
    pub(super) is_quoting: bool,
    is_block: bool,
    is_hidden: bool,
    /// Its content is no text of the document: a script, a title.
    is_foreign: bool,
    is_invisible: bool,
    /// Its letters are too small.
    is_tiny: bool,
    /// White space within is kept.
    is_preformatted: bool,
    is_quotation: bool,
    /// `None` if nobody knows it here.
    pub(super) colour: Option<Colour>,
    background: Option<Colour>,
}

impl Open {
    /// An element within `around`.
    pub(super) fn within(around: Option<&Self>, name: &LocalName, style: Style, is_quotation: bool) -> Self {
        let tag = &**name;
        let is_block = match style.display {
            Some(Display::Block) => true,
            Some(Display::Inline) => false,
            _ => html::is_block(tag),
        };
        let is_box = is_block && !matches!(tag, "td" | "th" | "tr" | "tbody" | "thead" | "tfoot");
        // Around everything: black on white.
        let around_colour = around.map_or(Some([0; 3]), |open| open.colour);
        let background = around.map_or(Some([255; 3]), |open| open.background);
        let mut element = Self {
            name: name.clone(),
            wall: match tag {
                "table" => Wall::Table,
                "tr" => Wall::Row,
                "tbody" | "thead" | "tfoot" => Wall::Section,
                "td" | "th" | "caption" => Wall::Cell,
                "button" => Wall::Button,
                "p" => Wall::Paragraph,
                "svg" | "math" => Wall::Foreign,
                _ => Wall::None,
            },
            style,
            is_quoting: is_quotation,
            is_block,
            is_hidden: around.is_some_and(|open| open.is_hidden) || UNSEEN.contains(&tag) || style.hides(is_box),
            is_foreign: around.is_some_and(|open| open.is_foreign) || UNSEEN.contains(&tag),
            is_invisible: style.is_invisible.unwrap_or(around.is_some_and(|open| open.is_invisible)),
            is_tiny: style.is_tiny.unwrap_or(around.is_some_and(|open| open.is_tiny)),
            is_preformatted: around.is_some_and(|open| open.is_preformatted)
                || matches!(tag, "pre" | "xmp" | "plaintext" | "listing"),
            is_quotation: is_quotation || around.is_some_and(|open| open.is_quotation),
            colour: around_colour,
            background: match style.background {
                Some(Paint::Known(colour)) => Some(colour),
                Some(Paint::Unknown) => None,
                Some(Paint::Clear) | None => background,
            },
        };
        match style.colour {
            Some(Paint::Known(colour)) => element.colour = Some(colour),
            Some(Paint::Unknown) => element.colour = None,
            // Letters that are painted with nothing are of the colour of what is behind them.
            Some(Paint::Clear) => {
                element.background = element.background.or(Some([255; 3]));
                element.colour = element.background;
            }
            None => {}
        }
        element
    }

    fn is_unseen(&self) -> bool {
        let is_same = |(colour, behind)| colour::is_same(colour, behind);
        self.is_hidden || self.is_invisible || self.is_tiny || self.colour.zip(self.background).is_some_and(is_same)
    }
}

pub(super) struct State {
    seen: Seen,
    room: usize,
    pub(super) open: Vec<Open>,
    /// Elements stood too deep within each other: nobody knows any more what is within what, and all is seen.
    is_lost: bool,
    pub(super) has_html: bool,
    pub(super) has_body: bool,
    /// No form was ended since one began.
    pub(super) has_form: bool,
    /// Tables may have this one, whatever is around them.
    pub(super) body_colour: Option<Colour>,
    /// The style element that is open is in the language of style sheets.
    is_sheet: bool,
    pub(super) rules: Rules,
    sheet: String,
    media: String,
    sheets_left: usize,
    /// White space since the last word.
    has_blank: bool,
    /// The same of words that are hidden.
    has_hidden_blank: bool,
}

impl State {
    fn is_unseen(&self) -> bool {
        match self.is_lost {
            true => self.open.last().is_some_and(|open| open.is_foreign),
            false => self.around("").is_some_and(Open::is_unseen),
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        let name = &*tag.name;
        let begins = self.end_before(tag);
        if name == "style" {
            self.media = tag.attribute("media").unwrap_or_default().to_owned();
            let kind = tag.attribute("type").unwrap_or_default().trim();
            self.is_sheet = kind.is_empty() || kind.eq_ignore_ascii_case("text/css");
        }
        let element = self.element(tag, begins);
        self.has_hidden_blank |= element.is_block;
        if !element.is_hidden {
            if self.seen.tags.len() < MAX_TAGS && (tag.is_block || OF_A_LAYOUT.contains(&name)) {
                self.seen.tags.push(xxh3_64(name.as_bytes()) as u32);
            }
            self.seen.has_picture |= name == "img"
                && tag.attribute("src").is_some_and(|source| !source.trim_start().starts_with("data:"))
                && !is_pixel(tag);
            match name {
                "td" | "th" => self.has_blank = true,
                _ if element.is_block => self.new_line(),
                _ => {}
            }
        }
        if name == "body" && begins == Begins::Element {
            self.body_colour = element.colour;
        }
        let is_foreign = self.open.iter().any(|open| open.wall == Wall::Foreign);
        if VOID.contains(&name) {
            if let Some(text) = text_of(tag) {
                self.open.push(element);
                self.has_blank = true;
                self.characters(text);
                self.has_blank = true;
                self.open.pop();
            }
            return;
        }
        // In a drawing what has no content says so.
        if begins == Begins::Nothing || (tag.is_self_closing && (is_foreign || matches!(name, "svg" | "math"))) {
            return;
        }
        // What is no text of the document has nothing within it: it does not go deeper.
        let is_leaf = UNSEEN.contains(&name) && self.open.len() < 2 * MAX_OPEN;
        if self.open.len() < MAX_OPEN || is_leaf {
            self.open.push(element);
        } else {
            self.is_lost = true;
        }
    }

    fn end(&mut self, tag: &Tag<'_>) {
        let name = &*tag.name;
        let Some(at) = self.ended_by(name) else {
            let is_fault = !matches!(name, "p" | "br" | "body" | "html" | "head" | "colgroup" | "form" | "select");
            self.seen.faults = self.seen.faults.saturating_add(u32::from(is_fault));
            return;
        };
        if name == "style" {
            let sheet = std::mem::take(&mut self.sheet);
            // What stands in a template is not there yet.
            let is_inert = self.open.get(..at).unwrap_or_default().iter().any(|open| open.is_foreign);
            if self.is_sheet && !is_inert {
                self.rules.add(&sheet, &self.media);
            }
        }
        let is_line = self.open.get(at).is_some_and(|open| !open.is_hidden && open.is_block);
        if is_line && !matches!(name, "td" | "th") {
            self.new_line();
        }
        self.close(at);
    }

    fn characters(&mut self, characters: &str) {
        let is_unseen = self.is_unseen();
        let last = self.open.last();
        if last.is_some_and(|open| &*open.name == "style") {
            let room = characters.floor_char_boundary(self.sheets_left.min(characters.len()));
            self.sheet.push_str(characters.get(..room).unwrap_or_default());
            self.sheets_left -= room;
            if room < characters.len() {
                self.rules.cut();
            }
            return;
        }
        if is_unseen {
            if !last.is_some_and(|open| open.is_foreign) {
                self.hide(characters);
            }
            return;
        }
        let (is_preformatted, is_quotation) =
            self.around("").map_or((false, false), |open| (open.is_preformatted, open.is_quotation));
        self.has_hidden_blank = true;
        let text = &mut self.seen.text;
        let mut rest = characters;
        while !rest.is_empty() {
            // A word at once, or a character where white space counts.
            let word = if is_preformatted { rest.chars().next().map_or(0, char::len_utf8) } else { word_end(rest) };
            let (word, after) = rest.split_at(word);
            if !word.is_empty() {
                let begins_line = text.is_empty() || text.ends_with('\n');
                if begins_line && is_quotation {
                    text.push_str("> ");
                } else if std::mem::take(&mut self.has_blank) && !begins_line {
                    text.push(' ');
                }
                // Of a quotation the white space before a line is told behind its first character.
                let first = word.chars().next().map_or(0, char::len_utf8);
                let (first, others) = word.split_at(first);
                text.push_str(first);
                if !others.is_empty() && std::mem::take(&mut self.has_blank) {
                    text.push(' ');
                }
                text.push_str(others);
            }
            rest = after;
            if !is_preformatted {
                rest = rest.trim_start_matches(is_blank);
                self.has_blank |= rest.len() < after.len();
            }
        }
    }

    fn hide(&mut self, characters: &str) {
        let hidden = &mut self.seen.hidden;
        for character in characters.chars() {
            if character.is_whitespace() {
                self.has_hidden_blank = true;
                continue;
            }
            if hidden.len() >= MAX_HIDDEN {
                self.seen.is_hidden_cut = true;
                return;
            }
            if std::mem::take(&mut self.has_hidden_blank) && !hidden.is_empty() {
                hidden.push(' ');
            }
            hidden.push(character);
        }
    }

    fn new_line(&mut self) {
        self.has_blank = false;
        if !self.seen.text.is_empty() && !self.seen.text.ends_with('\n') {
            self.seen.text.push('\n');
        }
    }
}

/// White space that is as good as one space.
fn is_blank(character: char) -> bool {
    character.is_ascii_whitespace() || character == '\u{a0}'
}

/// Where the word at the beginning of a text ends.
fn word_end(text: &str) -> usize {
    let octets = text.as_bytes();
    let is_end = |(at, octet): (usize, &u8)| match octet {
        octet if octet.is_ascii_whitespace() => true,
        0xc2 => octets.get(at + 1) == Some(&0xa0),
        _ => false,
    };
    octets.iter().enumerate().position(is_end).unwrap_or(octets.len())
}
