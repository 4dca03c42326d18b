//! The part of a text that its author wrote for this message: without quotations, and without the footers
//! that a list or a company puts below everything.
//!
//! Two messages of one list are alike in little else, and that is no likeness. Where nothing else is left
//! the whole text counts.

/// Characters, white space at its ends aside, that make a line a rule, and the least number of them.
const RULE: &str = "-_=*~#\u{2014}\u{2500}\u{2501}";
const MIN_RULE: usize = 8;
/// A footer has at most so many lines with something in them, of so many octets together.
const MAX_FOOTER_LINES: usize = 6;
const MAX_FOOTER_OCTETS: usize = 500;
/// So many letters are enough of a text.
const ENOUGH_LETTERS: usize = 60;
/// Otherwise it has to be this share of the whole.
const ENOUGH_SHARE: usize = 3;

/// The lines of a text that are its own.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let end = footer(text);
    let body = text.get(..end).unwrap_or(text);
    let own = letters(body.lines().filter(|line| !is_quoted(line)), ENOUGH_LETTERS);
    let is_enough = own >= ENOUGH_LETTERS || own * ENOUGH_SHARE >= letters(text.lines(), own * ENOUGH_SHARE + 1);
    let kept = if is_enough { body } else { text };
    kept.lines().filter(move |line| !is_enough || !is_quoted(line))
}

fn is_quoted(line: &str) -> bool {
    line.trim_start().starts_with('>')
}

/// Counts letters, to `enough` of them. Octets of other scripts count as letters: it is a question of quantity.
fn letters<'t>(lines: impl Iterator<Item = &'t str>, enough: usize) -> usize {
    let octets = lines.flat_map(str::bytes).filter(|octet| octet.is_ascii_alphabetic() || !octet.is_ascii());
    octets.take(enough).count()
}

/// Where the footers begin: each is a few lines below a rule, several may follow each other.
fn footer(text: &str) -> usize {
    let (mut end, mut at) = (text.len(), text.len());
    let (mut lines, mut octets) = (0, 0);
    while at > 0 && lines <= MAX_FOOTER_LINES && octets <= MAX_FOOTER_OCTETS {
        let before = text.get(..at).unwrap_or_default();
        let start = before.trim_end_matches('\n').rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.get(start..).unwrap_or_default().trim_start_matches(['>', ' ']).trim();
        at = start;
        if is_rule(line) {
            (end, lines, octets) = (start, 0, 0);
        } else if !line.is_empty() {
            lines += 1;
            octets += line.len();
        }
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
