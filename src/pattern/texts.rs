//! Several texts that are read as one.

use std::ops::Range;

/// Texts in one piece, a line end behind each, so that no word goes on from one to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    octets: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Texts {
    /// Without any.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text behind the others.
    pub fn push(&mut self, text: &[u8]) {
        self.octets.extend_from_slice(text);
        self.ends.push(self.octets.len());
        self.octets.push(b'\n');
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text of a number, from 0.
    pub fn get(&self, number: usize) -> &[u8] {
        self.octets.get(self.range(number)).unwrap_or_default()
    }

    /// All of them in their order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|number| self.get(number))
    }

    /// All in one piece.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    fn range(&self, number: usize) -> Range<usize> {
        let start = start(&self.ends, number);
        start..self.ends.get(number).copied().unwrap_or(start)
    }

    /// Walks along the texts.
    pub(super) fn places(&self) -> Places<'_> {
        Places { ends: &self.ends, number: 0 }
    }
}

/// Where the text of a number begins.
fn start(ends: &[usize], number: usize) -> usize {
    number.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |end| end + 1)
}

impl<'t> FromIterator<&'t [u8]> for Texts {
    fn from_iter<I: IntoIterator<Item = &'t [u8]>>(texts: I) -> Self {
        let mut all = Self::new();
        texts.into_iter().for_each(|text| all.push(text));
        all
    }
}

/// Says which text a place belongs to; places come in their order.
pub(super) struct Places<'t> {
    ends: &'t [usize],
    number: usize,
}

impl Places<'_> {
    /// The number of the text that reaches to `at`, its end included.
    pub(super) fn number_of(&mut self, at: usize) -> u32 {
        while self.ends.get(self.number).is_some_and(|end| *end < at) {
            self.number += 1;
        }
        self.number as u32
    }

    /// Where the text begins that was last told.
    pub(super) fn start(&self) -> usize {
        start(self.ends, self.number)
    }
}
