//! What is ours: whoever claims it from outside has to prove it.

use std::sync::Arc;

use crate::units::{CidrSet, DomainSet};

/// Our domains, and our machines.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// Domains that we take mail for.
    pub domains: Arc<DomainSet>,
    /// Clients that may send anywhere: mail of our own users.
    pub networks: CidrSet,
}
