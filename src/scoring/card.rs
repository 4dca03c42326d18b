//! The scorecard: one line per check and scope, open until it reports.

/// Whom a line concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The transaction as a whole.
    Transaction,
    /// The recipient of that index.
    Recipient(usize),
}

/// Whether a line has reported.
#[derive(Clone, Debug)]
pub enum LineState {}

/// One line.
#[derive(Clone, Debug)]
pub struct Line {}

/// All lines of one assessment.
#[derive(Clone, Debug, Default)]
pub struct Scorecard {}
