//! Macro strings (RFC 7208 7): parsed once, expanded for one client and sender. Pure.
//!
//! The grammar is checked before anything is expanded, never after: what a client says in HELO or MAIL
//! cannot make a record wrong, it can only make a name that nobody has.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// A macro string whose grammar is sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MacroString(Vec<Part>);

/// What the letters stand for (RFC 7208 7.2). Domains are without a trailing dot.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    /// The client; IPv4-mapped IPv6 is IPv4.
    pub addr: IpAddr,
    /// The local part of the sender; `postmaster` if there is none.
    pub local_part: &'a str,
    /// The domain of the sender.
    pub sender_domain: &'a str,
    /// The domain whose record is being evaluated.
    pub domain: &'a str,
    /// The HELO name.
    pub helo: &'a str,
    /// A validated name of the client, or `unknown`.
    pub client_name: &'a str,
    /// Our own name.
    pub receiver: &'a str,
    /// Now.
    pub at: SystemTime,
}

/// Why a text is no macro string of its kind. Inside a record all of them are a PermError.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MacroError {
    /// A control character, a space where none may be, or anything beyond ASCII.
    #[error("a character that may not stand here")]
    Character,
    /// `%` without `{`, `%`, `_` or `-` behind it, an unknown letter, a number that is zero, no `}`.
    #[error("a malformed macro")]
    Macro,
    /// `c`, `r` or `t` outside of an explanation.
    #[error("a macro letter for explanations only")]
    ExplanationOnly,
    /// Neither a macro nor a dot and a top-level label at the end.
    #[error("no domain name at the end")]
    DomainEnd,
}

/// The expansion has no meaning: it holds a local part that no DNS label can hold (RFC 8616 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Macro(Macro),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Macro {
    letter: Letter,
    /// How many parts are kept, counted from the right.
    keep: usize,
    reverse: bool,
    /// Where the value is split; empty stands for the dot.
    delimiters: String,
    /// Written in upper case: URL-escaped (RFC 7208 7.3).
    escape: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letter {
    Sender,
    LocalPart,
    SenderDomain,
    Domain,
    Address,
    ClientName,
    AddressKind,
    Helo,
    ReadableAddress,
    Receiver,
    Timestamp,
}

/// Octets of the longest name that DNS can be asked for, in this notation (RFC 7208 7.3).
const MAX_NAME: usize = 253;
/// Octets of an explanation that we keep: it goes into one line of a reply.
const MAX_EXPLANATION: usize = 400;

impl MacroString {
    /// A `domain-spec`: no `c`, `r`, `t`, and at its end a macro, or a dot and a top-level label.
    pub fn domain_spec(text: &str) -> Result<Self, MacroError> {
        let (parts, last_macro_ends) = parse(text, false)?;
        let explains = |part: &Part| matches!(part, Part::Macro(found) if found.letter.is_for_explanations());
        let literal_end = text.get(last_macro_ends..).unwrap_or_default();
        match () {
            () if parts.iter().any(explains) => Err(MacroError::ExplanationOnly),
            () if text.is_empty() => Err(MacroError::DomainEnd),
            () if literal_end.is_empty() || ends_in_toplabel(literal_end) => Ok(Self(parts)),
            () => Err(MacroError::DomainEnd),
        }
    }

    /// The value of an unknown modifier: it is never expanded, but its grammar counts (RFC 7208 6).
    pub fn modifier(text: &str) -> Result<Self, MacroError> {
        parse(text, false).map(|(parts, _)| Self(parts))
    }

    /// An `explain-string`: spaces and all letters are allowed.
    pub fn explanation(text: &str) -> Result<Self, MacroError> {
        parse(text, true).map(|(parts, _)| Self(parts))
    }

    /// True if `%{p}` stands in it, so that the validated name of the client must be known to expand it.
    pub fn needs_client_name(&self) -> bool {
        self.letters().any(|letter| letter == Letter::ClientName)
    }

    /// True if its expansion hangs on the client's address, which a client cannot choose.
    pub fn depends_on_address(&self) -> bool {
        self.letters().any(|letter| matches!(letter, Letter::Address | Letter::ClientName))
    }

    /// The name to ask for, without a trailing dot; labels are taken off the left until it fits (RFC
    /// 7208 7.3). Whether DNS knows such names is not looked at.
    ///
    /// # Errors
    /// A local part beyond ASCII is in it.
    pub fn expand_name(&self, values: &Values<'_>) -> Result<String, Unusable> {
        // From the right, so that a record full of macros costs no more than the name that comes of it.
        let mut pieces = Vec::new();
        let mut length = 0;
        for part in self.0.iter().rev() {
            let piece = part.expand(values)?;
            length += piece.len();
            pieces.push(piece);
            if length > MAX_NAME + ".".len() {
                break;
            }
        }
        pieces.reverse();
        let name = pieces.concat();
        let mut name = name.strip_suffix('.').unwrap_or(&name);
        while name.len() > MAX_NAME {
            let Some((_, shorter)) = name.split_once('.') else { break };
            name = shorter;
        }
        Ok(name.to_owned())
    }

