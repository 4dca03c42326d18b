//! What is counted of HTML.

use super::HtmlFacts;
use crate::message::html::{Tag, Token};
use crate::message::text::is_pixel;

impl HtmlFacts {
    /// Counts a token.
    pub(super) fn token(&mut self, token: Token<'_>) {
        match token {
            Token::Tag(tag) if !tag.is_end => self.tag(tag),
            Token::Comment(_) => self.comments = self.comments.saturating_add(1),
            _ => {}
        }
    }

    fn tag(&mut self, tag: &Tag<'_>) {
        let one = |count: &mut u32| *count = count.saturating_add(1);
        one(&mut self.tags);
        match &*tag.name {
            "img" | "image" => self.picture(tag),
            "form" => one(&mut self.forms),
            "input" => match tag.attribute("type").map(str::to_ascii_lowercase).as_deref() {
                Some("password") => one(&mut self.password_fields),
                Some("hidden" | "submit" | "button" | "image" | "reset" | "checkbox" | "radio") => {}
                _ => one(&mut self.input_fields),
            },
            "textarea" | "select" => one(&mut self.input_fields),
            "script" => one(&mut self.scripts),
            "iframe" | "frame" | "object" | "embed" | "applet" => one(&mut self.frames),
            "base" if tag.attribute("href").is_some() => one(&mut self.refreshes),
            "meta" if tag.attribute("http-equiv").is_some_and(|what| what.trim().eq_ignore_ascii_case("refresh")) => {
                one(&mut self.refreshes);
            }
            _ => {}
        }
        let runs =
            |name: &str| name.len() > 4 && name.starts_with("on") && name.bytes().all(|b| b.is_ascii_lowercase());
        if tag.attributes.iter().any(|attribute| runs(&attribute.name)) {
            one(&mut self.scripts);
        }
    }

    fn picture(&mut self, tag: &Tag<'_>) {
        let source = tag.attribute("src").unwrap_or_default().trim_start().to_ascii_lowercase();
        if source.starts_with("cid:") || source.starts_with("data:") {
            self.own_pictures = self.own_pictures.saturating_add(1);
        } else if !source.is_empty() {
            self.remote_pictures = self.remote_pictures.saturating_add(1);
        }
        if is_pixel(tag) {
            self.pixels = self.pixels.saturating_add(1);
        }
    }
}
