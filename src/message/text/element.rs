//! One element: what its attributes say of how it is shown, what browsers say where nobody says anything, and the text
//! that it is shown as without having any.

use html5ever::LocalName;

use super::colour::{self, Paint};
use super::css::{Declarations, Display, Style};
use super::html::{Open, State, Wall};
use super::nesting::Begins;
use crate::message::html::Tag;

/// Classes of one element.
const MAX_CLASSES: usize = 20;

/// Classes that mail programs give to what they quote.
const QUOTATIONS: [&str; 6] =
    ["gmail_quote", "gmail_extra", "yahoo_quoted", "moz-cite-prefix", "protonmail_quote", "zmail_extra"];

impl State {
    /// An element with what it inherits.
    pub(super) fn element(&self, tag: &Tag<'_>, begins: Begins) -> Open {
        let name = &*tag.name;
        // What attributes other than `style` say goes behind all rules.
        let mut style = self.usual_style(tag);
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
                "color" if name == "font" => style.colour = colour::of_attribute(value).or(style.colour),
                "text" if name == "body" => style.colour = colour::of_attribute(value).or(style.colour),
                "bgcolor" if style.background.is_none() => {
                    let painted =
                        matches!(name, "body" | "table" | "tbody" | "thead" | "tfoot" | "tr" | "td" | "th" | "marquee");
                    style.background = if painted { colour::of_attribute(value) } else { Some(Paint::Unknown) };
                }
                "background" => style.background = Some(Paint::Unknown),
                _ => {}
            }
        }
        let classes = classes.split_ascii_whitespace();
        is_quotation |= classes.clone().take(MAX_CLASSES).any(|class| QUOTATIONS.contains(&class));
        self.rules.apply(&mut style, name, classes, identity, &own);
        if begins != Begins::Element {
            style = style.in_doubt();
        }
        let mut element = Open::within(self.around(name), &LocalName::from(&*tag.name), style, is_quotation);
        // Only within a table there are rows and cells, and none in a drawing.
        let is_foreign = self.open.iter().any(|open| open.wall == Wall::Foreign);
        if begins != Begins::Element || (is_foreign && element.wall != Wall::Foreign) {
            element.wall = Wall::None;
        }
        element
    }

    /// What browsers say of an element of which nobody says anything.
    fn usual_style(&self, tag: &Tag<'_>) -> Style {
        let mut style = Style::default();
        match &*tag.name {
            // In pages without a document type tables do not inherit the size of letters, nor their colour but of the
            // body.
            "table" => {
                style.is_tiny = Some(false);
                let around = self.around("").map_or(Some([0; 3]), |open| open.colour);
                style.colour = (around != self.body_colour).then_some(Paint::Unknown);
            }
            "button" | "input" | "keygen" | "select" | "textarea" => {
                style.is_tiny = Some(false);
                (style.colour, style.background) = (Some(Paint::Unknown), Some(Paint::Unknown));
            }
            "mark" => (style.colour, style.background) = (Some(Paint::Unknown), Some(Paint::Unknown)),
            "a" if tag.attribute("href").is_some() => style.colour = Some(Paint::Unknown),
            _ => {}
        }
        style
    }
}

/// A picture that nobody sees: a side of it is one pixel or none, by its attributes or its style.
pub(in crate::message) fn is_pixel(tag: &Tag<'_>) -> bool {
    let is_side = |name: &str| ["height", "width"].iter().any(|side| name.trim().eq_ignore_ascii_case(side));
    let is_nothing = |side: &str| matches!(side.trim().trim_end_matches("px").trim_end(), "0" | "1");
    let by_attribute = ["height", "width"].iter().any(|side| tag.attribute(side).is_some_and(is_nothing));
    let of_style = |style: &str| {
        let mut sides = style.split(';').filter_map(|one| one.split_once(':')).filter(|(name, _)| is_side(name));
        sides.any(|(_, value)| is_nothing(value.trim().trim_end_matches("!important")))
    };
    by_attribute || tag.attribute("style").is_some_and(of_style)
}

/// The text that an element without content is shown as: of a picture in its place, of a field to type in.
pub(super) fn text_of<'t>(tag: &'t Tag<'_>) -> Option<&'t str> {
    let text = match &*tag.name {
        "img" | "image" if !is_pixel(tag) => tag.attribute("alt"),
        "input" => match &*tag.attribute("type").unwrap_or_default().to_ascii_lowercase() {
            "hidden" | "checkbox" | "radio" | "password" | "file" | "range" | "color" => None,
            "image" => tag.attribute("alt"),
            _ => tag.attribute("value").or_else(|| tag.attribute("placeholder")),
        },
        _ => None,
    };
    text.filter(|text| !text.trim().is_empty())
}
