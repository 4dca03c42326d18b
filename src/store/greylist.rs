//! Greylisting, as operations of the domain: what is remembered of who tried to send what to whom.
//!
//! A home keeps facts: when somebody first came, how often, what was delivered. What follows from them is
//! [`crate::checks::greylist`]'s business. How long a fact is kept comes with it, as it does where keys
//! have a time to live of their own.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use futures_util::future::BoxFuture;

use super::StoreError;

/// Octets of a secret.
pub(super) const SECRET: usize = 32;
/// The bit that a holder has which is an authenticated domain.
const DOMAIN: u64 = 1 << 63;
/// Hexadecimal digits of a key.
const DIGITS: usize = 48;

/// What digests are keyed with, so that nobody who has the file can try addresses out, and nobody from
/// outside can make two triplets one. It is made once for each home.
#[derive(Clone)]
pub struct Secret(hmac::Key);

/// Whose a triplet is: a network, or a domain that authenticates. Triplets of one holder lie together,
/// which is how bounds are kept fairly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder(pub(super) u64);

/// Names what is remembered: one triplet, or its holder altogether ([`TripletKey::of_holder`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TripletKey {
    pub(super) holder: Holder,
    /// In halves, so that no room is lost to alignment.
    pub(super) digest: [u64; 2],
}

/// What is remembered of a triplet, or of a holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TripletRecord {
    /// The first attempt.
    pub first: SystemTime,
    /// The last one, or the last delivery.
    pub last: SystemTime,
    /// Forgotten after that, if nothing happens.
    pub until: SystemTime,
    /// Attempts that were deferred, up to a bound.
    pub attempts: u32,
    /// Messages that were delivered, up to a bound.
    pub deliveries: u32,
    /// An operator let it pass.
    pub by_hand: bool,
}

/// What happened to a triplet or to a holder, with how long the memory of it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TripletEvent {
    /// It was deferred. The first of them sets the end of the time within which it must come again.
    Attempt(Duration),
    /// It was delivered; counts only where something is remembered of it.
    Delivery(Duration),
    /// The same, and remembered from now on.
    Credit(Duration),
    /// It was spam: what it had earned is gone, but not what an operator gave.
    Spam,
    /// An operator lets it pass.
    Pass(Duration),
    /// An operator wants it forgotten.
    Drop,
}

/// Which triplets are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedTriplets {
    /// Only those that have not come again.
    pub waiting: bool,
    /// So many at most, the latest.
    pub most: usize,
}

/// Who tried to send what to whom.
///
/// Each operation is atomic and takes one round trip, however many triplets it is about.
pub trait Greylist: Send + Sync + 'static {
    /// What keys are made with. It never changes while a home is open.
    fn greylist_secret(&self) -> Secret;

    /// What is known of each of `keys`, in their order. Never waits for a disk, and sees all that was noted.
    fn greylist_look<'a>(
        &'a self,
        keys: &'a [TripletKey],
        at: SystemTime,
    ) -> BoxFuture<'a, Result<Vec<Option<TripletRecord>>, StoreError>>;

    /// Notes what happened to each.
    fn greylist_note(
        &self,
        events: Vec<(TripletKey, TripletEvent)>,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Those that are wanted, the latest first. What changes meanwhile may be missing.
    fn greylist_list(
        &self,
        wanted: WantedTriplets,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<Vec<(TripletKey, TripletRecord)>, StoreError>>;
}

// === impl Secret ===

impl Secret {
    /// A secret of these octets.
    pub fn new(octets: &[u8; SECRET]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, octets))
    }

    /// One that nobody knows.
    pub(super) fn random() -> [u8; SECRET] {
        rand::random()
    }

    /// The first 128 bits; `parts` are told apart whatever is in them.
    pub(super) fn digest(&self, parts: &[&str]) -> [u64; 2] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        let tag = context.sign();
        let mut halves = tag.as_ref().chunks_exact(8).map(|half| half.try_into().map_or(0, u64::from_le_bytes));
        [halves.next().unwrap_or(0), halves.next().unwrap_or(0)]
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

// === impl Holder ===

impl Holder {
    /// A network by its first address; of IPv6 the upper half counts.
    pub fn network(address: std::net::IpAddr) -> Self {
        match address.to_canonical() {
            std::net::IpAddr::V4(v4) => Self(u64::from(v4.to_bits())),
            std::net::IpAddr::V6(v6) => Self(u64::try_from(v6.to_bits() >> 64).unwrap_or(0) & !DOMAIN),
        }
    }

    /// An authenticated domain, in A-labels and lower case.
    pub fn domain(secret: &Secret, name: &str) -> Self {
        let [digest, _] = secret.digest(&["domain", name]);
        Self(digest | DOMAIN)
    }

    /// Who is counted together when room is short: an IPv4 /24, an IPv6 /48 (which one customer has), a domain.
    pub(super) fn crowd(self) -> std::ops::RangeInclusive<u64> {
        let low = match self.0 {
            domain if domain & DOMAIN != 0 => 0,
            v4 if v4 <= u64::from(u32::MAX) => 0xff,
            _ => 0xffff,
        };
        self.0 & !low..=self.0 | low
    }
}

impl fmt::Display for Holder {
    /// The beginning of the network, or that it is a domain: which one, only the digest knows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            domain if domain & DOMAIN != 0 => f.write_str("a domain"),
            v4 if v4 <= u64::from(u32::MAX) => {
                write!(f, "{}", std::net::Ipv4Addr::from_bits(u32::try_from(v4).unwrap_or(0)))
            }
            v6 => write!(f, "{}", std::net::Ipv6Addr::from_bits(u128::from(v6) << 64)),
        }
    }
}

// === impl TripletKey ===

impl TripletKey {
    /// The triplet of `holder`, `sender` and `recipient`, both in the form that stands for all that are alike.
    pub fn new(secret: &Secret, holder: Holder, sender: &str, recipient: &str) -> Self {
        let digest = secret.digest(&["triplet", &holder.0.to_string(), sender, recipient]);
        Self { holder, digest }
    }

    /// The holder itself, whatever it sends to whomever.
    pub fn of_holder(holder: Holder) -> Self {
        Self { holder, digest: [0; 2] }
    }

    /// True for [`TripletKey::of_holder`].
    pub fn is_of_holder(&self) -> bool {
        self.digest == [0; 2]
    }

    /// Whose it is.
    pub fn holder(&self) -> Holder {
        self.holder
    }
}

impl fmt::Display for TripletKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [high, low] = self.digest;
        write!(f, "{:016x}{high:016x}{low:016x}", self.holder.0)
    }
}

impl FromStr for TripletKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = |at: usize| {
            let digits = text.get(at..at + 16).filter(|part| part.bytes().all(|octet| octet.is_ascii_hexdigit()));
            digits.and_then(|digits| u64::from_str_radix(digits, 16).ok())
        };
        let whole = (text.len() == DIGITS).then(|| Some((part(0)?, part(16)?, part(32)?))).flatten();
        let (holder, high, low) = whole.ok_or_else(|| format!("a key has {DIGITS} hexadecimal digits"))?;
        Ok(Self { holder: Holder(holder), digest: [high, low] })
    }
}
