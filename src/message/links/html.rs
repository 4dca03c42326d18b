//! HTML: the links in its attributes, and its text.

use std::cell::{Cell, RefCell};

use html5ever::tokenizer::{Tag, TagKind, Token};

use super::collector::Collector;
use super::reference;
use super::text::{self, Bare};
use crate::message::html::{self, Document};

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

/// Reads a document or what is left of one.
pub(super) fn scan(html: &str, found: &mut Collector) {
    scan_within(html, Comments::Read, found);
}

/// Whether comments with a condition are read: some programs show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comments {
    Read,
    Skip,
}

fn scan_within(html: &str, comments: Comments, found: &mut Collector) {
    let sink = Sink { found: RefCell::new(found), text: RefCell::default(), text_is: Cell::new(Bare::Link), comments };
    let is_whole = html::read(html, &sink);
    sink.flush();
    if !is_whole {
        sink.found.borrow_mut().cut();
    } else if let Some(open) = html.rfind('<').and_then(|open| html.get(open..)).filter(|tag| !tag.contains('>')) {
        // A browser drops a tag that does not end; a program that adds text behind the message closes it.
        sink.read(open, Bare::Code);
    }
}

/// Takes what the tokenizer tells.
struct Sink<'f> {
    found: RefCell<&'f mut Collector>,
    /// Text since the last tag that breaks it.
    text: RefCell<String>,
    /// What that text is: scripts and style sheets are code.
    text_is: Cell<Bare>,
    comments: Comments,
}

impl Document for Sink<'_> {
    fn is_full(&self) -> bool {
        self.found.borrow().is_full()
    }

    fn surplus(&self, text: &str) {
        self.read(text, Bare::Code);
    }

    fn token(&self, token: Token) {
        match token {
            Token::TagToken(tag) => self.tag(&tag),
            Token::CharacterTokens(characters) => {
                let mut text = self.text.borrow_mut();
                text.push_str(&characters);
                if text.len() > MAX_TEXT {
                    let piece = std::mem::take(&mut *text);
                    drop(text);
                    self.read(&piece, self.text_is.get());
                }
            }
            Token::CommentToken(comment) if self.comments == Comments::Read && comment.starts_with("[if") => {
                self.flush();
                scan_within(&comment, Comments::Skip, &mut self.found.borrow_mut());
            }
            Token::CommentToken(_)
            | Token::DoctypeToken(_)
            | Token::NullCharacterToken
            | Token::EOFToken
            | Token::ParseError(_) => {}
        }
    }
}

impl Sink<'_> {
    fn read(&self, text: &str, bare: Bare) {
        text::scan(text, bare, &mut self.found.borrow_mut());
    }

    /// Reads the text so far.
    fn flush(&self) {
        let text = std::mem::take(&mut *self.text.borrow_mut());
        if !text.is_empty() {
            self.read(&text, self.text_is.get());
        }
    }

    fn tag(&self, tag: &Tag) {
        let name = &*tag.name;
        if html::is_block(name) || matches!(name, "a" | "img" | "script" | "style") {
            self.flush();
        }
        if tag.kind == TagKind::EndTag {
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

    fn attributes(&self, tag: &Tag) {
        let mut found = self.found.borrow_mut();
        for attribute in &tag.attrs {
            let value = &*attribute.value;
            match &*attribute.name.local {
                name if LINKS.contains(&name) => reference::attribute(value, &mut found),
                "srcset" => {
                    for candidate in value.split(',').filter_map(|candidate| candidate.split_whitespace().next()) {
                        reference::attribute(candidate, &mut found);
                    }
                }
                "style" => text::scan(value, Bare::Code, &mut found),
                "content" if &*tag.name == "meta" => refresh(value, &mut found),
                _ => {}
            }
        }
    }
}

/// The target of `<meta http-equiv="refresh" content="0;url=...">`.
fn refresh(content: &str, found: &mut Collector) {
    let start = content.as_bytes().windows(4).position(|window| window.eq_ignore_ascii_case(b"url="));
    if let Some(target) = start.and_then(|start| content.get(start + 4..)) {
        reference::attribute(target.trim_matches(['"', '\'', ' ']), found);
    }
}
