//! A byte stream, whatever carries it: TCP, TLS, or a pipe in tests.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What sessions and backend connections read and write.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A boxed stream.
pub type BoxIo = Box<dyn Io>;

/// A stream of which the beginning was read already.
pub struct Rewound {
    early: Vec<u8>,
    at: usize,
    rest: BoxIo,
}

impl Rewound {
    /// Reads `early`, then `rest`.
    pub fn new(early: Vec<u8>, rest: BoxIo) -> Self {
        Self { early, at: 0, rest }
    }
}

impl AsyncRead for Rewound {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let early = self.early.get(self.at..).unwrap_or_default();
        if early.is_empty() {
            return Pin::new(&mut self.rest).poll_read(cx, buffer);
        }
        let count = early.len().min(buffer.remaining());
        buffer.put_slice(early.get(..count).unwrap_or_default());
        self.at += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.rest).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.rest).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.rest).poll_shutdown(cx)
    }
}
