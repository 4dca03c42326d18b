//! Phrases, looked for without an engine: where the automaton saw a piece of one, the letters around it tell.
//!
//! A phrase means the same as its expression ([`Expression::text`](super::Expression)): any case of its letters, any
//! white space between its words, edges of words at its ends where it has letters there.

use std::ops::Range;

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

/// Octets of a piece that is long enough to be rare.
const ENOUGH: usize = 3;
/// Ways to spell a piece.
const WAYS: usize = 24;

/// A phrase.
#[derive(Debug)]
pub(super) struct Phrase {
    words: Box<[Box<[Letter]>]>,
    /// It begins at the edge of a word.
    begins: bool,
    /// It ends at one.
    ends: bool,
}

/// A character in whatever case.
#[derive(Debug)]
enum Letter {
    /// One of ASCII that is spelt within ASCII only, in lower case.
    Ascii(u8),
    /// All ways to spell it.
    Other(Box<[Box<str>]>),
}

/// A place in a phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    word: u16,
    letter: u16,
}

impl Phrase {
    /// What this text means as a phrase; `None` if it is none that can be looked for in this way.
    pub(super) fn of(text: &str) -> Option<Self> {
        let words: Option<Box<[Box<[Letter]>]>> =
            text.split_whitespace().map(|word| word.chars().map(Letter::of).collect()).collect();
        let is_edge = |end: Option<char>| end.is_some_and(|end| end.is_alphanumeric() || end == '_');
        let text = text.trim();
        let (begins, ends) = (is_edge(text.chars().next()), is_edge(text.chars().next_back()));
        words.filter(|words| !words.is_empty()).map(|words| Self { words, begins, ends })
    }

    /// A piece that every occurrence contains, in all its spellings in lower case, and where in the phrase it stands.
    pub(super) fn piece(&self) -> Option<(Place, Vec<Vec<u8>>)> {
        let runs = self
            .words
            .iter()
            .enumerate()
            .flat_map(|(word, letters)| runs(letters).map(move |(letter, octets)| (word, letter, octets)));
        // The first of those that are longest.
        let longest = runs.reduce(|longest, run| if run.2.len() > longest.2.len() { run } else { longest });
        if let Some((word, letter, octets)) = longest.filter(|(.., octets)| octets.len() >= ENOUGH) {
            return Some((Place::at(word, letter)?, vec![octets]));
        }
        let (word, letters) = self.words.iter().enumerate().max_by_key(|(_, letters)| letters.len())?;
        let mut ways = vec![Vec::new()];
        for letter in letters {
            ways = ways.iter().flat_map(|way: &Vec<u8>| letter.after(way)).collect();
            if ways.len() > WAYS {
                return None;
            }
        }
        ways.sort();
        ways.dedup();
        Some((Place::at(word, 0)?, ways))
    }

    /// Where the phrase stands, if its piece `place` stands at `at`.
    pub(super) fn around(&self, place: Place, text: &[u8], at: usize) -> Option<Range<usize>> {
        let (word, letter) = (usize::from(place.word), usize::from(place.letter));
        let (before, own) = (self.words.get(..word)?, self.words.get(word)?);
        let mut start = own.get(..letter)?.iter().rev().try_fold(at, |at, letter| letter.ends(text.get(..at)?))?;
        for letters in before.iter().rev() {
            start = blank_before(text, start)?;
            start = letters.iter().rev().try_fold(start, |at, letter| letter.ends(text.get(..at)?))?;
        }
        let mut end = own.get(letter..)?.iter().try_fold(at, |at, letter| letter.begins(text, at))?;
        for letters in self.words.get(word + 1..)? {
            end = blank_behind(text, end)?;
            end = letters.iter().try_fold(end, |at, letter| letter.begins(text, at))?;
        }
        let fits = (!self.begins || is_edge(text, start)) && (!self.ends || is_edge(text, end));
        fits.then_some(start..end)
    }

    /// Octets of memory that it takes, about.
    pub(super) fn octets(&self) -> usize {
        let letters = self.words.iter().flatten().map(|letter| match letter {
            Letter::Ascii(_) => size_of::<Letter>(),
            Letter::Other(ways) => size_of::<Letter>() + ways.len() * 24,
        });
        size_of::<Self>() + letters.sum::<usize>()
    }
}

/// What lies within ASCII, each with the place of its first letter.
fn runs(letters: &[Letter]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let mut at = 0;
    letters.chunk_by(|one, other| one.ascii().is_some() == other.ascii().is_some()).filter_map(move |run| {
        let first = at;
        at += run.len();
        Some((first, run.iter().map(Letter::ascii).collect::<Option<Vec<u8>>>()?))
    })
}

impl Place {
    fn at(word: usize, letter: usize) -> Option<Self> {
        Some(Self { word: word.try_into().ok()?, letter: letter.try_into().ok()? })
    }
}

impl Letter {
    fn of(letter: char) -> Option<Self> {
        let mut class = ClassUnicode::new([ClassUnicodeRange::new(letter, letter)]);
        class.try_case_fold_simple().ok()?;
        let ways: Vec<char> = class.iter().flat_map(|range| range.start()..=range.end()).collect();
        if ways.iter().all(char::is_ascii) {
            return u8::try_from(letter.to_ascii_lowercase()).ok().map(Self::Ascii);
        }
        Some(Self::Other(ways.iter().map(|way| way.to_string().into()).collect()))
    }

