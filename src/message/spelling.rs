//! Text as people read it, where it was spelt for filters: letters that nobody sees taken out, letters in other dress
//! as plain ones, letters of other alphabets as those that they pass for.
//!
//! Words are changed, and what stands between them is not. Whatever has no such letter costs one look at each of its
//! characters, and text in ASCII not even that. Accents are left alone: they are how honest words are spelt.

use icu_normalizer::ComposingNormalizerBorrowed;

use super::fold::{fold, is_invisible, is_mark};
use super::model::Script;
use super::model::scripts;

/// Fewer letters than that between soft hyphens are no syllable.
const SYLLABLE: u32 = 2;
/// Of a text that is Latin so many times as many letters are of ASCII as of the alphabets that pass for it.
const MOSTLY: usize = 4;

/// How a text is spelt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spelling {
    /// The text spelt plainly; `None` where it is already.
    pub plain: Option<String>,
    /// Characters within words that nobody sees.
    pub invisible: u32,
    /// Words of letters of several alphabets that look alike.
    pub mixed: u32,
}

/// What a character of a word is, and, put together, what a word consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kind(u8);

impl Kind {
    const LATIN: Self = Self(1);
    /// Greek or Cyrillic, many of whose letters pass for Latin, and letters of other alphabets that do.
    const LIKE: Self = Self(2);
    /// Letters of other alphabets, and figures.
    const OTHER: Self = Self(4);
    /// A letter or figure in another dress: wide, in a circle, of mathematics, a small capital.
    const DRESSED: Self = Self(8);
    const INVISIBLE: Self = Self(16);
    /// What is written above, below and through the letter before it.
    const MARK: Self = Self(32);

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if text with such characters may have to be spelt otherwise.
    fn is_of_interest(self) -> bool {
        self.has(Self::LIKE.and(Self::DRESSED).and(Self::INVISIBLE).and(Self::MARK))
    }

    fn is_letter(self) -> bool {
        self.has(Self::LATIN.and(Self::LIKE).and(Self::DRESSED))
    }
}

/// Reads a text.
pub fn read(text: &str) -> Spelling {
    // Not stopped at the first: so many octets are looked at at once.
    if text.bytes().fold(true, |all, octet| all & is_plain(octet))
        || !text.chars().filter_map(kind).any(Kind::is_of_interest)
    {
        return Spelling::default();
    }
    let mut reader = Reader { text, plain: String::new(), copied: 0, found: Spelling::default(), is_latin: None };
    let (mut start, mut kinds) = (None, Kind::default());
    for (at, character) in text.char_indices() {
        match (kind(character), start) {
            (Some(one), None) => (start, kinds) = (Some(at), one),
            (Some(one), Some(_)) => kinds = kinds.and(one),
            (None, Some(begun)) => {
                reader.word(begun, at, kinds);
                start = None;
            }
            (None, None) => {}
        }
    }
    if let Some(begun) = start {
        reader.word(begun, text.len(), kinds);
    }
    reader.into_spelling()
}

struct Reader<'t> {
    text: &'t str,
    plain: String,
    /// So many octets of the text are in `plain` already.
    copied: usize,
    found: Spelling,
    /// Whether most of the text is Latin; counted when it is first asked.
    is_latin: Option<bool>,
}

impl Reader<'_> {
    fn word(&mut self, start: usize, end: usize, kinds: Kind) {
        let word = self.text.get(start..end).unwrap_or_default();
        if !kinds.is_letter() || !kinds.is_of_interest() {
            return;
        }
        if kinds.has(Kind::INVISIBLE) {
            self.found.invisible = self.found.invisible.saturating_add(invisible_within(word));
        }
        let bare = undressed(word, kinds);
        let bare = bare.as_deref().unwrap_or(word);
        let meant = match alphabets(bare) {
            (true, true) => {
                self.found.mixed = self.found.mixed.saturating_add(u32::from(is_disguised(bare)));
                bare.chars().map(latin).collect()
            }
            (false, true) if bare.chars().all(is_double) && self.is_latin() => bare.chars().map(latin).collect(),
            _ => bare.to_owned(),
        };
        if meant != word {
            self.plain.push_str(self.text.get(self.copied..start).unwrap_or_default());
            self.plain.push_str(&meant);
            self.copied = end;
        }
    }

    fn is_latin(&mut self) -> bool {
        *self.is_latin.get_or_insert_with(|| {
            let ascii = self.text.bytes().filter(u8::is_ascii_alphabetic).count();
            let like = self.text.chars().filter(|one| kind(*one) == Some(Kind::LIKE)).count();
            ascii > like.saturating_mul(MOSTLY)
        })
    }

    fn into_spelling(mut self) -> Spelling {
        if self.copied > 0 {
            self.plain.push_str(self.text.get(self.copied..).unwrap_or_default());
            self.found.plain = Some(self.plain);
        }
        self.found
    }
}

