//! SPF records (RFC 7208 4.5, 4.6, 5, 6): chosen among the texts of a domain, and read. Pure.
//!
//! One mistake anywhere makes the whole record wrong, also behind the term that would match.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};

use super::macros::{MacroError, MacroString};

/// Which of a domain's texts is its record (RFC 7208 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selected<'a> {
    /// None of them.
    None,
    /// This one.
    One(&'a str),
    /// More than one claims to be it: a PermError.
    Several,
}

/// A record whose grammar is sound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// What is tried, in order.
    pub directives: Vec<Directive>,
    /// Whose record answers if nothing matches (RFC 7208 6.1).
    pub redirect: Option<MacroString>,
    /// Where the explanation of a failure is found (RFC 7208 6.2).
    pub explanation: Option<MacroString>,
}

/// A mechanism, and what it means if it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// The result.
    pub qualifier: Qualifier,
    /// What is matched.
    pub mechanism: Mechanism,
    /// As written; printable ASCII.
    pub text: Box<str>,
}

/// What a match leads to (RFC 7208 4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qualifier {
    /// `+`, or nothing.
    Pass,
    /// `-`.
    Fail,
    /// `~`.
    SoftFail,
    /// `?`.
    Neutral,
}

/// What is matched (RFC 7208 5). A target that is absent is the domain itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Everybody.
    All,
    /// Whom another record lets pass.
    Include(MacroString),
    /// The addresses of a name.
    A(Option<MacroString>, PrefixLengths),
    /// The addresses of its mail exchangers.
    Mx(Option<MacroString>, PrefixLengths),
    /// A validated name of the client at or below a name; deprecated.
    Ptr(Option<MacroString>),
    /// A network.
    Ip4(Ipv4Net),
    /// A network.
    Ip6(Ipv6Net),
    /// Whether a name has an address, whichever.
    Exists(MacroString),
}

/// How much of an address is compared (`dual-cidr-length`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixLengths {
    /// Bits of an IPv4 address, 0 to 32.
    pub v4: u8,
    /// Bits of an IPv6 address, 0 to 128.
    pub v6: u8,
}

/// Why a text is no record; each is a PermError.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// An octet beyond ASCII (RFC 7208 3.1).
    #[error("the record is not ASCII")]
    NotAscii,
    /// A mechanism that nobody knows.
    #[error("`{0}`: unknown mechanism")]
    UnknownMechanism(String),
    /// An argument where there must be none, or none where there must be one.
    #[error("`{0}`: wrong argument")]
    Argument(String),
    /// A network that is none.
    #[error("`{0}`: malformed network")]
    Network(String),
    /// A modifier's name that is none.
    #[error("`{0}`: malformed modifier")]
    Modifier(String),
    /// `redirect` or `exp` stands twice (RFC 7208 6).
    #[error("`{0}`: stands twice")]
    Twice(String),
    /// A macro string that is none.
    #[error("`{0}`: {1}")]
    Macro(String, MacroError),
}

const VERSION: &str = "v=spf1";
/// Sender ID's, which a scope follows (RFC 4406 3.1).
const SENDER_ID_VERSION: &str = "spf2.0/";
/// Characters of a term that an error quotes.
const QUOTED: usize = 80;

/// Chooses the record among the texts at a name.
pub fn select(texts: &[Arc<str>]) -> Selected<'_> {
    let mut records = texts.iter().filter(|text| terms(text).is_some());
    match (records.next(), records.next()) {
        (None, _) => Selected::None,
        (Some(record), None) => Selected::One(record),
        (Some(_), Some(_)) => Selected::Several,
    }
}

/// True for a record of Sender ID, which is no record of SPF.
pub fn is_sender_id(text: &str) -> bool {
    let version = text.get(..SENDER_ID_VERSION.len());
    version.is_some_and(|version| version.eq_ignore_ascii_case(SENDER_ID_VERSION))
}

/// What stands behind the version section, which ends with a space or the record (RFC 7208 4.5).
fn terms(text: &str) -> Option<&str> {
    let (version, rest) = text.split_at_checked(VERSION.len())?;
    let is_ours = version.eq_ignore_ascii_case(VERSION) && (rest.is_empty() || rest.starts_with(' '));
    is_ours.then_some(rest)
}

