//! The texts that rules read: the body in paragraphs, the body as it was decoded.

use super::html::Page;
use super::mail::{Mail, in_utf8};
use crate::pattern::Budget;

/// Lines of a body that are texts of their own; those behind them stand together in texts of such a length.
const LINES_MOST: usize = 8_000;
/// Octets of one line of a body.
const LINE_MOST: usize = 2048;
/// Octets of one part that are read as text.
const PART_MOST: usize = 50_000;
/// Octets of one part that are read as they were decoded.
const RAW_PART_MOST: usize = 500_000;

/// What there is to read in a body.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// The subject, then paragraphs, white space collapsed.
    pub(super) body: Vec<Vec<u8>>,
    /// How many lines of it the subject takes.
    pub(super) subject_lines: usize,
    /// Parts as decoded, in chunks.
    pub(super) raw: Vec<Vec<u8>>,
    /// Its pages.
    pub(super) pages: Vec<Page>,
    /// Texts of parts, as rendered: type and text.
    pub(super) rendered: Vec<(bool, String)>,
}

impl Texts {
    pub(super) fn of(mail: &Mail, budget: &mut Budget) -> Self {
        let mut texts = Self::default();
        let mut joined = String::new();
        for part in mail.leaves() {
            if !joined.is_empty() {
                joined.push('\n');
            }
            let kind = part.effective_kind();
            let is_html = kind == "text/html" && !part.decoded.is_empty();
            if kind == "text/plain" || kind == "text/html" {
                let text = in_utf8(&part.decoded, part.charset.as_deref());
                let text = if is_html {
                    let page = Page::of(&text, budget);
                    let text = page.text.clone();
                    texts.pages.push(page);
                    text
                } else {
                    text
                };
                joined.push_str(cut(&text, PART_MOST));
                texts.rendered.push((is_html, text));
            }
            if (kind.starts_with("text/") || kind.starts_with("message/")) && part.kind != "text/calendar" {
                let decoded = part.decoded.get(..RAW_PART_MOST).unwrap_or(&part.decoded);
                chunks(decoded, &mut texts.raw);
            }
        }
        let subject = mail.named("subject").next_back().map_or(&b""[..], |field| &field.value);
        let mut first = subject.to_vec();
        first.push(b'\n');
        lines(&first, &mut texts.body);
        texts.subject_lines = texts.body.len();
        lines(paragraphs(&joined).as_bytes(), &mut texts.body);
        texts
    }
}

/// The beginning, up to a line end or a space if one is near.
fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    if end == text.len() {
        return text;
    }
    let behind = &text[end..];
    let near = behind.find('\n').or_else(|| behind.find(' ')).filter(|length| *length <= 1024);
    &text[..near.map_or(end, |length| end + length + 1)]
}

/// Paragraphs as lines: white space is one space, empty lines end a paragraph.
fn paragraphs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_whitespace()) {
        out.push_str(&rest[..start]);
        let blank = rest.len() - start - rest[start..].trim_start().len();
        let space = &rest[start..start + blank];
        let ends = space.bytes().filter(|octet| *octet == b'\n').count();
        // What stands before the first line end, and behind the last, is a space of its own.
        match ends {
            0 | 1 => out.push(' '),
            _ => {
                if !space.starts_with('\n') {
                    out.push(' ');
                }
                out.push('\n');
                if !space.ends_with('\n') {
                    out.push(' ');
                }
            }
        }
        rest = &rest[start + blank..];
    }
    out.push_str(rest);
    out
}

/// Lines with their ends, long ones cut at spaces.
fn lines(text: &[u8], out: &mut Vec<Vec<u8>>) {
    for line in text.split_inclusive(|octet| *octet == b'\n') {
        let is_many = out.len() >= LINES_MOST;
        if let Some(last) = out.last_mut().filter(|last| is_many && last.len() + line.len() <= LINE_MOST) {
            last.extend_from_slice(line);
            continue;
        }
        let mut rest = line;
        while rest.len() > LINE_MOST {
            let length = memchr::memrchr(b' ', &rest[..=LINE_MOST]).map_or(LINE_MOST, |at| at + 1);
            out.push(rest[..length].to_vec());
            rest = &rest[length..];
        }
        out.push(rest.to_vec());
    }
}

/// Chunks of one to two lines' length, cut at line ends, brackets or spaces.
fn chunks(text: &[u8], out: &mut Vec<Vec<u8>>) {
    if text.len() <= LINE_MOST {
        out.push(text.to_vec());
        return;
    }
    let mut start = 0;
    while text.len() - start > 2 * LINE_MOST {
        let window = &text[start + LINE_MOST..(start + 2 * LINE_MOST).min(text.len())];
        let end = [b'\n', b'>', b' '].iter().find_map(|octet| memchr::memchr(*octet, window)).unwrap_or(0);
        let end = start + LINE_MOST + end + 1;
        out.push(text[start..end].to_vec());
        start = end;
    }
    if start < text.len() {
        out.push(text[start..].to_vec());
    }
}
