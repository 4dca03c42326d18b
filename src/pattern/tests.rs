use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::literals::required;
use super::loosened::loosened;
use super::relaxed::relaxed;
use super::*;

fn found_in(expressions: &[Expression], text: &[u8]) -> Vec<(usize, Range<usize>)> {
    let mut builder = Builder::new();
    for expression in expressions {
        builder.add(expression).expect("a good expression");
    }
    let mut found = Vec::new();
    builder.build().matches(text, &mut Budget::default(), &mut |id, range| found.push((id.index(), range)));
    found
}

fn matches(expression: Expression, text: &str) -> bool {
    !found_in(&[expression], text.as_bytes()).is_empty()
}

#[test]
fn expressions_match_as_they_say() {
    let regex = |text: &str| Expression::regex(text);
    let octets = |text: &str| Expression::octets(text);
    let phrase = |text: &str| Expression::phrase(text);
    let table = [
        (regex("viagra"), "buy viagra", true),
        (regex("viagra"), "buy VIAGRA", false),
        (regex("viagra").ignoring_case(), "buy VIAGRA", true),
        (regex("(?i)straße"), "STRAßE", true),
        (regex("(?i)kelvin"), "\u{212a}elvin", true),
        (octets("(?i)kelvin"), "\u{212a}elvin", false),
        (regex("^.$"), "ä", true),
        (octets("^.$"), "ä", false),
        (octets("^..$"), "ä", true),
        (octets(r"\xc3\xa4"), "ä", true),
        (regex(r"(?:free|cheap) (?:pills|watches)"), "cheap watches", true),
        (regex(r"\bfoo(?!bar)"), "foobar", false),
        (regex(r"\bfoo(?!bar)"), "foobaz", true),
        (regex(r"(?<=my )secret"), "my secret", true),
        (regex(r"(\w+) \1"), "the the", true),
        (regex(r"(\w+) \1"), "the cat", false),
        (octets(r"(?<!\w)\xc3\xa4(?=b)"), "äb", true),
        (octets(r"a++b"), "aaab", true),
        (octets(r"a++ab"), "aaab", false),
        (phrase("act   now"), "please ACT\n now!", true),
        (phrase("act now"), "react now", false),
        (phrase("100% free"), "it is 100%  Free", true),
        (phrase("$$$"), "a$$$b", true),
        (regex(""), "", true),
    ];
    for (expression, text, expected) in table {
        assert_eq!(matches(expression.clone(), text), expected, "{expression:?} in {text:?}");
    }
}

#[test]
fn as_many_matches_are_told_as_are_asked_for() {
    let text = b"one two three";
    assert_eq!(found_in(&[Expression::regex(r"\w+")], text), [(0, 0..3)]);
    assert_eq!(found_in(&[Expression::regex(r"\w+").up_to(2)], text), [(0, 0..3), (0, 4..7)]);
    assert_eq!(found_in(&[Expression::regex(r"\w+(?=.)").up_to(9)], text).len(), 3);
    assert!(found_in(&[Expression::regex("(?=t)").up_to(9)], text).len() <= 3);
}

#[test]
fn what_has_no_meaning_is_refused_with_a_reason() {
    let table = [
        (Expression::regex("(a"), "unclosed group"),
        (Expression::regex("a{5,2}"), "invalid repetition count range"),
        (Expression::regex("[z-a]"), "invalid character class range"),
        (Expression::regex("(?<=a"), ""),
        (Expression::phrase("  "), "it is empty"),
        (Expression::regex("((a{1000}){1000}){1000}"), "too large"),
        (Expression::regex(r"(?:\w{999}){999}(?=x)"), "too large"),
    ];
    for (expression, reason) in table {
        let error = Builder::new().add(&expression).expect_err("no such expression").to_string();
        assert!(error.contains(reason), "{expression:?}: {error}");
    }
}

#[test]
fn deep_nesting_is_refused_and_not_fatal() {
    for text in ["(".repeat(20_000) + &")".repeat(20_000), "(?=".repeat(5_000) + &")".repeat(5_000), "[".repeat(9_000)]
    {
        assert!(Builder::new().add(&Expression::regex(text)).is_err());
    }
}

