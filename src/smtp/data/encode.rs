//! A message on its way to a backend's DATA: dots stuffed, last line closed, end of data (RFC 5321 4.5.2).

use std::ops::Range;

use memchr::memmem;

/// What ends a message whose last line is closed.
const END: &[u8] = b".\r\n";
/// What ends a message whose last line is open.
const CLOSE_AND_END: &[u8] = b"\r\n.\r\n";

/// Where dots have to be added when `message` is sent with DATA: the positions of the dots that begin a line
/// (`at_line_start` says whether the first octet does).
///
/// A message in several blocks goes through [`DataEncoder`], which also sees a CRLF that two blocks share.
pub fn stuffing_points(message: &[u8], at_line_start: bool) -> impl Iterator<Item = usize> + '_ {
    let first = (at_line_start && message.starts_with(b".")).then_some(0);
    first.into_iter().chain(memmem::find_iter(message, b"\r\n.").map(|crlf| crlf + 2))
}

/// Appends `message` dot-stuffed, with CRLF if its last line lacks it, and the end-of-data mark.
pub fn encode(message: &[u8], out: &mut Vec<u8>) {
    let mut encoder = DataEncoder::new();
    encoder.encode(message, out);
    encoder.finish(out);
}

/// Piecewise [`encode`]: slices of the original with the added octets between, so that nothing is copied.
pub fn encode_pieces(message: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut sent = 0;
    for point in stuffing_points(message, true) {
        if point > sent {
            pieces.push(Piece::Original(sent..point));
        }
        pieces.push(Piece::Added(b"."));
        sent = point;
    }
    if message.len() > sent {
        pieces.push(Piece::Original(sent..message.len()));
    }
    let closed = message.is_empty() || message.ends_with(b"\r\n");
    pieces.push(Piece::Added(if closed { END } else { CLOSE_AND_END }));
    pieces
}

/// A part of an encoded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Octets of the original.
    Original(Range<usize>),
    /// Octets that transparency and framing add.
    Added(&'static [u8]),
}

/// [`encode`] for a message that comes in blocks: any split gives the same result.
#[derive(Clone, Debug)]
pub struct DataEncoder {
    last: Last,
}

/// What the octets before the next block end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// Nothing, or CRLF.
    LineEnd,
    Cr,
    Text,
}

impl DataEncoder {
    /// Before the first octet of a message.
    pub fn new() -> Self {
        Self { last: Last::LineEnd }
    }

    /// Appends one block, dot-stuffed.
    pub fn encode(&mut self, block: &[u8], out: &mut Vec<u8>) {
        let mut rest = block;
        if self.last == Last::Cr
            && let Some(tail) = rest.strip_prefix(b"\n")
        {
            out.push(b'\n');
            self.last = Last::LineEnd;
            rest = tail;
        }
        let mut sent = 0;
        for point in stuffing_points(rest, self.last == Last::LineEnd) {
            out.extend_from_slice(rest.get(sent..point).unwrap_or_default());
            out.push(b'.');
            sent = point;
        }
        out.extend_from_slice(rest.get(sent..).unwrap_or_default());
        self.last = match rest {
            [] => self.last,
            [.., b'\r', b'\n'] => Last::LineEnd,
            [.., b'\r'] => Last::Cr,
            _ => Last::Text,
        };
    }

    /// Appends what ends the message: CRLF if its last line is open, and the end-of-data mark.
    pub fn finish(self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.last == Last::LineEnd { END } else { CLOSE_AND_END });
    }
}

impl Default for DataEncoder {
    fn default() -> Self {
        Self::new()
    }
}
