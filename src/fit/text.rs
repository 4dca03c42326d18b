//! The file of weights with other numbers: comments, order and all the rest stay as they are.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

/// Lines around a change that a difference shows.
const CONTEXT: usize = 2;

/// The text with the weights (in hundredths of a point) that `changes` names, in its table `[weights]`.
///
/// # Errors
/// The names that do not stand there on a line of their own.
pub fn replaced(text: &str, changes: &BTreeMap<&str, i32>) -> Result<String, Vec<String>> {
    let mut missing: BTreeMap<&str, i32> = changes.clone();
    let (mut out, mut inside) = (String::with_capacity(text.len()), false);
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with('[') {
            inside = line.trim() == "[weights]" || line.trim_start().starts_with("[weights] ");
        }
        let entry = entry(line).filter(|_| inside);
        match entry.and_then(|(name, at)| missing.remove(name).map(|weight| (at, weight))) {
            Some((at, weight)) => {
                out.push_str(line.get(..at.start).unwrap_or_default());
                out.push_str(&points(weight));
                out.push_str(line.get(at.end..).unwrap_or_default());
            }
            None => out.push_str(line),
        }
    }
    match missing.is_empty() {
        true => Ok(out),
        false => Err(missing.into_keys().map(str::to_owned).collect()),
    }
}

/// `NAME = NUMBER`, and where the number stands.
fn entry(line: &str) -> Option<(&str, Range<usize>)> {
    let (name, value) = line.split_once('=')?;
    let start = line.len() - value.trim_start().len();
    let number = line.get(start..)?;
    let length = number.find(|c: char| !matches!(c, '0'..='9' | '.' | '-' | '+')).unwrap_or(number.len());
    let name = name.trim().trim_matches('"');
    (length > 0).then_some((name, start..start + length))
}

/// As people write points: one digit behind the point, two where they are needed.
pub fn points(hundredths: i32) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let size = hundredths.unsigned_abs();
    match size % 10 {
        0 => format!("{sign}{}.{}", size / 100, size % 100 / 10),
        _ => format!("{sign}{}.{:02}", size / 100, size % 100),
    }
}

/// What differs between two texts of equally many lines, in the unified form.
pub fn difference(path: &str, before: &str, after: &str) -> String {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let mut hunks: Vec<Range<usize>> = Vec::new();
    for at in before.iter().zip(&after).enumerate().filter(|(_, (one, other))| one != other).map(|(at, _)| at) {
        let hunk = at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(before.len());
        match hunks.last_mut().filter(|last| last.end >= hunk.start) {
            Some(last) => last.end = hunk.end,
            None => hunks.push(hunk),
        }
    }
    let mut out = String::new();
    if !hunks.is_empty() {
        let _ = writeln!(out, "--- a/{path}\n+++ b/{path}");
    }
    for hunk in hunks {
        let (line, count) = (hunk.start + 1, hunk.len());
        let _ = writeln!(out, "@@ -{line},{count} +{line},{count} @@");
        // Lines that changed one behind the other stand together, the old ones first.
        let mut added = String::new();
        for (one, other) in hunk.filter_map(|at| before.get(at).zip(after.get(at))) {
            if one == other {
                out.push_str(&std::mem::take(&mut added));
                let _ = writeln!(out, " {one}");
            } else {
                let _ = writeln!(out, "-{one}");
                let _ = writeln!(added, "+{other}");
            }
        }
        out.push_str(&added);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# Weights.\n\n[weights]\n# One.\nONE = 1.0\nTWO=-2.5 # half\n\"THREE\" = 3\nFOUR = +4.25\n\n\
                        [[group]]\nname = \"g\"\ncap = 1.0\nONE = 7.0\n";

    #[test]
    fn only_numbers_change() {
        let changes = BTreeMap::from([("ONE", 125), ("TWO", -300), ("THREE", 5), ("FOUR", 450)]);
        let after = replaced(FILE, &changes).expect("all are there");
        assert_eq!(
            after,
            "# Weights.\n\n[weights]\n# One.\nONE = 1.25\nTWO=-3.0 # half\n\"THREE\" = 0.05\nFOUR = 4.5\n\n[[group]]\n\
             name = \"g\"\ncap = 1.0\nONE = 7.0\n"
        );
        assert_eq!(replaced(FILE, &BTreeMap::new()).as_deref(), Ok(FILE));
        assert_eq!(replaced(FILE, &BTreeMap::from([("FIVE", 1)])), Err(vec!["FIVE".to_owned()]));
    }

    #[test]
    fn a_difference_shows_what_changed_and_where() {
        let after = replaced(FILE, &BTreeMap::from([("ONE", 125), ("TWO", -300)])).expect("both are there");
        assert_eq!(
            difference("weights.toml", FILE, &after),
            "--- a/weights.toml\n+++ b/weights.toml\n@@ -3,6 +3,6 @@\n [weights]\n # One.\n-ONE = 1.0\n-TWO=-2.5 # half\n\
             +ONE = 1.25\n+TWO=-3.0 # half\n \"THREE\" = 3\n FOUR = +4.25\n"
        );
        assert_eq!(difference("weights.toml", FILE, FILE), "");
    }
}