#[test]
fn literals_are_those_that_each_match_contains() {
    let table: &[(&str, &[&str])] = &[
        ("viagra", &["viagra"]),
        ("VIAGRA", &["viagra"]),
        ("(?i)abc", &["abc"]),
        ("foo|barley", &["barley", "foo"]),
        (r"\d+ dollars?", &[" dollar", " dollars"]),
        (r"v[i1]agra", &["v1agra", "viagra"]),
        (r"(?:ab){2}c", &["ababc"]),
        (r"(?:abc)+x", &["abc"]),
        (r"ab|.*", &[]),
        (r"\w+@\w+", &[]),
        (r"(?:money)?back", &["back", "moneyback"]),
    ];
    for (text, expected) in table {
        let hir = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(text).expect("good");
        let mut literals = required(&hir).unwrap_or_default();
        literals.sort();
        let literals: Vec<String> = literals.into_iter().map(|l| String::from_utf8_lossy(&l).into_owned()).collect();
        assert_eq!(literals, *expected, "{text}");
    }
}

#[test]
fn what_the_linear_engine_refuses_is_left_out_for_the_literals() {
    let table = [
        (r"foo(?!bar)baz", Some(r"foo(?:)baz")),
        (r"(?<![a)])x", Some(r"(?:)x")),
        (r"(\w+) \1x", Some(r"(\w+) (?s:.*)x")),
        (r"a++b*+c?+d{2}+", Some(r"a+b*c?d{2}")),
        (r"a+?b", Some(r"a+?b")),
        (r"\x{41}+b}+(?=x)", Some(r"\x{41}+b}+(?:)")),
        (r"(?>a|b)", Some(r"(?:a|b)")),
        (r"\h\H\R(?=x)", Some(r"[0-9A-Fa-f][^0-9A-Fa-f](?:\r\n|[^\x20-\x7E])(?:)")),
        (r"[^]a(]\Kb", Some(r"[^]a(](?:)b")),
        (r"(a)?(?(1)b|c)", None),
        ("(?x) a # )\n(?=b)", None),
        (r"(?=a", None),
    ];
    for (text, expected) in table {
        assert_eq!(relaxed(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn what_is_left_matches_where_the_whole_does() {
    for (text, haystack) in [
        (r"x\h\h(?!y)", "xa9"),
        (r"x\H(?!y)", "x-"),
        (r"a\R(?=b)", "a\nb"),
        (r"a\R(?=b)", "a\r\nb"),
        (r"a\R(?=b)", "a\u{85}b"),
        (r"a\R(?=b)", "a\u{2028}b"),
    ] {
        assert_eq!(found_in(&[Expression::regex(text)], haystack.as_bytes()).len(), 1, "{text} {haystack:?}");
    }
}

#[test]
fn edges_beyond_ascii_and_counts_match_as_in_short_texts() {
    let far = "\u{e4} free ".repeat(200);
    for (text, haystack, expected) in [
        (r"(?i)\b(?:money|sex)\b", format!("{far}sexes \u{e4}sex sex\u{e4} Sex."), true),
        (r"\bfree\b", far.clone(), true),
        (r"\bfre\b", far.clone(), false),
        (r"st.{0,40}\b[A-Z]{2} \d{5}\b", format!("{} st. x XX 12345", "stst ".repeat(300)), true),
        (r"st.{0,9}\b[A-Z]{2} \d{5}\b", format!("{} XX 12345", "stst ".repeat(300)), true),
        (r"st.{0,9}\b[A-Z]{2} \d{5}\b", "stst ".repeat(300), false),
    ] {
        let found = found_in(&[Expression::regex(text)], haystack.as_bytes()).pop();
        let found = found.map(|(_, range)| (range.start, range.end));
        let plain =
            regex_automata::meta::Regex::new(text).expect("good").find(&haystack).map(|one| (one.start(), one.end()));
        assert_eq!(found, plain, "{text}");
        assert_eq!(found.is_some(), expected, "{text}");
    }
}

#[test]
fn a_runaway_stops_and_is_counted() {
    let mut builder = Builder::new();
    let id = builder.add(&Expression::regex(r"(?:x+x+)+(?=y)z")).expect("good");
    let patterns = builder.build();
    let text = "x".repeat(2_000) + "z";
    let mut budget = Budget::of_steps(120_000);
    assert!(!patterns.is_match(id, text.as_bytes(), &mut budget));
    assert!(budget.ran_out());
    for _ in 0..10 {
        patterns.is_match(id, text.as_bytes(), &mut budget);
    }
    assert!(budget.stopped() > 3, "{budget:?}");
}

#[test]
fn a_try_that_fails_costs_what_it_may_have_taken() {
    let mut builder = Builder::new();
    // Each word can be parted in thousands of ways, and none of them is the one.
    let id = builder.add(&Expression::regex(r"(?:a|b|ab)+(?!.)")).expect("good");
    let patterns = builder.build();
    let text = format!("{} ", "ab".repeat(10)).repeat(2);
    let mut budget = Budget::of_steps(400_000);
    assert!(!patterns.is_match(id, text.as_bytes(), &mut budget));
    assert!(budget.ran_out(), "{budget:?}");
    // Where each fails at once there is enough for many.
    let text = "a ".repeat(60);
    let mut budget = Budget::default();
    for _ in 0..100 {
        assert!(!patterns.is_match(id, text.as_bytes(), &mut budget));
    }
    assert!(!budget.ran_out(), "{budget:?}");
}

#[test]
fn what_is_late_is_said_once_of_each_pattern() {
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let mut budget = Budget::default().until(move || counter.fetch_add(1, Ordering::Relaxed) > 2);
    let mut builder = Builder::lazy();
    for text in ["a", "b", r"\d", "z"] {
        builder.add(&Expression::octets(text)).expect("good");
    }
    let texts: Texts = std::iter::repeat_n(&b"ab1"[..], 1_000).collect();
    let stopped = builder.build().matches_in(&texts, &mut budget, &mut |_, _, _| true);
    // Of what stands nowhere nothing is missed.
    assert_eq!(stopped.iter().map(|id| id.index()).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(budget.stopped(), 3);
    assert!(calls.load(Ordering::Relaxed) < 5, "{calls:?}");
}

#[test]
fn nothing_is_begun_when_it_is_late() {
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let mut budget = Budget::default().until(move || counter.fetch_add(1, Ordering::Relaxed) > 0);
    let mut builder = Builder::new();
    for text in ["a", "b", "c"] {
        builder.add(&Expression::regex(text)).expect("good");
    }
    let mut found = 0;
    builder.build().matches(b"abc", &mut budget, &mut |_, _| found += 1);
    assert_eq!((found, budget.stopped()), (1, 2));
}

#[test]
fn only_candidates_are_compiled() {
    let mut builder = Builder::new();
    // Of fewer each looks for itself.
    for number in 0..9 {
        builder.add(&Expression::regex(format!("needle{number} [0-9]{{20}}"))).expect("good");
    }
    let patterns = builder.build();
    let before = patterns.octets();
    patterns.matches(b"hay", &mut Budget::default(), &mut |_, _| {});
    assert_eq!(patterns.octets(), before);
    patterns.matches(b"needle1 1", &mut Budget::default(), &mut |_, _| {});
    assert!(patterns.octets() > before);
}

/// Expressions of few letters, so that they match now and then.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[abAB]{1,4}",
        Just("[ab]".to_owned()),
        Just(".".to_owned()),
        Just(r"\w".to_owned()),
        Just("^".to_owned()),
        Just(r"\b".to_owned()),
        Just("ä".to_owned()),
        Just("(?i:aB)".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            (inner.clone(), prop_oneof![Just("?"), Just("*"), Just("+"), Just("{2}"), Just("{1,3}"), Just("+?")])
                .prop_map(|(part, times)| format!("(?:{part}){times}")),
            inner.clone().prop_map(|part| format!("(?={part})")),
            inner.prop_map(|part| format!("(?!{part})")),
        ]
    })
}

#[test]
fn who_has_enough_is_told_no_more() {
    let mut builder = Builder::lazy();
    for text in [r"\d", "two"] {
        builder.add(&Expression::octets(text).up_to(5)).expect("good");
    }
    let texts: Texts = [&b"one 1 1"[..], b"two 2", b"", b"two"].into_iter().collect();
    let mut told = Vec::new();
    builder.build().matches_in(&texts, &mut Budget::default(), &mut |id, text, count| {
        told.push((id.index(), text, count));
        id.index() == 1
    });
    assert_eq!(told, [(0, 0, 2), (1, 1, 1), (1, 3, 1)]);
    assert_eq!(texts.iter().collect::<Vec<_>>(), [&b"one 1 1"[..], b"two 2", b"", b"two"]);
}

#[test]
fn what_is_loose_is_small_and_knows_many_texts() {
    let table = [
        // Ends of the text are ends of lines.
        (r"^a$", "(?m:^)a(?m:$)"),
        // What is counted far is not counted.
        ("a.{0,40}b", r"a[\x00-\x09\x0B-\xFF]*b"),
        ("x{30}", "x{5,}"),
        ("(a)(?:b|c){2}", "a(?:b|c){2}"),
    ];
    let parsed =
        |text: &str| regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(text).expect("good");
    for (text, expected) in table {
        assert_eq!(loosened(&parsed(text)), parsed(expected), "{text}");
    }
    let ways: Vec<String> =
        (b'a'..=b'z').flat_map(|one| [format!(r"{}\xcc", one as char), format!("{}", one as char)]).collect();
    let letter = format!("(?:{})", ways.join("|"));
    assert_eq!(loosened(&parsed(&letter)), parsed(r"[a-z](?:\xcc)?"));
}

#[test]
fn who_ran_out_says_of_which_a_match_may_be_missing() {
    let mut builder = Builder::lazy();
    for text in ["a(?=b)", "c", r"(b)\1"] {
        builder.add(&Expression::octets(text)).expect("good");
    }
    let texts: Texts = [&b"ab bb c"[..]].into_iter().collect();
    let mut found = Vec::new();
    let stopped = builder.build().matches_in(&texts, &mut Budget::of_steps(0), &mut |id, _, _| {
        found.push(id.index());
        true
    });
    assert_eq!(found, [1]);
    assert_eq!(stopped.iter().map(|id| id.index()).collect::<Vec<_>>(), [0, 2]);
}

proptest! {
    #[test]
    fn texts_read_together_match_as_each_alone(
        expressions in prop::collection::vec(expression(), 1..6),
        texts in prop::collection::vec("[abABä \n]{0,20}", 0..5),
        most in 1..3_usize,
        octets: bool,
    ) {
        let mut builder = Builder::lazy();
        for text in &expressions {
            let expression = if octets { Expression::octets(text) } else { Expression::regex(text) };
            let _ = builder.add(&expression.up_to(most));
        }
        let patterns = builder.build();
        let mut alone = Vec::new();
        for number in 0..patterns.len() as u32 {
            let id = PatternId::from_number(number);
            for (at, text) in texts.iter().enumerate() {
                let mut count = 0;
                patterns.matches_of(id, text.as_bytes(), &mut Budget::default(), &mut |_| count += 1);
                alone.extend((count > 0).then_some((id, at, count)));
            }
        }
        let all: Texts = texts.iter().map(String::as_bytes).collect();
        let mut together = Vec::new();
        patterns.matches_in(&all, &mut Budget::default(), &mut |id, text, count| {
            together.push((id, text, count));
            true
        });
        prop_assert_eq!(together, alone);
    }

    #[test]
    fn the_filter_loses_no_match(texts in prop::collection::vec(expression(), 1..6), text in "[abABä \n]{0,40}", octets: bool) {
        let mut builder = Builder::new();
        for text in &texts {
            let expression = if octets { Expression::octets(text) } else { Expression::regex(text) };
            // What nothing can match is refused; that is no concern here.
            let _ = builder.add(&expression);
        }
        let patterns = builder.build();
        let mut filtered = Vec::new();
        patterns.matches(text.as_bytes(), &mut Budget::default(), &mut |id, range| filtered.push((id.index(), range)));
        let mut plain = Vec::new();
        for number in 0..patterns.len() as u32 {
            let id = PatternId::from_number(number);
            patterns.matches_of(id, text.as_bytes(), &mut Budget::default(), &mut |range| plain.push((id.index(), range)));
        }
        prop_assert_eq!(filtered, plain);
    }

    #[test]
    fn phrases_stand_where_their_expressions_match(
        phrases in prop::collection::vec("[akKs\u{17f}\u{212a}\u{e9}\u{b2}_%\u{df} -]{1,7}", 1..5),
        text in "[akKsS\u{17f}\u{212a}\u{e9}\u{c9}\u{b2}_%\u{df}\u{1e9e} \u{a0}\n-]{0,40}",
        cut in 0..3usize,
    ) {
        let mut builder = Builder::new();
        for phrase in &phrases {
            // One without a letter is none.
            let _ = builder.add(&Expression::phrase(phrase));
        }
        let patterns = builder.build();
        // What is no character any more is no letter.
        let text = text.as_bytes().get(cut..).unwrap_or_default();
        let mut seen = Vec::new();
        patterns.matches(text, &mut Budget::default(), &mut |id, range| seen.push((id.index(), range)));
        let mut matched = Vec::new();
        for number in 0..patterns.len() as u32 {
            let id = PatternId::from_number(number);
            patterns.matches_of(id, text, &mut Budget::default(), &mut |range| matched.push((id.index(), range)));
        }
        prop_assert_eq!(seen, matched);
    }

    #[test]
    fn no_text_is_fatal(text in "[a(){}\\[\\]?*+|\\\\^$<>=!:x1#, -]{0,30}") {
        let _ = Builder::new().add(&Expression::regex(text.clone()));
        let _ = Builder::new().add(&Expression::octets(text));
    }
}
