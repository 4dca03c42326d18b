//! The contents of a zone, ready to be asked.

use std::time::Duration;

use super::hosts::Hosts;
use super::spans::Spans;
use super::value::Values;
use super::{dnset, ip4, ip6};
use crate::dns::question::{Kind, Question, Records, Response};

/// What the files of a zone say. Never changes; asked in logarithmic time, without a lock.
#[derive(Debug)]
pub struct Contents {
    kind: Form,
    entries: usize,
}

#[derive(Debug)]
enum Form {
    List(Box<List>),
    Hosts(Hosts),
}

/// Listed addresses or names with their values.
#[derive(Debug)]
pub(super) struct List {
    index: Index,
    values: Values,
    ttl: Duration,
}

#[derive(Debug)]
pub(super) enum Index {
    Ip4(Spans<u32>),
    Ip6(ip6::Addresses),
    Names(dnset::Listed),
}

/// The time to live of a list that does not say: rbldnsd's.
const USUAL_TTL: Duration = Duration::from_secs(2100);

impl Contents {
    pub(super) fn of_list(list: List, entries: usize) -> Self {
        Self { kind: Form::List(Box::new(list)), entries }
    }

    pub(super) fn of_hosts(hosts: Hosts, entries: usize) -> Self {
        Self { kind: Form::Hosts(hosts), entries }
    }

    /// How many entries were read.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Memory in bytes.
    pub fn bytes(&self) -> usize {
        match &self.kind {
            Form::List(list) => list.index.bytes() + list.values.bytes(),
            Form::Hosts(hosts) => hosts.bytes(),
        }
    }

    /// What is said in answer to a question about a name within `zone`.
    pub fn ask(&self, question: &Question, zone: &str) -> Response {
        let inside = question.name().strip_suffix(zone).map(|before| before.strip_suffix('.').unwrap_or(before));
        let nothing = |exists, ttl| Response { records: Records::none(question.kind()), exists, ttl: Some(ttl) };
        match (&self.kind, inside) {
            (Form::Hosts(hosts), Some(before)) => {
                hosts.ask(question).unwrap_or_else(|| nothing(before.is_empty(), Hosts::TTL))
            }
            (Form::List(list), Some("")) => nothing(true, list.ttl),
            (Form::List(list), Some(before)) => {
                list.ask(question.kind(), before).unwrap_or_else(|| nothing(false, list.ttl))
            }
            (_, None) => nothing(false, USUAL_TTL),
        }
    }

    /// The names of an address, wherever its arpa name lies; `None` if nothing is written about it.
    pub(super) fn names_of(&self, arpa: &Question) -> Option<Response> {
        match &self.kind {
            Form::List(_) => None,
            Form::Hosts(hosts) => hosts.ask(arpa),
        }
    }
}

impl List {
    pub(super) fn new(index: Index, values: Values, ttl: Option<Duration>) -> Self {
        Self { index, values, ttl: ttl.unwrap_or(USUAL_TTL) }
    }

    fn ask(&self, kind: Kind, labels: &str) -> Option<Response> {
        let (set, subject) = match &self.index {
            Index::Ip4(spans) => {
                let addr = ip4::asked(labels)?;
                (spans.find(addr.into())?, Some(addr.into()))
            }
            Index::Ip6(addresses) => {
                let addr = ip6::asked(labels)?;
                (addresses.find(addr)?, Some(addr.into()))
            }
            Index::Names(listed) => (listed.find(labels)?, None::<std::net::IpAddr>),
        };
        let records = match kind {
            Kind::A => Records::A(self.values.codes(set)),
            Kind::Txt => {
                let subject = subject.map(|addr| addr.to_string());
                Records::Txt(self.values.texts(set, subject.as_deref().unwrap_or(labels)))
            }
            kind => Records::none(kind),
        };
        Some(Response { records, exists: true, ttl: Some(self.ttl) })
    }
}

impl Index {
    fn bytes(&self) -> usize {
        match self {
            Self::Ip4(spans) => spans.bytes(),
            Self::Ip6(addresses) => addresses.bytes(),
            Self::Names(listed) => listed.bytes(),
        }
    }
}
