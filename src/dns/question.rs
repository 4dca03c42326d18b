//! One question and one answer as values, of any record type: what the cache keeps and the network is asked.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use super::{LookupError, Mx};
use crate::units::reversed_labels;

/// The record types that checks ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Names of an address.
    Ptr,
    /// Texts.
    Txt,
    /// Mail exchangers.
    Mx,
    /// Name servers of a zone.
    Ns,
}

/// A name and a record type. The name is lower case, without a trailing dot, and fits into DNS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    kind: Kind,
    name: Arc<str>,
}

/// Records of one type, in the order received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// Of [`Kind::A`].
    A(Arc<[Ipv4Addr]>),
    /// Of [`Kind::Aaaa`].
    Aaaa(Arc<[Ipv6Addr]>),
    /// Of [`Kind::Ptr`]: names in lower case without a trailing dot.
    Ptr(Arc<[Arc<str>]>),
    /// Of [`Kind::Txt`]: the strings of each record joined.
    Txt(Arc<[Arc<str>]>),
    /// Of [`Kind::Mx`].
    Mx(Arc<[Mx]>),
    /// Of [`Kind::Ns`]: names as in `Ptr`.
    Ns(Arc<[Arc<str>]>),
}

/// What the network answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The records; none if there are none of that type.
    pub records: Records,
    /// False for NXDOMAIN.
    pub exists: bool,
    /// How long the answer holds; `None` if it does not say (a negative one without SOA, RFC 2308 5).
    pub ttl: Option<Duration>,
}

/// Whoever answers what the cache does not know. Dropped at any await it leaves nothing behind.
pub trait Network: Send + Sync + 'static {
    /// Sends the question, waits for the answer. Ends by itself, sooner or later.
    fn ask(&self, question: &Question) -> impl Future<Output = Result<Response, LookupError>> + Send;

    /// True if it is known beforehand that asking will hardly help: an expired answer is then given
    /// at once, while the question travels all the same.
    fn is_down(&self) -> bool {
        false
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 6] = [Self::A, Self::Aaaa, Self::Ptr, Self::Txt, Self::Mx, Self::Ns];

    /// The word for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::Aaaa => "aaaa",
            Self::Ptr => "ptr",
            Self::Txt => "txt",
            Self::Mx => "mx",
            Self::Ns => "ns",
        }
    }
}