impl Record {
    /// Reads a record, version section included; a text without one has no terms.
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        if !text.is_ascii() {
            return Err(RecordError::NotAscii);
        }
        let mut record = Self::default();
        for term in terms(text).unwrap_or_default().split(' ').filter(|term| !term.is_empty()) {
            // What stands before the first of these tells a modifier from a mechanism.
            match term.find([':', '/', '=']).and_then(|at| term.split_at_checked(at)) {
                Some((name, value)) if value.starts_with('=') => {
                    record.modifier(term, name, value.get(1..).unwrap_or_default())?;
                }
                _ => record.directives.push(Directive::parse(term)?),
            }
        }
        Ok(record)
    }

    fn modifier(&mut self, term: &str, name: &str, value: &str) -> Result<(), RecordError> {
        let place = match () {
            () if name.eq_ignore_ascii_case("redirect") => &mut self.redirect,
            () if name.eq_ignore_ascii_case("exp") => &mut self.explanation,
            () => {
                let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
                    && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet));
                if !is_name {
                    return Err(RecordError::Modifier(quoted(term)));
                }
                MacroString::modifier(value).map_err(|why| RecordError::Macro(quoted(term), why))?;
                return Ok(());
            }
        };
        if place.is_some() {
            return Err(RecordError::Twice(quoted(name)));
        }
        *place = Some(domain_spec(term, value)?);
        Ok(())
    }
}

impl Directive {
    fn parse(term: &str) -> Result<Self, RecordError> {
        let (qualifier, bare) = Qualifier::split(term);
        let (name, argument) = bare.split_at_checked(bare.find([':', '/']).unwrap_or(bare.len())).unwrap_or((bare, ""));
        let mechanism = match name.to_ascii_lowercase().as_str() {
            "all" if argument.is_empty() => Mechanism::All,
            "all" => return Err(RecordError::Argument(quoted(term))),
            "include" => Mechanism::Include(required(term, argument)?),
            "exists" => Mechanism::Exists(required(term, argument)?),
            "ptr" => Mechanism::Ptr(optional(term, argument)?),
            "a" => {
                let (target, lengths) = PrefixLengths::split(term, argument)?;
                Mechanism::A(optional(term, target)?, lengths)
            }
            "mx" => {
                let (target, lengths) = PrefixLengths::split(term, argument)?;
                Mechanism::Mx(optional(term, target)?, lengths)
            }
            "ip4" => Mechanism::Ip4(ip4(argument).ok_or_else(|| RecordError::Network(quoted(term)))?),
            "ip6" => Mechanism::Ip6(ip6(argument).ok_or_else(|| RecordError::Network(quoted(term)))?),
            _ => return Err(RecordError::UnknownMechanism(quoted(term))),
        };
        Ok(Self { qualifier, mechanism, text: term.into() })
    }
}

impl Qualifier {
    fn split(term: &str) -> (Self, &str) {
        match term.split_at_checked(1) {
            Some(("+", rest)) => (Self::Pass, rest),
            Some(("-", rest)) => (Self::Fail, rest),
            Some(("~", rest)) => (Self::SoftFail, rest),
            Some(("?", rest)) => (Self::Neutral, rest),
            _ => (Self::Pass, term),
        }
    }
}

impl PrefixLengths {
    /// Takes `/24`, `//64` or `/24//64` off the end of an argument. A slash may also be part of the
    /// name before it, but never of its top-level label, so there is one way to read it.
    fn split<'a>(term: &str, argument: &'a str) -> Result<(&'a str, Self), RecordError> {
        let malformed = || RecordError::Network(quoted(term));
        let mut lengths = Self { v4: 32, v6: 128 };
        let Some((before, number)) = numbered_end(argument) else { return Ok((argument, lengths)) };
        let mut target = before;
        if let Some(before) = before.strip_suffix('/') {
            lengths.v6 = prefix_length(number, 128).ok_or_else(malformed)?;
            target = before;
            if let Some((before, number)) = numbered_end(before) {
                lengths.v4 = prefix_length(number, 32).ok_or_else(malformed)?;
                target = before;
            }
        } else {
            lengths.v4 = prefix_length(number, 32).ok_or_else(malformed)?;
        }
        Ok((target, lengths))
    }
}

/// `before/digits`.
fn numbered_end(text: &str) -> Option<(&str, &str)> {
    let (before, number) = text.rsplit_once('/')?;
    (!number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit())).then_some((before, number))
}

/// A number without leading zeros, of at most `most`.
fn prefix_length(number: &str, most: u8) -> Option<u8> {
    let plain = number.bytes().all(|octet| octet.is_ascii_digit()) && (number == "0" || !number.starts_with('0'));
    number.parse().ok().filter(|length| plain && *length <= most)
}

