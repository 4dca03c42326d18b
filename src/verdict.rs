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

/// A verdict, and whether what is forwarded bears a mark. The strictest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Forwarded.
    Forward,
    /// Forwarded with a mark.
    Tag,
    /// Refused for now.
    Defer,
    /// Refused for good.
    Reject,
}

impl Verdict {
    /// What one reply can say of these verdicts, each on one recipient (DECISIONS 2): `None` if they differ. Of nobody
    /// nothing is refused.
    pub fn agreed(verdicts: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut verdicts = verdicts.into_iter();
        let first = verdicts.next().unwrap_or(Self::Forward);
        verdicts.all(|other| other == first).then_some(first)
    }

    /// The word for logs, metrics and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Defer => "defer",
            Self::Reject => "reject",
        }
    }
}

impl Action {
    /// Mail with that verdict, which is marked if it is forwarded and `tagged`.
    pub fn new(verdict: Verdict, tagged: bool) -> Self {
        match verdict {
            Verdict::Forward if tagged => Self::Tag,
            Verdict::Forward => Self::Forward,
            Verdict::Defer => Self::Defer,
            Verdict::Reject => Self::Reject,
        }
    }

    /// The word for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Tag => "tag",
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
