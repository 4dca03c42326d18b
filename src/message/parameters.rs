//! The values of MIME fields: a word, and parameters (RFC 2045 5.1, RFC 2183), also continued and encoded
//! (RFC 2231), as lenient programs read them.

use super::{charset, encoding, words};

/// Octets of a value that are read.
const MAX_VALUE: usize = 8192;
/// Parameters that are kept.
const MAX_PARAMETERS: usize = 64;

/// The value of Content-Type or Content-Disposition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    /// The word before the parameters, in lower case: `text/html`, `attachment`.
    pub(super) word: String,
    /// Names in lower case, and values decoded, in the order in which they begin.
    pub(super) all: Vec<(String, String)>,
    /// Comments stand in it.
    pub(super) has_comment: bool,
}

impl Parameters {
    /// Reads a value.
    pub(super) fn of(value: &[u8]) -> Self {
        let text = String::from_utf8_lossy(value.get(..MAX_VALUE).unwrap_or(value));
        let mut reader = Reader { rest: &text, has_comment: false };
        let mut word = String::new();
        loop {
            reader.skip();
            let piece = reader.until(|c| c == ';' || c == '(' || is_blank(c));
            // `text / html`, `text/ html` and `text (of a kind) /html` are all the same; what else stands here is not
            // part of it.
            let goes_on = word.is_empty() || word.ends_with('/') || piece.starts_with('/');
            if piece.is_empty() {
                break;
            }
            if !goes_on {
                // Somebody forgot the semicolon.
                reader.rest = text.get(text.len() - reader.rest.len() - piece.len()..).unwrap_or_default();
                break;
            }
            word.push_str(&piece.to_ascii_lowercase());
        }
        let segments = reader.segments();
        let has_comment = reader.has_comment;
        Self { word, all: joined(segments), has_comment }
    }

    /// The first value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// All values of a parameter, in order.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.all.iter().filter(move |(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// A parameter that has two values.
    pub(super) fn contradiction(&self) -> Option<&str> {
        let mut parameters = self.all.iter().enumerate();
        parameters.find_map(|(at, (name, value))| {
            let before = self.all.get(..at)?;
            before.iter().any(|(known, other)| known == name && other != value).then_some(&**name)
        })
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// A parameter, or a piece of one, as written.
struct Segment {
    /// Without what says which piece it is.
    name: String,
    /// The place among its pieces; `None` if it is not continued.
    place: Option<u32>,
    is_encoded: bool,
    value: String,
}

struct Reader<'t> {
    rest: &'t str,
    has_comment: bool,
}

impl<'t> Reader<'t> {
    fn until(&mut self, ends: impl Fn(char) -> bool) -> &'t str {
        let (piece, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        piece
    }

    /// White space and comments.
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches(is_blank);
            if !self.rest.starts_with('(') {
                return;
            }
            self.has_comment = true;
            let (mut depth, mut is_escaped) = (0_u32, false);
            let end = self.rest.find(|c| {
                match c {
                    _ if is_escaped => is_escaped = false,
                    '\\' => is_escaped = true,
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    _ => {}
                }
                depth == 0
            });
            self.rest = end.and_then(|end| self.rest.get(end + 1..)).unwrap_or_default();
        }
    }

    fn segments(&mut self) -> Vec<Segment> {
        let mut segments = Vec::new();
        while segments.len() < MAX_PARAMETERS {
            self.skip();
            if let Some(rest) = self.rest.strip_prefix([';', ',']) {
                self.rest = rest;
                continue;
            }
            if self.rest.is_empty() {
                break;
            }
            let name = self.until(|c| matches!(c, '=' | ';' | '(') || is_blank(c));
            self.skip();
            let Some(rest) = self.rest.strip_prefix('=') else {
                if name.is_empty() {
                    self.until(|c| c == ';');
                }
                continue;
            };
            self.rest = rest;
            self.skip();
            let value = self.value();
            segments.extend(Segment::of(name, value));
        }
        segments
    }

    fn value(&mut self) -> String {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            // Blanks stand within file names that nobody quoted; a fold ends them.
            return self.until(|c| matches!(c, ';' | '(' | '\r' | '\n')).trim().to_owned();
        };
        let mut value = String::new();
        let mut is_escaped = false;
        let mut characters = quoted.char_indices();
        let end = characters.find_map(|(at, c)| {
            match c {
                '\r' | '\n' => {}
                _ if is_escaped => {
                    value.push(c);
                    is_escaped = false;
                }
                '\\' => is_escaped = true,
                '"' => return Some(at + 1),
                _ => value.push(c),
            }
            None
        });
        self.rest = end.and_then(|end| quoted.get(end..)).unwrap_or_default();
        value
    }
}

