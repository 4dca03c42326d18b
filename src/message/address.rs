//! Address lists of header fields (RFC 5322 3.4 and 4.4, RFC 6854), read twice.
//!
//! [`parse`] reads what has one reading only. Whatever mail programs are known to read in different ways
//! it does not read at all: source routes, comments within addresses, two addresses side by side. Then
//! [`claims`] names every mailbox that one of them could show, so that nobody is taken for the author
//! while the reader sees somebody else. What even that cannot tell, [`readable`] reads as far as it goes.

mod claims;
mod token;

pub use claims::{claims, readable};

use crate::smtp::Domain;
use token::{Token, tokens};

/// Octets of a field that are read at all; a thousand times what one author needs.
const MAX_FIELD: usize = 64 << 10;
/// Mailboxes of one field that are read at all.
const MAX_MAILBOXES: usize = 1000;
/// Octets of a domain before it is converted to A-labels; beyond this it is none.
const MAX_WRITTEN_DOMAIN: usize = 1000;

/// One mailbox as written, cleaned of white space and comments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The display name, quotes taken off, encoded words untouched; may be empty.
    pub name: String,
    /// What stands before the `@`, quotes kept.
    pub local: String,
    /// What stands behind it: a name in any spelling, or `[...]`.
    pub domain: String,
}

/// One member of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A mailbox; `None` is `<>`, which is nobody.
    Mailbox(Option<Mailbox>),
    /// A group, perhaps without members.
    Group(Vec<Mailbox>),
}

/// Why a list was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Too long, or too many mailboxes.
    #[error("too long")]
    TooLong,
    /// Control characters.
    #[error("control characters")]
    Control,
    /// Not an address list, or one that is read in more than one way.
    #[error("malformed or ambiguous")]
    Malformed,
}

/// Reads the value of a field such as From, if it has one reading only.
///
/// # Errors
/// See [`AddressError`]; then [`claims`] says what others may see in it.
pub fn parse(value: &[u8]) -> Result<Vec<Address>, AddressError> {
    let text = unfolded(value)?;
    let tokens = tokens(&text).ok_or(AddressError::Malformed)?;
    let mut parser = Parser { tokens: &tokens, at: 0, mailboxes: 0 };
    let mut list = Vec::new();
    loop {
        parser.skip_comments();
        match parser.peek() {
            None => return Ok(list),
            // Empty members are obsolete and harmless (RFC 5322 4.4).
            Some(Token::Mark(b',')) => parser.at += 1,
            Some(_) => {
                list.push(parser.address()?);
                parser.expect_end_of_member(false)?;
            }
        }
    }
}

/// A domain name as DNS has it: A-labels, lower case, no trailing dot. `None` for address literals, for
/// addresses without brackets, and for whatever DNS could not hold.
pub fn domain_name(written: &str) -> Option<String> {
    if written.len() > MAX_WRITTEN_DOMAIN {
        return None;
    }
    let domain = Domain::parse(written).ok().filter(|domain| matches!(domain, Domain::Name(_)))?;
    let name = domain.to_ascii_lower();
    // Looked at once more: conversion makes `@` of a full-width one, and dots of what looks like one.
    let fits = |label: &str| {
        let octets = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(octets)
    };
    let is_address = name.rsplit('.').next().is_none_or(|last| last.bytes().all(|octet| octet.is_ascii_digit()));
    (name.len() <= 253 && name.split('.').all(fits) && !is_address).then_some(name)
}

/// The value in one line. White space at which it was folded stays.
fn unfolded(value: &[u8]) -> Result<Vec<u8>, AddressError> {
    if value.len() > MAX_FIELD {
        return Err(AddressError::TooLong);
    }
    let mut text = Vec::with_capacity(value.len());
    let mut octets = value.iter().copied().peekable();
    while let Some(octet) = octets.next() {
        match octet {
            b'\n' => {}
            b'\r' if octets.peek() == Some(&b'\n') => {}
            b'\t' => text.push(b' '),
            _ if octet.is_ascii_control() => return Err(AddressError::Control),
            _ => text.push(octet),
        }
    }
    Ok(text)
}

