//! The structure of messages.

use std::collections::BTreeMap;

use super::super::mail::Part;
use super::{Context, Eval, is_from_to, is_within, number};

pub(super) const TESTS: &[(&str, Eval)] = &[
    ("check_for_mime", fact),
    ("check_for_mime_html", |context, _| is_html(context) || count(context, "text/html") > 0),
    ("check_for_mime_html_only", html_only),
    ("check_mime_multipart_ratio", multipart_ratio),
    ("check_msg_parse_flags", parse_flags),
    ("check_for_ascii_text_illegal", |context, _| ascii_texts(context).any(has_illegal_ascii)),
    ("check_abundant_unicode_ratio", unicode_ratio),
    ("check_base64_length", base64_length),
    ("check_for_faraway_charset", |_, _| false),
    ("check_for_faraway_charset_in_headers", |_, _| false),
    ("check_for_uppercase", uppercase),
    ("multipart_alternative_difference", difference),
    ("multipart_alternative_difference_count", difference_count),
];

/// What `check_for_mime` can be asked for.
pub(super) const FACTS: &[&str] = &[
    "mime_base64_count",
    "mime_qp_count",
    "mime_base64_encoded_text",
    "mime_qp_long_line",
    "mime_bad_iso_charset",
    "mime_attachment",
    "mime_faraway_charset",
    "mimepart_limit_exceeded",
];
/// What `check_msg_parse_flags` can be asked for.
pub(super) const FLAGS: &[&str] = &[
    "missing_mime_head_body_separator",
    "mime_epilogue_exists",
    "missing_mime_headers",
    "truncated_header",
    "missing_head_body_separator",
];

fn parts<'c>(context: &'c Context<'_>) -> &'c [Part] {
    &context.read.mail.parts
}

fn is_html(context: &Context<'_>) -> bool {
    context.first("Content-Type").to_ascii_lowercase().starts_with("text/html")
}

fn count(context: &Context<'_>, kind: &str) -> usize {
    parts(context).iter().filter(|part| part.kind == kind).count()
}

fn html_only(context: &Context<'_>, _: &[String]) -> bool {
    let texts = parts(context).iter().filter(|part| part.kind.starts_with("text") && part.kind != "text/html");
    is_html(context) || (count(context, "text/html") > 0 && texts.count() == 0)
}

fn disposition(part: &Part) -> String {
    let field = part.last("content-disposition");
    field.map(|field| String::from_utf8_lossy(&field.value).to_ascii_lowercase()).unwrap_or_default()
}

fn raw<'c>(context: &'c Context<'_>, part: &Part) -> &'c [u8] {
    context.read.mail.octets.get(part.raw.clone()).unwrap_or_default()
}

fn fact(context: &Context<'_>, arguments: &[String]) -> bool {
    let Some(name) = arguments.first() else { return false };
    let is_true = |part: &Part| match name.as_str() {
        "mime_base64_count" => part.encoding().contains("base64"),
        "mime_qp_count" => part.encoding().contains("quoted-printable") && escapes_letters(context),
        "mime_attachment" => disposition(part).contains("attachment"),
        "mime_base64_encoded_text" => {
            let charset = part.charset.as_deref().unwrap_or_default();
            part.kind.starts_with("text")
                && part.encoding().contains("base64")
                && (charset.is_empty() || charset.contains("ascii") || charset.contains("us"))
                && !disposition(part).starts_with("attachment")
                && !disposition(part).starts_with("inline")
        }
        "mime_qp_long_line" => {
            part.is_leaf
                && part.encoding() == "quoted-printable"
                && raw(context, part).split_inclusive(|octet| *octet == b'\n').any(|line| line.len() > 79)
        }
        "mime_bad_iso_charset" => {
            let charset = part.charset.as_deref().unwrap_or_default();
            let is_known = ["iso-8859-", "iso-2022-jp", "iso-2022-kr"].iter().any(|known| charset.starts_with(known));
            charset.starts_with("iso-") && charset.matches('-').count() >= 2 && !is_known
        }
        _ => false,
    };
    parts(context).iter().any(is_true)
}

