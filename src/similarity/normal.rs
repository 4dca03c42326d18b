//! Text reduced to what survives rewriting: words in one case and one script, without what nobody sees.
//!
//! Tricks undone here: look-alike letters of other scripts, accents, letters in boxes and circles, digits and
//! signs for letters, characters without width, and words written `s p a c e d` or `d.o.t.t.e.d`. The result
//! is for comparing texts with each other and for nothing else: `l` becomes `i`, Cyrillic becomes Latin.

use crate::message::fold;

/// Octets of a word that are looked at.
const MAX_WORD: usize = 64;
/// Letters of a word that is written with spaces or dots between them, at least and at most.
const MIN_SPACED: usize = 3;
const MAX_SPACED: usize = 16;
/// Schemes of links before which no blank may stand.
const SCHEMES: [&str; 3] = ["https", "http", "ftp"];

/// What a text consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// At least one letter; UTF-8.
    Word(&'t [u8]),
    /// A character of a script that is written without spaces between words.
    Ideograph(char),
    /// What is new in each copy: a number, a link, a mail address.
    Changing,
}

/// Tells the words of a text. Numbers, links and mail addresses are none: they change from
/// copy to copy.
pub(super) fn words<'t>(lines: impl Iterator<Item = &'t str>, tell: impl FnMut(Token<'_>)) {
    let mut reader = Reader { tell, word: String::with_capacity(MAX_WORD), spaced: String::new(), folded: Vec::new() };
    for line in lines {
        let mut before = line.as_ptr() as usize;
        for piece in line.split_ascii_whitespace() {
            // Words of single letters have more than one blank between them.
            if piece.as_ptr() as usize - before > 1 {
                reader.end_of_spaced();
            }
            before = piece.as_ptr() as usize + piece.len();
            reader.piece(piece);
        }
        reader.end_of_spaced();
    }
}

struct Reader<F> {
    tell: F,
    word: String,
    /// Letters that stood alone, one behind the other.
    spaced: String,
    folded: Vec<char>,
}

