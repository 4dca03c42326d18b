//! Sockets before they speak SMTP: listeners, TLS, the PROXY header.

pub mod listener;
pub mod proxy_protocol;
pub mod stream;
pub mod tls;

pub use stream::{BoxIo, Io};