/// Whether quoted-printable text escapes what needs no escape; true where there is no such text.
fn escapes_letters(context: &Context<'_>) -> bool {
    let texts = parts(context).iter().filter(|part| part.is_leaf && part.encoding() == "quoted-printable");
    let mut texts = texts.map(|part| raw(context, part)).filter(|text| !text.is_empty()).peekable();
    texts.peek().is_none() || texts.flat_map(|text| text.split(|octet| *octet == b'\n')).any(|line| needless(line) > 0)
}

/// How many signs a line escapes without need. Blanks at its end are no signs.
fn needless(line: &[u8]) -> usize {
    let mut kept = line.trim_ascii_end();
    while let Some(rest) = kept.strip_suffix(b"=20").or_else(|| kept.strip_suffix(b"=09")) {
        kept = rest;
    }
    let mut count = 0;
    let mut rest = kept;
    while let Some(at) = memchr::memchr(b'=', rest) {
        rest = &rest[at + 1..];
        let is_needless = match (rest.first(), rest.get(1)) {
            (Some(b'0'), Some(b'9')) => true,
            (Some(b'3'), Some(low)) => matches!(low, b'0'..=b'9' | b'A'..=b'C' | b'E' | b'F'),
            (Some(b'2' | b'4'..=b'6'), Some(low)) => matches!(low, b'0'..=b'9' | b'A'..=b'F'),
            (Some(b'7'), Some(low)) => matches!(low, b'0'..=b'9' | b'A'..=b'E'),
            _ => false,
        };
        count += usize::from(is_needless);
    }
    count
}

fn multipart_ratio(context: &Context<'_>, arguments: &[String]) -> bool {
    let mut ratio = 1.0;
    if count(context, "multipart/alternative") > 0 {
        let length = |kind: &str| {
            let inline =
                parts(context).iter().rev().filter(|part| part.is_leaf && !disposition(part).contains("attachment"));
            inline.into_iter().find(|part| part.kind == kind).map(|part| raw(context, part).len() as f64)
        };
        if let (Some(text), Some(html)) = (length("text/plain"), length("text/html").filter(|length| *length > 0.0)) {
            ratio = text / html;
        }
    }
    is_from_to(ratio, arguments, 0)
}

fn parse_flags(context: &Context<'_>, arguments: &[String]) -> bool {
    let mail = &context.read.mail;
    match arguments.first().map(String::as_str) {
        Some("missing_mime_head_body_separator") => mail.part_lacks_separator,
        Some("mime_epilogue_exists") => mail.has_epilogue,
        Some("missing_mime_headers") => mail.part_lacks_fields,
        Some("missing_head_body_separator") => mail.lacks_separator,
        _ => false,
    }
}

fn ascii_texts<'c>(context: &'c Context<'_>) -> impl Iterator<Item = &'c [u8]> {
    let texts = parts(context).iter().filter(|part| part.is_leaf && part.kind == "text/plain");
    let ascii = texts.filter(|part| part.charset.as_deref().is_none_or(|charset| charset == "us-ascii"));
    // A message without a Content-Type says nothing of its text.
    let named = ascii.filter(|part| part.last("content-type").is_some() || part.depth == 0);
    named.map(|part| raw(context, part))
}

fn has_illegal_ascii(text: &[u8]) -> bool {
    text.iter().any(|octet| matches!(octet, 0 | b'\r' | 0x80..))
}

fn unicode_ratio(context: &Context<'_>, arguments: &[String]) -> bool {
    let (mut normal, mut escaped) = (0_usize, 0_usize);
    for part in parts(context).iter().filter(|part| part.is_leaf && part.kind == "text/plain") {
        if matches!(part.encoding().as_str(), "" | "7bit" | "8bit") {
            let text = raw(context, part);
            let found = memchr::memmem::find_iter(text, b"&#x").filter(|at| {
                let digits = text.get(at + 3..at + 7).unwrap_or_default();
                digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit) && text.get(at + 7) == Some(&b';')
            });
            let found = found.count();
            escaped += found;
            normal += text.len() - found * 8;
        }
    }
    normal > 0 && number(arguments, 0).is_some_and(|ratio| escaped as f64 / normal as f64 >= ratio)
}

