//! `ip4set` and `ip4trie`: IPv4 addresses, networks and ranges.

use std::net::Ipv4Addr;

use super::Format;
use super::list::{Entries, Fault, fault, token};
use super::spans::{Piece, Spans, SpansBuilder, flatten};
use super::value::Interner;

/// The first and the last address of an entry.
pub(super) type Range = (u32, u32);

/// `ip4set` while it is read. A question is decided by the narrowest of the whole /32, /24, /16 and /8
/// networks around it in which an entry covers it: so does rbldnsd, which keeps one table for each.
#[derive(Debug, Default)]
pub(super) struct Set(Vec<Piece<u32>>);

/// `ip4trie` while it is read: the longest prefix decides; of two equal ones that which is read first.
#[derive(Debug, Default)]
pub(super) struct Trie(Vec<Piece<u32>>);

impl Entries for Set {
    type Entry = Range;
    const FORMAT: Format = Format::Ip4Set;

    fn parse(text: &[u8]) -> Result<(Range, usize), Fault> {
        let written = token(text, |octet| octet == b':');
        Ok((range(written)?, written.len()))
    }

    fn addresses(range: &Range) -> u64 {
        u64::from(range.1 - range.0) + 1
    }

    fn add(&mut self, (start, end): Range, value: u32) {
        whole_blocks(u64::from(start), u64::from(end) + 1, 0, &mut |start, end, rank| {
            self.0.push(Piece { start, end, rank, value });
        });
    }
}

impl Entries for Trie {
    type Entry = Range;
    const FORMAT: Format = Format::Ip4Trie;

    fn parse(text: &[u8]) -> Result<(Range, usize), Fault> {
        let (range, length) = Set::parse(text)?;
        match prefix_length(range) {
            Some(_) => Ok((range, length)),
            None => fault(0, "ip4trie takes networks, and this range is none: ip4set would take it"),
        }
    }

    fn addresses(range: &Range) -> u64 {
        Set::addresses(range)
    }

    fn add(&mut self, (start, end): Range, value: u32) {
        // Only networks are parsed.
        let rank = prefix_length((start, end)).unwrap_or(0);
        self.0.push(Piece { start, end, rank, value });
    }
}

impl Set {
    pub(super) fn finish(mut self, interner: &mut Interner) -> Spans<u32> {
        spans(&mut self.0, interner)
    }
}

impl Trie {
    pub(super) fn finish(mut self, interner: &mut Interner) -> Spans<u32> {
        self.0.sort_by_key(|piece| (piece.start, piece.rank));
        self.0.dedup_by_key(|piece| (piece.start, piece.rank));
        spans(&mut self.0, interner)
    }
}

fn spans(pieces: &mut [Piece<u32>], interner: &mut Interner) -> Spans<u32> {
    let mut builder = SpansBuilder::new();
    flatten(pieces, interner, &mut |start, end, set| builder.push(start, end, set));
    builder.finish()
}

/// Cuts the addresses from `start` to before `end` into runs of whole /8 (rank 0), /16, /24 and /32 networks.
fn whole_blocks(start: u64, end: u64, rank: u8, give: &mut dyn FnMut(u32, u32, u8)) {
    if start >= end {
        return;
    }
    let size = 1_u64 << (24 - 8 * rank);
    let (first, last) = (start.next_multiple_of(size), end / size * size);
    if first >= last {
        return whole_blocks(start, end, rank + 1, give);
    }
    // Both are below 2^32: they come from ranges of addresses.
    give(first as u32, (last - 1) as u32, rank);
    if rank < 3 {
        whole_blocks(start, first, rank + 1, give);
        whole_blocks(last, end, rank + 1, give);
    }
}

/// The length of the prefix that a range is, if it is one.
fn prefix_length((start, end): Range) -> Option<u8> {
    let differing = start ^ end;
    let host_bits = 32 - differing.leading_zeros();
    let whole = differing.count_ones() == host_bits && start & differing == 0;
    if whole { u8::try_from(32 - host_bits).ok() } else { None }
}

