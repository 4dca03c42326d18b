//! HTML: the links in its attributes, and its text.

use std::cell::{Cell, RefCell};

use super::collector::Collector;
use super::reference;
use super::text::{self, Bare};
use crate::message::html::{self, Document, Tag, Token};
use crate::message::model::Origin;

/// Text between two tags that break it; beyond it is read in pieces.
const MAX_TEXT: usize = 64 * 1024;

/// Attributes that hold a link, whatever their element.
const LINKS: [&str; 11] = [
    "href",
    "src",
    "action",
    "background",
    "poster",
    "xlink:href",
    "formaction",
    "data",
    "lowsrc",
    "dynsrc",
    "longdesc",
];

/// Octets of the text that a link is shown as.
const MAX_SHOWN: usize = 512;

/// Whether comments with a condition are read: some programs show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comments {
    Read,
    Skip,
}

fn scan_comment(html: &str, found: &mut Collector) {
    let sink = Sink::within(Comments::Skip, found);
    let is_whole = html::read(html, &sink);
    sink.end(html, is_whole);
}

/// Takes what the tokenizer tells.
pub(in crate::message) struct Sink<'f> {
    found: RefCell<&'f mut Collector>,
    /// Text since the last tag that breaks it.
    text: RefCell<String>,
    /// What that text is: scripts and style sheets are code.
    text_is: Cell<Bare>,
    comments: Comments,
    /// The link that is open, and the text that it is shown as.
    anchor: RefCell<Option<Anchor>>,
}

struct Anchor {
    link: Option<usize>,
    shown: String,
}

impl Document for Sink<'_> {
    fn is_full(&self) -> bool {
        self.found.borrow().is_full()
    }

    fn surplus(&self, text: &str) {
        self.read(text, Bare::Code);
    }

    fn token(&self, token: Token<'_>) {
        match token {
            Token::Tag(tag) => self.tag(tag),
            Token::Text(characters) => {
                let mut text = self.text.borrow_mut();
                text.push_str(characters);
                if text.len() > MAX_TEXT {
                    let piece = std::mem::take(&mut *text);
                    drop(text);
                    self.read(&piece, self.text_is.get());
                }
            }
            Token::Comment(comment) if self.comments == Comments::Read && comment.starts_with("[if") => {
                self.flush();
                scan_comment(comment, &mut self.found.borrow_mut());
            }
            Token::Comment(_) => {}
        }
    }
}

impl<'f> Sink<'f> {
    /// Of a document, or of what is left of one.
    pub(in crate::message) fn new(found: &'f mut Collector) -> Self {
        found.begin_page();
        Self::within(Comments::Read, found)
    }

    fn within(comments: Comments, found: &'f mut Collector) -> Self {
        Self {
            found: RefCell::new(found),
            text: RefCell::default(),
            text_is: Cell::new(Bare::Link),
            comments,
            anchor: RefCell::default(),
        }
    }

    /// Text that is seen: what a link is shown as.
    pub(in crate::message) fn seen(&self, text: &str) {
        if let Some(anchor) = &mut *self.anchor.borrow_mut()
            && anchor.shown.len() < MAX_SHOWN
        {
            anchor.shown.push_str(text.get(..text.floor_char_boundary(MAX_SHOWN)).unwrap_or(text));
        }
    }

    /// The end of a document, as far as it was read.
    pub(in crate::message) fn end(&self, html: &str, is_whole: bool) {
        self.flush();
        self.end_anchor();
        if !is_whole {
            self.found.borrow_mut().cut();
        } else if let Some(open) = html.rfind('<').and_then(|open| html.get(open..)).filter(|tag| !tag.contains('>')) {
            // A browser drops a tag that does not end; a program that adds text behind the message closes it.
            self.read(open, Bare::Code);
        }
        if self.comments == Comments::Read {
            self.found.borrow_mut().end_page();
        }
    }

    fn read(&self, text: &str, bare: Bare) {
        // What a link is shown as leads nowhere by itself.
        let origin = match bare {
            Bare::Code => Some(Origin::Other),
            Bare::Link => self.anchor.borrow().is_none().then_some(Origin::Text),
        };
        let mut found = self.found.borrow_mut();
        found.set_origin(origin);
        text::scan(text, bare, &mut found);
    }

    /// Reads the text so far.
    fn flush(&self) {
        let mut text = std::mem::take(&mut *self.text.borrow_mut());
        if !text.is_empty() {
            self.read(&text, self.text_is.get());
            text.clear();
            self.text.replace(text);
        }
    }

    fn end_anchor(&self) {
        if let Some(Anchor { link: Some(link), shown }) = self.anchor.take() {
            let shown: Vec<&str> = shown.split_whitespace().collect();
            self.found.borrow_mut().show(link, shown.join(" "));
        }
    }

    fn tag(&self, tag: &Tag<'_>) {
        let name = &*tag.name;
        if tag.is_block || matches!(name, "a" | "img" | "script" | "style") {
            self.flush();
        }
        if name == "a" {
            self.end_anchor();
        } else if tag.is_block {
            self.seen(" ");
        }
        if tag.is_end {
            if matches!(name, "script" | "style") {
                self.text_is.set(Bare::Link);
            }
            return;
        }
        self.attributes(tag);
        if matches!(name, "script" | "style") {
            self.text_is.set(Bare::Code);
        }
    }

    fn attributes(&self, tag: &Tag<'_>) {
        let mut found = self.found.borrow_mut();
        let element = &*tag.name;
        for attribute in &tag.attributes {
            let value = &*attribute.value;
            let name = &*attribute.name;
            match name {
                name if LINKS.contains(&name) => {
                    if element == "base" && name == "href" {
                        found.base(value);
                    }
                    let link = found.link(origin_of(element, name), value);
                    reference::attribute(value, &mut found);
                    if element == "a" && name == "href" {
                        *self.anchor.borrow_mut() = Some(Anchor { link, shown: String::new() });
                    }
                }
                "srcset" => {
                    for candidate in value.split(',').filter_map(|candidate| candidate.split_whitespace().next()) {
                        reference::attribute(candidate, &mut found);
                    }
                }
                "style" => {
                    found.set_origin(Some(Origin::Other));
                    text::scan(value, Bare::Code, &mut found);
                }
                "alt" if element == "img" => self.seen(value),
                "content" if element == "meta" => refresh(value, &mut found),
                _ => {}
            }
        }
    }
}

/// Where a link stands that is in an attribute.
fn origin_of(element: &str, attribute: &str) -> Option<Origin> {
    match (element, attribute) {
        ("a" | "area", "href" | "xlink:href") => Some(Origin::Anchor),
        ("form", "action") | (_, "formaction") => Some(Origin::Form),
        (_, "action" | "longdesc") => None,
        ("img" | "input" | "image", _) | (_, "background" | "poster" | "lowsrc" | "dynsrc") => Some(Origin::Picture),
        _ => Some(Origin::Other),
    }
}

/// The target of `<meta http-equiv="refresh" content="0;url=...">`.
fn refresh(content: &str, found: &mut Collector) {
    let start = content.as_bytes().windows(4).position(|window| window.eq_ignore_ascii_case(b"url="));
    if let Some(target) = start.and_then(|start| content.get(start + 4..)) {
        let target = target.trim_matches(['"', '\'', ' ']);
        found.link(Some(Origin::Other), target);
        reference::attribute(target, found);
    }
}
