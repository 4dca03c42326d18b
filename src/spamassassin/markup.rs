//! HTML in tokens: tags with their attributes, comments, declarations; entities.

/// Attributes of one tag, at most.
const ATTRIBUTES_MOST: usize = 60;
/// Octets of the name of one.
const KEY_MOST: usize = 256;

pub(super) fn starts_ignoring_case(text: &str, with: &str) -> bool {
    text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

/// A piece of a page that is no text.
pub(super) enum Token {
    Comment,
    Declaration,
    Open(String, Vec<(String, String)>),
    Close(String),
}

/// Finds tokens in a page, which is read once: what was looked for in vain is not looked for again.
pub(super) struct Tokenizer<'p> {
    page: &'p str,
    /// Where the last `>` stands: nothing ends behind it.
    last: Option<usize>,
    /// No comment ends behind the place that was read last.
    has_no_comment_end: bool,
}

impl<'p> Tokenizer<'p> {
    pub(super) fn new(page: &'p str) -> Self {
        Self { page, last: page.rfind('>'), has_no_comment_end: false }
    }

    #[cfg(test)]
    pub(super) fn has_no_comment_end(&self) -> bool {
        self.has_no_comment_end
    }

    /// True if something that begins at `at` can end.
    pub(super) fn can_end(&self, at: usize) -> bool {
        self.last.is_some_and(|last| last >= at)
    }

    /// The token that begins at `at`, with `<`, and its length. Places come in their order.
    pub(super) fn token(&mut self, at: usize) -> Option<(Token, usize)> {
        let text = self.page.get(at..).filter(|_| self.can_end(at))?;
        if let Some(rest) = text.strip_prefix("<!--") {
            let end = if self.has_no_comment_end { None } else { rest.find("-->") };
            self.has_no_comment_end = end.is_none();
            let end = end.map(|end| end + 7).or_else(|| rest.find('>').map(|end| end + 5))?;
            return Some((Token::Comment, end));
        }
        if text.starts_with("<!") || text.starts_with("<?") {
            return Some((Token::Declaration, behind_end(text, 0)?));
        }
        let (is_close, start) = if text.starts_with("</") { (true, 2) } else { (false, 1) };
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.');
        let name = text.get(start..)?;
        let name = name.get(..name.find(|c| !is_of_name(c)).unwrap_or(name.len()))?;
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let behind_name = start + name.len();
        let name = name.to_ascii_lowercase();
        if is_close {
            return Some((Token::Close(name), behind_end(text, behind_name)?));
        }
        let (attributes, at) = attributes(text, behind_name);
        // What is no tag, or too much of one, ends at the next sign that ends tags: it is not read again.
        let end = behind_end(text, at).or_else(|| behind_end(text, behind_name))?;
        Some((Token::Open(name, attributes), end))
    }
}

/// The place behind the next `>`.
fn behind_end(text: &str, from: usize) -> Option<usize> {
    text.get(from..)?.find('>').map(|length| from + length + 1)
}

/// The attributes of a tag, and where they end: at its end, or where it is no tag any more.
fn attributes(text: &str, start: usize) -> (Vec<(String, String)>, usize) {
    let mut at = start;
    let mut attributes = Vec::new();
    while attributes.len() < ATTRIBUTES_MOST {
        let rest = &text[at..];
        let blank = rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/').len();
        at += blank;
        let rest = &text[at..];
        if rest.is_empty() || rest.starts_with('>') {
            break;
        }
        let is_end = |c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/');
        let Some(length) = text[at..rest.floor_char_boundary(KEY_MOST) + at].find(is_end) else { break };
        let key = rest[..length].to_ascii_lowercase();
        at += length.max(usize::from(length == 0 && rest.starts_with('=')));
        let behind = text[at..].trim_start();
        let Some(value) = behind.strip_prefix('=') else {
            attributes.push((key, String::new()));
            continue;
        };
        let value = value.trim_start();
        at = text.len() - value.len();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (found, used) = match quote.and_then(|quote| value[1..].find(quote)) {
            Some(end) => (&value[1..=end], end + 2),
            None => {
                let end = value.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(value.len());
                (&value[..end], end)
            }
        };
        attributes.push((key, unescaped(found)));
        at += used;
    }
    (attributes, at)
}

/// Text with its entities undone.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match entity(rest) {
            Some((c, length)) => {
                out.push(c);
                rest = &rest[length..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

fn entity(text: &str) -> Option<(char, usize)> {
    if let Some(number) = text.strip_prefix("&#") {
        let (digits, radix, used) = match number.strip_prefix(['x', 'X']) {
            Some(digits) => (digits, 16, 3),
            None => (number, 10, 2),
        };
        let length = digits.chars().take_while(|c| c.is_digit(radix)).take(7).count();
        let c = char::from_u32(u32::from_str_radix(&digits[..length], radix).ok()?)?;
        let semicolon = usize::from(digits[length..].starts_with(';'));
        return Some((c, used + length + semicolon));
    }
    let name: String = text[1..].chars().take_while(char::is_ascii_alphanumeric).take(8).collect();
    let c = match name.as_str() {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "copy" => '\u{a9}',
        "reg" => '\u{ae}',
        "trade" => '\u{2122}',
        "euro" => '\u{20ac}',
        "pound" => '\u{a3}',
        "bull" => '\u{2022}',
        "middot" => '\u{b7}',
        "ndash" => '\u{2013}',
        "mdash" => '\u{2014}',
        "lsquo" => '\u{2018}',
        "rsquo" => '\u{2019}',
        "ldquo" => '\u{201c}',
        "rdquo" => '\u{201d}',
        "hellip" => '\u{2026}',
        "laquo" => '\u{ab}',
        "raquo" => '\u{bb}',
        "auml" => 'ä',
        "ouml" => 'ö',
        "uuml" => 'ü',
        "Auml" => 'Ä',
        "Ouml" => 'Ö',
        "Uuml" => 'Ü',
        "szlig" => 'ß',
        "eacute" => 'é',
        "egrave" => 'è',
        "agrave" => 'à',
        "aacute" => 'á',
        "oacute" => 'ó',
        "ccedil" => 'ç',
        "ntilde" => 'ñ',
        "shy" => '\u{ad}',
        "zwnj" => '\u{200c}',
        "zwj" => '\u{200d}',
        "deg" => '°',
        _ => return None,
    };
    let length = 1 + name.len();
    Some((c, length + usize::from(text[length..].starts_with(';'))))
}
