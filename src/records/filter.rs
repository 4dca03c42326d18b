//! Which records are wanted.

use std::net::Ipv6Addr;

use ipnet::{IpNet, Ipv6Net};

use super::index::{self, Entry};
use super::record::{Record, domain_of};
use crate::units::is_at_or_below;
use crate::verdict::Verdict;

/// What wanted records have in common: all that is given.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Begun at this millisecond since 1970 or later.
    pub since: Option<u64>,
    /// Begun before this millisecond since 1970.
    pub until: Option<u64>,
    /// The client is in this network.
    pub client: Option<IpNet>,
    /// The reverse-path.
    pub from: Option<Whose>,
    /// The one author domain.
    pub author: Option<String>,
    /// A forward-path, accepted or refused.
    pub to: Option<Whose>,
    /// The verdict.
    pub verdict: Option<Verdict>,
    /// How it ended, as the log says it.
    pub end: Option<String>,
    /// All of these symbols are in it, counting or not.
    pub symbols: Vec<String>,
    /// The score in hundredths is at least this.
    pub at_least: Option<i32>,
    /// What is in shadow only would have decided otherwise.
    pub shadow: bool,
}

/// Part of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The whole address; empty: the null reverse-path.
    Address(String),
    /// This domain.
    Domain(String),
    /// All domains below this one.
    Below(String),
}

/// [`Filter`] as an index can answer it.
pub(super) struct Sieve<'f> {
    filter: &'f Filter,
    network: Option<Ipv6Net>,
    from: Option<(bool, u32)>,
    author: Option<u32>,
    end: Option<u32>,
    to: u64,
    symbols: [u8; 32],
}

impl Whose {
    /// `user@example.org`, `<>`, `example.org` or `@example.org`, `.example.org`.
    pub fn of(written: &str) -> Self {
        let bare = written.trim_start_matches('<').trim_end_matches('>');
        match bare.strip_prefix('@').unwrap_or(bare) {
            domain if domain.starts_with('.') => Self::Below(domain.trim_start_matches('.').to_owned()),
            address if address.is_empty() || address.contains('@') => Self::Address(address.to_owned()),
            domain => Self::Domain(domain.to_owned()),
        }
    }

    fn is(&self, address: &str) -> bool {
        let domain = domain_of(address).unwrap_or_default();
        match self {
            Self::Address(wanted) => wanted.eq_ignore_ascii_case(address),
            Self::Domain(wanted) => wanted.eq_ignore_ascii_case(domain),
            Self::Below(wanted) => {
                let (domain, wanted) = (domain.to_ascii_lowercase(), wanted.to_ascii_lowercase());
                domain != wanted && is_at_or_below(&domain, &wanted)
            }
        }
    }
}

impl Filter {
    /// Begun within these bounds.
    pub(super) fn is_in_time(&self, millis: u64) -> bool {
        self.since.is_none_or(|since| millis >= since) && self.until.is_none_or(|until| millis < until)
    }

    /// Whether `record` is wanted.
    pub fn holds(&self, record: &Record) -> bool {
        let path = record.envelope.as_ref().map(|envelope| envelope.reverse_path.as_str());
        self.is_in_time(record.id.millis())
            && self.client.is_none_or(|network| network.contains(&record.client.addr))
            && self.from.as_ref().is_none_or(|from| path.is_some_and(|path| from.is(path)))
            && self.author.as_ref().is_none_or(|author| is_author(author, record))
            && self.to.as_ref().is_none_or(|to| record.forward_paths().any(|path| to.is(path)))
            && self.verdict.is_none_or(|verdict| record.fate.verdict == Some(verdict))
            && self.end.as_ref().is_none_or(|end| *end == record.fate.end)
            && self.symbols.iter().all(|wanted| record.all_symbols().any(|symbol| symbol == wanted))
            && self.at_least.is_none_or(|limit| record.judgement.score >= limit)
            && (!self.shadow || record.shadow().is_some())
    }

    pub(super) fn sieve(&self) -> Sieve<'_> {
        let mut symbols = [0; 32];
        for symbol in &self.symbols {
            for (all, own) in symbols.iter_mut().zip(index::symbol_bits(symbol)) {
                *all |= own;
            }
        }
        let from = match &self.from {
            Some(Whose::Address(address)) => Some((true, index::digest(address))),
            Some(Whose::Domain(domain)) => Some((false, index::digest(domain))),
            Some(Whose::Below(_)) | None => None,
        };
        let to = match &self.to {
            Some(Whose::Address(word) | Whose::Domain(word)) => index::recipient_bits(word),
            Some(Whose::Below(_)) | None => 0,
        };
        let network = self.client.map(|network| match network {
            IpNet::V6(network) => network,
            IpNet::V4(network) => {
                Ipv6Net::new(network.addr().to_ipv6_mapped(), 96 + network.prefix_len()).expect("96 and 32 are 128")
            }
        });
        let author = self.author.as_deref().map(index::digest);
        let end = self.end.as_deref().map(index::digest);
        Sieve { filter: self, network, from, author, end, to, symbols }
    }
}

impl Sieve<'_> {
    /// False if the record of `entry` is certainly not wanted.
    #[inline]
    pub(super) fn lets_through(&self, entry: &Entry) -> bool {
        let filter = self.filter;
        entry.kind == index::Kind::Record
            && filter.is_in_time(entry.id.millis())
            && filter.verdict.is_none_or(|verdict| index::code(Some(verdict)) == entry.verdict)
            && (!filter.shadow || entry.shadow != 0)
            && filter.at_least.is_none_or(|limit| entry.score >= limit)
            && self.network.is_none_or(|network| network.contains(&Ipv6Addr::from_bits(entry.client)))
            && self
                .from
                .is_none_or(|(whole, digest)| digest == if whole { entry.reverse_path } else { entry.reverse_domain })
            && self.author.is_none_or(|author| author == entry.author)
            // Segments of an earlier version do not know.
            && self.end.is_none_or(|end| end == entry.end || entry.end == 0)
            && entry.recipients & self.to == self.to
            && self.symbols.iter().zip(entry.symbols).all(|(wanted, has)| has & wanted == *wanted)
    }
}

fn is_author(wanted: &str, record: &Record) -> bool {
    let domains = record.message.as_ref().map(|message| &message.author_domains[..]).unwrap_or_default();
    matches!(domains, [one] if one.eq_ignore_ascii_case(wanted))
}
