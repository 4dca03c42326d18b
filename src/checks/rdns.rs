//! Forward-confirmed reverse DNS: does a name of the client's address lead back to it?

use std::time::Duration;

/// How reverse DNS is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Names of one address that are looked up; further ones are ignored.
    pub max_names: usize,
    /// How long the whole check may take.
    pub deadline: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_names: 5, deadline: Duration::from_secs(8) }
    }
}
