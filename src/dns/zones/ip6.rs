//! `ip6trie`: IPv6 addresses and networks.

use std::net::Ipv6Addr;

use super::Format;
use super::list::{Entries, Fault, fault, token};
use super::spans::{Piece, Spans, SpansBuilder, flatten};
use super::value::Interner;

/// `ip6trie` while it is read: the longest prefix decides; of two equal ones that which is read first.
#[derive(Debug, Default)]
pub(super) struct Trie(Vec<Piece<u128>>);

/// Addresses in disjoint spans. Lists name mostly whole /64 networks, of which half an address says all.
#[derive(Debug)]
pub(super) struct Addresses {
    networks: Spans<u64>,
    addresses: Spans<u128>,
}

/// A network: its first address and the length of its prefix.
pub(super) type Network = (u128, u8);

impl Entries for Trie {
    type Entry = Network;
    const FORMAT: Format = Format::Ip6Trie;

    fn parse(text: &[u8]) -> Result<(Network, usize), Fault> {
        let written = token(text, |_| false);
        Ok((network(written)?, written.len()))
    }

    fn addresses(_: &Network) -> u64 {
        // The bound is one on IPv4 ranges.
        0
    }

    fn add(&mut self, (start, rank): Network, value: u32) {
        self.0.push(Piece { start, end: start | host_mask(rank), rank, value });
    }
}

impl Trie {
    pub(super) fn finish(mut self, interner: &mut Interner) -> Addresses {
        self.0.sort_by_key(|piece| (piece.start, piece.rank));
        self.0.dedup_by_key(|piece| (piece.start, piece.rank));
        let (mut networks, mut addresses) = (SpansBuilder::new(), SpansBuilder::new());
        flatten(&mut self.0, interner, &mut |start, end, set| {
            if start as u64 == 0 && end as u64 == u64::MAX {
                networks.push((start >> 64) as u64, (end >> 64) as u64, set);
            } else {
                addresses.push(start, end, set);
            }
        });
        Addresses { networks: networks.finish(), addresses: addresses.finish() }
    }
}

impl Addresses {
    pub(super) fn find(&self, addr: Ipv6Addr) -> Option<u32> {
        let addr = u128::from(addr);
        self.networks.find((addr >> 64) as u64).or_else(|| self.addresses.find(addr))
    }

    /// Memory in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.networks.bytes() + self.addresses.bytes()
    }
}

/// `2001:db8::1`, `2001:db8::/32`, or the first groups alone: `2001:db8` is 2001:db8::/32.
fn network(written: &[u8]) -> Result<Network, Fault> {
    let not_one = || Fault { at: 0, reason: format!("`{}` is no IPv6 network", String::from_utf8_lossy(written)) };
    let text = std::str::from_utf8(written).map_err(|_| not_one())?;
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let (addr, whole) = match address.parse::<Ipv6Addr>() {
        Ok(addr) => (u128::from(addr), 128),
        Err(_) => groups(address).ok_or_else(not_one)?,
    };
    let length = match bits.map(|bits| bits.parse::<u8>().ok().filter(|bits| *bits <= 128)) {
        None => whole,
        Some(Some(bits)) => bits,
        Some(None) => return fault(address.len() + 1, "a prefix is 0 to 128 bits long"),
    };
    match addr & host_mask(length) {
        0 => Ok((addr, length)),
        beyond => fault(0, format!("has bits beyond its prefix: write {}/{length}", Ipv6Addr::from(addr ^ beyond))),
    }
}

/// One to seven groups and nothing behind: the address that begins so, and how many bits they are.
fn groups(written: &str) -> Option<Network> {
    let (mut address, mut bits) = (0, 0);
    for group in written.split(':') {
        let digits = (1..=4).contains(&group.len()) && group.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !digits || bits == 128 {
            return None;
        }
        address |= u128::from(u16::from_str_radix(group, 16).ok()?) << (112 - bits);
        bits += 16;
    }
    Some((address, bits))
}

/// The bits that a prefix of `length` leaves open.
fn host_mask(length: u8) -> u128 {
    u128::MAX.checked_shr(length.into()).unwrap_or(0)
}

/// The address in the 32 reversed nibbles of a question.
pub(super) fn asked(labels: &str) -> Option<Ipv6Addr> {
    let (mut address, mut count) = (0, 0);
    for label in labels.split('.') {
        let nibble = u128::from(label.parse::<char>().ok()?.to_digit(16)?);
        if count == 32 {
            return None;
        }
        address |= nibble << (4 * count);
        count += 1;
    }
    (count == 32).then(|| Ipv6Addr::from(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::reversed_labels;

    #[test]
    fn networks_in_all_their_forms() {
        for (written, expected) in [
            ("2001:db8::1", Ok("2001:db8::1/128")),
            ("2001:DB8::/32", Ok("2001:db8::/32")),
            ("2001:db8", Ok("2001:db8::/32")),
            ("2001:db8:1:2", Ok("2001:db8:1:2::/64")),
            ("2001:db8:1/47", Err(0)),
            ("2001:db8:1/48", Ok("2001:db8:1::/48")),
            ("1:2:3:4:5:6:7:8", Ok("1:2:3:4:5:6:7:8/128")),
            ("1:2:3:4:5:6:7:8:9", Err(0)),
            ("::/0", Ok("::/0")),
            ("::1/64", Err(0)),
            ("::/129", Err(3)),
            ("::/", Err(3)),
            ("12345::", Err(0)),
            ("192.0.2.1", Err(0)),
            ("", Err(0)),
        ] {
            let found = network(written.as_bytes()).map(|(addr, bits)| format!("{}/{bits}", Ipv6Addr::from(addr)));
            assert_eq!(found.as_deref().map_err(|fault| fault.at), expected, "{written}");
        }
        let reason = network(b"2001:db8::1/64").expect_err("bits").reason;
        assert_eq!(reason, "has bits beyond its prefix: write 2001:db8::/64");
    }

    #[test]
    fn questions_name_addresses_backwards() {
        let addr: Ipv6Addr = "2001:db8::567:89ab".parse().expect("address");
        let labels = reversed_labels(addr.into());
        let labels = labels.trim_end_matches('.');
        assert_eq!(asked(labels), Some(addr));
        assert_eq!(asked(&labels[2..]), None, "too few");
        assert_eq!(asked(&format!("0.{labels}")), None, "too many");
        assert_eq!(asked(&labels.replacen('b', "bb", 1)), None);
    }
}
