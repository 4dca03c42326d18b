//! The name of one decision: short, sortable by time, quotable over the telephone.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Characters of a name.
const LENGTH: usize = 13;
const RANDOM_BITS: u32 = 23;
const MILLIS_BITS: u32 = 42;

/// 42 bits of milliseconds and 23 random bits, as 13 characters of base32 (Crockford's alphabet,
/// which has no letters that look like digits).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(u128);

/// What is no name of a decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no id: it has 13 letters and digits, such as 01d5e3k8qw0zt")]
pub struct NoId(String);

impl TransactionId {
    /// A new name for something that begins `at`.
    pub fn new(at: SystemTime) -> Self {
        let millis = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let millis = u64::try_from(millis & ((1 << MILLIS_BITS) - 1)).unwrap_or_default();
        Self::from_parts(millis, rand::random::<u32>() >> (u32::BITS - RANDOM_BITS))
    }

    /// The name of that millisecond since 1970 and that number of 23 bits.
    pub fn from_parts(millis: u64, random: u32) -> Self {
        let millis = u128::from(millis) & ((1 << MILLIS_BITS) - 1);
        Self(millis << RANDOM_BITS | u128::from(random & ((1 << RANDOM_BITS) - 1)))
    }

    /// When it began, in milliseconds since 1970.
    pub fn millis(self) -> u64 {
        u64::try_from(self.0 >> RANDOM_BITS).unwrap_or_default()
    }

    /// What tells it from others of its millisecond.
    pub fn random(self) -> u32 {
        u32::try_from(self.0 & ((1 << RANDOM_BITS) - 1)).unwrap_or_default()
    }

    /// When it began.
    pub fn at(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.millis())
    }

    /// Every word of `text` that could be one, in order: of a reply, a header field or a line of a log.
    pub fn all_in(text: &str) -> impl Iterator<Item = Self> {
        text.split(|c: char| !c.is_ascii_alphanumeric()).filter_map(|word| word.parse().ok())
    }
}

impl FromStr for TransactionId {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let wrong = || NoId(text.chars().take(64).collect());
        if text.len() != LENGTH {
            return Err(wrong());
        }
        let mut value = 0_u128;
        for octet in text.bytes() {
            // Who writes one down by hand may take a digit for the letter that looks like it.
            let meant = match octet.to_ascii_lowercase() {
                b'o' => b'0',
                b'i' | b'l' => b'1',
                other => other,
            };
            let digit = ALPHABET.iter().position(|known| *known == meant).ok_or_else(wrong)?;
            value = value << 5 | digit as u128;
        }
        Ok(Self(value))
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [b'0'; LENGTH];
        for (place, slot) in text.iter_mut().enumerate() {
            let digit = (self.0 >> (5 * (LENGTH - 1 - place))) & 31;
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

impl Serialize for TransactionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TransactionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time_and_differ() {
        let start = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let names: Vec<String> =
            (0..1000).map(|n| TransactionId::new(start + Duration::from_millis(n * 2)).to_string()).collect();
        assert!(names.is_sorted() && names.iter().all(|name| name.len() == 13), "{names:?}");
        let same: std::collections::HashSet<_> = (0..100).map(|_| TransactionId::new(start).to_string()).collect();
        assert!(same.len() > 95);
    }

    #[test]
    fn a_name_says_when_it_was_given_and_is_read_again() {
        let start = UNIX_EPOCH + Duration::from_millis(1_790_000_000_123);
        let name = TransactionId::new(start);
        assert_eq!((name.at(), name.to_string().parse()), (start, Ok(name)));
        assert_eq!(TransactionId::from_parts(name.millis(), name.random()), name);
    }

    #[test]
    fn a_name_is_found_in_whatever_was_pasted() {
        let name = TransactionId::from_parts(1_790_000_000_123, 77);
        let upper = name.to_string().to_uppercase();
        let looks_alike = upper.replace('0', "O").replace('1', "l");
        for (text, found) in [
            (format!("{name}"), true),
            (format!("550 5.7.1 refused [{name}]"), true),
            (format!("id={name} client=192.0.2.1"), true),
            (format!("(id {upper})"), true),
            (looks_alike, true),
            (format!("x{name}"), false),
            ("550 5.1.1 no such user".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(TransactionId::all_in(&text).any(|known| known == name), found, "{text}");
        }
    }
}
