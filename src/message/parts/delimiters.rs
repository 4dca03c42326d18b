//! The lines between the parts of a multipart.

use memchr::memmem;

/// One delimiter line.
pub(super) struct Delimiter {
    pub(super) start: usize,
    /// Behind its line end.
    pub(super) end: usize,
    /// No part follows, it says.
    pub(super) is_closing: bool,
}

/// The delimiter lines of a multipart (RFC 2046 5.1.1), the closing one like the others: what follows it is
/// shown by some.
pub(super) struct Delimiters<'b> {
    body: &'b [u8],
    finder: memmem::Finder<'b>,
    length: usize,
    at: usize,
}

impl<'b> Delimiters<'b> {
    pub(super) fn new(body: &'b [u8], boundary: &'b [u8]) -> Self {
        Self { body, finder: memmem::Finder::new(boundary), length: boundary.len(), at: 0 }
    }
}

impl Iterator for Delimiters<'_> {
    type Item = Delimiter;

    fn next(&mut self) -> Option<Delimiter> {
        loop {
            let found = self.at + self.finder.find(self.body.get(self.at..)?)?;
            self.at = found + self.length;
            let before = self.body.get(..found)?;
            let Some(start) = before.strip_suffix(b"--").map(<[u8]>::len) else { continue };
            let begins_line = matches!(before.get(..start)?.last(), None | Some(b'\n' | b'\r'));
            if !begins_line {
                continue;
            }
            let after = self.body.get(self.at..)?;
            let line = after.split(|octet| matches!(octet, b'\n' | b'\r')).next().unwrap_or_default();
            let rest = line.strip_prefix(b"--").unwrap_or(line);
            if !rest.trim_ascii().is_empty() {
                continue;
            }
            let end = match after.get(line.len()..)? {
                [b'\r', b'\n', ..] => 2,
                [_, ..] => 1,
                [] => 0,
            };
            self.at += line.len() + end;
            return Some(Delimiter { start, end: self.at, is_closing: rest.len() < line.len() });
        }
    }
}
