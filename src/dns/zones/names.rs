//! Many names in order, end to end in one piece of memory.

/// Names in ascending order, each once: their octets and four more for each.
#[derive(Debug, Default)]
pub(super) struct Names {
    text: Vec<u8>,
    ends: Vec<u32>,
}

impl Names {
    /// Adds a name that comes after all others.
    pub(super) fn push(&mut self, name: &[u8]) {
        self.text.extend_from_slice(name);
        self.ends.push(u32::try_from(self.text.len()).expect("zone files are bounded"));
    }

    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// Where `name` stands; logarithmic.
    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle)?.cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Memory in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<u32>()
    }

    fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |start| *start as usize);
        self.text.get(start..end)
    }
}

/// Names in the order in which they were read, again and again the same perhaps.
#[derive(Debug, Default)]
pub(super) struct Heap {
    text: Vec<u8>,
}

/// A name in a [`Heap`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    start: u32,
    length: u8,
}

impl Heap {
    /// Names are at most 253 octets long; what is longer is cut.
    pub(super) fn push(&mut self, name: &[u8]) -> Place {
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        let start = u32::try_from(self.text.len()).expect("zone files are bounded");
        self.text.extend_from_slice(name.get(..length.into()).unwrap_or_default());
        Place { start, length }
    }

    pub(super) fn get(&self, place: Place) -> &[u8] {
        let start = place.start as usize;
        self.text.get(start..start + usize::from(place.length)).unwrap_or_default()
    }
}
