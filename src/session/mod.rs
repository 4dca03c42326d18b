//! One client connection: the dialogue, from greeting to close.

pub mod incoming;
pub mod recipients;
pub mod serve;
pub mod settings;

pub use incoming::Incoming;
pub use recipients::RecipientMatcher;
pub use serve::{Shared, refuse, serve};
pub use settings::Settings;
