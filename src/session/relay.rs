//! One transaction as the backend sees it: which backend reply becomes which client reply.
//!
//! The backend is connected at the first recipient that our own checks let pass (DECISIONS 3); a slow
//! client gives the connection back and takes one again (DECISIONS 27). Until the message is handed
//! over nothing is lost by starting anew, so a connection that proves stale is replaced once.

use std::borrow::Cow;
use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::refusal;
use super::spool::Overflow;
use crate::backend::machine::{self, Identity, Need};
use crate::backend::{BackendError, Lease, Metrics, Own, Pool};
use crate::message::Message;
use crate::smtp::{DataEncoder, Extension, Extensions, ForwardPath, Params, Reply, ReversePath, data};

/// The envelope so far, as it is handed on.
pub struct Envelope<'a> {
    /// The sender.
    pub reverse_path: &'a ReversePath,
    /// Its parameters.
    pub params: &'a Params,
    /// Recipients that the backend accepted, with its replies.
    pub accepted: &'a [Recipient],
}

/// A recipient that the backend accepted.
#[derive(Debug)]
pub struct Recipient {
    /// The recipient.
    pub path: ForwardPath,
    /// Its parameters.
    pub params: Params,
    /// Its place in the transaction.
    pub index: usize,
    /// The code that accepted it, or refused a trap.
    pub code: u16,
    /// Nobody uses it.
    pub is_trap: bool,
}

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

/// One transaction with a backend.
pub struct Relay {
    pool: Arc<Pool>,
    identity: Identity,
    need: Need,
    /// Where the client has authenticated: the only connection that will do.
    own: Option<Own>,
    lease: Option<Lease>,
    /// MAIL was refused: every recipient hears it.
    mail_refused: Option<Reply>,
}

/// Why a message was not handed over.
pub enum Failure {
    /// It was not handed over whole: 4xx, and the backend cannot have it.
    Before(Reply),
    /// It was on its way: 4xx, and the backend may have it.
    Unknown(BackendError),
}

/// RCPT commands sent before their replies are read: neither side's buffers can fill up.
const GROUP: usize = 100;
/// A message with more lines that begin with a dot is copied as it is stuffed; others are sent from where they lie.
const MANY_DOTS: usize = 512;
/// Octets of a spool file sent at a time.
const BLOCK: usize = 256 * 1024;

impl Relay {
    /// Nothing is connected yet.
    pub fn new(pool: Arc<Pool>, identity: Identity, need: Need) -> Self {
        Self { pool, identity, need, own: None, lease: None, mail_refused: None }
    }

    /// The same, over the client's own connection if it has one.
    #[must_use]
    pub fn over(self, own: Option<Own>) -> Self {
        Self { own, ..self }
    }

    /// A connection; `fresh` is one that was not idle before.
    async fn lease(&mut self, fresh: bool) -> Result<Lease, BackendError> {
        match &self.own {
            Some(own) => own.lease(&self.identity, &self.need).await,
            None => self.pool.lease(&self.identity, &self.need, fresh).await,
        }
    }

    /// What the client hears of `why`. Without the connection on which it has authenticated it is nobody.
    fn failed(&self, why: &BackendError) -> Reply {
        match (why, &self.own) {
            (BackendError::CannotCarry { .. }, _) | (_, None) => refusal::backend_failure(why, &self.need),
            (_, Some(_)) => refusal::OWN_BACKEND_LOST,
        }
    }

    /// When something must be done about the connection that is held, if the client goes on to be slow; `hold` is
    /// how long it may hold one of the pool's, since `since`.
    pub fn tend_at(&self, since: Instant, hold: Duration) -> Option<Instant> {
        let lease = self.lease.as_ref()?;
        Some(if lease.is_own() { lease.silent_until() } else { since + hold })
    }

    /// Does it: gives the connection back, or lets the backend hear that its own client is still there.
    pub async fn tend(&mut self) {
        let Some(mut lease) = self.lease.take() else { return };
        if !lease.is_own() {
            return lease.reset();
        }
        if lease.keep_alive().await.is_ok() {
            self.lease = Some(lease);
        }
    }

