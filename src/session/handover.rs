//! The message itself, on its way to the backend: in one go, as BDAT or DATA, and what is answered.

use std::io::IoSlice;
use std::ops::Range;

use tokio::time::Instant;

use super::refusal;
use super::spool::{BLOCK, Overflow};
use crate::backend::settings::Protocol;
use crate::backend::{BackendError, Lease};
use crate::message::Message;
use crate::smtp::{DataEncoder, Extension, Reply, data};

/// The message with what is put before it and what is cut out of it.
pub struct Parcel<'a> {
    /// Our fields.
    pub prefix: &'a [u8],
    /// The octets in memory.
    pub message: &'a Message,
    /// Ranges of the memory part that are left out, in order.
    pub cuts: &'a [Range<usize>],
    /// The rest.
    pub overflow: Option<&'a mut Overflow>,
}

/// Why a message was not handed over.
pub enum Failure {
    /// It was not handed over whole: 4xx, and the backend cannot have it.
    Before(Reply),
    /// It was on its way: 4xx, and the backend may have it.
    Unknown(BackendError),
}

/// A message with more lines that begin with a dot is copied as it is stuffed; others are sent from where they lie.
const MANY_DOTS: usize = 512;

/// Hands it over: one BDAT where the backend has CHUNKING, else DATA, which is the only way where it answers for each
/// recipient. As many replies as the backend owes, which is one, or one for each of `recipients` (RFC 2033 4.2); `None`
/// for each that was lost with the connection.
///
/// # Errors
/// [`Failure`] says whether the backend may have it.
pub(super) async fn hand_over(
    lease: &mut Lease,
    parcel: Parcel<'_>,
    recipients: usize,
) -> Result<Vec<Option<Reply>>, Failure> {
    if lease.pool().settings().protocol == Protocol::Lmtp {
        return match hand_over_dotted(lease, parcel).await? {
            Some(refused) => Ok(vec![Some(refused); recipients]),
            None => final_replies(lease, recipients).await,
        };
    }
    let refused = if lease.extensions().has(Extension::Chunking) {
        hand_over_counted(lease, parcel).await?;
        None
    } else {
        hand_over_dotted(lease, parcel).await?
    };
    match refused {
        Some(refused) => Ok(vec![Some(refused)]),
        None => final_replies(lease, 1).await,
    }
}

async fn hand_over_counted(lease: &mut Lease, parcel: Parcel<'_>) -> Result<(), Failure> {
    let timeouts = lease.pool().settings().timeouts.clone();
    let cut: usize = parcel.cuts.iter().map(ExactSizeIterator::len).sum();
    let total = parcel.prefix.len() as u64 + parcel.message.len() - cut as u64;
    let mut head = format!("BDAT {total} LAST\r\n").into_bytes();
    head.extend_from_slice(parcel.prefix);
    let mut parts = vec![IoSlice::new(&head)];
    parts.extend(kept(parcel.message.octets(), parcel.cuts).map(IoSlice::new));
    let connection = lease.connection();
    connection.send_parts(&mut parts, timeouts.write).await.map_err(broke_off)?;
    if let Some(overflow) = parcel.overflow {
        let mut blocks = overflow.blocks().await.map_err(disk)?;
        while let Some(block) = blocks.next().await.map_err(disk)? {
            connection.send_more(block, timeouts.write).await.map_err(broke_off)?;
        }
    }
    Ok(())
}

/// The backend's word on DATA if that ended it.
async fn hand_over_dotted(lease: &mut Lease, parcel: Parcel<'_>) -> Result<Option<Reply>, Failure> {
    let timeouts = lease.pool().settings().timeouts.clone();
    let connection = lease.connection();
    let not_yet = |_: BackendError| Failure::Before(refusal::BACKEND_DOWN);
    connection.send(b"DATA\r\n", timeouts.write).await.map_err(not_yet)?;
    let go = connection.reply(timeouts.command).await.map_err(not_yet)?;
    if go.code() != 354 {
        // A refusal of DATA is the final reply; anything else is nonsense.
        return if go.class() >= 4 { Ok(Some(go)) } else { Err(Failure::Before(refusal::BACKEND_DOWN)) };
    }
    let octets = parcel.message.octets();
    let many_dots = data::stuffing_points(octets, true).nth(MANY_DOTS).is_some();
    if many_dots || parcel.overflow.is_some() {
        let mut encoder = DataEncoder::new();
        send_encoded(lease, &mut encoder, parcel.prefix).await?;
        for piece in kept(octets, parcel.cuts) {
            send_encoded(lease, &mut encoder, piece).await?;
        }
        send_overflow_dotted(lease, parcel.overflow, encoder).await?;
        return Ok(None);
    }
    let pieces = kept(octets, parcel.cuts);
    let mut parts = vec![IoSlice::new(parcel.prefix)];
    pieces.for_each(|piece| stuff(piece, &mut parts));
    let open = !octets.ends_with(b"\r\n") && !octets.is_empty();
    parts.push(IoSlice::new(if open { b"\r\n.\r\n" } else { b".\r\n" }));
    connection.send_parts(&mut parts, timeouts.write).await.map_err(broke_off)?;
    Ok(None)
}