    fn ascii(&self) -> Option<u8> {
        match self {
            Self::Ascii(octet) => Some(*octet),
            Self::Other(_) => None,
        }
    }

    /// All its spellings behind `way`, as the automaton knows them.
    fn after(&self, way: &[u8]) -> Vec<Vec<u8>> {
        match self {
            Self::Ascii(octet) => vec![[way, &[*octet]].concat()],
            Self::Other(ways) => ways.iter().map(|one| [way, one.to_ascii_lowercase().as_bytes()].concat()).collect(),
        }
    }

    /// Where it ends if it stands at `at`.
    fn begins(&self, text: &[u8], at: usize) -> Option<usize> {
        let rest = text.get(at..)?;
        match self {
            Self::Ascii(octet) => rest.first()?.eq_ignore_ascii_case(octet).then_some(at + 1),
            Self::Other(ways) => ways.iter().find(|way| rest.starts_with(way.as_bytes())).map(|way| at + way.len()),
        }
    }

    /// Where it begins if it stands at the end of a text.
    fn ends(&self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Ascii(octet) => text.last()?.eq_ignore_ascii_case(octet).then(|| text.len() - 1),
            Self::Other(ways) => {
                ways.iter().find(|way| text.ends_with(way.as_bytes())).map(|way| text.len() - way.len())
            }
        }
    }
}

/// Behind at least one character of white space.
fn blank_behind(text: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    while let Some(blank) = next(text, end).filter(|c| c.is_whitespace()) {
        end += blank.len_utf8();
    }
    (end > at).then_some(end)
}

/// Before at least one character of white space.
fn blank_before(text: &[u8], at: usize) -> Option<usize> {
    let mut start = at;
    while let Some(blank) = last(text, start).filter(|c| c.is_whitespace()) {
        start -= blank.len_utf8();
    }
    (start < at).then_some(start)
}

/// A word begins or ends here.
fn is_edge(text: &[u8], at: usize) -> bool {
    let is_of_word = |c: Option<char>| c.is_some_and(regex_syntax::is_word_character);
    is_of_word(last(text, at)) != is_of_word(next(text, at))
}

/// The character at a place, unless the octets there are none.
fn next(text: &[u8], at: usize) -> Option<char> {
    let first = *text.get(at)?;
    if first.is_ascii() {
        return Some(first.into());
    }
    let rest = text.get(at..)?;
    rest.get(..rest.len().min(4))?.utf8_chunks().next()?.valid().chars().next()
}

/// The character that ends at a place.
fn last(text: &[u8], at: usize) -> Option<char> {
    let before = text.get(..at)?;
    let last = *before.last()?;
    if last.is_ascii() {
        return Some(last.into());
    }
    (2..=4).find_map(|length| {
        let octets = before.get(before.len().checked_sub(length)?..)?;
        std::str::from_utf8(octets).ok()?.chars().next().filter(|c| c.len_utf8() == length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(phrase: &str, text: &str) -> Option<Range<usize>> {
        let phrase = Phrase::of(phrase).expect("a phrase");
        let (place, pieces) = phrase.piece().expect("a piece");
        let lower = text.to_ascii_lowercase();
        (0..text.len())
            .filter(|at| pieces.iter().any(|piece| lower.as_bytes()[*at..].starts_with(piece)))
            .find_map(|at| phrase.around(place, text.as_bytes(), at))
    }

    #[test]
    fn the_piece_that_is_looked_for_is_the_longest_that_has_one_spelling() {
        let pieces = |phrase: &str| {
            let (place, pieces) = Phrase::of(phrase)?.piece()?;
            let pieces: Vec<String> =
                pieces.into_iter().map(|octets| String::from_utf8(octets).expect("text")).collect();
            Some((place.word, place.letter, pieces.join(" ")))
        };
        for (phrase, expected) in [
            ("viagra", (0, 0, "viagra")),
            ("lose weight", (1, 0, "weight")),
            ("Masturbation", (0, 3, "turbation")),
            ("rx", (0, 0, "rx")),
            ("irs", (0, 0, "irs irſ")),
            ("100% free", (0, 0, "100%")),
            ("größe", (0, 0, "grÖße grÖẞe größe gröẞe")),
        ] {
            let found = pieces(phrase).expect("a piece");
            assert_eq!((found.0, found.1, &*found.2), expected, "{phrase}");
        }
        assert_eq!(pieces(&"s".repeat(9)), None, "too many spellings");
    }

    #[test]
    fn phrases_stand_where_their_words_do() {
        for (phrase, text, expected) in [
            ("act now", "please ACT\n now!", Some(7..15)),
            ("act now", "react now", None),
            ("act now", "act\u{a0}NOW", Some(0..8)),
            ("act now", "act-now act nowhere", None),
            ("task", "taſ\u{212a}", Some(0..7)),
            ("größe", "die GRÖSSE, die GRÖẞE", Some(17..25)),
            ("100% free", "it is 100%  Free", Some(6..16)),
            ("$$$", "a$$$b", Some(1..4)),
            ("m²", "1 m²", None),
            ("over-invoiced", "Over-Invoiced", Some(0..13)),
            ("é", "caf é", Some(4..6)),
            ("é", "café", None),
        ] {
            assert_eq!(find(phrase, text), expected, "{phrase:?} in {text:?}");
        }
    }
}
