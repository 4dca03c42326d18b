//! Numbers become a verdict. Pure: no I/O, no clock, nothing of SMTP, nothing of how a symbol was found.

pub mod clause;

pub use clause::{Clause, Condition, Tri};

/// An ordered list of clauses; the first that holds wins; none means forward.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// In order.
    pub clauses: Vec<Clause>,
    /// Score from which forwarded mail is marked `X-Spam-Flag: YES`.
    pub tag: Option<crate::scoring::Score>,
}
