//! As much of declarations as hides text, or shows it.

use super::colour::{self, Paint};
use crate::message::html::in_lower_case;

/// How an element takes part in the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Display {
    None,
    Inline,
    Block,
    /// Whatever the element is.
    Other,
}

/// What declarations say, the last of each property; `None` where they say nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) display: Option<Display>,
    /// Elements within may say otherwise.
    pub(super) is_invisible: Option<bool>,
    /// Its letters are too small to be seen, or are not; elements within may say otherwise.
    pub(super) is_tiny: Option<bool>,
    pub(super) colour: Option<Paint>,
    pub(super) background: Option<Paint>,
    is_clear: Option<bool>,
    /// It stands where `left`, `top` and `right` say.
    is_positioned: Option<bool>,
    /// These are far off the page: `left`, `top`, `right`.
    is_far: [Option<bool>; 3],
    /// The same of `text-indent` and margins, for which it need not be positioned.
    is_indented: [Option<bool>; 3],
    is_clipped: Option<bool>,
    /// It has no `height`, `max-height`, `width`, `max-width`.
    has_no_size: [Option<bool>; 4],
}

/// Declarations, and those of them that go before all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Declarations {
    pub(super) usual: Style,
    pub(super) important: Style,
}

impl Declarations {
    /// Reads the value of a `style` attribute, or the inside of a rule.
    pub(super) fn of(text: &str) -> Self {
        let mut declarations = Self::default();
        for declaration in text.split(';') {
            let Some((name, value)) = declaration.split_once(':') else { continue };
            let (name, value) = (in_lower_case(name.trim()), in_lower_case(value.trim()));
            match value.strip_suffix("important").and_then(|value| value.trim_end().strip_suffix('!')) {
                Some(value) => declarations.important.declare(&name, value.trim_end()),
                None => declarations.usual.declare(&name, &value),
            }
        }
        declarations
    }

    pub(super) fn add(&mut self, later: &Self) {
        self.usual.add(&later.usual);
        self.important.add(&later.important);
    }

    /// What is left of it where it is not certain that it applies: what shows, not what hides.
    pub(super) fn in_doubt(&self) -> Self {
        Self { usual: self.usual.in_doubt(), important: self.important.in_doubt() }
    }
}

impl Style {
    fn declare(&mut self, name: &str, value: &str) {
        let is_nothing = || length(value).map(|size| size <= 1.0).or(Some(false));
        let is_far = || Some(length(value).is_some_and(|offset| offset <= -500.0));
        match name {
            "display" => {
                self.display = Some(match value {
                    "none" => Display::None,
                    "inline" | "inline-block" | "contents" => Display::Inline,
                    "block" | "flex" | "grid" | "list-item" | "flow-root" | "table" => Display::Block,
                    _ => Display::Other,
                });
            }
            "visibility" => self.is_invisible = Some(matches!(value, "hidden" | "collapse")),
            "font-size" => self.is_tiny = absolute(value).map(|size| size <= 1.0).or(self.is_tiny),
            "font" => {
                let size = value.split(['/', ' ']).find_map(absolute);
                self.is_tiny = size.map(|size| size <= 1.0).or(self.is_tiny);
            }
            "opacity" => self.is_clear = Some(value.parse().is_ok_and(|opacity: f32| opacity <= 0.05)),
            "position" => self.is_positioned = Some(matches!(value, "absolute" | "fixed")),
            "left" => self.is_far[0] = is_far(),
            "top" => self.is_far[1] = is_far(),
            "right" => self.is_far[2] = is_far(),
            "text-indent" => self.is_indented[0] = is_far(),
            "margin-left" => self.is_indented[1] = is_far(),
            "margin-top" => self.is_indented[2] = is_far(),
            "overflow" => self.is_clipped = Some(matches!(value, "hidden" | "clip")),
            "height" => self.has_no_size[0] = is_nothing(),
            "max-height" => self.has_no_size[1] = is_nothing(),
            "width" => self.has_no_size[2] = is_nothing(),
            "max-width" => self.has_no_size[3] = is_nothing(),
            "color" => self.colour = colour::paint(value).or(self.colour),
            "background-color" => self.background = colour::paint(value).or(self.background),
            "background" => self.background = colour::background(value).or(self.background),
            "background-image" if value != "none" => self.background = Some(Paint::Unknown),
            _ => {}
        }
    }

