//! traps.toml.

use super::super::macros::section;

section! {
    /// traps.toml: recipients that nobody uses.
    pub struct TrapsFile {
        /// Addresses in our own domains: `old-user@example.com`, or `*@trap.example.com` for a whole domain.
        addresses: Vec<String> = Vec::new(),
    }
}
