//! What is seen of HTML: its text without what is hidden, with lines where blocks begin and end.
//!
//! No layout is made. An element is hidden if its own style, one of its classes, or an element around it says
//! so, or if its text has the colour of what is behind it.

use std::cell::RefCell;

use html5ever::LocalName;
use html5ever::tokenizer::{Tag, TagKind, Token};
use xxhash_rust::xxh3::xxh3_64;

use super::MAX_TAGS;
use super::css::{self, Colour, Style};
use crate::message::html::{self, Document, INLINE};

/// Elements within each other that are told apart.
const MAX_OPEN: usize = 256;

/// Classes of one element.
const MAX_CLASSES: usize = 20;

/// Elements without content.
const VOID: [&str; 16] = [
    "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "link", "meta",
    "source", "track", "wbr",
];
/// Elements whose content is not shown.
const UNSEEN: [&str; 9] = ["iframe", "noembed", "noframes", "script", "style", "template", "textarea", "title", "xml"];
/// Elements that end where the next of their kind begins.
const SIBLINGS: [&str; 5] = ["dd", "dt", "li", "option", "p"];

/// The text that is seen, at most about `room` octets of it. Appends the tags that begin something to `tags`.
pub(super) fn seen(html: &str, room: usize, tags: &mut Vec<u32>) -> String {
    let page = Page(RefCell::new(State {
        text: String::new(),
        room,
        tags,
        open: Vec::new(),
        hidden: Vec::new(),
        sheet: String::new(),
        has_blank: false,
    }));
    html::read(html, &page);
    page.0.into_inner().text
}

struct Page<'t>(RefCell<State<'t>>);

impl Document for Page<'_> {
    fn is_full(&self) -> bool {
        let state = self.0.borrow();
        state.text.len() >= state.room
    }

    fn broken(&self, _text: &str) {}

    fn token(&self, token: Token) {
        let mut state = self.0.borrow_mut();
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => state.start(&tag),
            Token::TagToken(tag) => state.end(&tag),
            Token::CharacterTokens(text) => state.characters(&text),
            _ => {}
        }
    }
}

/// An element that is open.
#[derive(Clone, Debug)]
struct Open {
    name: LocalName,
    is_hidden: bool,
    /// Its letters are too small.
    is_tiny: bool,
    /// White space within is kept.
    is_preformatted: bool,
    colour: Colour,
    /// `None` if it is a picture, of which nobody knows the colour.
    background: Option<Colour>,
}

/// Around everything: black on white.
const PAGE: (Colour, Colour) = ([0; 3], [255; 3]);

struct State<'t> {
    text: String,
    room: usize,
    tags: &'t mut Vec<u32>,
    open: Vec<Open>,
    /// Classes whose text a style sheet hides.
    hidden: Vec<(String, Style)>,
    sheet: String,
    /// White space since the last word.
    has_blank: bool,
}