/// True for what is printed in ASCII, and its white space.
fn is_plain(octet: u8) -> bool {
    (octet.is_ascii() & !octet.is_ascii_control()) | octet.is_ascii_whitespace() | (octet == 0x0b)
}

/// What a character is, if words consist of such.
fn kind(character: char) -> Option<Kind> {
    if character.is_ascii() {
        return match character {
            'a'..='z' | 'A'..='Z' => Some(Kind::LATIN),
            '0'..='9' => Some(Kind::OTHER),
            _ => is_invisible(character).then_some(Kind::INVISIBLE),
        };
    }
    match character {
        _ if is_invisible(character) => Some(Kind::INVISIBLE),
        _ if is_mark(character) => Some(Kind::MARK),
        _ if is_dressed(character) => Some(Kind::DRESSED),
        _ if !character.is_alphanumeric() => None,
        _ => Some(match scripts::of(character) {
            Some(Script::Latin) => Kind::LATIN,
            Some(Script::Greek | Script::Cyrillic) => Kind::LIKE,
            // Armenian, Cherokee, Coptic, Lisu, ...
            Some(Script::Other) if folds(character) => Kind::LIKE,
            _ => Kind::OTHER,
        }),
    }
}

fn is_dressed(character: char) -> bool {
    match character {
        // Letters of phonetics, raised, lowered, of the size of small ones.
        '\u{250}'..='\u{2b8}' | '\u{1d00}'..='\u{1dbf}' | '\u{2070}'..='\u{209c}' | '\u{a730}' | '\u{a731}'
        // Letters of mathematics and of trade; Roman figures; in circles.
        | '\u{2100}'..='\u{214f}' | '\u{2160}'..='\u{2188}' | '\u{24b6}'..='\u{24e9}' => character.is_alphanumeric(),
        '\u{249c}'..='\u{24b5}' | '\u{fb00}'..='\u{fb06}' => true,
        '\u{ff10}'..='\u{ff19}' | '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' => true,
        '\u{1d400}'..='\u{1d7ff}' | '\u{1f110}'..='\u{1f129}' | '\u{1f130}'..='\u{1f149}' => true,
        '\u{1f150}'..='\u{1f169}' | '\u{1f170}'..='\u{1f189}' => true,
        _ => false,
    }
}

/// Those characters of a word that stand between two of its letters and are not seen. A soft hyphen between syllables
/// is how long words are written.
fn invisible_within(word: &str) -> u32 {
    let (mut found, mut waiting, mut hyphens, mut run) = (0_u32, 0_u32, 0_u32, 0_u32);
    let mut has_begun = false;
    for character in word.chars() {
        match kind(character) {
            Some(Kind::INVISIBLE) if character == '\u{ad}' => hyphens += 1,
            Some(Kind::INVISIBLE) => waiting += 1,
            Some(one) if one.is_letter() => {
                if waiting + hyphens > 0 {
                    let counts = if has_begun { waiting + if run < SYLLABLE { hyphens } else { 0 } } else { 0 };
                    found = found.saturating_add(counts);
                    (waiting, hyphens, run) = (0, 0, 0);
                }
                has_begun = true;
                run += 1;
            }
            Some(Kind::MARK) => {}
            _ => (waiting, hyphens, run, has_begun) = (0, 0, 0, false),
        }
    }
    found
}