    /// True if the backend refused the sender: every recipient hears that, which says nothing about recipients.
    pub fn is_sender_refused(&self) -> bool {
        self.mail_refused.is_some()
    }

    /// What is counted about backends.
    pub fn metrics(&self) -> Metrics {
        self.pool.metrics.clone()
    }

    /// Hands `new` recipients on (and MAIL before the first); one reply each.
    pub async fn recipients(&mut self, envelope: &Envelope<'_>, new: &[(ForwardPath, Params)]) -> Vec<Reply> {
        self.need.dsn |= new.iter().any(|(_, params)| !params.is_empty());
        if let Some(refused) = &self.mail_refused {
            return vec![refused.clone(); new.len()];
        }
        let outcome = match self.lease.take() {
            Some(lease) => match self.more(lease, new).await {
                // What was accepted is accepted again elsewhere; these recipients have no answer yet.
                Err(_) => match self.replay(envelope).await {
                    Ok(lease) => self.more(lease, new).await,
                    Err(reply) => return vec![reply; new.len()],
                },
                replies => replies,
            },
            None if envelope.accepted.is_empty() => self.first(envelope, new).await,
            None => match self.replay(envelope).await {
                Ok(lease) => self.more(lease, new).await,
                Err(reply) => return vec![reply; new.len()],
            },
        };
        outcome.unwrap_or_else(|why| vec![self.failed(&why); new.len()])
    }

    /// MAIL and the first recipients.
    async fn first(
        &mut self,
        envelope: &Envelope<'_>,
        new: &[(ForwardPath, Params)],
    ) -> Result<Vec<Reply>, BackendError> {
        let mut lease = self.lease(false).await?;
        match begin(&mut lease, envelope, new).await {
            Err(_) if lease.reused => {
                drop(lease);
                lease = self.lease(true).await?;
                let (mail, replies) = begin(&mut lease, envelope, new).await?;
                Ok(self.begun(lease, mail, replies))
            }
            Ok((mail, _)) if mail.code() == 421 && lease.reused => {
                drop(lease);
                lease = self.lease(true).await?;
                let (mail, replies) = begin(&mut lease, envelope, new).await?;
                Ok(self.begun(lease, mail, replies))
            }
            Ok((mail, replies)) => Ok(self.begun(lease, mail, replies)),
            Err(why) => Err(why),
        }
    }

    fn begun(&mut self, lease: Lease, mail: Reply, replies: Vec<Reply>) -> Vec<Reply> {
        if mail.is_positive() {
            self.lease = Some(lease);
            return replies;
        }
        lease.give_back();
        let count = replies.len();
        self.mail_refused = Some(mail.clone());
        vec![mail; count]
    }

    /// Further recipients of an open transaction.
    async fn more(&mut self, mut lease: Lease, new: &[(ForwardPath, Params)]) -> Result<Vec<Reply>, BackendError> {
        let replies = name_recipients(&mut lease, &borrowed(new)).await?;
        self.lease = Some(lease);
        Ok(replies)
    }

    /// Opens the transaction again, if an idle connection fails then on a new one. The answers must be what they were.
    async fn replay(&mut self, envelope: &Envelope<'_>) -> Result<Lease, Reply> {
        let opened = match self.lease(false).await {
            Ok(lease) => {
                let reused = lease.reused;
                match again(lease, envelope).await {
                    Err(_) if reused => match self.lease(true).await {
                        Ok(lease) => again(lease, envelope).await,
                        Err(why) => Err(why),
                    },
                    other => other,
                }
            }
            Err(why) => Err(why),
        };
        opened.unwrap_or_else(|why| Err(self.failed(&why)))
    }

