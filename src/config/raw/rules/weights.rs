//! weights.toml.

use std::collections::BTreeMap;

use super::super::macros::{Real, section};

section! {
    /// weights.toml: what each symbol weighs.
    pub struct WeightsFile {
        /// Symbol = points. A symbol without a weight counts nothing.
        weights: BTreeMap<String, Real> = BTreeMap::new(),
        /// Groups with a cap on their sum.
        group: Vec<Group> = Vec::new(),
        /// Symbols made of others.
        composite: Vec<Composite> = Vec::new(),
    }
}

section! {
    /// Symbols whose sum is capped.
    #[schemars(extend("required" = ["name", "symbols", "cap"]))]
    pub struct Group {
        /// Its name, in traces.
        name: String = String::new(),
        /// The symbols.
        symbols: Vec<String> = Vec::new(),
        /// The most that they add together, in points.
        cap: Real = Real(0.0),
    }
}

section! {
    /// A symbol that counts as found when its condition holds; all parts that are given must hold.
    #[schemars(extend("required" = ["symbol"]))]
    pub struct Composite {
        /// Its name; it is weighed like any other.
        symbol: String = String::new(),
        /// Each of these was found.
        all_of: Vec<String> = Vec::new(),
        /// At least one of these was found.
        any_of: Vec<String> = Vec::new(),
        /// None of these was found.
        none_of: Vec<String> = Vec::new(),
        /// At least so many of the symbols in `of` were found.
        #[schemars(range(min = 1, max = 1000))]
        count: Option<u64> = None,
        /// The symbols that `count` counts.
        of: Vec<String> = Vec::new(),
    }
}
