//! Rules with one mistake each: whoever's own messages do not notice it has too few of them.

use super::condition::{Condition, Matcher, Rule};
use super::sample::Sample;
use super::set::Set;

/// A rule with a mistake.
#[derive(Clone, Debug, PartialEq)]
pub struct Mutant {
    /// What was done to it, such as `all[0] negated`.
    pub what: String,
    /// What it is now.
    pub rule: Rule,
}

/// The messages of a rule.
#[derive(Debug, Default)]
pub struct Samples {
    /// Those that it finds.
    pub hits: Vec<Sample>,
    /// Those that it does not find.
    pub misses: Vec<Sample>,
}

/// One of the lists of conditions of a rule.
type PartOf = fn(&mut Rule) -> &mut Vec<Condition>;

/// The three lists of conditions of a rule.
const PARTS: [(&str, PartOf); 3] =
    [("all", |rule| &mut rule.all), ("any", |rule| &mut rule.any), ("none", |rule| &mut rule.none)];

/// Every mutant of a rule.
pub fn mutants(rule: &Rule) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for (name, part) in PARTS {
        for index in 0..part(&mut rule.clone()).len() {
            let mut make = |what: &str, change: &dyn Fn(&mut Vec<Condition>)| {
                let mut rule = rule.clone();
                change(part(&mut rule));
                mutants.push(Mutant { what: format!("{name}[{index}]{what}"), rule });
            };
            make(" dropped", &|list| {
                list.remove(index);
            });
            make(" negated", &|list| {
                list.iter_mut().skip(index).take(1).for_each(|one| one.negated = !one.negated);
            });
            let Some(condition) = part(&mut rule.clone()).get(index).cloned() else { continue };
            for (what, changed) in changed(&condition) {
                make(&what, &|list| list.iter_mut().skip(index).take(1).for_each(|one| *one = changed.clone()));
            }
        }
    }
    mutants
}

/// The mutants of a rule that its own messages do not tell from it.
pub fn survivors(rule: &Rule, samples: &Samples) -> Vec<String> {
    let survives = |mutant: &Mutant| {
        // What cannot be compiled is noticed.
        let Ok(set) = Set::compile(vec![mutant.rule.clone()]) else { return false };
        samples.hits.iter().all(|sample| set.judge_one(0, &sample.view()).is_ok())
            && samples.misses.iter().all(|sample| set.judge_one(0, &sample.view()).is_err())
    };
    mutants(rule).into_iter().filter(survives).map(|mutant| mutant.what).collect()
}

/// A condition with one change in what it looks for, or in its bounds.
fn changed(condition: &Condition) -> Vec<(String, Condition)> {
    let with = |matcher: Matcher| Condition { matcher, ..condition.clone() };
    let mut changes = Vec::new();
    match &condition.matcher {
        Matcher::Regex(text) => {
            for (branch, rest) in alternatives(text) {
                changes.push((format!(".regex without `{branch}`"), with(Matcher::Regex(rest))));
            }
        }
        Matcher::Phrases(words) if words.len() > 1 => {
            for (word, rest) in without_each(words) {
                changes.push((format!(".phrases without `{word}`"), with(Matcher::Phrases(rest))));
            }
        }
        Matcher::Equals(words) if words.len() > 1 => {
            for (word, rest) in without_each(words) {
                changes.push((format!(".equals without `{word}`"), with(Matcher::Equals(rest))));
            }
        }
        _ => {}
    }
    for delta in [-1, 1] {
        let moved = |bound: Option<u64>| bound.and_then(|bound| bound.checked_add_signed(delta));
        if let Some(bound) = moved(condition.at_least).filter(|bound| *bound > 0 || condition.at_least == Some(0)) {
            let changed = Condition { at_least: Some(bound), ..condition.clone() };
            changes.push((format!(".at_least = {bound}"), changed));
        }
        if let Some(bound) = moved(condition.at_most) {
            changes.push((format!(".at_most = {bound}"), Condition { at_most: Some(bound), ..condition.clone() }));
        }
    }
    changes
}

fn without_each(words: &[String]) -> impl Iterator<Item = (&String, Vec<String>)> {
    words.iter().enumerate().map(|(index, word)| {
        let mut rest = words.to_vec();
        rest.remove(index);
        (word, rest)
    })
}

