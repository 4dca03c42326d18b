//! Message octets between the wire and memory (RFC 5321 4.1.1.4, 4.5.2; RFC 3030).
//!
//! End of data is CRLF.CRLF and nothing else. What other readers might take for it - a lone dot
//! between line ends of which one is bare, with or without NULs around it - is refused at once.

use std::ops::Range;

/// What to do with a bare CR or a bare LF in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewlinePolicy {
    /// A bare LF becomes CRLF, a stray CR in the body a space; counted.
    Normalize,
    /// Refuse the message.
    Reject,
    /// Leave alone: BDAT with BODY=BINARYMIME only.
    Keep,
}

/// How the message was framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// DATA: dots are unstuffed, CRLF.CRLF ends it.
    Dot,
    /// BDAT: counted by the caller; dots are just dots.
    Counted,
}

/// What was wrong with the line ends of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewlineStats {
    /// LF without CR before it.
    pub bare_lf: u64,
    /// CR without LF behind it.
    pub bare_cr: u64,
}

/// Why a message is refused (5xx) and the session closed: its end cannot be agreed upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// A lone dot between line ends of which one is bare.
    #[error("lone dot between bare line ends")]
    LoneDot,
    /// A bare CR or LF under [`NewlinePolicy::Reject`].
    #[error("bare CR or LF in message")]
    BareNewline,
    /// A bare CR or a NUL in the header section.
    #[error("bare CR or NUL in the header section")]
    HeaderControl,
}

/// What a piece of input gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataStep {
    /// All input was taken; more is to come.
    More,
    /// The end of data was found; `consumed` octets of the input belong to the message.
    End {
        /// Octets taken, the end-of-data mark included.
        consumed: usize,
    },
}

/// Turns the octets after DATA (or inside BDAT) into the message. Any split of the input gives the same result.
#[derive(Clone, Debug)]
pub struct DataDecoder {
    _todo: (),
}

impl DataDecoder {
    /// Starts at the first octet of a message.
    pub fn new(_framing: Framing, _policy: NewlinePolicy) -> Self {
        todo!()
    }

    /// Decodes `input`, appending message octets to `out`.
    pub fn decode(&mut self, _input: &[u8], _out: &mut Vec<u8>) -> Result<DataStep, DataError> {
        todo!()
    }

    /// For counted framing: no more octets come. Flushes what was held back (a CR at the very end).
    pub fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), DataError> {
        todo!()
    }

    /// What was met so far.
    pub fn stats(&self) -> NewlineStats {
        todo!()
    }
}

/// Where dots have to be added when `message` is sent with DATA: the positions of the dots that begin a line
/// (`at_line_start` says whether the first octet does).
pub fn stuffing_points(_message: &[u8], _at_line_start: bool) -> impl Iterator<Item = usize> + '_ {
    std::iter::empty()
}

/// Appends `message` dot-stuffed, with CRLF if its last line lacks it, and the end-of-data mark.
pub fn encode(_message: &[u8], _out: &mut Vec<u8>) {
    todo!()
}

/// Piecewise [`encode`]: slices of the original with the added octets between, so that nothing is copied.
pub fn encode_pieces(_message: &[u8]) -> Vec<Piece> {
    todo!()
}

/// A part of an encoded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Octets of the original.
    Original(Range<usize>),
    /// Octets that transparency and framing add.
    Added(&'static [u8]),
}
