//! Colours, as far as text can hide in them.

use crate::message::html::in_lower_case;

/// Red, green, blue.
pub(super) type Colour = [u8; 3];

/// What something is painted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Known(Colour),
    /// With nothing.
    Clear,
    /// A picture, or what cannot be read here.
    Unknown,
}

/// From here on a paint is as good as opaque; what is less than the other is as good as none.
const OPAQUE: f32 = 0.95;
const CLEAR: f32 = 0.05;

/// The value of an attribute that names a colour, which is none of CSS: what is neither a name nor six digits is some
/// other colour.
pub(super) fn of_attribute(value: &str) -> Option<Paint> {
    let value = in_lower_case(value.trim());
    let is_number = |text: &str| text.bytes().all(|octet| octet.is_ascii_hexdigit());
    match value.strip_prefix('#') {
        _ if matches!(&*value, "" | "transparent") => None,
        Some(digits) if matches!(digits.len(), 3 | 6) && is_number(digits) => paint(&value),
        None if value.len() == 6 && is_number(&value) => paint(&format!("#{value}")),
        None => Some(named(&value).map_or(Paint::Unknown, Paint::Known)),
        Some(_) => Some(Paint::Unknown),
    }
}

/// The value of `color` or `background-color`; `None` if it says nothing.
pub(super) fn paint(value: &str) -> Option<Paint> {
    let value = in_lower_case(value.trim());
    if let Some(inside) = value.strip_prefix("rgb") {
        let inside = inside.strip_prefix('a').unwrap_or(inside);
        let inside = inside.strip_prefix('(').and_then(|inside| inside.strip_suffix(')'));
        return Some(inside.map_or(Paint::Unknown, by_parts));
    }
    match &*value {
        "" | "inherit" | "initial" | "unset" | "currentcolor" => None,
        "transparent" => Some(Paint::Clear),
        value => Some(colour(value).map_or(Paint::Unknown, Paint::Known)),
    }
}

/// The value of `background`: a colour, a picture, or both.
pub(super) fn background(value: &str) -> Option<Paint> {
    let mut found = None;
    for component in components(value) {
        let is_picture = component.contains("url(") || component.contains("gradient(") || component.contains("image");
        match paint(component) {
            _ if is_picture => return Some(Paint::Unknown),
            Some(Paint::Unknown) if !component.contains('(') && !component.starts_with('#') => {}
            other => found = other.or(found),
        }
    }
    // A word that is none of ours may be the name of a colour.
    let words = ["none", "repeat", "no-repeat", "repeat-x", "repeat-y", "scroll", "fixed", "inherit", "initial", "0"];
    let is_known = |word: &str| words.contains(&word.to_ascii_lowercase().as_str());
    match value.trim() {
        "none" | "0" => Some(Paint::Clear),
        word if found.is_none()
            && !word.is_empty()
            && word.bytes().all(|octet| octet.is_ascii_alphabetic())
            && !is_known(word) =>
        {
            Some(Paint::Unknown)
        }
        _ => found,
    }
}

/// What stands between blanks that are not in parentheses.
fn components(value: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    value
        .split(move |c: char| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth <= 0 && c.is_ascii_whitespace()
        })
        .filter(|component| !component.is_empty())
}

/// `1, 2, 3 / 40%`.
fn by_parts(inside: &str) -> Paint {
    let mut parts = inside.split([',', ' ', '/']).filter(|part| !part.is_empty());
    let mut part = |whole: f32| {
        let part = parts.next()?.trim();
        match part.strip_suffix('%') {
            Some(percent) => percent.parse::<f32>().ok().map(|percent| percent * whole / 100.0),
            None => part.parse::<f32>().ok(),
        }
    };
    let octet = |value: f32| value.clamp(0.0, 255.0) as u8;
    match (part(255.0), part(255.0), part(255.0), part(1.0)) {
        (Some(_), Some(_), Some(_), Some(alpha)) if alpha <= CLEAR => Paint::Clear,
        (Some(_), Some(_), Some(_), Some(alpha)) if alpha < OPAQUE => Paint::Unknown,
        (Some(red), Some(green), Some(blue), _) => Paint::Known([octet(red), octet(green), octet(blue)]),
        _ => Paint::Unknown,
    }
}