struct Parser<'t> {
    tokens: &'t [Token<'t>],
    at: usize,
    mailboxes: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<Token<'t>> {
        self.tokens.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek() == Some(Token::Space) {
            self.at += 1;
        }
    }

    fn skip_comments(&mut self) {
        while let Some(Token::Space | Token::Comment) = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, mark: u8) -> Result<(), AddressError> {
        if self.peek() != Some(Token::Mark(mark)) {
            return Err(AddressError::Malformed);
        }
        self.at += 1;
        Ok(())
    }

    /// A comma, the end, or the end of a group: that stays where it is.
    fn expect_end_of_member(&mut self, in_group: bool) -> Result<(), AddressError> {
        self.skip_comments();
        match self.peek() {
            None => Ok(()),
            Some(Token::Mark(b';')) if in_group => Ok(()),
            Some(_) => self.expect(b','),
        }
    }

    /// A mailbox or a group: the mark behind the first words tells.
    fn address(&mut self) -> Result<Address, AddressError> {
        let (words, mark) = self.words();
        if mark != Some(Token::Mark(b':')) {
            return self.mailbox(words, mark).map(Address::Mailbox);
        }
        if words.iter().all(|word| !word.is_word()) {
            return Err(AddressError::Malformed);
        }
        self.at += 1;
        let mut members = Vec::new();
        loop {
            self.skip_comments();
            match self.peek() {
                Some(Token::Mark(b';')) => {
                    self.at += 1;
                    return Ok(Address::Group(members));
                }
                Some(Token::Mark(b',')) => self.at += 1,
                _ => {
                    let (words, mark) = self.words();
                    members.extend(self.mailbox(words, mark)?);
                    self.expect_end_of_member(true)?;
                }
            }
        }
    }

    /// Words, dots and what stands between them, and the mark behind.
    fn words(&mut self) -> (&'t [Token<'t>], Option<Token<'t>>) {
        let rest = self.tokens.get(self.at..).unwrap_or_default();
        let is_inside = |token: &Token| match token {
            Token::Space | Token::Comment | Token::Mark(b'.') => true,
            other => other.is_word(),
        };
        let length = rest.iter().position(|token| !is_inside(token)).unwrap_or(rest.len());
        self.at += length;
        (rest.get(..length).unwrap_or_default(), self.peek())
    }

    /// `words <address>` or `words@domain`.
    fn mailbox(&mut self, words: &'t [Token<'t>], mark: Option<Token<'t>>) -> Result<Option<Mailbox>, AddressError> {
        self.mailboxes += 1;
        if self.mailboxes > MAX_MAILBOXES {
            return Err(AddressError::TooLong);
        }
        match mark {
            Some(Token::Mark(b'@')) => self.addr_spec(words).map(Some),
            Some(Token::Mark(b'<')) => {
                self.at += 1;
                self.skip_space();
                let (local, mark) = self.words();
                if local.is_empty() && mark == Some(Token::Mark(b'>')) {
                    self.at += 1;
                    return Ok(None);
                }
                let mailbox = self.addr_spec(local)?;
                self.skip_space();
                self.expect(b'>')?;
                Ok(Some(Mailbox { name: phrase(words), ..mailbox }))
            }
            _ => Err(AddressError::Malformed),
        }
    }

    /// The rest of an address whose local part is `local`. The domain is in one piece.
    fn addr_spec(&mut self, local: &[Token]) -> Result<Mailbox, AddressError> {
        let local = local_part(local).ok_or(AddressError::Malformed)?;
        self.expect(b'@')?;
        self.skip_space();
        let mut domain = String::new();
        if let Some(Token::Literal(text)) = self.peek() {
            self.at += 1;
            domain = format!("[{}]", utf8(text)?);
        } else {
            while let Some(token @ (Token::Atom(_) | Token::Mark(b'.'))) = self.peek() {
                domain.push_str(utf8(token.octets())?);
                self.at += 1;
            }
        }
        if domain.is_empty() {
            Err(AddressError::Malformed)
        } else {
            Ok(Mailbox { name: String::new(), local, domain })
        }
    }
}

/// A local part in one piece: a quoted string, or atoms with dots anywhere, as some hosts have them.
fn local_part(tokens: &[Token]) -> Option<String> {
    let last = tokens.iter().rposition(|token| *token != Token::Space)?;
    match tokens.get(..=last)? {
        // What looks like another address, escaped or not, may be taken for one.
        [Token::Quoted(inside)] if !inside.iter().any(|octet| matches!(octet, b'@' | b'\\')) => {
            Some(format!("\"{}\"", String::from_utf8_lossy(inside)))
        }
        parts => {
            let mut local = String::new();
            for part in parts {
                match part {
                    Token::Atom(text) if !text.windows(2).any(|pair| pair == b"=?") => {
                        local.push_str(&String::from_utf8_lossy(text));
                    }
                    Token::Mark(b'.') => local.push('.'),
                    _ => return None,
                }
            }
            Some(local)
        }
    }
}

/// A display name: its words with single spaces.
fn phrase(tokens: &[Token]) -> String {
    let mut name = String::new();
    let mut spaced = false;
    for token in tokens {
        match token {
            Token::Space | Token::Comment => spaced = !name.is_empty(),
            Token::Quoted(_) | Token::Atom(_) | Token::Encoded(_) | Token::Mark(_) | Token::Literal(_) => {
                if std::mem::take(&mut spaced) {
                    name.push(' ');
                }
                name.push_str(&String::from_utf8_lossy(token.octets()));
            }
        }
    }
    name
}

fn utf8(octets: &[u8]) -> Result<&str, AddressError> {
    std::str::from_utf8(octets).map_err(|_| AddressError::Malformed)
}

#[cfg(test)]
mod tests;
