//! The values of header fields as text: unfolded, their encoded words decoded (RFC 2047).
//!
//! Words that stand side by side are decoded together where they are of one charset: programs split them in the
//! middle of a character. What is no encoded word stays as it stands.

use std::borrow::Cow;

use memchr::memmem;

use super::{charset, encoding};

/// Octets of a value that are read.
const MAX_VALUE: usize = 32 * 1024;
/// Octets of the name of a charset.
const MAX_CHARSET: usize = 64;

/// A value as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decoded {
    /// Trimmed; folds are spaces.
    pub(super) text: String,
    /// Its first encoded word that is broken: in a charset that nobody knows, or with octets that are not in it.
    pub(super) broken: Option<String>,
    /// It is longer than what was read.
    pub(super) is_cut: bool,
}

/// Reads the value of a field.
pub(super) fn decoded(value: &[u8]) -> Decoded {
    let is_cut = value.len() > MAX_VALUE;
    let line = unfolded(value.get(..MAX_VALUE).unwrap_or(value));
    if memmem::find(line.as_bytes(), b"=?").is_none() {
        return Decoded { text: line.trim().to_owned(), broken: None, is_cut };
    }
    // Behind the last end no word ends: who looks for one at each beginning reads the rest each time.
    let last_end = memmem::rfind(line.as_bytes(), b"?=").unwrap_or(0);
    let mut writer = Writer::default();
    let mut rest = &*line;
    while let Some(at) = rest.find("=?") {
        let (before, from) = rest.split_at(at);
        let may_end = line.len() - from.len() < last_end;
        let Some((word, after)) = may_end.then(|| Word::first(from)).flatten() else {
            // Something that began like a word, and is none.
            let end = at + 2;
            writer.plain(rest.get(..end).unwrap_or(rest));
            rest = rest.get(end..).unwrap_or_default();
            if looks_like_a_word(rest) {
                writer.breaks(from);
            }
            continue;
        };
        if !(writer.is_open() && before.trim().is_empty()) {
            writer.plain(before);
        }
        writer.word(&word, from);
        rest = after;
    }
    writer.plain(rest);
    Decoded { text: writer.out.trim().to_owned(), broken: writer.broken, is_cut }
}

/// The lines of a value as one: the white space that folds it is a space. Octets that are no text are replaced.
fn unfolded(value: &[u8]) -> Cow<'_, str> {
    let text = charset::text(value);
    if !text.contains('\n') {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    for (at, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if at == 0 {
            out.push_str(line);
        } else {
            out.truncate(out.trim_end_matches([' ', '\t']).len());
            out.push(' ');
            out.push_str(line.trim_start_matches([' ', '\t']));
        }
    }
    Cow::Owned(out)
}

/// Behind `=?`: a charset and an encoding follow.
fn looks_like_a_word(text: &str) -> bool {
    let mut pieces = text.splitn(3, '?');
    let charset = pieces.next().unwrap_or_default();
    let encoding = pieces.next().unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_*:.".contains(c);
    !charset.is_empty()
        && charset.len() <= MAX_CHARSET
        && charset.chars().all(is_name)
        && ["b", "q"].iter().any(|known| encoding.eq_ignore_ascii_case(known))
        && pieces.next().is_some()
}

struct Word<'t> {
    charset: &'t str,
    is_base64: bool,
    text: &'t str,
}

impl<'t> Word<'t> {
    /// The word at the beginning of `text`, and what follows it.
    fn first(text: &'t str) -> Option<(Self, &'t str)> {
        let inner = text.strip_prefix("=?")?;
        if !looks_like_a_word(inner) {
            return None;
        }
        let mut pieces = inner.splitn(3, '?');
        let (charset, encoding) = (pieces.next()?, pieces.next()?);
        let (word, after) = pieces.next()?.split_once("?=")?;
        // A language may follow the charset (RFC 2231 5).
        let charset = charset.split('*').next().unwrap_or_default();
        Some((Self { charset, is_base64: encoding.eq_ignore_ascii_case("b"), text: word }, after))
    }

    fn octets(&self) -> Vec<u8> {
        match self.is_base64 {
            true => encoding::base64(self.text.as_bytes(), MAX_VALUE),
            false => encoding::quoted_printable(self.text.replace('_', " ").as_bytes(), MAX_VALUE),
        }
    }