/// A group of a regular expression that is open: where its content begins, and its bars.
struct Open {
    start: usize,
    bars: Vec<usize>,
}

/// Each alternative of a regular expression, in whatever group it stands, with the expression without it.
fn alternatives(pattern: &str) -> Vec<(String, String)> {
    let octets = pattern.as_bytes();
    let mut open = vec![Open { start: 0, bars: Vec::new() }];
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(octet) = octets.get(at) {
        match octet {
            b'\\' => at += 1,
            b'[' => at = class_end(octets, at),
            b'|' => open.iter_mut().next_back().into_iter().for_each(|group| group.bars.push(at)),
            b'(' => {
                let (begin, is_group) = group_begin(octets, at);
                if is_group {
                    open.push(Open { start: begin, bars: Vec::new() });
                } else if let Some(around) = open.last_mut().filter(|around| around.start == at) {
                    around.start = begin;
                }
                at = begin - 1;
            }
            b')' if open.len() > 1 => {
                found.extend(open.pop().into_iter().flat_map(|group| without_branches(pattern, &group, at)));
            }
            _ => {}
        }
        at += 1;
    }
    found.extend(open.iter().take(1).flat_map(|group| without_branches(pattern, group, pattern.len())));
    found
}

/// Where the content of a group begins, and whether it is one: `(?i)` is not.
fn group_begin(octets: &[u8], at: usize) -> (usize, bool) {
    let rest = octets.get(at + 1..).unwrap_or_default();
    if rest.first() != Some(&b'?') {
        return (at + 1, true);
    }
    let named = rest.starts_with(b"?<") && !rest.starts_with(b"?<=") && !rest.starts_with(b"?<!");
    let ends: &[u8] = if named || rest.starts_with(b"?P<") { b">" } else { b":=!>)" };
    let length = rest.iter().position(|octet| ends.contains(octet)).unwrap_or(rest.len().saturating_sub(1));
    (at + 2 + length, rest.get(length) != Some(&b')'))
}

/// Where a class in brackets ends.
fn class_end(octets: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    if octets.get(end) == Some(&b'^') {
        end += 1;
    }
    // A bracket that comes first is one of its characters.
    if octets.get(end) == Some(&b']') {
        end += 1;
    }
    let mut depth = 1;
    while let Some(octet) = octets.get(end) {
        match octet {
            b'\\' => end += 1,
            b'[' => depth += 1,
            b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return end;
        }
        end += 1;
    }
    octets.len()
}

fn without_branches(pattern: &str, group: &Open, end: usize) -> Vec<(String, String)> {
    if group.bars.is_empty() {
        return Vec::new();
    }
    let mut edges = vec![group.start];
    edges.extend(group.bars.iter().map(|bar| bar + 1));
    let branches =
        edges.iter().enumerate().map(|(index, start)| (*start, group.bars.get(index).copied().unwrap_or(end)));
    let cut = |(start, stop): (usize, usize)| {
        // With the bar behind it; the last one has only one before it.
        let (from, to) = if stop < end { (start, stop + 1) } else { (start - 1, stop) };
        let rest = format!("{}{}", pattern.get(..from)?, pattern.get(to..)?);
        Some((pattern.get(start..stop)?.to_owned(), rest))
    };
    branches.filter_map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_are_taken_out_of_every_group() {
        let cases: [(&str, &[&str]); 9] = [
            ("abc", &[]),
            ("a|b", &["b", "a"]),
            ("a|b|c", &["b|c", "a|c", "a|b"]),
            ("(?i)a|b", &["(?i)b", "(?i)a"]),
            (r"x(?:a|b\|c)y", &[r"x(?:b\|c)y", "x(?:a)y"]),
            ("[a|b](c|[]|])", &["[a|b]([]|])", "[a|b](c)"]),
            ("(?P<n>a|b)", &["(?P<n>b)", "(?P<n>a)"]),
            ("(a(?i:b|c)|d)", &["(a(?i:c)|d)", "(a(?i:b)|d)", "(d)", "(a(?i:b|c))"]),
            ("(?<=a|b)c", &["(?<=b)c", "(?<=a)c"]),
        ];
        for (pattern, expected) in cases {
            let found: Vec<String> = alternatives(pattern).into_iter().map(|(_, rest)| rest).collect();
            assert_eq!(found, expected, "{pattern}");
        }
    }
}
