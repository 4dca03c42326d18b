//! Tells domain owners what became of mail in their name: DMARC aggregate reports (RFC 9990).
//!
//! The check `dmarc_reports` counts, the store keeps one batch per domain and day. Here a batch becomes a
//! document ([`feedback`]), a message ([`message`]), and goes to those who may have it ([`destination`])
//! through the backend or into a folder ([`delivery`]), once an hour ([`schedule`]).
//!
//! Promises: off unless switched on. Nobody is written to who has not asked for it. A batch is forgotten
//! only when every destination has its report, or never will.
//!
//! Failure: what could not be delivered is tried again every hour for three days, then dropped and counted.
//! Mail never waits for any of it.

pub mod delivery;
pub mod destination;
pub mod feedback;
pub mod message;
mod metrics;
pub mod schedule;

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use metrics::Metrics;
pub use schedule::Schedule;

use crate::smtp::Mailbox;

/// How reports are made and delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Our own name, for Message-IDs.
    pub hostname: Arc<str>,
    /// The organization that reports, in printable ASCII.
    pub org_name: String,
    /// The sender of reports, and the address for questions about them; at a domain name, ASCII.
    pub email: Mailbox,
    /// Where they go.
    pub via: Via,
}

/// Where reports go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// To the mail server behind us, which sends them on.
    Backend,
    /// Into a directory, as files that some other program sends.
    Folder(PathBuf),
}

/// One message on its way to one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The reverse-path.
    pub from: Mailbox,
    /// The recipient.
    pub to: Mailbox,
    /// A name for the file, if it goes to one: of the same parcel always the same, of another never.
    pub file_name: String,
    /// The message, lines ended with CRLF.
    pub message: Vec<u8>,
}

/// What became of a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It is there.
    Taken,
    /// It never will be; why.
    Refused(String),
    /// Not now; why.
    Later(String),
}

/// A way for reports to leave.
pub trait Delivery: Send + Sync + 'static {
    /// Delivers one parcel.
    fn deliver(&self, parcel: Parcel) -> BoxFuture<'_, Delivered>;
}

impl Settings {
    /// The domain that reports, as receivers know it.
    pub fn submitter(&self) -> String {
        self.email.domain().to_ascii_lower()
    }
}

/// One organization and two days of one domain, for tests.
#[cfg(test)]
pub(crate) mod sample;
