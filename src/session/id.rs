//! The name of one decision: short, sortable by time, quotable over the telephone.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// 42 bits of milliseconds and 23 random bits, as 13 characters of base32 (Crockford's alphabet,
/// which has no letters that look like digits).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(u128);

impl TransactionId {
    /// A new name for something that begins `at`.
    pub fn new(at: SystemTime) -> Self {
        let millis = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis()) & ((1 << 42) - 1);
        Self(millis << 23 | u128::from(rand::random::<u32>() >> 9))
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut text = [b'0'; 13];
        for (place, slot) in text.iter_mut().enumerate() {
            let digit = (self.0 >> (5 * (12 - place))) & 31;
            *slot = ALPHABET.get(digit as usize).copied().unwrap_or(b'0');
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn names_sort_by_time_and_differ() {
        let start = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let names: Vec<String> =
            (0..1000).map(|n| TransactionId::new(start + Duration::from_millis(n * 2)).to_string()).collect();
        assert!(names.is_sorted() && names.iter().all(|name| name.len() == 13), "{names:?}");
        let same: std::collections::HashSet<_> = (0..100).map(|_| TransactionId::new(start).to_string()).collect();
        assert!(same.len() > 95);
    }
}
