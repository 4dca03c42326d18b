//! Which writing systems a text is in.

pub(super) use super::Script;

/// The script of a letter; `None` if it is none, or of all.
pub(in crate::message) fn of(character: char) -> Option<Script> {
    if character.is_ascii() {
        return character.is_ascii_alphabetic().then_some(Script::Latin);
    }
    if !character.is_alphabetic() {
        return None;
    }
    let script = match u32::from(character) {
        0xaa | 0xba | 0xc0..=0x24f | 0x1e00..=0x1eff | 0x2c60..=0x2c7f | 0xa720..=0xa7ff | 0xff21..=0xff5a => {
            Script::Latin
        }
        0x250..=0x2ff => Script::Latin,
        0x370..=0x3ff | 0x1f00..=0x1fff => Script::Greek,
        0x400..=0x52f | 0x1c80..=0x1c8f | 0x2de0..=0x2dff | 0xa640..=0xa69f => Script::Cyrillic,
        0x590..=0x5ff | 0xfb1d..=0xfb4f => Script::Hebrew,
        0x600..=0x6ff | 0x750..=0x77f | 0x8a0..=0x8ff | 0xfb50..=0xfdff | 0xfe70..=0xfeff => Script::Arabic,
        0x900..=0x97f | 0xa8e0..=0xa8ff => Script::Devanagari,
        0xe00..=0xe7f => Script::Thai,
        0x1100..=0x11ff | 0x3130..=0x318f | 0xa960..=0xa97f | 0xac00..=0xd7ff => Script::Hangul,
        0x3040..=0x30ff | 0x31f0..=0x31ff | 0xff66..=0xff9f => Script::Kana,
        0x2e80..=0x2fdf | 0x3005..=0x3007 | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x323af => {
            Script::Han
        }
        _ => Script::Other,
    };
    Some(script)
}

/// Letters of each script, the most frequent first.
pub(super) fn count(text: &str) -> Vec<(Script, u32)> {
    let mut counts: Vec<(Script, u32)> = Vec::new();
    let mut latin = 0_u32;
    let (ascii, other) = if text.is_ascii() { (text, "") } else { ("", text) };
    for octet in ascii.bytes() {
        // No text is so long, and without a check many are counted at once.
        latin = latin.wrapping_add(u32::from(octet.is_ascii_alphabetic()));
    }
    for character in other.chars() {
        match of(character) {
            Some(Script::Latin) => latin += 1,
            Some(script) => match counts.iter_mut().find(|(known, _)| *known == script) {
                Some((_, count)) => *count += 1,
                None => counts.push((script, 1)),
            },
            None => {}
        }
    }
    if latin > 0 {
        counts.push((Script::Latin, latin));
    }
    counts.sort_by_key(|(script, count)| (u32::MAX - count, *script));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_counted_by_script() {
        for (text, expected) in [
            ("", &[][..]),
            ("12, 3!", &[]),
            ("abc \u{e4}", &[(Script::Latin, 4)]),
            ("a \u{43f}\u{440}\u{438}", &[(Script::Cyrillic, 3), (Script::Latin, 1)]),
            ("\u{4e2d}\u{6587}\u{3042}", &[(Script::Han, 2), (Script::Kana, 1)]),
            (
                "\u{d55c}\u{5d0}\u{627}\u{915}\u{e01}\u{3b1}\u{531}",
                &[
                    (Script::Greek, 1),
                    (Script::Hebrew, 1),
                    (Script::Arabic, 1),
                    (Script::Devanagari, 1),
                    (Script::Thai, 1),
                    (Script::Hangul, 1),
                    (Script::Other, 1),
                ],
            ),
        ] {
            assert_eq!(count(text), expected, "{text}");
        }
    }
}