    /// The explanation as text: printable ASCII, at most 400 characters.
    ///
    /// # Errors
    /// What a macro stands for is not ASCII.
    pub fn expand_text(&self, values: &Values<'_>) -> Result<String, Unusable> {
        let mut text = String::new();
        for part in &self.0 {
            text.push_str(&part.expand(values)?);
            if text.bytes().any(|octet| !matches!(octet, b' '..=b'~')) {
                return Err(Unusable);
            }
            if text.len() > MAX_EXPLANATION {
                text.truncate(MAX_EXPLANATION);
                break;
            }
        }
        Ok(text)
    }

    fn letters(&self) -> impl Iterator<Item = Letter> {
        self.0.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Macro(found) => Some(found.letter),
        })
    }
}

impl Part {
    fn expand(&self, values: &Values<'_>) -> Result<String, Unusable> {
        match self {
            Self::Literal(text) => Ok(text.clone()),
            Self::Macro(found) => found.expand(values),
        }
    }
}

impl Macro {
    fn expand(&self, values: &Values<'_>) -> Result<String, Unusable> {
        let value = self.letter.value(values)?;
        let is_delimiter = |c: char| if self.delimiters.is_empty() { c == '.' } else { self.delimiters.contains(c) };
        let mut parts: Vec<&str> = value.split(is_delimiter).collect();
        if self.reverse {
            parts.reverse();
        }
        let kept = parts.split_off(parts.len().saturating_sub(self.keep)).join(".");
        Ok(if self.escape { url_escaped(&kept) } else { kept })
    }
}

impl Letter {
    fn new(letter: u8) -> Option<Self> {
        Some(match letter.to_ascii_lowercase() {
            b's' => Self::Sender,
            b'l' => Self::LocalPart,
            b'o' => Self::SenderDomain,
            b'd' => Self::Domain,
            b'i' => Self::Address,
            b'p' => Self::ClientName,
            b'v' => Self::AddressKind,
            b'h' => Self::Helo,
            b'c' => Self::ReadableAddress,
            b'r' => Self::Receiver,
            b't' => Self::Timestamp,
            _ => return None,
        })
    }

    fn is_for_explanations(self) -> bool {
        matches!(self, Self::ReadableAddress | Self::Receiver | Self::Timestamp)
    }

    fn value(self, values: &Values<'_>) -> Result<String, Unusable> {
        if matches!(self, Self::Sender | Self::LocalPart) && !values.local_part.is_ascii() {
            return Err(Unusable);
        }
        Ok(match self {
            Self::Sender => format!("{}@{}", values.local_part, values.sender_domain),
            Self::LocalPart => values.local_part.to_owned(),
            Self::SenderDomain => values.sender_domain.to_owned(),
            Self::Domain => values.domain.to_owned(),
            Self::Address => dotted(values.addr),
            Self::ClientName => values.client_name.to_owned(),
            Self::AddressKind => if values.addr.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
            Self::Helo => values.helo.to_owned(),
            Self::ReadableAddress => values.addr.to_string(),
            Self::Receiver => values.receiver.to_owned(),
            Self::Timestamp => values.at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).to_string(),
        })
    }
}

/// The parts, and where behind the last macro the literal rest of `text` begins.
fn parse(text: &str, with_spaces: bool) -> Result<(Vec<Part>, usize), MacroError> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let (mut at, mut last_macro_ends) = (0, 0);
    let octets = text.as_bytes();
    while let Some(&octet) = octets.get(at) {
        if octet != b'%' {
            let fits = octet.is_ascii_graphic() || (with_spaces && octet == b' ');
            if !fits {
                return Err(MacroError::Character);
            }
            literal.push(char::from(octet));
            at += 1;
            continue;
        }
        match octets.get(at + 1) {
            Some(b'%') => literal.push('%'),
            Some(b'_') => literal.push(' '),
            Some(b'-') => literal.push_str("%20"),
            Some(b'{') => {
                let inner = text.get(at + 2..).ok_or(MacroError::Macro)?;
                let end = inner.find('}').ok_or(MacroError::Macro)?;
                let found = parse_macro(inner.get(..end).ok_or(MacroError::Macro)?)?;
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Macro(found));
                at += end + 1;
            }
            _ => return Err(MacroError::Macro),
        }
        at += 2;
        last_macro_ends = at;
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok((parts, last_macro_ends))
}

