//! HTML: the links in its attributes, and its text.
//!
//! Only the tokenizer is used: entities are decoded as a browser does it, and no tree is built. What a tree
//! builder would tell it, that a script or a style sheet begins, is told here.

use std::cell::{Cell, RefCell};

use html5ever::TokenizerResult;
use html5ever::buffer_queue::BufferQueue;
use html5ever::tokenizer::states::{Rawtext, Rcdata, ScriptData};
use html5ever::tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};

use super::collector::Collector;
use super::reference;
use super::text::{self, Bare};

/// Octets that the tokenizer is fed at once.
const BITE: usize = 2048;
/// What may separate attributes, between two tokens. The tokenizer compares each attribute of a tag with all
/// before it, so a tag with a hundred thousand would keep it busy for minutes.
const MAX_SEPARATORS: usize = 1_000;
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

/// Elements within a line: their tags do not end a word.
const INLINE: [&str; 24] = [
    "abbr", "acronym", "b", "bdi", "bdo", "big", "code", "del", "em", "font", "i", "ins", "kbd", "mark", "s", "small",
    "span", "strike", "strong", "sub", "sup", "tt", "u", "wbr",
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
    let sink = Sink {
        found: RefCell::new(found),
        text: RefCell::default(),
        text_is: Cell::new(Bare::Link),
        tokens: Cell::new(0),
        comments,
    };
    let mut tokenizer = Tokenizer::new(&sink, TokenizerOpts::default());
    let (mut at, mut separators, mut quiet_since) = (0, 0, 0);
    while at < html.len() && !sink.found.borrow().is_full() {
        let end = html.floor_char_boundary(at + BITE);
        let bite = html.get(at..end).unwrap_or_default();
        let tokens = sink.tokens.get();
        feed(&tokenizer, bite);
        if sink.tokens.get() != tokens {
            (separators, quiet_since) = (0, at);
        }
        at = end;
        separators += bite.bytes().filter(|octet| b" \t\r\n\x0c/\"'".contains(octet)).count();
        if separators > MAX_SEPARATORS && sink.tokens.get() == tokens {
            // No tag that a program writes. It is read as text, and the document goes on behind it.
            tokenizer = Tokenizer::new(&sink, TokenizerOpts::default());
            sink.read(html.get(quiet_since..end).unwrap_or_default(), Bare::Code);
            sink.text_is.set(Bare::Link);
            (separators, quiet_since) = (0, end);
        }
    }
    tokenizer.end();
    sink.flush();
    if at < html.len() {
        sink.found.borrow_mut().cut();
    } else if let Some(open) = html.rfind('<').and_then(|open| html.get(open..)).filter(|tag| !tag.contains('>')) {
        // A browser drops a tag that does not end; a program that adds text behind the message closes it.
        sink.read(open, Bare::Code);
    }
}

fn feed(tokenizer: &Tokenizer<&Sink<'_>>, text: &str) {
    let queue = BufferQueue::default();
    queue.push_back(text.into());
    // The tokenizer pauses where a browser would run a script.
    while !matches!(tokenizer.feed(&queue), TokenizerResult::Done) {}
}

/// What the tokenizer tells.
struct Sink<'f> {
    found: RefCell<&'f mut Collector>,
    /// Text since the last tag that breaks it.
    text: RefCell<String>,
    /// What that text is: scripts and style sheets are code.
    text_is: Cell<Bare>,
    tokens: Cell<usize>,
    comments: Comments,
}

impl TokenSink for &Sink<'_> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        // Errors within a tag are not its end.
        if !matches!(token, Token::ParseError(_)) {
            self.tokens.set(self.tokens.get() + 1);
        }
        match token {
            Token::TagToken(tag) => return self.tag(&tag),
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
        TokenSinkResult::Continue
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

    fn tag(&self, tag: &Tag) -> TokenSinkResult<()> {
        let name = &*tag.name;
        if !INLINE.contains(&name) {
            self.flush();
        }
        if tag.kind == TagKind::EndTag {
            if matches!(name, "script" | "style") {
                self.text_is.set(Bare::Link);
            }
            return TokenSinkResult::Continue;
        }
        self.attributes(tag);
        if matches!(name, "script" | "style") {
            self.text_is.set(Bare::Code);
        }
        match name {
            "script" => TokenSinkResult::RawData(ScriptData),
            "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(Rawtext),
            "title" | "textarea" => TokenSinkResult::RawData(Rcdata),
            "plaintext" => TokenSinkResult::Plaintext,
            _ => TokenSinkResult::Continue,
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
