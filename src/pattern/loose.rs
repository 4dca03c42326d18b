//! An expression without what makes automata slow: it matches at least where the original does.
//!
//! The fast automaton of the linear engine knows edges of words in ASCII texts only; elsewhere the slow one would read
//! the whole text. And where a repetition is counted, it has a state for every set of counts.

use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

/// Repetitions up to so often are counted.
const COUNTED: u32 = 8;

/// The same, but edges of words of Unicode are anywhere.
pub(super) fn loose(hir: &Hir) -> Hir {
    if !hir.properties().look_set().contains_word_unicode() {
        return hir.clone();
    }
    match hir.kind() {
        HirKind::Look(look) if is_edge(*look) => Hir::empty(),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => hir.clone(),
        HirKind::Repetition(repetition) => Hir::repetition(repetition.with(loose(&repetition.sub))),
        HirKind::Capture(capture) => loose(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(loose).collect()),
        HirKind::Alternation(ways) => Hir::alternation(ways.iter().map(loose).collect()),
    }
}

/// The same, but what is repeated more often is repeated as often as one likes.
pub(super) fn uncounted(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => hir.clone(),
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            min: repetition.min.min(COUNTED),
            max: repetition.max.filter(|max| *max <= COUNTED),
            ..repetition.with(uncounted(&repetition.sub))
        }),
        HirKind::Capture(capture) => uncounted(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(uncounted).collect()),
        HirKind::Alternation(ways) => Hir::alternation(ways.iter().map(uncounted).collect()),
    }
}

/// True if it counts, and so differs from what [`uncounted`] makes of it.
pub(super) fn is_counted(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => false,
        HirKind::Repetition(one) => {
            one.min > COUNTED || one.max.is_some_and(|max| max > COUNTED) || is_counted(&one.sub)
        }
        HirKind::Capture(capture) => is_counted(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(is_counted),
    }
}

fn is_edge(look: Look) -> bool {
    matches!(
        look,
        Look::WordUnicode
            | Look::WordUnicodeNegate
            | Look::WordStartUnicode
            | Look::WordEndUnicode
            | Look::WordStartHalfUnicode
            | Look::WordEndHalfUnicode
    )
}

/// True if every match contains an octet beyond ASCII.
pub(super) fn is_beyond_ascii(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => !literal.0.is_ascii(),
        HirKind::Class(Class::Unicode(class)) => class.iter().all(|range| !range.start().is_ascii()),
        HirKind::Class(Class::Bytes(class)) => class.iter().all(|range| !range.start().is_ascii()),
        HirKind::Repetition(repetition) => repetition.min > 0 && is_beyond_ascii(&repetition.sub),
        HirKind::Capture(capture) => is_beyond_ascii(&capture.sub),
        HirKind::Concat(parts) => parts.iter().any(is_beyond_ascii),
        HirKind::Alternation(ways) => ways.iter().all(is_beyond_ascii),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Hir {
        regex_syntax::ParserBuilder::new().utf8(false).build().parse(text).expect("good")
    }

    #[test]
    fn edges_of_words_are_left_out() {
        for (text, expected) in [
            (r"\bfoo\b", "foo"),
            (r"(?:\bfoo|bar\B)+", "(?:foo|bar)+"),
            (r"^(\b{start}a|b)$", "^(?:a|b)$"),
            (r"(?-u:\b)a", r"(?-u:\b)a"),
        ] {
            assert_eq!(loose(&parsed(text)).to_string(), parsed(expected).to_string(), "{text}");
        }
    }

    #[test]
    fn few_repetitions_are_counted() {
        for (text, expected) in [
            ("a{3}b{2,8}c*", "a{3}b{2,8}c*"),
            (".{0,40}x", ".*x"),
            ("[13][a-z]{25,34}?", "[13][a-z]{8,}?"),
            ("(?:a{9}|b)?", "(?:a{8,}|b)?"),
        ] {
            assert_eq!(uncounted(&parsed(text)).to_string(), parsed(expected).to_string(), "{text}");
            assert_eq!(is_counted(&parsed(text)), text != expected, "{text}");
        }
    }

    #[test]
    fn some_expressions_need_more_than_ascii() {
        for (text, expected) in [
            ("ä", true),
            ("[à-ÿ]+x", true),
            ("[a-ÿ]+x", false),
            ("ä?", false),
            ("ä|b", false),
            ("(?:ä|b)ö", true),
            ("(?i)k", false),
            (r"\w", false),
            (r"[ä&&b]", true),
        ] {
            assert_eq!(is_beyond_ascii(&parsed(text)), expected, "{text}");
        }
    }
}
