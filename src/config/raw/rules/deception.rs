//! deception.toml.

use std::collections::BTreeMap;

use super::super::macros::section;

section! {
    /// deception.toml: whom others imitate.
    pub struct DeceptionFile {
        /// Names of houses, each with the registered domains that are theirs.
        brands: BTreeMap<String, Vec<String>> = BTreeMap::new(),
        /// Further registered domains that are imitated: your own, those of your bank and your suppliers.
        protected: Vec<String> = Vec::new(),
        /// Registered domains where everybody can have an address.
        freemail: Vec<String> = Vec::new(),
    }
}
