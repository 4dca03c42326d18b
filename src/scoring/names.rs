//! Names that are kept once in the program and numbered, so that the hot path compares numbers.
//!
//! They come from code and rule files only, never from mail, and are never forgotten.

use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

/// Names of one kind that one program may have seen, over all rule sets that it ever loaded.
pub(super) const MAX_NAMES: usize = 1 << 16;

/// One name.
pub(super) struct Name {
    pub(super) text: Box<str>,
    /// Counted from zero, in the order of their first use.
    pub(super) index: usize,
}

/// All names of one kind.
pub(super) struct Names(LazyLock<RwLock<HashMap<&'static str, &'static Name>>>);

impl Names {
    pub(super) const fn new() -> Self {
        Self(LazyLock::new(RwLock::default))
    }

    /// The name, if it was used before.
    pub(super) fn known(&self, text: &str) -> Option<&'static Name> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(text).copied()
    }

    /// The name, used for the first time or again; `None` if there are too many.
    pub(super) fn keep(&self, text: &str) -> Option<&'static Name> {
        if let Some(known) = self.known(text) {
            return Some(known);
        }
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(text) {
            return Some(known);
        }
        let index = names.len();
        if index >= MAX_NAMES {
            return None;
        }
        let kept: &'static Name = Box::leak(Box::new(Name { text: text.into(), index }));
        names.insert(&kept.text, kept);
        Some(kept)
    }
}

/// What a type over `&'static Name` needs to be a key: equal by number, ordered by text.
macro_rules! is_a_name {
    ($name:ident) => {
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.index == other.0.index
            }
        }

        impl Eq for $name {}

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                if self == other { std::cmp::Ordering::Equal } else { self.as_str().cmp(other.as_str()) }
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(super) use is_a_name;
