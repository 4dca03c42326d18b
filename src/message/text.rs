//! The text that a person sees of a message, and what its HTML is built of.
//!
//! Of alternatives the one counts that mail programs show: the HTML, where there is text in it. What is hidden
//! in it does not count ([`html`]). Attachments and what stands between the parts are not seen.
//!
//! Everything here is bounded and runs in time proportional to the octets looked at. A panic within ends the
//! reading and keeps what was read.

mod css;
mod html;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Message;
use super::parts::{self, Choice, Form, Place, Reader};

/// Octets of text that are kept.
pub const MAX_TEXT: usize = 256 * 1024;
/// Tags that are kept.
pub const MAX_TAGS: usize = 4096;

/// What a person sees of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The text, in lines.
    pub shown: String,
    /// The text that other programs show in its place: the plain alternative of HTML, empty if there is none.
    pub other: String,
    /// The names of the tags of HTML that begin something, hashed, in order.
    pub tags: Vec<u32>,
    /// True if the bounds left something out.
    pub truncated: bool,
}

impl Text {
    /// Reads a message, as far as it is in memory.
    pub fn of(message: &Message) -> Self {
        let mut collector = Collector::default();
        let reading = catch_unwind(AssertUnwindSafe(|| parts::read(message, &mut collector)));
        let mut text = collector.into_text();
        text.truncated |= reading.is_err();
        text
    }
}

/// Texts side by side: one of them is shown.
#[derive(Default)]
struct Alternatives {
    plain: String,
    html: String,
}

/// What is read so far.
#[derive(Default)]
struct Collector {
    text: Text,
    /// For each multipart that is open its alternatives, if it is made of such.
    open: Vec<Option<Alternatives>>,
    /// Octets kept, wherever.
    kept: usize,
}

impl Reader for Collector {
    fn is_full(&self) -> bool {
        self.kept >= MAX_TEXT
    }

    fn cut(&mut self) {
        self.text.truncated = true;
    }

    fn text(&mut self, text: &str, form: Form, place: Place) {
        if place != Place::Shown {
            return;
        }
        let room = MAX_TEXT - self.kept.min(MAX_TEXT);
        let mut seen = match form {
            Form::Plain => text.to_owned(),
            Form::Html => html::seen(text, room, &mut self.text.tags),
        };
        if seen.len() > room {
            seen.truncate(seen.floor_char_boundary(room));
            self.text.truncated = true;
        }
        self.kept += seen.len();
        let alternatives = self.open.iter_mut().rev().flatten().next();
        add(
            match (alternatives, form) {
                (None, _) => &mut self.text.shown,
                (Some(alternatives), Form::Plain) => &mut alternatives.plain,
                (Some(alternatives), Form::Html) => &mut alternatives.html,
            },
            &seen,
        );
    }

    fn begin(&mut self, choice: Choice) {
        self.open.push((choice == Choice::One).then(Alternatives::default));
    }

    fn end(&mut self) {
        if let Some(Some(alternatives)) = self.open.pop() {
            self.choose(alternatives);
        }
    }
}

impl Collector {
    fn choose(&mut self, alternatives: Alternatives) {
        let Alternatives { plain, html } = alternatives;
        let (shown, other) = if html.trim().is_empty() { (plain, html) } else { (html, plain) };
        // Alternatives within an alternative are its text.
        match self.open.iter_mut().rev().flatten().next() {
            Some(outer) => add(&mut outer.html, &shown),
            None => add(&mut self.text.shown, &shown),
        }
        add(&mut self.text.other, &other);
    }

    fn into_text(mut self) -> Text {
        // A panic left some of them open.
        while let Some(open) = self.open.pop() {
            if let Some(alternatives) = open {
                self.choose(alternatives);
            }
        }
        self.text
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
