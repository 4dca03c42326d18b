//! Is the HELO name a plausible one (RFC 5321 4.1.1.1, 4.1.4)?

use std::time::Duration;

/// How HELO names are judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Names that only we may use, our relay domains for example; our host name need not be among them.
    /// Exact names, any case, A-labels or U-labels.
    pub own_names: Vec<String>,
    /// How long the look-up of the name may take.
    pub deadline: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { own_names: Vec::new(), deadline: Duration::from_secs(8) }
    }
}