/// The rest of a message from its file, dot-stuffed by `encoder`, which has seen what went before.
async fn send_overflow_dotted(
    lease: &mut Lease,
    overflow: Option<&mut Overflow>,
    mut encoder: DataEncoder,
) -> Result<(), Failure> {
    let limit = lease.pool().settings().timeouts.write;
    if let Some(overflow) = overflow {
        let mut blocks = overflow.blocks().await.map_err(disk)?;
        while let Some(block) = blocks.next().await.map_err(disk)? {
            send_encoded(lease, &mut encoder, block).await?;
        }
    }
    let mut end = Vec::new();
    encoder.finish(&mut end);
    lease.connection().send_more(&end, limit).await.map_err(broke_off)
}

/// Sends `octets` dot-stuffed, block by block.
async fn send_encoded(lease: &mut Lease, encoder: &mut DataEncoder, octets: &[u8]) -> Result<(), Failure> {
    let limit = lease.pool().settings().timeouts.write;
    let mut out = Vec::new();
    for block in octets.chunks(BLOCK) {
        out.clear();
        encoder.encode(block, &mut out);
        lease.connection().send_more(&out, limit).await.map_err(broke_off)?;
    }
    Ok(())
}

/// The last words, all within the time that one has. Where the backend is gone after the first of them, the others
/// are lost, and nobody knows.
async fn final_replies(lease: &mut Lease, count: usize) -> Result<Vec<Option<Reply>>, Failure> {
    let by = Instant::now() + lease.pool().settings().timeouts.end_of_data;
    let mut replies = Vec::with_capacity(count);
    while replies.len() < count {
        let left = by.saturating_duration_since(Instant::now());
        match lease.connection().verdict(left).await {
            Ok(reply) => replies.push(Some(reply)),
            Err(why) if replies.is_empty() => return Err(Failure::Unknown(why)),
            Err(why) => {
                let lost = count - replies.len();
                tracing::error!(member = %lease.member(), error = %why, lost, "backend.replies_lost");
                replies.resize(count, None);
            }
        }
    }
    Ok(replies)
}

/// The backend did not take all of the message, so it cannot have it.
fn broke_off(_: BackendError) -> Failure {
    Failure::Before(refusal::BACKEND_LOST)
}

fn disk(why: std::io::Error) -> Failure {
    tracing::error!(error = %why, "spool.read_failed");
    // The backend saw no end of data, so it cannot have the message.
    Failure::Before(refusal::SPOOL_FULL)
}

/// The octets outside the cuts.
fn kept<'a>(octets: &'a [u8], cuts: &'a [Range<usize>]) -> impl Iterator<Item = &'a [u8]> {
    let starts = std::iter::once(0).chain(cuts.iter().map(|cut| cut.end));
    let ends = cuts.iter().map(|cut| cut.start).chain(std::iter::once(octets.len()));
    starts.zip(ends).filter_map(|(start, end)| octets.get(start..end)).filter(|piece| !piece.is_empty())
}

/// Appends `piece`, which begins a line, with a dot before each dot that begins a line.
fn stuff<'a>(piece: &'a [u8], parts: &mut Vec<IoSlice<'a>>) {
    let mut from = 0;
    for point in data::stuffing_points(piece, true) {
        if let Some(before) = piece.get(from..point).filter(|before| !before.is_empty()) {
            parts.push(IoSlice::new(before));
        }
        parts.push(IoSlice::new(b"."));
        from = point;
    }
    if let Some(rest) = piece.get(from..).filter(|rest| !rest.is_empty()) {
        parts.push(IoSlice::new(rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_is_gone_and_nothing_else() {
        for (cuts, left) in [
            (Vec::new(), "0123456789"),
            (std::iter::once(0..3).collect(), "3456789"),
            (vec![2..4, 8..10], "014567"),
            (std::iter::once(0..10).collect(), ""),
            (vec![0..1, 1..2, 9..10], "2345678"),
        ] {
            let pieces: Vec<u8> = kept(b"0123456789", &cuts).flatten().copied().collect();
            assert_eq!(String::from_utf8(pieces).expect("ascii"), left, "{cuts:?}");
        }
    }
}