impl<F: FnMut(Token<'_>)> Reader<F> {
    /// What stands between two blanks.
    fn piece(&mut self, piece: &str) {
        if let Some(word) = plain(piece.as_bytes()) {
            self.end_of_spaced();
            self.ascii_word(word);
            return;
        }
        let mut folded = std::mem::take(&mut self.folded);
        folded.clear();
        folded.extend(piece.chars().filter_map(fold));
        match folded.as_slice() {
            [] => {}
            [single] => self.single(*single),
            // Blanks that are none in ASCII.
            many if many.contains(&' ') => many.split(|character| *character == ' ').for_each(|part| match part {
                [] => {}
                [single] => self.single(*single),
                part => self.folded_piece(part),
            }),
            many => self.folded_piece(many),
        }
        self.folded = folded;
    }

    fn ascii_word(&mut self, word: &[u8]) {
        let mut letters = [0; MAX_WORD];
        for (letter, octet) in letters.iter_mut().zip(word) {
            *letter = match octet.to_ascii_lowercase() {
                b'l' => b'i',
                octet => octet,
            };
        }
        (self.tell)(Token::Word(&letters[..word.len().min(MAX_WORD)]));
    }

    /// A character that stands alone: a letter of a spaced word, perhaps.
    fn single(&mut self, character: char) {
        if is_unspaced(character) {
            self.end_of_spaced();
            (self.tell)(Token::Ideograph(character));
        } else {
            self.spaced.push(character);
            if self.spaced.len() >= MAX_SPACED {
                self.end_of_spaced();
            }
        }
    }

    fn end_of_spaced(&mut self) {
        if self.spaced.is_empty() {
            return;
        }
        let spaced = std::mem::take(&mut self.spaced);
        if spaced.chars().filter(|character| character.is_alphabetic()).count() >= MIN_SPACED {
            self.unspaced(spaced.chars());
        } else {
            for character in spaced.chars().filter(|character| character.is_alphabetic()) {
                self.word.clear();
                self.word.push(character);
                self.end_of_word();
            }
        }
        self.spaced = spaced;
        self.spaced.clear();
    }

    /// A word that was written in single letters. An address stays what it is.
    fn unspaced(&mut self, characters: impl Iterator<Item = char> + Clone) {
        if characters.clone().any(|character| character == '@') {
            return;
        }
        self.word.clear();
        self.word.extend(characters.filter(|character| character.is_alphanumeric()).take(MAX_SPACED));
        self.end_of_word();
    }

    /// Scripts without blanks end where another begins: a link within them is no part of a word.
    fn folded_piece(&mut self, piece: &[char]) {
        for run in piece.chunk_by(|ours, next| is_unspaced(*ours) == is_unspaced(*next)) {
            match run {
                [first, ..] if is_unspaced(*first) => {
                    self.end_of_spaced();
                    run.iter().for_each(|character| (self.tell)(Token::Ideograph(*character)));
                }
                run => self.spaced_piece(run),
            }
        }
    }

    fn spaced_piece(&mut self, piece: &[char]) {
        if let Some(start) = link_start(piece) {
            self.end_of_spaced();
            self.parts(piece.get(..start).unwrap_or_default());
            (self.tell)(Token::Changing);
            return;
        }
        if is_address(piece) || is_code(piece) {
            self.end_of_spaced();
            (self.tell)(Token::Changing);
            return;
        }
        if let Some(end) = spaced_by_sign(piece) {
            self.end_of_spaced();
            let (spaced, rest) = piece.split_at(end);
            self.unspaced(spaced.iter().step_by(2).copied());
            self.parts(rest);
            return;
        }
        // `, w o r d.`: a sign beside a letter that stands alone does not end the row.
        let mut letters = piece.iter().filter(|character| character.is_alphanumeric());
        match (letters.next(), letters.next()) {
            (Some(letter), None) if piece.len() <= 2 => {
                self.single(*letter);
                if piece.len() == 2 && piece.first() == Some(letter) {
                    self.end_of_spaced();
                }
            }
            (None, _) => {}
            _ => {
                self.end_of_spaced();
                self.parts(piece);
            }
        }
    }

    /// Words with signs between them.
    fn parts(&mut self, piece: &[char]) {
        self.word.clear();
        for (at, &character) in piece.iter().enumerate() {
            let next = piece.get(at + 1).copied().unwrap_or(' ');
            if character.is_alphanumeric() || (is_letter_sign(character) && next.is_alphabetic()) {
                if self.word.len() < MAX_WORD {
                    self.word.push(character);
                }
            } else if !(is_apostrophe(character) && next.is_alphanumeric()) {
                self.end_of_word();
            }
        }
        self.end_of_word();
    }

    /// Tells the word so far, if it is one.
    fn end_of_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        let letters = self.word.chars().filter(|character| character.is_alphabetic()).count();
        let digits = self.word.chars().filter(|character| character.is_numeric()).count();
        if letters > 0 && digits * 2 <= letters {
            // What is told is written to a second buffer only where a sign has to change.
            let changes = |character: char| meant(character) != character;
            if self.word.contains(changes) {
                let word: String = self.word.chars().map(meant).collect();
                (self.tell)(Token::Word(word.as_bytes()));
            } else {
                (self.tell)(Token::Word(self.word.as_bytes()));
            }
        } else if digits > 0 {
            (self.tell)(Token::Changing);
        }
        self.word.clear();
    }
}

/// The usual case: letters of ASCII, at least two, and signs around them.
fn plain(piece: &[u8]) -> Option<&[u8]> {
    let end = piece.iter().rposition(u8::is_ascii_alphanumeric)? + 1;
    let start = piece.iter().position(|octet| octet.is_ascii_alphanumeric() || b"@$!|".contains(octet))?;
    let word = piece.get(start..end)?;
    (word.len() > 1 && piece.is_ascii() && word.iter().all(u8::is_ascii_alphabetic)).then_some(word)
}

