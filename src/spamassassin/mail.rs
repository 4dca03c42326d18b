//! A message in the form that the rules were written for: lines that end in LF, fields, parts.

use mail_parser::decoders::charsets::map::charset_decoder;

use crate::message::encoding as decoding;

/// Parts of one message, at most.
const PARTS_MOST: usize = 500;
/// Nesting, at most.
const DEEPEST: usize = 20;
/// Octets of a part that are decoded.
const DECODED_MOST: usize = 1 << 20;

/// A message.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// The whole, with LF.
    pub(super) octets: Vec<u8>,
    /// Where its body begins.
    pub(super) body: usize,
    /// Its parts in their order, the message itself first.
    pub(super) parts: Vec<Part>,
    /// The header section ends without an empty line.
    pub(super) lacks_separator: bool,
    /// A part has no empty line behind its fields.
    pub(super) part_lacks_separator: bool,
    /// A part has no fields at all.
    pub(super) part_lacks_fields: bool,
    /// Text stands behind the last boundary.
    pub(super) has_epilogue: bool,
}

/// One part.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) fields: Vec<Field>,
    /// `type/subtype` in lower case.
    pub(super) kind: String,
    pub(super) charset: Option<String>,
    pub(super) name: Option<String>,
    /// False for a multipart, and for a message that was read in turn.
    pub(super) is_leaf: bool,
    pub(super) depth: usize,
    /// Its octets in the message, encoded.
    pub(super) raw: std::ops::Range<usize>,
    /// Its octets, decoded; empty but for leaves.
    pub(super) decoded: Vec<u8>,
}

/// One header field.
#[derive(Debug, Default, Clone)]
pub(super) struct Field {
    pub(super) name: String,
    /// As it came, without the white space before it, with its line ends.
    pub(super) raw: Vec<u8>,
    /// Unfolded, encoded words undone, in UTF-8.
    pub(super) value: Vec<u8>,
}

impl Mail {
    /// Reads a message.
    pub(super) fn of(octets: &[u8]) -> Self {
        let mut mail = Self { octets: with_lf(octets), ..Self::default() };
        let octets = std::mem::take(&mut mail.octets);
        let (fields, body, is_separated) = fields(&octets, 0..octets.len());
        mail.body = body;
        mail.lacks_separator = !is_separated && body < octets.len();
        mail.read(&octets, fields, body..octets.len(), 0, "text/plain");
        mail.octets = octets;
        mail
    }

    pub(super) fn fields(&self) -> &[Field] {
        self.parts.first().map_or(&[], |part| &part.fields)
    }

    pub(super) fn named<'m>(&'m self, name: &'m str) -> impl DoubleEndedIterator<Item = &'m Field> {
        self.fields().iter().filter(move |field| field.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn leaves(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| part.is_leaf)
    }

    fn read(&mut self, octets: &[u8], fields: Vec<Field>, raw: std::ops::Range<usize>, depth: usize, default: &str) {
        if self.parts.len() >= PARTS_MOST {
            return;
        }
        let mut part = Part { fields, depth, raw: raw.clone(), is_leaf: true, ..Part::default() };
        let content_type = part.last("content-type").map(|field| String::from_utf8_lossy(&field.value).into_owned());
        let content_type = content_type.unwrap_or_default();
        part.kind = kind(&content_type).unwrap_or_else(|| default.to_owned());
        part.charset = parameter(&content_type, "charset").map(|charset| charset.to_ascii_lowercase());
        let disposition =
            part.last("content-disposition").map(|field| String::from_utf8_lossy(&field.value).into_owned());
        part.name =
            parameter(&disposition.unwrap_or_default(), "filename").or_else(|| parameter(&content_type, "name"));
        let boundary = parameter(&content_type, "boundary");
        let inner_default = if part.kind == "multipart/digest" { "message/rfc822" } else { "text/plain" };
        let encoding = part.encoding();
        if let Some(boundary) = boundary.filter(|_| part.kind.starts_with("multipart/") && depth < DEEPEST) {
            part.is_leaf = false;
            self.parts.push(part);
            self.split(octets, raw, &boundary, depth, inner_default);
        } else if part.kind == "message/rfc822"
            && depth < DEEPEST
            && !matches!(encoding.as_str(), "base64" | "quoted-printable")
        {
            part.is_leaf = false;
            self.parts.push(part);
            let (fields, body, _) = super::mail::fields(octets, raw.clone());
            self.read(octets, fields, body..raw.end, depth + 1, "text/plain");
        } else {
            part.decoded = decoded(&octets[raw], &encoding, &part.kind);
            self.parts.push(part);
        }
    }

    fn split(&mut self, octets: &[u8], raw: std::ops::Range<usize>, boundary: &str, depth: usize, default: &str) {
        let boundary: Vec<u8> = boundary.chars().map(|c| c as u32 as u8).collect();
        let mut starts: Option<usize> = None;
        let mut at = raw.start;
        let mut is_closed = false;
        while at < raw.end {
            let end = memchr::memchr(b'\n', &octets[at..raw.end]).map_or(raw.end, |length| at + length + 1);
            let line = &octets[at..end];
            let inside = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(&boundary[..]));
            if let Some(rest) = inside {
                let rest = rest.trim_ascii_end();
                if rest.is_empty() || rest == b"--" {
                    if let Some(start) = starts {
                        // The line end before a boundary is the boundary's.
                        let stop = if at > start && octets[at - 1] == b'\n' { at - 1 } else { at };
                        self.read_part(octets, start..stop.max(start), depth, default);
                    }
                    starts = (rest != b"--").then_some(end);
                    if rest == b"--" {
                        is_closed = true;
                        at = end;
                        break;
                    }
                }
            }
            at = end;
        }
        if let Some(start) = starts {
            self.read_part(octets, start..raw.end, depth, default);
        }
        if is_closed && depth == 0 && !octets[at.min(raw.end)..raw.end].trim_ascii().is_empty() {
            self.has_epilogue = true;
        }
    }

