//! What a message is looked at for: each aspect of it has a region of the table, and a say of its own.
//!
//! A long text has hundreds of pairs of words and one subject. If all features were one sum, what a message is would
//! be what its longest part says; so each aspect is summed for itself, and what a cell belongs to its number tells.

/// Bits of a cell's number that tell its aspect.
const BITS: u32 = 4;

/// A side of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aspect {
    /// Pairs of words of the shown text.
    Pairs,
    /// Its words.
    Words,
    /// The header, but for the subject.
    Header,
    /// The subject.
    Subject,
    /// How the shown text begins.
    Beginning,
    /// Where it points to.
    Links,
    /// What it is made of, what is attached, and what is hidden.
    Structure,
}

impl Aspect {
    pub(super) const NUMBER: usize = 7;
    /// Whose region is which part of the table, in sixteenths: as large as what is different in it.
    const REGIONS: [Self; 1 << BITS] = {
        use Aspect::*;
        [
            Pairs, Pairs, Pairs, Pairs, Pairs, Pairs, Pairs, Pairs, Words, Words, Header, Subject, Beginning, Links,
            Structure, Structure,
        ]
    };

    /// Of a cell in a table of so many bits; of cells that there are not, that of the last one.
    pub(super) fn of(cell: u32, bits: u32) -> Self {
        Self::REGIONS.get((cell >> (bits - BITS)) as usize).copied().unwrap_or(Self::Structure)
    }

    /// A hash with its first bits such that its cell lies in the region.
    pub(super) fn place(self, hash: u64) -> u64 {
        let (first, size) = match self {
            Self::Pairs => (0, 8),
            Self::Words => (8, 2),
            Self::Header => (10, 1),
            Self::Subject => (11, 1),
            Self::Beginning => (12, 1),
            Self::Links => (13, 1),
            Self::Structure => (14, 2),
        };
        let sixteenth = 1u64 << (u64::BITS - BITS);
        first * sixteenth + (hash >> BITS) * size
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_feature_lies_in_the_region_of_its_aspect(hash in any::<u64>()) {
            for aspect in Aspect::REGIONS {
                let cell = (aspect.place(hash) >> 44) as u32;
                prop_assert_eq!(Aspect::of(cell, 20), aspect);
            }
        }
    }

    #[test]
    fn cells_beyond_the_table_have_one_too() {
        assert_eq!(Aspect::of(u32::MAX, 20), Aspect::Structure);
    }
}