fn ip4(argument: &str) -> Option<Ipv4Net> {
    let (addr, length) = network(argument, 32)?;
    Ipv4Net::new(addr.parse::<Ipv4Addr>().ok()?, length).ok()
}

fn ip6(argument: &str) -> Option<Ipv6Net> {
    let (addr, length) = network(argument, 128)?;
    Ipv6Net::new(addr.parse::<Ipv6Addr>().ok()?, length).ok()
}

/// `:address` or `:address/length`.
fn network(argument: &str, bits: u8) -> Option<(&str, u8)> {
    let argument = argument.strip_prefix(':')?;
    match argument.split_once('/') {
        None => Some((argument, bits)),
        Some((addr, length)) => Some((addr, prefix_length(length, bits)?)),
    }
}

/// `:domain-spec`.
fn required(term: &str, argument: &str) -> Result<MacroString, RecordError> {
    let target = argument.strip_prefix(':').ok_or_else(|| RecordError::Argument(quoted(term)))?;
    domain_spec(term, target)
}

/// `:domain-spec` or nothing.
fn optional(term: &str, argument: &str) -> Result<Option<MacroString>, RecordError> {
    if argument.is_empty() { Ok(None) } else { required(term, argument).map(Some) }
}

fn domain_spec(term: &str, text: &str) -> Result<MacroString, RecordError> {
    MacroString::domain_spec(text).map_err(|why| RecordError::Macro(quoted(term), why))
}

