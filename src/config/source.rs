//! A file as text, and where each key stands in it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A file, read once.
#[derive(PartialEq, Eq)]
pub struct Source {
    /// Its path as people know it.
    pub path: String,
    /// Its content.
    pub text: String,
}

/// Whole files have no place in messages about them.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Where a key and its value are written; byte offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The key. For an element of an array: the element.
    pub key: Range<usize>,
    /// The value. For a table under a header: the header.
    pub value: Range<usize>,
}

/// A file and the place of every key in it, by key path (`listen[0].address`).
#[derive(Clone, Debug)]
pub struct Document {
    /// The file.
    pub source: Arc<Source>,
    /// The keys that are written in it.
    pub places: BTreeMap<String, Place>,
}

impl Source {
    /// A file's path and content.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { path: path.into(), text: text.into() })
    }

    /// Line and column (in characters) of a byte offset, both from 1.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = self.text.get(..offset).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        (before.matches('\n').count() + 1, column)
    }

    /// The text of a line, from 1.
    pub fn line(&self, number: usize) -> &str {
        self.text.lines().nth(number.saturating_sub(1)).unwrap_or_default()
    }
}

impl Document {
    /// An empty file.
    pub fn empty(source: Arc<Source>) -> Self {
        Self { source, places: BTreeMap::new() }
    }

    /// Where the value of `path` is written; where not, the nearest table around it that is.
    pub fn value_span(&self, path: &str) -> Option<Range<usize>> {
        if let Some(place) = self.places.get(path) {
            return Some(place.value.clone());
        }
        self.places.get(parent(path)?).map(|place| place.key.clone()).or_else(|| self.value_span(parent(path)?))
    }

    /// True if `path` is written in the file.
    pub fn has(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }
}

/// `table.key`, the key quoted where TOML wants it.
pub fn join(table: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let key = if bare { key.to_owned() } else { format!("{key:?}") };
    if table.is_empty() { key } else { format!("{table}.{key}") }
}

/// `array[index]`.
pub fn element(array: &str, index: usize) -> String {
    format!("{array}[{index}]")
}

fn parent(path: &str) -> Option<&str> {
    let end =
        if path.ends_with('"') { path.strip_suffix('"')?.rfind('"')?.checked_sub(1)? } else { path.rfind(['.', '['])? };
    path.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let source = Source::new("x", "a = 1\nü = \"é\" # b\n");
        for (offset, expected) in [(0, (1, 1)), (4, (1, 5)), (6, (2, 1)), (8, (2, 2)), (7, (2, 1)), (999, (3, 1))] {
            assert_eq!(source.line_column(offset), expected, "{offset}");
        }
        assert_eq!(source.line(2), "ü = \"é\" # b");
    }

    #[test]
    fn paths_have_parents() {
        for (path, expected) in [
            ("a.b", Some("a")),
            ("a[0]", Some("a")),
            ("a[0].b", Some("a[0]")),
            ("a", None),
            ("codes.\"127.0.0.2\"", Some("codes")),
        ] {
            assert_eq!(parent(path), expected, "{path}");
        }
        assert_eq!(join("codes", "127.0.0.2"), "codes.\"127.0.0.2\"");
    }
}