    /// Gives the connection back: the transaction is over, or does not need it for now.
    pub fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.reset();
        }
    }

    /// Hands the message over and waits for the backend's word on it, however long that takes.
    ///
    /// # Errors
    /// [`Failure`] says whether the backend may have it.
    pub async fn deliver(&mut self, envelope: &Envelope<'_>, parcel: Parcel<'_>) -> Result<Reply, Failure> {
        let held = self.lease.take().and_then(|mut lease| lease.connection().is_quiet().then_some(lease));
        let mut lease = match held {
            Some(lease) => lease,
            None => self.replay(envelope).await.map_err(Failure::Before)?,
        };
        if !lease.connection().is_quiet() {
            // An answer that nobody asked for would be taken for the answer to the message.
            return Err(Failure::Before(refusal::BACKEND_DOWN));
        }
        let timer = self.pool.metrics.end_of_data.start_timer();
        let outcome = hand_over(&mut lease, parcel).await;
        timer.observe_duration();
        match outcome {
            Ok(reply) => {
                lease.connection().transactions += 1;
                // Where DATA or a chunk was refused the transaction may still be open.
                if reply.is_positive() {
                    lease.give_back()
                } else {
                    lease.reset()
                }
                Ok(reply)
            }
            Err(failure) => Err(failure),
        }
    }
}

/// The whole envelope once more; the inner error is the reply to a changed answer.
async fn again(mut lease: Lease, envelope: &Envelope<'_>) -> Result<Result<Lease, Reply>, BackendError> {
    let (mail, _) = begin(&mut lease, envelope, &[]).await?;
    if mail.code() == 421 {
        return Err(BackendError::NotReady(mail));
    }
    if !mail.is_positive() {
        lease.give_back();
        return Ok(Err(refusal::ENVELOPE_CHANGED));
    }
    let recipients: Vec<_> = envelope.accepted.iter().map(|recipient| (&recipient.path, &recipient.params)).collect();
    let replies = name_recipients(&mut lease, &recipients).await?;
    if replies.iter().zip(envelope.accepted).any(|(reply, before)| reply.code() != before.code) {
        lease.reset();
        return Ok(Err(refusal::ENVELOPE_CHANGED));
    }
    Ok(Ok(lease))
}

/// MAIL and `new` recipients in one go where the backend pipelines; the reply to MAIL and one for each recipient.
async fn begin(
    lease: &mut Lease,
    envelope: &Envelope<'_>,
    new: &[(ForwardPath, Params)],
) -> Result<(Reply, Vec<Reply>), BackendError> {
    let timeouts = lease.pool().settings().timeouts.clone();
    let pipelining = lease.extensions().has(Extension::Pipelining);
    let mut commands = Vec::with_capacity(256);
    machine::mail(envelope.reverse_path, &taken_by(lease.extensions(), envelope.params), &mut commands);
    if pipelining {
        for (path, params) in new {
            machine::rcpt(path, params, &mut commands);
        }
    }
    let connection = lease.connection();
    connection.mails += 1;
    connection.send(&commands, timeouts.write).await?;
    let mail = verdict_of(connection.reply(timeouts.command).await?)?;
    if !pipelining {
        if !mail.is_positive() {
            return Ok((mail.clone(), vec![mail; new.len()]));
        }
        let replies = name_recipients(lease, &borrowed(new)).await?;
        return Ok((mail, replies));
    }
    let mut replies = Vec::with_capacity(new.len());
    for _ in new {
        match connection.reply(timeouts.command).await.and_then(verdict_of) {
            Ok(reply) => replies.push(reply),
            Err(_) if !mail.is_positive() => replies.push(mail.clone()),
            Err(why) => return Err(why),
        }
    }
    Ok((mail, replies))
}

/// MAIL's parameters without SIZE and AUTH where the member does not offer them: those are ours to offer, not its.
fn taken_by<'p>(offered: &Extensions, params: &'p Params) -> Cow<'p, Params> {
    let ours = [("SIZE", Extension::Size), ("AUTH", Extension::Auth)];
    let unknown = ours.map(|(name, extension)| (name, !offered.has(extension) && params.get(name).is_some()));
    if unknown.iter().all(|(_, unknown)| !unknown) {
        return Cow::Borrowed(params);
    }
    let mut params = params.clone();
    for (name, _) in unknown.iter().filter(|(_, unknown)| *unknown) {
        params.remove(name);
    }
    Cow::Owned(params)
}

