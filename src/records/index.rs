//! One entry of fixed size per frame, by which records are found without reading them.
//!
//! An entry knows exactly when, from which address, with what verdict and score. Of addresses and symbols it knows
//! digests: it may say "perhaps" of a record that does not fit, and never "no" of one that does.

use std::net::IpAddr;

use xxhash_rust::xxh3::xxh3_64;

use super::id::TransactionId;
use super::record::{Record, domain_of};
use crate::verdict::Verdict;

/// Octets of an entry.
pub(super) const LENGTH: usize = 104;
const SYMBOL_BITS: u64 = 256;
const RECIPIENT_BITS: u64 = 64;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rulebook,
    Record,
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// Where the frame begins in its segment, and how long its contents are.
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) id: TransactionId,
    /// [`code`] of the verdict, and of the one in shadow.
    pub(super) verdict: u8,
    pub(super) shadow: u8,
    pub(super) score: i32,
    /// An IPv4 address as the IPv6 address that stands for it; of a rulebook its digest.
    pub(super) client: u128,
    pub(super) reverse_path: u32,
    pub(super) reverse_domain: u32,
    /// Of the one author domain; of more than one nothing is known here.
    pub(super) author: u32,
    /// Of the word for what became of it; 0: not known here.
    pub(super) end: u32,
    pub(super) recipients: u64,
    pub(super) symbols: [u8; 32],
}

impl Kind {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Rulebook => 1,
            Self::Record => 2,
        }
    }

    pub(super) fn of_code(code: u8) -> Option<Self> {
        [Self::Rulebook, Self::Record].into_iter().find(|kind| kind.code() == code)
    }
}

/// A verdict as a number; 0 is none.
pub(super) fn code(verdict: Option<Verdict>) -> u8 {
    match verdict {
        None => 0,
        Some(Verdict::Forward) => 1,
        Some(Verdict::Defer) => 2,
        Some(Verdict::Reject) => 3,
    }
}

pub(super) fn addr_bits(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped().to_bits(),
        IpAddr::V6(addr) => addr.to_bits(),
    }
}

/// A word's digest, without regard to case.
pub(super) fn digest(word: &str) -> u32 {
    // The lower half is as good as the whole.
    (wide_digest(word) & u64::from(u32::MAX)) as u32
}

fn wide_digest(word: &str) -> u64 {
    xxh3_64(word.to_lowercase().as_bytes())
}

/// The bits of a recipient, by address or by domain.
pub(super) fn recipient_bits(word: &str) -> u64 {
    let digest = wide_digest(word);
    [0, 32].into_iter().fold(0, |bits, shift| bits | 1 << ((digest >> shift) % RECIPIENT_BITS))
}

/// The bits of a symbol.
pub(super) fn symbol_bits(symbol: &str) -> [u8; 32] {
    let digest = wide_digest(symbol);
    let mut bits = [0; 32];
    for shift in [0, 16, 32] {
        let bit = (digest >> shift) % SYMBOL_BITS;
        if let Some(octet) = bits.get_mut((bit / 8) as usize) {
            *octet |= 1 << (bit % 8);
        }
    }
    bits
}

impl Entry {
    pub(super) fn of_record(record: &Record, offset: u64, length: u32) -> Self {
        let path = record.envelope.as_ref().map_or("", |envelope| envelope.reverse_path.as_str());
        let mut symbols = [0; 32];
        for symbol in record.all_symbols() {
            for (all, own) in symbols.iter_mut().zip(symbol_bits(symbol)) {
                *all |= own;
            }
        }
        let mut recipients = 0;
        for path in record.forward_paths() {
            recipients |= recipient_bits(path) | domain_of(path).map_or(0, recipient_bits);
        }
        Self {
            kind: Kind::Record,
            offset,
            length,
            id: record.id,
            verdict: code(record.fate.verdict),
            shadow: code(record.shadow()),
            score: record.judgement.score,
            client: addr_bits(record.client.addr),
            reverse_path: digest(path),
            reverse_domain: digest(domain_of(path).unwrap_or_default()),
            author: record.message.as_ref().map_or(0, |message| match &message.author_domains[..] {
                [one] => digest(one),
                _ => 0,
            }),
            end: digest(&record.fate.end),
            recipients,
            symbols,
        }
    }

    pub(super) fn of_rulebook(digest: u64, offset: u64, length: u32) -> Self {
        Self {
            kind: Kind::Rulebook,
            offset,
            length,
            id: TransactionId::from_parts(0, 0),
            verdict: 0,
            shadow: 0,
            score: 0,
            client: digest.into(),
            reverse_path: 0,
            reverse_domain: 0,
            author: 0,
            end: 0,
            recipients: 0,
            symbols: [0; 32],
        }
    }

    pub(super) fn to_octets(self) -> [u8; LENGTH] {
        let mut octets = [0; LENGTH];
        let mut rest = &mut octets[..];
        let mut put = |part: &[u8]| {
            let (here, behind) = std::mem::take(&mut rest).split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = behind;
        };
        put(&self.id.millis().to_le_bytes());
        put(&self.id.random().to_le_bytes());
        put(&[self.kind.code(), self.verdict, self.shadow, 0]);
        put(&self.offset.to_le_bytes());
        put(&self.length.to_le_bytes());
        put(&self.score.to_le_bytes());
        put(&self.client.to_le_bytes());
        put(&self.reverse_path.to_le_bytes());
        put(&self.reverse_domain.to_le_bytes());
        put(&self.author.to_le_bytes());
        put(&self.end.to_le_bytes());
        put(&self.recipients.to_le_bytes());
        put(&self.symbols);
        octets
    }

    #[inline]
    pub(super) fn of_octets(octets: &[u8; LENGTH]) -> Option<Self> {
        let mut rest = &octets[..];
        let mut octets = Taker(&mut rest);
        let (millis, random) = (u64::from_le_bytes(octets.take()?), u32::from_le_bytes(octets.take()?));
        let [kind, verdict, shadow, _] = octets.take()?;
        Some(Self {
            id: TransactionId::from_parts(millis, random),
            kind: Kind::of_code(kind)?,
            verdict,
            shadow,
            offset: u64::from_le_bytes(octets.take()?),
            length: u32::from_le_bytes(octets.take()?),
            score: i32::from_le_bytes(octets.take()?),
            client: u128::from_le_bytes(octets.take()?),
            reverse_path: u32::from_le_bytes(octets.take()?),
            reverse_domain: u32::from_le_bytes(octets.take()?),
            author: u32::from_le_bytes(octets.take()?),
            end: u32::from_le_bytes(octets.take()?),
            recipients: u64::from_le_bytes(octets.take()?),
            symbols: octets.take()?,
        })
    }
}

struct Taker<'a, 'o>(&'a mut &'o [u8]);

impl Taker<'_, '_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        *self.0 = rest;
        Some(*first)
    }
}
