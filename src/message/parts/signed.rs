//! What is signed in S/MIME without being shown beside the signature (RFC 8551 3.5.2): the part within the structure.
//!
//! No signature is looked at. The structure is read as far as the content needs it, in either form of length.

/// Structures within structures.
const MAX_DEPTH: usize = 12;
/// Octets of content that are read.
const MAX_CONTENT: usize = 2 << 20;

const SEQUENCE: u8 = 0x30;
const EXPLICIT: u8 = 0xa0;
const OCTETS: u8 = 0x04;
const OCTETS_IN_PIECES: u8 = 0x24;
/// 1.2.840.113549.1.7.2, with its tag and length.
const SIGNED_DATA: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

/// The content of signed data (RFC 5652 5.1); `None` if it has none, or is something else.
pub(super) fn content(octets: &[u8]) -> Option<Vec<u8>> {
    let outer = Element::first(octets)?.inside_of(SEQUENCE)?;
    let explicit = outer.strip_prefix(&SIGNED_DATA)?;
    let signed = Element::first(Element::first(explicit)?.inside_of(EXPLICIT)?)?.inside_of(SEQUENCE)?;
    // A version and the digests stand before it.
    let version = Element::first(signed)?;
    let digests = Element::first(version.rest(0)?)?;
    let encapsulated = Element::first(digests.rest(0)?)?.inside_of(SEQUENCE)?;
    let kind = Element::first(encapsulated)?;
    let content = Element::first(kind.rest(0)?)?.inside_of(EXPLICIT)?;
    let mut out = Vec::new();
    Element::first(content)?.octets(&mut out, 0);
    (!out.is_empty()).then_some(out)
}

/// A tag, and what it holds.
struct Element<'o> {
    tag: u8,
    /// Up to its end where that is known, otherwise up to the end of all.
    inside: &'o [u8],
    /// What follows it where its end is known.
    after: Option<&'o [u8]>,
}

impl<'o> Element<'o> {
    fn first(octets: &'o [u8]) -> Option<Self> {
        let (tag, rest) = octets.split_first()?;
        let (length, rest) = rest.split_first()?;
        let length = match length {
            0x80 => return Some(Self { tag: *tag, inside: rest, after: None }),
            0..=0x7f => (usize::from(*length), rest),
            _ => {
                let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                let number = digits.iter().try_fold(0_usize, |number, digit| {
                    number.checked_mul(256).map(|number| number | usize::from(*digit))
                });
                (number?, rest)
            }
        };
        let (length, rest) = length;
        // What is cut off is read as far as it is there.
        let (inside, after) = rest.split_at(length.min(rest.len()));
        Some(Self { tag: *tag, inside, after: Some(after) })
    }

    fn inside_of(&self, tag: u8) -> Option<&'o [u8]> {
        (self.tag == tag).then_some(self.inside)
    }

    /// What follows it.
    fn rest(&self, depth: usize) -> Option<&'o [u8]> {
        if let Some(after) = self.after {
            return Some(after);
        }
        if depth >= MAX_DEPTH {
            return None;
        }
        let mut rest = self.inside;
        loop {
            if let Some(after) = rest.strip_prefix(&[0, 0]) {
                return Some(after);
            }
            rest = Self::first(rest)?.rest(depth + 1)?;
        }
    }

    /// Adds the octets that it stands for.
    fn octets(&self, out: &mut Vec<u8>, depth: usize) {
        let room = MAX_CONTENT.saturating_sub(out.len());
        match self.tag {
            OCTETS => out.extend_from_slice(self.inside.get(..room).unwrap_or(self.inside)),
            OCTETS_IN_PIECES if depth < MAX_DEPTH => {
                let mut rest = self.inside;
                while !rest.starts_with(&[0, 0])
                    && out.len() < MAX_CONTENT
                    && let Some(piece) = Self::first(rest)
                {
                    piece.octets(out, depth + 1);
                    match piece.rest(depth + 1) {
                        Some(after) => rest = after,
                        None => return,
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn element(tag: u8, inside: &[u8], is_definite: bool) -> Vec<u8> {
        let mut out = vec![tag];
        match u8::try_from(inside.len()) {
            _ if !is_definite => out.push(0x80),
            Ok(length) if length < 0x80 => out.push(length),
            _ => out.extend([0x82, (inside.len() >> 8) as u8, inside.len() as u8]),
        }
        out.extend(inside);
        if !is_definite {
            out.extend([0, 0]);
        }
        out
    }

    fn signed(content: &[u8], is_definite: bool) -> Vec<u8> {
        let data = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
        let encapsulated = [&data[..], &element(EXPLICIT, content, is_definite)].concat();
        let digests = element(0x31, &element(SEQUENCE, &[5, 0], is_definite), is_definite);
        let inside = [&[2, 1, 1][..], &digests, &element(SEQUENCE, &encapsulated, is_definite), &[0x31, 0]].concat();
        let explicit = element(EXPLICIT, &element(SEQUENCE, &inside, is_definite), is_definite);
        element(SEQUENCE, &[&SIGNED_DATA[..], &explicit].concat(), is_definite)
    }

    #[test]
    fn the_content_is_found_in_either_form() {
        let text = "Content-Type: text/plain\r\n\r\nhello ".repeat(20);
        let whole = element(OCTETS, text.as_bytes(), true);
        let (one, other) = text.as_bytes().split_at(100);
        let pieces = [element(OCTETS, one, true), element(OCTETS, other, true)].concat();
        for is_definite in [true, false] {
            let in_pieces = element(OCTETS_IN_PIECES, &pieces, is_definite);
            for content in [&whole, &in_pieces] {
                let signed = signed(content, is_definite);
                assert_eq!(super::content(&signed).as_deref(), Some(text.as_bytes()));
                let cut = super::content(signed.get(..200).expect("more"));
                assert!(cut.is_some_and(|cut| text.as_bytes().starts_with(&cut)));
            }
        }
        assert_eq!(super::content(&signed(&[], true)), None, "a signature that stands beside");
        assert_eq!(super::content(b""), None);
    }

    proptest! {
        #[test]
        fn any_octets_are_read(at in 0..200_usize, octets in proptest::collection::vec(any::<u8>(), 0..50)) {
            let mut signed = signed(&element(OCTETS_IN_PIECES, &element(OCTETS, b"hello", true), false), false);
            let at = at.min(signed.len());
            signed.splice(at.., octets);
            super::content(&signed);
        }
    }
}