/// RCPT for each, pipelined where the backend does.
async fn name_recipients(
    lease: &mut Lease,
    recipients: &[(&ForwardPath, &Params)],
) -> Result<Vec<Reply>, BackendError> {
    let timeouts = lease.pool().settings().timeouts.clone();
    let pipelining = lease.extensions().has(Extension::Pipelining);
    let connection = lease.connection();
    let mut replies = Vec::with_capacity(recipients.len());
    for group in recipients.chunks(if pipelining { GROUP } else { 1 }) {
        let mut commands = Vec::with_capacity(64 * group.len());
        for (path, params) in group {
            machine::rcpt(path, params, &mut commands);
        }
        connection.send(&commands, timeouts.write).await?;
        for _ in group {
            replies.push(verdict_of(connection.reply(timeouts.command).await?)?);
        }
    }
    Ok(replies)
}

/// A reply to MAIL or RCPT is yes, later or no; a 3xx is none of these, and would set the client off sending.
fn verdict_of(reply: Reply) -> Result<Reply, BackendError> {
    match reply.class() {
        2 | 4 | 5 => Ok(reply),
        _ => Err(BackendError::Unsolicited),
    }
}

fn borrowed(new: &[(ForwardPath, Params)]) -> Vec<(&ForwardPath, &Params)> {
    new.iter().map(|(path, params)| (path, params)).collect()
}

/// The message itself: one BDAT where the backend has CHUNKING, else DATA.
async fn hand_over(lease: &mut Lease, parcel: Parcel<'_>) -> Result<Reply, Failure> {
    if lease.extensions().has(Extension::Chunking) {
        hand_over_counted(lease, parcel).await
    } else {
        hand_over_dotted(lease, parcel).await
    }
}

async fn hand_over_counted(lease: &mut Lease, parcel: Parcel<'_>) -> Result<Reply, Failure> {
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
        let mut buffer = vec![0; BLOCK];
        overflow.rewind().await.map_err(disk)?;
        loop {
            let count = overflow.read(&mut buffer).await.map_err(disk)?;
            let Some(block) = buffer.get(..count).filter(|block| !block.is_empty()) else { break };
            connection.send_more(block, timeouts.write).await.map_err(broke_off)?;
        }
    }
    final_reply(lease).await
}

async fn hand_over_dotted(lease: &mut Lease, parcel: Parcel<'_>) -> Result<Reply, Failure> {
    let timeouts = lease.pool().settings().timeouts.clone();
    let connection = lease.connection();
    let not_yet = |_: BackendError| Failure::Before(refusal::BACKEND_DOWN);
    connection.send(b"DATA\r\n", timeouts.write).await.map_err(not_yet)?;
    let go = connection.reply(timeouts.command).await.map_err(not_yet)?;
    if go.code() != 354 {
        // A refusal of DATA is the final reply; anything else is nonsense.
        return if go.class() >= 4 { Ok(go) } else { Err(Failure::Before(refusal::BACKEND_DOWN)) };
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
        return final_reply(lease).await;
    }
    let pieces = kept(octets, parcel.cuts);
    let mut parts = vec![IoSlice::new(parcel.prefix)];
    pieces.for_each(|piece| stuff(piece, &mut parts));
    let open = !octets.ends_with(b"\r\n") && !octets.is_empty();
    parts.push(IoSlice::new(if open { b"\r\n.\r\n" } else { b".\r\n" }));
    connection.send_parts(&mut parts, timeouts.write).await.map_err(broke_off)?;
    final_reply(lease).await
}

/// The rest of a message from its file, dot-stuffed by `encoder`, which has seen what went before.
async fn send_overflow_dotted(
    lease: &mut Lease,
    overflow: Option<&mut Overflow>,
    mut encoder: DataEncoder,
) -> Result<(), Failure> {
    let limit = lease.pool().settings().timeouts.write;
    if let Some(overflow) = overflow {
        overflow.rewind().await.map_err(disk)?;
        let mut buffer = vec![0; BLOCK];
        loop {
            let count = overflow.read(&mut buffer).await.map_err(disk)?;
            let Some(block) = buffer.get(..count).filter(|block| !block.is_empty()) else { break };
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

async fn final_reply(lease: &mut Lease) -> Result<Reply, Failure> {
    let limit = lease.pool().settings().timeouts.end_of_data;
    let reply = lease.connection().reply(limit).await.map_err(Failure::Unknown)?;
    match reply.class() {
        2 | 4 | 5 => Ok(reply),
        _ => Err(Failure::Unknown(BackendError::Unsolicited)),
    }
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
