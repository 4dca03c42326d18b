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
    /// Something else gives it a size: `padding`, `min-height`, `min-width`.
    has_room: Option<bool>,
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
        for declaration in split(text) {
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
        let is_nothing = || Some(length(value).is_some_and(|size| (0.0..=1.0).contains(&size)));
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
            "font-size" => self.is_tiny = is_tiny(value).or(self.is_tiny),
            "font" => self.is_tiny = is_tiny_font(value).or(self.is_tiny),
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
            "min-height" | "min-width" => self.has_room = Some(length(value) != Some(0.0)).or(self.has_room),
            _ if name.starts_with("padding") && !value.split(' ').all(|one| length(one) == Some(0.0)) => {
                self.has_room = Some(true);
            }
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
        over(&mut self.has_room, later.has_room);
        self.is_far.iter_mut().zip(later.is_far).for_each(|(ours, later)| over(ours, later));
        self.is_indented.iter_mut().zip(later.is_indented).for_each(|(ours, later)| over(ours, later));
        self.has_no_size.iter_mut().zip(later.has_no_size).for_each(|(ours, later)| over(ours, later));
    }

    /// What is left of it where it is not certain that it applies.
    pub(super) fn in_doubt(&self) -> Self {
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
            has_room: self.has_room.filter(|has_room| *has_room),
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
            || ((is_box || is_positioned)
                && yes(&self.is_clipped)
                && self.has_no_size.iter().any(yes)
                && !yes(&self.has_room))
    }
}

/// The declarations of a text. What stands in quotation marks, in parentheses and in comments ends none.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let (mut depth, mut quote, mut is_escaped, mut last) = (0_u32, None, false, ' ');
    let mut is_comment = false;
    text.split(move |c: char| {
        let before = std::mem::replace(&mut last, c);
        match (c, quote) {
            _ if is_comment => {
                is_comment = !(before == '*' && c == '/');
                if !is_comment {
                    last = ' ';
                }
            }
            _ if std::mem::take(&mut is_escaped) => {}
            ('\\', _) => is_escaped = true,
            (c, Some(open)) if c == open || c == '\n' => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(c),
            ('*', None) if before == '/' => (is_comment, last) = (true, ' '),
            ('(' | '[' | '{', None) => depth += 1,
            (')' | ']' | '}', None) => depth = depth.saturating_sub(1),
            (';', None) => return depth == 0,
            _ => {}
        }
        false
    })
}

/// Whether letters of this size are not seen; `None` where it depends on those around them, or where nothing is said.
fn is_tiny(value: &str) -> Option<bool> {
    let is_relative = value.ends_with('%') || (value.ends_with("em") && !value.ends_with("rem"));
    match length(value) {
        Some(size) if size < 0.0 => None,
        Some(size) if is_relative && size > 0.0 => None,
        Some(size) => Some(size <= 1.0),
        // Some programs take a number for pixels: it shows, or it says nothing.
        None => match value.parse::<f32>() {
            Ok(number) if number <= 1.0 => None,
            Ok(_) => Some(false),
            Err(_) => {
                let depends = matches!(value, "" | "inherit" | "unset" | "smaller" | "larger" | "revert");
                (!depends && !value.ends_with('%')).then_some(false)
            }
        },
    }
}

/// The same of `font`, in which a family follows the size.
fn is_tiny_font(value: &str) -> Option<bool> {
    if matches!(value, "" | "inherit" | "unset") {
        return None;
    }
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    let (family, others) = words.split_last()?;
    let mut sizes = others.iter().flat_map(|word| word.split('/')).filter_map(length).peekable();
    let is_whole = sizes.peek().is_some() && length(family).is_none();
    let is_seen = others.iter().any(|word| word.contains('(')) || sizes.any(|size| !(0.0..=1.0).contains(&size));
    if is_seen {
        return Some(false);
    }
    // Words like `small`, or nothing that can be read.
    Some(is_whole)
}

/// A length with its unit, as CSS has it; percentages other than none, and words, are no lengths.
fn length(value: &str) -> Option<f32> {
    let end = value.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(value.len());
    let (number, unit) = value.split_at(end);
    let number: f32 = number.parse().ok()?;
    match unit {
        "px" | "pt" | "mm" | "q" => Some(number),
        "em" | "rem" | "cm" | "in" | "pc" | "ch" | "ex" => Some(number * 12.0),
        // Nothing is nothing without a unit, too.
        "" | "%" | "vw" | "vh" if number == 0.0 => Some(0.0),
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
            "content:'a;b'; display:none",
            "font-family:'x;y';font-size:0px",
            "padding:0;max-height:0;overflow:hidden",
            "max-height:0;overflow:hidden",
            "width:0px; height:0px; overflow:hidden",
        ] {
            assert!(is_unseen(hiding, true), "{hiding}");
        }
        for showing in [
            "",
            "display:block",
            "display:none;display:block",
            "background:url(x;display:none;y)",
            "content:';display:none;'",
            "a:b/*;display:none;*/",
            "a:b\\;display:none",
            "font-size:16px;font-size:-1px",
            "font-size:1",
            "font-size:0;font-size:12",
            "font-size:16px;font-size:0foo",
            "font-size:16px;font-size:0 px",
            "font-size:0;font-size:calc(16px)",
            "font-size:0;font-size:1rem",
            "font-size:0;font-size:small",
            "font:1",
            "font:12px a;font:0",
            "text-indent:-999",
            "height:100px;height:-1px;overflow:hidden",
            "height:0;overflow:hidden;padding-bottom:50px",
            "max-height:0;min-height:50px;overflow:hidden",
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
