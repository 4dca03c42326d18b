//! `dnset`: domain names, alone or with all below them.

use std::collections::HashMap;

use super::Format;
use super::list::{Entries, Fault, fault, token};
use super::names::{Heap, Names, Place};
use super::packed::Packed;
use super::value::{EXCLUDED, Interner};
use crate::dns::question::{Kind, Question};

/// `dnset` while it is read.
#[derive(Debug, Default)]
pub(super) struct Set {
    heap: Heap,
    items: Vec<Item>,
}

/// A name as it is written.
#[derive(Debug)]
pub(super) struct Entry {
    /// Lower case, without the marks before it.
    name: Box<str>,
    /// The name itself is meant.
    itself: bool,
    /// What is below it is meant.
    below: bool,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    place: Place,
    itself: bool,
    below: bool,
    value: u32,
}

/// What is said of a name, and of what is below it: a set of values, [`EXCLUDED`] or [`SILENT`].
type Meaning = [u32; 2];

/// Nothing is said.
const SILENT: u32 = u32::MAX - 1;

/// Listed names in order.
#[derive(Debug)]
pub(super) struct Listed {
    names: Names,
    meaning: Packed,
    meanings: Box<[Meaning]>,
    /// The number of labels of the longest name: more need not be looked for.
    labels: usize,
}

impl Entries for Set {
    type Entry = Entry;
    const FORMAT: Format = Format::DnSet;

    fn parse(text: &[u8]) -> Result<(Entry, usize), Fault> {
        let written = token(text, |octet| octet == b':');
        let (itself, below, name) = match written {
            [b'*', b'.', name @ ..] => (false, true, name),
            [b'.', name @ ..] => (true, true, name),
            name => (true, false, name),
        };
        let marks = written.len() - name.len();
        let folded = std::str::from_utf8(name).ok().and_then(|name| Question::new(Kind::A, name).ok());
        match folded {
            Some(question) if !question.name().contains('*') => {
                Ok((Entry { name: question.name().into(), itself, below }, written.len()))
            }
            Some(_) => fault(marks, "an asterisk stands only at the beginning, before a dot"),
            None => {
                let shown = String::from_utf8_lossy(name);
                fault(marks, format!("`{shown}` is no domain name (other scripts are written as xn--...)"))
            }
        }
    }

    fn addresses(_: &Entry) -> u64 {
        0
    }

    fn add(&mut self, entry: Entry, value: u32) {
        let place = self.heap.push(entry.name.as_bytes());
        self.items.push(Item { place, itself: entry.itself, below: entry.below, value });
    }
}

impl Set {
    pub(super) fn finish(mut self, interner: &mut Interner) -> Listed {
        let heap = &self.heap;
        self.items.sort_unstable_by(|a, b| heap.get(a.place).cmp(heap.get(b.place)).then(a.value.cmp(&b.value)));
        let (mut names, mut labels, mut numbers) = (Names::default(), 0, Vec::new());
        let (mut meanings, mut known) = (Vec::new(), HashMap::new());
        for same in self.items.chunk_by(|a, b| heap.get(a.place) == heap.get(b.place)) {
            let Some(first) = same.first() else { continue };
            let name = heap.get(first.place);
            let meaning: Meaning = [
                said(same.iter().filter(|item| item.itself), interner),
                said(same.iter().filter(|item| item.below), interner),
            ];
            let next = u32::try_from(meanings.len()).expect("zone files are bounded");
            numbers.push(*known.entry(meaning).or_insert_with(|| {
                meanings.push(meaning);
                next
            }));
            names.push(name);
            labels = labels.max(1 + name.iter().filter(|octet| **octet == b'.').count());
        }
        names.shrink();
        Listed { names, meaning: Packed::new(numbers), meanings: meanings.into(), labels }
    }
}

/// What entries of one name say together; their values are in order.
fn said<'a>(items: impl Iterator<Item = &'a Item>, interner: &mut Interner) -> u32 {
    let mut values: Vec<u32> = items.map(|item| item.value).collect();
    values.dedup();
    // An exclusion has the largest number.
    if values.last() == Some(&EXCLUDED) { EXCLUDED } else { interner.set(values.into_iter()).unwrap_or(SILENT) }
}

impl Listed {
    /// What is said of exactly this name; else what the nearest name above says of all below.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        let said = |set: u32| (set != EXCLUDED).then_some(set);
        if let Some([itself, _]) = self.meaning(name)
            && itself != SILENT
        {
            return said(itself);
        }
        let mut labels = 1 + name.bytes().filter(|octet| *octet == b'.').count();
        let mut rest = name;
        while let Some((_, above)) = rest.split_once('.') {
            (rest, labels) = (above, labels - 1);
            if labels > self.labels {
                continue;
            }
            if let Some([_, below]) = self.meaning(rest)
                && below != SILENT
            {
                return said(below);
            }
        }
        None
    }

    fn meaning(&self, name: &str) -> Option<Meaning> {
        let index = self.names.find(name.as_bytes())?;
        self.meanings.get(self.meaning.get(index)? as usize).copied()
    }

    /// Memory in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.names.bytes() + self.meaning.bytes() + size_of_val(&*self.meanings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_alone_or_with_a_mark() {
        for (written, expected) in [
            ("Example.ORG", Ok(("example.org", true, false))),
            (".example.org", Ok(("example.org", true, true))),
            ("*.example.org", Ok(("example.org", false, true))),
            ("example.org.", Ok(("example.org", true, false))),
            ("_spf.example.org:2", Ok(("_spf.example.org", true, false))),
            ("*", Err(0)),
            ("*.", Err(2)),
            (".", Err(1)),
            ("a.*.example", Err(0)),
            ("a..example", Err(0)),
            ("b\u{fc}cher.example", Err(0)),
        ] {
            let found = Set::parse(written.as_bytes());
            let found = found.as_ref().map(|(entry, _)| (&*entry.name, entry.itself, entry.below));
            assert_eq!(found.map_err(|fault| fault.at), expected, "{written}");
        }
    }
}
