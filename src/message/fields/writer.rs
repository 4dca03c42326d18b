//! One field, written word by word and folded; nothing that a stranger said ends a line or opens a comment.

/// Octets of a line that we try to keep to (RFC 5322 2.1.1), CRLF aside.
const FOLD_AT: usize = 78;
/// Octets of one word of a stranger; far below the 998 of a line.
pub(super) const MAX_WORD: usize = 255;
/// Octets of a value that identifies somebody: a local part, `@` and a domain, in quotes.
pub(super) const MAX_VALUE: usize = 330;

/// Writes one field word by word, folded.
pub(super) struct FieldWriter<'o> {
    out: &'o mut Vec<u8>,
    /// Octets in the line so far.
    column: usize,
    /// True if a fold stands where a space would.
    folded: bool,
}

impl<'o> FieldWriter<'o> {
    pub(super) fn new(name: &str, out: &'o mut Vec<u8>) -> Self {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        Self { out, column: name.len() + 1, folded: false }
    }

    /// One word, with white space before it. Words never hold CR, LF or NUL: see [`clipped`].
    pub(super) fn word(&mut self, word: &str) {
        if !self.folded && self.column + 1 + word.len() > FOLD_AT {
            self.line();
        } else if !self.folded {
            self.out.push(b' ');
            self.column += 1;
        }
        self.put(word);
    }

    /// Text without white space before it, unless the line is full.
    pub(super) fn glued(&mut self, text: &str) {
        if self.column + text.len() > FOLD_AT {
            self.line();
        }
        self.put(text);
    }

    /// ` name=[a,b]`.
    pub(super) fn list(&mut self, name: &str, items: Vec<String>) {
        self.word(&format!("{name}=["));
        let last = items.len().saturating_sub(1);
        for (index, item) in items.iter().enumerate() {
            self.glued(&if index < last { format!("{item},") } else { item.clone() });
        }
        self.put("]");
    }

    /// The next word begins a line.
    pub(super) fn line(&mut self) {
        self.out.extend_from_slice(b"\r\n\t");
        self.column = 1;
        self.folded = true;
    }

    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
        self.column += text.len();
        self.folded = false;
    }

    pub(super) fn end(self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

/// `text` with `?` for each character that does not fit, at most [`MAX_WORD`] octets of it.
pub(super) fn clipped(text: &str, fits: impl Fn(char) -> bool) -> String {
    let mut word = String::with_capacity(text.len().min(MAX_WORD));
    for character in text.chars().map(|character| if fits(character) { character } else { '?' }) {
        if word.len() + character.len_utf8() > MAX_WORD {
            break;
        }
        word.push(character);
    }
    word
}
