//! Patterns of DNSBL return codes.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Which return codes (A records within 127.0.0.0/8) a symbol stands for.
///
/// Written as
/// - `127.0.0.2`: one code; an octet may be `*` (any), or `[2,4..7]` (a choice of values and ranges);
/// - `127.0.0.4-127.0.0.7`: all codes from one to the other; `127.0.1.0/24` is another way to write such a range;
/// - `mask:0.0.0.4`: codes that have all these bits set;
/// - `*`: any code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodePattern {
    /// Any code.
    Any,
    /// From one code to another, both included.
    Range(Ipv4Addr, Ipv4Addr),
    /// All of these bits are set.
    Mask(Ipv4Addr),
    /// Each octet is one of these, given as ranges with both ends included.
    Octets(Box<[Vec<(u8, u8)>; 4]>),
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no return code pattern: {why}")]
pub struct PatternError {
    /// What was written.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl CodePattern {
    /// True if `code` is meant. Codes outside 127.0.0.0/8 never are.
    pub fn matches(&self, code: Ipv4Addr) -> bool {
        code.is_loopback()
            && match self {
                Self::Any => true,
                Self::Range(first, last) => (*first..=*last).contains(&code),
                Self::Mask(bits) => u32::from(code) & u32::from(*bits) == u32::from(*bits),
                Self::Octets(octets) => octets
                    .iter()
                    .zip(code.octets())
                    .all(|(choice, octet)| choice.iter().any(|(low, high)| (*low..=*high).contains(&octet))),
            }
    }
}

impl FromStr for CodePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        parse(text.trim()).map_err(|why| PatternError { text: text.to_owned(), why })
    }
}

fn parse(text: &str) -> Result<CodePattern, &'static str> {
    if text == "*" {
        return Ok(CodePattern::Any);
    }
    if let Some(bits) = text.strip_prefix("mask:") {
        return parse_mask(bits.trim());
    }
    if let Some((first, bits)) = text.split_once('/') {
        return parse_network(first.trim(), bits.trim());
    }
    // A dash within brackets is not the one between two codes.
    if let Some((first, last)) = text.split_once('-').filter(|_| !text.contains('[')) {
        return parse_range(first.trim(), last.trim());
    }
    parse_octets(text)
}

fn parse_mask(text: &str) -> Result<CodePattern, &'static str> {
    let bits: Ipv4Addr = text.parse().map_err(|_| "write the bits as an address, such as mask:0.0.0.4")?;
    match bits.octets() {
        [0, 0, 0, 0] => Err("a mask needs at least one bit; write * for any code"),
        [0 | 127, ..] => Ok(CodePattern::Mask(bits)),
        _ => Err("every return code begins with 127, so no other bits of the first octet can be set"),
    }
}

fn parse_range(first: &str, last: &str) -> Result<CodePattern, &'static str> {
    let code = |text: &str| text.parse::<Ipv4Addr>().map_err(|_| "write a range as 127.0.0.4-127.0.0.7");
    let (first, last) = (code(first)?, code(last)?);
    if !first.is_loopback() || !last.is_loopback() {
        return Err("return codes lie within 127.0.0.0/8");
    }
    if first > last { Err("the range ends before it begins") } else { Ok(CodePattern::Range(first, last)) }
}

fn parse_network(first: &str, bits: &str) -> Result<CodePattern, &'static str> {
    let written = "write a network as 127.0.1.0/24";
    let (first, bits): (Ipv4Addr, u8) = (first.parse().map_err(|_| written)?, bits.parse().map_err(|_| written)?);
    if !first.is_loopback() || bits < 8 {
        return Err("return codes lie within 127.0.0.0/8");
    }
    let network = ipnet::Ipv4Net::new(first, bits).map_err(|_| written)?;
    Ok(CodePattern::Range(network.network(), network.broadcast()))
}

fn parse_octets(text: &str) -> Result<CodePattern, &'static str> {
    let mut octets: [Vec<(u8, u8)>; 4] = Default::default();
    let mut rest = text;
    for (place, choice) in octets.iter_mut().enumerate() {
        // `[4..7]` holds dots of its own, so the octet ends at its bracket.
        let end = match rest.strip_prefix('[') {
            Some(_) => rest.find(']').ok_or("a bracket is not closed")? + 1,
            None => rest.find('.').unwrap_or(rest.len()),
        };
        let (octet, after) = rest.split_at(end);
        *choice = parse_octet(octet)?;
        rest = match (place, after.strip_prefix('.')) {
            (3, _) if after.is_empty() => "",
            (3, _) => return Err("there is something behind the fourth octet"),
            (_, Some(after)) => after,
            (_, None) => return Err("write four octets, such as 127.0.0.2"),
        };
    }
    if octets[0] != [(127, 127)] {
        return Err("return codes lie within 127.0.0.0/8, so the first octet is 127");
    }
    Ok(CodePattern::Octets(Box::new(octets)))
}

