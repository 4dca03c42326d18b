//! One connection to a backend: octets out, replies in, each with a time limit.

use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

use super::BackendError;
use crate::net::BoxIo;
use crate::smtp::{Extensions, Reply, Step, parse_reply};

/// An SMTP session with a backend, past its EHLO.
pub struct Connection {
    io: BoxIo,
    input: Vec<u8>,
    /// What it offered in its last EHLO.
    pub extensions: Arc<Extensions>,
    /// True within TLS.
    pub encrypted: bool,
    /// When it was opened.
    pub opened: Instant,
    /// When it was last given back.
    pub idle_since: Instant,
    /// When it was last told something.
    pub spoken_to: Instant,
    /// Transactions so far, and MAIL commands, which may have come to nothing.
    pub transactions: u32,
    /// See there.
    pub mails: u32,
    /// 4xx and 5xx replies so far.
    pub refusals: u32,
    /// False as soon as anything went wrong: it is never given back then.
    healthy: bool,
}

impl Connection {
    /// Over a fresh stream; nothing is read or written yet.
    pub fn new(io: BoxIo) -> Self {
        let now = Instant::now();
        Self {
            io,
            input: Vec::new(),
            extensions: Arc::default(),
            encrypted: false,
            opened: now,
            idle_since: now,
            spoken_to: now,
            transactions: 0,
            mails: 0,
            refusals: 0,
            healthy: true,
        }
    }

    /// True if nothing went wrong on it yet.
    pub fn is_healthy(&self) -> bool {
        self.healthy
    }

    /// Takes the stream out, to wrap it in TLS. Fails if octets wait that came in clear (RFC 3207 4.2).
    pub fn into_stream(self) -> Result<BoxIo, BackendError> {
        if self.input.is_empty() { Ok(self.io) } else { Err(BackendError::Unsolicited) }
    }

    /// Sends `octets`. Replies that nobody asked for make it fail before anything is sent.
    pub async fn send(&mut self, octets: &[u8], limit: Duration) -> Result<(), BackendError> {
        self.send_parts(&mut [IoSlice::new(octets)], limit).await
    }

    /// Sends `parts` in as few packets as possible. `limit` is for each block that is taken.
    pub async fn send_parts(&mut self, parts: &mut [IoSlice<'_>], limit: Duration) -> Result<(), BackendError> {
        if !self.input.is_empty() {
            return Err(self.fail(BackendError::Unsolicited));
        }
        self.write_all(parts, limit).await
    }

    /// Goes on with a message whose first part was sent; the backend may already have answered.
    pub async fn send_more(&mut self, octets: &[u8], limit: Duration) -> Result<(), BackendError> {
        self.write_all(&mut [IoSlice::new(octets)], limit).await
    }

    async fn write_all(&mut self, mut parts: &mut [IoSlice<'_>], limit: Duration) -> Result<(), BackendError> {
        self.spoken_to = Instant::now();
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            let io = &mut self.io;
            match soon(limit, |cx| Pin::new(&mut *io).poll_write_vectored(cx, parts)).await {
                Ok(Ok(0) | Err(_)) => return Err(self.fail(BackendError::Closed)),
                Ok(Ok(count)) => IoSlice::advance_slices(&mut parts, count),
                Err(_elapsed) => return Err(self.fail(BackendError::TimedOut)),
            }
        }
        let io = &mut self.io;
        match soon(limit, |cx| Pin::new(&mut *io).poll_flush(cx)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.fail(BackendError::Closed)),
            Err(_elapsed) => Err(self.fail(BackendError::TimedOut)),
        }
    }

    /// Waits for the next reply.
    pub async fn reply(&mut self, limit: Duration) -> Result<Reply, BackendError> {
        let by = Instant::now() + limit;
        loop {
            match parse_reply(&self.input) {
                Ok(Step::Ready { value, consumed }) => {
                    self.input.drain(..consumed);
                    if self.input.is_empty() {
                        self.input = Vec::new();
                    }
                    if !value.is_positive() && value.class() != 3 {
                        self.refusals += 1;
                    }
                    if value.code() == 421 {
                        self.healthy = false;
                    }
                    return Ok(value);
                }
                Ok(Step::NeedMore) => {}
                Err(why) => return Err(self.fail(why.into())),
            }
            match tokio::time::timeout_at(by, self.fill()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(self.fail(error)),
                Err(_elapsed) => return Err(self.fail(BackendError::TimedOut)),
            }
        }
    }

    /// The next reply to what can be taken, deferred or refused: 2xx, 4xx or 5xx. Another leaves the dialogue where nobody knows
    /// it, and a 3xx would set a client off sending.
    pub async fn verdict(&mut self, limit: Duration) -> Result<Reply, BackendError> {
        let reply = self.reply(limit).await?;
        match reply.class() {
            2 | 4 | 5 => Ok(reply),
            _ => Err(self.fail(BackendError::Unsolicited)),
        }
    }

    async fn fill(&mut self) -> Result<(), BackendError> {
        let Self { io, input, .. } = self;
        let count = poll_fn(|cx| read_some(io, cx, input)).await.map_err(|_| BackendError::Closed)?;
        if count == 0 { Err(BackendError::Closed) } else { Ok(()) }
    }

    /// True if the idle connection is still there and silent. Never waits.
    pub fn is_quiet(&mut self) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        self.healthy
            && self.input.is_empty()
            && matches!(read_some(&mut self.io, &mut cx, &mut self.input), Poll::Pending)
    }

    /// Says QUIT without waiting for it to be taken or answered.
    pub fn quit(mut self) {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if self.healthy {
            let _ = Pin::new(&mut self.io).poll_write(&mut cx, b"QUIT\r\n");
            let _ = Pin::new(&mut self.io).poll_flush(&mut cx);
        }
    }

    fn fail(&mut self, error: BackendError) -> BackendError {
        self.healthy = false;
        error
    }
}

/// Waits for `poll`, at most `limit`. What is ready at once, as a write nearly always is, needs no timer.
async fn soon<T>(limit: Duration, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Result<T, Elapsed> {
    match poll_fn(|cx| Poll::Ready(poll(cx))).await {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => timeout(limit, poll_fn(poll)).await,
    }
}

/// Reads through a small stack buffer: an idle connection holds none.
fn read_some(io: &mut BoxIo, cx: &mut Context<'_>, input: &mut Vec<u8>) -> Poll<std::io::Result<usize>> {
    let mut space = [0u8; 2048];
    let mut buffer = ReadBuf::new(&mut space);
    match Pin::new(io).poll_read(cx, &mut buffer) {
        Poll::Ready(Ok(())) => {
            input.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        }
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => Poll::Pending,
    }
}
