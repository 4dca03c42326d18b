//! The fingerprint of a message: what of its text, its HTML and its links is compared with other messages.
//!
//! The text is taken as the set of its words. Two samples of that set are kept, each with one word per bin,
//! the one whose keyed hash is smallest (one-permutation MinHash, with few bits of each hash): words alike
//! for the estimate, and words of which rare ones come first for finding it again. How many words there are
//! stands beside them, because the share of equal bins says nothing about a text within a longer one.

use std::fmt;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::common::Rarity;
use super::normal::{self, Token};
use super::own;
use super::similar::Evidence;

/// Octets of a digest.
pub const LENGTH: usize = 128;
/// What the layout is called: digests of two layouts are not alike.
const VERSION: u8 = 1;

/// Bins that find a message again, and bits in each.
pub(super) const KEY_BINS: usize = 40;
/// Bins that only compare, with four bits each.
const BINS: usize = 108;
/// Times that a word is thrown into each family of bins: short texts fill them too.
const KEY_THROWS: u64 = 3;
const THROWS: u64 = 5;
/// Bins for the set of links (12 bits), and for the tags (4 bits).
const LINK_BINS: usize = 4;
const TAG_BINS: usize = 12;
/// Steps of the size for each doubling.
const SIZE_STEPS: f32 = 16.0;

const SIZE: usize = 1;
const KEYS: usize = 2;
const SKETCH: usize = KEYS + KEY_BINS * 3 / 2;
const LINKS: usize = SKETCH + BINS / 2;
const TAGS: usize = LINKS + LINK_BINS * 3 / 2;
const END: usize = TAGS + TAG_BINS / 2;
const _: () = assert!(END == LENGTH);

const HAS_LINKS: u8 = 0x10;
const HAS_TAGS: u8 = 0x20;
/// The text is a form that was filled in.
const IS_FORM: u8 = 0x40;
/// There is hardly any text: what is compared is its HTML and where its links lead.
const IS_PICTURE: u8 = 0x80;
/// Words from which on that is not necessary.
const ENOUGH_WORDS: usize = 8;
/// In a form more than one piece in so many is new in each copy.
const FORM: usize = 4;

/// Octets of text that are looked at.
const MAX_TEXT: usize = 64 * 1024;
/// Words that are told apart.
const MAX_WORDS: usize = 8192;
/// Places of the table of words that are looked at for one word.
const MAX_PROBES: usize = 64;

/// What a message says, as far as it is compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Content<'m> {
    /// The text that a reader sees, in lines.
    pub text: &'m str,
    /// Names of its HTML tags, hashed, in order.
    pub tags: &'m [u32],
    /// Registered domains of its links.
    pub domains: &'m [&'m str],
}

/// The fingerprint of a message. Without the key it tells of no word whether it was there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; LENGTH]);

impl Digest {
    /// Where there is none.
    pub(super) const NOTHING: Self = Self([0; LENGTH]);

    /// The fingerprint of `content`. Digests under different keys are not alike.
    pub fn of(content: &Content<'_>, key: u64) -> Self {
        let mut words = Words::new(key);
        let text = content.text.get(..content.text.floor_char_boundary(MAX_TEXT)).unwrap_or(content.text);
        let mut before = None;
        let (mut pieces, mut changing) = (0, 0);
        normal::words(own::lines(text), |token| match token {
            Token::Changing => changing += 1,
            Token::Word(word) => {
                before = None;
                pieces += 1;
                words.add(xxh3_64(word), |hash| Rarity::of(hash, word.len()));
            }
            Token::Ideograph(character) => {
                pieces += 1;
                if let Some(before) = before.replace(character) {
                    let mut pair = [0; 8];
                    let length = char::encode_utf8(before, &mut pair).len();
                    let whole = length + char::encode_utf8(character, &mut pair[length..]).len();
                    words.add(xxh3_64(&pair[..whole]), |_| Rarity::Rare);
                }
            }
        });
        let is_picture = words.count < ENOUGH_WORDS && !(content.tags.is_empty() && content.domains.is_empty());
        if is_picture {
            content.tags.windows(3).for_each(|three| words.add(layout(three), |_| Rarity::Rare));
            content
                .domains
                .iter()
                .for_each(|domain| words.add(xxh3_64_with_seed(domain.as_bytes(), 1), |_| Rarity::Rare));
        }
        let mut digest = words.digest(content, key);
        if is_picture {
            digest.0[0] |= IS_PICTURE;
        }
        if changing * FORM > pieces + changing {
            digest.0[0] |= IS_FORM;
        }
        digest
    }

    /// A digest from its octets, if they are one.
    pub fn from_octets(octets: [u8; LENGTH]) -> Option<Self> {
        (octets[0] & 0x0f == VERSION).then_some(Self(octets))
    }