fn parse_octet(text: &str) -> Result<Vec<(u8, u8)>, &'static str> {
    if text == "*" {
        return Ok(vec![(0, 255)]);
    }
    let number =
        |text: &str| text.trim().parse::<u8>().map_err(|_| "an octet is a number from 0 to 255, * or [2,4..7]");
    let Some(choices) = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) else {
        return number(text).map(|octet| vec![(octet, octet)]);
    };
    choices
        .split(',')
        .map(|choice| {
            let (low, high) = choice.split_once("..").unwrap_or((choice, choice));
            let (low, high) = (number(low)?, number(high)?);
            if low > high { Err("a range of an octet ends before it begins") } else { Ok((low, high)) }
        })
        .collect()
}

impl fmt::Display for CodePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Range(first, last) => write!(f, "{first}-{last}"),
            Self::Mask(bits) => write!(f, "mask:{bits}"),
            Self::Octets(octets) => {
                for (place, choice) in octets.iter().enumerate() {
                    let dot = if place == 0 { "" } else { "." };
                    match choice.as_slice() {
                        [(0, 255)] => write!(f, "{dot}*")?,
                        [(low, high)] if low == high => write!(f, "{dot}{low}")?,
                        ranges => {
                            let shown: Vec<String> = ranges
                                .iter()
                                .map(
                                    |(low, high)| if low == high { format!("{low}") } else { format!("{low}..{high}") },
                                )
                                .collect();
                            write!(f, "{dot}[{}]", shown.join(","))?;
                        }
                    }
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_printed_reads_the_same(text in r"127(\.(\*|[0-9]{1,3}|\[[0-9]{1,2}(\.\.2[0-9]{2})?(,[0-9]{1,2})?\])){3}") {
            if let Ok(pattern) = text.parse::<CodePattern>() {
                prop_assert_eq!(pattern.to_string().parse(), Ok(pattern));
            }
        }

        #[test]
        fn any_text_is_a_pattern_or_refused(text in "\\PC{0,30}|[0-9.*,\\[\\]-]{0,30}", code: [u8; 4]) {
            if let Ok(pattern) = text.parse::<CodePattern>() {
                prop_assert!(!pattern.matches(code.into()) || code[0] == 127);
            }
        }
    }

    #[test]
    fn patterns_match_what_they_say() {
        for (pattern, yes, no) in [
            ("127.0.0.2", &["127.0.0.2"][..], &["127.0.0.3", "127.0.1.2", "10.0.0.2"][..]),
            ("127.0.0.4-127.0.0.7", &["127.0.0.4", "127.0.0.7"], &["127.0.0.3", "127.0.0.8", "127.0.1.5"]),
            ("127.0.0.[2,4..7]", &["127.0.0.2", "127.0.0.4", "127.0.0.7"], &["127.0.0.3", "127.0.0.8"]),
            ("127.0.*.1", &["127.0.0.1", "127.0.15.1"], &["127.1.0.1", "127.0.0.2"]),
            ("127.0.[2..20].[1..3]", &["127.0.2.1", "127.0.20.3"], &["127.0.1.1", "127.0.2.0", "127.0.21.1"]),
            ("mask:0.0.0.4", &["127.0.0.4", "127.0.0.6", "127.0.0.255"], &["127.0.0.2", "127.0.0.3"]),
            ("mask:0.0.1.2", &["127.0.1.2", "127.0.3.3"], &["127.0.0.2", "127.0.1.4"]),
            ("*", &["127.0.0.2", "127.9.9.9"], &["128.0.0.2", "10.0.0.1"]),
        ] {
            let parsed: CodePattern = pattern.parse().expect(pattern);
            assert_eq!(parsed.to_string(), pattern);
            for (codes, matched) in [(yes, true), (no, false)] {
                for code in codes {
                    assert_eq!(parsed.matches(code.parse().expect(code)), matched, "{pattern} and {code}");
                }
            }
        }
    }

    #[test]
    fn a_network_is_a_range() {
        for (network, range) in [
            ("127.255.255.0/24", "127.255.255.0-127.255.255.255"),
            ("127.0.0.255/32", "127.0.0.255-127.0.0.255"),
            ("127.0.0.0/8", "127.0.0.0-127.255.255.255"),
        ] {
            assert_eq!(network.parse::<CodePattern>(), range.parse(), "{network}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "an octet is a number"),
            ("127.0.0", "write four octets"),
            ("127.0.0.2.3", "behind the fourth octet"),
            ("127.0.0.256", "an octet is a number"),
            ("10.0.0.2", "the first octet is 127"),
            ("*.0.0.2", "the first octet is 127"),
            ("127.0.0.[2", "not closed"),
            ("127.0.0.[]", "an octet is a number"),
            ("127.0.0.[7..4]", "ends before it begins"),
            ("127.0.0.7-127.0.0.4", "ends before it begins"),
            ("127.0.0.4-7", "write a range as"),
            ("10.0.0.1-10.0.0.2", "within 127.0.0.0/8"),
            ("127.0.1/24", "write a network as"),
            ("127.0.1.0/33", "write a network as"),
            ("10.0.0.0/24", "within 127.0.0.0/8"),
            ("127.0.0.0/7", "within 127.0.0.0/8"),
            ("mask:4", "mask:0.0.0.4"),
            ("mask:0.0.0.0", "at least one bit"),
            ("mask:192.0.0.4", "begins with 127"),
        ] {
            let error = text.parse::<CodePattern>().expect_err(text).to_string();
            assert!(error.contains(why) && error.contains(&format!("`{text}`")), "{error}");
        }
    }
}
