//! A message on its way to a backend's DATA: dots stuffed, last line closed, end of data (RFC 5321 4.5.2).

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
