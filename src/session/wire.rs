//! The client's stream: reading through one buffer per thread, writing one batch of replies at a time.
//!
//! A session that waits holds no read buffer: octets are read into the thread's own scratch space
//! and handed to the reader at once.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use crate::net::BoxIo;

/// Octets read from a socket at a time.
const SCRATCH: usize = 128 * 1024;

thread_local! {
    static SPACE: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

/// Waits for octets and hands them to `take`; `None` at the end of the stream.
///
/// # Errors
/// Those of the stream.
pub async fn read_with<R>(io: &mut BoxIo, mut take: impl FnMut(&[u8]) -> R) -> io::Result<Option<R>> {
    poll_fn(|cx| {
        SPACE.with_borrow_mut(|space| {
            let mut buffer = ReadBuf::new(space);
            ready!(Pin::new(&mut *io).poll_read(cx, &mut buffer))?;
            let filled = buffer.filled();
            Poll::Ready(Ok(if filled.is_empty() { None } else { Some(take(filled)) }))
        })
    })
    .await
}

/// Writes all of `out` and empties it.
///
/// # Errors
/// Those of the stream; `TimedOut` if the client does not take it in time.
pub async fn write_batch(io: &mut BoxIo, out: &mut Vec<u8>, limit: Duration) -> io::Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    let batch = std::mem::take(out);
    // Nearly always the socket takes it all at once, and no timer is needed.
    let at_once = poll_fn(|cx| match Pin::new(&mut *io).poll_write(cx, &batch) {
        Poll::Ready(Ok(count)) if count == batch.len() => Poll::Ready(Some((count, Pin::new(&mut *io).poll_flush(cx)))),
        Poll::Ready(Ok(count)) => Poll::Ready(Some((count, Poll::Pending))),
        Poll::Ready(Err(error)) => Poll::Ready(Some((0, Poll::Ready(Err(error))))),
        Poll::Pending => Poll::Ready(None),
    })
    .await;
    let taken = match at_once {
        Some((_, Poll::Ready(done))) => return done,
        Some((count, Poll::Pending)) => count,
        None => 0,
    };
    let rest = async {
        io.write_all(batch.get(taken..).unwrap_or_default()).await?;
        io.flush().await
    };
    timeout(limit, rest).await.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
}

/// Ends the stream, having said all; does not wait for the client to do the same.
pub async fn close(io: &mut BoxIo) {
    let _ = timeout(Duration::from_secs(1), io.shutdown()).await;
}

/// True if the client has closed its side or the connection broke. Never waits; octets that came are kept in `input`.
pub fn is_gone(io: &mut BoxIo, input: &mut Vec<u8>) -> bool {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    SPACE.with_borrow_mut(|space| {
        let mut buffer = ReadBuf::new(space);
        match Pin::new(io).poll_read(&mut cx, &mut buffer) {
            Poll::Pending => false,
            Poll::Ready(Err(_)) => true,
            Poll::Ready(Ok(())) => {
                input.extend_from_slice(buffer.filled());
                buffer.filled().is_empty()
            }
        }
    })
}
