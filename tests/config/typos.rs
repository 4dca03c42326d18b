//! A typing mistake in a key is never silently ignored.

use std::collections::BTreeSet;

use gatepost::config::{self, why};
use proptest::prelude::*;

use super::{minimal, repository};

/// The shipped configuration with every default in force, as far as there is one value to put there.
fn everything() -> String {
    let text = std::fs::read_to_string(repository().join("config/gatepost.toml")).expect("shipped");
    let lines = text.lines().map(|line| {
        let pair = line.trim_start_matches("# ");
        let key = pair.split(" = ").next().unwrap_or_default();
        // Of two homes of the store one can be had.
        let is_pair = pair.contains(" = ") && key != "path" && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let is_table = line.starts_with("# [");
        if is_table || is_pair && toml::from_str::<toml::Table>(pair).is_ok() { pair } else { line }
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// Byte ranges of the keys and table names that are written in `text`.
fn words(text: &str) -> Vec<std::ops::Range<usize>> {
    let (mut start, mut words) = (0, Vec::new());
    for line in text.split_inclusive('\n') {
        let name = line.trim_start_matches('[');
        let skip = line.len() - name.len();
        let end = name.find([' ', ']', '\n']).unwrap_or(name.len());
        if !name.starts_with(['#', '\n']) {
            words.push(start + skip..start + skip + end);
        }
        start += line.len();
    }
    words
}

fn mistyped(word: &str, kind: u8, at: usize, letter: char) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let at = at % letters.len();
    match kind % 4 {
        0 => letters[at] = letter,
        1 => letters.insert(at, letter),
        2 => {
            letters.remove(at);
        }
        _ => letters.swap(at, (at + 1) % word.len()),
    }
    letters.into_iter().collect()
}

#[test]
fn everything_at_once_is_a_configuration() {
    let text = everything();
    assert!(words(&text).len() > 70, "the words are found");
    let problems = config::parse_text(&text).map(|loaded| loaded.warnings).unwrap_or_else(|problems| problems);
    assert!(!problems.has_errors(), "{problems}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_typing_mistake_in_a_key_is_refused(
        word in any::<prop::sample::Index>(), kind: u8, at: usize, letter in "[a-z_]"
    ) {
        let text = everything();
        let words = words(&text);
        let place = words[word.index(words.len())].clone();
        let right = &text[place.clone()];
        let wrong = mistyped(right, kind, at, letter.chars().next().unwrap_or('x'));
        let keys: BTreeSet<String> = why::catalogue().into_iter().map(|(key, _, _)| key).collect();
        let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        prop_assume!(wrong != right && !keys.iter().any(|key| last(key) == last(&wrong)));
        let mut typed = text.clone();
        typed.replace_range(place.clone(), &wrong);
        let problems = config::parse_text(&typed).map(|_| ()).expect_err(&wrong);
        prop_assert!(problems.has_errors());
        if !wrong.contains('.') && !wrong.is_empty() {
            let line = text[..place.start].matches('\n').count() + 1;
            let lines: Vec<_> = problems.iter().filter_map(|problem| problem.line_column()).map(|at| at.0).collect();
            prop_assert!(lines.contains(&line), "{wrong} in line {line}: {problems}");
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}|[\\[\\]a-z=\" \n.0-9#]{0,200}") {
        let _ = config::parse_text(&text).map_err(|problems| problems.render(false));
        let _ = config::parse_text(&minimal(&text)).map_err(|problems| problems.render(false));
    }
}

proptest! {
    // Each loads the shipped rules twice and proves their promises, which takes longer than finding what is damaged.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_damage_makes_it_panic(cut in any::<prop::sample::Index>(), bytes in "\\PC{0,8}") {
        let text = everything();
        let mut at = cut.index(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let (head, tail) = text.split_at(at);
        let _ = config::parse_text(head).map_err(|problems| problems.render(true));
        let _ = config::parse_text(&format!("{head}{bytes}{tail}")).map_err(|problems| problems.to_string());
    }
}
