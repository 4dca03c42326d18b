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
use super::css::{Declarations, Display, Style};
use super::sheet::{self, Rules};
use crate::message::html::{self, Document, Tag, Token};

/// Elements within each other that are told apart.
const MAX_OPEN: usize = 128;
/// Classes of one element.
const MAX_CLASSES: usize = 20;

/// Elements without content.
const VOID: [&str; 16] = [
    "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "link", "meta",
    "source", "track", "wbr",
];
/// Elements whose content is not shown.
const UNSEEN: [&str; 8] = ["iframe", "noembed", "noframes", "script", "style", "template", "textarea", "title"];
/// Elements that end where the next of their kind begins.
const SIBLINGS: [&str; 4] = ["dd", "dt", "li", "option"];
/// Elements that stand within a line and make up a layout all the same.
const OF_A_LAYOUT: [&str; 14] = [
    "a", "area", "base", "button", "img", "input", "link", "map", "meta", "script", "select", "style", "textarea",
    "title",
];
/// Elements that go on behind a paragraph that ends around them.
const FORMATTING: [&str; 14] =
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];
/// Classes that mail programs give to what they quote.
const QUOTATIONS: [&str; 6] =
    ["gmail_quote", "gmail_extra", "yahoo_quoted", "moz-cite-prefix", "protonmail_quote", "zmail_extra"];

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
            beyond: 0,
            hidden_beyond: None,
            rules: Rules::default(),
            sheet: String::new(),
            media: String::new(),
            sheets_left: sheet::MAX_SHEET,
            has_blank: false,
            has_hidden_blank: false,
        }))
    }

    /// Text that stands here is not seen.
    pub(in crate::message) fn is_unseen(&self) -> bool {
        let state = self.0.borrow();
        state.open.last().is_some_and(Open::is_unseen) || state.hidden_beyond.is_some()
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
enum Wall {
    None,
    Table,
    Row,
    Cell,
    Paragraph,
    /// A drawing or a formula.
    Foreign,
}

/// An element that is open.
#[derive(Clone, Debug)]
struct Open {
    name: LocalName,
    wall: Wall,
    /// What its own attributes and the rules for it say.
    style: Style,
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
    colour: Option<Colour>,
    background: Option<Colour>,
}

impl Open {
    /// An element within `around`.
    fn within(around: Option<&Self>, name: &LocalName, style: Style, is_quotation: bool) -> Self {
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
                "td" | "th" | "caption" | "button" => Wall::Cell,
                "p" => Wall::Paragraph,
                "svg" | "math" => Wall::Foreign,
                _ => Wall::None,
            },
            style,
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

struct State {
    seen: Seen,
    room: usize,
    open: Vec<Open>,
    /// Elements that are open within the innermost that is told apart,
    beyond: usize,
    /// and how many of them are around the first that hides.
    hidden_beyond: Option<usize>,
    rules: Rules,
    sheet: String,
    media: String,
    sheets_left: usize,
    /// White space since the last word.
    has_blank: bool,
    /// The same of words that are hidden.
    has_hidden_blank: bool,
}

impl State {
    fn start(&mut self, tag: &Tag<'_>) {
        let name = &*tag.name;
        self.end_before(name, tag.is_block);
        if name == "style" {
            self.media = tag.attribute("media").unwrap_or_default().to_owned();
        }
        let element = self.element(tag);
        self.has_hidden_blank |= element.is_block;
        if !element.is_hidden {
            if self.seen.tags.len() < MAX_TAGS && (tag.is_block || OF_A_LAYOUT.contains(&name)) {
                self.seen.tags.push(xxh3_64(name.as_bytes()) as u32);
            }
            self.seen.has_picture |= name == "img"
                && tag.attribute("src").is_some_and(|source| !source.trim_start().starts_with("data:"))
                && !["height", "width"].iter().any(|side| tag.attribute(side).is_some_and(is_nothing));
            match name {
                "td" | "th" => self.has_blank = true,
                _ if element.is_block => self.new_line(),
                _ => {}
            }
        }
        // In a drawing what has no content says so.
        if VOID.contains(&name) || (tag.is_self_closing && self.open.iter().any(|open| open.wall == Wall::Foreign)) {
            return;
        }
        if self.open.len() < MAX_OPEN {
            self.open.push(element);
        } else {
            if element.is_hidden && self.hidden_beyond.is_none() {
                self.hidden_beyond = Some(self.beyond);
            }
            self.beyond += 1;
        }
    }

    /// Ends the elements that nobody ends: a row ends where the next one begins, in spite of its cells.
    fn end_before(&mut self, name: &str, is_block: bool) {
        if let Some(at) = self.open.iter().position(|open| open.wall == Wall::Foreign)
            && html::ends_foreign(name)
        {
            self.close(at);
        }
        let ends = match name {
            "tr" => Wall::Row,
            "td" | "th" => Wall::Cell,
            "tbody" | "thead" | "tfoot" | "br" | "caption" | "col" | "colgroup" => return,
            _ if is_block => {
                self.end_paragraph();
                if SIBLINGS.contains(&name) && self.open.last().is_some_and(|open| *open.name == *name) {
                    self.close(self.open.len() - 1);
                }
                return;
            }
            _ => return,
        };
        let floor = self.floor(name);
        let inner = self.open.get(floor..).unwrap_or_default();
        if let Some(at) = inner.iter().position(|open| open.wall == ends) {
            self.close(floor + at);
        }
    }

    /// Where a block begins the paragraph around it ends, but not the letters of another kind in it.
    fn end_paragraph(&mut self) {
        let inner = self.open.iter().rposition(|open| !matches!(open.wall, Wall::None | Wall::Row));
        let Some(at) = inner.filter(|at| self.open[*at].wall == Wall::Paragraph) else { return };
        let within = self.open.split_off(at);
        self.close(at);
        for open in within.into_iter().skip(1).filter(|open| FORMATTING.contains(&&*open.name)) {
            let again = Open::within(self.open.last(), &open.name, open.style, false);
            self.open.push(again);
        }
    }

    fn close(&mut self, at: usize) {
        self.open.truncate(at);
        (self.beyond, self.hidden_beyond) = (0, None);
    }

    /// Elements below this one are not ended by what stands in the innermost table, or in its innermost cell.
    fn floor(&self, name: &str) -> usize {
        let is_wall: fn(&Open) -> bool = match name {
            "table" | "body" | "html" => return 0,
            "tr" | "td" | "th" | "tbody" | "thead" | "tfoot" => |open| open.wall == Wall::Table,
            _ => |open| matches!(open.wall, Wall::Table | Wall::Cell),
        };
        let wall = self.open.iter().rposition(is_wall);
        match wall {
            Some(at) if *self.open[at].name == *name => at,
            wall => wall.map_or(0, |at| at + 1),
        }
    }

    /// An element with what it inherits.
    fn element(&self, tag: &Tag<'_>) -> Open {
        let name = &*tag.name;
        // What attributes other than `style` say goes behind all rules.
        let mut style = Style::default();
        let mut own = Declarations::default();
        let (mut classes, mut identity) = ("", "");
        let mut is_quotation = false;
        for attribute in &tag.attributes {
            let value = &*attribute.value;
            match &*attribute.name {
                "style" => own = Declarations::of(value),
                "class" => classes = value,
                "id" => identity = value,
                "hidden" => style.display = Some(Display::None),
                "type" if name == "input" && value.eq_ignore_ascii_case("hidden") => {
                    own.important.display = Some(Display::None);
                }
                "type" => is_quotation |= name == "blockquote" && value.eq_ignore_ascii_case("cite"),
                // `<font size>` is never nothing.
                "size" if name == "font" => style.is_tiny = Some(false),
                "color" | "text" => style.colour = colour::paint(value).or(style.colour),
                "bgcolor" if style.background.is_none() => style.background = colour::paint(value),
                "background" => style.background = Some(Paint::Unknown),
                _ => {}
            }
        }
        let classes = classes.split_ascii_whitespace().take(MAX_CLASSES);
        is_quotation |= classes.clone().any(|class| QUOTATIONS.contains(&class));
        self.rules.apply(&mut style, name, classes, identity, &own);
        Open::within(self.open.last(), &LocalName::from(&*tag.name), style, is_quotation)
    }

    fn end(&mut self, tag: &Tag<'_>) {
        let name = &*tag.name;
        if self.beyond > 0 && !VOID.contains(&name) {
            self.beyond -= 1;
            self.hidden_beyond = self.hidden_beyond.filter(|hidden| *hidden < self.beyond);
            return;
        }
        let floor = self.floor(name);
        let inner = self.open.get(floor..).unwrap_or_default();
        let Some(at) = inner.iter().rposition(|open| *open.name == *tag.name).map(|at| floor + at) else {
            self.seen.faults =
                self.seen.faults.saturating_add(u32::from(!matches!(name, "p" | "br" | "body" | "html")));
            return;
        };
        if name == "style" {
            let sheet = std::mem::take(&mut self.sheet);
            self.rules.add(&sheet, &self.media);
        }
        let is_line = self.open.get(at).is_some_and(|open| !open.is_hidden && open.is_block);
        if is_line && !matches!(name, "td" | "th") {
            self.new_line();
        }
        self.close(at);
    }

    fn characters(&mut self, characters: &str) {
        let inner = self.open.last();
        if inner.is_some_and(|open| &*open.name == "style") {
            let room = characters.floor_char_boundary(self.sheets_left.min(characters.len()));
            self.sheet.push_str(characters.get(..room).unwrap_or_default());
            self.sheets_left -= room;
            return;
        }
        if inner.is_some_and(Open::is_unseen) || self.hidden_beyond.is_some() {
            if !inner.is_some_and(|open| open.is_foreign) {
                self.hide(characters);
            }
            return;
        }
        self.has_hidden_blank = true;
        let is_preformatted = inner.is_some_and(|open| open.is_preformatted);
        let is_quotation = inner.is_some_and(|open| open.is_quotation);
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

/// A side of a picture that nobody sees.
fn is_nothing(side: &str) -> bool {
    matches!(side.trim().trim_end_matches("px"), "0" | "1")
}
