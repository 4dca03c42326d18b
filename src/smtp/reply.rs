//! Replies (RFC 5321 4.2, RFC 2034, RFC 3463): ours are built, the backend's are parsed and kept as they came.

use std::borrow::Cow;
use std::fmt;
use std::io::Write;

use memchr::{memchr, memchr2};

use super::Step;

/// `class.subject.detail` of RFC 3463.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnhancedStatus(pub u8, pub u16, pub u16);

/// A reply of one or more lines. Two replies are equal if they say the same, whoever says it.
#[derive(Clone, Debug)]
pub struct Reply {
    code: u16,
    /// Ours only: printed where ENHANCEDSTATUSCODES is in force.
    status: Option<EnhancedStatus>,
    /// Lines joined by LF, without code, separator or CRLF. The backend's words may be any octets.
    text: Cow<'static, [u8]>,
    /// True for the words of a backend, which are neither folded nor cleaned.
    verbatim: bool,
}

/// Why a server's bytes are no reply (RFC 5321 4.2). The session answers 4xx, never more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// No three digits from 200 to 599, or no separator behind them.
    #[error("malformed reply line")]
    Malformed,
    /// The lines of one reply carry different codes.
    #[error("reply lines with different codes")]
    MixedCodes,
    /// A bare CR, a bare LF or a NUL inside a reply.
    #[error("bare CR, bare LF or NUL in a reply")]
    BareNewline,
    /// More than [`MAX_REPLY`] octets or [`MAX_REPLY_LINES`] lines.
    #[error("reply too long")]
    TooLong,
}

/// Octets of a backend's reply that we are willing to hold.
pub const MAX_REPLY: usize = 16 * 1024;
/// Lines of a backend's reply that we are willing to hold.
pub const MAX_REPLY_LINES: usize = 128;
/// Octets of one reply line, CRLF included (RFC 5321 4.5.3.1.5).
const MAX_REPLY_LINE: usize = 512;
/// Characters of [`Reply::to_log`].
pub const MAX_LOG: usize = 512;

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Reply {
    /// A reply of ours. Code and status must be of one class (checked when a constant is built).
    pub const fn fixed(code: u16, status: EnhancedStatus, text: &'static str) -> Reply {
        assert!(code / 100 == status.0 as u16);
        Reply { code, status: Some(status), text: Cow::Borrowed(text.as_bytes()), verbatim: false }
    }

    /// A reply of ours without an enhanced status code: greetings, 354, EHLO and HELP.
    pub const fn plain(code: u16, text: &'static str) -> Reply {
        Reply { code, status: None, text: Cow::Borrowed(text.as_bytes()), verbatim: false }
    }

    /// A reply of ours with words made at run time. `status` is `None` where none may stand.
    pub fn new(code: u16, status: Option<EnhancedStatus>, text: impl Into<String>) -> Reply {
        Reply { code, status, text: Cow::Owned(text.into().into_bytes()), verbatim: false }
    }

    /// The three digits.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// 2, 3, 4 or 5.
    pub fn class(&self) -> u8 {
        (self.code / 100) as u8
    }

    /// True for 2xx.
    pub fn is_positive(&self) -> bool {
        self.class() == 2
    }

    /// The enhanced status code of a reply of ours.
    pub fn status(&self) -> Option<EnhancedStatus> {
        self.status
    }

    /// The enhanced status code that a backend wrote at the beginning of its text (RFC 2034 4): only
    /// one whose class is that of the reply code.
    pub fn enhanced_in_text(&self) -> Option<EnhancedStatus> {
        let first = self.lines().next()?;
        let word = first.split(|&octet| octet == b' ').next()?;
        let mut numbers = std::str::from_utf8(word).ok()?.split('.').map(small_number);
        let status = EnhancedStatus(u8::try_from(numbers.next()??).ok()?, numbers.next()??, numbers.next()??);
        let valid = numbers.next().is_none() && matches!(status.0, 2 | 4 | 5) && status.0 == self.class();
        valid.then_some(status)
    }

    /// The lines, without code and line end.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.text.split(|&octet| octet == b'\n')
    }

    /// Appends the reply as it goes over the wire; enhanced status codes only if `enhanced`. Our own
    /// lines are folded so that none passes 512 octets (RFC 5321 4.5.3.1.5) and cleaned of CR, NUL
    /// and other controls; a backend's lines go out as they came.
    pub fn write(&self, enhanced: bool, out: &mut Vec<u8>) {
        let status = self.status.filter(|_| enhanced);
        let mut rest: Option<&[u8]> = Some(&self.text);
        while let Some(text) = rest {
            let line = match memchr(b'\n', text) {
                Some(at) => {
                    rest = text.get(at + 1..);
                    text.get(..at).unwrap_or_default()
                }
                None => {
                    rest = None;
                    text
                }
            };
            if self.verbatim {
                self.write_line(rest.is_none(), status, line, out);
            } else {
                self.write_folded(rest.is_none(), status, line, out);
            }
        }
    }

    /// One line of ours, in as many lines as the limit asks for.
    fn write_folded(&self, last: bool, status: Option<EnhancedStatus>, line: &[u8], out: &mut Vec<u8>) {
        let status_width = status.map_or(0, |status| status.to_string_width() + 1);
        let room = MAX_REPLY_LINE - "250-\r\n".len() - status_width;
        let mut rest = line;
        while rest.len() > room {
            let (head, tail) = fold(rest, room);
            self.write_clean(false, status, head, out);
            rest = tail;
        }
        self.write_clean(last, status, rest, out);
    }

    fn write_clean(&self, last: bool, status: Option<EnhancedStatus>, line: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        self.write_line(last, status, line, out);
        let text_end = out.len() - 2;
        for octet in out.get_mut(start..text_end).unwrap_or_default() {
            if octet.is_ascii_control() {
                *octet = b' ';
            }
        }
    }

    fn write_line(&self, last: bool, status: Option<EnhancedStatus>, line: &[u8], out: &mut Vec<u8>) {
        let code = self.code;
        let digit = |value: u16| b'0' + (value % 10) as u8;
        out.extend_from_slice(&[digit(code / 100), digit(code / 10), digit(code), if last { b' ' } else { b'-' }]);
        if let Some(status) = status {
            write!(out, "{status} ").expect("writing into memory does not fail");
        }
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }

    /// One line for logs: code, status and text, controls escaped, at most 512 characters.
    pub fn to_log(&self) -> String {
        let mut log = self.code.to_string();
        if let Some(status) = self.status {
            log.push_str(&format!(" {status}"));
        }
        let mut length = log.len();
        for (index, line) in self.lines().enumerate() {
            let text = String::from_utf8_lossy(line);
            let separator = if index == 0 { " " } else { " / " };
            for character in separator.chars().chain(text.chars()) {
                let escaped = character.is_control().then(|| character.escape_default());
                length += escaped.as_ref().map_or(1, |escaped| escaped.len());
                if length > MAX_LOG {
                    return log;
                }
                match escaped {
                    Some(escaped) => log.extend(escaped),
                    None => log.push(character),
                }
            }
        }
        log
    }
}

