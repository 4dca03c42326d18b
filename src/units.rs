//! Values with a unit or a rule of their own: sizes, percentages, networks.

mod domain_set;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

pub use domain_set::DomainSet;
use ipnet::IpNet;

/// A share from 0 to 100 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u8);

impl Percent {
    /// All of it.
    pub const FULL: Percent = Percent(100);

    /// `value` per cent, at most 100.
    pub fn new(value: u8) -> Self {
        Self(value.min(100))
    }

    /// The number, 0 to 100.
    pub fn get(self) -> u8 {
        self.0
    }
}

/// A number of bytes; written in files as `1234`, `"64 KiB"`, `"50 MiB"` or `"2 GB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// The size in memory terms; saturates on 32-bit machines.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        for (unit, name) in UNITS {
            if self.0 >= unit && self.0.is_multiple_of(unit) {
                return write!(f, "{} {name}", self.0 / unit);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| format!("`{text}` is not a size: write `64 KiB` or `50 MiB`"))?;
        let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1000,
            "k" | "kib" => 1 << 10,
            "mb" => 1_000_000,
            "m" | "mib" => 1 << 20,
            "gb" => 1_000_000_000,
            "g" | "gib" => 1 << 30,
            other => return Err(format!("`{other}` is not a unit of size: B, KiB, MiB, GiB, KB, MB or GB")),
        };
        number.checked_mul(factor).map(Self).ok_or_else(|| format!("`{text}` is too large"))
    }
}

/// A set of networks. Addresses are canonical: IPv4-mapped IPv6 is IPv4 (DECISIONS: whose address).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CidrSet {
    /// Sorted by first address, none contains another.
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl CidrSet {
    /// True if no address is in the set.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// True if `addr` lies in one of the networks. Logarithmic in their number.
    pub fn contains(&self, addr: IpAddr) -> bool {
        match canonical(addr) {
            IpAddr::V4(v4) => within(&self.v4, u32::from(v4)),
            IpAddr::V6(v6) => within(&self.v6, u128::from(v6)),
        }
    }

    /// Parses `192.0.2.0/24`, `2001:db8::/32` or a bare address.
    pub fn parse_network(text: &str) -> Result<IpNet, String> {
        let text = text.trim();
        if let Ok(addr) = text.parse::<IpAddr>() {
            return Ok(IpNet::from(canonical(addr)));
        }
        text.parse::<IpNet>().map_err(|_| format!("`{text}` is neither a network such as 192.0.2.0/24 nor an address"))
    }
}

impl FromIterator<IpNet> for CidrSet {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(net) => v4.push((u32::from(net.network()), u32::from(net.broadcast()))),
                IpNet::V6(net) => v6.push((u128::from(net.network()), u128::from(net.broadcast()))),
            }
        }
        Self { v4: outermost(v4), v6: outermost(v6) }
    }
}

/// True if `name` is `domain` or lies below it, ASCII case aside. Nothing lies below the empty name.
pub fn is_at_or_below(name: &str, domain: &str) -> bool {
    let parts = name.len().checked_sub(domain.len()).and_then(|at| name.split_at_checked(at));
    let fits =
        |(head, tail): (&str, &str)| tail.eq_ignore_ascii_case(domain) && (head.is_empty() || head.ends_with('.'));
    !domain.is_empty() && parts.is_some_and(fits)
}

/// The domain that somebody registered above a name in A-labels and lower case, such as `example.co.uk`, by
/// the Public Suffix List; `None` if the name is a public suffix itself.
pub fn registered_domain(name: &str) -> Option<&str> {
    psl::domain_str(name)
}

/// The address as judgement sees it: `::ffff:192.0.2.1` is 192.0.2.1.
pub fn canonical(addr: IpAddr) -> IpAddr {
    addr.to_canonical()
}

/// The network of a client: so many bits of its address, of the IPv4 one if it is mapped into IPv6. No more than an
/// address has.
pub fn network_of(addr: IpAddr, v4_bits: u8, v6_bits: u8) -> IpNet {
    let addr = canonical(addr);
    let bits = if addr.is_ipv4() { v4_bits.min(32) } else { v6_bits.min(128) };
    IpNet::new(addr, bits).expect("no more bits than an address has").trunc()
}

/// True for addresses that mean something only on this machine or network (loopback, private, shared,
/// link-local, unique local) or are no host's at all (unspecified, multicast, reserved): public lists
/// and public reverse DNS say nothing about them. Documentation networks count as public.
pub fn is_local_scope(addr: IpAddr) -> bool {
    match canonical(addr) {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let shared = first == 100 && (64..128).contains(&second);
            first == 0 || first >= 224 || v4.is_loopback() || v4.is_private() || v4.is_link_local() || shared
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
        }
    }
}