/// The letter that is meant by a digit or a sign within a word.
fn meant(character: char) -> char {
    match character {
        '0' => 'o',
        '1' | '!' | '|' | 'l' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        '8' => 'b',
        other => other,
    }
}

fn is_letter_sign(character: char) -> bool {
    matches!(character, '@' | '$' | '!' | '|')
}

fn is_apostrophe(character: char) -> bool {
    matches!(character, '\'' | '\u{2019}')
}

/// Scripts whose words have no blanks between them: Han, kana, Hangul (whose words carry their endings), Thai,
/// Lao, Khmer, Burmese.
fn is_unspaced(character: char) -> bool {
    matches!(character, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
        && character.is_alphanumeric()
}

/// Where a link begins in a piece, if there is one.
fn link_start(piece: &[char]) -> Option<usize> {
    let at = piece.windows(3).position(|three| three == [':', '/', '/'])?;
    let before = piece.get(..at)?;
    let is_scheme = |scheme: &&str| scheme.chars().rev().eq(before.iter().rev().take(scheme.len()).copied());
    let length = match SCHEMES.iter().find(|scheme| is_scheme(scheme)) {
        Some(scheme) => scheme.len(),
        None => before.iter().rev().take_while(|character| character.is_alphanumeric()).count(),
    };
    Some(at - length)
}

/// A path, a mail address, or a link that does not say so.
fn is_address(piece: &[char]) -> bool {
    let is_path = || {
        let first = piece.split(|character| *character == '/').next().unwrap_or_default();
        // `this/that/those` is none.
        first.is_empty() || first.contains(&'.') || !piece.iter().any(|character| character.is_alphabetic())
    };
    if piece.iter().filter(|character| **character == '/').count() > 1 && is_path() {
        return true;
    }
    let sign = |wanted: char| piece.iter().position(|character| *character == wanted);
    if piece.starts_with(&['w', 'w', 'w', '.']) {
        return true;
    }
    let Some(at) = sign('@') else { return false };
    let before = at.checked_sub(1).and_then(|before| piece.get(before));
    let domain = piece.get(at + 1..).unwrap_or_default();
    let length = domain.iter().take_while(|c| c.is_alphanumeric() || matches!(c, '.' | '-')).count();
    let domain = domain.get(..length).unwrap_or_default();
    before.is_some_and(|character| character.is_alphanumeric())
        && domain.len() > 3
        && domain.get(..domain.len() - 1).is_some_and(|inner| inner.contains(&'.'))
}

/// What no person writes: base64 and the like.
fn is_code(piece: &[char]) -> bool {
    piece.len() > MAX_WORD && piece.iter().all(char::is_ascii) && piece.iter().any(char::is_ascii_digit)
}

/// Where a word ends that has the same sign behind each of its letters.
fn spaced_by_sign(piece: &[char]) -> Option<usize> {
    let (first, sign) = (piece.first()?, piece.get(1)?);
    if !first.is_alphanumeric() || sign.is_alphanumeric() || is_apostrophe(*sign) {
        return None;
    }
    let letters = piece.chunks(2).take_while(|pair| match pair {
        [_, other] => other == sign,
        _ => true,
    });
    let count = letters.count();
    // The last letter has another sign behind it, or none.
    let whole = piece.get(2 * count).is_some_and(|last| last.is_alphanumeric())
        && piece.get(2 * count + 1).is_none_or(|after| !after.is_alphanumeric());
    let end = if whole { 2 * count + 1 } else { (2 * count).min(piece.len()) };
    let is_word = piece.get(..end)?.iter().step_by(2).filter(|c| c.is_alphabetic()).count() >= MIN_SPACED;
    is_word.then_some(end)
}
