//! The tokens of structured fields (RFC 5322 3.2), over one unfolded line without control characters.

/// One token. Octets above 127 are letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// White space.
    Space,
    /// A comment, its nested ones included.
    Comment,
    /// An atom.
    Atom(&'t [u8]),
    /// An encoded word (RFC 2047), which may hold what an atom may not.
    Encoded(&'t [u8]),
    /// The inside of a quoted string, backslashes kept.
    Quoted(&'t [u8]),
    /// The inside of a domain literal.
    Literal(&'t [u8]),
    /// `<`, `>`, `@`, `,`, `:`, `;` or `.`.
    Mark(u8),
}

impl<'t> Token<'t> {
    /// True if a phrase may be made of it.
    pub(super) fn is_word(&self) -> bool {
        matches!(self, Self::Atom(_) | Self::Encoded(_) | Self::Quoted(_))
    }

    /// What it says.
    pub(super) fn octets(&self) -> &'t [u8] {
        match self {
            Self::Space | Self::Comment => b" ",
            Self::Atom(text) | Self::Encoded(text) | Self::Quoted(text) | Self::Literal(text) => text,
            Self::Mark(b'.') => b".",
            Self::Mark(_) => b"",
        }
    }
}

/// The tokens of `text`; `None` if it is not made of such, or if a comment or quoted string may end
/// elsewhere for others and holds an address.
pub(super) fn tokens(text: &[u8]) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(&first) = rest.first() {
        let (token, length) = match first {
            b' ' => (Token::Space, run(rest, |octet| octet == b' ')),
            b'(' => {
                let length = comment_length(rest)?;
                let has_address = rest.get(..length)?.contains(&b'@');
                (!has_address).then_some((Token::Comment, length))?
            }
            b'"' => {
                let inside = quoted_inside(rest)?;
                let is_doubtful = inside.contains(&b'\\') && inside.contains(&b'@');
                (!is_doubtful).then_some((Token::Quoted(inside), inside.len() + 2))?
            }
            b'[' => {
                let end = rest.iter().position(|&octet| octet == b']')?;
                (Token::Literal(rest.get(1..end)?), end + 1)
            }
            b'<' | b'>' | b'@' | b',' | b':' | b';' | b'.' => (Token::Mark(first), 1),
            _ => match encoded_word_length(rest) {
                Some(length) => (Token::Encoded(rest.get(..length)?), length),
                None => {
                    let length = run(rest, is_atext);
                    (Token::Atom(rest.get(..length).filter(|atom| !atom.is_empty())?), length)
                }
            },
        };
        tokens.push(token);
        rest = rest.get(length..)?;
    }
    Some(tokens)
}

/// Octets of atoms (RFC 5322 3.2.3, RFC 6532 3.2).
pub(super) fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
}

/// Length of the comment at the beginning of `text`; `None` if it never ends.
pub(super) fn comment_length(text: &[u8]) -> Option<usize> {
    let (mut depth, mut escaped) = (0_usize, false);
    for (at, octet) in text.iter().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' if depth <= 1 => return Some(at + 1),
            b')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The inside of the quoted string at the beginning of `text`; `None` if it never ends.
pub(super) fn quoted_inside(text: &[u8]) -> Option<&[u8]> {
    let mut escaped = false;
    let end = text.iter().enumerate().skip(1).find(|(_, octet)| {
        let ends = **octet == b'"' && !escaped;
        escaped = **octet == b'\\' && !escaped;
        ends
    });
    text.get(1..end?.0)
}

/// Length of an encoded word that cannot be taken for anything else. It may hold an `@` or a comma, as
/// careless senders write it, but not both: that is an address in a list to whoever knows no encoded words.
fn encoded_word_length(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"=?")?;
    let mut parts = rest.splitn(4, |&octet| octet == b'?');
    let (charset, encoding, payload, end) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_encoding = matches!(encoding, [b'b' | b'B' | b'q' | b'Q']);
    let fits = |octet: &u8| is_atext(*octet) || matches!(octet, b'@' | b',' | b'.');
    let is_list = payload.contains(&b'@') && payload.contains(&b',');
    let is_word = is_encoding
        && !charset.is_empty()
        && charset.iter().all(|octet| is_atext(*octet))
        && payload.iter().all(fits)
        && !is_list
        && end.first() == Some(&b'=');
    is_word.then_some(charset.len() + encoding.len() + payload.len() + "=????=".len())
}

fn run(text: &[u8], fits: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|&octet| !fits(octet)).unwrap_or(text.len())
}