impl Segment {
    fn of(name: &str, value: String) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let mut pieces = name.split('*');
        let base = pieces.next().filter(|base| !base.is_empty())?.to_owned();
        let (place, is_encoded) = match (pieces.next(), pieces.next()) {
            (None, _) => (None, false),
            (Some(""), _) => (None, true),
            (Some(place), last) => (Some(place.parse().unwrap_or(0)), last.is_some()),
        };
        Some(Self { name: base, place, is_encoded, value })
    }
}

/// Parameters of which the pieces are put together and decoded.
fn joined(segments: Vec<Segment>) -> Vec<(String, String)> {
    let mut all: Vec<(String, Vec<Segment>)> = Vec::new();
    for segment in segments {
        let is_piece = segment.place.is_some();
        let known = all.iter_mut().find(|(name, pieces)| {
            // A second piece with the same number begins another parameter.
            is_piece
                && *name == segment.name
                && pieces.first().is_some_and(|first| first.place.is_some())
                && pieces.iter().all(|piece| piece.place != segment.place)
        });
        match known {
            Some((_, pieces)) => pieces.push(segment),
            None => all.push((segment.name.clone(), vec![segment])),
        }
    }
    all.into_iter().map(|(name, pieces)| (name, value_of(pieces))).collect()
}

fn value_of(mut pieces: Vec<Segment>) -> String {
    pieces.sort_by_key(|piece| piece.place);
    if !pieces.iter().any(|piece| piece.is_encoded) {
        let value: String = pieces.into_iter().map(|piece| piece.value).collect();
        // No parameter may be an encoded word, and many are (RFC 2047 5).
        return if value.contains("=?") { words::decoded(value.as_bytes()).text } else { value };
    }
    let mut charset = None;
    let mut octets = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let mut text = &*piece.value;
        if at == 0 && piece.is_encoded {
            let mut marks = text.splitn(3, '\'');
            if let (Some(name), Some(_), Some(rest)) = (marks.next(), marks.next(), marks.next()) {
                charset = Some(name.to_ascii_lowercase());
                text = rest;
            }
        }
        match piece.is_encoded {
            true => octets.extend(encoding::percent_octets(text)),
            false => octets.extend(text.as_bytes()),
        }
    }
    charset::decoded(&octets, charset.as_deref()).0.into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_fields_say() {
        for (value, word, parameters) in [
            (" text/html", "text/html", ""),
            (" Text/HTML; charset=UTF-8", "text/html", "charset=UTF-8"),
            (
                " text/plain;\r\n\tCharSet = \"us-ascii\" ; format=flowed",
                "text/plain",
                "charset=us-ascii format=flowed",
            ),
            ("text/html charset=utf-8", "text/html", "charset=utf-8"),
            ("text / html;a=b", "text/html", "a=b"),
            ("(x)text(y(z)\\))/html(;a=b);c=(d)e", "text/html", "c=e"),
            ("attachment; filename=my file.pdf", "attachment", "filename=my file.pdf"),
            ("attachment; filename=\"a\\\"b;c\"; size=1", "attachment", "filename=a\"b;c size=1"),
            ("attachment; filename=\"open", "attachment", "filename=open"),
            ("a/b; boundary=\"x\r\n y\"", "a/b", "boundary=x y"),
            ("a/b; boundary=x; boundary=y", "a/b", "boundary=x boundary=y"),
            ("a/b;; ,=x; c=d;e", "a/b", "c=d"),
            ("a; filename*=utf-8''%C3%A4.txt", "a", "filename=\u{e4}.txt"),
            ("a; filename*=iso-8859-1'de'%E4", "a", "filename=\u{e4}"),
            ("a; filename*0=\"inv\"; filename*1=oice.exe", "a", "filename=invoice.exe"),
            ("a; filename*1=.exe; filename*0=b", "a", "filename=b.exe"),
            ("a; filename*0*=utf-8''%C3; filename*1*=%A4; filename*2=%41", "a", "filename=\u{e4}%41"),
            ("a; filename*0*=b; filename*0*=c", "a", "filename=b filename=c"),
            ("a; name=\"=?utf-8?b?w6Q=?= =?utf-8?q?x?=\"", "a", "name=\u{e4}x"),
            ("", "", ""),
            (";", "", ""),
            ("(", "", ""),
        ] {
            let read = Parameters::of(value.as_bytes());
            let all: Vec<String> = read.all.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!((&*read.word, &*all.join(" ")), (word, parameters), "{value}");
        }
        assert_eq!(Parameters::of(b"a/b; boundary=x; boundary=y").contradiction(), Some("boundary"));
        assert_eq!(Parameters::of(b"a/b; boundary=x; boundary=x").contradiction(), None);
        assert!(Parameters::of(b"a/b (c)").has_comment && !Parameters::of(b"a/b;c=\"(d)\"").has_comment);
    }

    proptest! {
        #[test]
        fn any_value_is_read(value in "(;|=|\\*|0|1|\"|'|\\(|\\)|\\\\|%|name|[ -~]|\r\n |\\PC){0,40}") {
            Parameters::of(value.as_bytes());
        }
    }
}