    /// Puts later declarations over these.
    pub(super) fn add(&mut self, later: &Self) {
        fn over<T: Copy>(ours: &mut Option<T>, later: Option<T>) {
            *ours = later.or(*ours);
        }
        over(&mut self.display, later.display);
        over(&mut self.is_invisible, later.is_invisible);
        over(&mut self.is_tiny, later.is_tiny);
        over(&mut self.colour, later.colour);
        over(&mut self.background, later.background);
        over(&mut self.is_clear, later.is_clear);
        over(&mut self.is_positioned, later.is_positioned);
        over(&mut self.is_clipped, later.is_clipped);
        self.is_far.iter_mut().zip(later.is_far).for_each(|(ours, later)| over(ours, later));
        self.is_indented.iter_mut().zip(later.is_indented).for_each(|(ours, later)| over(ours, later));
        self.has_no_size.iter_mut().zip(later.has_no_size).for_each(|(ours, later)| over(ours, later));
    }

    fn in_doubt(&self) -> Self {
        let shows = |says: Option<bool>| says.filter(|hides| !hides);
        Self {
            display: self.display.filter(|display| *display != Display::None),
            is_invisible: shows(self.is_invisible),
            is_tiny: shows(self.is_tiny),
            colour: self.colour.map(|_| Paint::Unknown),
            background: self.background.map(|_| Paint::Unknown),
            is_clear: shows(self.is_clear),
            is_positioned: shows(self.is_positioned),
            is_far: self.is_far.map(shows),
            is_indented: self.is_indented.map(shows),
            is_clipped: shows(self.is_clipped),
            has_no_size: self.has_no_size.map(shows),
        }
    }

    /// True if the element is not seen, and nothing within it. Only a box of its own has a size.
    pub(super) fn hides(&self, is_box: bool) -> bool {
        let yes = |says: &Option<bool>| *says == Some(true);
        let is_positioned = yes(&self.is_positioned);
        self.display == Some(Display::None)
            || yes(&self.is_clear)
            || (is_positioned && self.is_far.iter().any(yes))
            || self.is_indented.iter().any(yes)
            || ((is_box || is_positioned) && yes(&self.is_clipped) && self.has_no_size.iter().any(yes))
    }
}

/// A size of letters that is not one of those around them.
fn absolute(value: &str) -> Option<f32> {
    let is_relative = value.ends_with('%') || value.ends_with("em");
    match length(value) {
        Some(size) => (!is_relative || size == 0.0).then_some(size),
        None => value.ends_with("large").then_some(18.0).or((value == "medium").then_some(16.0)),
    }
}

/// A length, in whatever unit; percentages and words are none.
fn length(value: &str) -> Option<f32> {
    let end = value.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(value.len());
    let (number, unit) = value.split_at(end);
    let number: f32 = number.parse().ok()?;
    match unit.trim() {
        "" | "px" | "pt" | "mm" | "q" => Some(number),
        "em" | "rem" | "cm" | "in" | "pc" | "ch" | "ex" => Some(number * 12.0),
        // Nothing is nothing in any unit.
        _ if number == 0.0 => Some(0.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_unseen(declarations: &str, is_box: bool) -> bool {
        let Declarations { mut usual, important } = Declarations::of(declarations);
        usual.add(&important);
        usual.hides(is_box) || usual.is_tiny == Some(true) || usual.is_invisible == Some(true)
    }

    #[test]
    fn what_hides_text() {
        for hiding in [
            "display:none",
            "DISPLAY : None !important",
            "display:none!important;display:block",
            "color:red; display:none",
            "visibility:hidden",
            "font-size:0",
            "font-size:0px",
            "font-size: 1px",
            "font-size:0.0em",
            "font:0/0 a",
            "opacity:0",
            "position:absolute;left:-9999px",
            "text-indent:-100em",
            "max-height:0;overflow:hidden",
            "width:0px; height:0px; overflow:hidden",
        ] {
            assert!(is_unseen(hiding, true), "{hiding}");
        }
        for showing in [
            "",
            "display:block",
            "display:none;display:block",
            "visibility:hidden;visibility:visible",
            "opacity:0;opacity:1",
            "text-indent:-9999px;text-indent:0",
            "left:-9999px",
            "position:relative;top:-9999px",
            "mso-hide:all",
            "font-size:12px",
            "font:bold 12px/1 arial",
            "height:0",
            "left:10px",
            "opacity:1",
            "width:100%",
            ";;:",
            "color:",
        ] {
            assert!(!is_unseen(showing, true), "{showing}");
        }
        assert!(!is_unseen("width:0;overflow:hidden", false));
        assert!(is_unseen("width:0;overflow:hidden;position:absolute", false));
    }
}
