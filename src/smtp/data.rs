//! Message octets between the wire and memory (RFC 5321 4.1.1.4, 4.5.2; RFC 3030).
//!
//! End of data is CRLF.CRLF and nothing else. What other readers might take for it - a lone dot
//! between line ends of which one is bare, with or without NULs around it - is refused at once.

use memchr::{memchr2, memchr3};

mod encode;

pub use encode::{DataEncoder, encode, stuffing_points};

/// What to do with a bare CR or a bare LF in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewlinePolicy {
    /// A bare LF becomes CRLF, a stray CR in the body a space; counted.
    Normalize,
    /// Refuse the message.
    Reject,
    /// Leave alone: BDAT with BODY=BINARYMIME only. Counted octets are not looked at beyond the header section, where a
    /// bare CR, a bare LF and a NUL are refused: what is a field must be so for everybody (RFC 3030 3).
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
///
/// An offence against the policy is spoken only when the line behind it has shown that it is no lone dot:
/// the worse of the two is what the log should name.
#[derive(Clone, Debug)]
pub struct DataDecoder {
    framing: Framing,
    policy: NewlinePolicy,
    at: At,
    in_header: bool,
    /// Found, and spoken unless the line turns out to be a lone dot.
    offence: Option<DataError>,
    stats: NewlineStats,
}

/// Octets looked at together; the compiler makes vector instructions of the test.
const BLOCK: usize = 512;

/// How many octets from the start of `rest`, which lies inside a line, are text over which nothing is to
/// be said: only CRLF as line ends, and no line that begins like a lone dot or an empty one. Always ends
/// inside a line again.
fn plain_run(rest: &[u8]) -> usize {
    let mut taken = 0;
    while let Some(block) = rest.get(taken..taken + BLOCK) {
        let end = match block {
            [b'\r' | b'\n', ..] => break,
            [.., b'\r', _] => BLOCK - 2,
            [.., b'\r', b'\n', _] => BLOCK - 3,
            _ => BLOCK - 1,
        };
        if !is_plain(block) {
            break;
        }
        taken += end;
    }
    taken
}

/// True if every octet but the first and the last is fine between its neighbours.
fn is_plain(block: &[u8]) -> bool {
    let before = block.iter();
    let here = block.get(1..).unwrap_or_default().iter();
    let behind = block.get(2..).unwrap_or_default().iter();
    let mut offence = false;
    for ((&before, &here), &behind) in before.zip(here).zip(behind) {
        let lf = here == b'\n';
        let odd_line = (behind == b'.') | (behind == 0) | (behind == b'\r') | (behind == b'\n');
        offence |= lf & ((before != b'\r') | odd_line);
        offence |= (here == b'\r') & (behind != b'\n');
    }
    !offence
}

/// A line end of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    CrLf,
    Lf,
    Cr,
}

/// Where the decoder stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Inside a line that is no lone dot.
    Text,
    /// The same, behind a CR that may begin a line end.
    TextCr,
    /// In a line that may yet be a lone dot, or empty.
    Line(Candidate),
    /// The same, behind a CR that may begin a line end.
    LineCr(Candidate),
    /// Behind the end of data.
    End,
}

/// A line of NULs and at most one dot, on the wire or once transparency is undone, as far as it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    /// The line end before it; CRLF at the beginning of a message.
    after: Break,
    nul: bool,
    dots: Dots,
}

/// The dots of a [`Candidate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dots {
    None,
    /// One that belongs to the message.
    Kept,
    /// One that was taken off, if the line does not turn out to be the end of data.
    Unstuffed,
    /// One that belongs to the message, behind one that was taken off.
    KeptBehindUnstuffed,
}

impl Candidate {
    const fn after(after: Break) -> Self {
        Self { after, nul: false, dots: Dots::None }
    }
}

impl DataDecoder {
    /// Starts at the first octet of a message.
    pub fn new(framing: Framing, policy: NewlinePolicy) -> Self {
        let at = At::Line(Candidate::after(Break::CrLf));
        Self { framing, policy, at, in_header: true, offence: None, stats: NewlineStats::default() }
    }

