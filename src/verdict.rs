//! What becomes of a message. Nothing else lives here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The three things that the session can do with a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Hand it to the backend, whose reply is the client's reply.
    Forward,
    /// Refuse for now, with a 4xx: the client keeps the message and comes again.
    Defer,
    /// Refuse for good, with a 5xx.
    Reject,
}

impl Verdict {
    /// The word for logs, metrics and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Defer => "defer",
            Self::Reject => "reject",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
