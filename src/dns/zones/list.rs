//! What rbldnsd's list formats have in common: comments, `$` lines, default values, exclusions, values.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::Format;
use super::value::{EXCLUDED, Interner};

/// The code of an entry for which nothing else is written.
const USUAL_CODE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Why a line says nothing, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Octets before the place.
    pub(super) at: usize,
    pub(super) reason: String,
}

/// What a line may be, apart from nothing.
pub(super) trait Entries: Default {
    type Entry;
    const FORMAT: Format;

    /// Reads the entry at the beginning of `text`: it and its length.
    fn parse(text: &[u8]) -> Result<(Self::Entry, usize), Fault>;

    /// How many addresses an entry covers, if there may be a bound on that (`$MAXRANGE4`).
    fn addresses(entry: &Self::Entry) -> u64;

    /// Takes an entry with the number of its value, or [`EXCLUDED`].
    fn add(&mut self, entry: Self::Entry, value: u32);
}

/// A list while it is read.
#[derive(Debug, Default)]
pub(super) struct ListBuilder<E> {
    pub(super) entries: E,
    pub(super) interner: Interner,
    pub(super) ttl: Option<Duration>,
    /// How many entries there are, exclusions included.
    pub(super) count: usize,
    /// The value of entries without one; of the current file.
    default: Option<u32>,
    /// The value written last, as it was written, with what it meant then: lists repeat themselves.
    last: Option<(Vec<u8>, u32)>,
    largest: Option<u64>,
}

impl<E: Entries> ListBuilder<E> {
    /// Default values hold to the end of their file, and so does `$MAXRANGE4`.
    pub(super) fn begin_file(&mut self) {
        self.default = None;
        self.last = None;
        self.largest = None;
    }

    /// Takes one line, without its end.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let text = line.trim_ascii_start();
        let indent = line.len() - text.len();
        let text = text.trim_ascii_end();
        let shift = |fault: Fault, by: usize| Fault { at: fault.at + by, ..fault };
        match text {
            [] => Ok(()),
            [b'$', rest @ ..] => self.directive(rest, false).map_err(|fault| shift(fault, indent + 1)),
            // So that other programs take it for a comment.
            [mark @ (b'#' | b';' | b':'), b'$', rest @ ..] => {
                self.directive(rest, *mark != b':').map_err(|fault| shift(fault, indent + 2))
            }
            [b'#' | b';', ..] => Ok(()),
            // A default without a code would be none; so two colons begin an IPv6 address.
            [b':', rest @ ..] if E::FORMAT != Format::Ip6Trie || !rest.starts_with(b":") => {
                let (code, said) = value(text).map_err(|fault| shift(fault, indent))?;
                self.default = Some(self.interner.value(code.unwrap_or(USUAL_CODE), &said));
                self.last = None;
                Ok(())
            }
            _ => self.entry(text).map_err(|fault| shift(fault, indent)),
        }
    }

    fn entry(&mut self, text: &[u8]) -> Result<(), Fault> {
        let (excluded, rest) = match text {
            [b'!', rest @ ..] => (true, rest.trim_ascii_start()),
            _ => (false, text),
        };
        let skipped = text.len() - rest.len();
        let shift = |fault: Fault, by: usize| Fault { at: fault.at + by, ..fault };
        let (entry, length) = E::parse(rest).map_err(|fault| shift(fault, skipped))?;
        if self.largest.is_some_and(|largest| E::addresses(&entry) > largest) {
            return fault(skipped, "covers more addresses than $MAXRANGE4 allows");
        }
        let after = rest.get(length..).unwrap_or_default();
        let said = after.trim_ascii_start();
        let value = if excluded {
            EXCLUDED
        } else {
            self.value(said).map_err(|fault| shift(fault, text.len() - said.len()))?
        };
        self.count += 1;
        self.entries.add(entry, value);
        Ok(())
    }

    /// The number of what is written behind an entry.
    fn value(&mut self, written: &[u8]) -> Result<u32, Fault> {
        if let [] | [b'#' | b';', ..] = written {
            return Ok(match self.default {
                Some(default) => default,
                None => *self.default.insert(self.interner.value(USUAL_CODE, "")),
            });
        }
        if let Some((last, number)) = &self.last
            && last == written
        {
            return Ok(*number);
        }
        let (code, said) = value(written)?;
        let default = self.default.and_then(|default| self.interner.code(default));
        let number = self.interner.value(code.or(default).unwrap_or(USUAL_CODE), &said);
        let (last, known) = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(written);
        *known = number;
        Ok(number)
    }

    /// A line that begins with `$`. In a comment only those that we know count.
    fn directive(&mut self, text: &[u8], comment: bool) -> Result<(), Fault> {
        let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        let rest = rest.trim_ascii_start();
        let at = text.len() - rest.len();
        let said = String::from_utf8_lossy(rest);
        match (word, word.to_ascii_uppercase().as_slice()) {
            // What an authoritative server would say about the zone; nobody asks us for it.
            (_, b"SOA" | b"NS" | b"TIMESTAMP") => {}
            (_, b"TTL") => match duration(rest) {
                Some(ttl) => self.ttl = Some(self.ttl.map_or(ttl, |known| known.min(ttl))),
                None => return fault(at, format!("`{said}` is no time to live: write 3600 or 1h")),
            },
            (_, b"MAXRANGE4") => match range_size(rest) {
                // It can be made smaller, but not larger again.
                Some(size) => self.largest = Some(self.largest.map_or(size, |known| known.min(size))),
                None => return fault(at, format!("`{said}` is no number of addresses: write 256 or /24")),
            },
            (_, b"DATASET") => {
                let format = rest.split(|octet| octet.is_ascii_whitespace() || *octet == b':').next();
                if format != Some(E::FORMAT.word().as_bytes()) {
                    return fault(at, format!("this zone is read as {}: split the file", E::FORMAT.word()));
                }
            }
            ([digit @ b'0'..=b'9'], _) => self.interner.set_variable(usize::from(digit - b'0'), &said),
            (b"=", _) => self.interner.set_frame(&said),
            _ if comment => {}
            _ => return fault(0, format!("${} is no directive", String::from_utf8_lossy(word))),
        }
        Ok(())
    }
}

