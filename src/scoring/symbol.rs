//! What a check observes: symbols with evidence.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use crate::units::Percent;

/// Stable upper-case name of an observation, such as `DNSBL_ZEN_SBL`.
///
/// Each name is kept once in the program and numbered, so that scores are added up by number and not by
/// comparing names. Names come from code and rule files only, never from mail, and are never forgotten.
#[derive(Clone)]
pub struct Symbol(&'static Name);

struct Name {
    text: Box<str>,
    index: usize,
}

/// Names that one program may have seen, over all rule sets that it ever loaded.
const MAX_NAMES: usize = 1 << 16;

static NAMES: LazyLock<RwLock<HashMap<&'static str, &'static Name>>> = LazyLock::new(RwLock::default);

/// Name of a check, such as `dnsbl.zen`; a label of metrics and traces.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckName(Arc<str>);

/// Short, loggable reason, free of message content and of control characters; at most 200 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence(String);

/// A symbol, once observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was observed.
    pub symbol: Symbol,
    /// How strongly: scales the weight.
    pub strength: Percent,
    /// Why.
    pub evidence: Evidence,
    /// Whom it concerns (DECISIONS 1): by default a finding of the Rcpt stage is about its recipient;
    /// `true` makes it the whole transaction's.
    pub transaction: bool,
}

/// What a check is called and which symbols it can emit: this bounds what it can do to the score.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The check.
    pub name: CheckName,
    /// Every symbol that it can emit.
    pub emits: Arc<[Symbol]>,
    /// True if it emits at most one of them at a time.
    pub exclusive: bool,
}

impl Symbol {
    /// Upper-case ASCII letters, digits and `_`, beginning with a letter, at most 64.
    pub fn new(name: &str) -> Result<Self, String> {
        if let Some(known) = NAMES.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(Self(known));
        }
        let fits = name.len() <= 64
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if !fits {
            return Err(format!("`{name}` is no symbol: write upper-case letters, digits and _"));
        }
        let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return Ok(Self(known));
        }
        let index = names.len();
        if index >= MAX_NAMES {
            return Err(format!("`{name}` is one symbol too many: {MAX_NAMES} were named since the program started"));
        }
        let kept: &'static Name = Box::leak(Box::new(Name { text: name.into(), index }));
        names.insert(&kept.text, kept);
        Ok(Self(kept))
    }

    /// A symbol that stands in our code. Panics on a malformed name, which a unit test of its check would show.
    pub fn known(name: &'static str) -> Self {
        Self::new(name).unwrap_or_else(|why| panic!("{why}"))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Its number among all symbols of this program, counted from zero.
    pub fn index(&self) -> usize {
        self.0.index
    }
}

impl PartialEq for Symbol {
    fn eq(&self, other: &Self) -> bool {
        self.0.index == other.0.index
    }
}

impl Eq for Symbol {}

impl Ord for Symbol {
    fn cmp(&self, other: &Self) -> Ordering {
        if self == other { Ordering::Equal } else { self.as_str().cmp(other.as_str()) }
    }
}

impl PartialOrd for Symbol {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Symbol {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl CheckName {
    /// Any short name; shown in metrics and traces.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Evidence {
    /// Cleans and shortens `text`.
    pub fn new(text: impl AsRef<str>) -> Self {
        let clean = text.as_ref().chars().map(|c| if c.is_control() { '?' } else { c });
        Self(clean.take(200).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Finding {
    /// A finding at full strength.
    pub fn new(symbol: Symbol, evidence: impl AsRef<str>) -> Self {
        Self { symbol, strength: Percent::FULL, evidence: Evidence::new(evidence), transaction: false }
    }
}

impl Borrow<str> for Symbol {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for CheckName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
