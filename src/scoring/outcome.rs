//! How a check ended. "Nothing", "not looked" and "could not look" are three different answers.

use super::symbol::Finding;

/// The end of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Looked, and observed something.
    Found(Vec<Finding>),
    /// Looked, and there is nothing.
    Clear,
    /// Had no reason to look.
    Skipped(Skip),
    /// Wanted to look, could not. Adds nothing to the score.
    Failed(CheckError),
    /// Was still looking at the deadline. Adds nothing to the score.
    TimedOut,
}

/// Why a check had no reason to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// It has nothing to say about this client, name or message.
    NotApplicable,
    /// The client is trusted or local.
    Trusted,
    /// The transaction ended before its facts were known.
    NeverStarted,
    /// What it asks is suspended, such as a sick blocklist; the word for why.
    Suspended(&'static str),
    /// The verdict was certain without it.
    Settled,
    /// It would have to ask the network, and nobody may.
    Offline,
}

/// Why a check could not look: a label of metrics, with words for the trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// A DNS question had no usable answer.
    #[error("DNS: {0}")]
    Dns(String),
    /// A list answered with an error code, such as 127.255.255.254.
    #[error("list error: {0}")]
    ListError(String),
    /// What we remember was out of reach.
    #[error("store: {0}")]
    Store(String),
    /// A bug of ours.
    #[error("panicked")]
    Panicked,
}

impl Outcome {
    /// `Found`, or `Clear` if there is nothing.
    pub fn from_findings(findings: Vec<Finding>) -> Self {
        if findings.is_empty() { Self::Clear } else { Self::Found(findings) }
    }

    /// The word for logs, metrics and traces.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::Clear => "clear",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "failed",
            Self::TimedOut => "timed_out",
        }
    }

    /// What was observed.
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Found(findings) => findings,
            _ => &[],
        }
    }
}

impl Skip {
    /// The word for traces.
    pub fn label(self) -> &'static str {
        match self {
            Self::NotApplicable => "not_applicable",
            Self::Trusted => "trusted",
            Self::NeverStarted => "never_started",
            Self::Suspended(_) => "suspended",
            Self::Settled => "settled",
            Self::Offline => "needs the network",
        }
    }
}

impl CheckError {
    /// The word for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns",
            Self::ListError(_) => "list_error",
            Self::Store(_) => "store",
            Self::Panicked => "panicked",
        }
    }
}