    /// To be stored.
    pub fn octets(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// About how many different words the text has, or what stands in for them where there is none.
    pub fn words(&self) -> f32 {
        (f32::from(self.0[SIZE]) / SIZE_STEPS).exp2() - 1.0
    }

    /// True if the text has no words.
    pub fn is_empty(&self) -> bool {
        self.0[SIZE] == 0
    }

    /// How much it says that a text is like this one.
    pub fn evidence(&self) -> Evidence {
        match self.0[0] & IS_PICTURE {
            0 => Evidence::of(self.words(), self.0[0] & IS_FORM != 0),
            _ => Evidence::None,
        }
    }

    /// The bins that find it again, 12 bits in each.
    pub(super) fn key_bins(&self) -> [u16; KEY_BINS] {
        twelves(&self.0[KEYS..SKETCH])
    }

    /// Share of words that two texts have in common, 0 to 1: of all words of both (Jaccard index).
    pub(super) fn resemblance(&self, other: &Self) -> f32 {
        let ours: [u16; KEY_BINS] = self.key_bins();
        let theirs: [u16; KEY_BINS] = other.key_bins();
        let rare = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours == theirs).count();
        let all = equal_nibbles(&self.0[SKETCH..LINKS], &other.0[SKETCH..LINKS]);
        // One bin in sixteen is equal by chance.
        let all = (all as f32 - BINS as f32 / 16.0) * (16.0 / 15.0);
        ((rare as f32 + all) / (KEY_BINS + BINS) as f32).clamp(0.0, 1.0)
    }

    /// How much of their links two messages have in common, in percent; `None` if one has none.
    pub fn link_similarity(&self, other: &Self) -> Option<u8> {
        (self.0[0] & other.0[0] & HAS_LINKS != 0).then(|| {
            let ours: [u16; LINK_BINS] = twelves(&self.0[LINKS..TAGS]);
            let theirs: [u16; LINK_BINS] = twelves(&other.0[LINKS..TAGS]);
            percent(ours.iter().zip(&theirs).filter(|(ours, theirs)| ours == theirs).count(), LINK_BINS)
        })
    }

    /// How much of their HTML two messages have in common, in percent; `None` if one has none.
    pub fn layout_similarity(&self, other: &Self) -> Option<u8> {
        (self.0[0] & other.0[0] & HAS_TAGS != 0)
            .then(|| percent(equal_nibbles(&self.0[TAGS..END], &other.0[TAGS..END]), TAG_BINS))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({:.0} words)", self.words())
    }
}

fn percent(part: usize, of: usize) -> u8 {
    (part * 100 / of) as u8
}

/// Numbers of 12 bits, two in three octets.
fn twelves<const N: usize>(octets: &[u8]) -> [u16; N] {
    let mut numbers = [0; N];
    for (pair, three) in numbers.chunks_exact_mut(2).zip(octets.chunks_exact(3)) {
        pair[0] = u16::from(three[0]) << 4 | u16::from(three[1]) >> 4;
        pair[1] = u16::from(three[1] & 0x0f) << 8 | u16::from(three[2]);
    }
    numbers
}

fn put_twelves(numbers: &[u16], octets: &mut [u8]) {
    for (pair, three) in numbers.chunks_exact(2).zip(octets.chunks_exact_mut(3)) {
        three[0] = (pair[0] >> 4) as u8;
        three[1] = ((pair[0] & 0x0f) << 4 | pair[1] >> 8) as u8;
        three[2] = pair[1] as u8;
    }
}

fn put_nibbles(numbers: &[u16], octets: &mut [u8]) {
    for (pair, octet) in numbers.chunks_exact(2).zip(octets) {
        *octet = (pair[0] << 4 | pair[1] & 0x0f) as u8;
    }
}

fn equal_nibbles(ours: &[u8], theirs: &[u8]) -> usize {
    let equal = |(ours, theirs): (&u8, &u8)| {
        let differ = ours ^ theirs;
        usize::from(differ & 0xf0 == 0) + usize::from(differ & 0x0f == 0)
    };
    ours.iter().zip(theirs).map(equal).sum()
}

/// Bins, each with the smallest of what was thrown into it.
struct Bins<const N: usize>([u64; N]);

impl<const N: usize> Bins<N> {
    const EMPTY: u64 = u64::MAX;

    fn new() -> Self {
        Self([Self::EMPTY; N])
    }

