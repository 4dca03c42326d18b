//! A byte stream, whatever carries it: TCP, TLS, or a pipe in tests.

use tokio::io::{AsyncRead, AsyncWrite};

/// What sessions and backend connections read and write.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A boxed stream.
pub type BoxIo = Box<dyn Io>;
