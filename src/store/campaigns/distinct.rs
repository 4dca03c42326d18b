//! About how many different things there were, in little room.
//!
//! Up to [`FEW`] are counted exactly, as a list of hashes; more are estimated (Flajolet et al. 2007,
//! HyperLogLog) from 256 registers of 6 bits, which take no more room than the list: an error of 6.5 % is usual.

/// Different hashes that are counted exactly.
const FEW: usize = 48;
/// Bits of a hash that choose a register.
const INDEX_BITS: u32 = 8;
const REGISTERS: usize = 1 << INDEX_BITS;
/// Octets of all registers.
const OCTETS: usize = REGISTERS * 6 / 8;
/// What stands where the length of a list would, if there is none.
const DENSE: u8 = u8::MAX;

/// A set of hashes of which the number is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Distinct {
    /// All of them, sorted.
    Few(Vec<u32>),
    /// Registers.
    Many(Box<[u8; OCTETS]>),
}

impl Default for Distinct {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Distinct {
    /// Counts a hash, all bits of which must depend on all of what was hashed.
    pub(in crate::store) fn add(&mut self, hash: u32) {
        match self {
            Self::Few(few) => {
                let Err(at) = few.binary_search(&hash) else { return };
                if few.len() < FEW {
                    // Most lists stay as short as they are.
                    few.reserve_exact(1);
                    few.insert(at, hash);
                    return;
                }
                let mut registers = Box::new([0; OCTETS]);
                few.iter().chain([&hash]).for_each(|hash| raise(&mut registers, *hash));
                *self = Self::Many(registers);
            }
            Self::Many(registers) => raise(registers, hash),
        }
    }

    /// About how many there are.
    pub(in crate::store) fn count(&self) -> u64 {
        let registers = match self {
            Self::Few(few) => return few.len() as u64,
            Self::Many(registers) => registers,
        };
        let count = REGISTERS as f64;
        let ranks = (0..REGISTERS).map(|at| get(registers, at));
        let harmonic: f64 = ranks.clone().map(|rank| (-f64::from(rank)).exp2()).sum();
        let estimate = 0.7213 / (1.0 + 1.079 / count) * count * count / harmonic;
        let empty = ranks.filter(|rank| *rank == 0).count();
        match empty {
            1.. if estimate <= 2.5 * count => (count * (count / empty as f64).ln()).round() as u64,
            _ => estimate.round() as u64,
        }
    }

    /// Appends it as it is written down.
    pub(in crate::store) fn encode(&self, to: &mut Vec<u8>) {
        match self {
            Self::Few(few) => {
                to.push(few.len() as u8);
                few.iter().for_each(|hash| to.extend(hash.to_le_bytes()));
            }
            Self::Many(registers) => {
                to.push(DENSE);
                to.extend(&**registers);
            }
        }
    }

    /// What was written down, and what follows it.
    pub(in crate::store) fn decode(octets: &[u8]) -> Option<(Self, &[u8])> {
        let (length, rest) = octets.split_first()?;
        if *length == DENSE {
            let (registers, rest) = rest.split_first_chunk::<OCTETS>()?;
            return Some((Self::Many(Box::new(*registers)), rest));
        }
        let (hashes, rest) = rest.split_at_checked(usize::from(*length).min(FEW) * size_of::<u32>())?;
        let (hashes, _) = hashes.as_chunks();
        let mut few: Vec<u32> = hashes.iter().map(|hash| u32::from_le_bytes(*hash)).collect();
        few.sort_unstable();
        few.dedup();
        Some((Self::Few(few), rest))
    }
}

/// Lets a hash leave its mark: the most zeros in a row that its register has seen.
fn raise(registers: &mut [u8; OCTETS], hash: u32) {
    let at = (hash >> (u32::BITS - INDEX_BITS)) as usize;
    let rank = ((hash << INDEX_BITS).leading_zeros().min(u32::BITS - INDEX_BITS) + 1) as u8;
    if get(registers, at) < rank {
        let (octet, shift) = (at * 6 / 8, at * 6 % 8);
        let pair = u16::from(registers[octet]) | u16::from(registers.get(octet + 1).copied().unwrap_or(0)) << 8;
        let pair = pair & !(0x3f << shift) | u16::from(rank) << shift;
        registers[octet] = pair as u8;
        if let Some(next) = registers.get_mut(octet + 1) {
            *next = (pair >> 8) as u8;
        }
    }
}

fn get(registers: &[u8; OCTETS], at: usize) -> u8 {
    let (octet, shift) = (at * 6 / 8, at * 6 % 8);
    let pair = u16::from(registers[octet]) | u16::from(registers.get(octet + 1).copied().unwrap_or(0)) << 8;
    (pair >> shift) as u8 & 0x3f
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    fn of(numbers: u64) -> Distinct {
        let mut distinct = Distinct::default();
        for number in (0..numbers).chain(0..numbers.min(1000)) {
            distinct.add(xxh3_64(&number.to_le_bytes()) as u32);
        }
        distinct
    }

    #[test]
    fn few_are_counted_exactly_and_many_about() {
        for numbers in [0, 1, 2, 47, 48] {
            assert_eq!(of(numbers).count(), numbers);
        }
        for numbers in [49, 100, 300, 700, 1000, 10_000, 1_000_000] {
            let (count, numbers) = (of(numbers).count() as f64, numbers as f64);
            assert!((count / numbers - 1.0).abs() < 0.2, "{numbers}: {count}");
        }
    }

    #[test]
    fn what_is_written_down_is_read_again() {
        for numbers in [0, 1, 48, 49, 5000] {
            let (distinct, mut octets) = (of(numbers), Vec::new());
            distinct.encode(&mut octets);
            assert!(octets.len() <= 1 + OCTETS);
            octets.extend(b"more");
            assert_eq!(Distinct::decode(&octets), Some((distinct, &b"more"[..])));
            assert_eq!(Distinct::decode(&octets[..octets.len().saturating_sub(5)]), None);
        }
        assert_eq!(Distinct::decode(b""), None);
    }
}