    /// Throws a hash `throws` times. What is `handicap` times as common is chosen that much less.
    fn add(&mut self, hash: u64, salt: u64, throws: u64, handicap: u64) {
        for throw in 1..=throws {
            let thrown = stir(hash, (salt + throw).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let bin = ((thrown >> 32) * N as u64) >> 32;
            // The low bits ride along: they are what is kept.
            let value = (((thrown & 0xffff_ffff) * handicap) << 12) | (thrown & 0xfff);
            let least = &mut self.0[bin as usize];
            *least = value.min(*least);
        }
    }

    /// What is kept of each bin. An empty bin takes what another has, always the same one (Shrivastava 2017).
    fn kept(&self, bits: u32) -> Option<[u16; N]> {
        if self.0.iter().all(|least| *least == Self::EMPTY) {
            return None;
        }
        let mut kept = [0; N];
        for (at, kept) in kept.iter_mut().enumerate() {
            let mut least = self.0[at];
            let mut attempt = 0;
            while least == Self::EMPTY {
                attempt += 1;
                least = self.0[(mix((at as u64) << 32 | attempt) % N as u64) as usize];
            }
            *kept = (least & ((1 << bits) - 1)) as u16;
        }
        Some(kept)
    }
}

/// True if at least half of the words of `few` are among those of `many`; false if it has none.
pub(super) fn overlaps(few: &str, many: &str) -> bool {
    let hashes = |text: &str| {
        let text = text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or(text);
        let mut hashes = Vec::new();
        normal::words(text.lines(), |token| match token {
            Token::Word(word) => hashes.push(xxh3_64(word)),
            Token::Ideograph(character) => hashes.push(u64::from(u32::from(character))),
            Token::Changing => {}
        });
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    };
    let (few, many) = (hashes(few), hashes(many));
    let shared = few.iter().filter(|hash| many.binary_search(hash).is_ok()).count();
    shared > 0 && shared * 2 >= few.len()
}

/// The hash of a few tags.
fn layout(tags: &[u32]) -> u64 {
    tags.iter().fold(1, |hash, tag| mix(hash ^ u64::from(*tag)).rotate_left(7))
}

/// A hash made into another one, quickly: both halves of a product.
fn stir(hash: u64, salt: u64) -> u64 {
    let product = u128::from(hash ^ salt) * 0xa076_1d64_78bd_642f;
    (product >> 64) as u64 ^ product as u64
}

/// A permutation of 64 bits in which each bit depends on all.
fn mix(mut value: u64) -> u64 {
    value ^= value >> 32;
    value = value.wrapping_mul(0xd6e8_feb8_6659_fd93);
    value ^= value >> 32;
    value = value.wrapping_mul(0xd6e8_feb8_6659_fd93);
    value ^ (value >> 32)
}

/// The set of words so far.
struct Words {
    key: u64,
    /// Hashes that were seen: a table with open addressing, at most half full. Zero is free.
    seen: Vec<u64>,
    count: usize,
    rare: Bins<KEY_BINS>,
    all: Bins<BINS>,
}

impl Words {
    fn new(key: u64) -> Self {
        Self { key, seen: vec![0; 1024], count: 0, rare: Bins::new(), all: Bins::new() }
    }

    fn add(&mut self, hash: u64, rarity: impl FnOnce(u64) -> Rarity) {
        // Under the key, so that who does not know it cannot make words that collide.
        let keyed = mix(hash ^ self.key);
        if self.count == MAX_WORDS || !self.is_new(keyed.max(1)) {
            return;
        }
        let rarity = rarity(hash);
        let hash = keyed;
        self.rare.add(hash, 0, KEY_THROWS, rarity.handicap());
        self.all.add(hash, KEY_THROWS, THROWS, 1);
    }

    fn is_new(&mut self, hash: u64) -> bool {
        if self.count * 2 >= self.seen.len() {
            let seen = std::mem::take(&mut self.seen);
            self.seen = vec![0; seen.len() * 2];
            for hash in seen.into_iter().filter(|hash| *hash != 0) {
                if let Some(place) = self.place(hash) {
                    *place = hash;
                }
            }
        }
        let Some(place) = self.place(hash) else { return false };
        let is_new = *place == 0;
        *place = hash;
        self.count += usize::from(is_new);
        is_new
    }

    /// Where a hash is, or belongs; `None` if that is too far off, as with words that were chosen for it.
    fn place(&mut self, hash: u64) -> Option<&mut u64> {
        let mask = self.seen.len() - 1;
        let start = hash as usize;
        let mut places = (0..MAX_PROBES).map(|probe| start.wrapping_add(probe) & mask);
        let at = places.find(|at| self.seen[*at] == 0 || self.seen[*at] == hash)?;
        Some(&mut self.seen[at])
    }

    fn digest(self, content: &Content<'_>, key: u64) -> Digest {
        let mut octets = [0; LENGTH];
        octets[0] = VERSION;
        octets[SIZE] = ((self.count as f32 + 1.0).log2() * SIZE_STEPS).round() as u8;
        if let (Some(rare), Some(all)) = (self.rare.kept(12), self.all.kept(4)) {
            put_twelves(&rare, &mut octets[KEYS..SKETCH]);
            put_nibbles(&all, &mut octets[SKETCH..LINKS]);
        }
        let mut links = Bins::<LINK_BINS>::new();
        for domain in content.domains {
            links.add(xxh3_64_with_seed(domain.as_bytes(), key), 0, LINK_BINS as u64, 1);
        }
        if let Some(links) = links.kept(12) {
            octets[0] |= HAS_LINKS;
            put_twelves(&links, &mut octets[LINKS..TAGS]);
        }
        let mut tags = Bins::<TAG_BINS>::new();
        for three in content.tags.windows(3) {
            tags.add(mix(layout(three) ^ key), 0, 2, 1);
        }
        if let Some(tags) = tags.kept(4) {
            octets[0] |= HAS_TAGS;
            put_nibbles(&tags, &mut octets[TAGS..END]);
        }
        Digest(octets)
    }
}