    fn read_part(&mut self, octets: &[u8], raw: std::ops::Range<usize>, depth: usize, default: &str) {
        let (fields, body, is_separated) = fields(octets, raw.clone());
        self.part_lacks_separator |= !is_separated && !fields.is_empty();
        self.part_lacks_fields |= fields.is_empty();
        self.read(octets, fields, body..raw.end, depth + 1, default);
    }
}

impl Part {
    pub(super) fn last(&self, name: &str) -> Option<&Field> {
        self.fields.iter().rev().find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// The transfer encoding that it names, in lower case.
    pub(super) fn encoding(&self) -> String {
        let value = self.last("content-transfer-encoding").map(|field| field.value.as_slice()).unwrap_or_default();
        String::from_utf8_lossy(value).trim().to_ascii_lowercase()
    }

    /// The type that its name says, where it says HTML.
    pub(super) fn effective_kind(&self) -> &str {
        let name = self.name.as_deref().unwrap_or_default().to_ascii_lowercase();
        let is_html = [".html", ".htm", ".shtml", ".shtm"].iter().any(|extension| name.ends_with(extension));
        if is_html { "text/html" } else { &self.kind }
    }
}

fn with_lf(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut octets = octets.iter().peekable();
    while let Some(&octet) = octets.next() {
        if octet != b'\r' || octets.peek() != Some(&&b'\n') {
            out.push(octet);
        }
    }
    out
}

/// The fields at the beginning of a range, where the body begins, and whether an empty line stands between.
fn fields(octets: &[u8], range: std::ops::Range<usize>) -> (Vec<Field>, usize, bool) {
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    let mut at = range.start;
    let mut is_separated = false;
    while at < range.end {
        let end = memchr::memchr(b'\n', &octets[at..range.end]).map_or(range.end, |length| at + length + 1);
        let line = &octets[at..end];
        if line.trim_ascii_end().is_empty() && !matches!(line.first(), Some(b' ' | b'\t')) {
            is_separated = true;
            at = end;
            break;
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            match found.last_mut() {
                Some((_, value)) => value.extend_from_slice(line),
                None => break,
            }
        } else if let Some(colon) = colon(line) {
            let name = String::from_utf8_lossy(line[..colon].trim_ascii_end()).into_owned();
            let value = &line[colon + 1..];
            let blank = value.iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
            found.push((name, value[blank..].to_vec()));
        } else {
            break;
        }
        at = end;
    }
    let fields = found.into_iter().map(|(name, raw)| {
        let value = value(&name, &raw);
        Field { name, raw, value }
    });
    (fields.collect(), at, is_separated || at >= range.end)
}

fn colon(line: &[u8]) -> Option<usize> {
    let colon = memchr::memchr(b':', line)?;
    let name = line[..colon].trim_ascii_end();
    (!name.is_empty() && name.iter().all(|octet| (0x21..0x7f).contains(octet))).then_some(colon)
}

/// The value of a field: unfolded, decoded.
fn value(name: &str, raw: &[u8]) -> Vec<u8> {
    let mut flat = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        if raw[at] == b'\n' {
            let blank = raw[at + 1..].iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
            if blank > 0 {
                flat.push(b' ');
            }
            at += 1 + blank;
        } else {
            flat.push(raw[at]);
            at += 1;
        }
    }
    let flat = flat.trim_ascii();
    let flat = if flat.is_ascii() { flat.to_vec() } else { in_utf8(flat, Some("utf-8")).into_bytes() };
    let name = name.to_ascii_lowercase();
    let is_plain = matches!(
        name.as_str(),
        "received"
            | "message-id"
            | "resent-message-id"
            | "date"
            | "resent-date"
            | "mime-version"
            | "references"
            | "in-reply-to"
    ) || name.starts_with("list-");
    if is_plain { flat } else { decoded_words(&flat) }
}