pub(super) fn fault<T>(at: usize, reason: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { at, reason: reason.into() })
}

/// `:code:text`, `:code` or `text`; no code: that of the default.
fn value(written: &[u8]) -> Result<(Option<Ipv4Addr>, String), Fault> {
    let Some(rest) = written.strip_prefix(b":") else {
        return Ok((None, String::from_utf8_lossy(written).into_owned()));
    };
    let end = rest.iter().position(|octet| !(octet.is_ascii_digit() || *octet == b'.')).unwrap_or(rest.len());
    let (written_code, rest) = rest.split_at(end);
    let code = std::str::from_utf8(written_code).ok().and_then(|text| match text.parse::<u8>() {
        Ok(last) => Some(Ipv4Addr::new(127, 0, 0, last)),
        Err(_) => text.parse().ok(),
    });
    let Some(code) = code else {
        return fault(1, "here belongs a return code, such as 127.0.0.2 or 2");
    };
    let text = match rest.trim_ascii_start() {
        [] | [b'#' | b';', ..] => &[],
        [b':', text @ ..] => text.trim_ascii_start(),
        _ => return fault(1 + end, "a text is set off from its return code by a colon"),
    };
    Ok((Some(code), String::from_utf8_lossy(text).into_owned()))
}

/// Seconds, or a number with one of the letters s, m, h, d, w behind it.
fn duration(written: &[u8]) -> Option<Duration> {
    let word = written.split(u8::is_ascii_whitespace).next()?;
    let (digits, unit) = match word {
        [digits @ .., b's' | b'S'] => (digits, 1),
        [digits @ .., b'm' | b'M'] => (digits, 60),
        [digits @ .., b'h' | b'H'] => (digits, 3600),
        [digits @ .., b'd' | b'D'] => (digits, 86_400),
        [digits @ .., b'w' | b'W'] => (digits, 604_800),
        digits => (digits, 1),
    };
    let number: u32 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(Duration::from_secs(u64::from(number) * unit))
}

/// A number of addresses, or the length of a prefix.
fn range_size(written: &[u8]) -> Option<u64> {
    let written = std::str::from_utf8(written).ok()?;
    match written.strip_prefix('/') {
        Some(bits) => bits.parse::<u32>().ok().filter(|bits| *bits <= 32).map(|bits| 1 << (32 - bits)),
        None => written.parse::<u64>().ok().filter(|size| *size > 0),
    }
}

/// The octets of an entry's address or name: up to a blank, a comment, or whatever else `stop` says.
pub(super) fn token(text: &[u8], stop: impl Fn(u8) -> bool) -> &[u8] {
    let ends = |octet: &u8| octet.is_ascii_whitespace() || matches!(octet, b'#' | b';') || stop(*octet);
    let end = text.iter().position(ends).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_codes_and_texts() {
        let code = |last| Some(Ipv4Addr::new(127, 0, 0, last));
        for (written, meant) in [
            (":127.0.0.4:open relay", Ok((code(4), "open relay"))),
            (":4:open relay", Ok((code(4), "open relay"))),
            (":4: see # 5", Ok((code(4), "see # 5"))),
            (":4:", Ok((code(4), ""))),
            (":4", Ok((code(4), ""))),
            (":4 # hand-made", Ok((code(4), ""))),
            (":10.1.2.3", Ok((Some(Ipv4Addr::new(10, 1, 2, 3)), ""))),
            ("open relay: $", Ok((None, "open relay: $"))),
            (":", Err(1)),
            (":relay", Err(1)),
            (":256", Err(1)),
            (":127.0.0", Err(1)),
            (":4 relay", Err(2)),
        ] {
            let found = value(written.as_bytes());
            let found = found.as_ref().map(|(code, text)| (*code, text.as_str())).map_err(|fault| fault.at);
            assert_eq!(found, meant, "{written}");
        }
    }

    #[test]
    fn times_and_sizes_have_units() {
        for (written, seconds) in
            [("300", Some(300)), ("2h", Some(7200)), ("1W", Some(604_800)), ("5 # m", Some(5)), ("x", None), ("", None)]
        {
            assert_eq!(duration(written.as_bytes()).map(|time| time.as_secs()), seconds, "{written}");
        }
        for (written, size) in
            [("256", Some(256)), ("/24", Some(256)), ("/0", Some(1 << 32)), ("/33", None), ("0", None), ("all", None)]
        {
            assert_eq!(range_size(written.as_bytes()), size, "{written}");
        }
    }
}