    /// Decodes `input`, appending message octets to `out`. After an error the decoder is of no more use.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<DataStep, DataError> {
        let mut position = 0;
        while let Some(&octet) = input.get(position) {
            match self.at {
                At::End => return Ok(DataStep::End { consumed: position }),
                At::Text => position = self.run(input, position, out)?,
                _ => {
                    self.step(octet, out)?;
                    position += 1;
                }
            }
        }
        match self.at {
            At::End => Ok(DataStep::End { consumed: position }),
            _ => Ok(DataStep::More),
        }
    }

    /// For counted framing: no more octets come. Flushes what was held back (a CR at the very end).
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), DataError> {
        match self.at {
            At::TextCr => self.bare_cr(out)?,
            At::LineCr(line) => self.line_ends_bare(line).and_then(|()| self.bare_cr(out))?,
            // Sent on with DATA this line would be closed by a CRLF.
            At::Line(line) if self.framing == Framing::Counted => self.check_dot_line(line)?,
            At::Line(_) | At::Text | At::End => {}
        }
        self.speak_offence()
    }

    /// What was met so far.
    pub fn stats(&self) -> NewlineStats {
        self.stats
    }

    /// Takes text in bulk, over line ends of which nothing is to be said; returns the position behind it.
    fn run(&mut self, input: &[u8], start: usize, out: &mut Vec<u8>) -> Result<usize, DataError> {
        let mut position = start;
        loop {
            if !self.in_header {
                position += plain_run(input.get(position..).unwrap_or_default());
            }
            let rest = input.get(position..).unwrap_or_default();
            let found = if self.in_header { memchr3(b'\r', b'\n', 0, rest) } else { memchr2(b'\r', b'\n', rest) };
            let Some(found) = found else {
                position = input.len();
                break;
            };
            position += found;
            match input.get(position..).unwrap_or_default() {
                [b'\r', b'\n', next, ..] if !matches!(next, b'.' | b'\r' | b'\n' | 0) => position += 3,
                [b'\r', b'\n', ..] => {
                    position += 2;
                    self.at = At::Line(Candidate::after(Break::CrLf));
                    break;
                }
                [octet, ..] => {
                    out.extend_from_slice(input.get(start..position).unwrap_or_default());
                    self.step(*octet, out)?;
                    return Ok(position + 1);
                }
                [] => break,
            }
        }
        out.extend_from_slice(input.get(start..position).unwrap_or_default());
        Ok(position)
    }

    /// The table: every state, every octet.
    fn step(&mut self, octet: u8, out: &mut Vec<u8>) -> Result<(), DataError> {
        match (self.at, octet) {
            (At::End, _) => {}
            (At::Text, b'\r') => self.at = At::TextCr,
            (At::Text, b'\n') => self.bare_lf(out)?,
            (At::Text, _) => self.text(octet, out)?,
            (At::TextCr, b'\n') => self.crlf(out)?,
            (At::TextCr, _) => {
                self.bare_cr(out)?;
                self.step(octet, out)?;
            }
            (At::Line(line), b'\r') => self.at = At::LineCr(line),
            (At::Line(line), b'\n') => {
                self.line_ends_bare(line)?;
                self.bare_lf(out)?;
                self.empty_line(line);
            }
            (At::Line(line), 0) => {
                if self.in_header {
                    self.offence.get_or_insert(DataError::HeaderControl);
                }
                out.push(0);
                self.at = At::Line(Candidate { nul: true, ..line });
            }
            (At::Line(line), b'.') if line.dots == Dots::None && self.unstuffs(line) => {
                self.at = At::Line(Candidate { dots: Dots::Unstuffed, ..line });
            }
            (At::Line(line), b'.') if matches!(line.dots, Dots::None | Dots::Unstuffed) => {
                out.push(b'.');
                let dots = if line.dots == Dots::None { Dots::Kept } else { Dots::KeptBehindUnstuffed };
                self.at = At::Line(Candidate { dots, ..line });
            }
            (At::Line(_), _) => self.text(octet, out)?,
            (At::LineCr(line), b'\n') => self.line_ends(line, out)?,
            (At::LineCr(line), _) => {
                self.line_ends_bare(line)?;
                self.bare_cr(out)?;
                self.step(octet, out)?;
            }
        }
        Ok(())
    }

    /// A candidate ends with CRLF.
    fn line_ends(&mut self, line: Candidate, out: &mut Vec<u8>) -> Result<(), DataError> {
        self.check_dot_line(line)?;
        if line.dots == Dots::Unstuffed {
            self.at = At::End;
            return Ok(());
        }
        self.empty_line(line);
        self.crlf(out)
    }

    /// A line of NULs and one dot that ends with CRLF is the end of data, or in counted framing plain text,
    /// only if it has no NUL and stands behind a CRLF.
    fn check_dot_line(&self, line: Candidate) -> Result<(), DataError> {
        self.refuse_if(match line.dots {
            Dots::None => false,
            Dots::Kept | Dots::Unstuffed => line.nul || line.after != Break::CrLf,
            // Sent on, this line may lose its NULs before the next reader looks for dots.
            Dots::KeptBehindUnstuffed => line.nul,
        })
    }

    /// A candidate ends with a bare CR or LF.
    fn line_ends_bare(&self, line: Candidate) -> Result<(), DataError> {
        self.refuse_if(match line.dots {
            Dots::None => false,
            Dots::Kept | Dots::Unstuffed => true,
            Dots::KeptBehindUnstuffed => line.nul,
        })
    }

    fn refuse_if(&self, lone_dot: bool) -> Result<(), DataError> {
        if lone_dot && self.looks_for_dots() { Err(DataError::LoneDot) } else { Ok(()) }
    }

    /// In a counted binary body a lone dot means nothing.
    fn looks_for_dots(&self) -> bool {
        self.framing == Framing::Dot || self.policy != NewlinePolicy::Keep
    }

    /// True if a dot at the beginning of `line` was added for transparency: behind what we take for a line end.
    fn unstuffs(&self, line: Candidate) -> bool {
        let begins_line = match line.after {
            Break::CrLf => true,
            Break::Lf => self.policy == NewlinePolicy::Normalize,
            Break::Cr => false,
        };
        self.framing == Framing::Dot && begins_line && !line.nul
    }

    fn empty_line(&mut self, line: Candidate) {
        if line.dots == Dots::None && !line.nul {
            self.in_header = false;
        }
    }

    fn text(&mut self, octet: u8, out: &mut Vec<u8>) -> Result<(), DataError> {
        if octet == 0 && self.in_header {
            self.offence.get_or_insert(DataError::HeaderControl);
        }
        self.speak_offence()?;
        out.push(octet);
        self.at = At::Text;
        Ok(())
    }

    fn crlf(&mut self, out: &mut Vec<u8>) -> Result<(), DataError> {
        self.speak_offence()?;
        out.extend_from_slice(b"\r\n");
        self.at = At::Line(Candidate::after(Break::CrLf));
        Ok(())
    }

    fn bare_lf(&mut self, out: &mut Vec<u8>) -> Result<(), DataError> {
        self.speak_offence()?;
        self.stats.bare_lf += 1;
        match self.policy {
            NewlinePolicy::Normalize => out.extend_from_slice(b"\r\n"),
            NewlinePolicy::Keep if self.in_header => self.offence = Some(DataError::BareNewline),
            NewlinePolicy::Keep => out.push(b'\n'),
            NewlinePolicy::Reject => self.offence = Some(DataError::BareNewline),
        }
        self.at = At::Line(Candidate::after(Break::Lf));
        Ok(())
    }

    fn bare_cr(&mut self, out: &mut Vec<u8>) -> Result<(), DataError> {
        self.speak_offence()?;
        self.stats.bare_cr += 1;
        match self.policy {
            _ if self.in_header => self.offence = Some(DataError::HeaderControl),
            NewlinePolicy::Normalize => out.push(b' '),
            NewlinePolicy::Keep => out.push(b'\r'),
            NewlinePolicy::Reject => self.offence = Some(DataError::BareNewline),
        }
        self.at = At::Line(Candidate::after(Break::Cr));
        Ok(())
    }

    fn speak_offence(&self) -> Result<(), DataError> {
        self.offence.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests;
