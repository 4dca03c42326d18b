//! `hosts`: records by name, and lines as they stand in /etc/hosts.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use super::list::{Fault, fault};
use super::names::{Heap, Names, Place};
use crate::dns::Mx;
use crate::dns::question::{Kind, Question, Records, Response};

/// One record of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Record {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Ptr(Arc<str>),
    Txt(Arc<str>),
    Mx(Mx),
    Ns(Arc<str>),
}

/// `hosts` while it is read.
#[derive(Debug)]
pub(super) struct HostsBuilder {
    zone: Arc<str>,
    heap: Heap,
    items: Vec<Item>,
    /// Names that exist because there are names below them (RFC 8020).
    above: HashSet<Box<str>>,
    pub(super) count: usize,
}

#[derive(Debug)]
struct Item {
    place: Place,
    record: Option<Record>,
    /// From a line of /etc/hosts: of several names of one address the first is its name.
    derived: bool,
}

/// Names with their records.
#[derive(Debug)]
pub(super) struct Hosts {
    names: Names,
    /// Where the records of each name end.
    ends: Box<[u32]>,
    records: Box<[Record]>,
}

impl HostsBuilder {
    pub(super) fn new(zone: Arc<str>) -> Self {
        Self { zone, heap: Heap::default(), items: Vec::new(), above: HashSet::new(), count: 0 }
    }

    /// Names in memory, those that merely exist included: what a bound on entries counts.
    pub(super) fn held(&self) -> usize {
        self.items.len()
    }

    /// Takes one line, without its end.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let line = match std::str::from_utf8(line) {
            Ok(line) => line,
            Err(error) => return fault(error.valid_up_to(), "is no text in UTF-8"),
        };
        let mut words = Words { line, at: 0 };
        // Directives are for name servers.
        let Some((at, first)) = words.next().filter(|(_, word)| !word.starts_with('$')) else { return Ok(()) };
        match first.parse::<IpAddr>() {
            Ok(addr) => self.names_of(addr.to_canonical(), at, words),
            Err(_) => self.record(first, at, words),
        }
    }

    /// `address name name...`
    fn names_of(&mut self, addr: IpAddr, start: usize, words: Words<'_>) -> Result<(), Fault> {
        let mut names = Vec::new();
        for (at, name) in words {
            names.push(host(name, at)?);
        }
        let Some(first) = names.first().cloned() else {
            return fault(start, "an address without a name");
        };
        let arpa = Question::names_of(addr);
        let inside: Vec<_> = names.iter().filter(|name| self.is_inside(name)).collect();
        if inside.is_empty() && !self.is_inside(arpa.name()) {
            return fault(start, format!("neither the address nor a name of it lies in the zone {}", self.zone));
        }
        for name in inside {
            let record = match addr {
                IpAddr::V4(addr) => Record::A(addr),
                IpAddr::V6(addr) => Record::Aaaa(addr),
            };
            self.add(name, record, false);
        }
        // 0.0.0.0 says that a name has no address.
        if !addr.is_unspecified() {
            self.add(arpa.name(), Record::Ptr(first), true);
        }
        self.count += 1;
        Ok(())
    }

    /// `name type value`
    fn record(&mut self, name: &str, start: usize, mut words: Words<'_>) -> Result<(), Fault> {
        let name = if name == "@" { self.zone.clone() } else { host(name, start)? };
        if !self.is_inside(&name) {
            return fault(start, format!("does not lie in the zone {}", self.zone));
        }
        if name.contains('*') {
            return fault(start, "names with an asterisk are for dnset");
        }
        let Some((at, kind)) = words.next() else {
            return fault(start, "a name without a type and a value");
        };
        let kind = kind.to_ascii_uppercase();
        let record = match kind.as_str() {
            "TXT" => Record::Txt(text(words.line.get(words.at..).unwrap_or_default())),
            "A" => Record::A(words.value("an IPv4 address")?),
            "AAAA" => Record::Aaaa(words.value("an IPv6 address")?),
            "PTR" => Record::Ptr(words.host()?),
            "NS" => Record::Ns(words.host()?),
            "MX" => Record::Mx((words.value("a preference, such as 10")?, words.exchanger()?)),
            "CNAME" => return fault(at, "CNAME is not supported: write the records of the other name themselves"),
            _ => return fault(at, format!("`{kind}` is no type here: A, AAAA, PTR, TXT, MX or NS")),
        };
        if !matches!(record, Record::Txt(_))
            && let Some((at, _)) = words.next()
        {
            return fault(at, "there is more than one value: a line holds one record");
        }
        self.add(&name, record, false);
        self.count += 1;
        Ok(())
    }

    fn is_inside(&self, name: &str) -> bool {
        let before = name.strip_suffix(&*self.zone);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    }

    fn add(&mut self, name: &str, record: Record, derived: bool) {
        let place = self.heap.push(name.as_bytes());
        self.items.push(Item { place, record: Some(record), derived });
        let mut rest = name;
        while let Some((_, above)) = rest.split_once('.')
            && self.is_inside(above)
            && self.above.insert(above.into())
        {
            let place = self.heap.push(above.as_bytes());
            self.items.push(Item { place, record: None, derived: false });
            rest = above;
        }
    }

    pub(super) fn finish(mut self) -> Hosts {
        let heap = &self.heap;
        self.items.sort_by(|a, b| heap.get(a.place).cmp(heap.get(b.place)));
        let (mut names, mut ends, mut records) = (Names::default(), Vec::new(), Vec::<Record>::new());
        let mut items = self.items.into_iter().peekable();
        while let Some(mut item) = items.next() {
            let (name, start) = (heap.get(item.place), records.len());
            loop {
                let known = records.get(start..).unwrap_or_default();
                let spare = item.derived && known.iter().any(|record| matches!(record, Record::Ptr(_)));
                if let Some(record) = item.record.filter(|record| !spare && !known.contains(record)) {
                    records.push(record);
                }
                match items.next_if(|next| heap.get(next.place) == name) {
                    Some(next) => item = next,
                    None => break,
                }
            }
            names.push(name);
            ends.push(u32::try_from(records.len()).expect("zone files are bounded"));
        }
        names.shrink();
        Hosts { names, ends: ends.into(), records: records.into() }
    }
}

