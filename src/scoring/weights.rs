//! Symbol -> score, checked against the catalogue; groups with caps; composites.

/// What each symbol weighs.
#[derive(Clone, Debug, Default)]
pub struct Weights {}