/// Encoded words (RFC 2047) undone, in UTF-8.
pub(super) fn decoded_words(text: &[u8]) -> Vec<u8> {
    if memchr::memmem::find(text, b"=?").is_none() {
        return text.to_vec();
    }
    // Runs of octets in one charset: words that follow each other are joined before they are decoded.
    let mut runs: Vec<(Option<String>, Vec<u8>)> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if let Some((length, charset, octets)) = word(&text[at..]) {
            let blank_before = runs.len() >= 2
                && runs[runs.len() - 1].0.is_none()
                && runs[runs.len() - 1].1.iter().all(u8::is_ascii_whitespace);
            if blank_before {
                runs.pop();
            }
            match runs.last_mut() {
                Some((Some(last), run)) if *last == charset => run.extend(octets),
                _ => runs.push((Some(charset), octets)),
            }
            at += length;
            continue;
        }
        match runs.last_mut() {
            Some((None, run)) => run.push(text[at]),
            _ => runs.push((None, vec![text[at]])),
        }
        at += 1;
    }
    let mut out = Vec::with_capacity(text.len());
    for (charset, octets) in runs {
        match charset {
            Some(charset) => out.extend(in_utf8(&octets, Some(&charset)).into_bytes()),
            None => out.extend(octets),
        }
    }
    out
}

/// The encoded word at the beginning: its length, charset and octets.
fn word(text: &[u8]) -> Option<(usize, String, Vec<u8>)> {
    let rest = text.strip_prefix(b"=?")?;
    let charset_length = memchr::memchr(b'?', rest).filter(|length| (1..=40).contains(length))?;
    let charset = std::str::from_utf8(&rest[..charset_length]).ok()?;
    if !charset.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'*' | b'_' | b'-')) {
        return None;
    }
    let encoding = rest.get(charset_length + 1)?.to_ascii_lowercase();
    let encoded = rest.get(charset_length + 2..)?.strip_prefix(b"?")?;
    let length = memchr::memchr(b'?', encoded)?;
    encoded[length..].strip_prefix(b"?=")?;
    let charset = charset.split('*').next().unwrap_or_default().to_ascii_lowercase();
    let octets = match encoding {
        b'b' => decoding::base64(&encoded[..length], DECODED_MOST),
        b'q' => {
            let plain: Vec<u8> =
                encoded[..length].iter().map(|octet| if *octet == b'_' { b' ' } else { *octet }).collect();
            quoted(&plain)
        }
        _ => return None,
    };
    Some((2 + charset_length + 3 + length + 2, charset, octets))
}

fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    let digit = |octet: Option<&u8>| octet.and_then(|octet| (*octet as char).to_digit(16));
    while at < text.len() {
        match (text[at], digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (b'=', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (octet, _, _) => {
                out.push(octet);
                at += 1;
            }
        }
    }
    out
}

fn decoded(raw: &[u8], encoding: &str, kind: &str) -> Vec<u8> {
    match encoding {
        "base64" => {
            let octets = decoding::base64(raw, DECODED_MOST);
            if kind.starts_with("text/") || kind.starts_with("message/") { with_lf(&octets) } else { octets }
        }
        "quoted-printable" => with_lf(&decoding::quoted_printable(raw, DECODED_MOST)),
        _ => raw.get(..DECODED_MOST).unwrap_or(raw).to_vec(),
    }
}

/// Text in UTF-8: as it is where it is that already, else of the charset that it names, else of western Europe.
pub(super) fn in_utf8(octets: &[u8], charset: Option<&str>) -> String {
    if let Ok(text) = std::str::from_utf8(octets) {
        let is_shifted = charset.is_some_and(|charset| charset.starts_with("iso-2022") || charset.starts_with("utf-7"));
        if !is_shifted && !charset.is_some_and(|charset| charset.starts_with("utf-16")) {
            return text.to_owned();
        }
    }
    let charset = charset.unwrap_or("windows-1252").trim();
    let charset = if matches!(charset, "iso-8859-1" | "us-ascii" | "ascii" | "utf-8" | "utf8" | "cp1252" | "") {
        "windows-1252"
    } else {
        charset
    };
    let decoder = charset_decoder(charset.as_bytes()).or_else(|| charset_decoder(b"windows-1252"));
    decoder.map_or_else(|| String::from_utf8_lossy(octets).into_owned(), |decode| decode(octets))
}

fn kind(content_type: &str) -> Option<String> {
    let kind = content_type.split(';').next()?.trim().trim_matches('"').to_ascii_lowercase();
    let kind: String = kind.chars().filter(|c| !c.is_whitespace()).collect();
    let is_kind = kind.split_once('/').is_some_and(|(class, name)| !class.is_empty() && !name.is_empty());
    is_kind.then_some(kind)
}

/// A parameter of a field, without its quotes.
pub(super) fn parameter(value: &str, name: &str) -> Option<String> {
    let lower = value.to_ascii_lowercase();
    let mut from = 0;
    while let Some(at) = lower[from..].find(name).map(|at| at + from) {
        from = at + name.len();
        let before = lower[..at].chars().next_back();
        let behind = value[from..].trim_start_matches(['*', '0']).trim_start();
        if !before.is_none_or(|c| c == ';' || c.is_whitespace()) {
            continue;
        }
        let Some(behind) = behind.strip_prefix('=').map(str::trim_start) else { continue };
        let found = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next(),
            None => behind.split([';', ' ', '\t']).next(),
        };
        return found.map(|found| found.trim_end().to_owned());
    }
    None
}
