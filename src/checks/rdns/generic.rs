//! Names that a provider gave to an address, not an administrator to a mail server.

use std::fmt;
use std::net::IpAddr;

/// Why a name looks generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason<'a> {
    /// It spells the address.
    Address,
    /// It holds a word for lines of private customers.
    Word(&'a str),
}

/// Words for lines whose users seldom run mail servers.
const WORDS: [&str; 31] = [
    "adsl",
    "broadband",
    "cable",
    "catv",
    "cgn",
    "cust",
    "customer",
    "customers",
    "dhcp",
    "dial",
    "dialin",
    "dialup",
    "dip",
    "docsis",
    "dsl",
    "dyn",
    "dynamic",
    "dynamicip",
    "dynip",
    "ftth",
    "hsd",
    "mobile",
    "pool",
    "pools",
    "ppp",
    "pppoe",
    "resnet",
    "unassigned",
    "vdsl",
    "wlan",
    "xdsl",
];

/// First labels of servers: `mail.pool.example.org` was named by somebody.
const SERVERS: [&str; 9] = ["mail", "mailout", "mout", "mta", "mx", "out", "relay", "smtp", "outbound"];

/// Labels of the registered domain, which may be called anything: `mail.dsl.example`.
const REGISTERED: usize = 2;

/// Why `name`, the name of `addr`, looks generated; `None` if it does not.
pub fn reason(name: &str, addr: IpAddr) -> Option<Reason<'_>> {
    let spelled = match addr {
        IpAddr::V4(v4) => spells_v4(name, v4.octets()),
        IpAddr::V6(v6) => spells_v6(name, v6.segments()),
    };
    if spelled { Some(Reason::Address) } else { generic_word(name).map(Reason::Word) }
}

/// Three octets in a row, forwards or backwards; or all four written as one number, decimal or hexadecimal.
fn spells_v4(name: &str, octets: [u8; 4]) -> bool {
    let numbers: Vec<Option<u8>> = name
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().ok())
        .collect();
    let mut backwards = octets;
    backwards.reverse();
    [octets, backwards].into_iter().any(|octets| {
        let in_a_row = |part: &[u8]| {
            numbers
                .windows(part.len())
                .any(|window| window.iter().zip(part).all(|(number, octet)| *number == Some(*octet)))
        };
        let [a, b, c, d] = octets;
        in_a_row(&[a, b, c])
            || in_a_row(&[b, c, d])
            || name.contains(&format!("{a:03}{b:03}{c:03}{d:03}"))
            || name.contains(&format!("{a:02x}{b:02x}{c:02x}{d:02x}"))
    })
}

/// Four groups in a row, or the last sixteen digits at a stretch, forwards or backwards; punctuation aside.
fn spells_v6(name: &str, segments: [u16; 8]) -> bool {
    let groups: Vec<Option<u16>> =
        name.split(|c: char| !c.is_ascii_hexdigit()).map(|digits| u16::from_str_radix(digits, 16).ok()).collect();
    let in_a_row = groups.windows(4).any(|window| {
        segments.windows(4).any(|part| {
            // Nothing but zeros says nothing.
            part.iter().any(|segment| *segment != 0)
                && window.iter().zip(part).all(|(group, segment)| *group == Some(*segment))
        })
    });
    let digits: String = segments.iter().map(|segment| format!("{segment:04x}")).collect();
    let host = digits.get(16..).unwrap_or_default();
    let stretch: String = name.chars().filter(|c| !matches!(c, '.' | '-')).collect();
    in_a_row || stretch.contains(host) || stretch.contains(&host.chars().rev().collect::<String>())
}

fn generic_word(name: &str) -> Option<&str> {
    let labels: Vec<&str> = name.split('.').collect();
    let own = labels.get(..labels.len().saturating_sub(REGISTERED))?;
    if words(own.first()?).any(|word| SERVERS.contains(&word)) {
        return None;
    }
    own.iter().flat_map(|label| words(label)).find(|word| WORDS.contains(word))
}

/// Parts of a label between dashes, underscores and digits.
fn words(label: &str) -> impl Iterator<Item = &str> {
    label.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty())
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("spells the address"),
            Self::Word(word) => write!(f, "holds the word `{word}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_way_to_spell_an_ipv4_address_is_seen(octets: [u8; 4], separator in "[.x-]", backwards: bool) {
            let mut parts = octets.map(|octet| octet.to_string());
            if backwards {
                parts.reverse();
            }
            let name = format!("ip{}.isp.example", parts.join(&separator));
            prop_assert_eq!(reason(&name, octets.into()), Some(Reason::Address), "{}", name);
        }

        #[test]
        fn any_text_may_come_as_a_name(name in "\\PC{0,80}|[a-f0-9.-]{0,80}", v4: [u8; 4], v6: [u8; 16]) {
            for addr in [IpAddr::from(v4), IpAddr::from(v6)] {
                let _ = reason(&name, addr);
            }
        }
    }

    #[test]
    fn generated_names_are_told_from_given_ones() {
        for (addr, name, why) in [
            ("192.0.2.17", "192-0-2-17.isp.example", Some(Reason::Address)),
            ("192.0.2.17", "17.2.0.192.dynamic.isp.example", Some(Reason::Address)),
            ("192.0.2.17", "host17-2-0.isp.example", Some(Reason::Address)),
            ("192.0.2.17", "p192000002017.isp.example", Some(Reason::Address)),
            ("192.0.2.17", "xc0000211.isp.example", Some(Reason::Address)),
            ("192.0.2.17", "static-192-0-2-17.business.example", Some(Reason::Address)),
            ("192.0.2.17", "dyn17.isp.example", Some(Reason::Word("dyn"))),
            ("192.0.2.17", "a-17.pool.isp.example", Some(Reason::Word("pool"))),
            ("192.0.2.17", "b.adsl2.isp.example", Some(Reason::Word("adsl"))),
            ("192.0.2.17", "mail.example.org", None),
            ("192.0.2.17", "mx17.example.org", None),
            ("192.0.2.17", "mail2-17.example.org", None),
            ("192.0.2.17", "smtp-out.pool.example.org", None),
            ("192.0.2.17", "office.dsl.example", None),
            ("192.0.2.17", "dynamite.shop.example.org", None),
            ("192.0.2.17", "192-0-3-17.isp.example", None),
            ("192.0.2.17", "99999999999999999999.isp.example", None),
            ("192.0.2.17", "", None),
            ("2001:db8:0:1:2:3:4:5", "2001-db8-0-1-2-3-4-5.isp.example", Some(Reason::Address)),
            ("2001:db8::2:3:4:5", "x-0002-0003-0004-0005.isp.example", Some(Reason::Address)),
            ("2001:db8::2:3:4:5", "0002000300040005.isp.example", Some(Reason::Address)),
            ("2001:db8::2:3:4:5", "5.0.0.0.4.0.0.0.3.0.0.0.2.0.0.0.isp.example", Some(Reason::Address)),
            ("2001:db8::25", "mail.example.org", None),
            ("2001:db8::25", "0-0-0-0.example.org", None),
            ("2001:db8::25", "cable7.isp.example.net", Some(Reason::Word("cable"))),
        ] {
            assert_eq!(reason(name, addr.parse().expect(addr)), why, "{name}");
        }
    }
}
