//! The decision trace: which check, what evidence, what weight, how long.

/// A finished or running assessment, as people and programs read it.
#[derive(Clone, Debug, Default)]
pub struct Trace {}