/// A stranger's term as our messages show it.
fn quoted(term: &str) -> String {
    term.chars().take(QUOTED).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn section_4_5_one_text_with_the_version_is_the_record() {
        let texts = |texts: &[&str]| texts.iter().map(|text| Arc::from(*text)).collect::<Vec<Arc<str>>>();
        for (found, expected) in [
            (&[][..], Selected::None),
            (&["v=spf1"], Selected::One("v=spf1")),
            (&["V=sPf1 -all"], Selected::One("V=sPf1 -all")),
            (&["v=spf1 "], Selected::One("v=spf1 ")),
            (&["v=spf10"], Selected::None),
            (&["v=spf1mx"], Selected::None),
            (&["v=spf1\t-all"], Selected::None),
            (&[" v=spf1"], Selected::None),
            (&["v=spf"], Selected::None),
            (&["v=spf\u{fc}"], Selected::None),
            (&["other", "v=spf1 ?all", "\u{fffd}"], Selected::One("v=spf1 ?all")),
            (&["v=spf1 -all", "v=SPF1 +all"], Selected::Several),
            (&["v=spf1 -all", "v=spf1 -all"], Selected::Several),
        ] {
            assert_eq!(select(&texts(found)), expected, "{found:?}");
        }
    }

    #[test]
    fn sections_4_6_5_and_6_grammar() {
        for (terms, sound) in [
            // 4.6.1: one space or several between terms, nothing else.
            ("", true),
            ("  ?all   ", true),
            ("a\tmx", false),
            ("a\r\n-all", false),
            ("\u{e9}all", false),
            ("-all moo", false),
            ("+all -ALL ~All ?aLL", true),
            ("--all", false),
            ("- all", false),
            ("+", false),
            // 5.1
            ("all.", false),
            ("all:foo.com", false),
            ("all/8", false),
            // 5.2
            ("include:example.com", true),
            ("include", false),
            ("include:", false),
            ("include:example.com/24", false),
            // 5.3, 5.4
            ("a mx A MX", true),
            ("a:example.com mx:example.com", true),
            ("a: ", false),
            ("mx: ", false),
            ("a/0 a/32 a//0 a//128 a/24//64 a:example.com/24//64 mx/24//64", true),
            ("a/33", false),
            ("a//129", false),
            ("a/", false),
            ("a//", false),
            ("a/24/", false),
            ("a/24/64", false),
            ("a/024", false),
            ("a/00", false),
            ("a//064", false),
            ("a///64", false),
            ("a/+4", false),
            ("a/99999999999", false),
            ("a:example.com/", false),
            ("a:example.com/24/24", false),
            ("a:foo:bar/baz.example.com", true),
            ("a:foo/24.example.com/24", true),
            ("a:%{d}/24//64", true),
            ("a:example.com:8080", false),
            ("mx:192.0.2.1", false),
            ("mx:example.com/33", false),
            // 5.5
            ("ptr ptr:example.com", true),
            ("ptr:", false),
            ("ptr/0", false),
            ("ptr:example.com/24", false),
            // 5.6
            ("ip4:192.0.2.0/24 ip4:192.0.2.1 ip4:0.0.0.0/0", true),
            ("ip4", false),
            ("ip4:", false),
            ("ip4/24", false),
            ("ip4:192.0.2", false),
            ("ip4:192.0.2.1:25", false),
            ("ip4:192.0.2.256", false),
            ("ip4:192.0.02.1", false),
            ("ip4:192.0.2.1/33", false),
            ("ip4:192.0.2.1/032", false),
            ("ip4:192.0.2.1//32", false),
            ("ip4:192.0.2.1/", false),
            ("ip4:2001:db8::1", false),
            ("ip6:2001:db8::/32 ip6:::1 ip6:::1.1.1.1/0 ip6:::FFFF:192.0.2.1", true),
            ("ip6:2001:db8::/129", false),
            ("ip6:2001:db8:://32", false),
            ("ip6::2001:db8::1", false),
            ("ip6:[2001:db8::1]", false),
            ("ip6:fe80::1%eth0", false),
            ("ip6:192.0.2.1", false),
            // 5.7
            ("exists:%{ir}.example.com", true),
            ("exists", false),
            ("exists:", false),
            ("exists:example.com/24", false),
            // 6: names are compared without regard to case; each at most once, wherever it stands.
            ("redirect=example.com EXP=example.com", true),
            ("redirect=example.com REDIRECT=example.com", false),
            ("exp=example.com -all exp=example.com", false),
            ("redirect:example.com", false),
            ("redirect=", false),
            ("redirect=-all", false),
            ("exp=", false),
            ("exp=-all", false),
            ("exp=%{r}.example.com", false),
            ("exp=%{ir}.example.com", true),
            ("-exp=example.com", false),
            // Unknown modifiers: of sound grammar, and without effect.
            ("default=+ a=b moo.cow-far_out=man:dog/cat foo=%{c}", true),
            ("moo= moo=", true),
            ("foo=%abc", false),
            ("moo.cow/far_out=man:dog/cat", false),
            ("moo.cow:far_out=man:dog/cat", false),
            ("1up=foo", false),
            ("=all", false),
            ("+foo=bar", false),
        ] {
            let text = format!("v=spf1 {terms}");
            assert_eq!(Record::parse(&text).is_ok(), sound, "{text:?}: {:?}", Record::parse(&text));
        }
    }

    #[test]
    fn terms_are_read_for_what_they_are() {
        let record =
            Record::parse("V=SPF1 a/24//64 ~Mx:%{d2}/8 -ip4:192.0.2.7/24 ?all exp=why.example.com").expect("sound");
        let [a, mx, ip4, all] = &record.directives[..] else { panic!("{record:?}") };
        assert_eq!(
            (a.qualifier, &a.mechanism),
            (Qualifier::Pass, &Mechanism::A(None, PrefixLengths { v4: 24, v6: 64 }))
        );
        assert_eq!(mx.qualifier, Qualifier::SoftFail);
        assert!(matches!(mx.mechanism, Mechanism::Mx(Some(_), PrefixLengths { v4: 8, v6: 128 })));
        assert_eq!((ip4.qualifier, &*ip4.text), (Qualifier::Fail, "-ip4:192.0.2.7/24"));
        assert_eq!((all.qualifier, &all.mechanism), (Qualifier::Neutral, &Mechanism::All));
        assert!(record.explanation.is_some() && record.redirect.is_none());
    }

    #[test]
    fn an_error_quotes_the_term_and_nothing_that_could_harm_a_log() {
        let long = format!("v=spf1 {}", "x".repeat(5000));
        assert!(Record::parse(&long).expect_err("unknown").to_string().len() < 120);
        assert_eq!(
            Record::parse("v=spf1 a:b\u{1b}[2J").expect_err("control").to_string(),
            "`a:b?[2J`: a character that may not stand here"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(v=spf1 )?([ +?~:/%{}a-z0-9.-]|all|include:|a|mx|ip4:|ip6:|exp=|=|\\PC){0,40}") {
            let _ = Record::parse(&text);
            let _ = select(&[text.as_str().into()]);
        }

        #[test]
        fn what_was_read_holds_only_printable_ascii(terms in prop::collection::vec("[+?~-]?(all|a|mx|ptr|exists:%\\{i\\}|include:x.y|ip4:1.2.3.[0-9]{1,3}|\\PC{0,8})(/[0-9]{1,3})?", 0..8)) {
            if let Ok(record) = Record::parse(&format!("v=spf1 {}", terms.join(" "))) {
                prop_assert!(record.directives.iter().all(|directive| directive.text.bytes().all(|octet| octet.is_ascii_graphic())));
            }
        }
    }
}
