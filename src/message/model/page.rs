//! One HTML document, tokenized once for all that want to know of it.

use std::cell::{Cell, RefCell};

use super::HtmlFacts;
use crate::message::html::{self, Document, Token};
use crate::message::links;
use crate::message::text::{self, Seen};

/// Reads a document: its links, where they are of interest yet; its text, at most about `room` octets; what is
/// counted of it.
pub(super) fn read(html: &str, links: Option<&mut links::Collector>, room: usize, facts: &mut HtmlFacts) -> Seen {
    let page = Page {
        links: links.map(links::Sink::new),
        has_links: Cell::new(true),
        text: text::Page::new(room),
        has_text: Cell::new(true),
        facts: RefCell::new(facts),
    };
    page.text.foresee(html);
    let is_whole = html::read(html, &page);
    if let Some(links) = &page.links {
        links.end(html, is_whole && page.has_links.get());
    }
    let seen = page.text.into_seen();
    facts.octets = facts.octets.saturating_add(html.len());
    facts.faults = facts.faults.saturating_add(seen.faults);
    seen
}

/// Tells each of its readers of the tokens until that one is full.
struct Page<'f> {
    links: Option<links::Sink<'f>>,
    has_links: Cell<bool>,
    text: text::Page,
    has_text: Cell<bool>,
    facts: RefCell<&'f mut HtmlFacts>,
}

impl<'f> Page<'f> {
    fn links(&self) -> Option<&links::Sink<'f>> {
        self.links.as_ref().filter(|_| self.has_links.get())
    }
}

impl Document for Page<'_> {
    fn is_full(&self) -> bool {
        if self.links().is_none_or(Document::is_full) {
            self.has_links.set(false);
        }
        if self.text.is_full() {
            self.has_text.set(false);
        }
        !self.has_links.get() && !self.has_text.get()
    }

    fn surplus(&self, text: &str) {
        if let Some(links) = self.links() {
            links.surplus(text);
        }
    }

    fn token(&self, token: Token<'_>) {
        self.facts.borrow_mut().token(token);
        if self.has_text.get() {
            self.text.token(token);
        }
        if let Some(links) = self.links() {
            links.token(token);
            if let Token::Text(characters) = token
                && !self.text.is_unseen()
            {
                links.seen(characters);
            }
        }
    }
}
