//! Sockets before they speak SMTP: listeners, TLS, the PROXY header.

pub mod accept;
pub mod gate;
pub mod listener;
pub mod metrics;
pub mod proxy_protocol;
pub mod stream;
pub mod tls;

pub use gate::{Gate, Permit, Refused};
pub use metrics::Metrics;
pub use stream::{BoxIo, Io};