    fn is_broken(&self) -> bool {
        self.text.contains(|c: char| c.is_control() || !c.is_ascii())
            || (self.is_base64 && encoding::is_broken_base64(self.text.as_bytes()))
    }
}

#[derive(Default)]
struct Writer {
    out: String,
    /// Octets of words that were not written yet, and their charset in lower case.
    open: Vec<u8>,
    charset: Option<String>,
    broken: Option<String>,
}

impl Writer {
    /// The last thing was a word.
    fn is_open(&self) -> bool {
        self.charset.is_some()
    }

    fn plain(&mut self, text: &str) {
        self.end();
        self.out.push_str(text);
    }

    fn word(&mut self, word: &Word<'_>, from: &str) {
        if !self.charset.as_ref().is_some_and(|open| open.eq_ignore_ascii_case(word.charset)) {
            self.end();
        }
        if word.is_broken() {
            self.breaks(from);
        }
        self.charset = Some(word.charset.to_ascii_lowercase());
        self.open.extend(word.octets());
    }

    fn end(&mut self) {
        let Some(charset) = self.charset.take() else { return };
        let octets = std::mem::take(&mut self.open);
        let (text, is_clean) = charset::decoded(&octets, Some(&charset));
        self.out.push_str(&text);
        if !is_clean && self.broken.is_none() {
            self.broken = Some(format!("a word in {charset}"));
        }
    }

    fn breaks(&mut self, from: &str) {
        if self.broken.is_none() {
            self.broken = Some(from.chars().take(40).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_as_text() {
        for (value, text, is_clean) in [
            (" plain ", "plain", true),
            (" a\r\n  b\r\n\tc", "a b c", true),
            (" a  b", "a  b", true),
            (" =?utf-8?q?a_b=3D?=", "a b=", true),
            (" =?UTF-8?B?w6Q=?= x", "\u{e4} x", true),
            ("=?iso-8859-1?Q?a?= =?iso-8859-1?Q?b?=", "ab", true),
            ("=?iso-8859-1?Q?a?=\r\n =?iso-8859-1?Q?_b?=", "a b", true),
            ("=?iso-8859-1?Q?a?= b =?iso-8859-1?Q?c?=", "a b c", true),
            ("=?iso-8859-1?q?=E4?==?utf-8?q?=C3=A4?=", "\u{e4}\u{e4}", true),
            // Split in the middle of a character.
            ("=?utf-8?q?=C3?= =?UTF-8?q?=A4?=", "\u{e4}", true),
            ("=?utf-8?b?w6TD?=\r\n =?utf-8?b?pA==?=", "\u{e4}\u{e4}", true),
            ("=?utf-8*en?q?x?=", "x", true),
            ("=?utf-8?q?what is this?=", "what is this", true),
            ("\"=?utf-8?q?x?=\" <a@b>", "\"x\" <a@b>", true),
            ("=?x?y?z?=", "=?x?y?z?=", true),
            ("1=?2", "1=?2", true),
            ("=?utf-8?q?open", "=?utf-8?q?open", false),
            ("=?utf-8?q?=C3=28?=", "\u{fffd}(", false),
            ("=?nobody?q?x?=", "x", false),
            ("=?utf-8?b?*w6Q=?=", "\u{e4}", false),
            ("=?utf-8?q?\u{e4}?=", "\u{e4}", false),
        ] {
            let decoded = decoded(value.as_bytes());
            assert_eq!((&*decoded.text, decoded.broken.is_none()), (text, is_clean), "{value}");
        }
        assert!(decoded(&[b'a'; MAX_VALUE + 1]).is_cut);
    }

    #[test]
    fn words_without_an_end_are_read_in_one_go() {
        // A scan from each of them to the end would take three times as long at least.
        let began = std::time::SystemTime::now();
        for _ in 0..100 {
            assert!(decoded("=?a?b?x".repeat(4600).as_bytes()).broken.is_some());
        }
        assert!(began.elapsed().is_ok_and(|took| took.as_secs() < 5));
    }

    proptest! {
        #[test]
        fn any_value_is_read(value in "(=\\?|\\?=|\\?|utf-8|q|B|=C3|[ -~]|\r\n |\\PC){0,40}") {
            decoded(value.as_bytes());
        }
    }
}