impl State<'_> {
    fn start(&mut self, tag: &Tag) {
        let name = &*tag.name;
        self.end_before(name);
        let element = self.element(tag);
        if !element.is_hidden {
            if self.tags.len() < MAX_TAGS && !INLINE.contains(&name) {
                self.tags.push(xxh3_64(name.as_bytes()) as u32);
            }
            match name {
                "td" | "th" => self.has_blank = true,
                name if !INLINE.contains(&name) && !matches!(name, "a" | "img") => self.new_line(),
                _ => {}
            }
        }
        if !VOID.contains(&name) && self.open.len() < MAX_OPEN {
            self.open.push(element);
        }
    }

    /// Ends the elements that nobody ends: a row ends where the next one begins, in spite of its cells.
    fn end_before(&mut self, name: &str) {
        let ends: &[&str] = match name {
            "tr" => &["tr"],
            "td" | "th" => &["td", "th"],
            name if SIBLINGS.contains(&name) => match self.open.last() {
                Some(open) if *open.name == *name => return self.open.truncate(self.open.len() - 1),
                _ => return,
            },
            _ => return,
        };
        let floor = self.floor(name);
        let inner = self.open.get(floor..).unwrap_or_default();
        if let Some(at) = inner.iter().position(|open| ends.contains(&&*open.name)) {
            self.open.truncate(floor + at);
        }
    }

    /// Elements below this one are not ended by what stands in the innermost table, or in its innermost cell.
    fn floor(&self, name: &str) -> usize {
        let walls: &[&str] = match name {
            "table" | "body" | "html" => &[],
            "tr" | "td" | "th" | "tbody" | "thead" | "tfoot" => &["table"],
            _ => &["table", "td", "th"],
        };
        self.open.iter().rposition(|open| walls.contains(&&*open.name)).map_or(0, |at| at + 1)
    }

    /// An element with what it inherits.
    fn element(&self, tag: &Tag) -> Open {
        let around = self.open.last();
        let (colour, background) = around.map_or((PAGE.0, Some(PAGE.1)), |open| (open.colour, open.background));
        let mut element = Open {
            name: tag.name.clone(),
            is_hidden: around.is_some_and(|open| open.is_hidden) || UNSEEN.contains(&&*tag.name),
            is_tiny: around.is_some_and(|open| open.is_tiny),
            is_preformatted: around.is_some_and(|open| open.is_preformatted)
                || matches!(&*tag.name, "pre" | "xmp" | "plaintext" | "listing"),
            colour,
            background,
        };
        let mut style = Style::default();
        for attribute in &tag.attrs {
            let value = &*attribute.value;
            match &*attribute.name.local {
                "style" => style = Style::of(value),
                "hidden" => element.is_hidden = true,
                "class" => {
                    for class in value.split_ascii_whitespace().take(MAX_CLASSES) {
                        for (_, style) in self.hidden.iter().filter(|(name, _)| name == class) {
                            element.is_hidden |= style.hides;
                            element.is_tiny = style.is_tiny.unwrap_or(element.is_tiny);
                        }
                    }
                }
                // `<font size>` is never nothing.
                "size" if &*tag.name == "font" => element.is_tiny = false,
                "color" | "text" => element.colour = css::colour(value).unwrap_or(element.colour),
                "bgcolor" => element.background = css::colour(value).or(element.background),
                "background" => element.background = None,
                _ => {}
            }
        }
        element.is_hidden |= style.hides;
        element.is_tiny = style.is_tiny.unwrap_or(element.is_tiny);
        element.colour = style.colour.unwrap_or(element.colour);
        element.background = style.background.or(element.background);
        element
    }

    fn end(&mut self, tag: &Tag) {
        let name = &*tag.name;
        let floor = self.floor(name);
        let inner = self.open.get(floor..).unwrap_or_default();
        let Some(at) = inner.iter().rposition(|open| open.name == tag.name).map(|at| floor + at) else { return };
        if name == "style" {
            css::hidden_classes(&std::mem::take(&mut self.sheet), &mut self.hidden);
        }
        let was_hidden = self.open.get(at).is_some_and(|open| open.is_hidden);
        self.open.truncate(at);
        if !was_hidden && !INLINE.contains(&name) && !matches!(name, "a" | "td" | "th") {
            self.new_line();
        }
    }

    fn characters(&mut self, characters: &str) {
        let inner = self.open.last();
        if inner.is_some_and(|open| &*open.name == "style") {
            if self.sheet.len() < css::MAX_SHEET {
                self.sheet.push_str(characters);
            }
            return;
        }
        let is_unseen = |open: &Open| {
            open.is_hidden || open.is_tiny || open.background.is_some_and(|behind| css::is_same(open.colour, behind))
        };
        if inner.is_some_and(is_unseen) {
            return;
        }
        if inner.is_some_and(|open| open.is_preformatted) {
            self.text.push_str(characters);
            return;
        }
        for character in characters.chars() {
            if character.is_ascii_whitespace() || character == '\u{a0}' {
                self.has_blank = true;
                continue;
            }
            if std::mem::take(&mut self.has_blank) && !self.text.is_empty() && !self.text.ends_with('\n') {
                self.text.push(' ');
            }
            self.text.push(character);
        }
    }

    fn new_line(&mut self) {
        self.has_blank = false;
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }
}
