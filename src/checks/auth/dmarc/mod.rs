//! DMARC (RFC 9989): is the author domain authenticated, and what does its owner ask for if not?
//!
//! Records of RFC 7489 are understood; what only they have (`pct`, `rf`, `ri`) is ignored, as are
//! public suffix lists: the tree walk finds organizational domains.

mod check;
mod evaluate;
mod record;
mod walk;

pub use check::Check;
pub use evaluate::Discovery;
pub use record::{Policies, Psd, Record};
pub use walk::{Walk, Walker, targets};

#[cfg(test)]
mod tests;
