//! Command lines out of a byte buffer: CRLF, a length limit, and an eye on bare LF (RFC 5321 2.3.8).

use memchr::memchr;

/// What ended a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// CRLF, as it must be.
    CrLf,
    /// A bare LF: tolerated or refused, as the policy says, and always a finding.
    BareLf,
}

/// The next line of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its end.
    Complete {
        /// The octets before the line end.
        text: &'a [u8],
        /// Bytes to take off the buffer, line end included.
        consumed: usize,
        /// What ended it.
        end: LineEnd,
    },
    /// No line end yet, and still within the limit.
    NeedMore,
    /// Longer than the limit. `consumed` bytes are to be dropped; `complete` tells whether the line end was among them.
    TooLong {
        /// Bytes to take off the buffer.
        consumed: usize,
        /// False: the rest of this line is still to come, and is to be dropped too.
        complete: bool,
    },
}

/// Splits the first line off `buf`; `limit` is the longest line in octets, line end included.
///
/// A CR that is not followed by LF is part of the text: it ends nothing.
pub fn next_line(buf: &[u8], limit: usize) -> Line<'_> {
    let Some(at) = memchr(b'\n', buf) else {
        return match buf.len() {
            length if length >= limit && length > 0 => Line::TooLong { consumed: length, complete: false },
            _ => Line::NeedMore,
        };
    };
    let consumed = at + 1;
    if consumed > limit {
        return Line::TooLong { consumed, complete: true };
    }
    let line = buf.get(..at).unwrap_or_default();
    match line.strip_suffix(b"\r") {
        Some(text) => Line::Complete { text, consumed, end: LineEnd::CrLf },
        None => Line::Complete { text: line, consumed, end: LineEnd::BareLf },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(text: &[u8], consumed: usize, end: LineEnd) -> Line<'_> {
        Line::Complete { text, consumed, end }
    }

    #[test]
    fn a_line_ends_at_the_first_lf() {
        let cases: [(&[u8], Line<'_>); 9] = [
            (b"", Line::NeedMore),
            (b"NOOP", Line::NeedMore),
            (b"NOOP\r", Line::NeedMore),
            (b"NOOP\r\n", complete(b"NOOP", 6, LineEnd::CrLf)),
            (b"NOOP\n", complete(b"NOOP", 5, LineEnd::BareLf)),
            (b"\r\n", complete(b"", 2, LineEnd::CrLf)),
            (b"\n\n", complete(b"", 1, LineEnd::BareLf)),
            (b"A\rB\r\r\nC", complete(b"A\rB\r", 6, LineEnd::CrLf)),
            (b"A\r\nB\r\n", complete(b"A", 3, LineEnd::CrLf)),
        ];
        for (input, expected) in cases {
            assert_eq!(next_line(input, 100), expected, "{:?}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn the_limit_includes_the_line_end() {
        assert_eq!(next_line(b"1234\r\n", 6), complete(b"1234", 6, LineEnd::CrLf));
        assert_eq!(next_line(b"12345\r\nX", 6), Line::TooLong { consumed: 7, complete: true });
        assert_eq!(next_line(b"1234\r", 6), Line::NeedMore);
        assert_eq!(next_line(b"12345\r", 6), Line::TooLong { consumed: 6, complete: false });
    }
}
