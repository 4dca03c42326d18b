//! Which of many literals stand in a text, and where: read once.

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};

/// Octets of an automaton that knows the next state at once; a larger one takes several steps for some octets.
const FAST_MOST: usize = 6 << 20;
/// Octets of literals of which the fast one would be larger.
const LETTERS_MOST: usize = 40_000;

/// Literals, whatever their case within ASCII.
#[derive(Debug)]
pub(super) enum Scanner {
    Fast(Box<DFA>),
    Small(Box<NFA>),
}

impl Scanner {
    /// For these, numbered in their order; none if they are too many.
    pub(super) fn of<'l>(literals: impl Iterator<Item = &'l Vec<u8>> + Clone) -> Option<Self> {
        let letters: usize = literals.clone().map(Vec::len).sum();
        let fast = || {
            let mut builder = DFA::builder();
            builder.match_kind(MatchKind::Standard).ascii_case_insensitive(true);
            builder.build(literals.clone()).ok()
        };
        let fast = if letters > LETTERS_MOST { None } else { fast() };
        if let Some(fast) = fast.filter(|automaton| automaton.memory_usage() <= FAST_MOST) {
            return Some(Self::Fast(Box::new(fast)));
        }
        let mut builder = NFA::builder();
        builder.match_kind(MatchKind::Standard).ascii_case_insensitive(true);
        builder.build(literals).ok().map(|automaton| Self::Small(Box::new(automaton)))
    }

    /// Tells of each literal that stands in `text`: its number, where it begins, and where it ends. In the order of
    /// their ends.
    pub(super) fn read(&self, text: &[u8], found: &mut impl FnMut(u32, usize, usize)) {
        match self {
            Self::Fast(automaton) => read(&**automaton, text, found),
            Self::Small(automaton) => read(&**automaton, text, found),
        }
    }

    /// Octets of memory that it takes.
    pub(super) fn octets(&self) -> usize {
        match self {
            Self::Fast(automaton) => automaton.memory_usage(),
            Self::Small(automaton) => automaton.memory_usage(),
        }
    }
}

fn read(automaton: &impl Automaton, text: &[u8], found: &mut impl FnMut(u32, usize, usize)) {
    let Ok(mut state) = automaton.start_state(Anchored::No) else { return };
    for (at, octet) in text.iter().enumerate() {
        state = automaton.next_state(Anchored::No, state, *octet);
        if automaton.is_special(state) && automaton.is_match(state) {
            let end = at + 1;
            for number in 0..automaton.match_len(state) {
                let literal = automaton.match_pattern(state, number);
                found(literal.as_u32(), end - automaton.pattern_len(literal), end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_stand_there_are_told_whatever_their_case() {
        let few: Vec<Vec<u8>> = ["he", "her", "she"].map(|literal| literal.as_bytes().to_vec()).into();
        // Of so many there is no fast automaton.
        let many = few.iter().cloned().chain((0..10_000).map(|number| format!("{number:06}").into_bytes()));
        for literals in [few.clone(), many.collect()] {
            let scanner = Scanner::of(literals.iter()).expect("not too many");
            assert_eq!(matches!(scanner, Scanner::Fast(_)), literals.len() == 3);
            let mut found = Vec::new();
            scanner.read(b"usHERs", &mut |literal, start, end| found.push((literal, start, end)));
            found.sort_unstable();
            assert_eq!(found, [(0, 2, 4), (1, 2, 5), (2, 1, 4)]);
        }
    }
}
