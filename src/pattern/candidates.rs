//! Which pattern might match in which text: a bit for each of both, so that no text makes it larger.

/// Patterns and the texts in which they might match.
#[derive(Debug)]
pub(super) struct Candidates {
    texts: usize,
    /// Words of bits for each pattern.
    words: usize,
    bits: Vec<u64>,
    /// Patterns that might match in every text.
    in_all: Vec<bool>,
}

impl Candidates {
    /// None yet.
    pub(super) fn none_of(patterns: usize, texts: usize) -> Self {
        let words = texts.div_ceil(64);
        Self { texts, words, bits: vec![0; patterns.saturating_mul(words)], in_all: vec![false; patterns] }
    }

    /// A pattern might match in a text.
    pub(super) fn mark(&mut self, pattern: u32, text: u32) {
        let (pattern, text) = (pattern as usize, text as usize);
        if text < self.texts
            && let Some(word) = self.bits.get_mut(pattern * self.words + text / 64)
        {
            *word |= 1 << (text % 64);
        }
    }

    /// It might in every text.
    pub(super) fn mark_all(&mut self, pattern: u32) {
        self.in_all.get_mut(pattern as usize).into_iter().for_each(|all| *all = true);
    }

    /// The texts in which a pattern might match, in their order.
    pub(super) fn texts_of(&self, pattern: usize) -> impl Iterator<Item = usize> {
        let all = if self.in_all.get(pattern) == Some(&true) { self.texts } else { 0 };
        let row = if all > 0 { 0..0 } else { pattern * self.words..(pattern + 1) * self.words };
        let words = self.bits.get(row).unwrap_or_default().iter().enumerate();
        (0..all).chain(words.flat_map(|(at, word)| ones(*word).map(move |bit| at * 64 + bit)))
    }

    /// Octets of memory that it takes, about.
    #[cfg(test)]
    pub(super) fn octets(&self) -> usize {
        self.bits.len() * 8 + self.in_all.len()
    }
}

/// The bits of a word that are set.
fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros();
        word &= word.wrapping_sub(1);
        (bit < u64::BITS).then_some(bit as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_in_their_order_each_once() {
        let mut candidates = Candidates::none_of(3, 130);
        for text in [129, 0, 64, 0, 63] {
            candidates.mark(1, text);
        }
        // There is no such text, and no such pattern.
        candidates.mark(0, 130);
        candidates.mark(3, 0);
        candidates.mark(2, 5);
        candidates.mark_all(2);
        let texts = |pattern| candidates.texts_of(pattern).collect::<Vec<_>>();
        assert_eq!((texts(0), texts(1), texts(3)), (vec![], vec![0, 63, 64, 129], vec![]));
        assert_eq!(texts(2), (0..130).collect::<Vec<_>>());
    }

    #[test]
    fn what_may_match_anywhere_takes_no_more_room_than_what_matches_nowhere() {
        let (patterns, texts) = (2_000, 8_000);
        let mut candidates = Candidates::none_of(patterns, texts);
        let before = candidates.octets();
        for pattern in 0..patterns as u32 {
            candidates.mark_all(pattern);
            (0..texts as u32).for_each(|text| candidates.mark(pattern, text));
        }
        assert_eq!(candidates.octets(), before);
        assert!(before <= patterns * (texts / 8 + 1), "{before}");
    }
}