/// A word without what nobody sees, its letters in no other dress, and with no other marks than accents.
fn undressed(word: &str, kinds: Kind) -> Option<String> {
    if !kinds.has(Kind::DRESSED.and(Kind::INVISIBLE).and(Kind::MARK)) {
        return None;
    }
    let seen = word.chars().filter(|character| !is_invisible(*character));
    if !kinds.has(Kind::DRESSED.and(Kind::MARK)) {
        return Some(seen.collect());
    }
    let mut plain = String::with_capacity(word.len());
    for character in seen {
        match character {
            _ if !is_dressed(character) => plain.push(character),
            // The norm knows no letters in black circles and no small capitals; and it puts parentheses around some.
            '\u{249c}'..='\u{24b5}' | '\u{1f110}'..='\u{1f129}' | '\u{1f150}'..='\u{1f189}' => {
                plain.extend(fold(character))
            }
            '\u{250}'..='\u{2af}' | '\u{1d00}'..='\u{1d2b}' | '\u{a730}' | '\u{a731}' => {
                plain.push(fold(character).filter(char::is_ascii_alphabetic).unwrap_or(character));
            }
            _ => plain.extend(ComposingNormalizerBorrowed::new_nfkc().normalize_iter(std::iter::once(character))),
        }
    }
    let mut written = String::with_capacity(plain.len());
    for character in ComposingNormalizerBorrowed::new_nfc().normalize_iter(plain.chars()) {
        let is_on_letter = || written.chars().next_back().and_then(kind).is_some_and(Kind::is_letter);
        if !is_mark(character) || !is_on_letter() {
            written.push(character);
        }
    }
    Some(written)
}

/// Whether a word has Latin letters, and letters of alphabets that pass for it.
fn alphabets(word: &str) -> (bool, bool) {
    let kinds = word.chars().filter_map(kind).fold(Kind::default(), Kind::and);
    (kinds.has(Kind::LATIN), kinds.has(Kind::LIKE))
}

/// Whether letters of both stand in a word because one is to pass for the other: one that does stands between Latin
/// letters, or before several. Honest words have such letters at their end (`PDFка`, `TNFα`), and units (`kΩ`).
fn is_disguised(word: &str) -> bool {
    let (mut begins, mut latin, mut is_between) = (None, 0, false);
    for character in word.chars() {
        match kind(character) {
            Some(Kind::LATIN) => {
                latin += 1;
                if is_between || (begins == Some(true) && latin > 1) {
                    return true;
                }
            }
            Some(Kind::LIKE) if latin > 0 => is_between |= folds(character),
            Some(Kind::LIKE) => begins = Some(begins != Some(false) && is_double(character)),
            _ => {}
        }
    }
    false
}

/// Whether a character stands for a Latin letter.
fn folds(character: char) -> bool {
    fold(character).is_some_and(|letter| letter.is_ascii_alphabetic())
}

/// The Latin letter that one of another alphabet passes for.
fn latin(character: char) -> char {
    if kind(character) != Some(Kind::LIKE) {
        return character;
    }
    match fold(character).filter(char::is_ascii_alphabetic) {
        Some(letter) if character.is_uppercase() => letter.to_ascii_uppercase(),
        Some(letter) => letter,
        None => character,
    }
}

/// A twin, or a letter of alphabets that hardly anybody writes and that look like capitals.
fn is_double(character: char) -> bool {
    let is_far = matches!(character, '\u{13a0}'..='\u{13fd}' | '\u{2c80}'..='\u{2cff}' | '\u{a4d0}'..='\u{a4ff}'
        | '\u{ab70}'..='\u{abbf}');
    is_twin(character) || (is_far && folds(character))
}