impl Hosts {
    /// For whoever keeps answers: files change rarely.
    pub(super) const TTL: Duration = Duration::from_secs(300);

    /// `None` if nothing is written about the name, nor about one below it.
    pub(super) fn ask(&self, question: &Question) -> Option<Response> {
        let index = self.names.find(question.name().as_bytes())?;
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |start| *start as usize);
        let records = self.records.get(start..end)?.iter();
        let records = match question.kind() {
            Kind::A => Records::A(records.filter_map(Record::a).collect()),
            Kind::Aaaa => Records::Aaaa(records.filter_map(Record::aaaa).collect()),
            Kind::Ptr => Records::Ptr(records.filter_map(Record::ptr).collect()),
            Kind::Txt => Records::Txt(records.filter_map(Record::txt).collect()),
            Kind::Mx => Records::Mx(records.filter_map(Record::mx).collect()),
            Kind::Ns => Records::Ns(records.filter_map(Record::ns).collect()),
        };
        Some(Response { records, exists: true, ttl: Some(Self::TTL) })
    }

    /// Memory in bytes.
    pub(super) fn bytes(&self) -> usize {
        let texts = self.records.iter().map(|record| match record {
            Record::A(_) | Record::Aaaa(_) => 0,
            Record::Ptr(text) | Record::Txt(text) | Record::Ns(text) | Record::Mx((_, text)) => text.len() + ARC,
        });
        self.names.bytes() + size_of_val(&*self.ends) + size_of_val(&*self.records) + texts.sum::<usize>()
    }
}

/// What an `Arc` adds to its text: two counts.
const ARC: usize = 2 * size_of::<usize>();

impl Record {
    fn a(&self) -> Option<Ipv4Addr> {
        if let Self::A(addr) = self { Some(*addr) } else { None }
    }

    fn aaaa(&self) -> Option<Ipv6Addr> {
        if let Self::Aaaa(addr) = self { Some(*addr) } else { None }
    }

    fn ptr(&self) -> Option<Arc<str>> {
        if let Self::Ptr(name) = self { Some(name.clone()) } else { None }
    }

    fn txt(&self) -> Option<Arc<str>> {
        if let Self::Txt(text) = self { Some(text.clone()) } else { None }
    }