/// Octets of `addr` in the order of `in-addr.arpa` and `ip6.arpa`, with a dot behind each.
pub fn reversed_labels(addr: IpAddr) -> String {
    use fmt::Write;
    match canonical(addr) {
        IpAddr::V4(v4) => v4.octets().iter().rev().fold(String::with_capacity(16), |mut out, octet| {
            let _ = write!(out, "{octet}.");
            out
        }),
        IpAddr::V6(v6) => reversed_nibbles(v6),
    }
}

/// The same for IPv6, whatever it may be mapped to.
pub fn reversed_nibbles(addr: Ipv6Addr) -> String {
    use fmt::Write;
    addr.octets().iter().rev().fold(String::with_capacity(64), |mut out, octet| {
        let _ = write!(out, "{:x}.{:x}.", octet & 15, octet >> 4);
        out
    })
}

fn within<T: Ord + Copy>(ranges: &[(T, T)], value: T) -> bool {
    let after = ranges.partition_point(|range| range.0 <= value);
    after > 0 && ranges.get(after - 1).is_some_and(|range| value <= range.1)
}

fn outermost<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    let mut out: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for range in ranges {
        if out.last().is_none_or(|last| range.1 > last.1) {
            out.push(range);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_so_many_bits_of_an_address() {
        for (addr, v4, v6, network) in [
            ("192.0.2.77", 24, 64, "192.0.2.0/24"),
            ("::ffff:192.0.2.77", 24, 64, "192.0.2.0/24"),
            ("2001:db8:1:2:3::4", 24, 64, "2001:db8:1:2::/64"),
            ("192.0.2.77", 99, 64, "192.0.2.77/32"),
        ] {
            assert_eq!(network_of(addr.parse().expect(addr), v4, v6).to_string(), network);
        }
    }

    #[test]
    fn sizes_are_read_and_printed_with_their_unit() {
        for (text, bytes, shown) in [
            ("0", 0, "0"),
            ("1234", 1234, "1234"),
            ("64 KiB", 65_536, "64 KiB"),
            ("50MiB", 50 << 20, "50 MiB"),
            ("2 GB", 2_000_000_000, "1953125 KiB"),
            ("1 g", 1 << 30, "1 GiB"),
        ] {
            let size: ByteSize = text.parse().expect(text);
            assert_eq!((size.0, size.to_string().as_str()), (bytes, shown), "{text}");
        }
        for bad in ["", "KiB", "1 parsec", "99999999999 GiB", "-1"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
    }

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        let set: CidrSet = ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7", "2001:db8::/32"]
            .iter()
            .map(|text| CidrSet::parse_network(text).expect(text))
            .collect();
        for (addr, inside) in [
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("10.2.0.1", true),
            ("11.0.0.0", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("::ffff:10.3.2.1", true),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(set.contains(addr.parse().expect(addr)), inside, "{addr}");
        }
        assert!(CidrSet::default().is_empty() && !CidrSet::default().contains("::1".parse().expect("loopback")));
    }

    #[test]
    fn what_is_at_or_below_a_domain() {
        for (name, domain, expected) in [
            ("example.org", "example.org", true),
            ("a.Example.org", "example.ORG", true),
            ("aexample.org", "example.org", false),
            ("example.org", "a.example.org", false),
            (".example.org", "example.org", true),
            ("\u{fc}example.org", "example.org", false),
            ("example.org", "", false),
            ("", "", false),
        ] {
            assert_eq!(is_at_or_below(name, domain), expected, "{name} {domain}");
        }
        assert_eq!(registered_domain("a.b.example.co.uk"), Some("example.co.uk"));
        assert_eq!(registered_domain("co.uk"), None);
    }

    #[test]
    fn addresses_of_local_scope_are_told_from_public_ones() {
        for (addr, local) in [
            ("127.0.0.2", true),
            ("10.1.2.3", true),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
            ("192.168.7.7", true),
            ("169.254.1.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("0.0.0.0", true),
            ("224.0.0.1", true),
            ("255.255.255.255", true),
            ("192.0.2.1", false),
            ("198.51.100.7", false),
            ("::1", true),
            ("::ffff:10.0.0.1", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("ff02::1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_local_scope(addr.parse().expect(addr)), local, "{addr}");
        }
    }

    #[test]
    fn reversed_names_follow_rfc_5782() {
        assert_eq!(reversed_labels("192.0.2.99".parse().expect("v4")), "99.2.0.192.");
        assert!(reversed_labels("2001:db8::1".parse().expect("v6")).starts_with("1.0.0.0."));
        assert!(reversed_labels("2001:db8::1".parse().expect("v6")).ends_with("8.b.d.0.1.0.0.2."));
    }
}