/// Letters that look exactly like Latin ones, and what is of no alphabet: words of nothing else can be read either way.
fn is_twin(character: char) -> bool {
    character.is_ascii()
        || matches!(
            character,
            'а' | 'е'
                | 'о'
                | 'р'
                | 'с'
                | 'у'
                | 'х'
                | 'ѕ'
                | 'і'
                | 'ј'
                | 'һ'
                | 'ԁ'
                | 'ԛ'
                | 'ԝ'
                | 'ӏ'
                | 'ο'
                | 'ν'
                | 'А'
                | 'В'
                | 'Е'
                | 'Ѕ'
                | 'І'
                | 'Ј'
                | 'К'
                | 'М'
                | 'Н'
                | 'О'
                | 'Р'
                | 'С'
                | 'Т'
                | 'У'
                | 'Х'
                | 'Ԛ'
                | 'Ԝ'
                | 'Α'
                | 'Β'
                | 'Ε'
                | 'Ζ'
                | 'Η'
                | 'Ι'
                | 'Κ'
                | 'Μ'
                | 'Ν'
                | 'Ο'
                | 'Ρ'
                | 'Τ'
                | 'Υ'
                | 'Χ'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_read_as_people_read_them() {
        for (written, expected) in [
            // Nobody sees it.
            ("vi\u{200b}ag\u{2060}ra", "viagra"),
            ("\u{feff}click\u{200d} h\u{34f}ere\u{fe0f}", "click here"),
            ("v\u{e0041}iagr\u{202e}a", "viagra"),
            ("Ver\u{ad}sand", "Versand"),
            // Another dress.
            ("ｖｉａｇｒａ １２", "viagra 12"),
            ("\u{1d4e5}\u{1d4f2}\u{1d4ea}\u{1d4f0}\u{1d4fb}\u{1d4ea}", "Viagra"),
            ("ⓕⓡⓔⓔ 🅵🆁🅴🅴 🄵🅁🄴🄴 ⒡⒭⒠⒠", "free free FREE free"),
            ("ℋℯ𝓁𝓁ℴ", "Hello"),
            ("ᴠɪᴀɢʀᴀ ᶠʳᵉᵉ ﬁne", "viagra free fine"),
            // Marks that are no accents; accents that stand alone.
            ("v\u{336}i\u{336}a\u{336}g\u{336}r\u{336}a\u{336}", "viagra"),
            ("v\u{64e}i\u{5b0}a\u{650}gra", "viagra"),
            // Neither seen nor listed as white space: marks of music and of shorthand, controls.
            ("v\u{1d173}i\u{1bca0}a\u{80}gra, fr\u{1}ee \u{7f}", "viagra, free \u{7f}"),
            ("e\u{301}te\u{301}", "été"),
            // Other alphabets.
            ("Yоur РayPаl асcount", "Your PayPal account"),
            ("\u{3bd}iagra", "viagra"),
            ("would you please сору this text", "would you please copy this text"),
            ("get v\u{13a5}agra, get \u{a4e6}iagra, g\u{585}\u{585}d", "get vIagra, get viagra, good"),
            ("would you please \u{a4da}\u{a4f3}\u{a4d1}\u{a4ec} this text", "would you please copy this text"),
        ] {
            assert_eq!(read(written).plain.as_deref(), Some(expected), "{written}");
        }
    }

    #[test]
    fn what_is_spelt_plainly_stays_as_it_is() {
        for text in [
            "",
            "plain words, 100 %",
            "Grüße aus Köln \u{2013} \u{201e}schön\u{201c}, naïve café, 5 €, ½ Pfund",
            "Привет, как дела? Всё хорошо, до среды",
            "Καλημέρα σας",
            "你好，世界 こんにちは",
            "\u{928}\u{92e}\u{938}\u{94d}\u{200d}\u{924}\u{947} \u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "👩\u{200d}💻 ❤\u{fe0f} 🇩🇪 \u{200c}\u{a0}\u{200c}\u{a0}",
        ] {
            assert_eq!(read(text), Spelling::default(), "{text}");
        }
    }

    #[test]
    fn what_was_hidden_is_counted() {
        for (text, invisible, mixed) in [
            ("vi\u{200b}a\u{200b}\u{200c}gra", 3, 0),
            // Before and behind words they stand by accident, and around figures to keep them together.
            ("\u{200b}word\u{200b} 1\u{2060}000", 0, 0),
            ("Ver\u{ad}sand\u{ad}kos\u{ad}ten", 0, 0),
            ("v\u{ad}i\u{ad}a\u{ad}gra", 3, 0),
            ("Yоur РayPаl account", 0, 2),
            ("привет мир", 0, 0),
            ("vi\u{1}a\u{1}gra", 2, 0),
            // A letter between others, or at the beginning, was meant to pass for one.
            ("Рayment сlick рaypаl \u{13a2}his g\u{585}\u{585}d", 0, 5),
            // Units, names of genes, endings of other languages.
            ("5 kΩ, 10 μm, TNFα, αTNF, PDFка, iPhoneը, вWord, νe, USBшный", 0, 0),
        ] {
            let found = read(text);
            assert_eq!((found.invisible, found.mixed), (invisible, mixed), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_hidden_in_what_is_plain(text in "[ab1 .\u{ad}\u{200b}\u{336}\u{e0041}ｖ\u{1d4e5}é中]{0,24}") {
            let found = read(&text);
            let plain = found.plain.as_deref().unwrap_or(&text);
            let again = read(plain);
            prop_assert_eq!((again.invisible, &again.plain), (0, &None));
            // What stands between words is all there.
            prop_assert!(text.chars().filter(|c| " .".contains(*c)).eq(plain.chars().filter(|c| " .".contains(*c))));
        }
    }
}
