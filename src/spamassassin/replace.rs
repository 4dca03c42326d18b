//! `<A>` in expressions: what the files have named, put in its place.

use super::reader::Settings;

/// Names within names, at most so deep.
const PASSES: usize = 5;
/// Octets that an expression may come to.
const LONGEST: usize = 250_000;

/// The expression with all names replaced.
pub(super) fn replaced(body: &str, settings: &Settings) -> String {
    let mut text = body.to_owned();
    for _ in 0..PASSES {
        let before = taken(&mut text, "<pre ").and_then(|name| settings.before.get(&name));
        let behind = taken(&mut text, "<post ").and_then(|name| settings.behind.get(&name));
        let between = taken(&mut text, "<inter ").and_then(|name| settings.between.get(&name));
        let mut out = String::with_capacity(text.len() * 4);
        let mut again = false;
        let mut is_behind_name = false;
        for piece in pieces(&text) {
            let Some(name) = piece.strip_prefix('<').and_then(|piece| piece.strip_suffix('>')) else {
                out.push_str(piece);
                is_behind_name = false;
                continue;
            };
            if let Some(between) = between.filter(|_| is_behind_name) {
                out.push_str(between);
            }
            is_behind_name = true;
            out.push_str(before.map_or("", String::as_str));
            match settings.tags.get(name) {
                Some(meaning) => {
                    again |= pieces(meaning).len() > 1 || meaning.starts_with('<');
                    out.push_str(meaning);
                }
                None => out.push_str(piece),
            }
            out.push_str(behind.map_or("", String::as_str));
        }
        text = out;
        if !again || text.len() > LONGEST {
            break;
        }
    }
    text
}

/// Takes `<pre NAME>` out and says which name.
fn taken(text: &mut String, opening: &str) -> Option<String> {
    let start = text.find(opening)?;
    let length = text[start..].find('>')?;
    let name = text[start + opening.len()..start + length].to_owned();
    text.replace_range(start..=start + length, "");
    Some(name)
}

/// The text cut at names in angles, which stand for themselves.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut from = 0;
    while let Some(open) = rest[from..].find('<').map(|at| at + from) {
        let end = rest[open + 1..].find(['<', '>']).map(|at| at + open + 1);
        match end {
            Some(end) if rest[end..].starts_with('>') && end > open + 1 => {
                if open > 0 {
                    pieces.push(&rest[..open]);
                }
                pieces.push(&rest[open..=end]);
                rest = &rest[end + 1..];
                from = 0;
            }
            _ => from = open + 1,
        }
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}