    fn mx(&self) -> Option<Mx> {
        if let Self::Mx(mx) = self { Some(mx.clone()) } else { None }
    }

    fn ns(&self) -> Option<Arc<str>> {
        if let Self::Ns(name) = self { Some(name.clone()) } else { None }
    }
}

/// The words of a line up to a comment, each with the octets before it.
struct Words<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.line.get(self.at..)?;
        let word = rest.trim_start();
        let start = self.line.len() - word.len();
        let word = word.split(char::is_whitespace).next().filter(|word| !word.is_empty())?;
        if word.starts_with(['#', ';']) {
            return None;
        }
        self.at = start + word.len();
        Some((start, word))
    }
}

impl Words<'_> {
    fn value<T: std::str::FromStr>(&mut self, wanted: &str) -> Result<T, Fault> {
        let (at, word) = self.next().unwrap_or((self.line.len(), ""));
        word.parse().map_err(|_| Fault { at, reason: format!("`{word}` is not {wanted}") })
    }

    fn host(&mut self) -> Result<Arc<str>, Fault> {
        let (at, word) = self.next().unwrap_or((self.line.len(), ""));
        host(word, at)
    }

    /// RFC 7505: `.` is no mail server at all, the empty name.
    fn exchanger(&mut self) -> Result<Arc<str>, Fault> {
        let (at, word) = self.next().unwrap_or((self.line.len(), ""));
        if word == "." { Ok("".into()) } else { host(word, at) }
    }
}

fn host(word: &str, at: usize) -> Result<Arc<str>, Fault> {
    match Question::new(Kind::A, word) {
        Ok(question) => Ok(question.name().into()),
        Err(_) => fault(at, format!("`{word}` is no domain name (other scripts are written as xn--...)")),
    }
}

/// The rest of a line as it is, or strings in quotation marks, joined; `\` takes a character as it is.
fn text(written: &str) -> Arc<str> {
    let written = written.trim();
    if !written.starts_with('"') {
        return written.into();
    }
    let (mut out, mut inside, mut characters) = (String::new(), false, written.chars());
    while let Some(character) = characters.next() {
        match character {
            '"' => inside = !inside,
            '\\' if inside => out.extend(characters.next()),
            '#' | ';' if !inside => break,
            character if inside => out.push(character),
            _ => {}
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_or_bare() {
        for (written, meant) in [
            (" v=spf1 -all ", "v=spf1 -all"),
            ("\"v=spf1 -all\"", "v=spf1 -all"),
            ("\"a\" \"b\"", "ab"),
            ("\"a;b\" ; c", "a;b"),
            (r#""say \"no\"""#, "say \"no\""),
            ("a; b", "a; b"),
            ("", ""),
        ] {
            assert_eq!(&*text(written), meant, "{written}");
        }
    }

    #[test]
    fn lines_that_say_nothing_tell_where_and_why() {
        for (line, at, reason) in [
            ("www.lan.example", 0, "a name without a type and a value"),
            ("www.lan.example A", 17, "`` is not an IPv4 address"),
            ("www.lan.example  A 192.0.2.1 192.0.2.2", 29, "there is more than one value: a line holds one record"),
            ("www.lan.example A 2001:db8::1", 18, "`2001:db8::1` is not an IPv4 address"),
            ("www.lan.example SRV 1 2 3 x", 16, "`SRV` is no type here: A, AAAA, PTR, TXT, MX or NS"),
            ("www.example A 192.0.2.1", 0, "does not lie in the zone lan.example"),
            ("lan.example MX mail.lan.example", 15, "`mail.lan.example` is not a preference, such as 10"),
            ("192.0.2.1", 0, "an address without a name"),
            ("192.0.2.1 mail.example", 0, "neither the address nor a name of it lies in the zone lan.example"),
        ] {
            let mut hosts = HostsBuilder::new("lan.example".into());
            assert_eq!(hosts.line(line.as_bytes()), Err(Fault { at, reason: reason.to_owned() }), "{line}");
        }
        let fault = HostsBuilder::new("lan.example".into()).line(b"a.lan.example CNAME b.example").expect_err("CNAME");
        assert!(fault.reason.starts_with("CNAME is not supported"), "{}", fault.reason);
    }
}
