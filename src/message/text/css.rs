//! As much of style sheets as hides text.

/// Octets of a style sheet that are read.
pub(super) const MAX_SHEET: usize = 64 * 1024;
/// Names of classes that hide, at most.
const MAX_CLASSES: usize = 200;

/// A colour: red, green, blue.
pub(super) type Colour = [u8; 3];

/// What a list of declarations does to the text within.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    /// The element and all within it.
    pub(super) hides: bool,
    /// Its letters are too small to be seen, or are not; elements within may say otherwise.
    pub(super) is_tiny: Option<bool>,
    pub(super) colour: Option<Colour>,
    pub(super) background: Option<Colour>,
}

impl Style {
    /// Reads the value of a `style` attribute, or the inside of a rule.
    pub(super) fn of(declarations: &str) -> Self {
        let mut style = Self::default();
        let (mut is_clipped, mut has_no_size) = (false, false);
        for declaration in declarations.split(';') {
            let Some((name, value)) = declaration.split_once(':') else { continue };
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_ascii_lowercase());
            let value = value.trim_end_matches("!important").trim_end();
            match name.as_str() {
                "display" => style.hides = value == "none",
                "visibility" => style.hides |= matches!(value, "hidden" | "collapse"),
                "mso-hide" => style.hides |= value == "all",
                "font-size" => style.is_tiny = absolute(value).map(|size| size <= 1.0).or(style.is_tiny),
                "opacity" => style.hides |= value.parse().is_ok_and(|opacity: f32| opacity <= 0.05),
                "text-indent" | "left" | "top" | "margin-left" | "margin-top" | "right" => {
                    style.hides |= length(value).is_some_and(|offset| offset <= -500.0);
                }
                "overflow" => is_clipped = matches!(value, "hidden" | "clip"),
                "height" | "max-height" | "width" | "max-width" => {
                    has_no_size |= length(value).is_some_and(|size| size <= 1.0);
                }
                "color" => style.colour = colour(value).or(style.colour),
                "background" | "background-color" => {
                    style.background = value.split_ascii_whitespace().find_map(colour).or(style.background);
                }
                _ => {}
            }
        }
        style.hides |= is_clipped && has_no_size;
        style
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

/// A colour by number or by one of the names in use.
pub(super) fn colour(value: &str) -> Option<Colour> {
    let value = value.trim();
    if let Some(inside) = value.strip_prefix("rgb") {
        let mut parts =
            inside.trim_start_matches(['a', '(']).split([',', ' ', '/', ')']).filter(|part| !part.is_empty());
        let mut part = || parts.next()?.trim().parse::<f32>().ok().map(|part| part.clamp(0.0, 255.0) as u8);
        return Some([part()?, part()?, part()?]);
    }
    let digits = value.strip_prefix('#').unwrap_or(value);
    let nibbles: Option<Vec<u8>> = digits.chars().take(8).map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    if let Some(nibbles) = nibbles {
        return match *nibbles.as_slice() {
            [r, g, b] | [r, g, b, _] => Some([r * 17, g * 17, b * 17]),
            [a, b, c, d, e, f] | [a, b, c, d, e, f, _, _] => Some([a << 4 | b, c << 4 | d, e << 4 | f]),
            _ => None,
        };
    }
    match value.to_ascii_lowercase().as_str() {
        "white" => Some([255; 3]),
        "black" => Some([0; 3]),
        "snow" | "ivory" | "floralwhite" | "ghostwhite" | "whitesmoke" | "mintcream" | "azure" => Some([250; 3]),
        "red" => Some([255, 0, 0]),
        "green" => Some([0, 128, 0]),
        "blue" => Some([0, 0, 255]),
        "yellow" => Some([255, 255, 0]),
        "gray" | "grey" => Some([128; 3]),
        "silver" => Some([192; 3]),
        "navy" => Some([0, 0, 128]),
        _ => None,
    }
}

/// True if nobody can tell the one from the other.
pub(super) fn is_same(ours: Colour, theirs: Colour) -> bool {
    ours.iter().zip(theirs).all(|(ours, theirs)| ours.abs_diff(theirs) <= 8)
}

/// Adds the classes whose text a style sheet hides to `hidden`. Rules for some screens only do not count.
pub(super) fn hidden_classes(sheet: &str, hidden: &mut Vec<(String, Style)>) {
    let sheet = sheet.get(..sheet.floor_char_boundary(MAX_SHEET)).unwrap_or(sheet);
    let mut rest = sheet;
    while let Some((selectors, after)) = rest.split_once('{') {
        if selectors.contains('@') {
            // A block of rules: on to where it ends.
            let mut depth = 1;
            let end = after.char_indices().find_map(|(at, c)| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                (depth == 0).then_some(at + 1)
            });
            rest = end.and_then(|end| after.get(end..)).unwrap_or_default();
            continue;
        }
        let (declarations, after) = after.split_once('}').unwrap_or((after, ""));
        rest = after;
        let style = Style::of(declarations);
        if !style.hides && style.is_tiny != Some(true) {
            continue;
        }
        for selector in selectors.split(',') {
            let selector = selector.trim();
            if let Some((_, class)) = selector.rsplit_once('.')
                && hidden.len() < MAX_CLASSES
                && !selector.contains([':', ' ', '>', '['])
            {
                hidden.push((class.to_owned(), style));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_text() {
        for hiding in [
            "display:none",
            "DISPLAY : None !important",
            "color:red; display:none",
            "visibility:hidden",
            "mso-hide:all",
            "font-size:0",
            "font-size:0px",
            "font-size: 1px",
            "font-size:0.0em",
            "opacity:0",
            "position:absolute;left:-9999px",
            "text-indent:-100em",
            "max-height:0;overflow:hidden",
            "width:0px; height:0px; overflow:hidden",
        ] {
            let style = Style::of(hiding);
            assert!(style.hides || style.is_tiny == Some(true), "{hiding}");
        }
        for showing in
            ["", "display:block", "font-size:12px", "height:0", "left:10px", "opacity:1", "width:100%", ";;:", "color:"]
        {
            let style = Style::of(showing);
            assert!(!style.hides && style.is_tiny != Some(true), "{showing}");
        }
    }

    #[test]
    fn colours() {
        for (value, expected) in [
            ("#fff", Some([255; 3])),
            ("#FFFFFF", Some([255; 3])),
            ("ffffff", Some([255; 3])),
            ("white", Some([255; 3])),
            ("rgb(255, 0,1)", Some([255, 0, 1])),
            ("rgba(1,2,3,0.5)", Some([1, 2, 3])),
            ("#ff", None),
            ("transparent", None),
            ("", None),
            ("#\u{e4}\u{e4}\u{e4}", None),
        ] {
            assert_eq!(colour(value), expected, "{value}");
        }
    }

    #[test]
    fn classes_that_hide() {
        let mut hidden = Vec::new();
        let sheet = ".a{color:red} .b, p.c {display:none} @media screen { .d {display:none} .e{} } .f{font-size:0} .g";
        hidden_classes(sheet, &mut hidden);
        let names: Vec<&str> = hidden.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b", "c", "f"]);
    }
}