fn base64_length(context: &Context<'_>, arguments: &[String]) -> bool {
    let encoded = parts(context).iter().filter(|part| part.is_leaf && part.encoding() == "base64");
    let lines = encoded.flat_map(|part| raw(context, part).split_inclusive(|octet| *octet == b'\n'));
    let longest = lines.map(<[u8]>::len).max().unwrap_or_default() as f64;
    number(arguments, 1).is_none_or(|most| longest <= most) && number(arguments, 0).is_none_or(|least| longest >= least)
}

/// How much of the letters of the body is upper case, in percent.
fn uppercase(context: &Context<'_>, arguments: &[String]) -> bool {
    let (mut length, mut upper, mut lower) = (0_usize, 0_usize, 0_usize);
    for line in &context.read.texts.body {
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count();
        if words < 2 {
            continue;
        }
        length += line.len();
        upper += line.iter().filter(|octet| octet.is_ascii_uppercase()).count();
        lower += line.iter().filter(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit()).count();
    }
    // Few letters tell nothing.
    let percent = if length >= 200 && upper > 0 { 100.0 * upper as f64 / (upper + lower) as f64 } else { 0.0 };
    is_within(percent, arguments, 0)
}

/// Of the words of HTML those that its text alternative lacks, in percent; words of HTML, words of text.
fn alternatives(context: &Context<'_>) -> (f64, usize, usize) {
    let all = parts(context);
    let (mut most, mut of_html, mut of_text) = (0.0_f64, 0, 0);
    let mut rendered = context.read.texts.rendered.iter();
    let texts: Vec<Option<&(bool, String)>> = all
        .iter()
        .map(|part| {
            let is_text = part.is_leaf && matches!(part.effective_kind(), "text/plain" | "text/html");
            if is_text { rendered.next() } else { None }
        })
        .collect();
    for (at, part) in all.iter().enumerate().filter(|(_, part)| part.kind == "multipart/alternative") {
        let inside = all[at + 1..].iter().take_while(|other| other.depth > part.depth).count();
        let (mut html, mut text) = (BTreeMap::new(), BTreeMap::new());
        for (is_html, shown) in texts[at + 1..=at + inside].iter().flatten() {
            let words =
                shown.split_whitespace().filter(|word| word.contains(|c: char| c.is_alphanumeric() || c == '_'));
            let counts = if *is_html { &mut html } else { &mut text };
            words.for_each(|word| *counts.entry(word).or_insert(0_i32) += 1);
        }
        let has_picture = context.read.texts.pages.iter().any(|page| page.inside.contains_key("img"));
        if html.is_empty() && has_picture {
            html.insert("\n", 1);
        }
        if html.is_empty() {
            continue;
        }
        of_html = html.len();
        of_text = text.len();
        let missing = html.iter().filter(|(word, count)| text.get(*word).is_none_or(|other| **count - other >= 1));
        most = most.max(missing.count() as f64 / of_html as f64 * 100.0);
    }
    (most, of_html, of_text)
}

fn difference(context: &Context<'_>, arguments: &[String]) -> bool {
    let (percent, _, _) = alternatives(context);
    let least = number(arguments, 0).unwrap_or_default();
    (least == 0.0 || percent > least) && number(arguments, 1).is_none_or(|most| percent <= most)
}

fn difference_count(context: &Context<'_>, arguments: &[String]) -> bool {
    let (_, html, text) = alternatives(context);
    let least = number(arguments, 1).unwrap_or_default();
    html as f64 > least && html > 0 && number(arguments, 0).is_some_and(|ratio| text as f64 / html as f64 > ratio)
}
