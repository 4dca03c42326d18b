//! HTML in tokens: tags with their attributes, comments, declarations; entities.

/// Attributes of one tag, at most.
const ATTRIBUTES_MOST: usize = 60;

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

/// The token that begins here, at `<`.
pub(super) fn token(text: &str) -> Option<(Token, usize)> {
    if let Some(rest) = text.strip_prefix("<!--") {
        let end = rest.find("-->").map(|end| end + 7).or_else(|| rest.find('>').map(|end| end + 5))?;
        return Some((Token::Comment, end));
    }
    if text.starts_with("<!") || text.starts_with("<?") {
        return Some((Token::Declaration, text.find('>')? + 1));
    }
    let (is_close, start) = if text.starts_with("</") { (true, 2) } else { (false, 1) };
    let name: String = text[start..]
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.'))
        .collect::<String>()
        .to_ascii_lowercase();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let mut at = start + name.len();
    if is_close {
        let end = text[at..].find('>')? + at + 1;
        return Some((Token::Close(name), end));
    }
    let mut attributes = Vec::new();
    while attributes.len() < ATTRIBUTES_MOST {
        let rest = &text[at..];
        let blank = rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/').len();
        at += blank;
        let rest = &text[at..];
        if rest.starts_with('>') {
            return Some((Token::Open(name, attributes), at + 1));
        }
        let length = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/')).unwrap_or(rest.len());
        if rest.is_empty() {
            return None;
        }
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
    None
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
