//! How well scores tell spam from ham.

/// What scores are worth, at the operating points and in general.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measure {
    /// Ham.
    pub ham: usize,
    /// Spam.
    pub spam: usize,
    /// Ham at or above the mark.
    pub ham_marked: usize,
    /// Ham at or above where mail is refused.
    pub ham_refused: usize,
    /// Spam at or above the mark.
    pub spam_marked: usize,
    /// Spam at or above where mail is refused.
    pub spam_refused: usize,
    /// How likely some spam scores higher than some ham.
    pub auc: f64,
    /// Share of spam above the lowest cut that at most one in a thousand of ham is above.
    pub recall_1000: f64,
    /// The same, five in a thousand.
    pub recall_200: f64,
}

impl Measure {
    /// Of scores with whether they are those of spam; `tag` and `reject` are the operating points. All in one unit.
    pub fn of(scores: &[(i32, bool)], tag: i32, reject: i32) -> Self {
        let of_class = |is_spam: bool| scores.iter().filter(move |(_, spam)| *spam == is_spam).map(|(score, _)| *score);
        let mut ham: Vec<i32> = of_class(false).collect();
        let spam: Vec<i32> = of_class(true).collect();
        ham.sort_unstable_by(|one, other| other.cmp(one));
        let above = |scores: &[i32], limit: i32| scores.iter().filter(|score| **score >= limit).count();
        Self {
            ham: ham.len(),
            spam: spam.len(),
            ham_marked: above(&ham, tag),
            ham_refused: above(&ham, reject),
            spam_marked: above(&spam, tag),
            spam_refused: above(&spam, reject),
            auc: auc(scores),
            recall_1000: recall_at(&ham, &spam, 0.001),
            recall_200: recall_at(&ham, &spam, 0.005),
        }
    }
}

/// The area under the curve of Mann and Whitney; equal scores count half. 0.5 without ham or spam.
fn auc(scores: &[(i32, bool)]) -> f64 {
    let mut sorted = scores.to_vec();
    sorted.sort_unstable();
    let (mut wins, mut ham_below) = (0.0, 0_usize);
    for equal in sorted.chunk_by(|one, other| one.0 == other.0) {
        let spam = equal.iter().filter(|(_, is_spam)| *is_spam).count();
        let ham = equal.len() - spam;
        wins += spam as f64 * (ham_below as f64 + ham as f64 / 2.0);
        ham_below += ham;
    }
    let pairs = ham_below as f64 * (scores.len() - ham_below) as f64;
    if pairs > 0.0 { wins / pairs } else { 0.5 }
}

/// `ham` is sorted, highest first.
fn recall_at(ham: &[i32], spam: &[i32], share: f64) -> f64 {
    let allowed = (share * ham.len() as f64 + 1e-9) as usize;
    let caught = match ham.get(allowed) {
        Some(limit) => spam.iter().filter(|score| *score > limit).count(),
        None => spam.len(),
    };
    if spam.is_empty() { 0.0 } else { caught as f64 / spam.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_measured_where_they_act() {
        let scores = [(100, false), (300, false), (600, false), (600, true), (900, true), (1600, true), (200, true)];
        let measure = Measure::of(&scores, 500, 1500);
        assert_eq!((measure.ham, measure.ham_marked, measure.ham_refused), (3, 1, 0));
        assert_eq!((measure.spam, measure.spam_marked, measure.spam_refused), (4, 3, 1));
        assert_eq!(measure.auc, (2.5 + 3.0 + 3.0 + 1.0) / 12.0);
        assert_eq!((measure.recall_1000, measure.recall_200), (0.5, 0.5));
    }

    #[test]
    fn without_both_there_is_nothing_to_tell_apart() {
        assert_eq!(Measure::of(&[], 500, 1500), Measure { auc: 0.5, ..Measure::default() });
        assert_eq!(Measure::of(&[(1, true)], 500, 1500).auc, 0.5);
    }
}