/// `a.b.c.d`, `a.b.c`, `a.b.c/24`, `a.b.c.d-e.f.g.h`, `a.b.c.d-h`, `a.b-c.d.e` and so on.
fn range(written: &[u8]) -> Result<Range, Fault> {
    if let Some(dash) = written.iter().position(|octet| *octet == b'-') {
        let (first, last) = (written.get(..dash).unwrap_or_default(), written.get(dash + 1..).unwrap_or_default());
        let (start, count) = octets(first).map_err(|reason| Fault { at: 0, reason })?;
        let (end, end_count) = octets(last).map_err(|reason| Fault { at: dash + 1, reason })?;
        // One number alone stands for the last one before the dash.
        let (end, end_count) = match end_count {
            1 if count > 1 => (start & !host_mask(count - 1) | end >> (8 * (count - 1)), count),
            _ => (end, end_count),
        };
        let end = end | host_mask(end_count);
        return if start <= end { Ok((start, end)) } else { fault(dash + 1, "a range ends after its beginning") };
    }
    if let Some(slash) = written.iter().position(|octet| *octet == b'/') {
        let (address, bits) = (written.get(..slash).unwrap_or_default(), written.get(slash + 1..).unwrap_or_default());
        let (start, _) = octets(address).map_err(|reason| Fault { at: 0, reason })?;
        let bits = std::str::from_utf8(bits).ok().and_then(|bits| bits.parse::<u32>().ok());
        let Some(bits) = bits.filter(|bits| *bits <= 32) else {
            return fault(slash + 1, "a prefix is 0 to 32 bits long");
        };
        let mask = u32::MAX.checked_shr(bits).unwrap_or(0);
        return match start & mask {
            0 => Ok((start, start | mask)),
            _ => fault(0, format!("has bits beyond its prefix: write {}/{bits}", Ipv4Addr::from(start & !mask))),
        };
    }
    let (start, count) = octets(written).map_err(|reason| Fault { at: 0, reason })?;
    Ok((start, start | host_mask(count)))
}