impl PartialEq for Reply {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code && self.status == other.status && self.text == other.text
    }
}

impl Eq for Reply {}

impl EnhancedStatus {
    fn to_string_width(self) -> usize {
        let width = |value: u16| value.checked_ilog10().map_or(1, |log| log as usize + 1);
        width(u16::from(self.0)) + width(self.1) + width(self.2) + 2
    }
}

/// One to three digits.
fn small_number(text: &str) -> Option<u16> {
    let digits = (1..=3).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Cuts `line` so that the head has at most `room` octets: at the last space if there is one, and never
/// inside a UTF-8 sequence.
fn fold(line: &[u8], room: usize) -> (&[u8], &[u8]) {
    let window = line.get(..=room).unwrap_or(line);
    if let Some(space) = window.iter().rposition(|&octet| octet == b' ').filter(|&at| at > 0) {
        return (line.get(..space).unwrap_or_default(), line.get(space + 1..).unwrap_or_default());
    }
    let is_continuation = |octet: u8| octet & 0xC0 == 0x80;
    let boundary = (1..=room).rev().find(|&at| line.get(at).is_some_and(|&octet| !is_continuation(octet)));
    line.split_at(boundary.unwrap_or(room).min(line.len()))
}

/// One line of a reply: its code, whether it is the last, and the text.
struct ReplyLine<'a> {
    code: u16,
    last: bool,
    text: &'a [u8],
}

/// Takes the first reply off `buf`. Never reads past the last line of that reply.
///
/// The line without LF at the end of `buf` is not judged before it is complete, so that the answer
/// does not depend on how the bytes came.
pub fn parse_reply(buf: &[u8]) -> Result<Step<Reply>, ReplyError> {
    let window = buf.get(..MAX_REPLY).unwrap_or(buf);
    let (mut consumed, mut lines, mut text_length) = (0, 0, 0);
    let mut code = None;
    loop {
        let rest = window.get(consumed..).unwrap_or_default();
        let Some(at) = memchr(b'\n', rest) else {
            return if window.len() == MAX_REPLY { Err(ReplyError::TooLong) } else { Ok(Step::NeedMore) };
        };
        if lines == MAX_REPLY_LINES {
            return Err(ReplyError::TooLong);
        }
        let line = parse_line(rest.get(..at).unwrap_or_default())?;
        if *code.get_or_insert(line.code) != line.code {
            return Err(ReplyError::MixedCodes);
        }
        consumed += at + 1;
        lines += 1;
        text_length += line.text.len() + 1;
        if line.last {
            let reply = window.get(..consumed).unwrap_or_default();
            let value = Reply { code: line.code, status: None, text: join(reply, text_length).into(), verbatim: true };
            return Ok(Step::Ready { value, consumed });
        }
    }
}

/// `line` is without its LF.
fn parse_line(line: &[u8]) -> Result<ReplyLine<'_>, ReplyError> {
    let line = line.strip_suffix(b"\r").ok_or(ReplyError::BareNewline)?;
    if memchr2(b'\r', 0, line).is_some() {
        return Err(ReplyError::BareNewline);
    }
    let (digits, rest) = line.split_first_chunk::<3>().ok_or(ReplyError::Malformed)?;
    if !digits.iter().all(u8::is_ascii_digit) || !(b'2'..=b'5').contains(&digits[0]) {
        return Err(ReplyError::Malformed);
    }
    let code = digits.iter().fold(0, |code, &digit| code * 10 + u16::from(digit - b'0'));
    match rest.split_first() {
        None => Ok(ReplyLine { code, last: true, text: rest }),
        Some((b' ', text)) => Ok(ReplyLine { code, last: true, text }),
        Some((b'-', text)) => Ok(ReplyLine { code, last: false, text }),
        Some(_) => Err(ReplyError::Malformed),
    }
}

/// The texts of a complete, validated reply, joined by LF.
fn join(reply: &[u8], capacity: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(capacity);
    for (index, line) in reply.split_inclusive(|&octet| octet == b'\n').enumerate() {
        if index > 0 {
            text.push(b'\n');
        }
        let end = line.len().saturating_sub(2);
        text.extend_from_slice(line.get(4..end).unwrap_or_default());
    }
    text
}

#[cfg(test)]
mod tests;
