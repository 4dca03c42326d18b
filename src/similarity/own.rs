//! The part of a text that its author wrote for this message: without quotations, and without the footers
//! that a list or a company puts below everything.
//!
//! Two messages of one list are alike in little else, and that is no likeness. But what looks like a quotation
//! may be what a message is about: it is left out only beside enough of a text of its own.

/// Characters, white space at its ends aside, that make a line a rule, and the least number of them.
const RULE: &str = "-_=*~#\u{2014}\u{2500}\u{2501}";
const MIN_RULE: usize = 8;
/// Footers together have at most so many lines with something in them, of so many octets.
const MAX_FOOTER_LINES: usize = 6;
const MAX_FOOTER_OCTETS: usize = 500;
/// So many letters of footers are left out below as many of a text of its own; more only if it has as many.
const FEW_LETTERS: usize = 300;
const ENOUGH_LETTERS: usize = 60;
/// Quotations are left out if one letter in so many is not quoted.
const OWN_SHARE: usize = 6;
/// Lines below its first one in which the header of a quoted message names a date or a recipient.
const HEADER_LINES: usize = 4;
/// How programs begin what they quote whole, and how they name the author of a message and its date, in the
/// languages that are seen most.
const ORIGINAL: [&str; 6] = [
    "original message",
    "forwarded message",
    "urspr\u{fc}ngliche nachricht",
    "weitergeleitete nachricht",
    "message d'origine",
    "mensaje original",
];
const AUTHOR: [&str; 5] = ["from:", "von:", "de:", "da:", "van:"];
const DATE: [&str; 9] =
    ["sent:", "date:", "gesendet:", "datum:", "envoy\u{e9}", "enviado", "inviato:", "verzonden:", "data:"];

/// The lines of a text that are its own.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let all = letters(text.lines());
    let body = text.get(..footer(text, all)).unwrap_or(text);
    let above = body.get(..quoted_message(body)).unwrap_or(body);
    let is_enough = letters(above.lines().filter(|line| !is_quoted(line))) * OWN_SHARE >= letters(body.lines());
    let kept = if is_enough { above } else { body };
    kept.lines().filter(move |line| !is_enough || !is_quoted(line))
}

/// Where a message begins that is quoted whole, by its header: `From: ...`, `Sent: ...`.
fn quoted_message(text: &str) -> usize {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let is_original = || {
            let inner = line.trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '_').to_lowercase();
            line.trim_start().starts_with('-') && ORIGINAL.contains(&inner.trim_end_matches(':'))
        };
        let rest = || text.get(at + line.len()..).unwrap_or_default();
        if begins_with(line, &AUTHOR) && rest().lines().take(HEADER_LINES).any(|line| begins_with(line, &DATE)) {
            return at;
        }
        if line.len() < 80 && is_original() {
            return at;
        }
        at += line.len();
    }
    text.len()
}

/// True if a line begins with one of these, whatever its case; bold in plain text, perhaps.
fn begins_with(line: &str, words: &[&str]) -> bool {
    let line = line.trim_start_matches([' ', '*', '\t']);
    words.iter().any(|word| {
        let begin = line.get(..line.floor_char_boundary(word.len())).unwrap_or_default();
        begin.eq_ignore_ascii_case(word)
    })
}

fn is_quoted(line: &str) -> bool {
    line.trim_start().starts_with('>')
}

/// Counts letters. Octets of other scripts count as letters: it is a question of quantity.
fn letters<'t>(lines: impl Iterator<Item = &'t str>) -> usize {
    let is_letter = |octet: &u8| octet.is_ascii_alphabetic() || !octet.is_ascii();
    lines.map(|line| line.as_bytes().iter().filter(|octet| is_letter(octet)).count()).sum()
}

/// Where the footers begin: each is a few lines below a rule, several may follow each other.
fn footer(text: &str, all: usize) -> usize {
    let (mut end, mut at) = (text.len(), text.len());
    let (mut lines, mut octets, mut below) = (0, 0, 0);
    while at > 0 && lines <= MAX_FOOTER_LINES && octets <= MAX_FOOTER_OCTETS {
        let before = text.get(..at).unwrap_or_default();
        let start = before.trim_end_matches('\n').rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.get(start..).unwrap_or_default().trim_start_matches(['>', ' ']).trim();
        at = start;
        below += letters(std::iter::once(line));
        let own = all.saturating_sub(below);
        let is_little = below <= own || (below <= FEW_LETTERS && own >= ENOUGH_LETTERS);
        if is_rule(line) {
            end = if is_little { start } else { end };
        } else {
            lines += usize::from(!line.is_empty());
        }
        octets += line.len();
    }
    end
}

fn is_rule(line: &str) -> bool {
    if line == "--" {
        return true;
    }
    line.len() >= MIN_RULE
        && line.chars().all(|character| character == ' ' || RULE.contains(character))
        && line.chars().filter(|character| *character != ' ').count() >= MIN_RULE
}