impl Question {
    /// Refuses what is no name: empty or long labels, more than 253 octets, anything but printable ASCII
    /// (a space is unusual, but SPF has a macro for it). Names of other scripts must come as A-labels.
    pub fn new(kind: Kind, name: &str) -> Result<Self, LookupError> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let fits = name.len() <= 253
            && name.split('.').all(|label| {
                (1..=63).contains(&label.len()) && label.bytes().all(|octet| matches!(octet, b' '..=b'~'))
            });
        if !fits {
            return Err(LookupError::NotAName);
        }
        // Most names come folded already: one copy less.
        let upper = name.bytes().any(|octet| octet.is_ascii_uppercase());
        Ok(Self { kind, name: if upper { name.to_ascii_lowercase().into() } else { name.into() } })
    }

    /// For the names of an address.
    pub fn names_of(addr: IpAddr) -> Self {
        let addr = addr.to_canonical();
        let zone = if addr.is_ipv4() { "in-addr.arpa" } else { "ip6.arpa" };
        Self { kind: Kind::Ptr, name: format!("{}{zone}", reversed_labels(addr)).into() }
    }

    /// The record type.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Records {
    /// No records of that type.
    pub fn none(kind: Kind) -> Self {
        match kind {
            Kind::A => Self::A([].into()),
            Kind::Aaaa => Self::Aaaa([].into()),
            Kind::Ptr => Self::Ptr([].into()),
            Kind::Txt => Self::Txt([].into()),
            Kind::Mx => Self::Mx([].into()),
            Kind::Ns => Self::Ns([].into()),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::A(records) => records.len(),
            Self::Aaaa(records) => records.len(),
            Self::Ptr(records) | Self::Txt(records) | Self::Ns(records) => records.len(),
            Self::Mx(records) => records.len(),
        }
    }

    /// The memory that they take, in octets, nearly.
    pub fn octets(&self) -> usize {
        match self {
            Self::A(records) => size_of_val(&**records),
            Self::Aaaa(records) => size_of_val(&**records),
            Self::Ptr(records) | Self::Txt(records) | Self::Ns(records) => records.iter().map(octets_of_text).sum(),
            Self::Mx(records) => records.iter().map(octets_of_mx).sum(),
        }
    }

    /// Keeps the first of them, as many as take no more than `most` octets. True if there were more.
    pub fn truncate(&mut self, most: usize) -> bool {
        fn cut<T: Clone>(records: &mut Arc<[T]>, most: usize, octets: fn(&T) -> usize) -> bool {
            let mut sum = 0;
            let fit = records.iter().take_while(|record| {
                sum += octets(record);
                sum <= most
            });
            let fit = fit.count();
            let more = fit < records.len();
            if more {
                *records = records[..fit].into();
            }
            more
        }
        match self {
            Self::A(records) => cut(records, most, size_of_val),
            Self::Aaaa(records) => cut(records, most, size_of_val),
            Self::Ptr(records) | Self::Txt(records) | Self::Ns(records) => cut(records, most, octets_of_text),
            Self::Mx(records) => cut(records, most, octets_of_mx),
        }
    }

    /// The IPv4 addresses; none if these are records of another type.
    pub fn into_a(self) -> Arc<[Ipv4Addr]> {
        if let Self::A(records) = self { records } else { [].into() }
    }

    /// The IPv6 addresses; none if these are records of another type.
    pub fn into_aaaa(self) -> Arc<[Ipv6Addr]> {
        if let Self::Aaaa(records) = self { records } else { [].into() }
    }

    /// The names or texts; none if these are records of a type that has none.
    pub fn into_texts(self) -> Arc<[Arc<str>]> {
        if let Self::Ptr(records) | Self::Txt(records) | Self::Ns(records) = self { records } else { [].into() }
    }

    /// The mail exchangers; none if these are records of another type.
    pub fn into_mx(self) -> Arc<[Mx]> {
        if let Self::Mx(records) = self { records } else { [].into() }
    }
}

fn octets_of_text(text: &Arc<str>) -> usize {
    size_of_val(text) + COUNTS + text.len()
}

fn octets_of_mx(mx: &Mx) -> usize {
    size_of_val(mx) + COUNTS + mx.1.len()
}

/// Beside the octets of a shared text: who holds it.
const COUNTS: usize = 2 * size_of::<usize>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_and_measured_before_they_are_asked() {
        let long = format!("{}.example", "a".repeat(64));
        let longest = format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61));
        let too_long = format!("{longest}d");
        for (name, asked) in [
            ("Mail.Example.ORG", Some("mail.example.org")),
            ("mail.example.org.", Some("mail.example.org")),
            ("_dmarc.example.org", Some("_dmarc.example.org")),
            ("localhost", Some("localhost")),
            (longest.as_str(), Some(longest.as_str())),
            (too_long.as_str(), None),
            (long.as_str(), None),
            ("", None),
            (".", None),
            ("a..example", None),
            ("a b.example", Some("a b.example")),
            ("a\tb.example", None),
            ("b\u{fc}cher.example", None),
            ("a\r\n.example", None),
        ] {
            let question = Question::new(Kind::A, name);
            assert_eq!(question.as_ref().ok().map(Question::name), asked, "{name:?}");
        }
    }

    #[test]
    fn names_of_addresses_are_asked_in_their_arpa_zone() {
        let question = |addr: &str| Question::names_of(addr.parse().expect("address")).name().to_owned();
        assert_eq!(question("192.0.2.7"), "7.2.0.192.in-addr.arpa");
        assert_eq!(question("::ffff:192.0.2.7"), "7.2.0.192.in-addr.arpa");
        assert!(question("2001:db8::1").ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"));
    }
}
