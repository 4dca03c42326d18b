//! Words as they are learned: in lower case, numbers by their shape.

use xxhash_rust::xxh3::xxh3_64;

/// Octets of the longest word that is taken as it is; of longer ones the beginning counts, and that they are long.
const LONGEST: usize = 24;
/// Octets of the beginning that counts.
const PREFIX: usize = 8;

/// Words, end to end in one text.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens {
    text: String,
    tokens: Vec<Token>,
}

/// One word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) hash: u64,
    start: u32,
    end: u32,
}

impl Tokens {
    /// So many.
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Token> {
        self.tokens.get(index)
    }

    /// How it reads.
    pub(super) fn read(&self, index: usize) -> &str {
        let token = self.tokens.get(index);
        token.and_then(|token| self.text.get(token.start as usize..token.end as usize)).unwrap_or_default()
    }

    /// Adds one as it is.
    pub(super) fn push(&mut self, token: &str) -> usize {
        let start = self.text.len();
        self.text.push_str(token);
        self.add(start);
        self.tokens.len().saturating_sub(1)
    }

    /// Adds the words of a text, at most so many; where they begin.
    pub(super) fn split(&mut self, text: &str, most: usize) -> usize {
        let first = self.tokens.len();
        let mut start = self.text.len();
        let mut pending = None;
        for character in text.chars() {
            let is_word =
                if character.is_ascii() { character.is_ascii_alphanumeric() } else { character.is_alphanumeric() };
            if is_word {
                if let Some(inner) = pending.take() {
                    self.text.push(inner);
                }
                if character.is_ascii_digit() {
                    // What is counted changes from message to message; how long it is does not.
                    self.text.push('0');
                } else if character.is_ascii() {
                    self.text.push(character.to_ascii_lowercase());
                } else if is_ideographic(character) {
                    // No blanks stand between such words: each character is one, and pairs say the rest.
                    start = self.close(start);
                    self.text.push(character);
                    start = self.close(start);
                } else {
                    self.text.extend(character.to_lowercase());
                }
                continue;
            }
            let is_inside = self.text.len() > start && pending.is_none();
            match character {
                '\'' | '’' | '-' | '.' | '@' | '_' if is_inside => {
                    pending = Some(if character == '’' { '\'' } else { character });
                    continue;
                }
                _ => {}
            }
            pending = None;
            start = self.close(start);
            if matches!(character, '$' | '€' | '£' | '%' | '!' | '?') {
                self.text.push(character);
                start = self.close(start);
            }
            if self.tokens.len() - first >= most {
                self.tokens.truncate(first + most);
                return first;
            }
        }
        self.close(start);
        self.tokens.truncate(first + most);
        first
    }

    /// Ends the word that began at `start`, if it is one; where the next one begins.
    fn close(&mut self, start: usize) -> usize {
        if self.text.len() - start > LONGEST {
            let mut end = start + PREFIX;
            while !self.text.is_char_boundary(end) {
                end += 1;
            }
            let length = (self.text.len() - start).ilog2();
            self.text.truncate(end);
            self.text.push('…');
            self.text.push(char::from_digit(length, 36).unwrap_or('z'));
        }
        self.add(start)
    }

    /// The text from `start` on as it is, if there is any; where the next one begins.
    fn add(&mut self, start: usize) -> usize {
        let end = self.text.len();
        if end > start {
            let word = self.text.get(start..end).unwrap_or_default();
            let number = |octets: usize| u32::try_from(octets).unwrap_or(u32::MAX);
            self.tokens.push(Token { hash: xxh3_64(word.as_bytes()), start: number(start), end: number(end) });
        }
        end
    }
}

fn is_ideographic(character: char) -> bool {
    matches!(u32::from(character), 0x2E80..=0x9FFF | 0xAC00..=0xD7AF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}
