//! Numbers beside the entries of a zone, in as little room as they need.

/// Small numbers, each in as few octets as the largest of them takes; no octet at all if they are all equal.
#[derive(Debug)]
pub(super) enum Packed {
    Same(u32),
    Octets(Box<[u8]>),
    Pairs(Box<[u16]>),
    Words(Box<[u32]>),
}

impl Packed {
    pub(super) fn new(numbers: Vec<u32>) -> Self {
        let first = numbers.first().copied().unwrap_or(0);
        let largest = numbers.iter().copied().max().unwrap_or(0);
        if numbers.iter().all(|number| *number == first) {
            Self::Same(first)
        } else if u8::try_from(largest).is_ok() {
            Self::Octets(numbers.into_iter().map(|number| number as u8).collect())
        } else if u16::try_from(largest).is_ok() {
            Self::Pairs(numbers.into_iter().map(|number| number as u16).collect())
        } else {
            Self::Words(numbers.into_boxed_slice())
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<u32> {
        match self {
            Self::Same(number) => Some(*number),
            Self::Octets(numbers) => numbers.get(index).copied().map(u32::from),
            Self::Pairs(numbers) => numbers.get(index).copied().map(u32::from),
            Self::Words(numbers) => numbers.get(index).copied(),
        }
    }

    /// Memory in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Same(_) => 0,
            Self::Octets(numbers) => size_of_val(&**numbers),
            Self::Pairs(numbers) => size_of_val(&**numbers),
            Self::Words(numbers) => size_of_val(&**numbers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_room_of_the_largest() {
        for (numbers, bytes) in [
            (vec![], 0),
            (vec![70_000; 9], 0),
            (vec![0, 255], 2),
            (vec![0, 256, 1], 6),
            (vec![65_535, 0], 4),
            (vec![65_536, 0], 8),
        ] {
            let packed = Packed::new(numbers.clone());
            assert_eq!(packed.bytes(), bytes, "{numbers:?}");
            for (index, number) in numbers.iter().enumerate() {
                assert_eq!(packed.get(index), Some(*number), "{numbers:?}");
            }
        }
    }
}
