//! Text and tags in which there is nothing special: what nearly all of a document consists of, read as the tokenizer
//! reads it, at a fraction of its cost. Whatever is not certain is left to the tokenizer.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memchr3};

use super::{Attribute, Tag};

/// Attributes of a tag that is plain.
const MAX_ATTRIBUTES: usize = 64;
/// Entities that say the same wherever they stand.
const ENTITIES: [(&str, &str); 5] =
    [("&nbsp;", "\u{a0}"), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\"")];

/// The text from `start` up to the next tag, that tag in `tag`, and where it ends; `None` if there is none within
/// `most` octets, or if any of it is not plain.
pub(super) fn next<'t>(html: &'t str, start: usize, most: usize, tag: &mut Tag<'t>) -> Option<(&'t str, usize)> {
    let octets = html.as_bytes();
    let octets = octets.get(..octets.len().min(start + most))?;
    let open = start + memchr(b'<', octets.get(start..)?)?;
    let text = html.get(start..open)?;
    if !is_plain(text) {
        return None;
    }
    Some((text, read(html, octets, open + 1, tag)?))
}

/// Text of which the tokenizer makes nothing but what [`tell`] makes of it.
fn is_plain(text: &str) -> bool {
    // The tokenizer drops the mark of the order of octets where what it is fed begins.
    if text.starts_with('\u{feff}') {
        return false;
    }
    let mut rest = text;
    while let Some(at) = memchr2(b'&', 0, rest.as_bytes()) {
        let Some((_, after)) = entity(rest.get(at..).unwrap_or_default()) else { return false };
        if after.starts_with('\r') && !after.starts_with("\r\n") {
            return false;
        }
        rest = after;
    }
    true
}

/// What the entity at the beginning of a text says, and what follows it.
fn entity(text: &str) -> Option<(&'static str, &str)> {
    ENTITIES.iter().find_map(|(name, meaning)| Some((*meaning, text.strip_prefix(name)?)))
}

/// Tells a plain text in the pieces in which the tokenizer tells it: whoever keeps the beginning counts on them.
pub(super) fn tell(text: &str, told: &mut impl FnMut(&str)) {
    let mut rest = text;
    // One character is told alone: behind an entity, and behind a line end of two octets.
    let mut is_alone = false;
    while let Some(first) = rest.chars().next() {
        let (piece, after) = match first {
            '\r' => {
                let behind = rest.get(1..).unwrap_or_default();
                is_alone = true;
                ("\n", behind.strip_prefix('\n').unwrap_or(behind))
            }
            '\n' => {
                is_alone = false;
                rest.split_at(1)
            }
            '&' => {
                let (meaning, after) = entity(rest).unwrap_or(("&", rest.get(1..).unwrap_or_default()));
                is_alone = true;
                if let Some(behind) = after.strip_prefix("\r\n") {
                    told(meaning);
                    is_alone = false;
                    ("\n", behind)
                } else {
                    (meaning, after)
                }
            }
            first if is_alone => {
                is_alone = false;
                rest.split_at(first.len_utf8())
            }
            _ => rest.split_at(memchr2(b'\r', b'&', rest.as_bytes()).unwrap_or(rest.len())),
        };
        told(piece);
        rest = after;
    }
}

/// Reads the tag of which the name, or its slash, is at `at`. Returns where it ends.
fn read<'t>(html: &'t str, octets: &[u8], mut at: usize, tag: &mut Tag<'t>) -> Option<usize> {
    tag.is_end = *octets.get(at)? == b'/';
    at += usize::from(tag.is_end);
    let end = name_end(octets, at);
    if !octets.get(at)?.is_ascii_alphabetic() {
        return None;
    }
    tag.name = super::in_lower_case(html.get(at..end)?);
    tag.is_block = super::is_block(&tag.name);
    tag.is_self_closing = false;
    tag.attributes.clear();
    if !tag.is_end && super::content(&tag.name).is_some() {
        return None;
    }
    at = end;
    loop {
        match *octets.get(at)? {
            b'>' => return Some(at + 1),
            octet if is_blank(octet) => at += 1,
            _ if tag.is_end => return None,
            b'/' => {
                at += 1;
                if *octets.get(at)? == b'>' {
                    tag.is_self_closing = true;
                    return Some(at + 1);
                }
            }
            octet if is_of_name(octet) => {
                let (attribute, end) = attribute(html, octets, at)?;
                let is_known = tag.attributes.iter().any(|known| known.name == attribute.name);
                if is_known || tag.attributes.len() == MAX_ATTRIBUTES {
                    return None;
                }
                tag.attributes.push(attribute);
                at = end;
            }
            _ => return None,
        }
    }
}

/// The attribute at `at`, and where it ends.
fn attribute<'t>(html: &'t str, octets: &[u8], at: usize) -> Option<(Attribute<'t>, usize)> {
    let end = name_end(octets, at);
    let name = super::in_lower_case(html.get(at..end)?);
    let behind = blanks_end(octets, end);
    if *octets.get(behind)? != b'=' {
        return Some((Attribute { name, value: Cow::Borrowed("") }, behind));
    }
    let start = blanks_end(octets, behind + 1);
    let (value, end) = match *octets.get(start)? {
        quote @ (b'"' | b'\'') => {
            let start = start + 1;
            let end = start + memchr(quote, octets.get(start..)?)?;
            (html.get(start..end)?, end + 1)
        }
        b'>' => return None,
        _ => {
            let is_end = |octet: &u8| *octet == b'>' || is_blank(*octet);
            let end = start + octets.get(start..)?.iter().position(is_end)?;
            (html.get(start..end)?, end)
        }
    };
    Some((Attribute { name, value: decoded(value)? }, end))
}

/// The value of an attribute; `None` if it is not plain.
fn decoded(value: &str) -> Option<Cow<'_, str>> {
    if memchr3(b'&', b'\r', 0, value.as_bytes()).is_none() {
        return Some(Cow::Borrowed(value));
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = memchr3(b'&', b'\r', 0, rest.as_bytes()) {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        let behind = found.get(1..)?;
        rest = match (found.starts_with('\r'), entity(found)) {
            (true, _) => {
                out.push('\n');
                behind.strip_prefix('\n').unwrap_or(behind)
            }
            (false, Some((meaning, after))) if !after.starts_with('\r') => {
                out.push_str(meaning);
                after
            }
            // Of `&a=b` the first is the name of a parameter, even if it is that of an entity.
            (false, None) if found.starts_with('&') => {
                let name = behind.bytes().take_while(u8::is_ascii_alphanumeric).count();
                let next = behind.as_bytes().get(name);
                let is_parameter = name > 0 && next == Some(&b'=');
                if !is_parameter && (name > 0 || next == Some(&b'#')) {
                    return None;
                }
                out.push('&');
                behind
            }
            _ => return None,
        };
    }
    out.push_str(rest);
    Some(Cow::Owned(out))
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

/// Octets of names that nobody reads otherwise.
fn is_of_name(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b':')
}

fn name_end(octets: &[u8], at: usize) -> usize {
    let name = octets.get(at..).unwrap_or_default();
    at + name.iter().position(|octet| !is_of_name(*octet)).unwrap_or(name.len())
}

fn blanks_end(octets: &[u8], at: usize) -> usize {
    let blanks = octets.get(at..).unwrap_or_default();
    at + blanks.iter().position(|octet| !is_blank(*octet)).unwrap_or(blanks.len())
}