/// What stands between the braces: a letter, digits, `r`, delimiters.
fn parse_macro(inner: &str) -> Result<Macro, MacroError> {
    let first = *inner.as_bytes().first().ok_or(MacroError::Macro)?;
    let letter = Letter::new(first).ok_or(MacroError::Macro)?;
    let rest = inner.get(1..).ok_or(MacroError::Macro)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = rest.split_at(digits);
    let keep = match number {
        "" => usize::MAX,
        // Too many digits for a number ask for more parts than there can be: all of them.
        number => number.parse().unwrap_or(usize::MAX),
    };
    let delimiters = rest.strip_prefix(['r', 'R']);
    let reverse = delimiters.is_some();
    let delimiters = delimiters.unwrap_or(rest);
    if keep == 0 || !delimiters.bytes().all(|octet| b".-+,/_=".contains(&octet)) {
        return Err(MacroError::Macro);
    }
    Ok(Macro { letter, keep, reverse, delimiters: delimiters.to_owned(), escape: first.is_ascii_uppercase() })
}

/// `"." toplabel [ "." ]` at the end of `text`; a top-level label is no number.
fn ends_in_toplabel(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let Some((_, label)) = text.rsplit_once('.') else { return false };
    let is_edge = |octet: Option<&u8>| octet.is_some_and(u8::is_ascii_alphanumeric);
    let octets = label.as_bytes();
    is_edge(octets.first())
        && is_edge(octets.last())
        && octets.iter().all(|octet| octet.is_ascii_alphanumeric() || *octet == b'-')
        && !octets.iter().all(u8::is_ascii_digit)
}

/// The address in the dotted form of `%{i}`: for IPv6 its 32 nibbles.
fn dotted(addr: IpAddr) -> String {
    match addr {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            let nibbles = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
            nibbles.map(|nibble| format!("{nibble:X}")).collect::<Vec<_>>().join(".")
        }
    }
}