/// One to four numbers with dots between them: the address that begins so, and how many there are.
fn octets(written: &[u8]) -> Result<(u32, u32), String> {
    let (mut address, mut count) = (0, 0);
    for part in written.split(|octet| *octet == b'.') {
        // Three digits at most: more would be no number of ours, and might be none of 32 bits.
        let digits = (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
        let number = digits.then(|| part.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')));
        let Some(number) = number.filter(|number| *number <= 255 && count < 4) else {
            return Err(format!("`{}` is no IPv4 address or network", String::from_utf8_lossy(written)));
        };
        address |= number << (24 - 8 * count);
        count += 1;
    }
    Ok((address, count))
}

/// The bits that `count` octets leave open.
fn host_mask(count: u32) -> u32 {
    u32::MAX.checked_shr(8 * count).unwrap_or(0)
}

/// The address in the labels `4.3.2.1` of a question about 1.2.3.4.
pub(super) fn asked(labels: &str) -> Option<Ipv4Addr> {
    // No octet of a question has a zero before it (RFC 5782 2.1), and there the two orders agree.
    let reversed: Ipv4Addr = labels.parse().ok()?;
    Some(Ipv4Addr::from(u32::from(reversed).swap_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_networks_and_ranges_in_all_their_forms() {
        for (written, first, last) in [
            ("127.0.0.0/24", "127.0.0.0", "127.0.0.255"),
            ("127.0.0", "127.0.0.0", "127.0.0.255"),
            ("127/24", "127.0.0.0", "127.0.0.255"),
            ("127-127.0.0", "127.0.0.0", "127.0.0.255"),
            ("127.0.0.0-127.0.0.255", "127.0.0.0", "127.0.0.255"),
            ("127.0.0.1-255", "127.0.0.1", "127.0.0.255"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
            ("127.16.0.0-127.31.255.255", "127.16.0.0", "127.31.255.255"),
            ("127.16.0-127.31.255", "127.16.0.0", "127.31.255.255"),
            ("127.16-127.31", "127.16.0.0", "127.31.255.255"),
            ("127.16-31", "127.16.0.0", "127.31.255.255"),
            ("127.16/12", "127.16.0.0", "127.31.255.255"),
            ("10-11", "10.0.0.0", "11.255.255.255"),
            ("010.001.002.003", "10.1.2.3", "10.1.2.3"),
            ("0/0", "0.0.0.0", "255.255.255.255"),
            ("255.255.255.255/32", "255.255.255.255", "255.255.255.255"),
        ] {
            let (start, end) = range(written.as_bytes()).unwrap_or_else(|fault| panic!("{written}: {fault:?}"));
            let found = (Ipv4Addr::from(start).to_string(), Ipv4Addr::from(end).to_string());
            assert_eq!((found.0.as_str(), found.1.as_str()), (first, last), "{written}");
        }
    }

    #[test]
    fn what_is_no_range_says_where_and_why() {
        for (written, at) in [
            ("", 0),
            ("1.2.3.4.5", 0),
            ("1.2.3.256", 0),
            ("1..2", 0),
            ("1.2.3.", 0),
            ("1.2.3.4/33", 8),
            ("1.2.3.4/", 8),
            ("1.2.3.4/24", 0),
            ("1.2.3.9-5", 8),
            ("1.2.3.4-", 8),
            ("1.2.3.0004", 0),
            ("mail.example", 0),
            ("a-rather-long-name-without-any-number", 0),
            ("99999999999999999999", 0),
        ] {
            assert_eq!(range(written.as_bytes()).map_err(|fault| fault.at), Err(at), "{written}");
        }
        let reason = range(b"1.2.3.4/24").expect_err("bits").reason;
        assert_eq!(reason, "has bits beyond its prefix: write 1.2.3.0/24");
    }

    #[test]
    fn ranges_are_cut_at_whole_octets() {
        let mut cut = Vec::new();
        let (start, end) = range(b"1.2.3.254-3.0.1.0").expect("a range");
        whole_blocks(start.into(), u64::from(end) + 1, 0, &mut |start, end, rank| {
            cut.push(format!("{}-{} {rank}", Ipv4Addr::from(start), Ipv4Addr::from(end)));
        });
        let expected = [
            "2.0.0.0-2.255.255.255 0",
            "1.3.0.0-1.255.255.255 1",
            "1.2.4.0-1.2.255.255 2",
            "1.2.3.254-1.2.3.255 3",
            "3.0.0.0-3.0.0.255 2",
            "3.0.1.0-3.0.1.0 3",
        ];
        assert_eq!(cut, expected);
    }

    #[test]
    fn ranges_that_are_networks_are_told_from_others() {
        for (written, length) in [
            ("1.2.3.4", Some(32)),
            ("1.2.3", Some(24)),
            ("0/0", Some(0)),
            ("1.2.3.0-1.2.3.127", Some(25)),
            ("1.2.3.0-1.2.3.128", None),
            ("1.2.3.1-1.2.3.2", None),
            ("1.2.3.64-1.2.3.191", None),
        ] {
            assert_eq!(prefix_length(range(written.as_bytes()).expect(written)), length, "{written}");
        }
    }

    #[test]
    fn questions_name_addresses_backwards() {
        for (labels, addr) in [
            ("4.3.2.1", Some([1, 2, 3, 4])),
            ("3.2.1", None),
            ("5.4.3.2.1", None),
            ("04.3.2.1", None),
            ("a.3.2.1", None),
        ] {
            assert_eq!(asked(labels), addr.map(Ipv4Addr::from), "{labels}");
        }
    }
}
