//! How common a word is: what is in most mail says little about which mail it is.

use std::sync::LazyLock;

use xxhash_rust::xxh3::xxh3_64;

use super::normal::{self, Token};

const LIST: &str = include_str!("common.txt");
/// Letters of a word that is common in any language.
const SHORT: usize = 3;

/// How much a word tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rarity {
    Ubiquitous,
    Common,
    Usual,
    Rare,
}

impl Rarity {
    /// Of a word as [`normal::words`] tells it: its hash, and how many octets it has.
    pub(super) fn of(hash: u64, length: usize) -> Self {
        let listed = COMMON.rarity(entry(hash));
        if length <= SHORT { listed.min(Self::Common) } else { listed }
    }

    /// How much less often than a rare word it is chosen to find a message again.
    pub(super) fn handicap(self) -> u64 {
        match self {
            Self::Ubiquitous => 20,
            Self::Common => 5,
            Self::Usual => 2,
            Self::Rare => 1,
        }
    }
}

/// Places in the table: a power of two, several times the number of words.
const PLACES: usize = 1 << 13;

/// Hashes of the words that are not rare, with open addressing; zero is free.
struct Table(Vec<(u32, Rarity)>);

impl Table {
    fn rarity(&self, hash: u32) -> Rarity {
        self.0[self.place(hash)].1
    }

    /// Where a hash is, or belongs.
    fn place(&self, hash: u32) -> usize {
        let mut at = hash as usize % PLACES;
        while self.0[at].0 != 0 && self.0[at].0 != hash {
            at = (at + 1) % PLACES;
        }
        at
    }
}

/// One in a million words that are not in the list has that of one in it: no harm.
fn entry(hash: u64) -> u32 {
    (hash as u32).max(1)
}

static COMMON: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table(vec![(0, Rarity::Rare); PLACES]);
    let mut rarity = Rarity::Ubiquitous;
    for line in LIST.lines().filter(|line| !line.starts_with('#')) {
        match line {
            "= ubiquitous" => rarity = Rarity::Ubiquitous,
            "= common" => rarity = Rarity::Common,
            "= usual" => rarity = Rarity::Usual,
            words => normal::words(words.split(' '), |token| {
                if let Token::Word(word) = token {
                    let hash = entry(xxh3_64(word));
                    let place = table.place(hash);
                    // The first group that has a word is right.
                    if table.0[place].0 == 0 {
                        table.0[place] = (hash, rarity);
                    }
                }
            }),
        }
    }
    table
});