/// Everything but the unreserved characters of RFC 3986 2.3 as `%XX`.
fn url_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            escaped.push(char::from(octet));
        } else {
            escaped.push_str(&format!("%{octet:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn values(addr: &str) -> Values<'static> {
        Values {
            addr: addr.parse().expect("address"),
            local_part: "strong-bad",
            sender_domain: "email.example.com",
            domain: "email.example.com",
            helo: "mail.example.net",
            client_name: "mx.example.org",
            receiver: "mx.site.example",
            at: UNIX_EPOCH + Duration::from_secs(1_000_000_000),
        }
    }

    #[test]
    fn section_7_4_examples_expand_as_written_there() {
        for (text, name) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d3}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
            ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
            ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ] {
            let found = MacroString::domain_spec(text).expect(text).expand_name(&values("192.0.2.3"));
            assert_eq!(found.as_deref(), Ok(name), "{text}");
        }
        let six = MacroString::domain_spec("%{ir}.%{v}._spf.%{d2}").expect("sound");
        let zeros = "0.".repeat(20);
        assert_eq!(
            six.expand_name(&values("2001:db8::cb01")),
            Ok(format!("1.0.B.C.{zeros}8.B.D.0.1.0.0.2.ip6._spf.example.com"))
        );
    }

    #[test]
    fn section_7_1_grammar() {
        use MacroError::*;
        for (text, expected) in [
            ("example.com", Ok(())),
            ("example.com.", Ok(())),
            ("%{d}", Ok(())),
            ("%{D2R.-+,/_=}", Ok(())),
            ("%{d127}", Ok(())),
            ("%{d99999999999999999999999999}", Ok(())),
            ("foo:bar/baz=qux.example.com", Ok(())),
            ("example.xn--zckzah", Ok(())),
            ("example.1-1", Ok(())),
            ("foo%%", Ok(())),
            ("foo%_", Ok(())),
            ("%{d}.com", Ok(())),
            ("example...com", Ok(())),
            ("", Err(DomainEnd)),
            (".", Err(DomainEnd)),
            ("museum", Err(DomainEnd)),
            ("museum.", Err(DomainEnd)),
            ("example.com..", Err(DomainEnd)),
            ("192.0.2.1", Err(DomainEnd)),
            ("example.-com", Err(DomainEnd)),
            ("example.com-", Err(DomainEnd)),
            ("example.c_m", Err(DomainEnd)),
            ("example.com:8080", Err(DomainEnd)),
            ("%{d}com", Err(DomainEnd)),
            ("%{d}-", Err(DomainEnd)),
            ("example.%%com", Err(DomainEnd)),
            ("%", Err(Macro)),
            ("%a.com", Err(Macro)),
            ("%(d).com", Err(Macro)),
            ("%{", Err(Macro)),
            ("%{}", Err(Macro)),
            ("%{d", Err(Macro)),
            ("%{a}", Err(Macro)),
            ("%{d0}", Err(Macro)),
            ("%{d00}", Err(Macro)),
            ("%{dr2}", Err(Macro)),
            ("%{d-r}", Err(Macro)),
            ("%{d;}", Err(Macro)),
            ("%{dd}", Err(Macro)),
            ("%{\u{fc}}", Err(Macro)),
            ("%{c}", Err(ExplanationOnly)),
            ("%{r}.example.com", Err(ExplanationOnly)),
            ("%{T}", Err(ExplanationOnly)),
            ("a b.example.com", Err(Character)),
            ("a\tb.example.com", Err(Character)),
            ("a\0b.example.com", Err(Character)),
            ("b\u{fc}cher.example", Err(Character)),
        ] {
            assert_eq!(MacroString::domain_spec(text).map(drop), expected, "{text:?}");
        }
        assert!(MacroString::explanation("a b %{c} at %{t}").is_ok());
        assert_eq!(MacroString::explanation("a\r\nb"), Err(Character));
        assert!(MacroString::modifier("").is_ok());
        assert!(MacroString::modifier("%{c}").is_ok());
        assert_eq!(MacroString::modifier("%abc"), Err(Macro));
    }

    #[test]
    fn section_7_3_delimiters_escapes_and_letters_of_explanations() {
        for (text, expanded) in [
            ("%%percent%_%_space%-url", "%percent  space%20url"),
            ("%{h}", "mail.example.net"),
            ("%{p}", "mx.example.org"),
            ("%{c} %{r} %{t}", "192.0.2.3 mx.site.example 1000000000"),
            ("%{S}", "strong-bad%40email.example.com"),
            ("%{o1.}", "com"),
            ("%{o.a}", ""),
            ("%{l=,}", "strong-bad"),
            ("%{s2r-.}", "bad@email.strong"),
        ] {
            let found = MacroString::explanation(text).map(|text| text.expand_text(&values("192.0.2.3")));
            match expanded {
                "" => assert_eq!(found, Err(MacroError::Macro), "{text}"),
                expanded => assert_eq!(found, Ok(Ok(expanded.to_owned())), "{text}"),
            }
        }
        let url = Values { local_part: "~jack&jill=up-a_b3.c", ..values("192.0.2.3") };
        let text = MacroString::explanation("http://example.com/why.html?l=%{L}").expect("sound");
        let escaped = "http://example.com/why.html?l=~jack%26jill%3Dup-a_b3.c";
        assert_eq!(text.expand_text(&url).as_deref(), Ok(escaped));
        let six = MacroString::explanation("%{c} %{v}").expect("sound");
        assert_eq!(six.expand_text(&values("2001:DB8:0::1")).as_deref(), Ok("2001:db8::1 ip6"));
    }

    #[test]
    fn section_7_3_long_names_lose_labels_on_the_left() {
        let long = format!("{}.example.com", "%{o}.".repeat(20).trim_end_matches('.'));
        let name = MacroString::domain_spec(&long).expect("sound").expand_name(&values("192.0.2.3")).expect("ASCII");
        assert!(name.len() <= 253 && name.len() > 253 - 18, "{name}");
        assert!(format!(".{}.example.com", "email.example.com.".repeat(20)).contains(&format!(".{}", &name[..40])));
        assert!(name.ends_with("email.example.com.example.com"));
        let dot = MacroString::domain_spec("%{d}.test.").expect("sound");
        assert_eq!(dot.expand_name(&values("192.0.2.3")).as_deref(), Ok("email.example.com.test"));
    }

    #[test]
    fn a_local_part_beyond_ascii_stands_for_nothing() {
        let values = Values { local_part: "m\u{fc}ller", ..values("192.0.2.3") };
        for text in ["%{l}", "%{s}", "%{L}.example.com"] {
            assert_eq!(MacroString::domain_spec(text).expect(text).expand_name(&values), Err(Unusable), "{text}");
        }
        let text = MacroString::explanation("for %{l}").expect("sound");
        assert_eq!(text.expand_text(&values), Err(Unusable));
        let text = MacroString::explanation("for %{o}").expect("sound");
        assert_eq!(text.expand_text(&values).as_deref(), Ok("for email.example.com"));
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_expands_within_bounds(text in "(%[{}%_a-z0-9.-]|[ -~]|\\PC){0,60}", local in "\\PC{0,64}") {
            let values = Values { local_part: &local, ..values("2001:db8::1") };
            if let Ok(spec) = MacroString::domain_spec(&text)
                && let Ok(name) = spec.expand_name(&values)
            {
                prop_assert!(name.len() <= 253 || !name.contains('.'));
            }
            if let Ok(explanation) = MacroString::explanation(&text)
                && let Ok(text) = explanation.expand_text(&values)
            {
                prop_assert!(text.len() <= MAX_EXPLANATION && text.bytes().all(|octet| matches!(octet, b' '..=b'~')));
            }
        }
    }
}