/// A colour by number or by one of the names in use. Digits without a sign before them are a colour for some
/// programs; of those that may be seen through nobody knows what is seen.
fn colour(value: &str) -> Option<Colour> {
    let Some(digits) = value.strip_prefix('#') else { return named(value) };
    let mut nibbles = [0_u8; 8];
    let mut count = 0;
    for c in digits.chars() {
        *nibbles.get_mut(count)? = c.to_digit(16)? as u8;
        count += 1;
    }
    match *nibbles.get(..count)? {
        [r, g, b] | [r, g, b, 15] => Some([r * 17, g * 17, b * 17]),
        [a, b, c, d, e, f] | [a, b, c, d, e, f, 15, 15] => Some([a << 4 | b, c << 4 | d, e << 4 | f]),
        _ => None,
    }
}

fn named(value: &str) -> Option<Colour> {
    match value {
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
        "maroon" => Some([128, 0, 0]),
        "purple" => Some([128, 0, 128]),
        "teal" => Some([0, 128, 128]),
        "olive" => Some([128, 128, 0]),
        "orange" => Some([255, 165, 0]),
        "lightgray" | "lightgrey" => Some([211; 3]),
        _ => None,
    }
}

/// True if nobody can tell the one from the other.
pub(super) fn is_same(ours: Colour, theirs: Colour) -> bool {
    ours.iter().zip(theirs).all(|(ours, theirs)| ours.abs_diff(theirs) <= 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours() {
        let known = |colour| Some(Paint::Known(colour));
        for (value, expected) in [
            ("#fff", known([255; 3])),
            ("#FFFFFF", known([255; 3])),
            ("ffffff", Some(Paint::Unknown)),
            ("#ffff", known([255; 3])),
            ("#fff0", Some(Paint::Unknown)),
            ("#ffffff00", Some(Paint::Unknown)),
            ("rgb255,255,255", Some(Paint::Unknown)),
            ("white", known([255; 3])),
            ("rgb(255, 0,1)", known([255, 0, 1])),
            ("rgb(100% 0 1)", known([255, 0, 1])),
            ("rgba(1,2,3,1)", known([1, 2, 3])),
            ("rgba(1,2,3,0.5)", Some(Paint::Unknown)),
            ("rgba(1,2,3,0)", Some(Paint::Clear)),
            ("rgb(1 2 3 / 0%)", Some(Paint::Clear)),
            ("#ff", Some(Paint::Unknown)),
            ("peachpuff", Some(Paint::Unknown)),
            ("transparent", Some(Paint::Clear)),
            ("inherit", None),
            ("", None),
            ("#\u{e4}\u{e4}\u{e4}", Some(Paint::Unknown)),
        ] {
            assert_eq!(paint(value), expected, "{value}");
        }
    }

    #[test]
    fn colours_of_attributes() {
        for (value, expected) in [
            ("#fff", Some(Paint::Known([255; 3]))),
            ("FFFFFF", Some(Paint::Known([255; 3]))),
            ("White", Some(Paint::Known([255; 3]))),
            ("fff", Some(Paint::Unknown)),
            ("#ffff", Some(Paint::Unknown)),
            ("rgb(255,255,255)", Some(Paint::Unknown)),
            ("transparent", None),
            ("", None),
        ] {
            assert_eq!(of_attribute(value), expected, "{value}");
        }
    }

    #[test]
    fn backgrounds() {
        for (value, expected) in [
            ("rgb(0, 0, 0)", Some(Paint::Known([0; 3]))),
            ("#000 no-repeat", Some(Paint::Known([0; 3]))),
            ("url(x.png) #000", Some(Paint::Unknown)),
            ("linear-gradient(to right, #fff, #000)", Some(Paint::Unknown)),
            ("peachpuff", Some(Paint::Unknown)),
            ("none", Some(Paint::Clear)),
            ("transparent", Some(Paint::Clear)),
            ("no-repeat", None),
            ("", None),
        ] {
            assert_eq!(background(value), expected, "{value}");
        }
    }
}
