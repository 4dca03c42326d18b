//! trust.toml.

use super::super::macros::section;

section! {
    /// trust.toml: whom the operator knows, and on what evidence.
    pub struct TrustFile {
        /// Sealers whose ARC chains are believed: domains of `d=`.
        arc_sealers: Vec<String> = Vec::new(),
    }
}
