//! Command lines out of a byte buffer: CRLF, a length limit, and an eye on bare LF (RFC 5321 2.3.8).

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
pub fn next_line(_buf: &[u8], _limit: usize) -> Line<'_> {
    todo!()
}
