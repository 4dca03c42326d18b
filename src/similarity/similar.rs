//! From what two digests have in common to how alike the messages are, and whether that is evidence.

use super::digest::Digest;

/// How much it says that two texts are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// Next to nothing: there are hardly any words. A picture, a login code.
    None,
    /// A few lines, or a form that was filled in.
    Weak,
    /// A short message.
    Fair,
    /// Text enough.
    Strong,
}

/// Words from which on a text is evidence of each kind.
const WEAK: f32 = 8.0;
const FAIR: f32 = 25.0;
const STRONG: f32 = 60.0;
/// Words from which on texts have common ones enough to be a little alike all the same, and from which on as much
/// more of them has to be the same as ever.
const LONG: f32 = 400.0;
const VERY_LONG: f32 = 1000.0;

impl Evidence {
    /// Of a text with so many different words. In a form a good part is numbers, names and addresses that are
    /// new each time, and the rest is the form: it says one step less.
    pub(super) fn of(words: f32, is_form: bool) -> Self {
        match (words, is_form) {
            (words, _) if words < WEAK => Self::None,
            (words, _) if words < FAIR => Self::Weak,
            (words, true) if words < STRONG => Self::Weak,
            (words, is_form) if words < STRONG || is_form => Self::Fair,
            (_, _) => Self::Strong,
        }
    }

    /// Percent from which on two texts are taken for one, the shorter of so many words.
    fn threshold(self, words: f32) -> f32 {
        match self {
            Self::None => 90.0,
            // The fewer words there are, the more of them have to be the same.
            Self::Weak => 62.0 + 18.0 * ((FAIR - words) / (FAIR - WEAK)).clamp(0.0, 1.0),
            Self::Fair | Self::Strong => 50.0 + 10.0 * ((words - LONG) / (VERY_LONG - LONG)).clamp(0.0, 1.0),
        }
    }
}

impl Digest {
    /// How alike two texts are, 0 to 100 percent: the words that both have, of the geometric mean of their
    /// numbers of words. So a text with as much again put before it is still alike.
    pub fn similarity(&self, other: &Self) -> f32 {
        if self.is_empty() || other.is_empty() {
            return 0.0;
        }
        let (ours, theirs) = (self.words(), other.words());
        let resemblance = self.resemblance(other);
        let shared = resemblance / (1.0 + resemblance) * (ours + theirs);
        let shared = shared.min(ours).min(theirs);
        100.0 * shared / (ours * theirs).sqrt()
    }

    /// The similarity, if it is enough for two messages with as much text as these to be taken for one.
    pub fn alike(&self, other: &Self) -> Option<f32> {
        let similarity = self.similarity(other);
        let evidence = self.evidence().min(other.evidence());
        let threshold = evidence.threshold(self.words().min(other.words()));
        (similarity >= threshold).then_some(similarity)
    }
}
