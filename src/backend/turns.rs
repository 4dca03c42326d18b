//! Whose turn it is among members that could all take the next message: by weight, evenly spread.

use std::sync::{Mutex, PoisonError};

/// What each member is owed.
pub(super) struct Turns(Mutex<Vec<i64>>);

impl Turns {
    /// Nobody is owed anything.
    pub(super) fn new(members: usize) -> Self {
        Self(Mutex::new(vec![0; members]))
    }

    /// Puts `among` (indices) in the order in which they are to be tried, and gives the first its turn. Over a while
    /// each has its weight's share, and never a row of turns that a smaller weight could have come between.
    pub(super) fn order(&self, among: &mut [usize], weight: impl Fn(usize) -> u32) {
        if among.len() < 2 {
            return;
        }
        let mut owed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total = 0;
        for &member in among.iter() {
            let weight = i64::from(weight(member));
            total += weight;
            if let Some(owed) = owed.get_mut(member) {
                *owed += weight;
            }
        }
        among.sort_by_key(|&member| (-owed.get(member).copied().unwrap_or(0), member));
        if let Some(owed) = among.first().and_then(|&first| owed.get_mut(first)) {
            *owed -= total;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(turns: &Turns, among: &[usize], weights: [u32; 3], count: usize) -> Vec<usize> {
        let mut taken = Vec::new();
        for _ in 0..count {
            let mut among = among.to_vec();
            turns.order(&mut among, |member| weights[member]);
            taken.extend(among.first());
        }
        taken
    }

    #[test]
    fn turns_go_by_weight_and_are_spread() {
        for (weights, expected) in
            [([1, 1, 1], vec![0, 1, 2, 0, 1, 2]), ([3, 1, 1], vec![0, 1, 0, 2, 0]), ([1, 2, 1], vec![1, 0, 2, 1])]
        {
            assert_eq!(taken(&Turns::new(3), &[0, 1, 2], weights, expected.len()), expected, "{weights:?}");
        }
    }

    #[test]
    fn who_was_away_is_owed_nothing() {
        let turns = Turns::new(3);
        taken(&turns, &[0, 1], [1; 3], 100);
        assert_eq!(taken(&turns, &[0, 1, 2], [1; 3], 3), [0, 1, 2]);
    }
}
