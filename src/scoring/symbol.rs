//! What a check observes: symbols with evidence.

use std::sync::{Arc, LazyLock};

use super::names::{MAX_NAMES, Name, Names, is_a_name};
use crate::units::Percent;

/// Stable upper-case name of an observation, such as `DNSBL_ZEN_SBL`.
#[derive(Clone)]
pub struct Symbol(&'static Name);

/// Name of a check, such as `dnsbl.zen`; a label of metrics and traces.
#[derive(Clone)]
pub struct CheckName(&'static Name);

static SYMBOLS: Names = Names::new();
static CHECKS: Names = Names::new();

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
        if let Some(known) = SYMBOLS.known(name) {
            return Ok(Self(known));
        }
        let fits = name.len() <= 64
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if !fits {
            return Err(format!("`{name}` is no symbol: write upper-case letters, digits and _"));
        }
        let kept = SYMBOLS.keep(name).map(Self);
        kept.ok_or_else(|| format!("`{name}` is one symbol too many: {MAX_NAMES} were named since the program started"))
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

impl CheckName {
    /// Any short name; shown in metrics and traces. Beyond the bound all have one name, which a registry
    /// does not take twice.
    pub fn new(name: &str) -> Self {
        static TOO_MANY: LazyLock<Name> = LazyLock::new(|| Name { text: "too-many-names".into(), index: MAX_NAMES });
        Self(CHECKS.keep(name).unwrap_or_else(|| &TOO_MANY))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Its number among all checks of this program, counted from zero.
    pub fn index(&self) -> usize {
        self.0.index
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

is_a_name!(Symbol);
is_a_name!(CheckName);
