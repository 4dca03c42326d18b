//! How we watch it: metrics, the log, and the pages that tell both to the outside.

pub mod admin;
pub mod log;
pub mod metrics;
pub(crate) mod process;
