//! The PROXY header, versions 1 and 2: what a balancer says about the connection that it passes on.
//!
//! [`parse`] is pure; [`read_header`] does the waiting. Neither guesses: on a listener that demands
//! the header, what is not one ends the connection. The `proxy-header` crate reads the fields; the
//! framing is checked here, because what it makes of a header must not depend on how the bytes arrive.

use std::net::SocketAddr;

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

use crate::units::canonical;

/// How a version 1 header begins.
const V1_START: &[u8] = b"PROXY ";
/// Longest version 1 header, line end included.
const V1_LONGEST: usize = 107;
/// How a version 2 header begins.
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Fixed part of a version 2 header: start, command, family, length.
const V2_FIXED: usize = 16;
/// Longest version 2 header that we take: the addresses and a few KiB of TLS details.
const V2_LONGEST: usize = 4096;

/// What a PROXY header says. Addresses are canonical: IPv4-mapped IPv6 is IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The connection was made by `client`, to `local` at the balancer.
    Client {
        /// The client.
        client: SocketAddr,
        /// The address that it connected to.
        local: SocketAddr,
    },
    /// The balancer speaks for itself (LOCAL), or does not say for whom (UNKNOWN, UNSPEC, UNIX):
    /// a health check. No client may profit from the balancer's own address.
    Local,
}

/// What the bytes so far amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Not enough to say; no header is longer than a few KiB.
    NeedMore,
    /// A header.
    Ready {
        /// What it says.
        header: Header,
        /// Its length; what follows is the client's.
        consumed: usize,
    },
}

/// Why bytes are no PROXY header that we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// They begin differently.
    #[error("no PROXY header")]
    Missing,
    /// They begin like one.
    #[error("malformed PROXY header")]
    Malformed,
    /// It is longer than we take.
    #[error("PROXY header too long")]
    TooLong,
}

/// Why no header could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The bytes are no header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The connection ended before the header did.
    #[error("connection closed before the end of the PROXY header")]
    Closed,
    /// It did not come in time.
    #[error("no PROXY header in time")]
    TimedOut,
}

/// Looks for a header at the beginning of `bytes`.
///
/// The result does not depend on how the bytes were cut: once it is not [`Step::NeedMore`], more
/// bytes do not change it.
///
/// # Errors
/// [`HeaderError`], as soon as no further byte could make it a header.
pub fn parse(bytes: &[u8]) -> Result<Step, HeaderError> {
    if begins(bytes, V1_START) {
        parse_v1(bytes)
    } else if begins(bytes, V2_START) {
        parse_v2(bytes)
    } else {
        Err(HeaderError::Missing)
    }
}

/// Reads a header, and returns it with the bytes behind it that came along.
///
/// # Errors
/// [`ReadError`]; the connection is then of no use.
pub async fn read_header<R>(io: &mut R, deadline: Instant) -> Result<(Header, Vec<u8>), ReadError>
where
    R: AsyncRead + Unpin + ?Sized,
{
    let mut bytes = Vec::with_capacity(256);
    loop {
        let read = timeout_at(deadline, io.read_buf(&mut bytes)).await.map_err(|_elapsed| ReadError::TimedOut)?;
        // A reset is as good as an end here: there is nobody to talk to.
        if matches!(read, Ok(0) | Err(_)) {
            return Err(ReadError::Closed);
        }
        if let Step::Ready { header, consumed } = parse(&bytes)? {
            bytes.drain(..consumed);
            return Ok((header, bytes));
        }
    }
}

/// True if `bytes` begin with `start`, or could still come to do so.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(byte, wanted)| byte == wanted)
}

fn parse_v1(bytes: &[u8]) -> Result<Step, HeaderError> {
    let line = bytes.get(..V1_LONGEST).unwrap_or(bytes);
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() >= V1_LONGEST { Err(HeaderError::TooLong) } else { Ok(Step::NeedMore) };
    };
    let consumed = end + 2;
    let line = bytes.get(..consumed).unwrap_or(bytes);
    let unknown = line.strip_prefix(b"PROXY UNKNOWN").is_some_and(|rest| matches!(rest.first(), Some(b' ' | b'\r')));
    let header = match unknown {
        true => Header::Local,
        // The crate reads any word that begins with UNKNOWN as that.
        false => fields(line).and_then(|header| match header {
            Header::Local => Err(HeaderError::Malformed),
            client => Ok(client),
        })?,
    };
    Ok(Step::Ready { header, consumed })
}

fn parse_v2(bytes: &[u8]) -> Result<Step, HeaderError> {
    let Some(&[command, family, high, low]) = bytes.get(V2_START.len()..V2_FIXED) else {
        return Ok(Step::NeedMore);
    };
    let consumed = V2_FIXED + usize::from(u16::from_be_bytes([high, low]));
    if consumed > V2_LONGEST {
        return Err(HeaderError::TooLong);
    }
    let Some(whole) = bytes.get(..consumed) else {
        return Ok(Step::NeedMore);
    };
    let header = match (command, family) {
        // LOCAL: whatever the rest says, it is to be ignored.
        (0x20, _) => Header::Local,
        // PROXY without a family: a sender that cannot name the client.
        (0x21, 0x00) => Header::Local,
        _ => fields(whole)?,
    };
    Ok(Step::Ready { header, consumed })
}

/// Reads the fields of one whole header, and nothing behind it.
fn fields(whole: &[u8]) -> Result<Header, HeaderError> {
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    let (header, consumed) = ProxyHeader::parse(whole, config).map_err(|_| HeaderError::Malformed)?;
    if consumed != whole.len() {
        return Err(HeaderError::Malformed);
    }
    match header.proxied_address() {
        Some(address) if address.protocol == Protocol::Stream => Ok(Header::Client {
            client: SocketAddr::new(canonical(address.source.ip()), address.source.port()),
            local: SocketAddr::new(canonical(address.destination.ip()), address.destination.port()),
        }),
        Some(_datagram) => Err(HeaderError::Malformed),
        None => Ok(Header::Local),
    }
}

impl ReadError {
    /// Every value of [`ReadError::label`].
    pub const LABELS: [&'static str; 5] = ["missing", "malformed", "too_long", "closed", "timed_out"];

    /// The word for logs and metrics.
    pub fn label(&self) -> &'static str {
        let [missing, malformed, too_long, closed, timed_out] = Self::LABELS;
        match self {
            Self::Header(HeaderError::Missing) => missing,
            Self::Header(HeaderError::Malformed) => malformed,
            Self::Header(HeaderError::TooLong) => too_long,
            Self::Closed => closed,
            Self::TimedOut => timed_out,
        }
    }
}

#[cfg(test)]
mod tests;
